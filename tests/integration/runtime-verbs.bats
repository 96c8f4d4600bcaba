#!/usr/bin/env bats
# What engines ask of the command line beyond the life of a container.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
}

teardown() {
    bundle_teardown
}

# taker: somebody listens at $socket and writes what comes to $taken.
taker() {
    socket=$BATS_TEST_TMPDIR/socket taken=$BATS_TEST_TMPDIR/taken
    rm -f "$socket"
    "$MOSS_BUILD/helpers/take-fd" "$socket" >"$taken" 3>&- &
    taker=$!
    await_file "$socket"
}

@test "--pidfd-socket gets the process of create, run and exec" {
    program sleep 1000
    taker
    create_container --pidfd-socket "$socket"
    wait "$taker"
    [ "$(grep ^Pid: "$taken" | tr -dc 0-9)" = "$(moss state "$id" | jq .pid)" ]
    moss start "$id"
    taker
    moss exec --pidfd-socket "$socket" --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$id" sleep 1000 </dev/null >/dev/null 2>&1
    wait "$taker"
    [ "$(grep ^Pid: "$taken" | tr -dc 0-9)" = "$(cat "$BATS_TEST_TMPDIR/pid")" ]
    run moss exec --pidfd-socket "$BATS_TEST_TMPDIR/nobody" "$id" true
    [[ $output == *"--pidfd-socket $BATS_TEST_TMPDIR/nobody: No such file or directory"* ]]
    [ "$(moss ps --format json "$id" | jq length)" -eq 2 ]
    moss delete --force "$id"
    program true
    taker
    run_container --pidfd-socket "$socket"
    [ "$status" -eq 0 ]
    wait "$taker"
    grep -q ^Pid: "$taken"
    run_container --pidfd-socket "$BATS_TEST_TMPDIR/nobody"
    [ "$status" -eq 1 ]
}

# notified CALL...: a filter that asks whoever listens at $socket about them.
notified() {
    config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $path, listenerMetadata: "of this test",
        syscalls: [{names: $names, action: "SCMP_ACT_NOTIFY"}]}' --arg path "$BATS_TEST_TMPDIR/socket" \
        --argjson names "$(printf '"%s"\n' "$@" | jq -s .)"
}

@test "a filter that notifies is answered by who listens, in run, start and exec" {
    for nnp in true false; do
        config '.process.noNewPrivileges = $nnp' --argjson nnp "$nnp"
        notified mkdir mkdirat execve close read openat recvmsg capset
        script 'mkdir /tmp/x 2>&1; for fd in /proc/$$/fd/*; do readlink $fd; done | grep -c seccomp; exit 4'
        taker
        run_container
        echo "$output"
        [ "$status" -eq 4 ]
        [[ ${lines[0]} == *"cross-device link" ]]
        [ "${lines[1]}" = 0 ]
        wait "$taker"
        head -n 1 "$taken" | jq -e '.fds == ["seccompFd"] and .metadata == "of this test" and .pid > 0 and .pid == .state.pid
            and .state.id == $id and .state.status == "creating" and .ociVersion == .state.ociVersion' --arg id "$id"
    done
    notified mkdir
    script 'mkdir /tmp/x 2>/tmp/said; exec sleep 1000'
    taker
    create_container
    await test -s "$taken"
    [ "$(head -n 1 "$taken" | jq .pid)" = "$(moss state "$id" | jq .pid)" ]
    [ "$(status)" = created ]
    moss start "$id"
    await test -s "$bundle/rootfs/tmp/said"
    grep -q cross-device "$bundle/rootfs/tmp/said"
    first=$taker
    rm "$socket"
    "$MOSS_BUILD/helpers/take-fd" "$socket" >"$taken.exec" 3>&- &
    await_file "$socket"
    run moss exec "$id" mkdir /tmp/y
    [ "$status" -eq 1 ]
    [[ $output == *"cross-device"* ]]
    head -n 1 "$taken.exec" | jq -e '.pid != .state.pid and .state.status == "running"'
    moss delete --force "$id"
    wait "$first"
}

@test "a filter that nobody would answer is refused, and nothing runs" {
    program touch /tmp/ran
    notified write
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"SCMP_ACT_NOTIFY cannot be used for the write syscall"* ]]
    notified mkdir
    config '.linux.seccomp.defaultAction = "SCMP_ACT_NOTIFY"'
    run_container
    [[ $output == *"SCMP_ACT_NOTIFY cannot be used as default action"* ]]
    notified mkdir
    config 'del(.linux.seccomp.listenerPath)'
    run_container
    [[ $output == *"SCMP_ACT_NOTIFY needs a listenerPath"* ]]
    notified mkdir
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"linux.seccomp.listenerPath: cannot hand the listener over to $BATS_TEST_TMPDIR/socket: No such file or directory"* ]]
    run moss create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"cannot hand the listener over"* ]]
    [ -z "$(moss list --quiet)" ]
    [ ! -e "$bundle/rootfs/tmp/ran" ]
}

@test "a filter that never notifies has no listener: nobody is called at its listenerPath" {
    notified mkdir mkdirat
    config '.linux.seccomp.syscalls[].action = "SCMP_ACT_ERRNO"'
    script 'mkdir /tmp/x 2>&1; echo ran'
    expect "mkdir: can't create directory '/tmp/x': Operation not permitted
ran"
    create_container
    moss start "$id"
    await_status stopped
    [[ $(<"$BATS_TEST_TMPDIR/out") == *ran* ]]
}

@test "events: statistics once, or at intervals until the container ends" {
    script 'while [ ! -e /tmp/end ]; do sleep 0.01; done'
    create_container
    moss events --stats "$id" | jq -e '.type == "stats" and .id == $id and .data.cpu.usage.total >= 0 and (.data.pids.limit | type) == "number"
        and (.data | has("memory") and has("blkio") and has("hugetlb") and has("intel_rdt") and has("network_interfaces"))' --arg id "$id"
    moss start "$id"
    moss events --interval 20ms "$id" >"$BATS_TEST_TMPDIR/events" 3>&- &
    await sh -c "[ \$(wc -l <'$BATS_TEST_TMPDIR/events') -ge 2 ]"
    touch "$bundle/rootfs/tmp/end"
    wait $!
    [ "$(jq -r .type "$BATS_TEST_TMPDIR/events" | sort -u)" = stats ]
    await_status stopped
    run moss events --stats "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"container not running"* ]]
    run moss events --interval 0s "$id"
    [[ $output == *'--interval "0s"'* ]]
}

@test "events tell of each time that memory was wanting" {
    grep -qw memory "$(unified)/cgroup.controllers" || skip "no memory controller"
    config '.linux.resources.memory = {limit: 33554432, swap: 33554432}'
    script 'trap "" TERM; while [ ! -e /tmp/go ]; do sleep 0.05; done; dd if=/dev/zero of=/dev/shm/x bs=1M count=60; rm /dev/shm/x; while :; do sleep 0.05; done'
    create_container
    moss start "$id"
    "$runtime" --root "$containers" events --interval 10m "$id" >"$BATS_TEST_TMPDIR/events" 3>&- &
    watcher=$!
    watches() { grep -qs inotify /proc/$watcher/fdinfo/*; }
    await watches
    touch "$bundle/rootfs/tmp/go"
    await test -s "$BATS_TEST_TMPDIR/events"
    jq -e '.type == "oom" and .id == $id' "$BATS_TEST_TMPDIR/events" --arg id "$id"
    [ "$(moss events --stats "$id" | jq .data.memory.usage.limit)" = 33554432 ]
    moss delete --force "$id"
    wait "$watcher"
}

@test "every verb has its help, and wrong options are told" {
    run "$runtime" --help
    [ "$status" -eq 0 ]
    verbs=$(awk '/^verbs/ { on = 1; next } /^$/ { on = 0 } on { print $1 }' <<<"$output")
    for verb in $verbs; do
        case $verb in layer | snapshot | generation) continue ;; esac
        run "$runtime" "$verb" --help
        [ "$status" -eq 0 ]
        [[ ${lines[0]} == "usage: moss-runtime $verb"* ]]
        run "$runtime" "$verb" --no-such-option
        [ "$status" -eq "$([ "$verb" = exec ] && echo 255 || echo 1)" ]
        [ "$output" = "moss-runtime: $verb: unknown option, or one without its value: --no-such-option" ]
    done
    run "$runtime" help run
    [ "$status" -eq 0 ]
    [[ $output == *--pidfd-socket* ]]
    run "$runtime"
    [ "$status" -eq 2 ]
    run "$runtime" nosuch
    [ "$status" -eq 1 ]
    [ "$output" = 'moss-runtime: no such verb: "nosuch"; see --help' ]
}

@test "the log has one record with the whole cause, in text with its quotes escaped" {
    run moss --log "$BATS_TEST_TMPDIR/log" state "$id"
    [ "$status" -eq 1 ]
    [[ $(cat "$BATS_TEST_TMPDIR/log") =~ ^time=\"[0-9T:Z-]+\"\ level=error\ msg=\"container\ \\\"$id\\\":\ container\ does\ not\ exist\"$ ]]
    run moss --debug --log "$BATS_TEST_TMPDIR/log.json" --log-format json state "$id"
    jq -se 'length == 1 and .[0].level == "error" and .[0].msg == "container \"" + $id + "\": container does not exist" and (.[0].time | fromdate) > 0' \
        "$BATS_TEST_TMPDIR/log.json" --arg id "$id"
    run --separate-stderr moss --log /dev/stderr --log-format=json state "$id"
    [ "$(jq -r .level <<<"$stderr")" = error ]
    for wrong in --log-format=xml --rootless=perhaps --cgroup-manager=other; do
        run moss "$wrong" list
        [ "$status" -eq 1 ]
        [[ $output == *"${wrong%%=*} \"${wrong#*=}\""* ]]
    done
}

@test "ps passes options on, in a table or not" {
    script 'sleep 1000 & touch /tmp/ready; wait'
    create_container
    moss start "$id"
    await_file "$bundle/rootfs/tmp/ready"
    pid=$(moss state "$id" | jq .pid)
    moss ps "$id" | awk 'NR == 1 && $2 == "PID" { h = 1 } NR > 1 { n++ } END { exit !(h && n == 2) }'
    [ "$(moss ps "$id" -eo ppid,pid,args | tail -n +2 | tr -s " ")" = "$(ps -o ppid,pid,args -p "$pid" --ppid "$pid" | tail -n +2 | tr -s " ")" ]
    [ "$(moss ps "$id" -- -e -o pid | wc -l)" -eq 3 ]
    [ "$(moss ps --format json "$id" -- -ef | jq -c 'sort')" = "$(moss ps -f json "$id" | jq -c 'sort')" ]
    run moss ps "$id" -e -o args
    [ "$status" -eq 1 ]
    [[ $output == *"no column PID"* ]]
    run moss ps "$id" --no-such
    [ "$status" -eq 1 ]
    [[ $output == *"ps: exit status 1"* ]]
}

@test "update: every option reaches the limit that it names, sizes may have units" {
    program sleep 1000
    create_container
    has() { grep -qw "$1" "$(unified)/cgroup.controllers"; }
    while read -r option value controller file expected; do
        if has "$controller"; then
            moss update "$option" "$value" "$id"
            [ "$(cat "$(unified)/moss/$id/$file")" = "$expected" ]
        else
            run moss update "$option" "$value" "$id"
            [ "$value" != -1 ] || continue
            [ "$status" -eq 1 ]
            [[ $output == *"controller \`$controller\` is not available"* ]]
        fi
    done <<'END'
--memory 64M memory memory.max 67108864
--memory-reservation 1.5MiB memory memory.low 1572864
--memory -1 memory memory.max max
--cpu-share 1024 cpu cpu.weight 39
--cpu-quota 20000 cpu cpu.max 20000 100000
--cpu-period 50000 cpu cpu.max 20000 50000
--cpu-burst 1000 cpu cpu.max.burst 1000
--cpu-idle 1 cpu cpu.idle 1
--cpuset-cpus 0 cpuset cpuset.cpus 0
--cpuset-mems 0 cpuset cpuset.mems 0
--pids-limit 100 pids pids.max 100
--blkio-weight 10 io io.weight default 1
END
    for wrong in "--memory 1.5.5M" "--memory 5x" "--memory -2" "--memory 64Mbb" "--pids-limit five" "--cpu-rt-period 1000" "--cpu-rt-runtime 900"; do
        run moss update ${wrong% *} "${wrong#* }" "$id"
        [ "$status" -eq 1 ]
    done
    [[ $output == *"cpu.realtimeRuntime: cgroup v2 has no such limit"* ]]
    mountpoint -q /sys/fs/resctrl || for option in --l3-cache-schema --mem-bw-schema; do
        run moss update "$option" L3:0=f "$id"
        [ "$status" -eq 1 ]
        [[ $output == *"linux.intelRdt: no resctrl file system is mounted"* ]]
    done
    moss update --resources - "$id" <<<'{}'
    run moss update --resources - "$id" <<<'{"pids": {"limit": "many"}}'
    [[ $output == *"pids.limit: is a string"* ]]
}

@test "--cgroup-manager=disabled leaves the container in the caller's cgroup and refuses limits" {
    script 'touch /tmp/ready; exec sleep 1000'
    moss --cgroup-manager=disabled create --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1
    moss start "$id"
    pid=$(moss state "$id" | jq .pid)
    [ "$(grep ^0:: "/proc/$pid/cgroup")" = "$(grep ^0:: /proc/self/cgroup)" ]
    [ -z "$(find "$(unified)" -name "$id")" ]
    run moss events --stats "$id"
    [[ $output == *"has no cgroup"* ]]
    moss exec "$id" true
    moss delete --force "$id"
    config '.linux.resources.pids = {limit: 10}'
    run moss --cgroup-manager disabled run --bundle "$bundle" "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"linux.resources.pids.limit: this container has no cgroup"* ]]
}

# A criu that writes its command line down, and for a container something else.
fake_criu() {
    cat >"$BATS_TEST_TMPDIR/criu" <<END
#!/bin/sh
printf '%s\n' "\$@" >"$BATS_TEST_TMPDIR/arguments"
while [ \$# -gt 0 ]; do
    case \$1 in
    restore) restore=1 ;;
    --work-dir) work=\$2 ;;
    --log-file) log=\$2 ;;
    --pidfile) pid=\$2 ;;
    esac
    shift
done
grep " $bundle/rootfs " /proc/self/mountinfo >"$BATS_TEST_TMPDIR/root"
if [ -e "$BATS_TEST_TMPDIR/fail" ]; then
    printf '(00.1) Error (criu/util.c:1): helper\n(00.2) Error (b.c:2): no way\n(00.3) Error (c.c:3): FAILED.\n' >"\$work/\$log"
    exit 1
fi
[ -z "\${restore:-}" ] || { setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- & echo \$! >"\$work/\$pid"; }
END
    chmod +x "$BATS_TEST_TMPDIR/criu"
}

# argument WORD [VALUE]: criu was told so.
argument() {
    if [ $# -eq 1 ]; then
        grep -qxF -- "$1" "$BATS_TEST_TMPDIR/arguments"
    else
        grep -xF -A1 -- "$1" "$BATS_TEST_TMPDIR/arguments" | grep -qxF -- "$2"
    fi
}

@test "checkpoint and restore tell criu what the container needs, with every option" {
    fake_criu
    moss() { "$runtime" --root "$containers" --criu "$BATS_TEST_TMPDIR/criu" "$@"; }
    images=$BATS_TEST_TMPDIR/images
    config '.mounts += [{destination: "/tmp/v/", type: "bind", source: $host, options: ["bind", "ro"]}]' --arg host "$host"
    program sleep 1000
    create_container
    run moss checkpoint --image-path "$images" "$id"
    [[ $output == *"container not running: it is created"* ]]
    moss start "$id"
    pid=$(moss state "$id" | jq .pid)
    mkdir -p "$images"
    moss checkpoint --image-path "$images" --work-path "$BATS_TEST_TMPDIR/work" --pre-dump "$id"
    argument pre-dump
    argument --track-mem
    run argument --leave-running
    [ "$status" -ne 0 ]
    (cd "$BATS_TEST_TMPDIR" && moss checkpoint --leave-running --tcp-established --ext-unix-sk --shell-job --file-locks --lazy-pages --auto-dedup \
        --status-fd 5 --page-server '[::1]:27' --parent-path ../before --manage-cgroups-mode full --empty-ns network "$id" 5>/dev/null)
    for word in dump --leave-running --tcp-established --ext-unix-sk --shell-job --file-locks --lazy-pages --auto-dedup --page-server \
        --manage-cgroups=full; do
        argument "$word"
    done
    argument --tree "$pid"
    argument --images-dir "$BATS_TEST_TMPDIR/checkpoint"
    argument --work-dir "$BATS_TEST_TMPDIR/checkpoint"
    argument --root "$bundle/rootfs"
    argument --status-fd 5
    argument --address ::1
    argument --port 27
    argument --prev-images-dir ../before
    argument --empty-ns net
    argument --freeze-cgroup "$(unified)/moss/$id"
    argument --external "mnt[/tmp/v]:/tmp/v"
    argument --external "mnt[/proc/keys]:/proc/keys"
    [ "$(status)" = running ]
    moss checkpoint --image-path "$images" "$id"
    run moss state "$id"
    [[ $output == *"container does not exist"* ]]
    [ "$(jq length "$images/descriptors.json")" -eq 3 ]
    stdin=$(jq -r '.[0]' "$images/descriptors.json")
    [[ $stdin == file\[*:*\] ]]

    moss restore --image-path "$images" --bundle "$bundle" --detach --pid-file "$BATS_TEST_TMPDIR/pid" --tcp-established --lsm-profile apparmor:x \
        --lsm-mount-context y --no-subreaper --no-pivot "$id" </dev/null >/dev/null 2>&1
    argument restore
    argument --restore-detached
    argument --restore-sibling
    argument --external "mnt[/tmp/v]:$host"
    argument --external "mnt[/proc/keys]:/dev/null"
    argument --inherit-fd "fd[0]:$stdin"
    argument --cgroup-root ":/moss/$id"
    argument --lsm-profile apparmor:x
    argument --lsm-mount-context y
    [ -s "$BATS_TEST_TMPDIR/root" ]
    [ "$(status)" = running ]
    [ "$(moss state "$id" | jq .pid)" = "$(cat "$BATS_TEST_TMPDIR/pid")" ]
    moss delete --force "$id"
}

@test "what criu cannot do is told in its own words, and leaves the container as it was" {
    fake_criu
    touch "$BATS_TEST_TMPDIR/fail"
    program sleep 1000
    create_container
    moss start "$id"
    run moss --criu "$BATS_TEST_TMPDIR/criu" checkpoint --image-path "$BATS_TEST_TMPDIR/images" "$id"
    [ "$status" -eq 1 ]
    [ "$output" = "moss-runtime: criu: dump: exit status 1: Error (b.c:2): no way ($BATS_TEST_TMPDIR/images/dump.log)" ]
    [ "$(status)" = running ]
    run moss --criu /no/such checkpoint --image-path "$BATS_TEST_TMPDIR/images" "$id"
    [[ $output == *"criu: cannot execute /no/such: is it installed?"* ]]
    for wrong in "--parent-path /x" "--manage-cgroups-mode odd" "--page-server x" "--empty-ns pid" "--status-fd 77"; do
        run moss checkpoint $wrong --image-path "$BATS_TEST_TMPDIR/images" "$id"
        [ "$status" -eq 1 ]
        [[ $output == *"${wrong% *}"* ]]
    done
    moss delete --force "$id"
    NOTIFY_SOCKET=/gone/nobody create_container
    moss start "$id"
    run moss --criu "$BATS_TEST_TMPDIR/criu" checkpoint --image-path "$BATS_TEST_TMPDIR/images" "$id"
    [ "$output" = "moss-runtime: criu: NOTIFY_SOCKET: the container's notification socket cannot be given back" ]
    moss delete --force "$id"
    run moss --criu "$BATS_TEST_TMPDIR/criu" restore --bundle "$bundle" --image-path "$BATS_TEST_TMPDIR/images" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"criu: restore: exit status 1: Error (b.c:2): no way"* ]]
    run moss state "$id"
    [[ $output == *"container does not exist"* ]]
    config '.process.terminal = true'
    run moss restore --bundle "$bundle" --image-path "$BATS_TEST_TMPDIR/images" "$id" </dev/null
    [[ $output == *"criu: process.terminal"* ]]
}

@test "a container comes back from its images as it was, in place of one that was left running, too" {
    criu check >"$BATS_TEST_TMPDIR/check" 2>&1 || skip "criu does not work on this host: $(tail -n 1 "$BATS_TEST_TMPDIR/check")"
    # criu locks a network of the container's own with iptables, which not every host has
    config '.linux.namespaces |= map(select(.type != "network")) | .mounts += [{destination: "/tmp/v/", type: "bind", source: $host, options: ["bind", "rprivate", "ro"]}]' \
        --arg host "$host"
    script 'i=0; while [ ! -e /tmp/end ]; do i=$((i + 1)); [ $i -ne 9 ] || touch /tmp/nine; sleep 0.05; done; [ $i -ge 9 ] && cat /tmp/v/canary; exit 5'
    create_container
    moss start "$id"
    await_file "$bundle/rootfs/tmp/nine"
    parent=()
    if criu check --feature mem_dirty_track >/dev/null 2>&1; then
        moss checkpoint --image-path "$BATS_TEST_TMPDIR/before" --pre-dump "$id"
        parent=(--parent-path ../before)
    fi
    moss checkpoint --image-path "$BATS_TEST_TMPDIR/running" "${parent[@]}" --leave-running "$id"
    [ "$(status)" = running ]
    moss checkpoint --image-path "$BATS_TEST_TMPDIR/images" "$id"
    for images in images running; do
        rm -f "$bundle/rootfs/tmp/end"
        moss restore --bundle "$bundle" --image-path "$BATS_TEST_TMPDIR/$images" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 3>&- &
        await_status running
        pid=$(moss state "$id" | jq .pid)
        [ "$(grep ^0:: "/proc/$pid/cgroup")" = "0::/moss/$id" ]
        moss exec "$id" touch /tmp/end
        wait $! || code=$?
        [ "$code" -eq 5 ]
        [ "$(cat "$BATS_TEST_TMPDIR/out")" = secret ]
    done
}

@test "exec: every option reaches the program" {
    config '.process.capabilities = {bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"]} | .process.noNewPrivileges = false'
    program sleep 1000
    create_container
    moss start "$id"
    mkdir "$bundle/rootfs/usr"
    ln -s ../usr/passwd "$bundle/rootfs/etc/passwd"
    printf 'root:x:0:0::/root:\nfive:x:5:5::/home/five:/bin/sh\n' >"$bundle/rootfs/usr/passwd"
    within() { moss exec "$@" </dev/null; }
    [ "$(within -u 5:6 -g 7 -g 8 "$id" id)" = "uid=5(five) gid=6 groups=7,8" ] || [ "$(within -u 5:6 -g 7 -g 8 "$id" sh -c 'id -u; id -g; id -G')" = "5
6
6 7 8" ]
    [ "$(within -u 5 "$id" sh -c 'echo $HOME')" = /home/five ]
    [ "$(within -u 9 "$id" sh -c 'echo $HOME')" = / ]
    [ "$(within -e HOME=/x -e A=1 --env B=2 "$id" sh -c 'echo $HOME$A$B')" = /x12 ]
    [ "$(within -e PATH=/bin:/new -e A=1 -e A=2 "$id" env | sort)" = "A=2
HOME=/root
PATH=/bin:/new
TERM=xterm" ]
    [[ $(within --cap CAP_NONE "$id" true 2>&1) == *"left out, as they are unknown or cannot be given here: CAP_NONE" ]]
    [ "$(within --cap CAP_CHOWN -c CAP_FOWNER "$id" grep -E '^Cap(Inh|Prm|Eff|Bnd)' /proc/self/status | tr -d '\n')" = \
        "CapInh:	0000000000000000CapPrm:	0000000000000029CapEff:	0000000000000029CapBnd:	0000000000000029" ]
    [ "$(within "$id" grep NoNewPrivs /proc/self/status)" = "NoNewPrivs:	0" ]
    [ "$(within --no-new-privs "$id" grep NoNewPrivs /proc/self/status)" = "NoNewPrivs:	1" ]
    [ "$(within --cwd /etc "$id" pwd)" = /etc ]
    [ "$(moss exec --preserve-fds 1 "$id" cat /proc/self/fd/3 3<<<three </dev/null)" = three ]
    mkdir "$(unified)/moss/$id/sub"
    [ "$(within --cgroup sub "$id" grep ^0:: /proc/self/cgroup)" = 0::/sub ]
    [ "$(within --cgroup /sub "$id" grep ^0:: /proc/self/cgroup)" = 0::/sub ]
    for wrong in "--cgroup ../.." "--cgroup none" "--user root" "--user -1" "--user 4294967296" "--user 1:" \
        "--apparmor nosuch" "--process-label a:b:c:d" "--console-socket /none" "--process /none"; do
        [[ $wrong != --apparmor* || ! -e /sys/kernel/security/apparmor ]] || continue
        [[ $wrong != --process-label* || ! -e /sys/fs/selinux/enforce ]] || continue
        run moss exec $wrong "$id" true </dev/null
        [ "$status" -eq 255 ] || { echo "$wrong: $status $output"; false; }
    done
    moss pause "$id"
    moss exec --ignore-paused --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$id" sleep 1000 </dev/null >/dev/null 2>&1 &
    moss resume "$id"
    wait $!
    [ "$(moss ps -f json "$id" | jq "index($(cat "$BATS_TEST_TMPDIR/pid")) != null")" = true ]
}

@test "sockets of systemd are passed on, and told of in the environment" {
    script 'cat <&3; echo $LISTEN_FDS $LISTEN_PID; cat <&4'
    run env LISTEN_FDS=1 LISTEN_PID=1 "$runtime" --root "$containers" run --bundle "$bundle" --preserve-fds 1 "$id" </dev/null 3<<<three 4<<<four
    [ "$output" = "three
1 1
four" ]
    script 'test ! -e /proc/self/fd/3; echo "$? [$LISTEN_FDS]"'
    run env LISTEN_FDS=1 LISTEN_PID=2 "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null 3<<<three
    [ "$output" = "0 []" ]
    script 'cat <&3; echo $LISTEN_FDS $LISTEN_PID'
    run env -u LISTEN_PID LISTEN_FDS=1 "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null 3<<<three
    [ "$output" = "three
1 1" ]
}

@test "options may follow the id, but for exec and ps, where they are of another program" {
    program sleep 1000
    moss create "$id" --bundle "$bundle" --pid-file "$BATS_TEST_TMPDIR/pid" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(moss state "$id" | jq .pid)" ]
    moss start "$id"
    [ "$(moss exec "$id" echo --cwd -d)" = "--cwd -d" ]
    run moss ps "$id" -o pid,comm
    [ "$status" -eq 0 ]
    moss events "$id" --stats | jq -e '.type == "stats"'
    moss kill "$id" KILL --all
    await_status stopped
    moss delete "$id" --force
    program true
    moss run "$id" --bundle "$bundle"
}

@test "--config names another configuration, --regex the containers that match" {
    mv "$bundle/config.json" "$BATS_TEST_TMPDIR/other.json"
    bundle_of() { jq --arg id "$1" '.linux.cgroupsPath = "/moss/" + $id | .process.args = ["sleep", "1000"]' other.json >"$1.json"; }
    cd "$BATS_TEST_TMPDIR"
    for name in "$id-a" "$id-b" "$id-c"; do
        bundle_of "$name"
        moss create --bundle "$bundle" --config "$name.json" "$name" </dev/null >out 2>&1
    done
    moss create --bundle "$bundle" --config <(jq ".linux.cgroupsPath += \"d\"" "$id-c.json") "$id-d" </dev/null >out 2>&1 # a pipe
    [ "$(moss list --quiet | tr '\n' ' ')" = "$id-a $id-b $id-c $id-d " ]
    moss delete --force "$id-d"
    moss kill --regex "^$id-[ab]\$" KILL
    for name in "$id-a" "$id-b"; do
        until [ "$(moss state "$name" | jq -r .status)" = stopped ]; do sleep 0.02; done
    done
    [ "$(moss state "$id-c" | jq -r .status)" = created ]
    moss delete -r "^$id-[ab]"
    [ "$(moss list --quiet)" = "$id-c" ]
    moss delete --force --regex "$id"
    [ -z "$(moss list --quiet)" ]
}

# manager: a service manager listens at $manager and writes what it is told to $told; the container has a program to say things with.
manager() {
    manager=$BATS_TEST_TMPDIR/manager told=$BATS_TEST_TMPDIR/told
    cp "$MOSS_BUILD/helpers/notify" "$bundle/rootfs/bin/"
    timeout 300 "$MOSS_BUILD/helpers/notify" --listen "$manager" >"$told" 3>&- &
    manager_pid=$!
    await_file "$manager"
}

# managed VERB...: of a runtime whose service manager that is.
managed() {
    NOTIFY_SOCKET=$manager timeout 60 "$runtime" --root "$containers" "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
}

# heard LINES: that is all that the manager was told.
heard() {
    [ "$(tr -d '\0' <"$told" | grep -v '^\[')" = "$1" ] || { cat "$told"; false; }
}

@test "start waits until the container is ready and tells the service manager, and only that" {
    manager
    script '(echo "$NOTIFY_SOCKET [$LISTEN_FDS]"; touch "${NOTIFY_SOCKET%/*}/x") >/tmp/said 2>&1; notify "MAINPID=1" "WATCHDOG=1" "FDSTORE=1
STATUS=a	b
X=1" "XREADY=1" "READY=1x"; until [ -e /tmp/go ]; do sleep 0.01; done; notify "READY=1
STATUS=done" ""; exec sleep 1000'
    managed create --bundle "$bundle" "$id"
    managed start "$id" 3>&- &
    start=$!
    await grep -q STATUS= "$told"
    NOTIFY_SOCKET=$containers/$id/notify/notify.sock "$MOSS_BUILD/helpers/notify" READY=1 - >"$BATS_TEST_TMPDIR/outsider" 3>&- & # not the container's
    outsider=$!
    await test -s "$BATS_TEST_TMPDIR/outsider"
    kill -0 "$start"
    moss pause "$id" # nobody holds the lock
    moss resume "$id"
    heard "STATUS=a?b"
    touch "$bundle/rootfs/tmp/go"
    wait "$start"
    heard "STATUS=a?b
STATUS=done
MAINPID=$(moss state "$id" | jq .pid)
READY=1
BARRIER=1"
    [ "$(status)" = running ]
    [ "$(cat "$bundle/rootfs/tmp/said")" = "$manager/notify.sock []
touch: $manager/x: Read-only file system" ]
    kill "$outsider" "$manager_pid"
}

@test "a container that ends without being ready ends the waiting, one that says so and ends was ready" {
    manager
    script 'notify STATUS=x; exit 3'
    managed create --bundle "$bundle" "$id"
    managed start "$id"
    heard "STATUS=x"
    moss delete "$id"
    script 'notify READY=1; exit 3'
    managed run --detach --bundle "$bundle" "$id"
    grep -q READY=1 "$told"
    await moss delete "$id"
    : >"$told"
    run managed run --bundle "$bundle" "$id"
    [ "$status" -eq 3 ]
    heard "READY=1
BARRIER=1" # of the process that the manager has started
    kill "$manager_pid"
}

@test "a container with a user namespace can say that it is ready" {
    manager
    config '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}]
        | .linux.gidMappings = .linux.uidMappings | .process.user = {uid: 7, gid: 7}'
    chmod 755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")" "$bundle"
    chown -R 100000:100000 "$bundle/rootfs"
    script 'notify READY=1 && exec sleep 1000'
    managed run --detach --bundle "$bundle" "$id"
    heard "MAINPID=$(moss state "$id" | jq .pid)
READY=1
BARRIER=1"
    kill "$manager_pid"
}

@test "the notification socket of a container is not put among what is bound from the host" {
    manager
    config '.mounts += [{destination: $dir, source: $dir, options: ["bind"]}]' --arg dir "$BATS_TEST_TMPDIR"
    script 'echo "$NOTIFY_SOCKET"; notify READY=1'
    run managed run --bundle "$bundle" "$id"
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = /run/notify/notify.sock ]
    heard "READY=1
BARRIER=1"
    kill "$manager_pid"
}

@test "a container whose engine listens keeps its own notification socket, and a manager that is not there is no error" {
    manager
    config '.process.env += ["NOTIFY_SOCKET=/mine"]'
    script 'echo "$NOTIFY_SOCKET"; ls "$1" 2>&1'
    config '.process.args += ["-", $manager]' --arg manager "$manager"
    run managed run --bundle "$bundle" "$id"
    [ "$(head -n 1 "$BATS_TEST_TMPDIR/out")" = /mine ]
    grep -q "No such file" "$BATS_TEST_TMPDIR/out"
    heard ""
    kill "$manager_pid"
    config '.process.env -= ["NOTIFY_SOCKET=/mine"]'
    script 'notify READY=1 && echo said'
    manager=/gone/nobody
    run managed run --bundle "$bundle" "$id"
    [ "$status" -eq 0 ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = said ]
    managed run --detach --bundle "$bundle" "$id"
    await moss delete "$id"
    manager=nowhere
    run managed run --bundle "$bundle" "$id"
    [ "$status" -eq 1 ]
    grep -q "NOTIFY_SOCKET=nowhere: is no socket that can be reached" "$BATS_TEST_TMPDIR/out"
}
