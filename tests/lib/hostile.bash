# Attacks on the runtime, each tried in four modes. A file of tests is linked to under one name for each mode, which the end of the name says:
#
#     NAME.bats                             as root
#     NAME-in-user-namespace.bats           as root, the container with 65536 ids of its own
#     NAME-without-openat2.bats             the kernel does not resolve paths for us
#     NAME-refused-without-mount-api.bats   nothing can be mounted by file descriptor: every container is refused
#
# The directory of the host that an attack aims at ($host) may be written by whoever the container's root is, so that only the runtime is in the way.
# shellcheck shell=bash

# shellcheck source=tests/lib/bundle.bash
source "$BATS_TEST_DIRNAME/../lib/bundle.bash"

# shellcheck disable=SC2034
case $BATS_TEST_FILENAME in
*-in-user-namespace.bats) mode=userns BATS_TEST_NAME_PREFIX='in a user namespace: ' ;;
*-without-openat2.bats) mode=openat2 BATS_TEST_NAME_PREFIX='without openat2: ' ;;
*-refused-without-mount-api.bats) mode=mount-api BATS_TEST_NAME_PREFIX='refused without the mount API: ' ;;
*) mode=root BATS_TEST_NAME_PREFIX='' ;;
esac
first_id=100000 # of the container's, outside

hostile_setup() {
    bundle_setup
    wrap=() owner=0
    case $mode in
    userns)
        owner=$first_id
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
        chmod 777 "$host"
        chmod 666 "$host/canary"
        config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: $first, size: 65536}]
            | .linux.gidMappings = .linux.uidMappings' --argjson first $first_id
        ;;
    openat2 | mount-api) wrap=("$MOSS_BUILD/helpers/without" "$mode") ;;
    esac
}

hostile_teardown() {
    bundle_teardown
    [ -z "$(pgrep -af -- "--root $containers")" ]
    [ "$(stat -c %u "$host/canary")" = 0 ]
}

moss() {
    give_away
    "${wrap[@]}" "$runtime" --root "$containers" "$@"
}

# What the test has put into the root file system is the container's own.
give_away() {
    [ "$owner" = 0 ] || chown -hR "$owner:$owner" "$bundle/rootfs"
}

# Can this mode start containers at all?
can_start() {
    [ "$mode" != mount-api ]
}

refused_by_mode() {
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"mount API"* ]]
}

# attack: tries the bundle with `run`, then with `create` and `start`. Where the mode refuses containers, that is all there is to see;
# a test goes on with `can_start || return 0`.
attack() {
    run moss run --bundle "$bundle" "$id" </dev/null
    run_status=$status run_output=$output
    printf 'run: %s\n%s\n' "$status" "$output"
    can_start || refused_by_mode
    run create_container
    output=$(<"$BATS_TEST_TMPDIR/out")
    can_start || refused_by_mode
    if [ "$status" -eq 0 ]; then
        if moss start "$id" >>"$BATS_TEST_TMPDIR/out" 2>&1; then
            await_status stopped
        else
            status=1
        fi
        output=$(<"$BATS_TEST_TMPDIR/out")
        moss delete --force "$id"
    fi
    printf 'create: %s\n%s\n' "$status" "$output"
}

# harmless OUTPUT: the attack's container has run, twice with this output.
harmless() {
    attack
    can_start || return 0
    [ "$run_status" -eq 0 ]
    [ "$status" -eq 0 ]
    [ "$run_output" = "$1" ]
    [ "$output" = "$1" ]
}

# refused WORDS: the attack's container was refused, twice with an error that has these words.
refused() {
    attack
    can_start || return 0
    [ "$run_status" -ne 0 ]
    [ "$status" -ne 0 ]
    [[ $run_output == *"$1"* ]]
    [[ $output == *"$1"* ]]
}

# A running container; like attack.
up() {
    run create_container "$@"
    output=$(<"$BATS_TEST_TMPDIR/out")
    echo "$output"
    if ! can_start; then
        refused_by_mode
        return 0
    fi
    [ "$status" -eq 0 ]
    moss start "$id"
}

# starts N: how many containers a race gets; MOSS_FULL=1: five times as many.
starts() {
    echo $(($1 * (${MOSS_FULL:-0} ? 5 : 1)))
}
