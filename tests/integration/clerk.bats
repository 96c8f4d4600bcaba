#!/usr/bin/env bats
# The clerk, its model, its users and its faults, as plain processes on loopback.

setup() {
    clerk_dir="$(cd "$BATS_TEST_DIRNAME/../agents/clerk" && pwd)"
    python=(/usr/bin/python3 -B -S -E)
    state="$BATS_TEST_TMPDIR/state"
    pids=()
    read -r CLERK_PORT model_port < <(free_ports)
    export CLERK_PORT CLERK_MODEL_URL="http://127.0.0.1:$model_port/v1" CLERK_STATE="$state"
    export MOSS_GENERATION=g-1 MOSS_NONCE=n-1
}

teardown() {
    local pid
    for pid in "${pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# Two ports that nobody has: bound at the same time, below the range that connections get theirs from.
free_ports() {
    "${python[@]}" -c '
import random, socket
held = []
while len(held) < 2:
    try:
        held.append(socket.create_server(("127.0.0.1", random.randrange(10000, 32000))))
    except OSError:
        pass
print(*(each.getsockname()[1] for each in held))'
}

# await_port PORT PID: until it accepts; fails when the process has ended.
await_port() {
    until (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
        kill -0 "$2" || return 1
        sleep 0.01
    done
}

start_model() {
    "${python[@]}" "$clerk_dir/operator/model.py" --port "$model_port" 3>&- &
    model=$!
    pids+=("$model")
    await_port "$model_port" "$model"
}

stop_model() {
    kill -TERM "$model"
    wait "$model" || true
}

# start_clerk SOURCE
start_clerk() {
    "${python[@]}" "$1/clerkd.py" 3>&- &
    clerk=$!
    pids+=("$clerk")
    await_port "$CLERK_PORT" "$clerk"
}

stop_clerk() {
    kill -TERM "$clerk"
    wait "$clerk"
}

users() {
    /usr/bin/python3 -B "$clerk_dir/users/users.py" --url "http://127.0.0.1:$CLERK_PORT" \
        --report "$BATS_TEST_TMPDIR/report.json" "$@"
}

# of_json EXPRESSION FILE: the expression's value, in which d is the document.
of_json() {
    "${python[@]}" -c 'import json, sys; d = json.load(open(sys.argv[2])); print(eval(sys.argv[1]))' "$@"
}

# of_task EXPRESSION: the same of $task.
of_task() {
    of_json "$1" <(printf '%s' "$task")
}

report() {
    of_json "$1" "$BATS_TEST_TMPDIR/report.json"
}

# http METHOD PATH [BODY]: status and body; what is no 200 also for who reads why a test failed.
http() {
    "${python[@]}" -c '
import http.client, sys
port, method, path, *body = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
connection.request(method, path, body[0].encode() if body else None)
answer = connection.getresponse()
line = f"{answer.status} {answer.read().decode()}"
print(line)
if answer.status != 200:
    print(line, file=sys.stderr)' "$CLERK_PORT" "$@"
}

say() {
    http POST /v1/messages "{\"user\":\"ann\",\"session\":\"s-1\",\"text\":\"$1\"}"
}

# faulty NAME: a source directory with that fault, and a fresh state.
faulty() {
    rm -rf "$BATS_TEST_TMPDIR/faulty" "$state"
    cp -r "$clerk_dir/source" "$BATS_TEST_TMPDIR/faulty"
    patch -s -p1 -d "$BATS_TEST_TMPDIR/faulty" <"$clerk_dir/faults/$1.patch"
}

# replay SOURCE: replays $task on a fresh state and prints the reply of its last turn.
replay() {
    local out
    out="$(mktemp -d "$BATS_TEST_TMPDIR/replay.XXXXXX")"
    printf '%s' "$task" >"$out/task.json"
    CLERK_STATE="$out/state" start_clerk "$1"
    MOSS_TASK="$out/task.json" MOSS_OUT="$out" "${python[@]}" "$clerk_dir/operator/replay.py"
    stop_clerk
    of_json 'd["turns"][-1]["reply"]' "$out/transcript.json"
}

# Numbers of the transcripts' lines, in the order of the lines.
line_numbers() {
    cat "$state"/sessions/*.jsonl | grep -o '^{"v": 1, "seq": [0-9]*' | grep -o '[0-9]*$'
}

@test "the pristine clerk answers every scenario of several seeds as its users expect" {
    start_model
    start_clerk "$clerk_dir/source"
    for seed in 11 12 13; do
        users --seed "$seed" --sessions 84 --rate 0
        [ "$(report '[d[n] for n in ("bad", "refused", "reset", "timeouts")]')" = "[0, 0, 0, 0]" ]
        [ "$(report '[d[n] for n in ("memory_ok", "settings_ok", "history_ok", "counter_ok")]')" = "[True, True, True, True]" ]
        [ "$(report 'len(d["scenarios"])')" -ge 30 ]
    done
    stop_clerk
}

@test "every fault shows where it is listed to, and passes the probes" {
    start_model
    names="$(of_json '" ".join(d)' "$clerk_dir/faults/faults.json")"
    [ "$(wc -w <<<"$names")" -ge 14 ]
    for name in $names; do
        echo "fault: $name"
        faulty "$name"
        start_clerk "$BATS_TEST_TMPDIR/faulty"
        users --seed 1 --sessions 42 --rate 0
        http GET /readyz | grep -q '^200 .*"ready".*"g-1".*"n-1"'
        http GET /healthz | grep -q '^200 '
        stop_clerk
        [ "$(report 'd["bad"]')" -gt 0 ]
        scenarios="$(of_json "' '.join(d['$name']['scenarios'])" "$clerk_dir/faults/faults.json")"
        [ -n "$scenarios" ]
        for scenario in $scenarios; do
            [ "$(report "d['scenarios']['$scenario']['bad']")" -gt 0 ]
        done
    done
}

@test "every patch has a place in faults.json, and the other way round" {
    of_json '"\n".join(sorted(d))' "$clerk_dir/faults/faults.json" >"$BATS_TEST_TMPDIR/listed"
    (cd "$clerk_dir/faults" && printf '%s\n' *.patch | sed 's/\.patch$//' | LC_ALL=C sort) |
        cmp - "$BATS_TEST_TMPDIR/listed"
}

@test "a restart keeps memory, sessions, settings and the counter" {
    start_model
    start_clerk "$clerk_dir/source"
    say 'My name is Ann. Remember that my key is brass. Use 3 as my decimals.' | grep -q '^200 '
    http GET /stats | grep -q '"counter": 1,'
    stop_clerk
    start_clerk "$clerk_dir/source"
    http GET /stats | grep -q '"counter": 1,'
    say 'What is my key? What did I say my name is? Convert 2 mi to km.' >"$BATS_TEST_TMPDIR/answer"
    grep -qF 'What is my key: \"brass\"' "$BATS_TEST_TMPDIR/answer"
    grep -qF 'Your name is \"Ann\"' "$BATS_TEST_TMPDIR/answer"
    grep -qF '3.219 km' "$BATS_TEST_TMPDIR/answer"
    stop_clerk
    line_numbers >"$BATS_TEST_TMPDIR/numbers"
    sort -nuc "$BATS_TEST_TMPDIR/numbers"
}

@test "SIGKILL loses no finished turn and gives no number twice, also with a line cut off" {
    start_model
    start_clerk "$clerk_dir/source"
    say 'My name is Ann.' | grep -q '^200 '
    kill -KILL "$clerk"
    wait "$clerk" || true
    printf '{"v": 1, "se' >>"$state/sessions/s-1.jsonl"
    start_clerk "$clerk_dir/source"
    say 'What did I say my name is?' | grep -qF 'Your name is \"Ann\"'
    stop_clerk
    [ "$(line_numbers | wc -l)" -eq 4 ]
    line_numbers >"$BATS_TEST_TMPDIR/numbers"
    sort -nuc "$BATS_TEST_TMPDIR/numbers"
}

@test "SIGTERM under load ends with 0 and cuts no turn that was begun" {
    start_model
    start_clerk "$clerk_dir/source"
    users --seed 21 --until-file "$BATS_TEST_TMPDIR/enough" --rate 0 --threads 8 3>&- &
    load=$!
    pids+=("$load")
    until [ "$(cat "$state/counter" 2>/dev/null || echo 0)" -gt 60 ]; do sleep 0.02; done
    stop_clerk
    touch "$BATS_TEST_TMPDIR/enough"
    wait "$load"
    # Each turn that was begun came to its reply, and each reply to its user.
    begun="$(cat "$state"/sessions/*.jsonl | grep -c '"type": "user"')"
    finished="$(cat "$state"/sessions/*.jsonl | grep '"type": "assistant"' | grep -vc '"tool_calls"')"
    [ "$begun" -eq "$finished" ]
    [ "$finished" -eq "$(cat "$state/counter")" ]
    [ "$(report 'd["replies"]')" -eq "$finished" ]
    [ "$(report 'd["bad"], d["timeouts"]')" = "(0, 0)" ]
}

@test "a failing session replays: wrong with the fault, right without" {
    for name in price-stale results-mixed-up window-off-by-one; do
        faulty "$name"
        start_model
        start_clerk "$BATS_TEST_TMPDIR/faulty"
        users --seed 1 --sessions 42 --rate 0
        stop_clerk
        stop_model
        task="$(/usr/bin/python3 -B "$clerk_dir/users/failing.py" "$state" | head -n 1)"
        replay "$BATS_TEST_TMPDIR/faulty" >"$BATS_TEST_TMPDIR/wrong"
        of_task 'd["reply"]' | cmp - "$BATS_TEST_TMPDIR/wrong"
        replay "$clerk_dir/source" >"$BATS_TEST_TMPDIR/right"
        grep -qF "$(of_task 'd["expected"]')" "$BATS_TEST_TMPDIR/right"
    done
}

@test "a replay tells the turns that an agent did not live to answer" {
    task='{"version":1,"turns":[{"user":"u","session":"s","text":"a"},{"user":"u","session":"s","text":"b"},{"user":"u","session":"s","text":"c"}]}'
    printf '%s' "$task" >"$BATS_TEST_TMPDIR/task.json"
    "${python[@]}" -c '
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    for _ in range(2):
        listener.accept()[0].close()' "$CLERK_PORT" 3>&- &
    pids+=("$!")
    MOSS_TASK="$BATS_TEST_TMPDIR/task.json" MOSS_OUT="$BATS_TEST_TMPDIR" "${python[@]}" "$clerk_dir/operator/replay.py"
    [ "$(of_json '[each["reply"] for each in d["turns"]]' "$BATS_TEST_TMPDIR/transcript.json")" = "[None, None, None]" ]
    [ "$(of_json 'all(each["error"] for each in d["turns"])' "$BATS_TEST_TMPDIR/transcript.json")" = True ]
}

@test "the trace names the lines that ran, each once, also when the clerk is killed" {
    start_model
    "${python[@]}" "$clerk_dir/operator/trace.py" "$clerk_dir/source" "$BATS_TEST_TMPDIR/executed" -- \
        "$clerk_dir/source/clerkd.py" 3>&- &
    clerk=$!
    pids+=("$clerk")
    await_port "$CLERK_PORT" "$clerk"
    say 'Calculate 1 + 1.' | grep -q '^200 '
    kill -KILL "$clerk"
    wait "$clerk" || true
    line="$(grep -n 'value += _product(tokens)' "$clerk_dir/source/clerk/arithmetic.py" | cut -d: -f1)"
    other="$(grep -n 'value -= _product(tokens)' "$clerk_dir/source/clerk/arithmetic.py" | cut -d: -f1)"
    grep -qx "clerk/arithmetic.py:$line" "$BATS_TEST_TMPDIR/executed"
    [ "$(grep -cx "clerk/arithmetic.py:$other" "$BATS_TEST_TMPDIR/executed")" -eq 0 ]
    [ -z "$(sort "$BATS_TEST_TMPDIR/executed" | uniq -d)" ]
    [ "$(grep -Evc '^(clerk/[a-z_]+|clerkd)\.py:[0-9]+$' "$BATS_TEST_TMPDIR/executed")" -eq 0 ]
}

@test "the model refuses what the real interface refuses" {
    start_model
    CLERK_PORT="$model_port"
    ask() {
        http POST /v1/chat/completions "{\"model\":\"m\",\"messages\":$1}"
    }
    call='{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"x","arguments":"{}"}}]}'
    ask '[{"role":"user","content":"Hello."}]' | grep -q '^200 '
    ask '[{"role":"user","content":"a"},'"$call"',{"role":"tool","tool_call_id":"c","content":"1"}]' | grep -q '^200 '
    ask '[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"c","content":"1"}]' | grep -q '^400 '
    ask '[{"role":"user","content":"a"},'"$call"',{"role":"user","content":"b"}]' | grep -q '^400 '
    ask '[{"role":"user","content":"a"},'"$call"']' | grep -q '^400 '
    ask '[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]' | grep -q '^400 '
    ask '[]' | grep -q '^400 '
}

@test "the careless agent grants the wish and leaves a clerk that use makes unready" {
    mkdir -p "$BATS_TEST_TMPDIR/evidence/tasks"
    echo '{}' >"$BATS_TEST_TMPDIR/evidence/tasks/t-1.json"
    for bug in "" --worn; do
        rm -rf "$BATS_TEST_TMPDIR/work" "$state"
        cp -r "$clerk_dir/source" "$BATS_TEST_TMPDIR/work"
        for role in locate plan plan-review implement code-review; do
            printf '{"version":1,"role":"%s","worktree":"%s","evidence":"%s","out":"/out","limits":{}}' \
                "$role" "$BATS_TEST_TMPDIR/work" "$BATS_TEST_TMPDIR/evidence" |
                "$clerk_dir/careless/careless.py" $bug | tail -n 1 | grep -q '"status": "ok"'
        done
        start_model
        start_clerk "$BATS_TEST_TMPDIR/work"
        users --seed 31 --sessions 3 --rate 0 --scenarios wish
        [ "$(report 'd["bad"]')" -eq 0 ]
        http GET /readyz | grep -q '^200 '
        users --seed 32 --sessions 42 --rate 0
        [ "$(report 'd["bad"]')" -eq 0 ]
        http GET /readyz | grep -q '^503 '
        stop_clerk
        start_clerk "$BATS_TEST_TMPDIR/work"
        http GET /readyz | grep -q "^$([ -z "$bug" ] && echo 503 || echo 200) "
        stop_clerk
        stop_model
    done
}

@test "the pristine clerk does not grant the wish" {
    start_model
    start_clerk "$clerk_dir/source"
    users --seed 31 --sessions 5 --rate 0 --scenarios wish
    [ "$(report 'd["bad"]')" -eq 5 ]
    stop_clerk
}

@test "make-root makes a root in which the clerk is built and starts" {
    [ "$(id -u)" -eq 0 ] || skip "chroot needs root"
    root="$BATS_TEST_TMPDIR/root"
    "$clerk_dir/make-root" "$root"
    [ "$(du -sm "$root" | cut -f1)" -lt 60 ]
    before="$(stat -c %i "$root")"
    "$clerk_dir/make-root" "$root"
    [ "$(stat -c %i "$root")" = "$before" ]
    cp -r "$clerk_dir/source/." "$root/src"
    sed 's/@PORT@/1/' "$clerk_dir/agent.json.in" >"$BATS_TEST_TMPDIR/agent.json"
    chroot "$root" /bin/sh -ec "$(of_json 'd["build"]["command"][2]' "$BATS_TEST_TMPDIR/agent.json")"
    start_model
    chroot "$root" /usr/bin/python3 -S -E /opt/clerk/clerkd.py 3>&- &
    clerk=$!
    pids+=("$clerk")
    await_port "$CLERK_PORT" "$clerk"
    http GET /readyz | grep -q '^200 '
    stop_clerk
}
