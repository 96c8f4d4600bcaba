#!/usr/bin/env bats
# A kept agent in a container of an engine that an ordinary user has called: engine, runtime and shim are root of a user namespace that has
# that user's ids and no others, and own one branch of the cgroups. `unshare` plays the engine's part.

bats_require_minimum_version 1.5.0
load shim/lib
load shim/load

OUTER=300000 # the user; what follows are its subordinate ids

setup_file() {
    [ "$(id -u)" = 0 ] || skip 'needs root, to give away ids'
    shim_setup_file
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR"
}

# The user's session: a process in its namespaces, in its cgroup.
session_setup() {
    session=$(findmnt -no TARGET -t cgroup2 | head -n 1)/session-$NAME
    mkdir "$session"
    chown "$OUTER:$OUTER" "$session" "$session"/cgroup.{procs,subtree_control,threads}
    sh -c 'echo $$ >"$1/cgroup.procs" && exec setpriv --reuid="$2" --regid="$2" --clear-groups unshare --user --mount sleep 1000' - \
        "$session" "$OUTER" 3>&- &
    holder=$!
    timeout 20 sh -c 'until [ "$(cat "/proc/$1/comm")" = sleep ]; do sleep 0.05; done' - "$holder"
    # In one write(2), and as two ranges: what a user has are its own id and the subordinate ones.
    for map in uid_map gid_map; do
        printf '0 %s 1\n1 %s 65536\n' "$OUTER" $((OUTER + 1)) | dd bs=4096 of="/proc/$holder/$map" status=none
    done
}

# As the engine does.
as_user() {
    sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec nsenter "$@"' - "$session" \
        --target "$holder" --user --mount --setuid 0 --setgid 0 --wd="$BATS_TEST_TMPDIR" env "XDG_RUNTIME_DIR=$MOSS_RUN" "$@" 3>&-
}

shim() { as_user "$MOSS_BUILD/moss-shim" "$@"; }
runtime() { as_user "$MOSS_BUILD/moss-runtime" "$@"; }
engine() { runtime --root "$containers" "$@"; }

setup() {
    export MOSS_STORE=$BATS_TEST_TMPDIR/store MOSS_RUN=$BATS_TEST_TMPDIR/run
    chmod 755 "$BATS_TEST_TMPDIR"
    NAME=u$BATS_TEST_NUMBER-$$
    PORT=$(free_port)
    AGENT=$MOSS_STORE/agents/$NAME
    bundle=$BATS_TEST_TMPDIR/bundle
    containers=$BATS_TEST_TMPDIR/containers
    session_setup
    mkdir -p "$bundle/rootfs"/{bin,dev,etc,proc,sys,tmp} "$containers" "$AGENT/epochs/0" "$MOSS_RUN"
    cp /bin/busybox "$bundle/rootfs/bin/"
    "$MOSS_BUILD/moss-runtime" spec --bundle "$bundle"
    jq '.process.terminal = false | .process.args = ["/bin/busybox", "false"] | .root.readonly = false
        | .linux.namespaces |= map(select(.type != "network"))
        | .linux.cgroupsPath = $cgroup | del(.linux.resources)
        | .mounts |= map(select(.type != "sysfs" and .type != "cgroup") | .options |= ((. // []) | map(select(startswith("gid=") | not))))
        | .annotations["dev.moss.agent"] = $name' --arg name "$NAME" --arg cgroup "/${session##*/}/container" \
        "$bundle/config.json" >"$bundle/config.new"
    mv "$bundle/config.new" "$bundle/config.json"
    chown -R "$OUTER:$OUTER" "$BATS_TEST_TMPDIR"
    BASE=$(runtime layer import "$SHARED/root")
    GOOD=$(generation good)
    sed -e "s/@NAME@/$NAME/g" -e "s/@PORT@/$PORT/g" -e "s/@NETWORK@/engine/" "$SHIM_LIB/agent.json.in" >"$AGENT/agent.json"
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
    chown "$OUTER:$OUTER" "$AGENT"/*
}

teardown() {
    engine delete --force container
    [ -z "$LOADER" ] || kill "$LOADER" 2>/dev/null || true
    timeout 20 sh -c 'while pgrep -f "moss-shim start $1 " >/dev/null; do sleep 0.05; done' _ "$NAME"
    left=$(find "$session" -mindepth 1 -type d -name '*-*')
    kill "$holder"
    timeout 20 sh -c 'until find "$1" -depth -type d -exec rmdir {} +; do sleep 0.05; done' _ "$session"
    [ -z "$left" ]
}

ready() {
    local end=$((SECONDS + 20))
    until [ "$(state ready)" = true ]; do [ "$SECONDS" -lt "$end" ]; sleep 0.05; done
}

create() {
    engine create --bundle "$bundle" container </dev/null >"$BATS_TEST_TMPDIR/output" 2>&1 3>&- || { cat "$BATS_TEST_TMPDIR/output"; return 1; }
}

@test "swapped with a rehearsal, under load: nobody is refused, the state has the ids of the container" {
    create
    engine start container
    ready
    before=$(engine state container | jq .pid)
    next=$(generation good2)
    start_load
    shim swap "$NAME" "$next" --json >"$BATS_TEST_TMPDIR/answer"
    stop_load
    [ "$(jq -r '.outcome, .rehearsed' "$BATS_TEST_TMPDIR/answer")" = $'committed\ntrue' ]
    [ "$refused" = 0 ]
    [ "$(engine state container | jq .pid)" = "$before" ]
    [ "$(get /count | jq -r .mode)" = good2 ]
    [ "$(engine exec container /usr/bin/busybox cat /opt/mode)" = good2 ]
    [ "$(stat -c %u "$AGENT"/epochs/*/counter | sort -u)" = $((OUTER + 1000)) ]
    # Nothing of root's has come to it.
    [ "$(awk '/^Uid/ {print $2}' "/proc/$(state pid)/status")" = $((OUTER + 1000)) ]
}

@test "the shim is killed in a rehearsal: that ends, the agent goes on, and another shim takes it over" {
    create
    engine start container
    ready
    agent=$(state pid)
    shim swap "$NAME" "$(generation never-ready)" >/dev/null 2>&1 3>&- &
    timeout 20 sh -c 'until grep -qs . "$1"/moss/rehearsal-*/agent/cgroup.procs; do sleep 0.02; done' - "$session"
    rehearsed=$(cat "$session"/moss/rehearsal-*/*/cgroup.procs)
    pkill -KILL -f "moss-shim start $NAME "
    for pid in $rehearsed; do timeout 20 sh -c 'while kill -0 "$1" 2>/dev/null; do sleep 0.02; done' - "$pid"; done
    shim start "$NAME"
    [ "$(state pid)" = "$agent" ]
    [ "$(state state)" = STEADY ]
    [ -z "$(find "$session" -name 'rehearsal-*')" ]
}

@test "without a cgroup of the user's the container is refused" {
    jq '.linux.cgroupsPath = "/not-the-users"' "$bundle/config.json" >"$BATS_TEST_TMPDIR/config"
    cat "$BATS_TEST_TMPDIR/config" >"$bundle/config.json"
    run -1 engine create --bundle "$bundle" container
    [[ $output == *"annotation dev.moss.agent: needs a cgroup"* ]]
}

@test "with a user namespace of its own below that of the user the container is refused, and says why" {
    jq '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 1, size: 2000}]
        | .linux.gidMappings = .linux.uidMappings' "$bundle/config.json" >"$BATS_TEST_TMPDIR/config"
    cat "$BATS_TEST_TMPDIR/config" >"$bundle/config.json"
    create
    run -1 engine start container
    echo "$output"
    [[ $output == *"cannot map ids"* ]]
    [ "$(engine state container | jq -r .status)" = stopped ]
}
