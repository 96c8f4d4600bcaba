#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats assigns stderr
# moss daemon: reads sessions by itself, serves the control socket of each agent, and lets nobody do more there than ask.

bats_require_minimum_version 1.5.0
load ../lib/agent

setup() {
    PATH=$MOSS_BUILD:$PATH
    export MOSS_STORE=$BATS_TEST_TMPDIR/store MOSS_RUN=$BATS_TEST_TMPDIR/run
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir source root
    clerk=$MOSS_STORE/agents/clerk
    control=$MOSS_RUN/clerk/control
    make_agent clerk
}

teardown() {
    for pid in ${daemon:-} ${shim:-} ${held:-}; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

python() {
    /usr/bin/python3 -B -E "$@"
}

# An agent that was added and never started; it appears as a whole.
make_agent() { # NAME
    local dir=$MOSS_STORE/agents/.$1.new
    mkdir -p "$dir/epochs/0/sessions"
    agent_json "$PWD" | sed "s|\"name\": \"clerk\"|\"name\": \"$1\"|" >"$dir/agent.json"
    printf '{"generation":"%064d","epoch":0}\n' 0 >"$dir/initial.json"
    mv "$dir" "$MOSS_STORE/agents/$1"
}

# complain DIR N: a session in which the user complains.
complain() {
    python - "$1" "$2" <<'PY'
import json, sys
directory, n = sys.argv[1], int(sys.argv[2])
with open(f"{directory}/s{n:04}.jsonl", "a") as f:
    for i, (kind, text) in enumerate([("user", f"Convert {n} miles"), ("assistant", "No."),
                                      ("user", f"That is wrong. I expected: {n * 1.609:.2f} km"), ("assistant", "Sorry.")]):
        f.write(json.dumps({"v": 1, "seq": n * 10 + i, "user": "u", "session": f"s{n:04}", "type": kind, "text": text}) + "\n")
PY
}

# A daemon that is ready: it has told so as systemd wants to be told.
start_daemon() { # OPTION…
    local notify=$BATS_TEST_TMPDIR/notify
    rm -f "$notify"
    python - "$notify" 3>&- <<'PY' >ready &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(s.recv(100).decode(), flush=True)
PY
    local listener=$!
    until [ -S "$notify" ]; do
        kill -0 $listener
        sleep 0.01
    done
    NOTIFY_SOCKET=$notify moss daemon "$@" 2>daemon.log 3>&- &
    daemon=$!
    wait $listener
    [ "$(cat ready)" = READY=1 ]
    wait_for -S "$control/control.sock"
}

wait_for() { # TEST…
    until [ "$@" ]; do
        kill -0 "$daemon"
        sleep 0.01
    done
}

stop_daemon() {
    kill -TERM "$daemon"
    wait "$daemon"
    daemon=
}

# ask REQUEST…: each in a packet over one connection, as the user $as; prints the answers. Connects from within the directory, as an agent does that has nothing else of it.
ask() {
    python - "$control" "${as:-0}" "$@" <<'PY'
import os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
s.connect("control.sock")
for request in sys.argv[3:]:
    try:
        s.send(request.encode())
    except BrokenPipeError:
        pass                        # turned away: the answer says why
    answer = s.recv(1 << 20).decode()
    print(answer or "closed")
PY
}

settings() { # AGENT FILTER
    jq "$2" "$MOSS_STORE/agents/$1/agent.json" >settings.json
    mv settings.json "$MOSS_STORE/agents/$1/agent.json"
}

field() { # FILTER on the output
    jq -r "$1" <<<"$output"
}

chunks() {
    find "$MOSS_STORE/agents/$1/evidence/chunks" -name '*.json' 2>/dev/null | wc -l
}

@test "once reads what is new of every agent, and one that is broken holds up no other" {
    make_agent broken
    make_agent zoe
    echo '{' >"$MOSS_STORE/agents/broken/agent.json"
    complain "$clerk/epochs/0/sessions" 1
    complain "$MOSS_STORE/agents/zoe/epochs/0/sessions" 1
    run -1 --separate-stderr moss daemon --once --json
    [ "$(field '.clerk.new_chunks, .zoe.new_chunks')" = $'1\n1' ]
    [[ "$(field .broken.error)" == *agent.json* ]]
    [[ "$stderr" == "moss: broken: "* ]]
    rm -r "$MOSS_STORE/agents/broken"
    run -0 moss daemon --once
    [ "$output" = $'clerk: 0 new complaints\nzoe: 0 new complaints' ]
}

@test "sessions are read at once and then every interval" {
    complain "$clerk/epochs/0/sessions" 1
    start_daemon --interval 1
    until [ "$(chunks clerk)" -eq 1 ]; do sleep 0.02; kill -0 "$daemon"; done
    complain "$clerk/epochs/0/sessions" 2
    until [ "$(chunks clerk)" -eq 2 ]; do sleep 0.02; kill -0 "$daemon"; done
    stop_daemon
    grep -qx 'moss: clerk: 1 new complaints' daemon.log
}

@test "an agent that is added is served, one that is removed is not, and both without a restart" {
    start_daemon
    make_agent zoe
    wait_for -S "$MOSS_RUN/zoe/control/control.sock"
    run -0 ask '{"op":"status"}'
    moss agent remove zoe --force
    until [ ! -e "$MOSS_RUN/zoe/control/control.sock" ]; do sleep 0.02; kill -0 "$daemon"; done
    run -0 ask '{"op":"status"}'
    [ "$(field .ok)" = true ]
}

@test "SIGTERM ends it and its workers and takes the sockets away" {
    start_daemon
    worker=$(pgrep -P "$daemon")
    stop_daemon
    run ! kill -0 "$worker"
    [ ! -e "$control/control.sock" ]
}

@test "a worker that is killed is replaced" {
    start_daemon
    worker=$(pgrep -P "$daemon")
    kill -KILL "$worker"
    until new=$(pgrep -P "$daemon") && [ "$new" != "$worker" ]; do sleep 0.02; kill -0 "$daemon"; done
    until run ask '{"op":"status"}' && [ "$status" -eq 0 ]; do sleep 0.02; kill -0 "$daemon"; done
    [ "$(field .ok)" = true ]
    grep -q 'clerk: the worker was killed by signal 9' daemon.log
}

@test "when the daemon is killed its workers end, and the next daemon starts" {
    start_daemon
    worker=$(pgrep -P "$daemon")
    kill -KILL "$daemon"
    wait "$daemon" || true
    until ! kill -0 "$worker" 2>/dev/null; do sleep 0.02; done
    start_daemon
    run -0 ask '{"op":"status"}'
}

@test "there is one daemon for a store, and one for a run directory" {
    start_daemon
    run -1 moss daemon
    [[ "$output" == *"a moss daemon runs for this store already"* ]]
    mkdir -p "$BATS_TEST_TMPDIR/other/agents"
    cp -r "$clerk" "$BATS_TEST_TMPDIR/other/agents/"
    MOSS_STORE=$BATS_TEST_TMPDIR/other moss daemon 2>other.log 3>&- &
    held=$!
    until grep -q 'another moss daemon listens there' other.log; do sleep 0.02; kill -0 $held; done
    kill $held
    wait $held
    held=
    run -0 ask '{"op":"status"}'
}

@test "wrong usage is said" {
    run -2 moss daemon --interval 0
    run -2 moss daemon --interval 1x
    run -2 moss daemon clerk
    run -2 moss daemon --json
    run -0 moss daemon --help
}

@test "status, batches, flag and request are answered" {
    complain "$clerk/epochs/0/sessions" 1
    complain "$clerk/epochs/0/sessions" 2
    start_daemon
    until [ "$(chunks clerk)" -eq 2 ]; do sleep 0.02; kill -0 "$daemon"; done
    run -0 ask '{"op":"status"}'
    [ "$(field '"\(.ok) \(.agent) \(.running) \(.evolution) \(.wish)"')" = "true clerk false null null" ]
    run -0 ask '{"op":"flag","session":"s0001","turn":1,"expect":"1.61"}'
    [ "$(field .ok)" = true ]
    [ "$(chunks clerk)" -eq 3 ]
    run -0 ask '{"op":"flag","session":"s0001","turn":1,"expect":"1.61"}'
    [[ "$(field .error)" == *"was flagged like this before" ]]
    run -0 ask '{"op":"batches"}'
    [ "$(field '.batches[] | "\(.id) \(.state) \(.chunks)"')" = "b-0001 open 3" ]
    run -0 ask '{"op":"request"}'
    [ "$(field '"\(.wish.batch) \(.wish.by)"')" = "b-0001 operator" ]
    run -0 moss evo status
    [[ "$output" == *"asked for    b-0001, by the operator,"* ]]
    run -0 ask '{"op":"request","batch":"b-0007"}'
    [ "$(field .error)" = 'there is no batch "b-0007"' ]
}

@test "a request starts nothing" {
    complain "$clerk/epochs/0/sessions" 1
    start_daemon
    until [ "$(chunks clerk)" -eq 1 ]; do sleep 0.02; kill -0 "$daemon"; done
    run -0 ask '{"op":"request","batch":"b-0001"}' '{"op":"status"}'
    [ "$(jq -s '.[1].running' <<<"$output")" = false ]
    [ ! -e "$clerk/batches/b-0001" ]
    [ ! -e "$clerk/evolution.lock" ]
}

@test "what would do more than ask is no operation" {
    start_daemon
    for op in start restart stop apply consent swap rollback catch-up; do
        run -0 ask "{\"op\":\"$op\",\"batch\":\"b-0001\",\"command\":[\"/bin/true\"]}"
        [[ "$(field .error)" == *"must be status, batches, flag or request" ]]
    done
    run -0 ask '{"op":"request","command":["/bin/touch","/tmp/x"]}'
    [[ "$(field .error)" == *"command"* ]]
}

@test "malformed and oversized packets get one clear error each" {
    start_daemon
    for bad in '{' '[]' '"status"' '{}' '{"op":7}' '{"op":"status","op":"flag"}' '{"op":"flag"}' '{"op":"flag","session":"s","turn":0}' \
        '{"op":"flag","session":"s","expect":""}' '{"op":"status"}{"op":"status"}'; do
        run -0 ask "$bad" '{"op":"status"}'
        [ "$(jq -s -r 'map(.ok) | @csv' <<<"$output")" = false,true ] || { echo "$bad: $output"; return 1; }
    done
    run -0 ask "{\"op\":\"flag\",\"session\":\"$(printf '%070000d' 0)\"}" '{"op":"status"}'
    [ "${lines[0]}" = '{"error":"request: has more than 65536 bytes","ok":false}' ]
    [ "${lines[1]}" = closed ]
    run -0 ask "$(printf '[%.0s' {1..60000})" '{"op":"status"}'
    [ "$(jq -s -r 'map(.ok) | @csv' <<<"$output")" = false,true ]
}

@test "the seventeenth client is turned away, silent ones are cut off, and then there is room" {
    start_daemon
    python - "$control" <<'PY'
import json, os, socket, sys, time
os.chdir(sys.argv[1])
def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect("control.sock")
    return s
silent = [connect() for _ in range(16)]
last = connect()
assert json.loads(last.recv(65536))["error"] == "there are 16 clients already"
assert last.recv(65536) == b""
for s in silent:
    assert json.loads(s.recv(65536))["error"] == "there was no request for 5 seconds"
    assert s.recv(65536) == b""
s = connect()
s.send(b'{"op":"status"}')
assert json.loads(s.recv(65536))["ok"]
PY
}

@test "a client that does not read its answers is dropped" {
    start_daemon
    python - "$control" <<'PY'
import os, socket, sys
os.chdir(sys.argv[1])
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect("control.sock")
try:
    for _ in range(100000):
        s.send(b'{"op":"nothing of the kind"}')
    raise SystemExit("was never dropped")
except (BrokenPipeError, ConnectionResetError):
    pass
PY
    run -0 ask '{"op":"status"}'
}

@test "a stranger is turned away, and so is the agent unless its settings let it in" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be other users"
    chmod 0755 "$BATS_TEST_TMPDIR"
    start_daemon
    as=1000 run ! ask '{"op":"status"}'
    agent_play_shim
    settings clerk '.control = true'
    until [ "$(stat -c %a "$control/control.sock")" = 666 ]; do sleep 0.02; kill -0 "$daemon"; done
    as=1000 run -0 ask '{"op":"status"}'
    [ "$(field .ok)" = true ]
    as=1001 run -0 ask '{"op":"status"}'
    [ "$(field .error)" = "this socket is the operator's and the agent's" ]
    settings clerk '.control = false'
    until [ "$(stat -c %a "$control/control.sock")" = 600 ]; do sleep 0.02; kill -0 "$daemon"; done
    as=1000 run ! ask '{"op":"status"}'
}

@test "an agent that nobody keeps is nobody" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be other users"
    settings clerk '.control = true'
    start_daemon
    until [ "$(stat -c %a "$control/control.sock")" = 666 ]; do sleep 0.02; kill -0 "$daemon"; done
    as=1000 run -0 ask '{"op":"status"}'
    [ "$(field .error)" = "this socket is the operator's and the agent's" ]
}

@test "what the agent asks for is said to be the agent's, and it may not ask without end" {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to be other users"
    complain "$clerk/epochs/0/sessions" 1
    settings clerk '.control = true'
    start_daemon
    until [ "$(chunks clerk)" -eq 1 ]; do sleep 0.02; kill -0 "$daemon"; done
    agent_play_shim
    as=1000 run -0 ask '{"op":"request"}'
    [ "$(field .wish.by)" = agent ]
    requests=()
    for _ in {1..40}; do requests+=('{"op":"status"}'); done
    as=1000 run -0 ask "${requests[@]}"
    [[ "${lines[-1]}" == *"too many requests: ask again in"* ]]
    run -0 ask "${requests[@]}"
    [ "$(jq -s 'map(select(.ok)) | length' <<<"$output")" -eq 40 ]
}

@test "settings that are broken change nothing, and that is said" {
    start_daemon
    cp "$clerk/agent.json" good.json
    echo '{' >bad.json
    mv bad.json "$clerk/agent.json"
    until grep -q 'clerk: agent clerk: agent.json' daemon.log; do sleep 0.02; kill -0 "$daemon"; done
    run -0 ask '{"op":"status"}'
    [ "$(field .ok)" = true ]
}
