#!/usr/bin/env bats
# The same as an ordinary user: podman, moss-runtime and the shim have that user's ids and no others, and nothing of root's.
# runtimes: moss-runtime

load engine.bash
load swap.bash
load podman-swap.bash

setup_file() {
    rootless_setup
    shim_setup_file
}

setup() {
    export manager=systemd
    units=/home/user/.config/containers/systemd
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
    as_user mkdir -p "$units"
    swap_setup user /home/user/.local/share/moss /run/user/1000/moss
}

teardown() {
    podman_swap_teardown
}

# Instead of root's.
pod() { pod_as_user "$@"; }
shim() { as_user "$MOSS_BUILD/moss-shim" "$@"; }
runtime() { as_user "$MOSS_BUILD/moss-runtime" "$@"; }
systemctl_of_podman() { as_user systemctl --user "$@"; }

@test "swaps under load: nobody is refused, and podman sees the same container before, during and after" {
    swaps_under_load
    # Nothing of root's in it, nor the user itself: a subordinate id.
    [ "$(awk '/^Uid/ {print $2}' "/proc/$(state pid)/status")" = 100999 ]
}

@test "restart, stop, start, kill, rm: the container comes back with the generation that it was swapped to" {
    comes_back_as_swapped
}

# Otherwise the user may make no cgroup, and the container has none.
@test "with podman's cgroupfs manager, in a scope that is delegated to the user" {
    manager=cgroupfs
    pod() { as_user systemd-run --user --quiet --scope --property Delegate=yes podman --runtime "$ENGINE_RUNTIME" --cgroup-manager cgroupfs "$@"; }
    start_container
    before=$(identity)
    start_load
    start_swap good2
    while_swapping pod exec "$NAME" true
    stop_load
    [ "$refused" = 0 ]
    [ "$(pod exec "$NAME" cat /opt/mode)" = good2 ]
    [ "$(identity)" = "$before" ]
}

@test "a unit of quadlet's among the user's: swapped, restarted with what it was swapped to, stopped" {
    quadlet=$'[Quadlet]\nDefaultDependencies=false' # no network is waited for
    quadlet_is_swapped
}

@test "the shim is killed: another one, started in podman's user namespace, takes the agent over" {
    start_container
    agent=$(state pid)
    pkill -KILL -f "moss-shim start $NAME "
    [ "$(get /count | jq -r .mode)" = good ]
    as_user systemd-run --user --quiet --scope --property Delegate=yes podman unshare "$MOSS_BUILD/moss-shim" start "$NAME"
    [ "$(state pid)" = "$agent" ]
    start_swap good2
    while_swapping true
    [ "$(get /count | jq -r .mode)" = good2 ]
}
