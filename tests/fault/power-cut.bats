#!/usr/bin/env bats
# The power is cut at each flush of a swap, and between two with some of what was written since: on every disk that may be left there is one generation to
# serve, whole, with the state of one epoch in full, and the shim goes on from there. See power-cut/replay.py for what is looked at.
# A sample of the images; MOSS_FULL=1: each of them, and a disk that ignores flushes must be found out. CUT_SEED=N draws other cuts.

setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    [ -c /dev/fuse ] || skip 'needs /dev/fuse'
    [ -c /dev/loop-control ] || skip 'needs loop devices'
    export MOSS_BUILD=${MOSS_BUILD:-$BATS_TEST_DIRNAME/../../build}
    scratch=$BATS_TEST_TMPDIR
    # Hundreds of images are made: in memory, if there is enough.
    if [ "$(df --output=avail -k /dev/shm | tail -n 1)" -gt 1000000 ]; then scratch=$(mktemp -d /dev/shm/moss-cut-XXXXXX); fi
}

teardown() {
    if [ -n "${scratch:-}" ]; then rm -rf "$scratch"; fi
}

cut_power() { # filesystem
    local options=(--every 12 --recover 20)
    command -v "mkfs.$1" >/dev/null || skip "mkfs.$1 is missing"
    grep -qw "$1" /proc/filesystems || skip "the kernel has no $1"
    if [ -n "${MOSS_FULL:-}" ]; then
        options=(--recover 3)
        export CUT_LIE=1
    fi
    run "$BATS_TEST_DIRNAME/power-cut/cut" "$1" "$scratch" "${options[@]}" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    echo "# $1: $(grep -E 'images|lies' <<<"$output" | paste -sd';')" >&3
}

@test "ext4: on whatever disk a cut of the power leaves, one generation serves, on the state of one epoch in full" {
    cut_power ext4
}

@test "xfs: on whatever disk a cut of the power leaves, one generation serves, on the state of one epoch in full" {
    cut_power xfs
}

@test "btrfs: on whatever disk a cut of the power leaves, one generation serves, on the state of one epoch in full" {
    cut_power btrfs
}
