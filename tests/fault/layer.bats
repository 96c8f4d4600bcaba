#!/usr/bin/env bats
# `moss-runtime layer import`, killed at each system call, with each system call failing, and on a full disk: a layer has its name only as a whole.
# MOSS_FULL=1 walks all of them; else a sample, the same every time.

setup() {
    command -v strace >/dev/null || skip "strace is missing"
    export ASAN_OPTIONS=detect_leaks=0 # where there is a sanitizer: its search for leaks is a tracer, too
    runtime="$MOSS_BUILD/moss-runtime"
    tree="$BATS_TEST_TMPDIR/tree"
    store="$BATS_TEST_TMPDIR/store"
    every=$((${MOSS_FULL:-0} ? 1 : 7))
    make_tree
    digest="$("$runtime" layer digest "$tree")"
}

teardown() {
    if mountpoint -q "$BATS_TEST_TMPDIR/small"; then
        umount "$BATS_TEST_TMPDIR/small"
    fi
}

make_tree() {
    mkdir -p "$tree/bin/deep/er" "$tree/opaque"
    printf 'hello\n' >"$tree/bin/hello"
    ln "$tree/bin/hello" "$tree/bin/again"
    ln -s ../../outside "$tree/bin/out"
    head -c 300000 /dev/urandom >"$tree/bin/deep/er/noise"
    truncate -s 1G "$tree/hole"
    mkfifo "$tree/pipe"
    if [ "$(id -u)" = 0 ]; then
        mknod "$tree/gone" c 0 0
    fi
}

import() {
    "$runtime" layer import "$tree" --store "$store"
}

# "name count" of each system call of a whole import.
census() {
    strace -f -c -S name -U name,calls -o "$BATS_TEST_TMPDIR/census" "$runtime" layer import "$tree" --store "$store" >/dev/null
    awk 'NF == 2 && $2 ~ /^[0-9]+$/ && $1 != "total" && $1 != "execve" { print $1, $2 }' "$BATS_TEST_TMPDIR/census"
    rm -rf "$store"
}

# Whatever has its final name is whole, and nothing keeps the next import from its work.
check_store() {
    local name
    if [ -d "$store/layers/sha256" ]; then
        for name in $(ls -A "$store/layers/sha256"); do
            [ "$name" = "$digest" ] || { echo "unexpected layer $name" >&2; return 1; }
            "$runtime" layer verify "$name" --store "$store" || return 1
        done
    fi
    [ "$(import)" = "$digest" ] || return 1
    [ -z "$(ls -A "$store/tmp")" ] || { echo "left behind: $(ls -A "$store/tmp")" >&2; return 1; }
}

@test "killed at any system call, it leaves no half layer and nothing in the way" {
    local call count n i=0 walked=0
    census >"$BATS_TEST_TMPDIR/calls"
    while read -r call count; do
        for ((n = 1; n <= count; n++)); do
            ((i++ % every == 0)) || continue
            rm -rf "$store"
            strace -f -o /dev/null -e "inject=$call:signal=KILL:when=$n" "$runtime" layer import "$tree" --store "$store" \
                >/dev/null 2>&1 || true
            check_store || { echo "after a kill at $call number $n" >&2; return 1; }
            walked=$((walked + 1))
        done
    done <"$BATS_TEST_TMPDIR/calls"
    echo "# killed $walked times out of $i" >&3
    [ "$walked" -ge 20 ]
}

@test "whichever call fails, it says so once and leaves no half layer" {
    local call error count n i=0 walked=0
    census | grep -E '^(mkdirat|openat|fchmod|fchown|fchownat|ftruncate|copy_file_range|symlinkat|linkat|mknodat|syncfs|fsync|renameat2|getdents64|pread64|utimensat|flock|newfstatat) ' \
        >"$BATS_TEST_TMPDIR/calls"
    while read -r call count; do
        for error in EIO ENOSPC; do
            for ((n = 1; n <= count; n++)); do
                ((i++ % every == 0)) || continue
                rm -rf "$store"
                if strace -f -o /dev/null -e "inject=$call:error=$error:when=$n" "$runtime" layer import "$tree" --store "$store" \
                    >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"; then
                    [ "$(cat "$BATS_TEST_TMPDIR/out")" = "$digest" ] && [ ! -s "$BATS_TEST_TMPDIR/err" ] ||
                        { echo "done in spite of $error from $call number $n: $(cat "$BATS_TEST_TMPDIR/out")" >&2; return 1; }
                else
                    [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" = 1 ] || { cat "$BATS_TEST_TMPDIR/err" >&2; return 1; }
                    [ ! -s "$BATS_TEST_TMPDIR/out" ] || return 1
                fi
                check_store || { echo "after $error from $call number $n" >&2; return 1; }
                walked=$((walked + 1))
            done
        done
    done <"$BATS_TEST_TMPDIR/calls"
    echo "# failed $walked times out of $i" >&3
    [ "$walked" -ge 20 ]
}

# Imports into a small disk of this size, which must fail because it is full, and leave nothing.
import_into_small() { # mount options
    [ "$(id -u)" = 0 ] || skip "needs root to mount a small disk"
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o "$1" tmpfs "$BATS_TEST_TMPDIR/small"
    store="$BATS_TEST_TMPDIR/small/store"
    run import
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "${lines[0]}" == *"No space left on device" ]]
    [ -z "$(ls -A "$store/tmp" "$store/layers/sha256" | grep -v ':$')" ]
}

@test "a full disk gives one clear error and leaves nothing" {
    import_into_small size=200k
    [[ "${lines[0]}" == *"cannot copy the tree into $store: bin/deep/er/noise: No space left on device" ]]
    [ "$(df --output=used "$BATS_TEST_TMPDIR/small" | tail -1)" -lt 16 ]
}

@test "out of inodes is no different" {
    import_into_small nr_inodes=12
}
