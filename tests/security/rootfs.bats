#!/usr/bin/env bats
# A hostile root file system and hostile arguments: published attacks on OCI runtimes, by their numbers. Nothing on the host's side may be read,
# written or made; bundle_teardown looks at the directory that the attacks aim at.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
}

teardown() {
    bundle_teardown
}

# Each attack is tried with the kernel's help for path resolution and without it.
attack() {
    run moss run --bundle "$bundle" "$id" </dev/null
    echo "$output"
    plain_status=$status plain_output=$output
    run strace -f -qq -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null
    echo "$output"
}

refused() {
    attack
    [ "$plain_status" -ne 0 ]
    [ "$status" -ne 0 ]
    [[ $plain_output == *"$1"* ]]
    [[ $output == *"$1"* ]]
}

@test "CVE-2019-19921, CVE-2023-27561: proc and sys are mounted on ordinary directories only" {
    for name in proc sys; do
        mv "$bundle/rootfs/$name" "$bundle/rootfs/bad-$name"
        ln -s "/bad-$name" "$bundle/rootfs/$name"
        program true
        refused "must be mounted on ordinary directory"
        rm "$bundle/rootfs/$name"
        mv "$bundle/rootfs/bad-$name" "$bundle/rootfs/$name"
    done
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
        run_container
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"mount "*"proc"* ]]
        cp "$BATS_TEST_TMPDIR/good" "$bundle/config.json"
    done
}

@test "CVE-2019-18837, CVE-2026-87766: symlinks below the root lead to places below the root" {
    echo content >"$BATS_TEST_TMPDIR/file"
    ln -s "$host/made" "$bundle/rootfs/etc/resolv.conf"
    ln -s "../../../../../../../../../../..$host" "$bundle/rootfs/up"
    ln -s "$host" "$bundle/rootfs/a"
    config '.mounts += [{destination: "/etc/resolv.conf", type: "bind", source: $file, options: ["bind"]},
        {destination: "/up/x/y", type: "tmpfs", source: "tmpfs"},
        {destination: "/a/b/c", type: "bind", source: $file, options: ["bind"]}]' --arg file "$BATS_TEST_TMPDIR/file"
    script 'cat /etc/resolv.conf /a/b/c; ls /up'
    attack
    [ "$plain_status" -eq 0 ]
    [ "$plain_output" = "content
content
b
made
x" ]
    [ "$output" = "$plain_output" ]
    [ -e "$bundle/rootfs$host/made" ]
}

@test "CVE-2024-21626: no file descriptor of the host is in reach, neither by number nor as the working directory" {
    program ls /proc/self/fd
    run moss run --bundle "$bundle" "$id" </dev/null 4<"$host" 7<"$host" 20<"$host"
    [ "$status" -eq 0 ]
    [ "$(echo $output)" = "0 1 2 3" ] # 3: ls itself
    for n in {3..40}; do
        config '.process.cwd = "/proc/self/fd/\($n)"' --argjson n "$n"
        run moss run --bundle "$bundle" "$id" </dev/null 4<"$host" 7<"$host" 20<"$host"
        [ "$status" -ne 0 ]
    done
    config '.process.cwd = "/"'
    program sleep 1000
    create_container
    moss start "$id"
    for n in {3..40}; do
        ln -sfn "/proc/self/fd/$n" "$bundle/rootfs/tmp/cwd"
        run moss exec --cwd /tmp/cwd "$id" ls 4<"$host" 7<"$host" 20<"$host"
        [ "$status" -ne 0 ]
    done
}

@test "CVE-2025-31133: what masks a file is the real /dev/null" {
    mkdir "$BATS_TEST_TMPDIR/dev"
    ln -s /proc/sys/kernel/core_pattern "$BATS_TEST_TMPDIR/dev/null"
    before=$(cat /proc/sys/kernel/core_pattern)
    config '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{destination: "/dev", type: "bind", source: $dev, options: ["rbind"]}]' \
        --arg dev "$BATS_TEST_TMPDIR/dev"
    script 'stat -c %t:%T /proc/keys; echo x >/proc/keys; (echo x >/proc/sys/kernel/core_pattern) 2>&1 || echo fine'
    attack
    [ "$plain_status" -eq 0 ]
    [ "$plain_output" = "1:3
sh: can't create /proc/sys/kernel/core_pattern: Read-only file system
fine" ]
    [ "$output" = "$plain_output" ]
    [ "$(cat /proc/sys/kernel/core_pattern)" = "$before" ]
}

@test "CVE-2026-41579, CVE-2026-47766: a /dev that is a symlink to the host changes nothing there" {
    touch "$host/ptmx"
    rmdir "$bundle/rootfs/dev"
    for target in "$host" "../../../../../../../..$host"; do
        ln -sfn "$target" "$bundle/rootfs/dev"
        config '.mounts |= map(select(.destination | startswith("/dev") | not))'
        program true
        attack
        [ "$(cd "$host" && echo *)" = "canary ptmx" ]
        [ ! -s "$host/ptmx" ]
    done
    rm "$host/ptmx"
}

@test "CVE-2026-88264, CVE-2026-88265: symlinks for the console and for devices make no file and change no owner" {
    config '.mounts |= map(select(.destination != "/dev")) | .process.terminal = true | .process.user.uid = 5'
    touch "$host/file"
    ln -s "$host/new" "$bundle/rootfs/dev/console"
    program true
    refused "/dev/console"
    rm "$bundle/rootfs/dev/console"
    rm -f "$bundle/rootfs/dev/null"
    ln -s "$host/file" "$bundle/rootfs/dev/null"
    refused "/dev/null"
    [ "$(stat -c %u "$host/file")" = 0 ]
    rm "$host/file"
}

@test "CVE-2025-52565: the console is a terminal of the container's own devpts" {
    mkdir -p "$BATS_TEST_TMPDIR/dev/pts"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/pts/0"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/pts/ptmx"
    ln -s /proc/sysrq-trigger "$BATS_TEST_TMPDIR/dev/console"
    config '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{destination: "/dev", type: "bind", source: $dev, options: ["rbind"]}]
        | .process.terminal = true' --arg dev "$BATS_TEST_TMPDIR/dev"
    program true
    refused "terminal"
}

@test "CVE-2026-30892, CVE-2026-46680: exec --user takes numbers exactly" {
    config '.process.user.gid = 9 | .process.capabilities = {}'
    program sleep 1000
    create_container
    moss start "$id"
    ids() { moss exec --user "$1" "$id" sh -c 'echo $(id -u):$(id -g)'; }
    [ "$(ids 1)" = 1:9 ]
    [ "$(ids 1:2)" = 1:2 ]
    [ "$(ids 0:7)" = 0:7 ]
    [ "$(ids 4294967294)" = 4294967294:9 ]
    for user in -1 4294967295 4294967296 1abc abc '' :1 1: 1:x 1:2:3 ' 1' 0x0; do
        run ids "$user"
        [ "$status" -ne 0 ]
        [[ $output == *--user* ]]
    done
}

@test "CVE-2022-29162: exec --cap leaves nothing inheritable" {
    program sleep 1000
    create_container
    moss start "$id"
    run moss exec --cap CAP_NET_RAW "$id" grep -E '^Cap(Inh|Eff|Bnd)' /proc/self/status
    [ "$output" = "CapInh:	0000000000000000
CapEff:	0000000020002420
CapBnd:	0000000020002420" ]
}

@test "container ids, cgroup names and sub-cgroups cannot leave their place" {
    program true
    for bad in ../x a/b . .. '' "$(printf 'x%.0s' {1..1025})" 'a b' $'a\nb'; do
        run moss run --bundle "$bundle" "$bad" </dev/null
        [ "$status" -eq 1 ]
        [[ $output == *"container id"* ]]
        run moss state "$bad"
        [ "$status" -eq 1 ]
        run moss delete --force "$bad"
        [ "$status" -eq 1 ]
    done
    config '.linux.resources.unified = {"../../x": "1"}'
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"unified"* ]]
    config 'del(.linux.resources.unified)'
    program sleep 1000
    create_container
    moss start "$id"
    run moss exec --cgroup ../.. "$id" true
    [ "$status" -eq 1 ]
    [[ $output == *"--cgroup"* ]]
}

@test "CVE-2019-5736: the runtime's executable cannot be written through /proc/PID/exe" {
    cp "$runtime" "$BATS_TEST_TMPDIR/runtime"
    runtime=$BATS_TEST_TMPDIR/runtime
    before=$(sha256sum <"$runtime")
    cp "$MOSS_BUILD/helpers/hold-exe" "$bundle/rootfs/bin/"
    all=$(jq -n '["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]')
    config '.process.capabilities = {bounding: $all, permitted: $all, effective: $all} | .process.noNewPrivileges = false' --argjson all "$all"
    program hold-exe
    create_container
    moss start "$id"
    await grep -q ready "$BATS_TEST_TMPDIR/out"
    for _ in {1..100}; do
        moss exec "$id" true </dev/null
    done
    touch "$bundle/rootfs/tmp/enough"
    await_status stopped
    run tail -n 1 "$BATS_TEST_TMPDIR/out"
    [ "$output" = held ]
    moss delete "$id"
    # an entry point that is the runtime itself
    ln -s /proc/self/exe "$bundle/rootfs/bin/evil"
    printf '#!/proc/self/exe\n' >"$bundle/rootfs/bin/evil2"
    chmod +x "$bundle/rootfs/bin/evil2"
    for name in /bin/evil /bin/evil2; do
        program "$name" --version
        run moss run --bundle "$bundle" "$id" </dev/null
    done
    [ "$(sha256sum <"$runtime")" = "$before" ]
}

@test "CVE-2016-9962: a process that joins cannot be looked into" {
    all=$(jq -n '["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]')
    config '.process.capabilities = {bounding: $all, permitted: $all, effective: $all} | .process.noNewPrivileges = false' --argjson all "$all"
    # whatever is open in a process that is not ours, other than its streams, and can be read
    script 'while [ ! -e /tmp/enough ]; do for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || cat $p/fd/[3-9]/canary $p/fd/[1-9][0-9]/canary $p/cwd/canary; done 2>/dev/null; done'
    create_container
    moss start "$id"
    for _ in {1..50}; do
        moss exec "$id" true </dev/null 5<"$host" 9<"$host"
    done
    touch "$bundle/rootfs/tmp/enough"
    await_status stopped
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
}
