#!/usr/bin/env bats
# `moss agent` and `moss generations`, without a shim: what an agent is before it is started.

setup() {
    moss="$MOSS_BUILD/moss"
    export MOSS_STORE="$BATS_TEST_TMPDIR/store" MOSS_RUN="$BATS_TEST_TMPDIR/run"
    cd "$BATS_TEST_TMPDIR"
    busybox="$(command -v busybox)" || skip "busybox is missing"
    make_root
    make_source
    settings >agent.json
}

make_root() {
    mkdir -p root/bin root/opt root/proc root/dev root/tmp
    cp "$busybox" root/bin/busybox
    for applet in sh cp cat mkdir; do
        ln -s busybox "root/bin/$applet"
    done
}

make_source() {
    git init -q -b main source
    printf 'one\n' >source/program
    commit
}

commit() {
    git -C source add -A
    git -C source -c user.name=t -c user.email=t@localhost commit -q -m change
}

settings() {
    jq -n '{version: 1, name: "tiny", source: {repository: "source"}, root: {directory: "root"},
            build: {command: ["/bin/sh", "-ec", "cp /src/program /opt/program"], timeoutSeconds: 20},
            run: {command: ["/bin/sh", "/opt/program"]},
            probes: {readinessProbe: {tcpSocket: {port: 1}}}}'
}

# with FILTER: changes agent.json
with() {
    jq "$1" agent.json >changed.json
    mv changed.json agent.json
}

store_is_clean() {
    [ -z "$(ls -A store/tmp)" ]
    [ -z "$(ls -A store/agents | grep '^\.')" ]
}

# Exactly one line of error that contains $1, and exit status 1.
fails_with() {
    [ "$status" -eq 1 ] || { echo "exit $status: $output"; return 1; }
    [ "$(grep -c '^moss: ' <<<"$output")" -eq 1 ] || { echo "$output"; return 1; }
    [[ "$output" == *"$1"* ]] || { echo "$output"; return 1; }
}

@test "an agent is added as a whole" {
    run "$moss" agent add agent.json
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = "tiny is there. Start it with: moss agent start tiny" ]
    generation="$(jq -r .generation store/agents/tiny/initial.json)"
    [ "$(jq .epoch store/agents/tiny/initial.json)" = 0 ]
    [ -d store/agents/tiny/epochs/0 ]
    [ "$("$moss" generations tiny --json | jq -r '.[0] | "\(.generation) \(.commit) \(.current)"')" = \
        "$generation $(git -C source rev-parse HEAD) true" ]
    top="$("$moss" generations tiny --json | jq -r '.[0].layers[0]')"
    [ "$(cat "store/layers/sha256/$top/opt/program")" = one ]
    [ "$(jq -r .source.repository store/agents/tiny/agent.json)" = "$BATS_TEST_TMPDIR/source" ]
    store_is_clean
}

@test "the same source and root give the same generation" {
    first="$("$moss" agent add agent.json --json | jq -r .generation)"
    second="$("$moss" agent add agent.json --replace --json | jq -r .generation)"
    [ -n "$first" ] && [ "$first" = "$second" ]
    store_is_clean
}

@test "its state starts as a copy of the operator's directory" {
    mkdir seed
    printf 'kept\n' >seed/memory
    with '.state.directory = "seed"'
    "$moss" agent add agent.json
    [ "$(cat store/agents/tiny/epochs/0/memory)" = kept ]
}

@test "status, list and generations show it, for people and as JSON" {
    "$moss" agent list >empty
    [ ! -s empty ]
    [ "$("$moss" agent list --json | jq -c .)" = "[]" ]
    "$moss" agent add agent.json
    [ "$("$moss" agent status tiny --json | jq -r '"\(.agent) \(.state) \(.epoch) \(.ready)"')" = "tiny never started 0 false" ]
    [[ "$("$moss" agent status tiny)" == "tiny: never started"* ]]
    [ "$("$moss" agent list | wc -l)" -eq 2 ]
    [ "$("$moss" agent list --json | jq -r '.[0].agent')" = tiny ]
    [[ "$("$moss" generations tiny)" == *current* ]]
}

@test "a broken agent is listed as broken and hides no other" {
    "$moss" agent add agent.json
    mkdir store/agents/broken
    [ "$("$moss" agent list --json | jq -r 'map(.agent + " " + .state) | join(", ")')" = "broken broken, tiny never started" ]
}

@test "a source with uncommitted changes is refused by the names of the first few" {
    touch source/a source/b source/c source/d source/e source/f
    run "$moss" agent add agent.json
    fails_with "source has changes that are not committed: a, b, c, d, e and 1 more"
    [ ! -e store/agents/tiny ]
}

@test "a branch that is not there is refused" {
    with '.source.branch = "release"'
    run "$moss" agent add agent.json
    fails_with "branch release"
    store_is_clean
}

@test "a failing build shows its output and its cause, and leaves no agent" {
    with '.build.command = ["/bin/sh", "-c", "echo no such luck; exit 3"]'
    run "$moss" agent add agent.json
    fails_with "the build failed: exit 3"
    [ "${lines[-2]}" = "no such luck" ]
    [ ! -e store/agents/tiny ]
    store_is_clean
}

@test "with --json an error is a document on standard output" {
    [ "$("$moss" agent status tiny --json 2>/dev/null | jq -r .error)" = \
        "there is no agent tiny in $MOSS_STORE: \`moss agent add FILE\` adds one" ]
}

@test "a second one of the same name needs --replace" {
    "$moss" agent add agent.json
    run "$moss" agent add agent.json
    fails_with "there is an agent tiny already"
    printf 'two\n' >source/program
    commit
    "$moss" agent add agent.json --replace
    top="$(jq -r '.generation' store/agents/tiny/initial.json | xargs -I{} jq -r '.layers[0]' store/generations/{}.json)"
    [ "$(cat "store/layers/sha256/$top/opt/program")" = two ]
    store_is_clean
}

@test "what has run keeps its state and generation when its settings are replaced" {
    "$moss" agent add agent.json
    echo '{}' >store/agents/tiny/head.json
    echo precious >store/agents/tiny/epochs/0/memory
    with '.limits.processes = 99'
    "$moss" agent add agent.json --replace
    [ "$(jq .limits.processes store/agents/tiny/agent.json)" = 99 ]
    [ "$(cat store/agents/tiny/epochs/0/memory)" = precious ]
}

@test "what the file names must be there" {
    with '.root.directory = "nowhere"'
    run "$moss" agent add agent.json
    fails_with "root.directory: $BATS_TEST_TMPDIR/nowhere: No such file or directory"
    settings >agent.json
    with '.consent.allowedSigners = "signers"'
    run "$moss" agent add agent.json
    fails_with "consent.allowedSigners: $BATS_TEST_TMPDIR/signers: No such file or directory"
}

@test "removing takes a word more and everything with it" {
    "$moss" agent add agent.json
    run "$moss" agent remove tiny
    fails_with "--force does it"
    [ -d store/agents/tiny ]
    "$moss" agent remove tiny --force
    [ ! -e store/agents/tiny ]
    run "$moss" agent remove tiny --force
    fails_with "there is no agent tiny"
}

@test "two at a time do not get into each other's way" {
    exec 9<"$(mkdir -p store/agents && echo store/agents)"
    flock 9
    run "$moss" agent add agent.json 9<&-
    fails_with "another agent is being added or removed"
}

@test "killed while it adds, it leaves no half agent and nothing in the way" {
    command -v strace >/dev/null || skip "strace is missing"
    for call in mkdirat renameat2 fsync syncfs clone3 flock; do
        for n in 1 2 3; do
            rm -rf store
            strace -o /dev/null -e "inject=$call:signal=KILL:when=$n" "$moss" agent add agent.json >/dev/null 2>&1 || true
            if [ -e store/agents/tiny ]; then
                "$moss" agent status tiny >/dev/null
            else
                "$moss" agent add agent.json >/dev/null
            fi
            "$MOSS_BUILD/moss-runtime" generation list >/dev/null # sweeps
            [ -z "$(ls -A store/tmp)" ] || { echo "left after $call $n: $(ls -A store/tmp)"; return 1; }
        done
    done
}

@test "wrong usage is exit status 2" {
    for arguments in "" "agent" "agent fly" "agent add" "agent status" "agent status a b" "agent logs x --lines none" "generations" "nonsense"; do
        run "$moss" $arguments
        [ "$status" -eq 2 ] || { echo "moss $arguments: $status"; return 1; }
        [[ "$output" == *usage:* ]]
    done
    "$moss" --help | grep -q 'usage: moss'
    [[ "$("$moss" --version)" == "moss "* ]]
}
