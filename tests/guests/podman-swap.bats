#!/usr/bin/env bats
# Containers of podman's whose agent is kept: generations are swapped under its nose.
# runtimes: moss-runtime

load engine.bash
load swap.bash
load podman-swap.bash

setup_file() {
    podman_setup
    shim_setup_file
}

setup() {
    export manager=systemd
    units=/etc/containers/systemd
    swap_setup
}

teardown() {
    podman_swap_teardown
}

systemctl_of_podman() { systemctl "$@"; }

@test "swaps under load: nobody is refused, and podman sees the same container before, during and after" {
    swaps_under_load
}

@test "restart, stop, start, kill, rm: the container comes back with the generation that it was swapped to" {
    comes_back_as_swapped
}

@test "with a user namespace of podman's, and its cgroupfs manager" {
    manager=cgroupfs
    start_container --uidmap 0:100000:65536 --gidmap 0:100000:65536
    before=$(identity)
    start_load
    start_swap good2
    while_swapping pod exec "$NAME" true
    stop_load
    [ "$refused" = 0 ]
    used_by_podman good2
    [ "$(identity)" = "$before" ]
}

@test "a unit of quadlet: swapped, restarted with what it was swapped to, stopped" {
    quadlet_is_swapped
}
