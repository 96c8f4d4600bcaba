#!/usr/bin/env bats
# Many operations in a random order on a few containers, the runtime killed at any moment of many of them; then `delete --force` of all leaves nothing behind.
# SEED=n repeats the order (not the moments), MOSS_FULL=1 is ten times as long.

bats_require_minimum_version 1.5.0
load ../lib/hostile

OPERATIONS=$((${MOSS_FULL:-0} ? 2000 : 200))
CONTAINERS=6

setup() {
    hostile_setup
    mark=86400.$$
    variants
}

teardown() {
    pkill -KILL -f "^sleep $mark" || true
    rm -rf "$containers"
    hostile_teardown
}

# Ways to be born: by one clone, through a helper process (time namespace), with ids of its own, in a cgroup of several levels, with hooks in between.
variants() {
    local n
    program sleep "$mark"
    for n in 0 1 2 3 4; do
        mkdir -p "$BATS_TEST_TMPDIR/bundle-$n"
        ln -s ../bundle/rootfs "$BATS_TEST_TMPDIR/bundle-$n/rootfs"
        cp "$bundle/config.json" "$BATS_TEST_TMPDIR/bundle-$n/"
    done
    variant 1 '.linux.namespaces += [{type: "time"}]'
    variant 2 '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 1000}] | .linux.gidMappings = .linux.uidMappings'
    variant 3 '.linux.namespaces |= map(select(.type != "pid"))'
    variant 4 '.hooks = {createRuntime: [{path: "/bin/sleep", args: ["sleep", "0.003"]}], createContainer: [{path: "/bin/sleep", args: ["sleep", "0.003"]}],
        startContainer: [{path: "/bin/true"}], poststop: [{path: "/bin/true"}]}'
}

variant() {
    jq "$2" "$bundle/config.json" >"$BATS_TEST_TMPDIR/bundle-$1/config.json"
}

# Killed after up to 20 ms, alone or with all that is still of its process group; or not at all.
killed() {
    local after
    printf -v after '0.%04d' $((RANDOM % 200))
    case $((RANDOM % 4)) in
    0) timeout --signal=KILL "$after" "$@" ;;
    1) timeout --foreground --signal=KILL "$after" "$@" ;;
    *) timeout --foreground --signal=KILL 60 "$@" || [ $? -ne 137 ] || echo "hangs: $*" ;;
    esac
}

operation() {
    local name=$id-$((RANDOM % CONTAINERS)) from
    local verbs=(create create create start start run exec exec exec kill kill-all pause resume delete delete-force state ps list)
    local verb=${verbs[RANDOM % ${#verbs[@]}]}
    from=$BATS_TEST_TMPDIR/bundle-$((RANDOM % 5))
    set -- killed "$runtime" --root "$containers"
    case $verb in
    create) "$@" create --bundle "$from" "$name" ;;
    run) "$@" run --detach --bundle "$from" "$name" ;;
    exec) "$@" exec --detach "$name" sleep "$mark" ;;
    kill) "$@" kill "$name" KILL ;;
    kill-all) "$@" kill --all "$name" TERM ;;
    delete-force) "$@" delete --force "$name" ;;
    list) "$@" list ;;
    *) "$@" "$verb" "$name" ;;
    esac
}

left_over() {
    pgrep -af "^sleep $mark"
    pgrep -af -- "--root $containers"
    ls -A "$containers"
    find "$(unified)" -name "$id*"
}

@test "$OPERATIONS operations with the runtime killed at random: delete --force leaves nothing" {
    seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
    echo "# seed $seed" >&3
    RANDOM=$((seed % 32768))
    for ((n = 0; n < OPERATIONS; n++)); do
        operation </dev/null >>"$BATS_TEST_TMPDIR/all" 2>&1 3>&- || true
    done
    for ((n = 0; n < CONTAINERS; n++)); do
        moss delete --force "$id-$n"
    done
    run -1 grep '^hangs' "$BATS_TEST_TMPDIR/all"
    # what was killed with its runtime ends by itself, at once but not in our hand
    end=$((SECONDS + 10))
    while [ -n "$(left_over)" ] && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.1
    done
    run left_over
    echo "$output"
    [ -z "$output" ]
}
