#!/usr/bin/env bats
# shellcheck disable=SC2154 # assigned by bats and by what is sourced
# Web hooks: what is told when an evolution and a swap end, to whom, and that nothing depends on it.

bats_require_minimum_version 1.5.0
load ../lib/agent

setup_file() {
    export MOSS_BUILD world
    world=$BATS_FILE_TMPDIR/world
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    clerk_evidence price-stale --sessions 42
    # The first walk seals b-0001.
    moss evo start --depth shallow --seconds 1 || true
    moss evo batches --json | grep -q '"b-0001"'
}

setup() {
    # shellcheck source=../lib/hooks.bash
    . "$BATS_TEST_DIRNAME/../lib/hooks.bash"
    # shellcheck source=../lib/clerk.bash
    . "$BATS_TEST_DIRNAME/../lib/clerk.bash"
    agent=$MOSS_STORE/agents/clerk
}

teardown() {
    hooks_end
    agent_end_shim
}

# An evolution whose coding agent says nothing: it ends as FAILED.
fail() {
    clerk_coder "$BATS_TEST_DIRNAME/coders" nothing 60
    run -1 --separate-stderr moss evo start b-0001 --depth shallow --json
    [ "$(jq -r .end <<<"$output")" = FAILED ]
    evolution=$(jq -r .evolution <<<"$output")
}

# The last line about hooks in the ledger.
recorded() { # FILTER
    git --git-dir "$agent/ledger.git" show "refs/evolutions/$evolution:webhooks.jsonl" | tail -1 | jq -r "$1"
}

@test "an evolution that failed is told, with the token, once" {
    hooks_receive
    hooks_configure "$agent/agent.json"
    fail
    [ ! -e "$hooks/1.json" ]
    [ "$(jq -r '.path, .headers.Authorization, .headers["Content-Type"]' "$hooks/0.json")" = $'/hooks/moss\nBearer a-secret\napplication/json' ]
    [ "$(jq -r '.body | fromjson | .source' "$hooks/0.json")" = moss ]
    [ "$(hooks_payload 0 '"\(.event) \(.agent) \(.batch) \(.evolution) \(.end)"')" = "evolution-failed clerk b-0001 $evolution FAILED" ]
    [[ "$(hooks_payload 0 .human_summary)" == "Evolution $evolution of agent clerk for batch b-0001 ended as FAILED: "* ]]
    [ "$(recorded '"\(.event) \(.delivered) \(.status)"')" = "evolution-failed true 200" ]
    run -1 git --git-dir "$agent/ledger.git" grep -q a-secret "refs/evolutions/$evolution"
}

@test "what the receiver answers changes nothing but the record of it" {
    for answer in 500 302; do
        hooks_receive $answer
        hooks_configure "$agent/agent.json"
        fail
        grep -qxF "moss: clerk: the web hook answered with status $answer" <<<"$stderr"
        [ "$(recorded '"\(.delivered) \(.status) \(.error)"')" = "false $answer the web hook answered with status $answer" ]
        hooks_end
        [ ! -e "$hooks/1.json" ]       # no redirect was followed
        rm -r "$hooks"
    done
}

@test "a receiver that never answers, and one that never ends, hold up nothing for long" {
    hooks_receive silent
    hooks_configure "$agent/agent.json" 1
    fail
    [[ "$(recorded .error)" == "the web hook was not reached: "*"timed out"* ]]
    hooks_end
    rm -r "$hooks"
    hooks_receive endless
    hooks_configure "$agent/agent.json" 30
    fail
    [ "$(recorded .delivered)" = true ]
}

@test "a receiver that is not there and a token that is missing are said" {
    hooks_receive
    hooks_configure "$agent/agent.json"
    hooks_end
    fail
    [[ "$stderr" == *"moss: clerk: the web hook was not reached: "* ]]
    [ "$(recorded .delivered)" = false ]
    rm "$BATS_TEST_TMPDIR/token"
    fail
    [[ "$(recorded .error)" == "token file "*"No such file or directory" ]]
}

@test "proxies of the environment do not see the token" {
    hooks_receive
    hooks_configure "$agent/agent.json"
    export http_proxy=http://127.0.0.1:1 ALL_PROXY=http://127.0.0.1:1
    fail
    [ "$(recorded .delivered)" = true ]
}

@test "an evolution that converged is told, then the swap" {
    hooks_receive
    hooks_configure "$agent/agent.json"
    jq '.coder = {adapter: "search"}' "$agent/agent.json" >"$agent/agent.json.new"
    mv "$agent/agent.json.new" "$agent/agent.json"
    run -0 moss evo start b-0001 --depth shallow --json
    evolution=$(hooks_payload 0 .evolution)
    [ "$(hooks_payload 0 '"\(.event) \(.batch) \(.end)"')" = "evolution-converged b-0001 CONVERGED" ]
    [[ "$(hooks_payload 0 .human_summary)" == *'waits for consent: `moss evo apply b-0001`'* ]]
    moss evo apply --request "$BATS_TEST_TMPDIR/request"
    [ ! -e "$hooks/1.json" ]
    ssh-keygen -q -Y sign -f "$world/key" -n moss-consent "$BATS_TEST_TMPDIR/request"
    agent_play_shim '{"ok":true,"outcome":"committed","reason":"","pause_usec":1}'
    run -0 moss evo apply --request "$BATS_TEST_TMPDIR/request" --consent "$BATS_TEST_TMPDIR/request.sig"
    [ "$(hooks_payload 1 '"\(.event) \(.batch) \(.outcome)"')" = "apply-complete b-0001 committed" ]
    [ ! -e "$hooks/2.json" ]
    [ "$(recorded '"\(.event) \(.delivered)"')" = "apply-complete true" ]
}
