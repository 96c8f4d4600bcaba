#!/usr/bin/env bats
# The power is cut at each flush of a swap, and between two with some of what was written since: on every disk that may be left there is one generation to
# serve, whole, with the state of one epoch in full, and the shim goes on from there. See power-cut/replay.py for what is looked at.
# MOSS_FULL=1 only: every image, on ext4, xfs and btrfs. The disk is a file of a FUSE server's below a loop device: killed in the middle of a mount that server waits for
# itself, and so does whoever asks for a loop device, until /sys/fs/fuse/connections/N/abort. CUT_SEED=N draws other cuts; `power-cut/cut ext4 DIRECTORY --every 25 --recover 5` is
# a sample.

setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    [ -c /dev/fuse ] || skip 'needs /dev/fuse'
    [ -c /dev/loop-control ] || skip 'needs loop devices'
    export MOSS_BUILD=${MOSS_BUILD:-$BATS_TEST_DIRNAME/../../build}
}

cut_power() { # filesystem
    [ -n "${MOSS_FULL:-}" ] || skip 'MOSS_FULL=1 only'
    command -v "mkfs.$1" >/dev/null || skip "mkfs.$1 is missing"
    grep -qw "$1" /proc/filesystems || skip "the kernel has no $1"
    run "$BATS_TEST_DIRNAME/power-cut/cut" "$1" "$BATS_TEST_TMPDIR" 3>&-
    echo "$output"
    [ "$status" -eq 0 ]
    echo "# $1: ${lines[-2]}; ${lines[-1]}" >&3
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
