#!/usr/bin/env bats
# Races: what a path of the image or of a volume names is changed, by an exchange of two names, while containers start. See ../lib/hostile.bash for
# the modes. A start may fail; what it may not do is to read, write, make or mount anything outside of the root. MOSS_FULL=1: five times as many starts.

bats_require_minimum_version 1.5.0
load ../lib/hostile

setup() {
    hostile_setup
    volume=$BATS_TEST_TMPDIR/volume
    mkdir "$volume"
    touch "$BATS_TEST_TMPDIR/all"
}

teardown() {
    [ -z "$racer" ] || { kill "$racer" && wait "$racer"; } || true
    chmod 777 "$volume"
    hostile_teardown
}

# race A B [A B…]: from now on.
race() {
    give_away
    "$MOSS_BUILD/helpers/exchange" "$@" 3>&- &
    racer=$!
}

# start_often N: what the containers print is in $BATS_TEST_TMPDIR/all; at least one has to have started, unless the mode refuses them all.
start_often() {
    local n ran=0
    owner=0 # given away already; names are moving now
    for ((n = $(starts "$1"); n > 0; n--)); do
        if moss run --bundle "$bundle" "$id" </dev/null >>"$BATS_TEST_TMPDIR/all" 2>&1; then
            ran=$((ran + 1))
        fi
    done
    kill -0 "$racer"
    sort "$BATS_TEST_TMPDIR/all" | uniq -c | head -n 20
    [ "$(ls -A "$host")" = canary ]
    if can_start; then
        [ "$ran" -gt 0 ]
    else
        [ "$ran" -eq 0 ]
    fi
}

# nothing WORDS: no container has printed that.
nothing() {
    run -1 grep -F -- "$1" "$BATS_TEST_TMPDIR/all"
}

volume_mount='{destination: "/volume", type: "bind", source: $volume, options: ["bind"]}'

@test "CVE-2021-30465: mounts below a volume whose directory is exchanged for a symlink to / stay inside" {
    mkdir -p "$volume/a$host" "$volume/a/sub"
    ln -s / "$volume/b"
    config '.mounts += ['"$volume_mount"', {destination: ("/volume/a" + $host), type: "tmpfs", source: "tmpfs"},
        {destination: "/volume/a/sub", type: "bind", source: $volume, options: ["rbind"]}]' --arg volume "$volume" --arg host "$host"
    script "cat /volume/a$host/canary /volume/b$host/canary $host/canary 2>/dev/null; true"
    [ "$owner" = 0 ] || chown -hR "$owner" "$volume"
    race "$volume/a" "$volume/b"
    start_often 40
    nothing secret
}

@test "CVE-2024-45310: mount points that are made below an exchanged symlink are not made on the host" {
    mkdir "$volume/a"
    ln -s "$host" "$volume/b"
    ln -s "../../../../../../../../../..$host" "$volume/c"
    mkdir "$volume/d"
    echo content >"$BATS_TEST_TMPDIR/file"
    config '.mounts += ['"$volume_mount"', {destination: "/volume/a/x/y/z", type: "tmpfs", source: "tmpfs"},
        {destination: "/volume/a/file", type: "bind", source: $file, options: ["bind"]},
        {destination: "/volume/d/x/file", type: "bind", source: $file, options: ["bind"]}] | .process.cwd = "/volume/d/cwd"' \
        --arg volume "$volume" --arg file "$BATS_TEST_TMPDIR/file"
    program true
    [ "$owner" = 0 ] || chown -hR "$owner" "$volume"
    race "$volume/a" "$volume/b" "$volume/c" "$volume/d"
    start_often 40
}

@test "CVE-2025-31133: an exchanged /dev/null masks nothing with something else" {
    cp -a /dev/null "$volume/null"
    ln -s /proc/sys/kernel/core_pattern "$volume/link"
    config '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{destination: "/dev", type: "bind", source: $volume, options: ["bind"]}]' \
        --arg volume "$volume"
    script 'stat -c "%F %t:%T" /proc/keys /proc/timer_list'
    [ "$owner" = 0 ] || chown -hR "$owner" "$volume"
    race "$volume/null" "$volume/link"
    start_often 40
    nothing regular
    rm -f "$volume/null" "$volume/link"
}

@test "CVE-2025-52881: sysctls and mounts meet an exchanged /proc and /sys, and write to nothing else" {
    mkdir -p "$BATS_TEST_TMPDIR/fake/sys/net/ipv4"
    echo untouched >"$BATS_TEST_TMPDIR/fake/sys/net/ipv4/ping_group_range"
    [ "$owner" = 0 ] || chown -R "$owner" "$BATS_TEST_TMPDIR/fake"
    ln -s "$BATS_TEST_TMPDIR/fake" "$bundle/rootfs/bad"
    ln -s / "$bundle/rootfs/worse"
    config '.linux.sysctl = {"net.ipv4.ping_group_range": "0 0"}'
    # masked when it is there, whatever the name of its directory was meanwhile
    script 'cat /proc/sys/net/ipv4/ping_group_range; for _ in 1 2 3 4 5 6 7 8; do stat -c %F /proc/keys; done; (echo 0 >/proc/sys/kernel/shm_rmid_forced && echo written) 2>/dev/null; true'
    race "$bundle/rootfs/proc" "$bundle/rootfs/bad" "$bundle/rootfs/sys" "$bundle/rootfs/worse"
    start_often 40
    [ "$(find "$BATS_TEST_TMPDIR/fake" -type f -exec cat {} +)" = untouched ]
    nothing untouched
    nothing regular
    nothing written
}

@test "CVE-2025-52565, CVE-2026-41579, CVE-2026-88264: an exchanged /dev, console and devices make nothing on the host" {
    ln -s "$host" "$bundle/rootfs/bad"
    touch "$bundle/rootfs/dev/console"
    ln -s "$host/console" "$bundle/rootfs/dev/bad-console"
    ln -s "$host/null" "$bundle/rootfs/dev/bad-null"
    mknod "$bundle/rootfs/dev/null" c 1 3
    config '.mounts |= map(select(.destination != "/dev" and .destination != "/dev/shm" and .destination != "/dev/mqueue"))
        | .process.terminal = true | .process.user.uid = 3'
    program true
    race "$bundle/rootfs/dev" "$bundle/rootfs/bad" "$bundle/rootfs/dev/console" "$bundle/rootfs/dev/bad-console" \
        "$bundle/rootfs/dev/null" "$bundle/rootfs/dev/bad-null"
    start_often 40
}
