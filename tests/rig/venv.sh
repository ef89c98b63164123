#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Make, once per set of requirements, the virtual environment of the system tests; print its python.
#   usage: "$(tests/rig/venv.sh)" -m pytest tests/system
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidemark
python=/usr/bin/python3 # the one that python3-venv belongs to, whatever else is on PATH
[ -x "$python" ] || python=$(command -v python3)

key=$({ "$python" -c 'import sys; print(sys.version, sys.prefix)' && cat "$here/requirements.txt"; } | sha256sum | cut -c1-12)
venv=$cache/venv-$key
ready() { [ -e "$venv/.complete" ] && printf '%s\n' "$venv/bin/python"; }
if ready; then exit 0; fi

mkdir -p "$cache"
exec 9>"$venv.lock"
flock 9 # two checkouts at once: one makes it, one waits
if ready; then exit 0; fi
echo "venv: making $venv" >&2
rm -rf "$venv" # half made
"$python" -m venv "$venv" >&2
PIP_USER=no "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 5 \
    --only-binary :all: -r "$here/requirements.txt" >&2
touch "$venv/.complete"
ready
