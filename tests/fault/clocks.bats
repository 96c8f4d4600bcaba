#!/usr/bin/env bats
# Boot clocks a year apart, as on another boot of the host: in time namespaces. What goes on goes on, and ends when it should.

bats_require_minimum_version 1.5.0
load ../integration/shim/lib

setup_file() { shim_setup_file; }
setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    [ -e /proc/self/ns/time ] || skip 'the kernel has no time namespaces'
    LOADER=
    shim_setup
}
teardown() { shim_teardown; }

YEAR=31536000
later() { unshare --time --boottime $YEAR --monotonic $YEAR --fork -- "$@"; }
shim_pid() { pgrep -f "^$MOSS_BUILD/moss-shim (start|recover) $NAME\$"; }

# A shim is killed while a candidate bakes, and the next one, with the other clock, ends the bake; then a candidate is rolled back under that clock.
ends_the_bake_of() { # command of the first shim and of the next
    "$1" "$MOSS_BUILD/moss-shim" start "$NAME"
    next=$(generation good2)
    get /count >/dev/null
    shim swap "$NAME" "$next" --no-rehearsal >/dev/null 2>&1 3>&- &
    swapper=$!
    until [ "$(state state)" = SERVING ]; do
        kill -0 $swapper
        sleep 0.05
    done
    kill -9 "$(shim_pid)"
    wait $swapper || true
    "$2" "$MOSS_BUILD/moss-shim" start "$NAME"
    for _ in {1..1200}; do
        [ "$(state state)" != STEADY ] || break
        sleep 0.05
    done
    [ "$(state state)" = STEADY ]
    [ "$(state generation)" = "$next" ]
    run shim swap "$NAME" "$(generation never-ready)" --no-rehearsal
    [ "$status" = 3 ]
    [ "$(state generation)" = "$next" ]
    [ "$(get /count | jq -r .mode)" = good2 ]
    [ "$(jq -s -c 'map([.txid, .outcome])' "$AGENT/swaps.jsonl")" = '[[1,"committed"],[2,"rolled_back"]]' ]
}

@test "a swap goes on under a boot clock that is a year behind" {
    ends_the_bake_of later env
}

@test "a swap goes on under a boot clock that is a year ahead" {
    ends_the_bake_of env later
}
