#!/usr/bin/env bats
# Swaps of an agent on a host that has controllers, and whose clock may be set.
# runtimes: moss-runtime

load engine.bash
load swap.bash

setup_file() { shim_setup_file; }
setup() {
    shim_setup
    patiently .
}
teardown() {
    [ -z "$CLOCK_AHEAD" ] || date -s "@$(($(date +%s) - CLOCK_AHEAD))" >/dev/null
    shim_teardown
}

# set_clock SECONDS: ahead of what it is, or behind it.
set_clock() {
    date -s "@$(($(date +%s) + $1))" >/dev/null
    CLOCK_AHEAD=$((CLOCK_AHEAD + $1))
}

@test "a candidate that runs out of memory is rolled back, and what it was asked is kept" {
    patiently '.limits.memoryBytes = 67108864'
    shim start "$NAME"
    get /count
    start_swap devours --no-rehearsal
    until [ "$(state state)" = SERVING ]; do kill -0 "$SWAPPER"; sleep 0.1; done
    before=$(get /count | jq .counter)
    wait "$SWAPPER" || true
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = rolled_back ]
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(get /count | jq .counter)" -gt "$before" ]
    find /sys/fs/cgroup -path "*kept-$NAME*" -name memory.events -exec cat {} + | grep -q '^oom_kill [1-9]'
}

@test "a clock that is set a year ahead or back during a swap changes nothing" {
    shim start "$NAME"
    start_load
    for ahead in 31536000 -63072000; do
        start_swap "good$ahead"
        until [ "$(state state)" = TRYING ]; do kill -0 "$SWAPPER"; sleep 0.05; done
        set_clock "$ahead"
        wait "$SWAPPER"
        [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = committed ]
        [ "$(jq .pause_usec "$BATS_TEST_TMPDIR/answer")" -lt 60000000 ]
        [ "$(get /count | jq -r .mode)" = "good$ahead" ]
    done
    stop_load
    [ "$refused" = 0 ]
    [ "$(get /count | jq .counter)" -ge "$answered" ]
}
