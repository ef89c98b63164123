#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetch the signed source of librdkafka (>= 2.12.1) through the Debian mirror that apt is set up for, into $1.
# The system's apt configuration is left alone: lists, cache and sources live in a private folder.
set -euo pipefail
dest=${1:?usage: fetch-librdkafka.sh DIRECTORY}
apt=${APT_CONFIG_DIR:-/etc/apt} # another place is for trying this script
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial}

# Take mirror and keyring from the sources in place, and ask them for sources of the newer suites.
from_deb822() {
    awk 'BEGIN { RS = ""; ORS = "\n\n" } !/security/ && /Types:[^\n]*deb/ { print; exit }' "$1" |
        sed -E 's/^Types:.*/Types: deb-src/; s/^Suites:.*/Suites: testing unstable/' >"$work/src.sources"
    [ -s "$work/src.sources" ]
}

# One line an entry: deb [options] URI SUITE COMPONENT...; the options (signed-by) are kept.
from_one_line() {
    awk '$1 == "deb" && !/security/ && !/cdrom:/ {
        at = 2; options = ""
        if ($2 ~ /^\[/) { while ($at !~ /\]$/ && at < NF) options = options $(at++) " "; options = options $(at++) " " }
        print "deb-src " options $at " testing main"
        print "deb-src " options $at " unstable main"
        exit
    }' "$@" >"$work/src.list"
    [ -s "$work/src.list" ]
}

sources=
if [ -r "$apt/sources.list.d/debian.sources" ] && from_deb822 "$apt/sources.list.d/debian.sources"; then
    sources=$work/src.sources
elif [ -r "$apt/sources.list" ] && from_one_line "$apt/sources.list"; then
    sources=$work/src.list
else
    echo "fetch-librdkafka: no Debian mirror is set up here; get a release of librdkafka >= 2.12.1 and run" >&2
    echo "    tests/rig/deps librdkafka-VERSION.tar.gz" >&2
    exit 1
fi
options=(-o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Retries=3)
apt-get "${options[@]}" -qq update
cd "$dest"
apt-get "${options[@]}" -qq source --download-only librdkafka
ls -1 librdkafka_*.orig.tar.*
