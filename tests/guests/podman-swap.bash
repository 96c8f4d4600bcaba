# Kept agents in podman's containers, root's or a user's: what is the same for both. Sourced by bats files after swap.bash; they have pod() and $units, the
# directory of quadlet's units.
# shellcheck shell=bash

podman_swap_teardown() {
    systemctl_of_podman stop "$NAME.service" 2>/dev/null || true
    rm -f "$units/$NAME.container"
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

swaps_under_load() { # OPTION...
    start_container --memory 256m "$@"
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

comes_back_as_swapped() {
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

quadlet_is_swapped() {
    [ -x /usr/lib/systemd/system-generators/podman-system-generator ] || skip "this podman has no quadlet"
    mkdir -p "$units"
    cat >"$units/$NAME.container" <<END
[Container]
Image=$image
ContainerName=$NAME
Exec=not-run
Annotation=dev.moss.agent=$NAME
GlobalArgs=--runtime=$ENGINE_RUNTIME
${quadlet-}
END
    systemctl_of_podman daemon-reload
    systemctl_of_podman start "$NAME.service"
    ready
    before=$(pod inspect --format '{{.State.Pid}}' "$NAME")
    start_swap good2
    while_swapping systemctl_of_podman is-active "$NAME.service"
    [ "$(pod inspect --format '{{.State.Pid}}' "$NAME")" = "$before" ]
    [ "$(pod exec "$NAME" cat /opt/mode)" = good2 ]
    systemctl_of_podman restart "$NAME.service"
    ready
    [ "$(pod exec "$NAME" cat /opt/mode)" = good2 ]
    systemctl_of_podman stop "$NAME.service"
    run -1 pod container exists "$NAME"
}
