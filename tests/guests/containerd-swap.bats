#!/usr/bin/env bats
# Containers of containerd's whose agent is kept: generations are swapped under its nose.
# runtimes: moss-runtime

load engine.bash
load containerd.bash
load swap.bash

setup_file() {
    containerd_setup
    shim_setup_file
}

setup() {
    swap_setup
    ctr run -d --runc-binary /usr/local/bin/moss-runtime --net-host --annotation "dev.moss.agent=$NAME" --memory-limit 268435456 \
        --log-uri "file://$BATS_TEST_TMPDIR/output" docker.io/library/busybox:guest "$NAME" 3>&-
    ready
}

teardown() {
    ctr task kill -s KILL "$NAME" >/dev/null 2>&1 || true
    ctr task delete -f "$NAME" >/dev/null 2>&1 || true
    ctr container delete "$NAME"
    swap_teardown
}

exec_in() { # ID WORD...
    local id=$1
    shift
    ctr task exec --exec-id "$id-$RANDOM" "$NAME" "$@" 3>&-
}

identity() {
    ctr task ls | grep "^$NAME "
    cat "/proc/$(ctr task ls | awk -v name="$NAME" '$1 == name { print $2 }')/cgroup"
}

# What must work whatever generation there is.
used_by_containerd() { # MODE
    [ "$(get /count | jq -r .mode)" = "$1" ]
    [ "$(exec_in used cat /opt/mode)" = "$1" ]
    grep -qx "serving as $1" "$BATS_TEST_TMPDIR/output"
    [ "$(ctr task metrics --format json "$NAME" | jq -r .memory.usage_limit)" = 268435456 ]
    [ "$(ctr task ps "$NAME" | tail -n +2 | wc -l)" -ge 2 ]
    ctr task pause "$NAME"
    [ "$(ctr task ls | awk -v name="$NAME" '$1 == name { print $3 }')" = PAUSED ]
    ctr task resume "$NAME"
    [ "$(get /count | jq -r .mode)" = "$1" ]
}

@test "swaps under load: nobody is refused, and containerd sees the same container before, during and after" {
    before=$(identity)
    used_by_containerd good
    start_load
    start_swap good2
    while_swapping exec_in during true
    start_swap good3
    while_swapping ctr task metrics "$NAME"
    start_swap good4
    while_swapping ctr task ps "$NAME"
    stop_load
    [ "$refused" = 0 ]
    [ "$(identity)" = "$before" ]
    used_by_containerd good4
}

@test "SIGTERM reaches the agent, the task ends with its exit status, and comes back with the generation that it was swapped to; SIGKILL ends it" {
    start_swap good2
    while_swapping true
    ctr task kill -s TERM "$NAME"
    await eval "[ \"\$(ctr task ls | awk '\$1 == \"$NAME\" { print \$3 }')\" = STOPPED ]"
    run -0 ctr task delete "$NAME"
    await eval "! pgrep -f 'moss-shim start $NAME ' >/dev/null"
    ctr task start -d --log-uri "file://$BATS_TEST_TMPDIR/output" "$NAME" 3>&-
    ready
    [ "$(get /count | jq -r .mode)" = good2 ]
    ctr task kill -s KILL "$NAME"
    await eval "[ \"\$(ctr task ls | awk '\$1 == \"$NAME\" { print \$3 }')\" = STOPPED ]"
    ctr task delete "$NAME"
    [ -z "$(find /sys/fs/cgroup -path "*/$NAME/*")" ]
}
