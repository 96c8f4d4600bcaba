#!/usr/bin/env bats
# Probes of a kept agent: each kind, each way to cheat, what is kept of them, and the drain.

bats_require_minimum_version 1.5.0
load shim/lib

setup_file() { shim_setup_file; }
setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    PROGRAM=probed.py
    shim_setup
    with --argjson port "$PORT" '
        .run.command = ["/usr/bin/python3", "-S", "-E", "/opt/server.py"]
        | .probes = {readinessProbe: {httpGet: {port: $port, path: "/readyz"}, successThreshold: 1}}
        | .gate = {minReadySeconds: 0, gateTimeoutSeconds: 10, drainTimeoutSeconds: 3, swapBudgetSeconds: 30, bakeSeconds: 1}'
}
teardown() {
    [ -z "${STUB:-}" ] || kill "$STUB" 2>/dev/null || true
    shim_teardown
}

# starts MODE: the agent starts with this generation.
starts() {
    echo "{\"generation\":\"$(generation "$1")\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
}
# refused MODE REASON: this generation is swapped in without a rehearsal, and rolled back for that. The record is $output.
refused() {
    run shim swap "$NAME" "$(generation "$1")" --no-rehearsal --json
    [ "$status" = 3 ]
    [ "$(jq -r .reason <<<"$output")" = "$2" ]
    [ "$(state state)" = STEADY ]
}
# A gate that a candidate which never becomes ready does not hold up for long.
short_gate() { with '.gate.gateTimeoutSeconds = 3'; }
last() { shim probes "$NAME" --json | jq -r ".[] | select(.name == \"$1\").results[0].$2"; }

@test "an answer whose body comes behind its head is waited for and kept whole" {
    with '.probes.readinessProbe.httpGet.contains = "padding"'
    starts late-body
    [ "$(last readinessProbe ok)" = true ]
    [ "$(last readinessProbe output | jq -r .padding | wc -c)" = 101 ]
    # Also by a probe that does not look at it.
    shim stop "$NAME"
    with 'del(.probes.readinessProbe.httpGet.contains)'
    shim start "$NAME"
    [ "$(last readinessProbe output | jq -r .padding | wc -c)" = 101 ]
}

@test "answers that are slow, endless or all head do not hold up the shim, and fail" {
    short_gate
    starts ''
    refused slow-body 'not ready after 3 s: no whole answer within 1 s'
    refused long-head 'not ready after 3 s: a head of more than 8192 bytes'
    with '.probes.readinessProbe.httpGet.contains = "nonce"'
    shim stop "$NAME"
    shim start "$NAME"
    refused endless-body 'not ready after 3 s: a body of more than 10240 bytes'
    [ "$(jq -r .probe.name <<<"$output")" = readinessProbe ]
}

@test "what a probe was answered is kept, shown, and in the record of the swap" {
    short_gate
    starts ''
    [ "$(state 'probes[0] | "\(.name) \(.ok)"')" = 'readinessProbe true' ]
    [ "$(shim probes "$NAME" --json | jq -r '.[0].results | length')" -ge 1 ]
    [[ $(shim probes "$NAME") == readinessProbe*"  passed, "*"    | {\"nonce\": "* ]]
    [[ $(shim status "$NAME") == *"probe       readinessProbe: passes"* ]]
    refused refuses 'not ready after 3 s: HTTP status 503'
    [ "$(jq -r '.probe | "\(.name): \(.why): \(.output)"' <<<"$output")" = 'readinessProbe: HTTP status 503: the model is not loaded??' ]
    [ "$(tail -n 1 "$AGENT/swaps.jsonl" | jq -r .probe.output)" = 'the model is not loaded??' ]
    run shim swap "$NAME" "$(generation refuses)" --json
    [ "$status" = 3 ]
    [ "$(jq -r '"\(.reason) | \(.probe.why)"' <<<"$output")" = 'rehearsal: not ready after 3 s: HTTP status 503 | HTTP status 503' ]
}

@test "a UNIX socket of the container is reached by its path, and through no link that leads out" {
    with '.probes.readinessProbe.httpGet = {host: "unix:/state/agent.sock", path: "/readyz", jsonBody: {nonce: "$MOSS_NONCE"}}'
    starts ''
    shim swap "$NAME" "$(generation other)"
    # A server of the host's at the end of a link in the state answers nobody.
    shim stop "$NAME"
    with --arg dir "$BATS_TEST_TMPDIR" '.probes.readinessProbe.httpGet = {host: "unix:/state/link/stub.sock"} | .gate.gateTimeoutSeconds = 3'
    ln -s "$BATS_TEST_TMPDIR" "$AGENT/epochs/$(jq .cur.epoch "$AGENT/head.json")/link"
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"/state/link/stub.sock: "* ]]
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
    until curl -s "http://127.0.0.1:$PORT" >/dev/null; do sleep 0.02; done
}

@test "who answers on the agent's port but is none of its processes does not pass for it" {
    short_gate
    start_stub
    run starts idle
    [ "$status" = 1 ]
    [[ $output == *"the answer is not from a process of the agent"* ]]
    with --argjson port "$PORT" '.probes.readinessProbe |= (del(.httpGet) | .tcpSocket = {port: $port})'
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"no process of the agent listens there"* ]]
}

@test "a socket that is held for the next incarnation passes no probe before that listens" {
    short_gate
    with --argjson port "$PORT" '.probes.readinessProbe |= (del(.httpGet) | .tcpSocket = {port: $port})'
    starts ''
    refused idle 'not ready after 3 s: no process of the agent listens there'
}

@test "a server that an exec probe leaves behind is ended with it and passes nothing" {
    short_gate
    with '.probes.startupProbe = {exec: {command: ["/usr/bin/busybox", "sh", "-c",
        "setsid /usr/bin/python3 -S -E /opt/server.py serve & sleep 0.5"]}, timeoutSeconds: 2, failureThreshold: 1}
        | .gate.gateTimeoutSeconds = 4'
    run starts idle
    [ "$status" = 1 ]
    [[ $output == *"connect: Connection refused"* ]]
    ! pgrep -f "^/usr/bin/python3 -S -E /opt/server.py serve"
}

@test "an exec probe is killed with all it started when its time is over, and its output is kept" {
    with '.probes.livenessProbe = {exec: {command: ["/usr/bin/busybox", "sh", "-c",
        "echo before; setsid sleep 3217 & sleep 3217"]}, periodSeconds: 1, failureThreshold: 1000}
        | .gate.bakeSeconds = 1100'
    starts ''
    until [ "$(last livenessProbe ok)" = false ]; do sleep 0.05; done
    [ "$(last livenessProbe why)" = 'no answer within 1 s' ]
    [ "$(last livenessProbe output)" = before ]
    # The next run may be on its way: two sleeps at most, each in a leaf of its own.
    [ "$(pgrep -fc '^sleep 3217')" -le 2 ]
    shim stop "$NAME"
    ! pgrep -f '^sleep 3217'
}

@test "a probe whose program the candidate has removed fails with its name" {
    with '.probes = {startupProbe: (.probes.readinessProbe + {failureThreshold: 3}),
        readinessProbe: {exec: {command: ["/opt/health"]}, successThreshold: 1}} | .gate.gateTimeoutSeconds = 4'
    for mode in well no-health; do
        mkdir -p "$BATS_TEST_TMPDIR/layer-$mode/opt"
        printf '#!/usr/bin/busybox sh\necho fine\n' >"$BATS_TEST_TMPDIR/layer-$mode/opt/health"
        chmod 0755 "$BATS_TEST_TMPDIR/layer-$mode/opt/health"
        chmod 0777 "$BATS_TEST_TMPDIR/layer-$mode/opt"
    done
    starts well
    [ "$(last readinessProbe output)" = fine ]
    refused no-health 'not ready after 4 s: cannot start /opt/health: /opt/health: No such file or directory'
}

@test "grpc: SERVING passes, and nothing else" {
    port=$(free_port)
    with --arg port "$port" '.run.env.GRPC_PORT = $port | .probes.readinessProbe |= (del(.httpGet) | .grpc = {port: ($port | tonumber), service: "probed"})
        | .gate.gateTimeoutSeconds = 3'
    starts grpc=1
    shim swap "$NAME" "$(generation grpc=1,again)"
    refused grpc=2 'not ready after 3 s: the service is NOT_SERVING'
}

@test "acceptance checks are made of a candidate: a required one rolls back, a wanted one is noted" {
    with --argjson port "$PORT" '.probes.acceptance = [
        {name: "echoes", httpPost: {port: $port, path: "/echo", send: {b: 1, a: "x"}, body: "application/json, {\"a\":\"x\",\"b\":1}"}, timeoutSeconds: 2},
        {name: "is-ready", level: "wanted", httpGet: {host: "unix:/state/agent.sock", path: "/readyz", status: 200, contains: "cherry"}, timeoutSeconds: 2}]'
    starts ''
    [ "$(state 'probes | length')" = 1 ]
    shim swap "$NAME" "$(generation other)" --json >"$BATS_TEST_TMPDIR/answer"
    [ "$(jq -c '[.outcome, .unmet, .probe]' "$BATS_TEST_TMPDIR/answer")" = '["committed",["acceptance.is-ready: the body does not contain \"cherry\""],null]' ]
    shim stop "$NAME"
    with '.probes.acceptance[1].level = "required"'
    shim start "$NAME"
    refused third 'acceptance.is-ready: the body does not contain "cherry"'
    [ "$(jq -r '.probe | .output | fromjson | .padding | length' <<<"$output")" = 100 ]
}

@test "an agent that says READY=1 is waited for, and only its own word counts" {
    short_gate
    with '.probes.notify = true'
    starts ready
    [ "$(state says)" = serves ]
    shim swap "$NAME" "$(generation ready,again)"
    refused '' 'not ready after 3 s: it has not said READY=1'
    # The exec probe has the same socket, and another leaf.
    shim stop "$NAME"
    with '.probes.startupProbe = {exec: {command: ["/usr/bin/python3", "-S", "-E", "/opt/server.py", "say", "READY=1\nSTATUS=liar"]}}
        | .probes.startupProbe.failureThreshold = 1 | .probes.startupProbe.timeoutSeconds = 2 | .gate.gateTimeoutSeconds = 4'
    shim start "$NAME"
    [ "$(state says)" = serves ]
    refused never 'not ready after 4 s: it has not said READY=1'
}

@test "READY=1 and then an exit is no success" {
    with '.probes.notify = true | .gate.minReadySeconds = 2'
    starts ready
    refused ready,ends 'the agent has exited with status 3'
}

@test "a watchdog that falls silent in the bake rolls back" {
    with '.probes.watchdog = {timeoutSeconds: 1} | .gate.bakeSeconds = 20'
    starts heart
    run shim swap "$NAME" "$(generation heart-stops)" --no-rehearsal --json
    [ "$status" = 3 ]
    [ "$(jq -r .reason <<<"$output")" = 'watchdog: no WATCHDOG=1 for 1 s' ]
    [ "$(state state)" = STEADY ]
    until [ "$(state ready)" = true ]; do sleep 0.05; done
}

drained() { with --argjson port "$PORT" '.drain = {httpPost: {port: $port, path: "/drain", send: "now"}}'; }

@test "an agent is told to end by a message, asks for time, gets it, and its last words are in the state" {
    drained
    with '.probes.notify = true | .gate.drainTimeoutSeconds = 1 | .gate.swapBudgetSeconds = 40'
    starts ready,deaf,slow-end
    shim swap "$NAME" "$(generation ready,other)" --no-rehearsal
    [ "$(cat "$AGENT/epochs/$(jq .cur.epoch "$AGENT/head.json")/drained")" = 'all of it' ]
    ! grep 'has not ended' "$AGENT/log"
}

@test "no agent gets more time to end than the swap's budget has" {
    drained
    with '.probes.notify = true | .gate.drainTimeoutSeconds = 1 | .gate.swapBudgetSeconds = 27'
    starts ready,deaf,endless-end
    shim swap "$NAME" "$(generation ready,other)" --no-rehearsal
    grep 'the agent has not ended 2\.[0-9] s after it was told to' "$AGENT/log"
}

@test "an agent that does not take the message gets the signal" {
    with --argjson port "$(free_port)" '.drain = {httpPost: {port: $port, path: "/drain"}}'
    starts ''
    shim stop "$NAME"
    ! grep 'has not ended' "$AGENT/log"
}

@test "at rest nothing wakes the shim but its probes" {
    with '.probes.readinessProbe.periodSeconds = 3600 | .probes.readinessProbe.timeoutSeconds = 2 | .gate.gateTimeoutSeconds = 4000 | .gate.swapBudgetSeconds = 5000 | .probes.notify = true'
    starts ready
    pid=$(pgrep -f "^$MOSS_BUILD/moss-shim start $NAME\$")
    timeout 3 strace -f -o "$BATS_TEST_TMPDIR/trace" -p "$pid" 2>/dev/null || true
    # What it waits in when it is looked at, and nothing else.
    [ "$(grep -cv 'resumed\|detached\|strace' "$BATS_TEST_TMPDIR/trace")" -le 1 ]
}
