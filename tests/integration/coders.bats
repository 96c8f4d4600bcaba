#!/usr/bin/env bats
# Coding agents that lie, hang, flood and reach for what is not theirs: each gives one clear reason, and the engine goes on as the table says.

bats_require_minimum_version 1.5.0

setup_file() {
    export MOSS_BUILD world
    world=$BATS_FILE_TMPDIR/world
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    clerk_evidence price-stale --sessions 42
    # b-0001 is sealed by the first walk, whose coding agent is an honest one that does nothing.
    jq '.protected = ["clerkd.py"]' "$MOSS_STORE/agents/clerk/agent.json" >"$world/protected.json"
    mv "$world/protected.json" "$MOSS_STORE/agents/clerk/agent.json"
    clerk_coder "$BATS_TEST_DIRNAME/coders" unchanged 60
    moss evo start --depth shallow || true
    moss evo batches --json | grep -q '"b-0001"'
}

setup() {
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    agent=$MOSS_STORE/agents/clerk
}

# Walks the batch with the coding agent coders/NAME.py; $end and $why say how it ended.
evolve() { # NAME [SECONDS]
    clerk_coder "$BATS_TEST_DIRNAME/coders" "$1" "${2:-60}"
    run moss evo start b-0001 --depth shallow --json
    [ "$status" -eq 1 ]
    end=$(moss evo status --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["evolution"]["end"])')
    why=$(moss evo status --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["evolution"]["why"])')
    evolution=$(moss evo status --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["evolution"]["evolution"])')
    nothing_is_left
}

nothing_is_left() {
    [ ! -e "$agent/worktrees" ]
    [ -z "$(ls "$MOSS_STORE/tmp")" ]
    [ -z "$(clerk_cgroup)" ]
    [ -z "$(git -C "$world/source" status --porcelain)" ]
}

failed_with() {
    echo "$end: $why"
    [ "$end" = FAILED ]
    [[ $why == *"$1"* ]]
}

artifact() {
    git --git-dir "$agent/ledger.git" show "refs/evolutions/$evolution:$1"
}

@test "one that says nothing" {
    evolve nothing
    failed_with "it printed no answer"
}

@test "one that hangs is killed in time" {
    evolve hangs 3
    failed_with "it was not done after 3 s"
}

@test "one that prints garbage" {
    evolve garbage
    failed_with "its last line"
}

@test "one that crashes is quoted" {
    evolve crashes
    failed_with "it ended with status 1: RuntimeError: no model today"
}

@test "one that gives up is believed" {
    evolve gives-up
    failed_with "it gave up: out of credit"
}

@test "one that claims success without a change" {
    evolve unchanged
    failed_with "it says that it is done, and changed nothing"
}

@test "one that changes a protected file" {
    evolve protected
    failed_with "clerkd.py is protected"
}

@test "one that proposes changes outside the source: each candidate is rejected" {
    evolve outside
    [ "$end" = INCONCLUSIVE ]
    [ "$(artifact evidence/tried.jsonl | grep -c 'no path inside the source')" -eq 4 ]
}

@test "one that hands over a symbolic link" {
    evolve symlink-out
    failed_with "/out/candidates.jsonl"
}

@test "one that leaves a symbolic link in the worktree" {
    evolve symlink-work
    failed_with "clerk/notes.py: a symbolic link was made"
}

@test "one that leaves a fifo in the worktree" {
    evolve fifo
    failed_with "clerk/wait.py: a special file was made"
}

@test "one that prints a gigabyte" {
    evolve floods
    failed_with "it printed more than 1048576 bytes"
}

@test "one that fills its disk" {
    evolve fills
    failed_with "/out/candidates.jsonl is larger than"
}

@test "one that writes to what it may only read is kept from it" {
    evolve writes
    failed_with "it says that it is done, and changed nothing"
}

@test "one that leaves processes behind leaves none" {
    evolve forks
    failed_with "changed nothing"
}

@test "a plan that leaves out a task is rejected for incompleteness, as often as the depth allows" {
    evolve incomplete
    [ "$end" = INCONCLUSIVE ]
    [[ $why == *"no plan was approved"* ]]
    artifact iterations/1/plan-2.json >/dev/null
    run ! artifact iterations/1/plan-3.json
    artifact evidence/stage/review.json | grep -q REJECT_COMPLETENESS
}

@test "a plan that its review rejects as architectural ends as a limit of the architecture" {
    evolve rejects
    [ "$end" = FUNDAMENTAL_LIMIT_ARCHITECTURE ]
}

@test "one that looks for sealed tasks finds none" {
    evolve peeks
    visible=$(artifact private/reference.json | /usr/bin/python3 -c 'import json, sys; print(*(k for k, v in json.load(sys.stdin).items() if v["kind"] != "visible"))')
    [ -n "$visible" ]
    for id in $visible; do
        [[ "$(artifact iterations/1/locate.json)" != *"$id"* ]]
    done
    artifact iterations/1/locate.json | grep -q '"t-\|t-'
}
