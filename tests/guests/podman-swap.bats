#!/usr/bin/env bats
# Containers of podman's whose agent is kept: generations are swapped under its nose.
# runtimes: moss-runtime

load engine.bash
load swap.bash

setup_file() {
    podman_setup
    shim_setup_file
}

setup() {
    export manager=systemd
    swap_setup
}

teardown() {
    systemctl stop "$NAME.service" 2>/dev/null || true
    rm -f "/etc/containers/systemd/$NAME.container"
    podman_teardown
    swap_teardown
}

start_container() { # OPTION...
    PUBLISHED=$((20000 + RANDOM % 10000))
    pod run -d --name "$NAME" --annotation "dev.moss.agent=$NAME" -p "127.0.0.1:$PUBLISHED:$PORT" \
        --health-cmd "wget -q -O /dev/null http://127.0.0.1:$PORT/healthz" --health-interval disable "$@" "$image" not-run >/dev/null
    ready
    PORT=$PUBLISHED
}

# What podman and the kernel know the container by.
identity() {
    pod inspect --format '{{.Id}} {{.State.Pid}} {{.State.StartedAt}} {{.NetworkSettings.IPAddress}} {{.State.CgroupPath}}' "$NAME"
    cat "/proc/$(pod inspect --format '{{.State.Pid}}' "$NAME")/cgroup"
}

# What must work whatever generation there is.
used_by_podman() { # MODE
    [ "$(get /count | jq -r .mode)" = "$1" ]
    [ "$(pod exec "$NAME" cat /opt/mode)" = "$1" ]
    pod healthcheck run "$NAME"
    [[ "$(pod stats --no-stream --format '{{.PIDs}}' "$NAME")" -ge 2 ]]
    pod top "$NAME" comm | grep -q python3
    pod logs "$NAME" 2>&1 | grep -qx "serving as $1"
    pod pause "$NAME" >/dev/null
    pod_is "$NAME" '{{.State.Status}}' paused
    pod unpause "$NAME" >/dev/null
    [ "$(get /count | jq -r .mode)" = "$1" ]
}

@test "swaps under load: nobody is refused, and podman sees the same container before, during and after" {
    start_container --memory 256m
    before=$(identity)
    used_by_podman good
    start_load
    start_swap good2
    while_swapping pod exec "$NAME" true
    start_swap good3
    while_swapping pod healthcheck run "$NAME"
    start_swap good4
    while_swapping pod stats --no-stream "$NAME"
    stop_load
    [ "$refused" = 0 ]
    used_by_podman good4
    [ "$(identity)" = "$before" ]
    [ "$(pod exec "$NAME" cat /sys/fs/cgroup/memory.max)" = 268435456 ]
    [ "$(get /count | jq .counter)" -gt "$answered" ]
}

@test "restart, stop, start, kill, rm: the container comes back with the generation that it was swapped to" {
    start_container
    start_swap good2
    while_swapping true
    pod restart -t 30 "$NAME" >/dev/null
    ready
    used_by_podman good2
    pod stop -t 30 "$NAME" >/dev/null
    pod_is "$NAME" '{{.State.Status}} {{.State.ExitCode}}' 'exited 0'
    pod start "$NAME" >/dev/null
    ready
    [ "$(get /count | jq -r .mode)" = good2 ]
    pod kill "$NAME" >/dev/null
    [ "$(pod wait "$NAME")" = 137 ]
    id=$(pod inspect --format '{{.Id}}' "$NAME")
    pod rm -f -t 0 "$NAME" >/dev/null
    [ -z "$(find /sys/fs/cgroup -name "*$id*")" ]
    run -1 grep -q "$id" /proc/self/mountinfo
}

@test "with a user namespace of podman's, and its cgroupfs manager" {
    manager=cgroupfs
    start_container --uidmap 0:100000:65536 --gidmap 0:100000:65536
    before=$(identity)
    start_load
    start_swap good2
    while_swapping pod exec "$NAME" true
    stop_load
    [ "$refused" = 0 ]
    used_by_podman good2
    [ "$(identity)" = "$before" ]
}

@test "a unit of quadlet: swapped, restarted with what it was swapped to, stopped" {
    [ -x /usr/lib/systemd/system-generators/podman-system-generator ] || skip "this podman has no quadlet"
    mkdir -p /etc/containers/systemd
    cat >"/etc/containers/systemd/$NAME.container" <<END
[Container]
Image=$image
ContainerName=$NAME
Exec=not-run
Annotation=dev.moss.agent=$NAME
GlobalArgs=--runtime=$ENGINE_RUNTIME
END
    systemctl daemon-reload
    systemctl start "$NAME.service"
    ready
    before=$(pod inspect --format '{{.State.Pid}}' "$NAME")
    start_swap good2
    while_swapping systemctl is-active "$NAME.service"
    [ "$(pod inspect --format '{{.State.Pid}}' "$NAME")" = "$before" ]
    [ "$(pod exec "$NAME" cat /opt/mode)" = good2 ]
    systemctl restart "$NAME.service"
    ready
    [ "$(pod exec "$NAME" cat /opt/mode)" = good2 ]
    systemctl stop "$NAME.service"
    run -1 podman container exists "$NAME"
}
