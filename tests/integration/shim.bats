#!/usr/bin/env bats
# A kept agent, and the swap of its generation: what clients see, what the state is, what is left.

bats_require_minimum_version 1.5.0
load shim/lib
load shim/load

init_pid() { cat "$(find /sys/fs/cgroup -path "*kept-$NAME-*/init/cgroup.procs" | head -n 1)"; }

@test "an agent is started, asked, stopped, and leaves nothing" {
    shim start "$NAME"
    [ "$(state state)" = STEADY ]
    [ "$(state ready)" = true ]
    [ "$(get /count | jq .counter)" = 1 ]
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"is running already"* ]]
    pid=$(state pid)
    [ "$(awk '/^CapBnd/ {print $2}' "/proc/$pid/status")" = 0000000000000000 ]
    [ "$(awk '/^NoNewPrivs/ {print $2}' "/proc/$pid/status")" = 1 ]
    [ "$(awk '/^Uid/ {print $2}' "/proc/$pid/status")" -gt 65536 ]
    [ "$(stat -c %u "$AGENT/epochs/0/counter")" = 1000 ]
    # Its root is its own to write, and gone with it.
    [ "$(get /attempts | jq -r '.attempts["write /tmp"]')" = done ]
    [ "$(stat -c %u "/proc/$pid/root/tmp/f")" = "$(awk '/^Uid/ {print $2}' "/proc/$pid/status")" ]
    shim stop "$NAME"
    [ ! -e "/proc/$pid" ]
    run shim status "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"is not running"* ]]
}

@test "a good generation is swapped in under load: nobody is refused, PID 1 stays, the state goes along" {
    next=$(generation good2)
    shim start "$NAME"
    start_load
    init=$(init_pid)
    shim swap "$NAME" "$next" --json >"$BATS_TEST_TMPDIR/answer"
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = committed ]
    [ "$(jq -r .rehearsed "$BATS_TEST_TMPDIR/answer")" = true ]
    stop_load
    echo "# pause $(jq .pause_usec "$BATS_TEST_TMPDIR/answer") us" >&3
    [ "$refused" = 0 ]
    [ "$(state generation)" = "$next" ]
    [ "$(get /count | jq -r .mode)" = good2 ]
    [ "$(get /count | jq .counter)" -ge "$answered" ]
    [ "$(init_pid)" = "$init" ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 1 ]

    # And back, by the operator.
    run -0 shim rollback "$NAME" --json
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 2 ]
}

@test "a bad candidate is refused by its rehearsal: the users notice nothing" {
    shim start "$NAME"
    pid=$(state pid)
    for mode in exits never-ready corrupts; do
        get /count
        run shim swap "$NAME" "$(generation $mode)" --json
        [ "$status" = 3 ]
        [[ $output == *'"outcome": "rolled_back"'* ]]
        [[ $output == *'rehearsal: '* ]]
        [[ $output == *'"pause_usec": null'* ]]
    done
    [ "$(state pid)" = "$pid" ]
    [ "$(get /count | jq .counter)" = 4 ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 3 ]
    [ "$(ls "$AGENT/epochs")" = 0 ]
}

@test "a candidate that ends at once, is never ready, or spoils the state is rolled back by itself" {
    shim start "$NAME"
    start_load
    for mode in exits never-ready; do
        before=$(get /count | jq .counter)
        run shim swap "$NAME" "$(generation $mode)" --no-rehearsal --json
        [ "$status" = 3 ]
        [[ $output == *'"outcome": "rolled_back"'* ]]
        [ "$(state generation)" = "$GOOD" ]
        [ "$(get /count | jq .counter)" -gt "$before" ]
    done
    stop_load
    [ "$refused" = 0 ]
    [ "$(state state)" = STEADY ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 2 ]
}

@test "a candidate that sickens or crashes in its bake is rolled back with what clients wrote" {
    shim start "$NAME"
    get /count
    for mode in sickens crashes; do
        shim swap "$NAME" "$(generation $mode)" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>"$BATS_TEST_TMPDIR/error" 3>&- &
        swapper=$!
        until [ "$(state state)" = SERVING ]; do sleep 0.05; done
        before=$(get /count | jq .counter)
        wait "$swapper" || true
        [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = rolled_back ]
        [ "$(get /count | jq -r .mode)" = good ]
        [ "$(get /count | jq .counter)" -gt "$before" ]
    done
}

@test "a candidate may end as often in its bake as is allowed, and is rolled back the next time" {
    with '.gate.bakeSeconds = 600 | .gate.bakeMaxRestarts = 1'
    shim start "$NAME"
    shim swap "$NAME" "$(generation good2)" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>"$BATS_TEST_TMPDIR/error" 3>&- &
    swapper=$!
    until [ "$(state state)" = SERVING ]; do sleep 0.05; done
    pid=$(state pid)
    kill -9 "$pid"
    until [ "$(state ready)" = true ] && [ "$(state pid)" != "$pid" ]; do sleep 0.05; done
    [ "$(state state)" = SERVING ]
    [ "$(get /healthz | jq -r .mode)" = good2 ]
    kill -9 "$(state pid)"
    wait "$swapper" || true
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = rolled_back ]
    [ "$(get /healthz | jq -r .mode)" = good ]
}

@test "an agent that ignores SIGTERM is drained all the same" {
    shim start "$NAME"
    shim swap "$NAME" "$(generation stubborn)"
    shim swap "$NAME" "$(generation good3)"
    [ "$(get /count | jq -r .mode)" = good3 ]
}

@test "an agent that is killed is started again, and nobody is refused meanwhile" {
    shim start "$NAME"
    start_load
    for _ in 1 2 3; do
        pid=$(state pid)
        kill -9 "$pid"
        until [ "$(state pid)" != "$pid" ] && [ "$(state ready)" = true ]; do sleep 0.05; done
    done
    stop_load
    [ "$refused" = 0 ]
    [ "$answered" -gt 0 ]
    [ "$(state restarts)" = 3 ]
}

@test "a shim that is killed leaves the agent serving, and the next one takes over the container" {
    shim start "$NAME"
    get /count
    start_load
    pid=$(pgrep -f "^$MOSS_BUILD/moss-shim start $NAME\$")
    kill -9 $pid
    [ "$(get /count | jq -r .mode)" = good ]
    shim start "$NAME"
    [ "$(state ready)" = true ]
    shim swap "$NAME" "$(generation good2)"
    kill -9 $(pgrep -f "^$MOSS_BUILD/moss-shim start $NAME\$")
    shim start "$NAME"
    stop_load
    [ "$refused" = 0 ]
    [ "$(get /count | jq -r .mode)" = good2 ]
}

@test "a shim that is killed in the middle of a swap comes back to a generation that works" {
    shim start "$NAME"
    get /count
    for state in PREPARED TRYING SERVING; do
        flag=
        [ $state = PREPARED ] || flag=--no-rehearsal
        mode=good-$state
        [ $state = PREPARED ] || mode=sickens
        [ $state != TRYING ] || mode=never-ready
        shim swap "$NAME" "$(generation $mode)" $flag --json >/dev/null 2>&1 3>&- &
        until [ "$(state state)" = $state ]; do sleep 0.02; done
        kill -9 $(pgrep -f "^$MOSS_BUILD/moss-shim start $NAME\$")
        wait $! || true
        shim start "$NAME"
        until [ "$(state state)" = STEADY ]; do sleep 0.05; done
        [ "$(get /count | jq -r .mode)" = good ]
    done
    [ "$(jq -r .outcome "$AGENT/swaps.jsonl" | sort -u)" = rolled_back ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 3 ]
    [ "$(get /count | jq .counter)" -ge 5 ]
}

@test "a port that somebody else has is said to be taken" {
    python3 -c "import socket,time; s=socket.socket(); s.bind(('127.0.0.1', $PORT)); s.listen(); time.sleep(60)" 3>&- &
    taker=$!
    until ss -ltn 2>/dev/null | grep -q ":$PORT" || python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT))" 2>/dev/null; do sleep 0.05; done
    run shim start "$NAME"
    kill $taker
    [ "$status" = 1 ]
    [[ $output == *"does not become ready"* ]]
    [[ $(shim logs "$NAME") == *"Address already in use"* ]]
}

@test "with a network of its own nothing of the container is seen outside, and the probes reach it" {
    sed -i 's/"mode": "host"/"mode": "none"/' "$AGENT/agent.json"
    shim start "$NAME"
    [ "$(state ready)" = true ]
    run ! get /count
    shim swap "$NAME" "$(generation good2)"
    [ "$(state ready)" = true ]
}

@test "a damaged head is refused, never guessed" {
    shim start "$NAME"
    shim stop "$NAME"
    sed -i 's/"epoch": 0/"epoch": 1/' "$AGENT/head.json"
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"sha256"* ]]
}

@test "a full disk stops a swap, not the agent, and loses nothing" {
    shim_teardown
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=128m tmpfs "$BATS_TEST_TMPDIR/small"
    STORE_DIRECTORY=$BATS_TEST_TMPDIR/small
    shim_setup
    shim start "$NAME"
    get /count
    next=$(generation good2)
    head -c 2m /dev/zero >"$AGENT/epochs/0/ballast"
    dd if=/dev/zero of="$STORE_DIRECTORY/filler" bs=64k 2>/dev/null || true
    run shim swap "$NAME" "$next" --json --no-rehearsal
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"No space left"* ]]
    [ "$(state state)" = STEADY ]
    [ "$(get /healthz | jq -r .mode)" = good ]
    rm "$STORE_DIRECTORY/filler"
    [ "$(get /count | jq .counter)" -ge 2 ]
    until [ "$(state ready)" = true ]; do sleep 0.05; done
    shim swap "$NAME" "$next"
    [ "$(get /count | jq -r .mode)" = good2 ]
}

@test "a link of its own reaches the agent from outside, and goes with it" {
    sed -i -e 's|"mode": "host"|"mode": "veth", "address": "10.213.7.2/30"|' \
        -e "s/\"port\": $PORT/\"host\": \"10.213.7.2\", \"port\": $PORT/" \
        -e "s/\"PORT\": \"$PORT\"/\"PORT\": \"$PORT\", \"HOST\": \"0.0.0.0\"/" "$AGENT/agent.json"
    shim start "$NAME"
    curl -sS --max-time 5 "http://10.213.7.2:$PORT/count"
    shim swap "$NAME" "$(generation good2)"
    curl -sS --max-time 5 "http://10.213.7.2:$PORT/count" | grep good2
    shim stop "$NAME"
    run ! grep -q 10.213.7 /proc/net/fib_trie
}

needs_landlock() {
    [ "$(python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))')" -ge 6 ] || skip 'needs Landlock ABI 6'
}
attempts() { get /attempts | jq -r '.attempts | to_entries[] | "\(.key): \(.value)"'; }

@test "an agent with Landlock rules does only what they list, before and after a swap" {
    needs_landlock
    shim start "$NAME"
    [ "$(attempts | grep -c ': done$')" = 7 ]
    shim stop "$NAME"
    # The startup probe is under the same rules: it passes because it cannot write to /tmp.
    with --argjson port "$PORT" '.landlock = {write: ["/state"], execute: ["/usr"], bind: [$port], connect: [], scoped: true}
        | .probes.startupProbe = {exec: {command: ["/usr/bin/busybox", "sh", "-c", "! echo >/tmp/probe"]}, failureThreshold: 3}'
    shim start "$NAME"
    expected="write /state: done
write /tmp: EACCES
run /usr: done
run /state: EACCES
bind: EACCES
listen: EACCES
connect: EACCES"
    diff <(attempts) <(echo "$expected")
    get /count
    start_load
    shim swap "$NAME" "$(generation good2)" --json >"$BATS_TEST_TMPDIR/answer"
    [ "$(jq -r '"\(.outcome) \(.rehearsed)"' "$BATS_TEST_TMPDIR/answer")" = "committed true" ]
    stop_load
    [ "$refused" = 0 ]
    [ "$(get /count | jq -r .mode)" = good2 ]
    diff <(attempts) <(echo "$expected")
}

@test "a port that the Landlock rules do not list is not bound by the shim either" {
    needs_landlock
    with '.landlock = {bind: [1]}'
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $(shim logs "$NAME") == *"PermissionError: [Errno 13] Permission denied"* ]]
}

@test "a path of a Landlock rule that is missing, or that a candidate made a symbolic link, is refused by name" {
    needs_landlock
    with '.landlock = {write: ["/state", "/no/such/place"]}'
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"landlock.write: /no/such/place: No such file or directory"* ]]
    with '.landlock = {write: ["/state", "/tmp"]}'
    shim start "$NAME"
    mkdir -p "$BATS_TEST_TMPDIR/layer-sly"
    ln -s / "$BATS_TEST_TMPDIR/layer-sly/tmp"
    run shim swap "$NAME" "$(generation sly)" --json
    [ "$status" = 3 ]
    [[ $output == *"landlock.write: /tmp: is a symbolic link, name what it leads to"* ]]
    [ "$(get /count | jq -r .mode)" = good ]
}

# As the container's root.
in_shm() { nsenter --target "$(state pid)" --user --mount /usr/bin/python3 -S -c "import os; os.chdir('/dev/shm'); $1"; }
shm_device() { in_shm "print(os.stat('.').st_dev)"; }

@test "what one incarnation leaves in /dev/shm is not for the next, and a mount there that nobody has used stays" {
    shim start "$NAME"
    device=$(shm_device)
    shim swap "$NAME" "$(generation good2)" --no-rehearsal
    [ "$(shm_device)" = "$device" ]
    for leaves in "open('file', 'w')" "os.mkdir('directory')" "os.symlink('/', 'link')" "os.chmod('.', 0o700)"; do
        in_shm "$leaves"
        shim rollback "$NAME"
        [ "$(in_shm "s = os.stat('.'); print(os.listdir(), oct(s.st_mode), s.st_uid, s.st_gid)")" = '[] 0o41777 0 0' ]
        [ "$(shm_device)" != "$device" ]
        device=$(shm_device)
    done
}
