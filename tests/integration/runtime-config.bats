#!/usr/bin/env bats
# Members of config.json that engines use rarely, and what of the host's they take: owners of mounts, network devices, memory, CPUs, namespaces of others.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
    for applet in chmod cp ifconfig ionice ip nproc rm sed stty taskset; do
        ln -sf busybox "$bundle/rootfs/bin/$applet"
    done
    veth='' holder=''
}

teardown() {
    [ -z "$holder" ] || kill "$holder" 2>/dev/null || true
    [ -z "$veth" ] || ip link delete "$veth" 2>/dev/null || true
    bundle_teardown
}

# volume: a directory of the host with a file that belongs to 5:6, in $volume.
make_volume() {
    volume=$BATS_TEST_TMPDIR/volume
    mkdir -p "$volume/sub"
    echo content >"$volume/file"
    chown 5:6 "$volume/file"
}

user_namespace='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
    | .linux.gidMappings = .linux.uidMappings'

# reachable: the container's root in a user namespace can get to the bundle.
reachable() {
    local dir=$bundle
    while [ "$dir" != / ]; do
        chmod o+x "$dir"
        dir=$(dirname "$dir")
    done
}

# make_link: a network device of the host with a MAC, an MTU and addresses, in $veth.
make_link() {
    veth=mt$$
    ip link add "$veth" type veth peer name "${veth}p"
    ip link set "$veth" address 02:11:22:33:44:55 mtu 1400
    ip address add 10.99.1.2/24 brd + dev "$veth"
    ip address add 10.99.1.3/24 dev "$veth"
    ip address add fd00:99::2/64 dev "$veth"
    ip link set "$veth" up
}

@test "owners of a bind mount and of a tmpfs are mapped by the mount's own maps" {
    make_volume
    config '.mounts += [{destination: "/v", source: $v, options: ["rbind", "idmap"], uidMappings: [{containerID: 5, hostID: 50, size: 1}],
            gidMappings: [{containerID: 6, hostID: 60, size: 1}]},
        {destination: "/t", type: "tmpfs", source: "t", options: ["idmap"], uidMappings: [{containerID: 0, hostID: 70, size: 1}],
            gidMappings: [{containerID: 0, hostID: 80, size: 1}]}]' --arg v "$volume"
    script 'stat -c %u:%g /v/file /t'
    expect "50:60
70:80"
    [ "$(stat -c %u:%g "$volume/file")" = 5:6 ]
}

@test "in a user namespace owners are mapped by its own maps or by those of the mount" {
    make_volume
    reachable
    chown -R 100000:100000 "$bundle/rootfs"
    config "$user_namespace"' | .mounts += [{destination: "/v", source: $v, options: ["rbind", "ridmap"]},
        {destination: "/w", source: $v, options: ["bind"], uidMappings: [{containerID: 5, hostID: 100009, size: 1}],
            gidMappings: [{containerID: 6, hostID: 100010, size: 1}]},
        {destination: "/t", type: "tmpfs", source: "t", options: ["idmap"], uidMappings: [{containerID: 0, hostID: 100070, size: 1}],
            gidMappings: [{containerID: 0, hostID: 100080, size: 1}]}]' --arg v "$volume"
    script 'stat -c %u:%g /v/file /v /w/file /t; touch /v/new'
    expect "5:6
0:0
9:10
70:80"
    [ "$(stat -c %u:%g "$volume/new")" = 0:0 ]
}

@test "mapped owners without a map, or of a file system that cannot, are refused" {
    make_volume
    config '.mounts += [{destination: "/v", source: $v, options: ["rbind", "ridmap"]}]' --arg v "$volume"
    program true
    refused 'option "ridmap" needs uidMappings and gidMappings'
    config '.mounts[-1] = {destination: "/v", type: "sysfs", source: "x", options: ["idmap"], uidMappings: [{containerID: 0, hostID: 1, size: 1}],
        gidMappings: [{containerID: 0, hostID: 1, size: 1}]}'
    refused 'mount /v: the owners cannot be mapped'
}

@test "mount options are those that the mount has" {
    config '.mounts += [{destination: "/m1", type: "tmpfs", source: "t", options: ["sync", "lazytime", "iversion", "dirsync", "acl",
            "nosymfollow", "strictatime", "nodiratime", "mand", "silent", "x-foo"]},
        {destination: "/m2", type: "tmpfs", source: "t", options: ["noatime", "rnosuid", "rnoexec", "loud", "nolazytime"]},
        {destination: "/m3", type: "tmpfs", source: "t", options: ["shared"]},
        {destination: "/m4", type: "tmpfs", source: "t", options: ["unbindable"]},
        {destination: "m5", type: "tmpfs", source: "t", options: ["defaults"]}]'
    script 'grep " /m" /proc/self/mountinfo | while read -r _ _ _ _ where how rest; do echo $where $how $(echo $rest | sed "s/shared:[0-9]*/shared/"); done'
    expect "/m1 rw,nodiratime,nosymfollow - tmpfs t rw,sync,dirsync,lazytime
/m2 rw,nosuid,noexec,noatime - tmpfs t rw
/m3 rw,relatime shared - tmpfs t rw
/m4 rw,relatime unbindable - tmpfs t rw
/m5 rw,relatime - tmpfs t rw"
}

@test "remount changes what is mounted there, and read-only comes last" {
    config '.mounts += [{destination: "/m", type: "tmpfs", source: "t", options: ["noatime", "nosuid"]},
        {destination: "/m", type: "tmpfs", options: ["remount", "ro", "nodev", "suid", "size=1m"]}, {destination: "/m/d", type: "tmpfs", source: "t"},
        {destination: "/", options: ["remount", "nodev"]}]'
    script 'while read -r _ _ _ _ where how _ _ _ super; do case $where in /|/m|/m/d) echo $where $how $super ;; esac; done </proc/self/mountinfo; touch /m/x 2>&1'
    run_container
    echo "$output"
    [[ ${lines[0]} == "/ rw,"*nodev* ]]
    [ "${lines[1]}" = "/m ro,nodev,noatime rw,size=1024k" ]
    [[ ${lines[2]} == "/m/d rw,relatime"* ]]
    [ "${lines[3]}" = "touch: /m/x: Read-only file system" ]
    config '.mounts += [{destination: "/tmp", options: ["remount", "ro"]}]'
    refused "mount /tmp: remount: nothing is mounted there"
}

@test "a tmpfs has the mode that is given, else that of what it covers" {
    mkdir -m 750 "$bundle/rootfs/tmp/old" "$bundle/rootfs/tmp/up"
    config '.mounts += [["/tmp/old", []], ["/tmp/old/new", []], ["/a", ["mode=711"]], ["/etc", ["tmpcopyup"]], ["/tmp/up", ["tmpcopyup", "mode=1777"]], ["/tmp/fresh", ["tmpcopyup"]]]
        | .mounts |= map(if type == "array" then {destination: .[0], type: "tmpfs", source: "t", options: .[1]} else . end)'
    script 'stat -c %a /tmp/old /tmp/old/new /a /etc /tmp/up /tmp/fresh'
    chmod 705 "$bundle/rootfs/etc"
    expect "750
1777
711
705
1777
1777"
}

@test "an overlay's layers may have long names" {
    [ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.7 ] || skip "this kernel takes layers in one string only"
    layers=$BATS_TEST_TMPDIR/$(printf '%0120d' 0)
    mkdir -p "$layers-"{a,b:c}
    touch "$layers-"{a,b:c}/file "$layers-b:c/lower"
    config '.mounts += [{destination: "/m", type: "overlay", source: "o", options: ["lowerdir=\($l)-a:\($l)-b\\:c"]}]' --arg l "$layers"
    script 'ls /m'
    expect "file
lower"
}

@test "a device that a mount has put into its place keeps its owner" {
    mknod "$BATS_TEST_TMPDIR/null" c 1 3
    chown 5:6 "$BATS_TEST_TMPDIR/null"
    config '.mounts += [{destination: "/dev/null", source: $n, options: ["bind"]}]' --arg n "$BATS_TEST_TMPDIR/null"
    script 'stat -c %u:%g /dev/null'
    expect 5:6
    [ "$(stat -c %u:%g "$BATS_TEST_TMPDIR/null")" = 5:6 ]
}

@test "recursive attributes reach what is mounted below, the others do not" {
    make_volume
    mount -t tmpfs below "$volume/sub"
    config '.mounts += [{destination: "/a", source: $v, options: ["rbind", "rro", "rnosuid"]}, {destination: "/b", source: $v, options: ["rbind", "ro"]}]' \
        --arg v "$volume"
    script 'for d in /a /b; do touch $d/x 2>&1; touch $d/sub/x 2>&1; done; grep -c "/a/sub ro,nosuid" /proc/self/mountinfo'
    run_container
    umount "$volume/sub"
    [ "$output" = "touch: /a/x: Read-only file system
touch: /a/sub/x: Read-only file system
touch: /b/x: Read-only file system
1" ]
}

@test "every propagation of the root" {
    script 'while read -r _ _ _ _ where _ tag _; do [ $where != / ] || echo ${tag%%:*}; done </proc/self/mountinfo'
    for mode in shared rshared unbindable runbindable private rprivate; do
        config '.linux.rootfsPropagation = $mode' --arg mode "$mode"
        case $mode in
        *shared) expect shared ;;
        *unbindable) expect unbindable ;;
        *) expect - ;;
        esac
    done
}

@test "what the host mounts later reaches a container whose root is a slave of it" {
    mount --bind "$bundle/rootfs" "$bundle/rootfs"
    mount --make-shared "$bundle/rootfs"
    mkdir "$bundle/rootfs/late"
    config '.linux.rootfsPropagation = "rslave"'
    script 'touch /tmp/ready; until [ -e /late/here ]; do sleep 0.01; done; echo seen'
    "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" &
    await_file "$bundle/rootfs/tmp/ready"
    mount -t tmpfs late "$bundle/rootfs/late"
    touch "$bundle/rootfs/late/here"
    code=0
    wait $! || code=$?
    umount "$bundle/rootfs/late" "$bundle/rootfs"
    [ "$code" -eq 0 ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = seen ]
}

@test "without pivot_root the container has its root and nothing of the host's" {
    script 'ls /..; ls /proc/1/root; grep -c . /proc/self/mountinfo; cd /tmp && pwd'
    run_container
    [ "$status" -eq 0 ]
    pivoted=$output
    run_container --no-pivot
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "$pivoted" ]
    program sleep 1000
    create_container --no-pivot
    moss start "$id"
    [ "$(moss exec "$id" ls /)" = "$(ls "$bundle/rootfs")" ]
}

@test "without pivot_root in a user namespace, too" {
    reachable
    chown -R 100000:100000 "$bundle/rootfs"
    config "$user_namespace"
    script 'ls -A /..; id -u'
    run_container --no-pivot
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "$(ls -A "$bundle/rootfs")
0" ]
}

@test "a network device becomes the container's with another name, its addresses, MAC and MTU, and up" {
    make_link
    config '.linux.netDevices = {($dev): {name: "eth%d"}}' --arg dev "$veth"
    script 'ip address show dev eth0'
    run_container
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"UP"*"mtu 1400"* ]]
    [[ $output == *"02:11:22:33:44:55"* ]]
    [[ $output == *"inet 10.99.1.2/24 brd 10.99.1.255"* ]]
    [[ $output == *"inet 10.99.1.3/24"* ]]
    [[ $output == *"inet6 fd00:99::2/64"* ]]
}

@test "a network device goes to a namespace that is joined or belongs to a user namespace" {
    make_link
    reachable
    chown -R 100000:100000 "$bundle/rootfs"
    ip netns add "$veth"
    config '.linux.netDevices = {($dev): {}} | .linux.namespaces |= map(if .type == "network" then .path = "/run/netns/" + $dev else . end)' --arg dev "$veth"
    program true
    run_container
    inside=$(ip -netns "$veth" -o address show dev "$veth")
    ip -netns "$veth" link set "$veth" netns 1
    ip netns delete "$veth"
    [ "$status" -eq 0 ]
    [[ $inside == *"10.99.1.2/24"* ]]
    ip address add 10.99.1.2/24 dev "$veth"
    config "$user_namespace"' | .linux.namespaces |= map(del(.path))'
    program ip address show dev "$veth"
    run_container
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"10.99.1.2/24"* ]]
}

@test "network devices that cannot all be moved stay the host's as they were" {
    make_link
    before=$(ip -o address show dev "$veth" | sed 's/^[0-9]*//; s/ tentative//')
    config '.linux.netDevices = {($dev): {name: "net0"}, "no-such-dev": {}}' --arg dev "$veth"
    program true
    refused "linux.netDevices: no-such-dev: No such device"
    [ "$(ip -o address show dev "$veth" | sed 's/^[0-9]*//; s/ tentative//')" = "$before" ]
    [[ $(ip -o link show dev "$veth") == *"<"*UP* ]]
    config '.linux.netDevices = {($dev): {name: "lo"}}' --arg dev "$veth"
    refused "cannot be called lo in the container: File exists"
    config '.linux.netDevices = {lo: {name: "other"}}'
    refused "a loopback stays where it is"
    config '.linux.netDevices = {($dev): {}} | .linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)' --arg dev "$veth"
    refused "network namespace of the host"
    [ "$(ip -o address show dev "$veth" | sed 's/^[0-9]*//; s/ tentative//')" = "$before" ]
}

@test "the memory policy is that of the program and of what is executed later" {
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}'
    script 'grep -m 1 -o "bind=static:0" /proc/self/numa_maps'
    run_container
    [ "$status" -eq 0 ] || [[ $output == *"has no memory policies"* ]] || { echo "$output"; false; }
    [[ $output != *"no memory policies"* ]] || skip "a kernel without NUMA"
    [ "$output" = "bind=static:0" ]
    program sleep 1000
    create_container
    moss start "$id"
    [ "$(moss exec "$id" grep -m 1 -o bind=static:0 /proc/self/numa_maps)" = "bind=static:0" ]
    moss delete --force "$id"
    config '.linux.memoryPolicy.nodes = "1000"'
    refused 'the kernel refuses MPOL_BIND with nodes "1000"'
}

@test "CPUs of exec: first the runtime's, then the program's" {
    program sleep 1000
    create_container
    moss start "$id"
    [ "$(nproc)" -gt 1 ] || skip "one CPU"
    all=$(moss exec "$id" grep Cpus_allowed_list /proc/self/status)
    process() {
        jq -n --argjson affinity "$1" '{args: ["grep", "Cpus_allowed_list", "/proc/self/status"], cwd: "/", execCPUAffinity: $affinity}' >"$BATS_TEST_TMPDIR/process.json"
        run moss exec --process "$BATS_TEST_TMPDIR/process.json" "$id"
    }
    process '{"initial": "0", "final": "1"}'
    [ "$output" = "Cpus_allowed_list:	1" ]
    process '{"initial": "1"}'
    [ "$output" = "$all" ]
    process '{"initial": "8000"}'
    [ "$status" -ne 0 ]
    [[ $output == *'execCPUAffinity.initial: CPUs "8000"'* ]]
    process '{"final": "x"}'
    [[ $output == *'is no list of CPUs'* ]]
}

@test "exec takes numbers beyond 63 bits, as engines write unlimited" {
    program sleep 1000
    create_container
    moss start "$id"
    printf '%s' '{"args":["sh","-c","ulimit -c"],"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]}' >"$BATS_TEST_TMPDIR/process.json"
    run moss exec --process "$BATS_TEST_TMPDIR/process.json" "$id"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = 0 ]
}

@test "every namespace is joined by path, and only one of its own kind" {
    program sleep 1000
    config '.linux.namespaces += [{type: "time"}]'
    create_container
    pid=$(moss state "$id" | jq .pid)
    for kind in pid network ipc uts cgroup time; do
        file=${kind/network/net}
        config '.linux.namespaces = [{type: "mount"}, {type: $kind, path: "/proc/\($pid)/ns/\($file)"}] | del(.hostname, .linux.resources)
            | .mounts |= map(select(.type == "proc" or .type == "tmpfs"))' --arg kind "$kind" --arg file "$file" --argjson pid "$pid"
        script "readlink /proc/self/ns/$file"
        run moss run --bundle "$bundle" "$id.2" </dev/null
        echo "$kind: $output"
        [ "$output" = "$(readlink "/proc/$pid/ns/$file")" ]
    done
    config '.linux.namespaces = [{type: "mount"}, {type: "ipc", path: "/proc/\($pid)/ns/uts"}]' --argjson pid "$pid"
    run moss run --bundle "$bundle" "$id.2" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *ipc* ]]
    config '.linux.namespaces = [{type: "mount"}, {type: "time", path: "/proc/\($pid)/ns/time"}] | .linux.timeOffsets = {boottime: {secs: 1}}' --argjson pid "$pid"
    run moss run --bundle "$bundle" "$id.2" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"linux.timeOffsets: need a new time namespace"* ]]
}

@test "a mount namespace is joined by path" {
    unshare --mount --propagation private sh -c 'mount -t tmpfs marker "$1" && touch "$1/marker" && echo $$ >"$2" && exec sleep 1000' - \
        "$bundle/rootfs/etc" "$BATS_TEST_TMPDIR/holder" >/dev/null 2>&1 3>&- &
    await test -s "$BATS_TEST_TMPDIR/holder"
    holder=$(cat "$BATS_TEST_TMPDIR/holder")
    config '.linux.namespaces = [{type: "mount", path: "/proc/\($pid)/ns/mnt"}] | .mounts = [] | .linux.maskedPaths = [] | .linux.readonlyPaths = []
        | del(.hostname, .linux.resources)' --argjson pid "$holder"
    program ls /etc
    run_container
    echo "$output"
    kill "$holder"
    [ "$status" -eq 0 ]
    [ "$output" = marker ]
}

@test "what is mounted in a mount namespace that was joined is not in the host's" {
    unshare --mount --propagation private sh -c 'echo $$ >"$1" && exec sleep 1000' - "$BATS_TEST_TMPDIR/holder" >/dev/null 2>&1 3>&- &
    await test -s "$BATS_TEST_TMPDIR/holder"
    holder=$(cat "$BATS_TEST_TMPDIR/holder")
    config '.linux.namespaces = [{type: "mount", path: "/proc/\($pid)/ns/mnt"}] | del(.hostname, .linux.resources) | .root.readonly = true
        | .mounts += [{destination: "/tmp", type: "tmpfs", source: "t"}]' --argjson pid "$holder"
    script 'readlink /proc/self/ns/mnt; grep -c " /tmp " /proc/self/mountinfo; mkdir /x 2>&1; sleep 1000'
    moss run --detach --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    run moss exec "$id" mkdir /tmp/seen
    [ "$status" -eq 0 ]
    [ ! -e "$bundle/rootfs/tmp/seen" ]
    expected="$(readlink "/proc/$holder/ns/mnt")
1
mkdir: can't create directory '/x': Read-only file system"
    has_written() { [ "$(cat "$BATS_TEST_TMPDIR/out")" = "$expected" ]; }
    await has_written
    moss delete --force "$id"
    kill "$holder"
}

# in_copy SCRIPT: with the functions of this file, in a copy of the host's mount namespace.
in_copy() {
    run unshare --mount --propagation private bash -euc "$(declare -f moss in_root)
        runtime=$runtime containers=$containers bundle=$bundle id=$id
        $1" </dev/null
    echo "$output"
    [ "$status" -eq 0 ]
}

in_root() {
    grep -c " $bundle/rootfs" /proc/self/mountinfo || true
}

@test "a container without a mount namespace of its own has its mounts in the runtime's, and takes them along" {
    config '.linux.namespaces = [] | del(.hostname, .linux.resources) | .mounts += [{destination: "/tmp", type: "tmpfs", source: "t"}]'
    script 'test -e /bin/busybox; grep -c " /tmp " /proc/self/mountinfo'
    in_copy 'moss run --bundle "$bundle" "$id"; in_root'
    [ "$output" = "1
0" ]
    program sleep 1000
    in_copy 'moss create --bundle "$bundle" "$id" >/dev/null 2>&1
        [ "$(in_root)" -gt 5 ]; moss start "$id"; moss exec "$id" ls /; moss delete --force "$id"; in_root'
    [[ $output == *busybox*0 || $output == *bin*0 ]]
    program /none
    in_copy '! moss run --bundle "$bundle" "$id"; in_root'
    [[ $output == *"no such file or directory"*0 ]]
}

@test "what lies on a container's root and is not its own stays there" {
    config '.linux.namespaces = [] | del(.hostname, .linux.resources)'
    program true
    in_copy 'mount --bind "$bundle/rootfs" "$bundle/rootfs"; moss run --bundle "$bundle" "$id"; in_root
        moss create --bundle "$bundle" "$id" >/dev/null 2>&1; umount --lazy "$bundle/rootfs"; moss delete --force "$id"; in_root'
    [ "$output" = "1
1" ]
}

@test "mountinfo has the mounts in the order of config.json" {
    config '.mounts += [{destination: "/tmp/1", type: "tmpfs", source: "t"}, {destination: "/tmp/2", source: "/etc", options: ["rbind"]},
        {destination: "/tmp/3", type: "tmpfs", source: "t"}, {destination: "/tmp/4", source: "/etc/passwd", options: ["bind", "ro"]}]'
    script 'while read -r _ _ _ _ at _; do case $at in / | /proc | /dev | /tmp/?) echo $at ;; esac; done </proc/self/mountinfo'
    expect "/
/proc
/dev
/tmp/1
/tmp/2
/tmp/3
/tmp/4"
}

@test "a user namespace is joined by path, with maps that say nothing new" {
    reachable
    chown -R 100000:100000 "$bundle/rootfs"
    cp "$bundle/config.json" "$BATS_TEST_TMPDIR/plain.json"
    program sleep 1000
    config "$user_namespace"
    create_container
    pid=$(moss state "$id" | jq .pid)
    make_volume
    cat "$BATS_TEST_TMPDIR/plain.json" >"$bundle/config.json"
    config '.linux.namespaces |= (map(if .type == "mount" or .type == "pid" then . else .path = "/proc/\($pid)/ns/" + ({network: "net"}[.type] // .type) end)
        + [{type: "user", path: "/proc/\($pid)/ns/user"}]) | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]
        | .linux.gidMappings = .linux.uidMappings | del(.hostname) | .mounts += [{destination: "/v", source: $v, options: ["bind", "idmap"]}]' \
        --argjson pid "$pid" --arg v "$volume"
    script 'readlink /proc/self/ns/user; id -u; stat -c %u:%g /v/file'
    run moss run --bundle "$bundle" "$id.2" </dev/null
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "$(readlink "/proc/$pid/ns/user")
0
5:6" ]
}

@test "scheduler and I/O priority are the program's" {
    script 'set -- $(cat /proc/self/stat); echo ${41} ${40} ${19}; ionice -p 1'
    config '.process.scheduler = {policy: "SCHED_BATCH", nice: 5} | .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
    expect "3 0 5
best-effort: prio 6"
    config '.process.scheduler = {policy: "SCHED_IDLE"} | .process.ioPriority = {class: "IOPRIO_CLASS_IDLE"}'
    expect "5 0 0
idle"
    config '.process.scheduler = {policy: "SCHED_RR", priority: 3}'
    run_container
    [ "$status" -eq 0 ] || [[ $output == *"process.scheduler: Operation not permitted"* ]]
    [ "$status" -ne 0 ] || [ "${lines[0]}" = "2 3 0" ]
    config '.process.scheduler = {policy: "SCHED_ISO"}'
    refused "process.scheduler: Invalid argument"
}

@test "every resource limit has its name" {
    script 'grep -E "Max (cpu|file size|data|stack|core|resident|processes|open files|locked|address|file locks|pending|msgqueue|nice|realtime)" /proc/self/limits | while read -r line; do echo $line; done'
    config '.process.rlimits = [["CPU", 1000], ["FSIZE", 1001], ["DATA", 100000000], ["STACK", 8000000], ["CORE", 1004], ["RSS", 1005], ["NPROC", 1006],
        ["NOFILE", 1007], ["MEMLOCK", 1008], ["AS", 1000000000], ["LOCKS", 1010], ["SIGPENDING", 1011], ["MSGQUEUE", 1012], ["NICE", 0], ["RTPRIO", 0],
        ["RTTIME", 1015]] | .process.rlimits |= map({type: "RLIMIT_\(.[0])", soft: .[1], hard: .[1]})'
    run_container
    echo "$output"
    [ "$status" -eq 0 ]
    for line in "Max cpu time 1000 1000 seconds" "Max file size 1001 1001 bytes" "Max core file size 1004 1004 bytes" "Max processes 1006 1006 processes" \
        "Max open files 1007 1007 files" "Max file locks 1010 1010 locks" "Max pending signals 1011 1011 signals" "Max msgqueue size 1012 1012 bytes" \
        "Max realtime timeout 1015 1015 us" "Max nice priority 0 0"; do
        [[ $output == *"$line"* ]]
    done
}

@test "a 32-bit personality" {
    config '.linux.personality = {domain: "LINUX32"}'
    ln -s busybox "$bundle/rootfs/bin/uname"
    program uname -m
    run_container
    [[ $output == i?86 || $output == arm* ]]
}

@test "huge pages are limited, reserved ones too" {
    grep -qw hugetlb "$(unified)/cgroup.controllers" || skip "no hugetlb controller"
    config '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]'
    program sleep 1000
    create_container
    group=$(unified)/moss/$id
    [ "$(cat "$group/hugetlb.2MB.max")" = 4194304 ]
    [ ! -e "$group/hugetlb.2MB.rsvd.max" ] || [ "$(cat "$group/hugetlb.2MB.rsvd.max")" = 4194304 ]
    moss delete --force "$id"
    config '.linux.resources = {unified: {"hugetlb.2MB.max": "2097152", "cgroup.max.depth": "3"}}'
    create_container
    [ "$(cat "$group/hugetlb.2MB.max")" = 2097152 ]
    [ "$(cat "$group/cgroup.max.depth")" = 3 ]
}

@test "device rules with wildcards, of which the last that matches decides" {
    config '.process.capabilities = {bounding: ["CAP_MKNOD"], permitted: ["CAP_MKNOD"], effective: ["CAP_MKNOD"]}'
    script 'mknod /tmp/a c 10 229; mknod /tmp/b c 7 0; mknod /tmp/c b 7 0; for f in a b c; do (: </tmp/$f) 2>&1 | grep -q permitted && echo no || echo yes; done; rm /tmp/[abc]'
    config '.linux.resources.devices = [{allow: false, access: "rwm"}]'
    expect "no
no
no"
    config '.linux.resources.devices += [{allow: true, type: "c", major: 10, access: "r"}]'
    expect "yes
no
no"
    config '.linux.resources.devices += [{allow: true, type: "a"}, {allow: false, type: "c", minor: 229, access: "rw"}]'
    expect "no
yes
yes"
    config '.linux.resources.devices = [{allow: true, major: 7, minor: 0}]'
    expect "no
yes
yes"
}

@test "a cgroup that the container finds writable is its user's" {
    reachable
    chown -R 100000:100000 "$bundle/rootfs"
    program sleep 1000
    config "$user_namespace"' | .linux.resources = {} | .mounts |= map(if .destination == "/sys/fs/cgroup" then .options -= ["ro"] else . end)'
    create_container
    moss start "$id"
    group=$(unified)/moss/$id
    [ "$(stat -c %u "$group" "$group/cgroup.procs" "$group/cgroup.subtree_control" | sort -u)" = 100000 ]
    [ "$(stat -c %u "$group/cgroup.max.depth" "$group/cgroup.freeze" | sort -u)" = 0 ]
    moss exec "$id" mkdir /sys/fs/cgroup/below
    rmdir "$group/below"
    moss delete --force "$id"
    config '.mounts |= map(if .destination == "/sys/fs/cgroup" then .options += ["ro"] else . end)'
    create_container
    [ "$(stat -c %u "$group")" = 0 ]
}

@test "what the host does not have is refused by its name" {
    program true
    if [ ! -e /sys/fs/resctrl/schemata ]; then
        config '.linux.intelRdt = {closID: "x"}'
        refused "linux.intelRdt: no resctrl file system is mounted"
        config 'del(.linux.intelRdt)'
    fi
    if [ ! -e /sys/fs/selinux/enforce ]; then
        config '.linux.mountLabel = "system_u:object_r:container_file_t:s0"'
        refused "linux.mountLabel"
        config 'del(.linux.mountLabel)'
    fi
    config '.linux.resources.network = {classID: 1}'
    refused "linux.resources.network"
}

@test "annotations are in the state, members of other platforms change nothing" {
    config '.annotations = {"com.example.a": "b"} | .windows = {layerFolders: []} | .process.commandLine = "x" | .zos = {} | .vm = {} | .unknown = 1'
    program sleep 1000
    create_container
    [ "$(moss state "$id" | jq -r '.annotations["com.example.a"]')" = b ]
}

@test "a filter with every flag, with a default errno and another for a rule" {
    config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38}]}'
    script 'mkdir /tmp/x 2>&1; grep ^Seccomp: /proc/self/status'
    expect "mkdir: can't create directory '/tmp/x': Function not implemented
Seccomp:	2"
    config '.linux.seccomp |= {defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1}'
    refused "defaultErrnoRet has no meaning with SCMP_ACT_ALLOW"
}

@test "a filter's members of a later specification change nothing, known ones are checked still" {
    config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", x: {y: [1]}, syscalls: [
        {names: ["kill"], action: "SCMP_ACT_ERRNO", comment: "x", args: [{index: 1, value: 10, op: "SCMP_CMP_EQ", x: null}]}]}'
    script 'kill -10 $$ 2>&1; grep ^Seccomp: /proc/self/status'
    expect "sh: can't kill pid 1: Operation not permitted
Seccomp:	2"
    config '.linux.seccomp.defaultAction = 1'
    refused "seccomp: defaultAction"
}

@test "features names what config.json may have" {
    moss features >"$BATS_TEST_TMPDIR/features"
    [ "$(jq -c '[.ociVersionMin, .ociVersionMax, (.hooks | length), .linux.namespaces == ["user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time"],
        .linux.mountExtensions.idmap.enabled, .linux.intelRdt.monitoring, .linux.intelRdt.schemata, .linux.netDevices.enabled,
        (.linux.memoryPolicy.modes | length), (.linux.memoryPolicy.flags | length), (.linux.seccomp.knownFlags | length)]' "$BATS_TEST_TMPDIR/features")" = \
        '["1.0.0","1.3.0",6,true,true,true,true,true,7,3,4]' ]
    jq -e '.linux.seccomp | (.supportedFlags - .knownFlags == []) and (.actions | index("SCMP_ACT_NOTIFY")) and (.archs | index("SCMP_ARCH_X86_64"))' "$BATS_TEST_TMPDIR/features"
    jq -e '(.mountOptions | index("ridmap")) and (.mountOptions | index("rnosymfollow")) and (.mountOptions | index("remount")) and (.mountOptions | unique | length) == (.mountOptions | length)' "$BATS_TEST_TMPDIR/features"
    # each option that is named can be asked for
    for option in $(jq -r '.mountOptions - ["bind", "rbind", "idmap", "ridmap", "remount"] | .[]' "$BATS_TEST_TMPDIR/features"); do
        config '.mounts = [{destination: "/proc", type: "proc", source: "proc"}, {destination: "/m", type: "tmpfs", source: "t", options: [$o]}]' --arg o "$option"
        program true
        expect ""
    done
}

@test "a mount inside a read-only bind gets its target, and the bind is read-only" {
    mkdir "$BATS_TEST_TMPDIR/outer" "$BATS_TEST_TMPDIR/inner"
    config '.mounts += [{destination: "/outer", source: $o, options: ["bind", "ro"]}, {destination: "/outer/inner", source: $i, options: ["bind"]}]' \
        --arg o "$BATS_TEST_TMPDIR/outer" --arg i "$BATS_TEST_TMPDIR/inner"
    script 'touch /outer/inner/file && { touch /outer/file 2>/dev/null || echo refused; }'
    run_container
    [ "$output" = refused ]
    [ -e "$BATS_TEST_TMPDIR/inner/file" ]
}

@test "a user namespace need not reach a bundle in which nothing is looked up" {
    cp -a "$bundle/rootfs" "$BATS_TEST_TMPDIR/apart"
    reachable
    mkdir -m 700 "$BATS_TEST_TMPDIR/closed"
    mv "$bundle" "$BATS_TEST_TMPDIR/closed/"
    bundle=$BATS_TEST_TMPDIR/closed/bundle
    config "$user_namespace | .root.path = \$root" --arg root "$BATS_TEST_TMPDIR/apart"
    script 'echo up'
    run_container
    [ "$output" = up ]
    config '.root.path = "rootfs"'
    run_container
    [ "$status" -ne 0 ]
    [[ "$output" == *"the root of the container's user namespace must be able to reach it"* ]]
}
