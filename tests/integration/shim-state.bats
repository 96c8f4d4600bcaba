#!/usr/bin/env bats
# The state of a kept agent through swaps: on which one the old generation goes on, what is set aside, what the operator can do with it.

bats_require_minimum_version 1.5.0
load shim/lib

setup() {
    shim_setup
    with '.gate.bakeSeconds = 60' # who sickens does so long before
}
counter() { get /count | jq .counter; }
generations() { shim generations "$NAME" --json | jq -c "$@"; }

# Swaps in a candidate, has a client write through it and then makes it sick while it bakes: $written is what it wrote.
swap_and_write() { # mode
    shim swap "$NAME" "$(generation "$1")" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    swapper=$!
    until [ "$(state state)" = SERVING ]; do
        kill -0 "$swapper"
        sleep 0.05
    done
    written=$(counter)
    get /sicken
    wait "$swapper" || true
}
outcome() { jq -r .outcome "$BATS_TEST_TMPDIR/answer"; }

@test "auto: what clients wrote is kept where the old generation can read it" {
    GOOD=$(generation good:1:1)
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
    counter
    swap_and_write sick:2:1
    [ "$(outcome)" = rolled_back ]
    [ "$(state generation)" = "$GOOD" ]
    [ "$(state epoch)" = 1 ]
    [ "$(counter)" -gt "$written" ]
    [ "$(generations 'map(select(.role == "set aside"))')" = '[]' ]
    [ "$(jq .set_aside "$AGENT/swaps.jsonl")" = null ]
}

@test "auto: what the old generation cannot read is set aside, stays through the next one, and goes when it is discarded" {
    GOOD=$(generation good:1:1)
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
    before=$(counter)
    swap_and_write sick:2:2
    [ "$(outcome)" = rolled_back ]
    [ "$(state epoch)" = 0 ]
    [ "$(counter)" = $((before + 1)) ]
    [ "$(state set_aside)" = 1 ]
    [ "$(generations '.[] | select(.role == "set aside") | .epoch')" = 1 ]
    [ "$(generations '.[] | select(.role == "set aside") | .served_usec > 0')" = true ]
    [ "$(jq .set_aside.epoch "$AGENT/swaps.jsonl")" = 1 ]
    [ "$(cat "$AGENT/epochs/1/counter")" = "$written" ]

    run shim swap "$NAME" "$(generation exits)"
    [ "$status" = 3 ]
    [ "$(cat "$AGENT/epochs/1/counter")" = "$written" ]
    run shim discard "$NAME" 2
    [ "$status" = 1 ]
    [[ $output == *"there is no epoch 2 to discard"* ]]
    shim discard "$NAME" 1
    [ ! -e "$AGENT/epochs/1" ]
    [ "$(state set_aside)" = 0 ]
}

@test "auto: a stamp that the candidate has spoilt cannot be read" {
    GOOD=$(generation good:1:1)
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
    counter
    swap_and_write sick:1:-1
    [ "$(outcome)" = rolled_back ]
    [ "$(state epoch)" = 0 ]
    [ "$(state set_aside)" = 1 ]
}

@test "keep: the old generation runs on what the candidate wrote, whatever its stamp says" {
    with '.state.policy = "keep"'
    shim start "$NAME"
    counter
    swap_and_write sick:2:2
    [ "$(outcome)" = rolled_back ]
    [ "$(state epoch)" = 1 ]
    [ "$(counter)" -gt "$written" ]
    [ "$(state set_aside)" = 0 ]
}

@test "restore: the old generation runs on its own state, also where it could read the other" {
    with '.state.policy = "restore"'
    shim start "$NAME"
    before=$(counter)
    swap_and_write sick
    [ "$(outcome)" = rolled_back ]
    [ "$(state epoch)" = 0 ]
    [ "$(counter)" = $((before + 1)) ]
    [ "$(state set_aside)" = 1 ]
}

@test "halt: the operator decides, and recovers on the state and the generation that they name" {
    with '.state.policy = "halt"'
    shim start "$NAME"
    counter
    sick=$(generation sick)
    swap_and_write sick
    [ "$(outcome)" = halted ]
    [ "$(state state)" = HALTED ]
    run ! get /count
    [ "$(state set_aside)" = 1 ]
    run shim recover "$NAME" --to "${GOOD:0:12}/7"
    [ "$status" = 1 ]
    [[ $output == *"there is no epoch 7 to resume on"* ]]
    [ "$(state state)" = HALTED ]
    [ "$(generations '[.[] | select(.role == "set aside") | .generation]')" = "[\"$sick\"]" ]
    shim recover "$NAME" --to "${GOOD:0:12}/1"
    until [ "$(state ready)" = true ]; do sleep 0.05; done
    [ "$(state generation)" = "$GOOD" ]
    [ "$(state epoch)" = 1 ]
    [ "$(counter)" -gt "$written" ]
    [ "$(state set_aside)" = 0 ]
    [ "$(generations '.[] | select(.role == "previous") | .epoch')" = 0 ]
}

@test "halt: a shim that starts again stays halted, and recovers on a named side" {
    with '.state.policy = "halt"'
    shim start "$NAME"
    before=$(counter)
    swap_and_write sick
    shim stop "$NAME"
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"is halted"* ]]
    shim recover "$NAME" --to "$GOOD/0"
    until [ "$(state ready)" = true ]; do sleep 0.05; done
    [ "$(state epoch)" = 0 ]
    [ "$(counter)" = $((before + 1)) ]
    [ "$(state set_aside)" = 1 ]
}

@test "the history tells each swap, and the way back leads to any generation that is kept" {
    with '.gate.bakeSeconds = 2 | .probes.livenessProbe.failureThreshold = 1'
    second=$(generation good2)
    shim start "$NAME"
    counter
    run -0 shim history "$NAME" --json
    [ "$output" = '[]' ]
    shim swap "$NAME" "$second" --no-rehearsal
    shim swap "$NAME" "$(generation good3)" --no-rehearsal
    shim rollback "$NAME" --to "${GOOD:0:12}"
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(counter)" = 3 ]
    [ "$(shim history "$NAME" --json | jq -r '[.[] | .outcome] | join(" ")')" = 'committed committed committed' ]
    [ "$(shim history "$NAME" --json | jq -r '.[2].to')" = "$GOOD" ]
    [ "$(generations '[.[] | .role]')" = '["current","previous","served"]' ]
    [ "$(generations '.[2].generation')" = "\"$second\"" ]
    run shim rollback "$NAME" --to "${GOOD:0:12}"
    [ "$status" = 1 ]
    [[ $output == *"is the current one"* ]]
    run shim rollback "$NAME" --to 0123456789
    [ "$status" = 1 ]
    [[ $output == *"0123456789 is no generation that is kept"* ]]
    shim stop "$NAME"
    shim history "$NAME" | grep -q "committed .*${second:0:12} "
    shim generations "$NAME" | grep -q "^served .*${second:0:12} .*until 20"
}

@test "a collection takes what no agent has to do with, and nothing that one has" {
    collect() { "$MOSS_BUILD/moss" collect --grace 0 "$@"; }
    with '.gate.bakeSeconds = 2 | .probes.livenessProbe.failureThreshold = 1'
    second=$(generation good2) never=$(generation good9)
    shim start "$NAME"
    shim swap "$NAME" "$second" --no-rehearsal
    [ "$("$MOSS_BUILD/moss" collect --json | jq -c .removed)" = '[]' ] # all is young
    run -0 collect --dry-run --json
    [ "$(jq '.removed | length' <<<"$output")" = 2 ]
    [ "$(jq --arg never "$never" '.removed | index($never) != null' <<<"$output")" = true ]
    runtime generation show "$never" >/dev/null

    # What is current is known to nobody: nothing goes.
    shim stop "$NAME"
    cp "$AGENT/head.json" "$BATS_TEST_TMPDIR/head.json"
    sed -i 's/"epoch": 1/"epoch": 7/' "$AGENT/head.json"
    run collect
    [ "$status" = 1 ]
    [[ $output == *"nothing is removed: agent $NAME: head.json: its sha256"* ]]
    cp "$BATS_TEST_TMPDIR/head.json" "$AGENT/head.json"

    collect | grep -qx "removed $never"
    run ! runtime generation show "$never"
    [ "$(runtime generation list | sort)" = "$(printf '%s\n' "$GOOD" "$second" | sort)" ]
    shim start "$NAME"
    "$MOSS_BUILD/moss" rollback "$NAME"
    [ "$("$MOSS_BUILD/moss" history "$NAME" --json | jq length)" = 2 ]
    [ "$(get /count | jq -r .mode)" = good ]
}

@test "what cannot be done is said in one line, with --json as a document, and changes nothing" {
    shim start "$NAME"
    says() { # exit status, message, words
        run --separate-stderr shim "${@:3}"
        [ "$status" = "$1" ]
        [[ $stderr == "moss-shim: "*$2* ]]
    }
    says 1 'so --to takes a generation alone' rollback "$NAME" --to "$GOOD/0"
    says 1 'there is no generation to go back to' rollback "$NAME" --json
    [ "$(jq -r .error <<<"$output")" = 'there is no generation to go back to' ]
    says 1 'is the current one' swap "$NAME" "$GOOD" --json
    [ "$(jq -r 'keys[]' <<<"$output")" = error ]
    says 2 '"x" is no number of an epoch' discard "$NAME" x
    says 2 '"nonsense" is no verb' nonsense "$NAME"
    says 2 'status takes no --to' status "$NAME" --to "$GOOD"
    says 2 'rollback takes no --no-rehearsal' rollback "$NAME" --no-rehearsal
    [ "$(state state)" = STEADY ]
    [ "$(state last_swap)" = null ]
}
