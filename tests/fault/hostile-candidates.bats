#!/usr/bin/env bats
# Candidates that mean no good (hostile.py says what each does): every one of them ends in the old generation serving on intact state, with one record, and
# nothing of it left. Each is swapped in without a rehearsal, which would have kept most of them from the users.

bats_require_minimum_version 1.5.0
load ../integration/shim/lib

setup() {
    LOADER=
    health good
    shim_setup
    with '.state.policy = "restore"'
    swaps=0
}
health() { # mode
    mkdir -p "$BATS_TEST_TMPDIR/layer-$1/opt"
    printf '#!/bin/sh\nexit 0\n' >"$BATS_TEST_TMPDIR/layer-$1/opt/health"
    chmod 755 "$BATS_TEST_TMPDIR/layer-$1/opt/health"
}
hostile() { # mode
    health "$1"
    cp "$MOSS_BUILD/helpers/tracer" "$BATS_TEST_TMPDIR/layer-$1/opt/"
    # It may remove its programs.
    mkdir -p "$BATS_TEST_TMPDIR/layer-$1/usr/bin"
    chown -R 1000:1000 "$BATS_TEST_TMPDIR/layer-$1/opt" "$BATS_TEST_TMPDIR/layer-$1/usr/bin"
    PROGRAM=../../fault/hostile.py generation "$1"
}

# Starts the agent, with a state that is known again.
start() {
    shim start "$NAME"
    get /count >/dev/null
    mkdir "$AGENT/epochs/0/ballast"
    echo precious >"$AGENT/epochs/0/ballast/f"
    chown -R 1000:1000 "$AGENT/epochs/0/ballast"
}

# What a candidate that is swapped in comes to.
refuses() { # mode, reason
    local bad before
    bad=$(hostile "$1")
    before=$(get /count | jq .counter)
    run --separate-stderr shim swap "$NAME" "$bad" --no-rehearsal --json
    echo "$1: $output $stderr"
    [ "$status" = 3 ]
    [ "$(jq -r .outcome <<<"$output")" = rolled_back ]
    [[ $(jq -r .reason <<<"$output") =~ $2 ]]
    did "$1"
    swaps=$((swaps + 1))
    is_as_before "$bad" "$before"
}

# Was it able to do what it is here for? What ends it, or floods or fills the log, is known by the reason.
did() { # mode
    local word
    for word in ${1//,/ }; do
        case $word in
        faults=* | exits=* | stub=* | fills | floods | ready | eats | sick) ;;
        *) grep -qF "did $word" "$AGENT/log" ;;
        esac
    done
}

is_as_before() { # candidate, counter
    # The old generation serves.
    [ "$(state state)" = STEADY ]
    [ "$(state ready)" = true ]
    [ "$(state generation)" = "$GOOD" ]
    [ "$(get /readyz | jq -r .mode)" = good ]
    # Of the candidate there is nothing but what its clients may have written, which is said, and can be removed.
    ! grep -lzFx "MOSS_GENERATION=$1" /proc/[0-9]*/environ 2>/dev/null
    for epoch in $(shim generations "$NAME" --json | jq '.[] | select(.role == "set aside") | .epoch'); do
        shim discard "$NAME" "$epoch"
    done
    [ "$(ls -A "$AGENT/epochs")" = 0 ]
    # One record of each swap, on a full disk as soon as there is room again.
    [ "$(jq -s 'map(.txid) == [range(1; length + 1)]' "$AGENT/swaps.jsonl")" = true ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = "$swaps" ]
    [ -z "$(state trouble)" ]
    # The state is its own, which nobody has touched.
    [ "$(state epoch)" = 0 ]
    [ "$(get /count | jq .counter)" = $(($2 + 1)) ]
    [ "$(ls -A "$AGENT/epochs/0")" = $'ballast\ncounter' ]
    [ "$(cat "$AGENT/epochs/0/ballast/f")" = precious ]
}

@test "ready and gone, and dead in its bake" {
    start
    refuses exits=2 'exited with status 0'
    refuses faults=4 'killed by signal 11'
}

@test "READY=1 and gone" {
    with '.probes.notify = true | del(.probes.startupProbe, .probes.livenessProbe)'
    start
    refuses ready,ends 'exited with status 0'
}

@test "healthy until the end of its bake is near, then dead" {
    local seconds=3
    if [ -n "${MOSS_FULL:-}" ]; then seconds=29; fi
    with --argjson seconds "$seconds" '.gate.bakeSeconds = $seconds + 60'
    start
    refuses "lives=$seconds" 'killed by signal 14'
}

@test "children that have left its session, fork without end, trace one another and write to the state" {
    start
    refuses escapes 'exited with status 0'
    refuses multiplies 'exited with status 0'
    refuses traces 'exited with status 0'
}

@test "a state volume that is full to the last block, on the disk that the agent's own state and the head are on" {
    shim_teardown
    export STORE_DIRECTORY=$BATS_TEST_TMPDIR/small
    mkdir "$STORE_DIRECTORY"
    truncate -s 112M "$BATS_TEST_TMPDIR/image"
    mkfs.ext4 -q -m 0 "$BATS_TEST_TMPDIR/image"
    mount -o loop "$BATS_TEST_TMPDIR/image" "$STORE_DIRECTORY"
    rm -r "$BATS_TEST_TMPDIR/layer-good"
    shim_setup
    with '.state.policy = "restore" | .limits.diskBytes = 1073741824'
    start
    refuses fills 'HTTP status 507'
}

@test "a state that is spoilt, littered, or stamped with what is no stamp" {
    start
    refuses spoils,sick 'HTTP status 503'
    refuses litters,sick 'HTTP status 503'
    with '.state.policy = "auto"'
    shim stop "$NAME"
    shim start "$NAME"
    for kind in fifo symlink directory giant deep text secret; do refuses spoils,stamp=$kind,sick 'HTTP status 503'; done
}

@test "probes that a stub answers, a program that is gone" {
    start
    refuses "stub=$(get /count | jq -r .nonce)" '"nonce" in the answer is not what it must be'
    refuses unlinks-itself 'exited with status 0'
}

@test "a probe whose program is gone" {
    with '.probes.livenessProbe = {"exec": {"command": ["/opt/health"]}, "periodSeconds": 1, "failureThreshold": 2}'
    start
    refuses unlinks-probe '/opt/health'
}

@test "listening sockets that are closed, or kept to itself" {
    start
    refuses closes 'no answer within 1 s'
    refuses keeps 'no answer within 1 s'
}

@test "no signal ends it, and it is never ready" {
    start
    refuses deaf,sick 'HTTP status 503'
}

@test "the log and the notify socket are flooded" {
    with '.probes.notify = true'
    start
    refuses floods,sick 'HTTP status 503'
    refuses floods,ready,faults=4 'killed by signal 11'
}

@test "it takes memory without end" {
    grep -qw memory /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null ||
        skip 'the cgroup has no memory controller'
    start
    refuses eats 'killed by signal 9'
}
