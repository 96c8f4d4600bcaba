#!/usr/bin/env bats
# Podman, as root, with the systemd manager; and units of quadlet.
# runtimes: moss-runtime crun

load engine.bash

setup_file() {
    podman_setup
}

setup() {
    export manager=systemd
}

teardown() {
    systemctl stop "$(name).service" 2>/dev/null || true
    rm -f "/etc/containers/systemd/$(name)".*
    podman_teardown
}

scope_of() {
    echo "libpod-$(pod inspect --format '{{.Id}}' "$1").scope"
}

@test "a container is a scope with its limits" {
    pod_start "$(name)" --memory 64m --pids-limit 33 --cpus 0.5 --cpu-shares 512 -- sleep 1000
    scope=$(scope_of "$(name)")
    run -0 systemctl show -P ActiveState -P MemoryMax -P TasksMax -P CPUWeight "$scope"
    [ "$(sort <<<"$output" | tr '\n' ' ')" = '20 33 67108864 active ' ]
    run -0 pod exec "$(name)" sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'
    [ "$output" = $'67108864\n33\n50000 100000' ]
    pod rm -f -t 0 "$(name)" >/dev/null
    [ "$(systemctl show -P LoadState "$scope")" = not-found ]
}

@test "--systemd=always gives what a systemd in the container needs" {
    run -0 pod_run --systemd always "$image" sh -c 'for i in /run /run/lock /tmp; do grep -q " $i tmpfs rw" /proc/mounts && echo $i; done; mkdir /sys/fs/cgroup/init.scope && echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs && grep ^0:: /proc/self/cgroup'
    [ "$output" = $'/run\n/run/lock\n/tmp\n0::/init.scope' ]
}

@test "limits outlive a reload of systemd" {
    pod_start "$(name)" --memory 64m -- sleep 1000
    systemctl daemon-reload
    run -0 pod exec "$(name)" cat /sys/fs/cgroup/memory.max
    [ "$output" = 67108864 ]
}

@test "update, pause, stop" {
    pod_start "$(name)" --memory 64m -- sh -c 'trap "exit 9" TERM; sleep 1000 & wait'
    pod update --memory 96m "$(name)" >/dev/null
    [ "$(systemctl show -P MemoryMax "$(scope_of "$(name)")")" = 100663296 ]
    pod pause "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.Status}}' paused
    pod unpause "$(name)" >/dev/null
    pod stop -t 30 "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.ExitCode}}' 9
}

@test "out of memory: exit status 137" {
    run -137 pod_run --memory 16m --memory-swap 16m "$image" sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M'
}

@test "out of memory: OOMKilled" {
    oom_is_known
}

@test "pod: its slice holds its containers and their limit" {
    pod pod create --name "$(name)-pod" --network none --memory 128m >/dev/null
    pod run -d --pod "$(name)-pod" --name "$(name)" "$image" sleep 1000 >/dev/null
    slice=machine-libpod_pod_$(podman pod inspect "$(name)-pod" | jq -r 'if type == "array" then .[0] else . end | .Id').slice
    [ "$(cat "/sys/fs/cgroup/machine.slice/$slice/memory.max")" = 134217728 ]
    grep -q "/$slice/" "/proc/$(pod inspect --format '{{.State.Pid}}' "$(name)")/cgroup"
    pod pod rm -f -t 0 "$(name)-pod" >/dev/null
}

@test "healthcheck: a timer finds a container unhealthy" {
    pod_start "$(name)" --health-cmd 'test -e /healthy' --health-retries 1 --health-interval 2s -- sh -c 'touch /healthy; exec sleep 1000'
    await pod_is "$(name)" '{{.State.Health.Status}}' healthy
    pod exec "$(name)" rm /healthy
    await pod_is "$(name)" '{{.State.Health.Status}}' unhealthy
}

@test "quadlet: a unit is started, restarted after a failure, stopped" {
    [ -x /usr/lib/systemd/system-generators/podman-system-generator ] || skip "this podman has no quadlet"
    mkdir -p /etc/containers/systemd
    cat >"/etc/containers/systemd/$(name).container" <<END
[Container]
Image=$image
ContainerName=$(name)
Network=none
Exec=sh -c 'echo started; exec sleep 1000'
GlobalArgs=--runtime=$ENGINE_RUNTIME
[Service]
Restart=on-failure
END
    systemctl daemon-reload
    systemctl start "$(name).service"
    pod_is "$(name)" '{{.State.Status}}' running
    first=$(pod inspect --format '{{.State.Pid}}' "$(name)")
    grep -q "/$(name).service/" "/proc/$first/cgroup"
    kill -KILL "$first"
    await eval "pid=\$(podman inspect --format '{{.State.Pid}}' $(name) 2>/dev/null) && [ \"\$pid\" -gt 0 ] && [ \"\$pid\" != $first ]"
    systemctl stop "$(name).service"
    [ "$(systemctl show -P ActiveState "$(name).service")" != active ]
    run -1 podman container exists "$(name)"
}

@test "sdnotify: a unit is up once the program in its container says so" {
    mkdir "$BATS_TEST_TMPDIR/volume"
    # logger(1) writes a datagram to /dev/log, which is where the program is to write what it says.
    systemd-run --quiet --no-block --unit "$(name)" -p Type=notify -p NotifyAccess=all -p Delegate=yes \
        podman --runtime "$ENGINE_RUNTIME" run --rm --name "$(name)" --network none --cgroups split --sdnotify container \
        -v "$BATS_TEST_TMPDIR/volume:/volume" "$image" sh -c '
            ln -s "$NOTIFY_SOCKET" /dev/log && touch /volume/started
            until [ -e /volume/go ]; do sleep 0.2; done
            logger "$(printf "up\nREADY=1")"
            exec sleep 1000' 3>&-
    await test -e "$BATS_TEST_TMPDIR/volume/started"
    [ "$(systemctl show -P ActiveState "$(name)")" = activating ]
    touch "$BATS_TEST_TMPDIR/volume/go"
    await eval "[ \"\$(systemctl show -P ActiveState $(name))\" = active ]"
    pod rm -f -t 0 "$(name)" >/dev/null
    await eval "! systemctl is-active --quiet $(name)"
}
