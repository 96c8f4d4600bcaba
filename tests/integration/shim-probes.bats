#!/usr/bin/env bats
# Probes of a kept agent: each kind, each way to cheat, what is kept of them, and the drain.

bats_require_minimum_version 1.5.0
load shim/lib

setup() {
    PROGRAM=probed.py
    shim_setup
    # Times that no good agent needs: a bad candidate is seen to be one, and rolled back.
    with --argjson port "$PORT" '
        .run.command = ["/usr/bin/python3", "-S", "-E", "/opt/server.py"]
        | .probes = {readinessProbe: {httpGet: {port: $port, path: "/readyz"}, successThreshold: 1}}
        | .gate = {minReadySeconds: 0, gateTimeoutSeconds: 60, drainTimeoutSeconds: 10, swapBudgetSeconds: 100, bakeSeconds: 1}'
}
teardown() {
    [ -z "${STUB:-}" ] || kill "$STUB" 2>/dev/null || true
    shim_teardown
}

begins_with() { echo "{\"generation\":\"$(generation "$1")\",\"epoch\":0}" >"$AGENT/initial.json"; }
# starts MODE: the agent starts with this generation.
starts() {
    begins_with "$1"
    shim start "$NAME"
}
last() { shim probes "$NAME" --json 2>/dev/null | jq -r ".[] | select(.name == \"$1\").results[0].$2"; }
# waits_for COMMAND…: until it succeeds, for a minute at most.
waits_for() {
    local end=$((SECONDS + 60))
    until "$@"; do
        [ $SECONDS -lt $end ]
        sleep 0.05
    done
}
is_last() { [ "$(last "$1" "$2")" = "$3" ]; }
# tries MODE: this generation is swapped in without a rehearsal; the answer comes into the file "answer".
tries() {
    shim swap "$NAME" "$(generation "$1")" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    SWAPPER=$!
    waits_for is_state state TRYING
}
is_state() { [ "$(state "$1")" = "$2" ]; }
gives_up() {
    shim rollback "$NAME" >/dev/null || [ $? = 3 ]
    wait "$SWAPPER" || [ $? = 3 ]
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = rolled_back ]
    [ "$(state state)" = STEADY ]
}
# refused MODE PROBE WHY: for that this probe of the candidate fails.
refused() {
    tries "$1"
    waits_for is_last "$2" why "$3"
    gives_up
    [ "$(jq -r '.probe | "\(.name): \(.why)"' "$BATS_TEST_TMPDIR/answer")" = "$2: $3" ]
}
# never_ready MODE PROBE WHY: an agent of this generation does not become ready for that.
never_ready() {
    begins_with "$1"
    shim start "$NAME" >/dev/null 2>&1 3>&- &
    waits_for is_last "$2" why "$3"
    [ "$(state ready)" = false ]
    shim stop "$NAME"
    wait $! || true
}

@test "an answer whose body comes behind its head is waited for and kept whole" {
    with '.probes.readinessProbe.httpGet.contains = "padding"'
    starts late-body
    [ "$(last readinessProbe output | jq -r .padding | wc -c)" = 101 ]
    # Also by a probe that does not look at it.
    shim stop "$NAME"
    with 'del(.probes.readinessProbe.httpGet.contains)'
    shim start "$NAME"
    [ "$(last readinessProbe output | jq -r .padding | wc -c)" = 101 ]
}

@test "answers that are slow, endless or all head do not hold up the shim, and fail" {
    with '.probes.readinessProbe.httpGet.contains = "nonce"'
    starts ''
    refused slow-body readinessProbe 'no whole answer within 1 s'
    refused long-head readinessProbe 'a head of more than 8192 bytes'
    refused endless-body readinessProbe 'a body of more than 10240 bytes'
}

@test "what a probe was answered is kept, shown, and in the record of the swap" {
    starts ''
    [ "$(state 'probes[0] | "\(.name) \(.ok)"')" = 'readinessProbe true' ]
    [[ $(shim probes "$NAME") == readinessProbe*"  passed, "*"    | {\"nonce\": "* ]]
    [[ $(shim status "$NAME") == *"probe       readinessProbe: passes"* ]]
    refused refuses readinessProbe 'HTTP status 503'
    [ "$(tail -n 1 "$AGENT/swaps.jsonl" | jq -r .probe.output)" = 'the model is not loaded??' ]
}

@test "a UNIX socket of the container is reached by its path, and through no link that leads out" {
    with '.probes.readinessProbe.httpGet = {host: "unix:/state/agent.sock", path: "/readyz", jsonBody: {nonce: "$MOSS_NONCE"}}'
    starts ''
    shim swap "$NAME" "$(generation other)"
    # A server of the host's at the end of a link in the state answers nobody.
    shim stop "$NAME"
    with '.probes.readinessProbe.httpGet = {host: "unix:/state/link/stub.sock"}'
    ln -s "$BATS_TEST_TMPDIR" "$AGENT/epochs/$(jq .cur.epoch "$AGENT/head.json")/link"
    python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(600)' \
        "$BATS_TEST_TMPDIR/stub.sock" 3>&- &
    STUB=$!
    waits_for test -S "$BATS_TEST_TMPDIR/stub.sock"
    shim start "$NAME" >/dev/null 2>&1 3>&- &
    waits_for is_last readinessProbe why '/state/link/stub.sock: Invalid cross-device link'
    shim stop "$NAME"
    wait $! || true
}

# A server of the host's on the agent's port.
start_stub() {
    python3 - "$PORT" <<'END' 3>&- &
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
END
    STUB=$!
    waits_for curl -s -o /dev/null "http://127.0.0.1:$PORT"
}

@test "who answers on the agent's port but is none of its processes does not pass for it" {
    start_stub
    never_ready idle readinessProbe 'the answer is not from a process of the agent'
    with --argjson port "$PORT" '.probes.readinessProbe |= (del(.httpGet) | .tcpSocket = {port: $port})'
    never_ready idle readinessProbe 'no process of the agent listens there'
}

@test "a socket that is held for the next incarnation passes no probe before that listens" {
    with --argjson port "$PORT" '.probes.readinessProbe |= (del(.httpGet) | .tcpSocket = {port: $port})'
    starts ''
    refused idle readinessProbe 'no process of the agent listens there'
}

@test "a server that an exec probe leaves behind is ended with it and passes nothing" {
    with '.probes.startupProbe = {exec: {command: ["/usr/bin/busybox", "sh", "-c",
        "setsid /usr/bin/python3 -S -E /opt/server.py serve & exec /usr/bin/python3 -S -E /opt/server.py knock"]}, timeoutSeconds: 20, failureThreshold: 40}'
    never_ready idle readinessProbe 'connect: Connection refused'
}

@test "an exec probe is killed with all it started when its time is over, and its output is kept" {
    long=$((3000000 + PORT)) # which only this test sleeps
    with --arg long "$long" '.probes.livenessProbe = {exec: {command: ["/usr/bin/busybox", "sh", "-c",
        "echo before; setsid sleep \($long) & sleep \($long)"]}, periodSeconds: 3600, failureThreshold: 10} | .gate.bakeSeconds = 36001'
    starts ''
    waits_for is_last livenessProbe why 'no answer within 1 s'
    [ "$(last livenessProbe output)" = before ]
    run ! pgrep -f "^sleep $long"
}

@test "a probe whose program the candidate has removed fails with its name" {
    with '.probes = {startupProbe: .probes.readinessProbe, readinessProbe: {exec: {command: ["/opt/health"]}, successThreshold: 1}}'
    for mode in well no-health; do
        mkdir -p "$BATS_TEST_TMPDIR/layer-$mode/opt"
        printf '#!/usr/bin/busybox sh\necho fine\n' >"$BATS_TEST_TMPDIR/layer-$mode/opt/health"
        chmod 0755 "$BATS_TEST_TMPDIR/layer-$mode/opt/health"
        chmod 0777 "$BATS_TEST_TMPDIR/layer-$mode/opt"
    done
    starts well
    [ "$(last readinessProbe output)" = fine ]
    refused no-health readinessProbe 'cannot start /opt/health: /opt/health: No such file or directory'
}

@test "grpc: SERVING passes, and nothing else" {
    with --arg port "$(free_port)" '.run.env.GRPC_PORT = $port
        | .probes.readinessProbe |= (del(.httpGet) | .grpc = {port: ($port | tonumber), service: "probed"})'
    starts grpc=1
    shim swap "$NAME" "$(generation grpc=1,again)"
    refused grpc=2 readinessProbe 'the service is NOT_SERVING'
}

@test "acceptance checks are made of a candidate: a required one rolls back, a wanted one is noted" {
    with --argjson port "$PORT" '.probes.acceptance = [
        {name: "echoes", httpPost: {port: $port, path: "/echo", send: {b: 1, a: "x"}, body: "application/json, {\"a\":\"x\",\"b\":1}"}},
        {name: "is-ready", level: "wanted", httpGet: {host: "unix:/state/agent.sock", path: "/readyz", status: 200, contains: "cherry"}}]'
    starts ''
    [ "$(state 'probes | length')" = 1 ]
    shim swap "$NAME" "$(generation other)" --json >"$BATS_TEST_TMPDIR/answer"
    [ "$(jq -c '[.outcome, .unmet, .probe]' "$BATS_TEST_TMPDIR/answer")" = '["committed",["acceptance.is-ready: the body does not contain \"cherry\""],null]' ]
    shim stop "$NAME"
    with '.probes.acceptance[1].level = "required"'
    shim start "$NAME"
    for flag in --no-rehearsal --json; do
        run shim swap "$NAME" "$(generation third)" --json $flag
        [ "$status" = 3 ]
        [[ $output == *'acceptance.is-ready: the body does not contain \"cherry\"'* ]]
        [ "$(tail -n 1 "$AGENT/swaps.jsonl" | jq -r '.probe | .output | fromjson | .padding | length')" = 100 ]
    done
    [[ $output == *'"reason": "rehearsal: acceptance.is-ready: '* ]]
}

has_answered() { [ "$(state 'probes[] | select(.name == "readinessProbe").successes')" -ge 3 ]; }

@test "an agent that says READY=1 is waited for, and only its own word counts" {
    with '.probes.notify = true'
    starts ready
    [ "$(state says)" = serves ]
    shim swap "$NAME" "$(generation ready,again)"
    tries ''
    waits_for has_answered
    [ "$(state state)" = TRYING ]
    gives_up
    # The exec probe has the same socket, and another leaf.
    shim stop "$NAME"
    with '.probes.startupProbe = {exec: {command: ["/usr/bin/python3", "-S", "-E", "/opt/server.py", "say", "READY=1\nSTATUS=liar"]}, timeoutSeconds: 10, failureThreshold: 30}'
    shim start "$NAME"
    [ "$(state says)" = serves ]
    tries never
    waits_for has_answered
    [ "$(state state)" = TRYING ]
    [ "$(state says)" = '' ]
    gives_up
}

@test "READY=1 and then an exit is no success" {
    with '.probes.notify = true | .gate.minReadySeconds = 4'
    starts ready
    run shim swap "$NAME" "$(generation ready,ends)" --no-rehearsal --json
    [ "$status" = 3 ]
    [ "$(jq -r .reason <<<"$output")" = 'the agent has exited with status 3' ]
}

@test "a watchdog that falls silent in the bake rolls back" {
    with '.probes.watchdog = {timeoutSeconds: 5} | .gate.bakeSeconds = 60'
    starts heart
    run shim swap "$NAME" "$(generation heart-stops)" --no-rehearsal --json
    [ "$status" = 3 ]
    [ "$(jq -r .reason <<<"$output")" = 'watchdog: no WATCHDOG=1 for 5 s' ]
    [ "$(state state)" = STEADY ]
}

drained() { with --argjson port "$PORT" '.drain = {httpPost: {port: $port, path: "/drain", send: "now"}}'; }

@test "an agent is told to end by a message, asks for time, gets it, and its last words are in the state" {
    drained
    with '.probes.notify = true | .gate.drainTimeoutSeconds = 4'
    starts ready,deaf,slow-end
    shim swap "$NAME" "$(generation ready,other)" --no-rehearsal
    [ "$(cat "$AGENT/epochs/$(jq .cur.epoch "$AGENT/head.json")/drained")" = 'all of it' ]
    run ! grep 'has not ended' "$AGENT/log"
}

@test "no agent gets more time to end than the swap's budget has" {
    drained
    with '.probes.notify = true | .gate.drainTimeoutSeconds = 4 | .gate.swapBudgetSeconds = 81'
    starts ready,deaf,endless-end
    shim swap "$NAME" "$(generation ready,other)" --no-rehearsal
    grep 'the agent has not ended [6-9]\.[0-9] s after it was told to' "$AGENT/log"
}

@test "an agent that does not take the message gets the signal" {
    with --argjson port "$(free_port)" '.drain = {httpPost: {port: $port, path: "/drain"}}'
    starts ''
    shim stop "$NAME"
    run ! grep 'has not ended' "$AGENT/log"
}

# What it waits in when it is looked at, and nothing else for two seconds.
is_at_rest() {
    timeout 2 strace -f -o "$BATS_TEST_TMPDIR/trace" -p "$1" 2>/dev/null
    [ "$(grep -cv 'resumed\|detached' "$BATS_TEST_TMPDIR/trace")" -le 1 ]
}

@test "nothing wakes the shim but its probes" {
    with '.probes.readinessProbe += {periodSeconds: 3600} | .gate.gateTimeoutSeconds = 4000 | .gate.swapBudgetSeconds = 5000 | .probes.notify = true'
    starts ready
    waits_for is_at_rest "$(pgrep -f "^$MOSS_BUILD/moss-shim start $NAME\$")"
}
