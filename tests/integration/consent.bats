#!/usr/bin/env bats
# moss evo apply: what it shows, what it takes for consent, what it refuses. The evolution that made something ready is made by hand, the shim is played.

bats_require_minimum_version 1.5.0
load ../lib/agent

setup() {
    PATH=$MOSS_BUILD:$PATH
    export MOSS_STORE=$BATS_TEST_TMPDIR/store MOSS_RUN=$BATS_TEST_TMPDIR/run
    cd "$BATS_TEST_TMPDIR" || return 1
    agent=$MOSS_STORE/agents/clerk
    base=$(printf '%064d' 1)
    candidate=$(printf '%064d' 12345678)
    ssh-keygen -q -t ed25519 -N '' -C operator -f key
    ssh-keygen -q -t ed25519 -N '' -C stranger -f stranger
    printf 'operator %s\n' "$(cut -d' ' -f1,2 key.pub)" >signers
    make_source
    make_agent
    make_ready "$(printf '%064d' 0)"
    # The digest of the diff as it is made now is said by the refusal of another one.
    run -1 moss evo apply
    [[ "$output" == *"the diff is not the one that was tried"* ]]
    make_ready "${output##* }"
}

teardown() {
    agent_end_shim
}

python() {
    /usr/bin/python3 -B -E "$@"
}

make_source() {
    git init -q -b main source
    for word in before after; do
        echo "$word" >source/file
        git -C source add file
        git -C source -c user.name=t -c user.email=t@localhost commit -q -m "$word"
    done
}

make_agent() {
    mkdir -p "$agent/epochs/0" root
    agent_json "$PWD" >"$agent/agent.json"
    printf '{"generation":"%s","epoch":0}\n' "$base" >"$agent/initial.json"
}

# A ready batch b-0001 of evolution e-0001; the digest of its diff is said to be $1.
make_ready() {
    rm -rf "$agent/batches" "$agent/ledger.git" artifacts
    python - "$agent" artifacts "$base" "$candidate" "$(git -C source rev-parse main~)" "$(git -C source rev-parse main)" "$1" <<'PY'
import hashlib, json, os, sys
agent, out, base, candidate, base_commit, commit, diff = sys.argv[1:]
canonical = lambda o: json.dumps(o, sort_keys=True, separators=(",", ":"))
sha = lambda s: hashlib.sha256(s.encode()).hexdigest()
turns = [{"user": "u", "session": "s", "text": "hello"}]
graders = [{"kind": "expect", "turn": 0, "contains": "hello"}]
task = "t-" + sha(canonical({"turns": turns, "graders": graders}))[:16]
os.makedirs(f"{agent}/batches/b-0001/tasks")
text = json.dumps({"version": 1, "id": task, "kind": "visible", "cluster": "c-01", "origin": {}, "words": [],
                   "turns": turns, "graders": graders})
open(f"{agent}/batches/b-0001/tasks/{task}.json", "w").write(text)
tasks = {task: sha(text)}
batch = {"version": 1, "id": "b-0001", "state": "ready", "created": "2026-01-31T12:00:00Z",
         "incumbent": {"generation": base, "commit": base_commit}, "tasks": tasks, "digest": sha(canonical(tasks)),
         "clusters": [], "chunks": [], "evolution": "e-0001"}
json.dump(batch, open(f"{agent}/batches/b-0001/batch.json", "w"))
outcome = lambda passed: [{"passed": passed, "score": 1 if passed else 0, "end": "done"}] * 8
scores = {"version": 1, "tasks": [{"id": task, "kind": "visible", "incumbent": outcome(False), "candidate": outcome(True)}]}
ready = {"version": 1, "generation": candidate, "commit": commit, "base_generation": base, "base_commit": base_commit,
         "diff_digest": diff, "scores_digest": sha(canonical(scores)), "batch": "b-0001", "batch_digest": batch["digest"]}
os.makedirs(f"{out}/private")
for name, value in {"ready.json": ready, "scores.json": scores, "private/reference.json": {}}.items():
    json.dump(value, open(f"{out}/{name}", "w"))
PY
    git init -q --bare "$agent/ledger.git"
    GIT_DIR=$agent/ledger.git GIT_WORK_TREE=artifacts GIT_INDEX_FILE=$PWD/index git add -A
    local tree commit
    tree=$(GIT_DIR=$agent/ledger.git GIT_INDEX_FILE=$PWD/index git write-tree)
    commit=$(git --git-dir="$agent/ledger.git" -c user.name=t -c user.email=t@localhost commit-tree -m ready "$tree")
    git --git-dir="$agent/ledger.git" update-ref refs/evolutions/e-0001 "$commit"
    rm -f index
}

sign() { # KEY [NAMESPACE]
    rm -f request.sig
    ssh-keygen -q -Y sign -f "$1" -n "${2:-moss-consent}" request
}

# The request, signed.
signed_request() { # [KEY]
    moss evo apply --request request
    sign "${1:-key}"
}

# What is done with a signed request must end like this.
apply() { # STATUS
    run "-$1" moss evo apply --request request --consent request.sig
}

state() {
    python -c 'import json, sys; print(json.load(open(sys.argv[1]))["state"])' "$agent/batches/b-0001/batch.json"
}

artifact() {
    git --git-dir="$agent/ledger.git" show "refs/evolutions/e-0001:$1"
}

@test "apply shows what would change and swaps nothing without consent" {
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":1}'
    run -1 moss evo apply
    [[ "$output" == *"1 file, +1 -1"* ]]
    [[ "$output" == *"0.00 before, 1.00 after"* ]]
    [[ "$output" == *"wants a signed consent"* ]]
    [ "$(state)" = ready ]
}

@test "a signed consent swaps once, and both are in the ledger" {
    signed_request
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":2500}'
    apply 0
    [[ "$output" == *TRYING* ]]
    [[ "$output" == *committed* ]]
    [ "$(state)" = applied ]
    [[ "$(artifact consents.jsonl)" == *'"by"'*operator* ]]
    [[ "$(artifact swaps.jsonl)" == *'"outcome"'*committed* ]]
    [ "$(git -C source rev-parse moss/current)" = "$(git -C source rev-parse main)" ]
    [[ "$(cat swap-request)" == *"$candidate"* ]]
    apply 1
    [[ "$output" == *"nothing is ready"* ]]
}

@test "a consent is spent by a swap that was rolled back" {
    signed_request
    agent_play_shim '{"ok":true,"outcome":"rolled_back","reason":"never ready","pause_usec":2500}'
    apply 1
    [[ "$output" == *"rolled_back: never ready"* ]]
    [ "$(state)" = rolled_back ]
    make_ready "$(artifact ready.json | python -c 'import json, sys; print(json.load(sys.stdin)["diff_digest"])')"
    apply 1
    [[ "$output" == *"was used already, at 20"* ]]
}

@test "where no shim runs the consent is not spent" {
    signed_request
    apply 1
    [[ "$output" == *"is not running"* ]]
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":1}'
    apply 0
}

@test "a swap without an answer is recorded as failed and leaves the batch ready" {
    signed_request
    agent_play_shim ''
    apply 1
    [[ "$output" == *"the swap failed"* ]]
    [ "$(state)" = ready ]
    [[ "$(artifact swaps.jsonl)" == *failed* ]]
    apply 1
    [[ "$output" == *"was used already"* ]]
}

@test "another key, another namespace, garbage and a changed request are refused" {
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":1}'
    signed_request stranger
    apply 1
    [[ "$output" == *"not signed by one of the allowed signers"* ]]
    sign key git
    apply 1
    [[ "$output" == *"ssh-keygen"* ]]
    head -c 4096 /dev/urandom | base64 >request.sig
    apply 1
    head -c 4096 /dev/urandom >request.sig
    apply 1
    sign key
    sed -i 's/"expires":"2/"expires":"3/' request
    apply 1
    [[ "$output" == *"ssh-keygen"* ]]
    [ "$(state)" = ready ]
    [ ! -e swap-request ]
}

@test "when the head moved, nothing can be applied" {
    signed_request
    printf '{"generation":"%064d","epoch":1}\n' 777 >"$agent/initial.json"
    apply 1
    [[ "$output" == *"the head moved"* ]]
}

@test "evidence that was changed since is refused" {
    signed_request
    echo >>"$(ls "$agent"/batches/b-0001/tasks/*)"
    apply 1
    [[ "$output" == *"was changed since the batch was sealed"* ]]
}

@test "an apply that was killed after the swap is brought to its end by the next" {
    printf '{"generation":"%s","epoch":1}\n' "$candidate" >"$agent/initial.json"
    run -0 moss evo apply
    [ "$(state)" = applied ]
    [ "$(git -C source rev-parse moss/current)" = "$(git -C source rev-parse main)" ]
}

@test "without allowed signers a terminal is asked, and nothing that is none" {
    python -c 'import json, sys
d = json.load(open(sys.argv[1])); d["consent"] = {"allowedSigners": None}; json.dump(d, open(sys.argv[1], "w"))' "$agent/agent.json"
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":1}'
    run -1 moss evo apply <<<"${candidate:0:8}"
    [[ "$output" == *"typed at a terminal, and this is none"* ]]
    run -1 moss evo apply --request request
    [[ "$output" == *"no allowed signers"* ]]
    run -0 python - "${candidate:0:8}" <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("moss", ["moss", "evo", "apply"])
seen = b""
while b"swap it in: " not in seen:
    seen += os.read(fd, 4096)
os.write(fd, sys.argv[1].encode() + b"\n")
try:
    while chunk := os.read(fd, 4096):
        seen += chunk
except OSError:
    pass
print(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
    [ "$(state)" = applied ]
    [[ "$(artifact consents.jsonl)" == *terminal* ]]
}
