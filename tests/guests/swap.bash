# Agents that are kept in the containers of engines: the server of tests/integration/shim, in the store that moss-runtime looks in when an
# engine calls it. Sourced by bats files after engine.bash.
# shellcheck shell=bash

load ../integration/shim/lib
load ../integration/shim/load

# Instead of lib.bash's: the root came with the programs.
shim_setup_file() {
    export SHARED=$MOSS_BUILD
}

# A guest is slow, and this is not about speed.
patiently() { # FILTER
    jq ".gate += {swapBudgetSeconds: 300, gateTimeoutSeconds: 120, drainTimeoutSeconds: 60, bakeSeconds: 15}
        | .probes.startupProbe.failureThreshold = 60 | .probes[].timeoutSeconds = 5 | $1" "$AGENT/agent.json" >"$AGENT/agent.json.new"
    mv "$AGENT/agent.json.new" "$AGENT/agent.json"
}

get() { # path
    curl -sS --max-time 60 "http://127.0.0.1:$PORT$1"
}

# A kept agent $NAME of this user, not running, that is to listen at $PORT in a network of an engine's.
swap_setup() { # [USER STORE RUN-DIRECTORY]
    local user=${1:-root}
    export MOSS_STORE=${2:-/var/lib/moss} MOSS_RUN=${3:-/run/moss}
    NAME=$(name)
    PORT=8000
    AGENT=$MOSS_STORE/agents/$NAME
    install -d -o "$user" -g "$user" "$MOSS_RUN" "$MOSS_STORE" "$MOSS_STORE/agents" "$AGENT"
    mkdir -p "$AGENT/epochs/0"
    # Once a guest: it takes half a minute.
    [ -s "$MOSS_STORE/base" ] || runtime layer import "$SHARED/root" >"$MOSS_STORE/base"
    BASE=$(cat "$MOSS_STORE/base")
    GOOD=$(generation good)
    sed -e "s/@NAME@/$NAME/g" -e "s/@PORT@/$PORT/g" -e "s/@NETWORK@/engine/" "$SHIM_LIB/agent.json.in" >"$AGENT/agent.json"
    patiently '.run.env.HOST = "0.0.0.0"'
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
    chown -R "$user:$user" "$AGENT"
}

swap_teardown() {
    [ -z "$LOADER" ] || kill "$LOADER" 2>/dev/null || true
    # The shim ends with its container, and nothing is left of either.
    await eval "! pgrep -f 'moss-shim start $NAME ' >/dev/null"
    rm -rf "$AGENT"
}

# Until the agent of a container that an engine has started serves.
ready() {
    await eval "[ \"\$(shim status $NAME --json 2>/dev/null | jq -r .ready)\" = true ]" || {
        shim status "$NAME"
        shim logs "$NAME"
        return 1
    }
}

# A swap to a generation of mode $1, in the background.
start_swap() { # MODE OPTION...
    local mode=$1
    shift
    shim swap "$NAME" "$(generation "$mode")" "$@" --json >"$BATS_TEST_TMPDIR/answer" 2>"$BATS_TEST_TMPDIR/error" 3>&- &
    SWAPPER=$!
}

# Repeats a command until that swap is over, which is to be committed.
while_swapping() { # COMMAND...
    local times=0
    while kill -0 "$SWAPPER" 2>/dev/null; do
        "$@" >/dev/null
        times=$((times + 1))
    done
    wait "$SWAPPER" || {
        cat "$BATS_TEST_TMPDIR/error" "$BATS_TEST_TMPDIR/answer"
        return 1
    }
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = committed ]
    echo "# $1 $2 $times times during a swap whose pause was $(jq .pause_usec "$BATS_TEST_TMPDIR/answer") us" >&3
}
