#!/usr/bin/env bats
# A hostile root file system: published attacks on OCI runtimes, by their numbers. Nothing on the host's side may be read, written or made;
# hostile_teardown looks at the directory that the attacks aim at, at mounts, processes and cgroups. See ../lib/hostile.bash for the modes.

bats_require_minimum_version 1.5.0
load ../lib/hostile

setup() {
    hostile_setup
}

teardown() {
    hostile_teardown
}

no_dev='.mounts |= map(select(.destination | startswith("/dev") | not))'

@test "CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867: proc and sys are mounted on ordinary directories only" {
    program true
    for name in proc sys; do
        mv "$bundle/rootfs/$name" "$bundle/rootfs/bad-$name"
        ln -s "/bad-$name" "$bundle/rootfs/$name"
        refused "must be mounted on ordinary directory"
        rm "$bundle/rootfs/$name"
        mv "$bundle/rootfs/bad-$name" "$bundle/rootfs/$name"
    done
    ln -s tmp "$bundle/rootfs/link"
    config '.mounts += [{destination: "/link/proc", type: "proc", source: "proc"}]'
    refused "must be mounted on ordinary directory"
    [ -z "$(ls -A "$bundle/rootfs/tmp")" ]
}

@test "CVE-2019-16884: nothing but a procfs lies on /proc, nothing is mounted inside it" {
    program true
    for change in '.mounts += [{destination: "/proc", type: "bind", source: $host, options: ["rbind"]}]' \
        '.mounts += [{destination: "/proc/self/attr", type: "bind", source: $host, options: ["rbind"]}]' \
        '.mounts += [{destination: "/proc/sys", type: "tmpfs", source: "tmpfs"}]' \
        '.mounts += [{destination: "/tmp/../proc/sys", type: "tmpfs", source: "tmpfs"}]' \
        '.mounts += [{destination: "//proc//sys/", type: "tmpfs", source: "tmpfs"}]'; do
        cp "$bundle/config.json" "$BATS_TEST_TMPDIR/good"
        config "$change" --arg host "$host"
        refused "proc"
        cp "$BATS_TEST_TMPDIR/good" "$bundle/config.json"
    done
}

@test "CVE-2019-16884: a mount cannot get into /proc through a symlink of the image" {
    ln -s proc "$bundle/rootfs/p"
    ln -s proc/self "$bundle/rootfs/s"
    config '.mounts += [{destination: "/p/sys/kernel", type: "tmpfs", source: "tmpfs"}]'
    program true
    refused "/p/sys/kernel"
    config '.mounts[-1].destination = "/s/attr"'
    refused "/s/attr"
}

@test "CVE-2019-16884: a label that this host cannot give is an error" {
    [ ! -e /sys/kernel/security/apparmor/profiles ] || skip "this host has AppArmor"
    config '.process.apparmorProfile = "moss"'
    program true
    run moss run --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *apparmorProfile* ]]
}

@test "CVE-2019-18837, CVE-2026-87766: symlinks below the root lead to places below the root" {
    echo content >"$BATS_TEST_TMPDIR/file"
    ln -s "$host/made" "$bundle/rootfs/etc/resolv.conf"
    ln -s "../../../../../../../../../../..$host" "$bundle/rootfs/up"
    ln -s "$host" "$bundle/rootfs/a"
    ln -s /proc/1/root "$bundle/rootfs/old"
    config '.mounts += [{destination: "/etc/resolv.conf", type: "bind", source: $file, options: ["bind"]},
        {destination: "/up/x/y", type: "tmpfs", source: "tmpfs"},
        {destination: "/a/b/c", type: "bind", source: $file, options: ["bind"]}]' --arg file "$BATS_TEST_TMPDIR/file"
    script 'cat /etc/resolv.conf /a/b/c; ls /up'
    harmless "content
content
b
made
x"
    can_start || return 0
    [ -e "$bundle/rootfs$host/made" ]
    for name in oldroot .old_root .pivot_root .put_old newroot; do
        ln -s "$host" "$bundle/rootfs/$name"
        config '.mounts += [{destination: $d, type: "tmpfs", source: "tmpfs"}]' --arg d "/$name/sub"
    done
    script 'cd /oldroot/sub && ls'
    harmless ""
    config '.mounts = .mounts[:-5] + [{destination: "/old/tmp", type: "tmpfs", source: "tmpfs"}]'
    refused "/old/tmp"
}

@test "CVE-2025-31133, CVE-2025-62161: what masks a file is the real /dev/null" {
    mkdir "$BATS_TEST_TMPDIR/dev"
    ln -s /proc/sys/kernel/core_pattern "$BATS_TEST_TMPDIR/dev/null"
    before=$(cat /proc/sys/kernel/core_pattern)
    config "$no_dev"' | .mounts += [{destination: "/dev", type: "bind", source: $dev, options: ["rbind"]}]' --arg dev "$BATS_TEST_TMPDIR/dev"
    script 'stat -c %t:%T /proc/keys; echo x >/proc/keys; (echo x >/proc/sys/kernel/core_pattern) 2>&1 || echo fine'
    harmless "1:3
sh: can't create /proc/sys/kernel/core_pattern: Read-only file system
fine"
    [ "$(cat /proc/sys/kernel/core_pattern)" = "$before" ]
    # a file instead of the device
    rm "$BATS_TEST_TMPDIR/dev/null"
    echo fake >"$BATS_TEST_TMPDIR/dev/null"
    script 'stat -c %t:%T /proc/keys'
    harmless 1:3
}

@test "CVE-2026-41579, CVE-2026-47766: a /dev that is a symlink to the host changes nothing there" {
    touch "$host/ptmx"
    rmdir "$bundle/rootfs/dev"
    config "$no_dev"
    program true
    for target in "$host" "../../../../../../../../..$host"; do
        ln -sfn "$target" "$bundle/rootfs/dev"
        attack
        [ "$(cd "$host" && echo *)" = "canary ptmx" ]
        [ -f "$host/ptmx" ]
        [ ! -s "$host/ptmx" ]
    done
    rm "$host/ptmx"
}

@test "CVE-2026-88264: a /dev/console that is a symlink makes no file" {
    config '.mounts |= map(select(.destination != "/dev")) | .process.terminal = true'
    ln -s "$host/new" "$bundle/rootfs/dev/console"
    program true
    run moss run --bundle "$bundle" "$id" </dev/null
    can_start || refused_by_mode
    [ "$status" -ne 0 ]
    can_start || return 0
    [[ $output == *"/dev/console"* ]]
}

@test "CVE-2026-88265: a /dev/null that is a symlink is not used, its target keeps its owner" {
    config '.mounts |= map(select(.destination != "/dev")) | .process.user.uid = 5'
    touch "$host/file"
    ln -s "$host/file" "$bundle/rootfs/dev/null"
    program true
    attack
    [ "$(stat -c %u "$host/file")" = 0 ]
    rm "$host/file"
    can_start || return 0
    # with ids of its own a container gets the host's device, mounted on what the symlink names below the root
    [ "$mode" = userns ] || [[ $run_output == *"/dev/null"* ]]
}

@test "CVE-2025-52565: the console is a terminal of the container's own devpts" {
    mkdir -p "$BATS_TEST_TMPDIR/dev/pts"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/pts/0"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/pts/ptmx"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/console"
    config "$no_dev"' | .mounts += [{destination: "/dev", type: "bind", source: $dev, options: ["rbind"]}] | .process.terminal = true' \
        --arg dev "$BATS_TEST_TMPDIR/dev"
    program true
    run moss run --bundle "$bundle" "$id" </dev/null
    can_start || refused_by_mode
    [ "$status" -ne 0 ]
    can_start || return 0
    [[ $output == *terminal* ]]
}

@test "CVE-2025-52565: the other end of the terminal is never opened by name" {
    config '.process.terminal = true'
    script 'stat -c %F /dev/console; tty'
    ASAN_OPTIONS=detect_leaks=0 run strace -f -qq -o "$BATS_TEST_TMPDIR/calls" -e trace=open,openat,openat2,ioctl "${wrap[@]}" "$runtime" --root "$containers" run \
        --bundle "$bundle" "$id" </dev/null
    can_start || refused_by_mode
    can_start || return 0
    [ "$(tr -d '\r' <<<"$output")" = "character special file
/dev/pts/0" ]
    # up to the program, which may open what it likes
    sed '/TIOCSCTTY/q' "$BATS_TEST_TMPDIR/calls" >"$BATS_TEST_TMPDIR/set-up"
    grep -q TIOCGPTPEER "$BATS_TEST_TMPDIR/set-up"
    run -1 grep -E 'open.*pts/[0-9]' "$BATS_TEST_TMPDIR/set-up"
}

@test "CVE-2025-52881, CVE-2025-62596: what is set below /proc is set through a procfs that nobody else has" {
    config '.linux.sysctl = {"net.ipv4.ping_group_range": "0 0", "kernel.shm_rmid_forced": "1"}'
    script 'cat /proc/sys/kernel/shm_rmid_forced'
    ASAN_OPTIONS=detect_leaks=0 run strace -f -qq -o "$BATS_TEST_TMPDIR/calls" -e trace=open,openat,openat2,fsopen "${wrap[@]}" "$runtime" --root "$containers" run \
        --bundle "$bundle" "$id" </dev/null
    can_start || refused_by_mode
    can_start || return 0
    [ "$output" = 1 ]
    grep -q 'fsopen("proc"' "$BATS_TEST_TMPDIR/calls"
    # from the root file system on, nothing on /proc is opened for writing by its whole name
    [ -z "$(sed -n '/fsopen("proc"/,$p' "$BATS_TEST_TMPDIR/calls" | grep -E '"/proc.*O_(WRONLY|RDWR)')" ]
    # what would be written is what is there
    for name in net/../kernel/core_pattern net/ipv4/../../kernel/core_pattern kernel/msg/../core_pattern; do
        config '.linux.sysctl = {($name): $value}' --arg name "$name" --arg value "$(cat /proc/sys/kernel/core_pattern)"
        refused "linux.sysctl"
    done
}

@test "CVE-2025-24965: where the runtime makes something, a symlink that waits there leads nowhere" {
    for name in fd stdin stdout stderr core ptmx console null zero full random urandom tty fifo; do
        ln -s "$host/dev-$name" "$bundle/rootfs/dev/$name"
    done
    for name in directory file cwd; do
        ln -s "$host/$name" "$bundle/rootfs/$name"
    done
    config "$no_dev"' | .mounts += [{destination: "/directory", type: "tmpfs", source: "tmpfs"},
        {destination: "/file", type: "bind", source: "config.json", options: ["bind"]}] | .process.cwd = "/cwd" | .process.user.uid = 7
        | .linux.devices = [{path: "/dev/fifo", type: "p", uid: 7, gid: 7}]'
    program true
    attack
    for name in null zero full random urandom tty fifo; do
        rm "$bundle/rootfs/dev/$name"
    done
    attack
    can_start || return 0
    [ "$run_status" -eq 0 ]
    [ -d "$bundle/rootfs$host/cwd" ]
}

@test "CVE-2023-25809: a /sys of the host's that is bound read-only has no writable cgroups in it" {
    config '.mounts |= map(select(.destination | startswith("/sys") | not)) + [{destination: "/sys", type: "bind", source: "/sys",
        options: ["rbind", "nosuid", "noexec", "nodev", "ro"]}] | .linux.namespaces |= map(select(.type != "cgroup"))'
    group=$(unified)/$id
    mkdir "$group"
    chown "$owner" "$group"
    script "mkdir $group/made 2>/dev/null || echo refused; [ -d $group ] && echo seen"
    attack
    [ ! -e "$group/made" ] || rmdir "$group/made"
    rmdir "$group"
    can_start || return 0
    [ "$run_output" = "refused
seen" ]
    [ "$output" = "$run_output" ]
}

@test "a bind of / is the host's / or an error, also where the host has mounted a namespace (crun issue 2262)" {
    touch "$BATS_TEST_TMPDIR/namespace"
    mkdir "$BATS_TEST_TMPDIR/private"
    mount --bind "$BATS_TEST_TMPDIR/private" "$BATS_TEST_TMPDIR/private"
    mount --make-private "$BATS_TEST_TMPDIR/private"
    touch "$BATS_TEST_TMPDIR/private/namespace"
    unshare "--mount=$BATS_TEST_TMPDIR/private/namespace" true
    config '.mounts += [{destination: "/host", type: "bind", source: "/", options: ["rbind", "ro"]}]'
    script "cat /host$host/canary"
    attack
    umount "$BATS_TEST_TMPDIR/private/namespace" "$BATS_TEST_TMPDIR/private"
    can_start || return 0
    [ "$run_status" -ne 0 ] || [ "$run_output" = secret ]
    [ "$status" -ne 0 ] || [ "$output" = secret ]
}
