#!/usr/bin/env bats
# An evolution from its first stage to what can be applied: walked through, stopped, killed, walked by one process only.

setup_file() {
    export MOSS_BUILD world
    world=$BATS_FILE_TMPDIR/world
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    clerk_evidence price-stale --sessions 42
}

setup() {
    PATH=$MOSS_BUILD:$PATH
    agent=$MOSS_STORE/agents/clerk
    ledger=(git --git-dir "$agent/ledger.git")
    previous=$(newest)
}

# of_status EXPRESSION: its value, in which d is the status.
of_status() {
    moss evo status --json | /usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

newest() {
    "${ledger[@]}" for-each-ref --format='%(refname)' refs/evolutions 2>/dev/null | tail -1
}

# The steps of the newest evolution.
steps() {
    "${ledger[@]}" log --reverse --format=%s "$(newest)"
}

nothing_is_left() {
    [ ! -e "$agent/worktrees" ]
    [ -z "$(ls "$MOSS_STORE/tmp")" ]
    [ -z "$(git -C "$world/source" status --porcelain)" ]
}

# Waits until an evolution that this test began has the step.
await_step() {
    until [ "$(newest)" != "$previous" ] && steps | grep -q "$1"; do
        kill -0 "$walk"
        sleep 0.05
    done
}

@test "a fault is found, mended, proved and ready to be applied" {
    before=$(git -C "$world/source" rev-parse main)
    run moss evo start --depth shallow --json
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(of_status 'd["evolution"]["end"]')" = CONVERGED ]
    [ "$(of_status 'd["batches"][0]["state"]')" = ready ]
    "${ledger[@]}" show "$(newest):ready.json" >"$BATS_TEST_TMPDIR/ready.json"
    commit=$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["commit"])' "$BATS_TEST_TMPDIR/ready.json")
    [ "$(git -C "$world/source" rev-parse moss/e-0001)" = "$commit" ]
    [ "$(git -C "$world/source" rev-parse "$commit^")" = "$before" ]
    [ "$(git -C "$world/source" rev-parse main)" = "$before" ]
    nothing_is_left
}

@test "a walk that is killed is taken up in the stage it was in, and repeats no finished one" {
    moss evo start b-0001 --depth shallow 3>&- &
    walk=$!
    await_step plan-review
    kill -KILL $walk
    wait $walk || true
    [ "$(of_status 'd["running"]')" = False ]
    stage=$(of_status 'd["evolution"]["stage"]')
    [ "$stage" != end ]
    run moss evo start --depth shallow
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"going on with e-0002"* ]]
    [ -z "$(steps | grep iteration | sort | uniq -d)" ]
    nothing_is_left
}

@test "stop ends the walk at once and the next start goes on" {
    moss evo start b-0001 --depth shallow 3>&- &
    walk=$!
    await_step baseline
    run moss evo start b-0001
    [ "$status" -eq 1 ]
    [[ $output == *"process $walk walks an evolution"* ]]
    run moss evo stop
    [ "$status" -eq 0 ]
    [[ $output == *"process $walk has ended"* ]]
    wait $walk || [ $? -eq 1 ]
    nothing_is_left
    run moss evo stop
    [ "$status" -eq 0 ]
    [[ $output == *"no evolution"* ]]
    moss evo start
    [ "$(steps | grep -c '^stopped$')" -eq 1 ]
    [ "$(of_status 'd["evolution"]["end"]')" = CONVERGED ]
}

@test "a budget that is used up ends the evolution" {
    run moss evo start b-0001 --seconds 1
    [ "$status" -eq 1 ]
    [ "$(of_status 'd["evolution"]["end"]')" = BUDGET_EXHAUSTED ]
    [[ $(of_status 'd["evolution"]["why"]') == *"1 s"* ]]
    [ "$(of_status 'd["batches"][0]["state"]')" = failed ]
    nothing_is_left
}

@test "restart gives up what was interrupted" {
    moss evo start b-0001 --depth shallow 3>&- &
    walk=$!
    await_step baseline
    moss evo stop
    wait $walk || true
    stopped=$(of_status 'd["evolution"]["evolution"]')
    moss evo restart --depth shallow
    [ "$(of_status 'd["evolution"]["evolution"]')" != "$stopped" ]
    "${ledger[@]}" show "refs/evolutions/$stopped:position.json" | grep -q '"STOPPED"'
}

@test "a detached walk says which evolution it is and goes on without its terminal" {
    run moss evo start b-0001 --depth shallow --detach
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"beginning e-"* ]]
    while [ "$(of_status 'd["running"]')" = True ]; do
        sleep 0.2
    done
    [ "$(of_status 'd["evolution"]["end"]')" = CONVERGED ]
    grep -q CONVERGED "$agent/evolution.log"
}
