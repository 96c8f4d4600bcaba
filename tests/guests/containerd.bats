#!/usr/bin/env bats
# containerd, through ctr and its shim for runc.
# runtimes: moss-runtime runc

load engine.bash
load containerd.bash

setup_file() {
    containerd_setup
}

setup() {
    image=docker.io/library/busybox:guest
    binary=$(command -v "$ENGINE_RUNTIME")
}

teardown() {
    local task
    for task in $(ctr container ls -q | grep "^$(name)"); do
        ctr task kill -s KILL --all "$task" >/dev/null 2>&1
        ctr task delete -f "$task" >/dev/null 2>&1
        ctr container delete "$task"
    done
}

# ctr_run NAME OPTION... -- WORD...: in the foreground, gone when it has ended.
ctr_run() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    ctr run --runc-binary "$binary" "${options[@]}" "$image" "$name" "$@" 3>&-
}

task_is() {
    [ "$(ctr task ls | awk -v name="$1" '$1 == name { print $3 }')" = "$2" ]
}

@test "run: output and exit status" {
    run -42 ctr_run "$(name)" --rm -- sh -c 'echo hello; exit 42'
    [ "$output" = hello ]
}

@test "run: a program that is missing is named" {
    run ! ctr_run "$(name)" --rm -- no-such-program
    [[ "$output" == *no-such-program*"executable file not found in"* ]]
}

@test "run: environment, directory, host name, mounts, a read-only root, capabilities" {
    mkdir "$BATS_TEST_TMPDIR/volume"
    echo canary >"$BATS_TEST_TMPDIR/volume/file"
    run -0 ctr_run "$(name)" --rm --read-only --env KEY=value --cwd /tmp --cap-drop CAP_CHOWN \
        --mount "type=bind,src=$BATS_TEST_TMPDIR/volume,dst=/tmp,options=rbind:ro" -- \
        sh -c 'echo $KEY; pwd; cat file; touch /a 2>/dev/null || echo refused; grep CapEff /proc/self/status'
    [ "$output" = $'value\n/tmp\ncanary\nrefused\nCapEff:\t00000000a80425fa' ]
}

@test "run: --tty" {
    run -0 script -qec "ctr run --rm -t --runc-binary $binary $image $(name) sh -c 'tty; sleep 1'" /dev/null
    [[ "$output" == *"/dev/pts/0"* ]]
}

@test "run: the filter of system calls and the profile of AppArmor" {
    run -0 ctr_run "$(name)" --rm --seccomp --apparmor-default-profile guest -- sh -c 'grep Seccomp: /proc/self/status; cat /proc/self/attr/current'
    [ "$output" = $'Seccomp:\t2\nguest (enforce)' ]
}

@test "run: limits are in the container's cgroup" {
    ctr_run "$(name)" -d --memory-limit 67108864 --cpus 0.5 -- sleep 1000
    cgroup=/sys/fs/cgroup/default/$(name)
    [ "$(cat "$cgroup/memory.max")" = 67108864 ]
    [ "$(cat "$cgroup/cpu.max")" = '50000 100000' ]
}

@test "run: a scope of systemd" {
    ctr_run "$(name)" -d --runc-systemd-cgroup --cgroup "system.slice:ctr:$(name)" --memory-limit 67108864 -- sleep 1000
    [ "$(systemctl show -P ActiveState "ctr-$(name).scope")" = active ]
    [ "$(systemctl show -P MemoryMax "ctr-$(name).scope")" = 67108864 ]
    [ "$(cat "/sys/fs/cgroup/system.slice/ctr-$(name).scope/memory.max")" = 67108864 ]
}

@test "run: out of memory is 137" {
    run -137 ctr_run "$(name)" --rm --memory-limit 16777216 -- sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M'
}

@test "run: detached, with the file of the process id" {
    ctr_run "$(name)" -d --pid-file "$BATS_TEST_TMPDIR/pid" -- sleep 1000
    task_is "$(name)" RUNNING
    [ "$(cat "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/comm")" = sleep ]
}

@test "exec: output, exit status, --tty" {
    ctr_run "$(name)" -d -- sleep 1000
    run -3 ctr task exec --exec-id one --cwd /tmp "$(name)" sh -c 'pwd; exit 3' 3>&-
    [ "$output" = /tmp ]
    # ctr does not wait for the output of a terminal, with either runtime: what ends at once is lost now and then.
    run -0 script -qec "ctr task exec -t --exec-id two $(name) sh -c 'tty; sleep 1'" /dev/null
    [[ "$output" == *"/dev/pts/"* ]]
    run ! ctr task exec --exec-id three "$(name)" no-such-program
    [[ "$output" == *"executable file not found in"* ]]
}

@test "pause and resume" {
    ctr_run "$(name)" -d -- sleep 1000
    ctr task pause "$(name)"
    task_is "$(name)" PAUSED
    ctr task resume "$(name)"
    task_is "$(name)" RUNNING
    run -0 ctr task exec --exec-id one "$(name)" echo resumed 3>&-
    [ "$output" = resumed ]
}

@test "kill: a signal, then all processes" {
    ctr_run "$(name)" -d -- sh -c 'trap "exit 7" USR1; sleep 1000 & wait'
    ctr task kill -s USR1 "$(name)"
    await task_is "$(name)" STOPPED
    ctr_run "$(name)b" -d -- sh -c 'sleep 1000 & sleep 1000'
    ctr task kill -s KILL --all "$(name)b"
    await task_is "$(name)b" STOPPED
    await eval "[ -z \"\$(cat '/sys/fs/cgroup/default/$(name)b/cgroup.procs' 2>/dev/null)\" ]"
}

@test "ps lists the processes of a container" {
    ctr_run "$(name)" -d --pid-file "$BATS_TEST_TMPDIR/pid" -- sh -c 'sleep 1000 & sleep 1000 & wait'
    await eval "[ \"\$(ctr task ps $(name) | tail -n +2 | wc -l)\" = 3 ]"
    ctr task ps "$(name)" | grep -q "^$(cat "$BATS_TEST_TMPDIR/pid")\b"
}

@test "metrics" {
    ctr_run "$(name)" -d --memory-limit 67108864 -- sleep 1000
    run -0 ctr task metrics --format json "$(name)"
    [ "$(jq -r '.memory.usage_limit' <<<"$output")" = 67108864 ]
    [ "$(jq -r '.pids.current' <<<"$output")" = 1 ]
    [ "$(jq -r '.memory.usage' <<<"$output")" -gt 0 ]
}

@test "a container is created, started, deleted and started again" {
    ctr container create --runc-binary "$binary" "$image" "$(name)" sleep 1000 || skip "this ctr creates with the default runtime only"
    ctr task start -d "$(name)"
    task_is "$(name)" RUNNING
    ctr task kill -s KILL "$(name)"
    await task_is "$(name)" STOPPED
    ctr task delete "$(name)" || true
    ctr task start -d "$(name)"
    task_is "$(name)" RUNNING
}

@test "the drop-in is read" {
    run -0 containerd config dump
    [[ "$output" == *'BinaryName = "/usr/local/bin/moss-runtime"'* ]]
}

@test "nothing is left of a removed container" {
    ctr_run "$(name)" -d -- sh -c 'sleep 1000 & sleep 1000'
    ctr task delete -f "$(name)" || true
    ctr container delete "$(name)"
    [ ! -e "/sys/fs/cgroup/default/$(name)" ]
    run -1 grep -q "/$(name)/" /proc/self/mountinfo
    [ ! -e "/run/containerd/runc/default/$(name)" ]
}
