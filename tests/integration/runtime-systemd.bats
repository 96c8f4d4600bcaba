#!/usr/bin/env bats
# The systemd driver: containers are scopes. Needs a host that systemd runs, as root: the guests are such hosts
# (tests/guests/guest RELEASE DIRECTORY bats tests/integration/runtime-systemd.bats).

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    [ -e /run/systemd/system ] || skip "systemd does not run here"
    bundle_setup
    unit=moss-$id.scope
    program sleep 1000
}

teardown() {
    [ -e /run/systemd/system ] || return 0
    bundle_teardown
    [ -z "$(systemctl list-units --all --no-legend "*$id*")" ]
}

create_scope() {
    moss --systemd-cgroup create --bundle "$bundle" "$@" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
    cgroup=$(unified)$(sed -n s/^0:://p "/proc/$(moss state "$id" | jq .pid)/cgroup")
    scope=${cgroup%/container}
}

property() {
    systemctl show --value --property "$1" "${2:-$unit}"
}

@test "a container is a delegated scope, in the slice and by the name that cgroupsPath says" {
    create_scope
    [ "$(property ActiveState)" = active ]
    [ "$(property Delegate)" = yes ]
    [ "$(property Slice)" = system.slice ]
    [ "$(property ControlGroup)" = "${scope#"$(unified)"}" ]
    moss delete "$id"
    [ "$(property ActiveState)" = inactive ]
    config '.linux.cgroupsPath = "machine-moss.slice:libpod:\($id)"' --arg id "$id"
    unit=libpod-$id.scope
    create_scope
    [[ $scope == */machine.slice/machine-moss.slice/libpod-$id.scope ]]
    [ "$(property Slice)" = machine-moss.slice ]
}

@test "the program and those of exec run in the scope, whose top is theirs" {
    script 'cat /proc/self/cgroup; exec sleep 1000'
    create_scope
    moss start "$id"
    await test -s "$BATS_TEST_TMPDIR/out"
    grep -qx 0::/ "$BATS_TEST_TMPDIR/out"
    [ "$(moss exec "$id" grep ^0:: /proc/self/cgroup)" = 0::/ ]
    [ "$(moss ps --format json "$id" | jq length)" = 1 ]
    [ "$(wc -l <"$cgroup/cgroup.procs")" = 1 ]
    moss pause "$id"
    [ "$(status)" = paused ]
    moss resume "$id"
    moss kill "$id" KILL
    await_status stopped
    moss delete "$id"
    [ ! -e "$scope" ]
}

@test "limits are properties of the unit and values of the cgroup" {
    config '.linux.resources += {memory: {limit: 67108864, reservation: 33554432, swap: 67108864}, pids: {limit: 77},
        cpu: {quota: 12345, period: 100000, cpus: "0"}, unified: {"memory.high": "62914560"}}'
    create_scope
    [ "$(property MemoryMax) $(property MemoryLow) $(property MemoryHigh) $(property MemorySwapMax)" = "67108864 33554432 62914560 0" ]
    [ "$(property TasksMax) $(property AllowedCPUs)" = "77 0" ]
    [ "$(property CPUQuotaPerSecUSec) $(property CPUQuotaPeriodUSec)" = "130ms 100ms" ]
    [ "$(cat "$cgroup"/{memory.max,memory.low,memory.high,memory.swap.max,pids.max,cpu.max,cpuset.cpus} | paste -s -d,)" = \
        "67108864,33554432,62914560,0,77,12345 100000,0" ]
    [ "$(cat "$scope"/{memory.max,memory.swap.max,pids.max} | paste -s -d,)" = 67108864,0,77 ]
}

@test "update reaches both, and a reload of systemd undoes nothing" {
    config '.linux.resources += {memory: {limit: 67108864}, pids: {limit: 77}}'
    create_scope
    moss start "$id"
    moss update --memory 33554432 --cpu-quota 54321 --cpu-period 100000 "$id"
    [ "$(property MemoryMax) $(property TasksMax)" = "33554432 77" ]
    [ "$(cat "$cgroup"/{memory.max,pids.max,cpu.max} | paste -s -d,)" = "33554432,77,54321 100000" ]
    systemctl daemon-reload
    [ "$(cat "$cgroup"/{memory.max,pids.max} | paste -s -d,)" = "33554432,77" ]
}

@test "annotations are properties of the unit" {
    config '.annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 5000000", "org.systemd.property.KillSignal": "10",
        "org.systemd.property.CollectMode": "'\''inactive-or-failed'\''", "org.systemd.property.After": "['\''basic.target'\'']"}'
    create_scope
    [ "$(property TimeoutStopUSec) $(property KillSignal) $(property CollectMode)" = "5s 10 inactive-or-failed" ]
    [[ " $(property After) " == *" basic.target "* ]]
    moss delete "$id"
    config '.annotations = {"org.systemd.property.NoSuchThing": "true"}'
    run moss --systemd-cgroup create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"systemd: unit $unit: StartTransientUnit: "*NoSuchThing* ]]
}

@test "the container is in a cgroup below the scope, by the name that an annotation says, or in the scope" {
    create_scope
    [[ $cgroup == */"$unit"/container ]]
    [ -z "$(cat "$scope/cgroup.procs")" ]
    moss delete "$id"
    for name in other ""; do
        config '.annotations = {"run.oci.systemd.subgroup": $name}' --arg name "$name"
        create_scope
        [[ $cgroup == */"$unit${name:+/$name}" ]]
        moss start "$id"
        [ "$(moss exec "$id" grep ^0:: /proc/self/cgroup)" = 0::/ ]
        moss delete --force "$id"
        [ "$(property LoadState)" = not-found ]
    done
}

# conmon watches that file, and gives up at a change that is no kill.
@test "memory.events of the container's cgroup changes only when a process is killed" {
    config '.linux.resources += {memory: {limit: 16777216, swap: 16777216}}'
    script 'dd if=/dev/zero of=/dev/null bs=64M || echo killed; exec sleep 1000'
    create_scope
    moss start "$id"
    await grep -q killed "$BATS_TEST_TMPDIR/out"
    [ "$(grep -E '^(max|oom|oom_kill) ' "$cgroup/memory.events" | paste -s -d,)" = 'max 0,oom 0,oom_kill 1' ]
    grep -qx 'oom_kill 1' "$scope/memory.events"
}

@test "a name is free again at once, also after a unit that failed" {
    for _ in 1 2 3; do
        create_scope
        moss delete --force "$id"
    done
    create_scope
    ! systemd-run --quiet --unit "$unit-other.service" --wait false
    systemctl kill --signal KILL "$unit"
    await_status stopped
    moss delete "$id"
    create_scope
    systemctl reset-failed "$unit-other.service"
}

@test "a process of a container that somebody else's stop ended is found stopped" {
    config '.annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 1000000"}' # it ignores SIGTERM
    create_scope
    moss start "$id"
    systemctl stop "$unit"
    await_status stopped
    moss delete "$id"
}

@test "a failed creation leaves no unit" {
    program nosuch
    run moss --systemd-cgroup create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *'executable file not found in $PATH'* ]]
    [ -z "$(systemctl list-units --all --no-legend "$unit")" ]
}

@test "a creation that was cut off leaves no unit once it is deleted" {
    for delay in $(seq 0 0.005 0.06) 0.1 0.2 0.4 0.8; do
        "$runtime" --root "$containers" --systemd-cgroup create --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1 3>&- &
        sleep "$delay"
        kill -KILL $! 2>/dev/null || true
        wait $! || true
        moss delete --force "$id"
        [ "$(property LoadState)" = not-found ]
        [ -z "$(find "$(unified)" -name "$unit")" ]
    done
}

@test "without the manager's own socket the bus serves" {
    [ -S /run/systemd/private ] || skip "there is no socket of the manager's own"
    # in a mount namespace of its own, where that socket is covered
    unshare --mount sh -c 'mount --bind /dev/null /run/systemd/private && exec "$@"' - \
        "$runtime" --root "$containers" --systemd-cgroup run --bundle "$bundle" --detach "$id" </dev/null >/dev/null 2>&1
    [ "$(property ActiveState)" = active ]
}

@test "a path of the other driver's form is refused" {
    config '.linux.cgroupsPath = "/a/b"'
    run moss --systemd-cgroup create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [ "$output" = 'moss-runtime: linux.cgroupsPath "/a/b": with the systemd driver it is of the form "slice:prefix:name"' ]
}
