#!/usr/bin/env bats
# The runtime as an ordinary user, with one id in its user namespace.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
    if [ "$(id -u)" -eq 0 ]; then
        user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        for dir in "$BATS_TEST_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_RUN_TMPDIR"; do
            chmod 755 "$dir"
        done
        mkdir -p "$containers"
        chown -R 65534:65534 "$bundle" "$containers"
    fi
    rm "$bundle/config.json"
    "${user[@]}" "$runtime" spec --rootless --bundle "$bundle"
    config '.process.terminal = false | .root.readonly = false'
}

teardown() {
    bundle_teardown
}

moss() {
    "${user[@]}" "$runtime" --root "$containers" "$@"
}

@test "a container of an ordinary user runs, as root of its own namespace" {
    script 'id -u; cat /proc/self/uid_map | tr -s " "; touch /tmp/mine; echo x >/dev/null; cat /proc/keys; exit 4'
    run_container
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$output" = "0
 0 65534 1" ]
    [ "$(stat -c %u "$bundle/rootfs/tmp/mine")" = 65534 ]
}

@test "create, start, exec, kill and delete work without privilege" {
    program sleep 1000
    create_container
    [ "$(status)" = created ]
    moss start "$id"
    [ "$(moss exec "$id" sh -c 'id -u; readlink /proc/self/ns/user')" = "0
$(readlink "/proc/$(moss state "$id" | jq .pid)/ns/user")" ]
    moss kill "$id" KILL
    await_status stopped
    moss delete "$id"
}

@test "delete --force ends a running container without a cgroup" {
    script 'sleep 1000 & touch /tmp/ready; wait'
    create_container
    moss start "$id"
    await_file "$bundle/rootfs/tmp/ready"
    moss delete --force "$id"
}

@test "a sysctl can be set among the processes of the host" {
    config '.linux.namespaces |= map(select(.type != "pid")) | .linux.sysctl = {"net.ipv4.ip_forward": "1"}
        | .mounts |= map(if .destination == "/proc" then {destination: "/proc", source: "/proc", type: "bind", options: ["rbind"]} else . end)'
    script 'cat /proc/sys/net/ipv4/ip_forward'
    expect 1
}

@test "a terminal works without privilege" {
    config '.process.terminal = true'
    script 'tty; exit 5'
    run_container
    [ "$status" -eq 5 ]
    [ "$(tr -d '\r' <<<"$output")" = /dev/pts/0 ]
}

@test "a limit without a cgroup is an error" {
    config '.linux.resources = {pids: {limit: 5}}'
    program true
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"limits need a cgroup"* ]]
}

@test "without a user namespace the error says what is missing" {
    config '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings)'
    program true
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"without privilege and without a user namespace"* ]]
}

@test "a container of an ordinary user can tell a service manager that it is ready" {
    cp "$MOSS_BUILD/helpers/notify" "$bundle/rootfs/bin/"
    timeout 300 "$MOSS_BUILD/helpers/notify" --listen "$BATS_TEST_TMPDIR/manager" >"$BATS_TEST_TMPDIR/told" 3>&- &
    manager=$!
    await_file "$BATS_TEST_TMPDIR/manager"
    chmod 666 "$BATS_TEST_TMPDIR/manager"
    script 'notify READY=1 && exec sleep 1000'
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/manager create_container
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/manager moss start "$id"
    grep -qx "MAINPID=$(moss state "$id" | jq .pid)" "$BATS_TEST_TMPDIR/told"
    kill "$manager"
}
