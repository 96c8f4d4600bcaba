#!/usr/bin/env bats
# Hostile processes and arguments: what a container can reach of the runtime that starts and enters it. See ../lib/hostile.bash for the modes.

bats_require_minimum_version 1.5.0
load ../lib/hostile

setup() {
    hostile_setup
}

teardown() {
    hostile_teardown
    ! mountpoint -q "$BATS_TEST_TMPDIR/bin" || umount -l "$BATS_TEST_TMPDIR/bin"
}

@test "CVE-2024-21626: no file descriptor of the host is in reach, neither by number nor as the working directory" {
    program ls /proc/self/fd
    run moss run --bundle "$bundle" "$id" </dev/null 4<"$host" 7<"$host" 20<"$host"
    can_start || refused_by_mode
    can_start || return 0
    [ "$status" -eq 0 ]
    [ "$(echo $output)" = "0 1 2 3" ] # 3: ls itself
    for n in {3..24}; do
        config '.process.cwd = "/proc/self/fd/\($n)"' --argjson n "$n"
        run moss run --bundle "$bundle" "$id" </dev/null 4<"$host" 7<"$host" 20<"$host"
        [ "$status" -ne 0 ]
    done
    config '.process.cwd = "/"'
    program sleep 1000
    up
    [ "$(moss exec "$id" ls /proc/1/fd | tr '\n' ' ')" = "0 1 2 " ]
    for n in {3..24}; do
        ln -sfn "/proc/self/fd/$n" "$bundle/rootfs/tmp/cwd"
        run moss exec --cwd /tmp/cwd "$id" ls 4<"$host" 7<"$host" 20<"$host"
        [ "$status" -ne 0 ]
    done
}

@test "CVE-2026-30892, CVE-2026-46680: exec --user takes numbers exactly" {
    config '.process.user.gid = 9 | .process.capabilities = {}'
    program sleep 1000
    up
    can_start || return 0
    ids() { moss exec --user "$1" "$id" sh -c 'echo $(id -u):$(id -g)'; }
    [ "$(ids 1)" = 1:9 ]
    [ "$(ids 1:2)" = 1:2 ]
    [ "$(ids 0:7)" = 0:7 ]
    if [ "$mode" = userns ]; then
        run ids 4294967294
        [ "$status" -ne 0 ]
    else
        [ "$(ids 4294967294)" = 4294967294:9 ]
    fi
    for user in -1 4294967295 4294967296 1abc abc '' :1 1: 1:x 1:2:3 ' 1' 0x0; do
        run ids "$user"
        [ "$status" -ne 0 ]
        [[ $output == *--user* ]]
    done
}

@test "CVE-2022-29162, CVE-2022-27650, CVE-2025-27612: nothing is inheritable, by default or with exec --cap" {
    program grep CapInh /proc/self/status
    harmless "CapInh:	0000000000000000"
    program sleep 1000
    up
    can_start || return 0
    run moss exec --cap CAP_NET_RAW "$id" grep -E '^Cap(Inh|Eff|Bnd)' /proc/self/status
    [ "$output" = "CapInh:	0000000000000000
CapEff:	0000000020002420
CapBnd:	0000000020002420" ]
}

@test "container ids, cgroup names and sub-cgroups cannot leave their place (GHSA-5g49-rx9x-qfc6, crun issue 1646)" {
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
    config 'del(.linux.resources.unified) | .linux.cgroupsPath = "../../up"'
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"cgroup"* ]]
    config 'del(.linux.cgroupsPath)'
    program sleep 1000
    up
    can_start || return 0
    for bad in ../.. .. /.. a/../../..; do
        run moss exec --cgroup "$bad" "$id" true
        [ "$status" -eq 255 ]
        [[ $output == *"--cgroup"* ]]
    done
}

@test "CVE-2019-5736: the runtime's executable cannot be written through /proc/PID/exe" {
    cp "$runtime" "$BATS_TEST_TMPDIR/runtime"
    runtime=$BATS_TEST_TMPDIR/runtime
    [ "$mode" != userns ] || chmod 777 "$runtime"
    before=$(sha256sum <"$runtime")
    cp "$MOSS_BUILD/helpers/hold-exe" "$bundle/rootfs/bin/"
    # an entry point that is the runtime itself
    ln -s /proc/self/exe "$bundle/rootfs/bin/evil"
    printf '#!/proc/self/exe\n' >"$bundle/rootfs/bin/evil2"
    chmod +x "$bundle/rootfs/bin/evil2"
    for name in /bin/evil /bin/evil2; do
        program "$name" --version
        attack
    done
    all=$(jq -n '["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]')
    config '.process.capabilities = {bounding: $all, permitted: $all, effective: $all} | .process.noNewPrivileges = false' --argjson all "$all"
    program hold-exe
    up
    if can_start; then
        await grep -q ready "$BATS_TEST_TMPDIR/out"
        for _ in {1..50}; do
            moss exec "$id" true </dev/null
        done
        touch "$bundle/rootfs/tmp/enough"
        await_status stopped
        # a program with ids of its own may not even look
        run tail -n 1 "$BATS_TEST_TMPDIR/out"
        [ "$output" = held ] || [ "$mode-$output" = "userns-nothing seen" ]
        moss delete "$id"
    fi
    [ "$(sha256sum <"$runtime")" = "$before" ]
}

# on_tmpfs MOUNT-OPTIONS...: the runtime on a file system of its own, mounted over again with these.
on_tmpfs() {
    mkdir "$BATS_TEST_TMPDIR/bin"
    mount -t tmpfs -o size=16m,mode=755 moss-test "$BATS_TEST_TMPDIR/bin"
    cp "$runtime" "$BATS_TEST_TMPDIR/bin/runtime"
    runtime=$BATS_TEST_TMPDIR/bin/runtime
    mount -o "$1" "$BATS_TEST_TMPDIR/bin"
}

@test "CVE-2019-5736: a read-only file system is guard enough, a read-only mount is not" {
    [ "$mode" = root ] || skip "mounts are root's"
    # shellcheck disable=SC2317 # called below
    check() { # MOUNT-OPTIONS GUARDED
        on_tmpfs "$1"
        "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 &
        local pid=$! exe
        await_status running
        exe=$(readlink "/proc/$pid/exe")
        # many tries for writing, each of which must fail without keeping anybody from executing it
        : >"$BATS_TEST_TMPDIR/trying"
        while [ -e "$BATS_TEST_TMPDIR/trying" ]; do : 2>/dev/null >>"/proc/$pid/exe" && touch "$BATS_TEST_TMPDIR/written"; done 2>/dev/null &
        for _ in {1..50}; do
            moss exec "$id" true </dev/null
        done
        rm "$BATS_TEST_TMPDIR/trying"
        moss kill "$id" KILL
        wait "$pid" || true
        wait
        [ ! -e "$BATS_TEST_TMPDIR/written" ]
        umount "$BATS_TEST_TMPDIR/bin"
        rmdir "$BATS_TEST_TMPDIR/bin"
        [[ "$2-$exe" == "no-$BATS_TEST_TMPDIR/bin/runtime" || "$2-$exe" == yes-/ ]]
    }
    script 'while [ ! -e /tmp/enough ]; do sleep 0.1; done'
    original=$runtime
    check remount,ro no
    runtime=$original
    check remount,bind,ro yes
}

@test "CVE-2016-9962: a process that joins cannot be looked into" {
    all=$(jq -n '["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"]')
    config '.process.capabilities = {bounding: $all, permitted: $all, effective: $all} | .process.noNewPrivileges = false' --argjson all "$all"
    # whatever is open in a process that is not ours, other than its streams, and can be read
    script 'while [ ! -e /tmp/enough ]; do for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || cat $p/fd/[3-9]/canary $p/fd/[1-9][0-9]/canary $p/cwd/canary; done 2>/dev/null; done'
    up
    can_start || return 0
    for _ in {1..50}; do
        moss exec "$id" true </dev/null 5<"$host" 9<"$host"
    done
    touch "$bundle/rootfs/tmp/enough"
    await_status stopped
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "CVE-2026-41163: a process that is being set up cannot be looked into by another of the same user" {
    program sleep 1000
    config '.process.user.uid = 5 | .process.capabilities = {}'
    run create_container
    can_start || return 0
    [ "$status" -eq 0 ]
    pid=$(moss state "$id" | jq .pid)
    same=$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")
    [ "$same" = $((owner + 5)) ]
    for file in mem auxv environ exe fd/0; do
        run setpriv --reuid="$same" --regid="$same" --clear-groups head -c 1 "/proc/$pid/$file"
        [ "$status" -ne 0 ]
    done
    moss start "$id"
    run setpriv --reuid="$same" --regid="$same" --clear-groups test -e "/proc/$pid/environ"
    [ "$status" -eq 0 ]
}

@test "CVE-2026-41163: the runtime refuses to run with the rights of its file's owner" {
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
    cp "$runtime" "$BATS_TEST_TMPDIR/runtime"
    for bits in 4755 2755; do
        chmod "$bits" "$BATS_TEST_TMPDIR/runtime"
        for verb in list "run --bundle $bundle $id"; do
            # shellcheck disable=SC2086
            run "${wrap[@]}" setpriv --reuid=65534 --regid=65534 --clear-groups "$BATS_TEST_TMPDIR/runtime" --root "$containers" $verb </dev/null
            echo "$output"
            [ "$status" -eq 1 ]
            [[ $output == *"set-user-ID"* ]]
        done
    done
}

@test "CVE-2017-5226, CVE-2020-5291: a program cannot type into the terminal that the container was started from" {
    cp "$MOSS_BUILD/helpers/type-ahead" "$bundle/rootfs/bin/"
    program type-ahead
    run command script -qec "$(printf '%q ' "${wrap[@]}" "$runtime" --root "$containers" run --bundle "$bundle" "$id")" /dev/null </dev/null
    can_start || refused_by_mode
    can_start || return 0
    [ "$(tr -d '\r' <<<"$output")" = refused ]
    program sleep 1000
    up
    run command script -qec "$(printf '%q ' "$runtime" --root "$containers" exec "$id" type-ahead)" /dev/null </dev/null
    [ "$(tr -d '\r' <<<"$output")" = refused ]
}

@test "CVE-2021-43784: long lists arrive as they are or are refused" {
    config '.annotations = {long: ("x" * 65536)} | .mounts += [range(300) | {destination: "/tmp/\(.)", type: "tmpfs", source: "tmpfs", options: ["size=4k"]}]'
    script 'ls /tmp | grep -c .'
    harmless 300
    config '.mounts |= map(select(.destination | startswith("/tmp/") | not))'
    program true
    config '.annotations.more = ("x" * 8388608)'
    run_container
    [ "$status" -eq 1 ]
    config 'del(.annotations)'
    [ "$mode" = userns ] || return 0
    # as many as the kernel takes, and more
    ln -s busybox "$bundle/rootfs/bin/tail"
    config '.linux.uidMappings = [{containerID: 0, hostID: $first, size: 1}, (range(1; 340) | {containerID: ., hostID: (1000 + .), size: 1})]
        | .linux.gidMappings = .linux.uidMappings' --argjson first "$first_id"
    script 'grep -c . /proc/self/uid_map /proc/self/gid_map; tail -n 1 /proc/self/uid_map | tr -s " "'
    harmless "/proc/self/uid_map:340
/proc/self/gid_map:340
 339 1339 1"
    config '.linux.uidMappings += [range(340; 400) | {containerID: ., hostID: (1000 + .), size: 1}]'
    refused "uidMappings"
    config '.linux.uidMappings = [{containerID: 0, hostID: $first, size: 1}, (range(1; 340) | {containerID: ., hostID: (3000000000 + .), size: 1})]' \
        --argjson first "$first_id"
    refused "more than the kernel takes"
}
