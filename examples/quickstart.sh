#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tidemark's main job, seen once from end to end, without a Kafka: installs what is missing (Debian 12), builds, starts
# `tidemark demo`, lets a policy back two topics up, restores them under other names and compares every record.
#   usage: examples/quickstart.sh
# Exit status 0 only if all records are the same. All it leaves behind is build-quickstart/ and ~/.cache/tidemark.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$here/build-quickstart
SECONDS=0
work=
demo_pid=

cleanup() {
    local status=$?
    trap - EXIT INT TERM HUP
    if [ -n "$demo_pid" ] && kill -TERM "$demo_pid" 2>/dev/null; then
        wait "$demo_pid" || true
    fi
    if [ -n "$work" ]; then
        if [ "$status" -ne 0 ] && [ -s "$work/demo.err" ]; then tail -n 20 "$work/demo.err" >&2; fi
        rm -rf "$work"
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Build ----------------------------------------------------------------------------------------------------------------

set_up() {
    rm -rf "$build"
    meson setup "$build" "$here" --buildtype=release -Doptimization=2 -Dtests=false -Dwerror=false -Dpkg_config_path="$1" \
        >"$work/meson.log" 2>&1 || {
        tail -n 20 "$work/meson.log" >&2
        return 1
    }
}

compile() {
    local quiet=(--quiet)
    if [ -t 1 ]; then quiet=(); fi
    ninja -C "$build" ${quiet[@]+"${quiet[@]}"} cli/tidemark daemon/tidemarkd
}

build_all() {
    local librdkafka had_one=
    librdkafka=$("$here/tests/rig/deps") # librdkafka >= 2.12.1, which Debian 12 does not have; built once
    [ ! -e "$build/build.ninja" ] || had_one=yes
    if [ -z "$had_one" ]; then set_up "$librdkafka"; fi
    if compile; then return; fi
    [ -n "$had_one" ] || fail "the build failed"
    set_up "$librdkafka" # the folder was of another time
    compile || fail "the build failed"
}

# Demo -----------------------------------------------------------------------------------------------------------------

# Take what the demo says, line by line, until one begins with $1; show those before one that begins with $2. The last
# one is left in $line.
hear() {
    local shown=yes
    while IFS= read -r -t 60 line <&3; do
        if [[ $line == "$2"* ]]; then shown=; fi
        if [ -n "$shown" ]; then printf '%s\n' "$line"; fi
        if [[ $line == "$1"* ]]; then return; fi
    done
    fail "the demo ended or fell silent before it said \"$1\""
}

# A request over the Unix socket: PATH [BODY]. With a body it is a POST.
request() {
    local body=()
    if [ $# -gt 1 ]; then body=(-H 'Content-Type: application/json' --data-binary "$2"); fi
    curl -q -sS --noproxy '*' --max-time 90 --fail-with-body --unix-socket "$SOCKET" \
        ${body[@]+"${body[@]}"} "http://localhost$1"
}

# The same, shown before as one would type it.
show() {
    printf "\$ curl --unix-socket \"\$SOCKET\" 'http://localhost%s'" "$1"
    if [ $# -gt 1 ]; then
        printf " -H 'Content-Type: application/json' \\\\\n    -d '%s'" "$2"
    fi
    printf '\n'
}

# Ask for the policy's points until the newest passes the jq test $2, at most $1 seconds.
await_point() {
    local deadline=$((SECONDS + $1)) point
    while [ "$SECONDS" -lt "$deadline" ]; do
        kill -0 "$demo_pid" 2>/dev/null || fail "the demo has ended"
        if point=$(request '/v1/recovery-points/latest?policy=demo' 2>/dev/null) &&
            jq -e --slurpfile still "$still" "$2" >/dev/null <<<"$point"; then
            jq -r .id <<<"$point"
            return
        fi
        sleep 0.2
    done
    fail "no such recovery point after $1 s; the policy: $(request /v1/policies/demo)"
}

# A job that a request started: wait for its end.
await_job() {
    local job=$1
    while jq -e '.state == "queued" or .state == "running"' >/dev/null <<<"$job"; do
        job=$(request "/v1/jobs/$(jq -r .id <<<"$job")?wait=60s")
    done
    printf '%s\n' "$job"
}

main() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/tidemark-quickstart.XXXXXX")
    say "What the build and this script need"
    "$here/tests/rig/install" demo

    say "Build (the first time some minutes, with librdkafka)"
    build_all
    PATH=$build/cli:$PATH

    say "A demo: a mock Kafka cluster with two topics, and tidemarkd with a policy that runs every 5 s"
    mkfifo "$work/said"
    TMPDIR=$work tidemark demo >"$work/said" 2>"$work/demo.err" &
    demo_pid=$!
    exec 3<"$work/said"
    hear 'ready:' 'try,'
    folder=$(dirname "${line#ready: }")
    . "$folder/demo.env"
    still=/dev/null

    say "The policy makes a recovery point by itself"
    first=$(await_point 60 true)
    show '/v1/recovery-points'
    request /v1/recovery-points | jq -c '.items[] | {id, state, captured_at, topics_count, messages_count}'
    show '/v1/status'
    request /v1/status | jq -c '.items[] | {topic, state, behind_messages, newest_point, next_run_at}'

    say "Stop the producing, and wait for a point that covers everything"
    kill -USR1 "$DEMO_PID"
    hear 'still:' 'ready:'
    still=$folder/still
    point=$(await_point 60 \
        '([.topics[] | {name, partitions: [.partitions[] | {partition, end_offset}]}] | sort_by(.name)) == $still[0].topics')
    show "/v1/recovery-points?limit=5"
    request '/v1/recovery-points?limit=5' | jq -c '.items[] | {id, state, captured_at, topics_count, messages_count}'
    [ "$first" != "$point" ] || echo "(nothing was produced after the first point: it covers everything)"

    say "Restore both topics of that point under other names"
    body='{"source":{"recovery_point":"'$point'"},"topics":{"include":["orders","customers"]},
    "target":{"cluster":"demo","rename":{"orders":"orders.restored","customers":"customers.restored"}},
    "create_topics":"never","existing":"empty_only"}'
    show '/v1/restores?wait=60s' "$body"
    job=$(request '/v1/restores?wait=60s' "$body") || fail "the restore was refused: $job"
    job=$(await_job "$job")
    jq '{id, state, result}' <<<"$job"
    jq -e '.state == "succeeded" and .result.proof == "identical"' >/dev/null <<<"$job" ||
        fail "the restore did not succeed: $job"

    say "Compare each record: key, value, headers, timestamp, partition, order"
    for topic in orders customers; do
        echo "\$ tidemark demo compare --bootstrap \"\$BOOTSTRAP\" $topic $topic.restored"
        tidemark demo compare --bootstrap "$BOOTSTRAP" "$topic" "$topic.restored" || fail "$topic is not the same"
    done

    say "Everything came back, in $SECONDS s. The broker was a mock (librdkafka's): no real Kafka was touched."
    cat <<NEXT
Next:
  build-quickstart/cli/tidemark demo            the same cluster and daemon, with a dashboard, until Ctrl-C
  build-quickstart/cli/tidemark --help          keys, tokens, vaults, configuration check
  README.md                                     a configuration for your own cluster
  tests/run                                     all tests, with a real Kafka broker
NEXT
}

main
