#!/usr/bin/env bats
# Evidence as the operator sees it: moss evo catch-up, flag, batches, batch on session files of a store made by hand.

bats_require_minimum_version 1.5.0
load ../lib/agent

setup() {
    PATH=$MOSS_BUILD:$PATH
    export MOSS_STORE=$BATS_TEST_TMPDIR/store
    agent=$MOSS_STORE/agents/clerk
    make_store "$MOSS_STORE"
}

python() {
    /usr/bin/python3 -B -E "$@"
}

# A store with one agent, never started: it has generation 0…0 on epoch 0.
make_store() {
    local dir=$1/agents/clerk
    mkdir -p "$dir/epochs/0/sessions" "$BATS_TEST_TMPDIR/source" "$BATS_TEST_TMPDIR/root"
    agent_json "$BATS_TEST_TMPDIR" >"$dir/agent.json"
    printf '{"generation":"%064d","epoch":0}\n' 0 >"$dir/initial.json"
}

# talk DIR N: sessions of N users; each third one complains.
talk() {
    python - "$1" "$2" <<'PY'
import json, os, sys
directory, n = sys.argv[1], int(sys.argv[2])
seq = 0
for i in range(n):
    with open(os.path.join(directory, f"s{i:04}.jsonl"), "a") as f:
        def say(kind, text):
            global seq
            seq += 1
            f.write(json.dumps({"v": 1, "seq": seq, "user": f"u{i}", "session": f"s{i:04}", "type": kind, "text": text}) + "\n")
        say("user", f"Convert {i} miles to kilometres")
        say("assistant", "No.")
        if i % 3 == 0:
            say("user", f"That is wrong. I expected: {i * 1.609:.2f} km")
            say("assistant", "I am sorry.")
PY
}

field() { # EXPRESSION on the output as d
    python -c 'import json, sys; d = json.loads(sys.argv[2]); print(eval(sys.argv[1]))' "$1" "$output"
}

@test "complaints become chunks once, and an open batch" {
    talk "$agent/epochs/0/sessions" 30
    run -0 moss evo catch-up --json
    [ "$(field 'd["new_chunks"], d["lines"], d["files"]')" = "(10, 80, 30)" ]
    run -0 moss evo catch-up --json
    [ "$(field 'd["new_chunks"], d["lines"], d["read"]')" = "(0, 0, 0)" ]
    run -0 moss evo batches --json
    [ "$(field '[(b["id"], b["state"], len(b["chunks"])) for b in d]')" = "[('b-0001', 'open', 10)]" ]
    run -0 moss evo batch --json
    [ "$(field 'sorted({t["kind"] for t in d["tasks"]})')" = "['guard', 'sealed', 'visible']" ]
    run -0 moss evo batch b-0001
    [[ "$output" == *"That is wrong. I expected:"* ]]
}

@test "without evidence there is no batch, and that is said" {
    run -0 moss evo batches
    [ "$output" = "no evidence yet" ]
    run -1 moss evo batch
    [[ "$output" == "moss: clerk: no evidence"* ]]
    run -1 moss evo batch b-0007
    [[ "$output" == "moss: there is no batch b-0007"* ]]
}

@test "an agent that has not written a session yet has none to read" {
    rmdir "$agent/epochs/0/sessions"
    run -0 moss evo catch-up
    [ "$output" = "0 new lines in 0 of 0 files; 0 new complaints" ]
    run -0 moss evo catch-up --json
    [ "$(field 'd["files"], d["new_chunks"], d["skipped"]')" = "(0, 0, [])" ]
    run -1 moss evo flag --session s0000
    [ "$output" = 'moss: there is no session "s0000"' ]
    mkdir "$agent/epochs/0/sessions"
    talk "$agent/epochs/0/sessions" 3
    run -0 moss evo catch-up --json
    [ "$(field 'd["files"], d["new_chunks"]')" = "(3, 1)" ]
}

@test "a flagged session is kept once" {
    talk "$agent/epochs/0/sessions" 2
    run -0 moss evo flag --session s0001 --expect "1.61 km" --words "it refuses to convert"
    run -1 moss evo flag --session s0001 --expect "1.61 km" --words "it refuses to convert"
    [[ "$output" == *"was flagged like this before"* ]]
    run -0 moss evo batch --json
    [ "$(field '[t["graders"][0]["contains"] for t in d["tasks"] if t["kind"] == "visible"]')" = "['1.61 km']" ]
    run -1 moss evo flag --session nobody
    run -2 moss evo flag
}

@test "killed at any moment, catch-up loses nothing and finds nothing twice" {
    talk "$agent/epochs/0/sessions" 120
    make_store "$BATS_TEST_TMPDIR/reference"
    cp -a "$agent/epochs/0/sessions" "$BATS_TEST_TMPDIR/reference/agents/clerk/epochs/0/"
    MOSS_STORE=$BATS_TEST_TMPDIR/reference moss evo catch-up
    for ((i = 1; i <= 40; i++)); do
        # Each time a little later, until one run comes through to its end.
        timeout -s KILL "$(printf '0.%03d' $((i * 2)))" moss evo catch-up >/dev/null 2>&1 || true
    done
    moss evo catch-up
    diff <(ls "$BATS_TEST_TMPDIR/reference/agents/clerk/evidence/chunks") <(ls "$agent/evidence/chunks")
    [ "$(find "$agent/evidence/chunks" -name '[0-9a-f]*.json' | wc -l)" -eq 40 ]
    run -0 moss evo catch-up --json
    [ "$(field 'd["new_chunks"], d["lines"]')" = "(0, 0)" ]
}

@test "session files that are none stop nothing, and memory stays small" {
    sessions=$agent/epochs/0/sessions
    talk "$sessions" 6
    ln -s /etc/passwd "$sessions/link.jsonl"
    mkfifo "$sessions/fifo.jsonl"
    printf 'no json\n{"type":"user","text":"cut o' >"$sessions/cut.jsonl"
    printf '\377\376\n\000\000\n' >"$sessions/binary.jsonl"
    truncate -s 1G "$sessions/long.jsonl"
    [ -n "${SANITIZE:-}" ] || ulimit -v 200000 # a sanitizer's shadow alone is larger
    run -0 moss evo catch-up --json
    [ "$(field 'd["new_chunks"], d["malformed"], d["too_long"], d["cut_off"], len(d["skipped"])')" = "(2, 3, 1, 2, 2)" ]
    run -0 moss evo catch-up --json
    [ "$(field 'd["bytes"]')" = 0 ]
}

@test "the session directory is not followed out of the state volume" {
    rm -r "$agent/epochs/0/sessions"
    ln -s /etc "$agent/epochs/0/sessions"
    run -1 moss evo catch-up
    [[ "$output" == "moss: sessions of clerk"* ]]
}

@test "users' words do not reach the terminal as control characters" {
    printf '%s\n' '{"seq":1,"user":"u","session":"s","type":"user","text":"hello"}' \
        '{"seq":2,"user":"u","session":"s","type":"assistant","text":"no"}' \
        '{"seq":3,"user":"u","session":"s","type":"user","text":"That is wrong. I expected: \u001b]0;pwned\u0007"}' \
        >"$agent/epochs/0/sessions/s.jsonl"
    moss evo catch-up
    run -0 moss evo batch
    [[ "$output" == *"That is wrong. I expected: ?]0;pwned?"* ]]
    [[ "$output" != *$'\e'* ]]
}
