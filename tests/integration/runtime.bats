#!/usr/bin/env bats
# The life of a container: every verb of the OCI runtime.

bats_require_minimum_version 1.5.0
load ../lib/bundle

setup() {
    bundle_setup
}

teardown() {
    bundle_teardown
}

@test "run gives the program's output and exit code, and leaves nothing" {
    script 'echo out; echo err >&2; exit 7'
    run --separate-stderr moss run --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    run moss state "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"container does not exist"* ]]
}

@test "run passes standard input on" {
    program cat
    run moss run --bundle "$bundle" "$id" <<<"a line"
    [ "$status" -eq 0 ]
    [ "$output" = "a line" ]
}

@test "a program that a signal ends gives 128 and its number" {
    program sleep 1000
    "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null &
    await_file "$containers/$id/state.json"
    await moss kill "$id" KILL
    wait $! || code=$?
    [ "$code" -eq 137 ]
}

@test "create stops before the program, start runs it, kill ends it, delete removes it" {
    script 'touch /tmp/started; exec sleep 1000'
    create_container --pid-file "$BATS_TEST_TMPDIR/pid"
    [ "$(status)" = created ]
    [ ! -e "$bundle/rootfs/tmp/started" ]
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(moss state "$id" | jq .pid)" ]
    moss start "$id"
    [ "$(status)" = running ]
    await_file "$bundle/rootfs/tmp/started"
    run moss start "$id"
    [ "$status" -eq 1 ]
    run moss delete "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"not stopped"* ]]
    moss kill "$id" KILL
    await_status stopped
    [ "$(moss state "$id" | jq .pid)" = 0 ]
    run moss kill "$id" KILL
    [ "$status" -eq 1 ]
    [[ $output == *"container not running"* ]]
    moss delete "$id"
    run moss delete "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"container does not exist"* ]]
    moss delete --force "$id"
}

@test "a signal reaches the program, by name, by number and through run" {
    script 'trap "echo usr1; exit 3" USR1; touch /tmp/ready; while :; do sleep 0.01; done'
    "$runtime" --root "$containers" run --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" &
    await_file "$bundle/rootfs/tmp/ready"
    kill -USR1 $!
    wait $! || code=$?
    [ "$code" -eq 3 ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = usr1 ]
    rm "$bundle/rootfs/tmp/ready"
    create_container
    moss start "$id"
    await_file "$bundle/rootfs/tmp/ready"
    moss kill "$id" 10
    await_status stopped
    run moss kill "$id" NOSUCH
    [ "$status" -eq 1 ]
}

@test "a container without a process lives and ends as created, its start is refused and changes nothing" {
    config 'del(.process) | .annotations.kept = "no"'
    NOTIFY_SOCKET=/gone/nobody LISTEN_FDS=1 create_container 3</dev/null
    [ "$(moss state "$id" | jq -r '"\(.status) \(.annotations.kept)"')" = "created no" ]
    for _ in 1 2; do
        run moss start "$id"
        [ "$status" -eq 1 ]
        [ "$output" = "moss-runtime: cannot start container \"$id\": config.json: process: is missing" ]
        [ "$(status)" = created ]
    done
    jq -n '{args: ["hostname"], cwd: "/", user: {uid: 0, gid: 0}}' >"$BATS_TEST_TMPDIR/process.json"
    run moss exec --process "$BATS_TEST_TMPDIR/process.json" "$id"
    [ "$output" = "$(jq -r .hostname "$bundle/config.json")" ]
    run moss delete "$id"
    [ "$status" -eq 0 ]
    create_container
    moss kill "$id" KILL
    await_status stopped
    moss delete "$id"
}

@test "a container that waits to be started dies when it is deleted" {
    program sleep 1000
    create_container
    pid=$(moss state "$id" | jq .pid)
    moss delete "$id"
    [ ! -e "/proc/$pid" ] || [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = Z ]
}

@test "delete --force ends a running container with all its processes" {
    script 'sleep 1000 & sleep 1000 & touch /tmp/ready; wait'
    create_container
    moss start "$id"
    await_file "$bundle/rootfs/tmp/ready"
    mapfile -t pids < <(moss ps --format json "$id" | jq '.[]')
    [ "${#pids[@]}" -eq 3 ]
    moss delete --force "$id"
    for pid in "${pids[@]}"; do
        [ ! -e "/proc/$pid" ] || [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = Z ]
    done
}

@test "an id that is taken is refused and the first container is left alone" {
    program sleep 1000
    create_container
    run moss create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"already exists"* ]]
    [ "$(status)" = created ]
}

@test "list shows containers as a table, as JSON and as ids" {
    program sleep 1000
    create_container
    moss list | grep -q "^$id .*created"
    [ "$(moss list | head -n 1 | tr -s ' ')" = "ID PID STATUS BUNDLE CREATED OWNER" ]
    [ "$(moss list --format=json | wc -l)" -eq 1 ]
    [ "$(moss list --format=json | jq -c '.[0] | keys_unsorted')" = '["ociVersion","id","pid","status","bundle","rootfs","created","owner"]' ]
    [ "$(moss list --quiet)" = "$id" ]
    [ "$(moss list --format=json | jq -r '.[0].id')" = "$id" ]
}

@test "pause stops a container, resume lets it go on" {
    program sleep 1000
    create_container
    moss start "$id"
    moss pause "$id"
    [ "$(status)" = paused ]
    run moss exec "$id" true
    [ "$status" -eq 255 ]
    moss resume "$id"
    [ "$(status)" = running ]
    moss pause "$id"
    moss delete --force "$id"
}

@test "a cgroup that was frozen before takes no container, one that is frozen after lets go of it" {
    group=$(unified)/moss/$id
    program sleep 1000
    mkdir -p "$group"
    for verb in create "run --detach"; do
        echo 1 >"$group/cgroup.freeze"
        # shellcheck disable=SC2086
        run timeout 60 "$runtime" --root "$containers" $verb --bundle "$bundle" "$id" </dev/null
        [ "$status" -eq 1 ]
        [[ $output == *"container's cgroup unexpectedly frozen: /moss/$id" ]]
        [ -z "$(ls -A "$containers")" ]
        [ -d "$group" ] # it is not ours
        echo 0 >"$group/cgroup.freeze"
    done
    create_container
    echo 1 >"$group/cgroup.freeze"
    timeout 60 "$runtime" --root "$containers" delete --force "$id"
    [ ! -e "$group" ]
    # by somebody who froze all that is below
    config '.linux.cgroupsPath = "/moss/" + $id + "/below"' --arg id "$id"
    mkdir -p "$group/below"
    echo 1 >"$group/cgroup.freeze"
    refused "container's cgroup unexpectedly frozen: /moss/$id/below"
    rmdir "$group/below" "$group"
}

@test "a cgroup that others' processes are in takes a container, with a warning" {
    group=$(unified)/moss/$id
    mkdir -p "$group"
    sleep 1000 3>&- &
    echo "$!" >"$group/cgroup.procs"
    program echo ran
    run_container
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == *"warning: container's cgroup is not empty: "*"/moss/$id, too" ]]
    [ "${lines[1]}" = ran ]
    mkdir "$group"
    expect ran
}

@test "exec runs in the namespaces, root, cgroup and with the user of the container" {
    config '.hostname = "inside"'
    program sleep 1000
    create_container
    moss start "$id"
    pid=$(moss state "$id" | jq .pid)
    [ "$(moss exec "$id" hostname)" = inside ]
    for ns in pid mnt net ipc uts cgroup; do
        [ "$(moss exec "$id" readlink "/proc/self/ns/$ns")" = "$(readlink "/proc/$pid/ns/$ns")" ]
    done
    [ "$(moss exec "$id" cat /proc/self/cgroup | grep ^0::)" = "0::/" ]
    run moss exec "$id" sh -c 'exit 9'
    [ "$status" -eq 9 ]
    [ "$(moss exec --cwd /tmp "$id" pwd)" = /tmp ]
    [ "$(moss exec --env A=b "$id" sh -c 'echo $A')" = b ]
    [ "$(moss exec "$id" cat <<<input)" = input ]
    run moss exec "$id" nosuch
    [ "$status" -eq 255 ]
    [[ $output == *'executable file not found in $PATH'* ]]
}

@test "exec takes a process object, detaches, writes a pid file" {
    program sleep 1000
    create_container
    moss start "$id"
    jq '.process | .args = ["sh", "-c", "echo $X >/tmp/x; exec sleep 1000"] | .env += ["X=from-file"]' "$bundle/config.json" >"$BATS_TEST_TMPDIR/process.json"
    moss exec --process "$BATS_TEST_TMPDIR/process.json" --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$id" </dev/null >/dev/null
    [ -e "/proc/$(cat "$BATS_TEST_TMPDIR/pid")" ]
    await test -s "$bundle/rootfs/tmp/x"
    [ "$(cat "$bundle/rootfs/tmp/x")" = from-file ]
}

@test "hooks run in order, at their time, with the state on standard input" {
    cat >"$bundle/hook" <<END
#!/bin/sh
s=\$(cat)
echo "\$1 \$(echo "\$s" | jq -r '.status + " " + .id + " " + .bundle + " " + .annotations.a')" >>"$BATS_TEST_TMPDIR/hooks"
[ -z "\$FAIL" ] || { echo because >&2; exit 1; }
END
    chmod +x "$bundle/hook"
    printf '#!/bin/sh\ngrep -q created && echo startContainer >>/hooks\n' >"$bundle/rootfs/hook"
    chmod +x "$bundle/rootfs/hook"
    config '.annotations = {a: "note"} | reduce ("prestart", "createRuntime", "createContainer", "poststart", "poststop") as $k
        (.; .hooks[$k] = [{path: $path, args: ["hook", $k], env: [$env]}]) | .hooks.startContainer = [{path: "/hook"}]' \
        --arg path "$bundle/hook" --arg env "PATH=$PATH"
    script 'cat /hooks; exec sleep 1000'
    create_container
    [ "$(cat "$BATS_TEST_TMPDIR/hooks")" = "prestart creating $id $bundle note
createRuntime creating $id $bundle note
createContainer creating $id $bundle note" ]
    [ ! -e "$bundle/rootfs/hooks" ]
    moss start "$id"
    await grep -qx startContainer "$BATS_TEST_TMPDIR/out"
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/hooks")" = "poststart running $id $bundle note" ]
    moss delete --force "$id"
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/hooks")" = "poststop stopped $id $bundle note" ]
}

@test "a hook has the environment that it is given, else that of where it runs" {
    printf '#!/bin/sh\ncat >/dev/null\n[ -z "$OUT" ] || echo "$1 $WHOSE" >>"$OUT"\n' >"$bundle/hook"
    chmod +x "$bundle/hook"
    cp "$bundle/hook" "$bundle/rootfs/hook"
    config '.process.env += ["WHOSE=container", "OUT=/tmp/out"] | .hooks.startContainer = [{path: "/hook", args: ["hook", "inside"]}] |
        .hooks.createRuntime = [{path: $path, args: ["hook", "inherits"]}, {path: $path, args: ["hook", "none"], env: []},
            {path: $path, args: ["hook", "own"], env: ["WHOSE=hook", "OUT=" + $out]}]' --arg path "$bundle/hook" --arg out "$BATS_TEST_TMPDIR/hooks"
    script 'cat /tmp/out'
    WHOSE=caller OUT=$BATS_TEST_TMPDIR/hooks run_container
    [ "$output" = "inside container" ]
    [ "$(cat "$BATS_TEST_TMPDIR/hooks")" = "inherits caller
own hook" ]
}

@test "a hook that fails or takes too long ends the creation with its words" {
    printf '#!/bin/sh\necho because >&2\nexit 3\n' >"$bundle/hook"
    chmod +x "$bundle/hook"
    config '.hooks.createRuntime = [{path: $path}]' --arg path "$bundle/hook"
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"createRuntime hook $bundle/hook: exit status 3: because"* ]]
    printf '#!/bin/sh\nexec sleep 1000\n' >"$bundle/hook"
    config '.hooks.createRuntime[0].timeout = 1'
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"createRuntime hook"*"not done after"* ]]
}

@test "a poststart hook that fails stops the container, a poststop hook that fails stops nothing" {
    printf '#!/bin/sh\necho "$1" >>%s\n[ "$1" != bad ]\n' "$BATS_TEST_TMPDIR/hooks" >"$bundle/hook"
    chmod +x "$bundle/hook"
    config '.hooks.poststart = [{path: $path, args: ["hook", "first"]}, {path: $path, args: ["hook", "bad"]}, {path: $path, args: ["hook", "never"]}]' \
        --arg path "$bundle/hook"
    config '.hooks.poststop = [{path: $path, args: ["hook", "bad"]}, {path: $path, args: ["hook", "last"]}]' --arg path "$bundle/hook"
    program sleep 1000
    create_container
    run moss start "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"poststart hook $bundle/hook: exit status 1"* ]]
    [ "$(status)" = stopped ]
    run moss delete "$id"
    [ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/hooks")" = "first bad bad last " ]
    [ -z "$(moss list --quiet)" ]
}

@test "errors are one line, and one record in --log" {
    program nosuch
    run moss --log "$BATS_TEST_TMPDIR/log" --log-format json run --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(jq -r .level "$BATS_TEST_TMPDIR/log")" = error ]
    [[ $(jq -r .msg "$BATS_TEST_TMPDIR/log") == *'executable file not found in $PATH'* ]]
    program /no/such
    run_container
    [[ $output == *"no such file or directory"* ]]
    program /etc
    run_container
    [[ $output == *"permission denied"* ]]
    run moss run --bundle "$BATS_TEST_TMPDIR/nowhere" "$id"
    [ "$status" -eq 1 ]
    [[ $output == *"$BATS_TEST_TMPDIR/nowhere"* ]]
}

@test "a broken config.json is refused with the place in it" {
    config '.process.user.uid = -1'
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"config.json: process.user.uid: is -1"* ]]
    echo '{"ociVersion": ' >"$bundle/config.json"
    run_container
    [ "$status" -eq 1 ]
    [[ $output == *"config.json: line "* ]]
}

@test "a terminal goes to the console socket" {
    config '.process.terminal = true | .process.consoleSize = {height: 11, width: 77}'
    script 'tty; busybox stty size; test -c /dev/console && echo console'
    "$MOSS_BUILD/helpers/take-terminal" "$BATS_TEST_TMPDIR/socket" >"$BATS_TEST_TMPDIR/terminal" &
    await_file "$BATS_TEST_TMPDIR/socket"
    create_container --console-socket "$BATS_TEST_TMPDIR/socket"
    moss start "$id"
    wait $!
    [ "$(tr -d '\r' <"$BATS_TEST_TMPDIR/terminal")" = "/dev/pts/0
11 77
console" ]
    run moss create --bundle "$bundle" "$id.2" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == *"--console-socket"* ]]
}

@test "exec takes its process from what the caller has open" {
    script 'exec sleep 1000'
    create_container
    moss start "$id"
    run moss exec --process <(echo '{"args": ["echo", "from a pipe"], "cwd": "/", "env": ["PATH=/bin"]}') "$id" </dev/null
    [ "$output" = "from a pipe" ]
}

@test "run and exec attend to a terminal themselves" {
    config '.process.terminal = true'
    script 'tty; exit 5'
    run_container
    [ "$status" -eq 5 ]
    [ "$output" = /dev/pts/0 ]
    config '.process.terminal = false'
    program sleep 1000
    create_container
    moss start "$id"
    run moss exec --tty "$id" sh -c 'tty; exit 6' </dev/null
    [ "$status" -eq 6 ]
    [ "$output" = /dev/pts/0 ]
}

@test "preserved file descriptors reach the program, others do not" {
    script 'cat <&3; test ! -e /proc/self/fd/4'
    moss run --bundle "$bundle" --preserve-fds 1 "$id" </dev/null 3<<<"through three" 4<"$host/canary" >"$BATS_TEST_TMPDIR/out"
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = "through three" ]
    script 'cat <&5; for fd in 3 4 6; do test ! -e /proc/self/fd/$fd || echo $fd; done'
    moss run --bundle "$bundle" --preserve-fds 3 "$id" </dev/null 3>&- 4>&- 5<<<"through five" 6<"$host/canary" >"$BATS_TEST_TMPDIR/out"
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = "through five" ]
}

@test "what engines ask first: --version, features" {
    run "$runtime" --version
    [ "$status" -eq 0 ]
    [[ ${lines[0]} =~ ^moss-runtime\ version\ [0-9] ]]
    [[ ${lines[1]} =~ ^commit:\ [0-9a-f]+|unknown$ ]]
    [ "${lines[2]}" = "spec: 1.3.0" ]
    [[ ${lines[3]} =~ ^libseccomp:\ [0-9.]+$ ]]
    [ "$(moss features | jq -r '.linux.cgroup.v2, (.hooks | length)')" = "true
6" ]
}

@test "what is not supported is refused, not passed over" {
    program true
    [ -e /run/systemd/system ] || {
        run moss --systemd-cgroup create --bundle "$bundle" "$id"
        [ "$status" -eq 1 ]
        [[ $output == *"systemd does not run"* ]]
    }
    for change in '.linux.intelRdt = {closID: "x"}' '.process.apparmorProfile = "nosuch-profile"' \
        '.mounts += [{destination: "/x", type: "tmpfs", source: "x", options: ["idmap"]}]' '.linux.sysctl = {"vm.swappiness": "1"}'; do
        cp "$bundle/config.json" "$BATS_TEST_TMPDIR/good"
        config "$change"
        run_container
        [ "$status" -eq 1 ]
        cat "$BATS_TEST_TMPDIR/good" >"$bundle/config.json"
    done
}
