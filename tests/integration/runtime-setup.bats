#!/usr/bin/env bats
# What config.json asks for is what the container's program finds.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
}

teardown() {
    bundle_teardown
}

@test "all eight namespaces are new" {
    config '.linux.namespaces += [{type: "user"}, {type: "time"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}]
        | .linux.gidMappings = .linux.uidMappings | del(.linux.resources)'
    script 'for ns in user mnt pid net ipc uts cgroup time; do readlink /proc/self/ns/$ns; done'
    run_container
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 8 ]
    for ns in user mnt pid net ipc uts cgroup time; do
        [[ $output != *"$(readlink "/proc/self/ns/$ns")"* ]]
    done
}

@test "namespaces are joined by path" {
    program sleep 1000
    create_container
    pid=$(moss state "$id" | jq .pid)
    config '.linux.namespaces |= map(if .type == "mount" or .type == "cgroup" then . else
        .path = "/proc/\($pid)/ns/" + ({network: "net"}[.type] // .type) end) | del(.hostname)' --argjson pid "$pid"
    script 'for ns in pid net ipc uts; do readlink /proc/self/ns/$ns; done'
    run moss run --bundle "$bundle" "$id.2" </dev/null
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "$(readlink "/proc/$pid/ns/pid" "/proc/$pid/ns/net" "/proc/$pid/ns/ipc" "/proc/$pid/ns/uts")" ]
}

@test "user, groups and umask" {
    config '.process.user = {uid: 7, gid: 8, umask: 63, additionalGids: [9, 10]}'
    script 'id -u; id -g; id -G; umask; grep ^NoNewPrivs /proc/self/status'
    expect "7
8
8 9 10
0077
NoNewPrivs:	1"
}

@test "an annotation keeps the groups of the caller" {
    config '.process.user = {uid: 7, gid: 8}'
    script 'id -G'
    run setpriv --groups 20,21 "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null
    [ "$output" = 8 ]
    config '.annotations = {"run.oci.keep_original_groups": "1"}'
    run setpriv --groups 20,21 "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null
    [ "$output" = "8 20 21" ]
}

@test "the five capability sets are exactly those given" {
    config '.process.capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN"], permitted: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL"],
        inheritable: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"]} | .process.user.uid = 5'
    script 'grep ^Cap /proc/self/status'
    # the kernel raises ambient capabilities to effective at execve
    expect "CapInh:	0000000000000001
CapPrm:	0000000000000001
CapEff:	0000000000000001
CapBnd:	0000000000000021
CapAmb:	0000000000000001"
    config 'del(.process.capabilities)'
    expect "CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	0000000000000000
CapAmb:	0000000000000000"
}

@test "an ambient capability that is not inheritable is warned about and left out" {
    config '.process.capabilities = {bounding: ["CAP_KILL", "CAP_CHOWN"], permitted: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL"],
        inheritable: ["CAP_CHOWN"], ambient: ["CAP_CHOWN", "CAP_KILL"]} | .process.user.uid = 5'
    script 'grep CapAmb /proc/self/status'
    run_container
    [ "$status" -eq 0 ]
    [ "$output" = "moss-runtime: warning: process.capabilities: left out, as they are unknown or cannot be given here: CAP_KILL
CapAmb:	0000000000000001" ]
}

@test "a hook inside of the container is behind its filter, and has its capabilities" {
    printf '#!/bin/sh\ncat >/dev/null\ngrep -E "^(Seccomp|CapEff):" /proc/self/status >/tmp/hook\n' >"$bundle/rootfs/hook"
    chmod +x "$bundle/rootfs/hook"
    config '.process.noNewPrivileges = false | .process.capabilities = {bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"]} |
        .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]} |
        .hooks.startContainer = [{path: "/hook"}]'
    script 'cat /tmp/hook'
    expect "CapEff:	0000000000000020
Seccomp:	2"
}

@test "a hard limit can be raised for a container with a user namespace of its own" {
    prlimit --nofile=512:512 prlimit --nofile=512:1024 true 2>/dev/null || skip "needs CAP_SYS_RESOURCE"
    config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] |
        .linux.gidMappings = .linux.uidMappings | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 700, hard: 1000}]'
    chown -R 100000:100000 "$bundle/rootfs"
    chmod 755 "$BATS_TEST_TMPDIR" "$bundle"
    script 'ulimit -Sn; ulimit -Hn; exec sleep 1000'
    prlimit --nofile=512:512 "$runtime" --root "$containers" create --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    moss start "$id"
    await grep -qx 1000 "$BATS_TEST_TMPDIR/out"
    [ "$(prlimit --nofile=512:512 "$runtime" --root "$containers" exec "$id" sh -c 'ulimit -Hn' </dev/null)" = 1000 ]
}

@test "resource limits" {
    config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
    script 'ulimit -n; ulimit -Hn; ulimit -c'
    expect "100
200
0"
    config '.process.rlimits = [{type: "RLIMIT_NOSUCH", soft: 1, hard: 1}]'
    refused 'no such limit: "RLIMIT_NOSUCH"'
}

@test "seccomp: errno, arguments, with and without no_new_privs" {
    for nnp in true false; do
        config '.process.noNewPrivileges = $nnp | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
            {names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38},
            {names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 10, op: "SCMP_CMP_EQ"}]}]}' --argjson nnp "$nnp"
        script 'mkdir /tmp/x 2>&1; kill -10 $$ 2>&1; kill -0 $$ && grep ^Seccomp: /proc/self/status; grep ^CapEff /proc/self/status'
        expect "mkdir: can't create directory '/tmp/x': Function not implemented
sh: can't kill pid 1: Operation not permitted
Seccomp:	2
CapEff:	0000000020000420"
    done
}

@test "masked paths show nothing, read-only paths take no writes" {
    mkdir "$bundle/rootfs/masked"
    echo secret >"$bundle/rootfs/masked/file"
    echo secret >"$bundle/rootfs/etc/masked"
    config '.linux.maskedPaths += ["/masked", "/etc/masked", "/nowhere"] | .linux.readonlyPaths += ["/etc"]'
    script 'ls /masked; cat /etc/masked; touch /masked/x 2>&1; touch /etc/x 2>&1; echo 1 2>&1 >/proc/sys/kernel/core_uses_pid
        stat -c "%t:%T" /etc/masked /proc/keys | uniq'
    run_container
    echo "$output"
    [ "${lines[0]}" = "touch: /masked/x: Read-only file system" ]
    [ "${lines[1]}" = "touch: /etc/x: Read-only file system" ]
    [[ ${lines[2]} == *"Read-only file system"* ]]
    [ "${lines[3]}" = 1:3 ]
    [ "${#lines[@]}" -eq 4 ]
}

@test "mounts: bind, recursive read-only, tmpfs with its options, order" {
    mkdir "$BATS_TEST_TMPDIR/volume"
    echo content >"$BATS_TEST_TMPDIR/volume/file"
    config '.mounts += [{destination: "/v/rw", type: "bind", source: $v, options: ["rbind"]},
        {destination: "/v/ro", source: $v, options: ["rbind", "rro", "nosuid"]},
        {destination: "/etc/one", type: "bind", source: ($v + "/file"), options: ["bind", "ro"]},
        {destination: "/t", type: "tmpfs", source: "tmpfs", options: ["size=64k", "mode=700", "noexec", "ro"]},
        {destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]' --arg v "$BATS_TEST_TMPDIR/volume"
    echo passwd >"$bundle/rootfs/etc/passwd"
    script 'cat /v/rw/file; touch /v/rw/new; touch /v/ro/x 2>&1; touch /t/x 2>&1; stat -c %a /t; cat /etc/passwd; touch /etc/x; ls /etc'
    expect "content
touch: /v/ro/x: Read-only file system
touch: /t/x: Read-only file system
700
passwd
one
passwd
x"
    [ -e "$BATS_TEST_TMPDIR/volume/new" ]
    [ ! -e "$bundle/rootfs/etc/x" ]
    config '.mounts += [{destination: "/t2", type: "tmpfs", source: "tmpfs", options: ["size=nonsense"]}]'
    refused "cannot mount tmpfs on /t2"
    config '.mounts = [{destination: "/x", type: "bind", source: "/no/such"}]'
    refused "mount /x: source /no/such: No such file or directory"
}

@test "the root file system is read-only when asked for" {
    config '.root.readonly = true'
    script 'touch /x 2>&1; touch /dev/shm/x && echo fine'
    expect "touch: /x: Read-only file system
fine"
}

@test "devices: the default ones, links, and those that are asked for" {
    config '.linux.devices = [{path: "/dev/fuse2", type: "c", major: 10, minor: 229, fileMode: 432, uid: 3, gid: 4}, {path: "/dev/pipe", type: "p"}]'
    script 'stat -c "%n %t:%T %a" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; stat -c "%t:%T %a %u %g" /dev/fuse2; test -p /dev/pipe && echo pipe; readlink /dev/fd; readlink /dev/ptmx'
    expect "/dev/null 1:3 666
/dev/zero 1:5 666
/dev/full 1:7 666
/dev/random 1:8 666
/dev/urandom 1:9 666
/dev/tty 5:0 666
a:e5 660 3 4
pipe
/proc/self/fd
pts/ptmx"
}

@test "devices in a user namespace have the owner and mode asked for, the host's own cannot be changed" {
    local before
    before=$(stat -c '%a %u %g' /dev/null)
    config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] |
        .linux.gidMappings = .linux.uidMappings | .process.capabilities = {bounding: ["CAP_FOWNER"], effective: ["CAP_FOWNER"], permitted: ["CAP_FOWNER"]} |
        .linux.devices = [{path: "/dev/mine", type: "c", major: 1, minor: 5, uid: 10, gid: 11, fileMode: 111}, {path: "/dev/pipe", type: "p", fileMode: 416},
            {path: "/subdir/zero/", type: "c", major: 1, minor: 5}] | .linux.resources.devices = [{allow: true, access: "rwm"}]'
    script 'stat -c "%a %u:%g %t:%T" /dev/mine /subdir/zero; test -p /dev/pipe; head -c 3 /subdir/zero | wc -c; echo x >/dev/null; chmod 600 /dev/null 2>&1'
    run_container
    [ "$output" = "157 10:11 1:5
666 0:0 1:5
3
chmod: /dev/null: Read-only file system" ]
    [ "$(stat -c '%a %u %g' /dev/null)" = "$before" ]
    [ -z "$(ls "$bundle/rootfs/0" 2>/dev/null)" ]
    config '.linux.devices[0].uid = 70000'
    run_container
    [ "$status" -eq 1 ]
    [ "$output" = "moss-runtime: device /dev/mine: its owner 70000:11 has no place in the user namespace" ]
}

@test "a device may be named with a slash behind it" {
    config '.linux.devices = [{path: "/zero/", type: "c", major: 1, minor: 5}]'
    script 'test -c /zero && echo there'
    expect there
}

@test "device rules are enforced" {
    config '.process.capabilities = {bounding: ["CAP_MKNOD"], permitted: ["CAP_MKNOD"], effective: ["CAP_MKNOD"]}'
    script 'mknod /tmp/fuse c 10 229; (: </tmp/fuse) 2>/dev/null || echo no; cat /dev/null; head -c 1 /dev/zero | tr "\0" z'
    expect "no
z"
    rm "$bundle/rootfs/tmp/fuse"
    config '.linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 229, access: "rm"}]'
    script 'mknod /tmp/fuse c 10 229; (: </tmp/fuse) && echo read; (: >/tmp/fuse) 2>/dev/null || echo no write'
    expect "read
no write"
    rm "$bundle/rootfs/tmp/fuse"
}

@test "of device rules the last that matches decides, whatever it names" {
    config '.process.capabilities = {bounding: ["CAP_MKNOD"], permitted: ["CAP_MKNOD"], effective: ["CAP_MKNOD"]}'
    # whatever else an open may say of a device that the host does not have
    script 'for n in "c 1 3" "c 10 200" "c 10 229" "c 7 229" "b 7 0"; do mknod /tmp/d $n && { (: </tmp/d) 2>&1 | grep -q "not permitted" || echo "$n"; }; rm -f /tmp/d; done'
    config '.linux.resources.devices = [{allow: false}]'
    expect "c 1 3"
    config '.linux.resources.devices = [{allow: false}, {allow: true, type: "c", minor: 229}, {allow: true, major: 7}]'
    expect "c 1 3
c 10 229
c 7 229
b 7 0"
    config '.linux.resources.devices = [{allow: false}, {allow: true, type: "a"}, {allow: false, type: "c", major: 10, minor: 229, access: "w"}]'
    expect "c 1 3
c 10 200
c 10 229
c 7 229
b 7 0"
    config '.linux.resources.devices = [{allow: true}, {allow: false, type: "c", major: 10, access: "r"}, {allow: false, type: "b", major: 7, minor: 0}]'
    expect "c 1 3
c 7 229"
}

@test "names, sysctls, loopback, keyring, personality" {
    config '.hostname = "a-name" | .domainname = "a-domain" | .linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.domainname": "other"}'
    script 'hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward; grep -c lo: /proc/net/dev; cat /proc/net/if_inet6 | grep -c lo'
    expect "a-name
other
1
1
1"
    [ "$(cat /proc/sys/kernel/hostname)" != a-name ]
    config '.linux.namespaces |= map(select(.type != "network"))'
    refused "net.ipv4.ip_forward needs a network namespace"
}

@test "the out-of-memory score and time offsets" {
    config '.process.oomScoreAdj = 500 | .linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 86400000}}'
    script 'cat /proc/self/oom_score_adj; test $(cut -d. -f1 /proc/uptime) -gt 86400000 && echo later'
    ln -s busybox "$bundle/rootfs/bin/cut"
    expect "500
later"
}

@test "a limit that the host cannot give names controller and limit, one that it can give is set" {
    config '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 20}, unified: {}}'
    program true
    if grep -qw memory "$(unified)/cgroup.controllers"; then
        program sleep 1000
        create_container
        [ "$(cat "$(unified)/moss/$id/memory.max")" = 67108864 ]
        [ "$(cat "$(unified)/moss/$id/pids.max")" = 20 ]
        moss update --pids-limit 30 "$id"
        [ "$(cat "$(unified)/moss/$id/pids.max")" = 30 ]
    else
        refused 'linux.resources.memory.limit: the requested cgroup controller `memory` is not available'
    fi
    config '.linux.resources = {memory: {limit: -1}, pids: {limit: -1}}'
    program true
    expect ""
}

@test "the container is born in the cgroup that config.json names" {
    config '.linux.cgroupsPath = $p' --arg p "/$id-parent/child"
    script 'exec sleep 1000'
    create_container
    moss start "$id"
    [ "$(cat "$(unified)/$id-parent/child/cgroup.procs")" = "$(moss state "$id" | jq .pid)" ]
    moss delete --force "$id"
    rmdir "$(unified)/$id-parent"
    config '.linux.cgroupsPath = "/a/../../b"'
    refused '".." is no name of a cgroup'
}

@test "a user namespace with a range of ids sees its own root" {
    config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}]
        | .linux.gidMappings = .linux.uidMappings'
    chmod 755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")" "$bundle"
    chown -R 100000:100000 "$bundle/rootfs"
    script 'id -u; stat -c %u /bin/busybox; touch /tmp/mine; cat /proc/self/uid_map | tr -s " "; stat -c "%t:%T" /dev/null'
    expect "0
0
 0 100000 1000
1:3"
    [ "$(stat -c %u "$bundle/rootfs/tmp/mine")" = 100000 ]
}

@test "a missing working directory is made, one that is a file is an error" {
    config '.process.cwd = "/made/here"'
    program pwd
    expect /made/here
    config '.process.cwd = "/bin/busybox"'
    refused "process.cwd"
}

@test "in the host's cgroup namespace the hierarchy is the host's, and keeps its options" {
    before=$(grep ' - cgroup2 ' /proc/self/mountinfo)
    config '.linux.namespaces |= map(select(.type != "cgroup"))'
    script 'ls -d /sys/fs/cgroup/cgroup.subtree_control /sys/fs/cgroup/cgroup.type 2>/dev/null; mkdir /sys/fs/cgroup/mine 2>/dev/null || echo read-only'
    expect "/sys/fs/cgroup/cgroup.subtree_control
read-only"
    [ "$(grep ' - cgroup2 ' /proc/self/mountinfo)" = "$before" ]
}
