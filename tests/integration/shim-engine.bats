#!/usr/bin/env bats
# Containers of engines whose agent is kept: the engine's part is played with the commands that podman and containerd use. What it sees of
# the container must be the same before, during and after swaps.

bats_require_minimum_version 1.5.0
load shim/lib
load shim/load

setup() {
    NETWORK=engine
    shim_setup
    id=engine-$NAME
    bundle=$BATS_TEST_TMPDIR/bundle
    containers=$BATS_TEST_TMPDIR/containers
    mkdir -p "$bundle/rootfs"/{bin,dev,etc,proc,sys,tmp,volume} "$BATS_TEST_TMPDIR/volume"
    : >"$bundle/rootfs/etc/hosts"
    cp /bin/busybox "$bundle/rootfs/bin/"
    echo of-the-engine >"$BATS_TEST_TMPDIR/volume/file"
    echo of-the-engine >"$BATS_TEST_TMPDIR/hosts"
    runtime spec --bundle "$bundle"
    config '.process.terminal = false | .process.args = ["/bin/busybox", "false"] | .root.readonly = false
        | .process.env += ["FROM_ENGINE=yes", "PORT=1"]
        | .linux.namespaces |= map(select(.type != "network"))
        | .linux.cgroupsPath = "/moss/" + $id
        | .mounts += [
            {destination: "/volume", type: "bind", source: ($tmp + "/volume"), options: ["rbind", "rw"]},
            {destination: "/etc/hosts", type: "bind", source: ($tmp + "/hosts"), options: ["bind", "ro"]}]
        | .annotations["dev.moss.agent"] = $name' --arg name "$NAME" --arg id "$id" --arg tmp "$BATS_TEST_TMPDIR"
}

teardown() {
    engine delete --force "$id"
    [ -z "$LOADER" ] || kill "$LOADER" 2>/dev/null || true
    # The shim ends with its container.
    timeout 20 sh -c 'while pgrep -f "moss-shim start $1 " >/dev/null; do sleep 0.05; done' _ "$NAME"
    [ -z "$(find /sys/fs/cgroup -name "$id*" -o -name "*-$NAME-*")" ]
    ! grep -q "$BATS_TEST_TMPDIR" /proc/self/mountinfo
}

engine() { "$MOSS_BUILD/moss-runtime" --root "$containers" "$@"; }

config() { # FILTER [JQ-OPTION...]
    local filter=$1
    shift
    jq "$@" "$filter" "$bundle/config.json" >"$BATS_TEST_TMPDIR/config.new"
    cat "$BATS_TEST_TMPDIR/config.new" >"$bundle/config.json"
}

create() {
    engine create --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/output" 2>&1 3>&- || { cat "$BATS_TEST_TMPDIR/output"; return 1; }
}

start() {
    create
    engine start "$id" 3>&-
    ready
}

ready() { timeout 20 sh -c 'until [ "$("$1" status "$2" --json | jq -r .ready)" = true ]; do sleep 0.05; done' _ "$MOSS_BUILD/moss-shim" "$NAME"; }

pid() { engine state "$id" | jq .pid; }

@test "the container starts the agent's present generation, with the engine's mounts, environment and cgroup" {
    start
    [ "$(engine state "$id" | jq -r .status)" = running ]
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(engine exec "$id" /usr/bin/busybox cat /opt/mode)" = good ]
    [ "$(engine exec "$id" /usr/bin/busybox cat /volume/file)" = of-the-engine ]
    [ "$(engine exec "$id" /usr/bin/busybox cat /etc/hosts)" = of-the-engine ]
    agent=$(state pid)
    tr '\0' '\n' <"/proc/$agent/environ" >"$BATS_TEST_TMPDIR/environ"
    grep -qx FROM_ENGINE=yes "$BATS_TEST_TMPDIR/environ"
    grep -qx "PORT=$PORT" "$BATS_TEST_TMPDIR/environ"
    # No more than agent.json says, however much the engine would give.
    [ "$(awk '/^CapBnd|^CapEff|^CapInh/ {print $2}' "/proc/$agent/status" | sort -u)" = 0000000000000000 ]
    [ "$(awk '/^NoNewPrivs/ {print $2}' "/proc/$agent/status")" = 1 ]
    [ "$(awk '/^Uid/ {print $2}' "/proc/$agent/status")" = 1000 ]
    grep -q "/moss/$id/agent\$" "/proc/$agent/cgroup"
    engine ps "$id" | grep -qw "$agent"
    # Its output is the container's.
    grep -qx 'serving as good' "$BATS_TEST_TMPDIR/output"
    run engine checkpoint --image-path "$BATS_TEST_TMPDIR/image" "$id"
    [ "$status" = 1 ]
    [[ $output == *"annotation dev.moss.agent"* ]]
}

@test "a swap goes on under the engine's nose: the same id, first process and cgroup, nobody refused, exec and pause before and after" {
    next=$(generation good2)
    start
    before=$(pid)
    start_load
    shim swap "$NAME" "$next" --json >"$BATS_TEST_TMPDIR/answer"
    stop_load
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = committed ]
    [ "$refused" = 0 ]
    [ "$(pid)" = "$before" ]
    [ "$(get /count | jq -r .mode)" = good2 ]
    [ "$(engine exec "$id" /usr/bin/busybox cat /opt/mode)" = good2 ]
    [ "$(engine exec "$id" /usr/bin/busybox cat /volume/file)" = of-the-engine ]
    # What was mounted is mounted once.
    [ "$(engine exec "$id" /usr/bin/busybox grep -c ' /volume ' /proc/self/mountinfo)" = 1 ]
    [ "$(engine exec "$id" /usr/bin/busybox awk '$5 == "/"' /proc/self/mountinfo | wc -l)" = 1 ]
    [ "$(get /count | jq .counter)" -gt "$answered" ]
    engine pause "$id"
    [ "$(engine state "$id" | jq -r .status)" = paused ]
    engine resume "$id"
    [ "$(get /count | jq -r .mode)" = good2 ]
}

@test "a candidate that fails is rolled back in the engine's container" {
    next=$(generation sickens)
    start
    before=$(pid)
    run -3 shim swap "$NAME" "$next" --json
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(pid)" = "$before" ]
    [ "$(state state)" = STEADY ]
}

@test "config.json need not name a program, as agent.json does" {
    config 'del(.process.args)'
    start
    [ "$(engine exec "$id" /usr/bin/busybox echo works)" = works ]
}

@test "stop as engines do it: SIGTERM reaches the agent, and the container ends with the agent's exit status" {
    start
    agent=$(state pid)
    init=$(pid)
    engine kill "$id" TERM
    timeout 20 sh -c 'while kill -0 "$1" 2>/dev/null; do sleep 0.05; done' _ "$init"
    [ ! -e "/proc/$agent" ]
    [ "$(engine state "$id" | jq -r .status)" = stopped ]
    engine delete "$id"
    # And again: the state is where it was.
    start
    [ "$(get /count | jq .counter)" = 1 ]
}

# Ends with signal $1 what is in the midst of a swap, in state $2 of it.
ended_in_swap() { # SIGNAL STATE
    start
    count=$(get /count | jq .counter)
    shim swap "$NAME" "$(generation "good-$1")" --no-rehearsal >/dev/null 2>&1 3>&- &
    swapper=$!
    timeout 20 sh -c 'until [ "$("$1" status "$2" --json | jq -r .state)" = "$3" ]; do :; done' _ "$MOSS_BUILD/moss-shim" "$NAME" "$2"
    engine kill "$id" "$1"
    timeout 20 sh -c 'until [ "$("$1" --root "$2" state "$3" | jq -r .status)" = stopped ]; do sleep 0.05; done' _ \
        "$MOSS_BUILD/moss-runtime" "$containers" "$id"
    wait "$swapper" || true
    engine delete "$id"
    start
    [[ "$(get /count | jq -r .mode)" = good* ]]
    [ "$(get /count | jq .counter)" -gt "$count" ]
    [ "$(state state)" = STEADY ] || [ "$(state state)" = SERVING ]
    engine delete --force "$id"
}

@test "a stop in the midst of a swap: the container ends, and comes back with one of the two generations and all of its state" {
    ended_in_swap TERM TRYING
    ended_in_swap TERM SERVING
}

@test "a kill in the midst of a swap: the container ends, and comes back with one of the two generations and all of its state" {
    ended_in_swap KILL TRYING
    ended_in_swap KILL SERVING
}

@test "run waits for the container and gives the agent's exit status" {
    "$MOSS_BUILD/moss-runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null >/dev/null 2>&1 3>&- &
    run=$!
    timeout 20 sh -c 'until "$1" status "$2" >/dev/null 2>&1; do sleep 0.05; done' _ "$MOSS_BUILD/moss-shim" "$NAME"
    ready
    shim stop "$NAME"
    wait "$run"
}

@test "SIGKILL ends container, agent and shim" {
    start
    agent=$(state pid)
    engine kill "$id" KILL
    timeout 20 sh -c 'while kill -0 "$1" 2>/dev/null; do sleep 0.05; done' _ "$agent"
    engine delete "$id"
}

@test "a paused agent is not taken for a sick one" {
    start
    restarts=$(state restarts)
    agent=$(state pid)
    engine pause "$id"
    # more than liveness has patience for: failureThreshold and periodSeconds make 3 s
    sleep 5
    engine resume "$id"
    ready
    [ "$(state pid)" = "$agent" ]
    [ "$(state restarts)" = "$restarts" ]
}

@test "the shim is killed: the container goes on, and the next shim takes the agent over" {
    start
    agent=$(state pid)
    pkill -KILL -f "moss-shim start $NAME "
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(engine state "$id" | jq -r .status)" = running ]
    shim start "$NAME" 3>&-
    [ "$(state pid)" = "$agent" ]
    next=$(generation good2)
    shim swap "$NAME" "$next"
    [ "$(get /count | jq -r .mode)" = good2 ]
    engine kill "$id" TERM
    timeout 20 sh -c 'until [ "$("$1" --root "$2" state "$3" | jq -r .status)" = stopped ]; do sleep 0.05; done' _ \
        "$MOSS_BUILD/moss-runtime" "$containers" "$id"
}

@test "an agent whose agent.json does not say engine is refused to the container" {
    sed -i 's/"mode": "engine"/"mode": "host"/' "$AGENT/agent.json"
    create
    run engine start "$id"
    [ "$status" = 1 ]
    [[ $output == *"annotation dev.moss.agent"*"network.mode"*"engine"* ]]
    [ "$(engine state "$id" | jq -r .status)" = stopped ]
}

@test "an agent that is unknown, or kept already, is refused to the container" {
    config '.annotations["dev.moss.agent"] = "nobody"'
    create
    run engine start "$id"
    [ "$status" = 1 ]
    [[ $output == *"annotation dev.moss.agent"*"nobody"* ]]
    engine delete --force "$id"
    config '.annotations["dev.moss.agent"] = $name' --arg name "$NAME"
    start
    config '.linux.cgroupsPath += "-second"'
    engine create --bundle "$bundle" "$id-second" </dev/null >/dev/null 2>&1 3>&-
    run engine start "$id-second"
    engine delete --force "$id-second"
    [ "$status" = 1 ]
    [[ $output == *"is running already"* ]]
    [ "$(get /count | jq -r .mode)" = good ]
}

@test "an agent of an engine's container is not started without it" {
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"network.mode"*"engine"* ]]
}

@test "a mount of the engine's in the way of the state volume is refused" {
    config '.mounts += [{destination: "/state", type: "tmpfs", source: "tmpfs"}]'
    create
    run engine start "$id"
    [ "$status" = 1 ]
    [[ $output == *"state.path /state"*"/state"* ]]
}

@test "a container without a process has no agent started, and says why" {
    config 'del(.process)'
    create
    run engine start "$id"
    [ "$status" = 1 ]
    [[ $output == *"cannot start container \"$id\": config.json: process: is missing" ]]
    [ "$(engine state "$id" | jq -r .status)" = created ]
}

@test "what cannot be kept is refused when the container is created" {
    create_fails() { # what the error must say
        run create
        [ "$status" = 1 ]
        grep -q "annotation dev.moss.agent.*$1" "$BATS_TEST_TMPDIR/output"
    }
    config '.linux.namespaces |= map(select(.type != "pid"))'
    create_fails 'needs a pid namespace'
}

@test "with a user namespace of the engine's the agent has the same id inside, and its state on disk" {
    config '.linux.namespaces += [{type: "user"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 400000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
        | .mounts |= map(select(.type != "sysfs" and .type != "cgroup"))'
    # Its root must be able to reach the bundle.
    chmod 0755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$bundle" "$bundle/rootfs"
    start
    agent=$(state pid)
    [ "$(awk '/^Uid/ {print $2}' "/proc/$agent/status")" = 401000 ]
    [ "$(get /count | jq .counter)" = 1 ]
    [ "$(stat -c %u "$AGENT/epochs/0/counter")" = 1000 ]
    next=$(generation good2)
    shim swap "$NAME" "$next"
    [ "$(get /count | jq -r .mode)" = good2 ]
}
