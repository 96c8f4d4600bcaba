#!/usr/bin/env bats
# A shim that is killed, detached or started again: the agent is none the worse.

bats_require_minimum_version 1.5.0
load shim/lib
load shim/load

shim_pid() { pgrep -f "^$MOSS_BUILD/moss-shim (start|recover) $NAME\$"; }
kill_shim() { kill -9 "$(shim_pid)"; }
await_state() { # state
    for _ in {1..1200}; do
        [ "$(state state)" != "$1" ] || return 0
        sleep 0.05
    done
    echo "the state is $(state state), not $1"
    return 1
}
nobody_noticed() {
    stop_load
    [ "$answered" -gt 0 ]
    [ "$refused" = 0 ]
    [ "$cut" = 0 ]
}
records() { wc -l <"$AGENT/swaps.jsonl"; }

@test "shims are killed and detached under load, and the agent runs on: same process, nobody refused, nobody cut" {
    shim start "$NAME"
    pid=$(state pid)
    nonce=$(get /count | jq -r .nonce)
    start_load
    for way in KILL detach TERM KILL; do
        old=$(shim_pid)
        if [ $way = detach ]; then shim detach "$NAME"; else kill -s $way "$old"; fi
        [ "$(get /count | jq -r .nonce)" = "$nonce" ]
        shim start "$NAME"
        [ "$(state pid)" = "$pid" ]
        [ "$(state ready)" = true ]
        [ "$(state restarts)" = 0 ]
    done
    nobody_noticed
    # It is swapped as if this shim had started it.
    shim swap "$NAME" "$(generation good2)"
    [ "$(get /count | jq -r .mode)" = good2 ]
}

@test "how an agent ended is known to a shim that did not start it" {
    shim start "$NAME"
    kill_shim
    shim start "$NAME"
    kill -USR1 "$(state pid)"
    until [[ $(shim logs "$NAME") == *"killed by signal 10"* ]]; do sleep 0.05; done
    until [ "$(state ready)" = true ]; do sleep 0.05; done
    [ "$(state restarts)" = 1 ]

    # Also when it ended while no shim was there.
    pid=$(state pid)
    kill_shim
    kill -USR2 "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.02; done
    shim start "$NAME"
    [[ $(shim logs "$NAME") == *"ended with status 140"* ]]
    [ "$(state pid)" != "$pid" ]
    [ "$(state ready)" = true ]
}

@test "a shim waits for one that is about to end, which may be slow" {
    shim start "$NAME"
    pid=$(state pid)
    old=$(shim_pid)
    kill -STOP "$old" # as one that was killed, but is not gone yet: it is connected to, and answers nothing
    shim start "$NAME" 3>&- &
    starter=$!
    until [ "$(shim_pid | wc -l)" -gt 1 ]; do sleep 0.02; done
    kill -KILL "$old"
    wait "$starter"
    [ "$(state pid)" = "$pid" ]
}

@test "an agent that was stopped can be started at once, however slowly its shim ends" {
    command -v strace >/dev/null || skip 'strace is missing'
    shim start "$NAME"
    strace -p "$(shim_pid)" -o /dev/null -e trace=close -e inject=close:delay_enter=50000 3>&- &
    until grep -q '^TracerPid:[^0]*[1-9]' "/proc/$(shim_pid)/status"; do sleep 0.02; done
    shim stop "$NAME"
    flock --shared --nonblock "$MOSS_RUN/$NAME/lock" true
    shim start "$NAME"
    [ "$(state ready)" = true ]
}

@test "an agent that was told to end is not taken over" {
    shim start "$NAME"
    shim swap "$NAME" "$(generation stubborn)"
    pid=$(state pid)
    shim stop "$NAME" 3>&- &
    until [[ $(shim status "$NAME" 2>&1) == *stopping* ]]; do sleep 0.02; done
    kill_shim
    wait $! || true
    shim start "$NAME"
    [ "$(state pid)" != "$pid" ]
    [ ! -e "/proc/$pid" ]
    [ "$(state ready)" = true ]
}

@test "a swap that was only prepared is given up, and the agent does not notice" {
    shim start "$NAME"
    pid=$(state pid)
    start_load
    shim swap "$NAME" "$(generation never-ready)" --json >/dev/null 2>&1 3>&- &
    await_state PREPARED
    kill_shim
    wait $! || true
    shim start "$NAME"
    [ "$(state state)" = STEADY ]
    [ "$(state pid)" = "$pid" ]
    nobody_noticed
    [ "$(jq -r .outcome "$AGENT/swaps.jsonl")" = rolled_back ]
    [ "$(ls "$AGENT/epochs")" = 0 ]
}

@test "a candidate that serves goes on serving, its bake begins again, and it is committed once" {
    shim start "$NAME"
    next=$(generation good2)
    shim swap "$NAME" "$next" --no-rehearsal --json >/dev/null 2>&1 3>&- &
    swapper=$!
    await_state SERVING
    pid=$(state pid)
    start_load
    for _ in 1 2 3; do
        kill_shim
        began=$(date +%s%N)
        shim start "$NAME"
        [ "$(state state)" = SERVING ]
        [ "$(state pid)" = "$pid" ]
    done
    wait $swapper || true
    await_state STEADY
    [ $((($(date +%s%N) - began) / 1000000)) -ge 4000 ] # bakeSeconds, in full
    [ "$(state pid)" = "$pid" ]
    [ "$(state generation)" = "$next" ]
    nobody_noticed
    [ "$(jq -r .outcome "$AGENT/swaps.jsonl")" = committed ]
    [ "$(jq .restarts "$AGENT/head.json")" = 0 ]
}

@test "a candidate that sickens in its bake is rolled back by the shim that took it over" {
    shim start "$NAME"
    shim swap "$NAME" "$(generation sickens)" --no-rehearsal --json >/dev/null 2>&1 3>&- &
    await_state SERVING
    kill_shim
    wait $! || true
    shim start "$NAME"
    await_state STEADY
    [ "$(get /count | jq -r .mode)" = good ]
    [ "$(jq -r .outcome "$AGENT/swaps.jsonl")" = rolled_back ]
}

@test "a bind and a listen wait for the next shim, at whatever call the last one was killed while it answered" {
    command -v strace >/dev/null || skip 'needs strace'
    shim start "$NAME"
    pid=$(state pid)
    kill_shim
    for ((call = 1, killed = 1; killed; call++)); do
        [ $call = 1 ] || # the first time there is no shim to begin with
            strace -qq -p "$(shim_pid)" -e trace=ioctl,listen,sendmsg -e inject=ioctl,listen,sendmsg:signal=KILL:when=$((call - 1)) \
                -o "$BATS_TEST_TMPDIR/strace" 3>&- &
        tracer=$!
        [ $call = 1 ] || until grep -q '^TracerPid:.*[1-9]' "/proc/$(shim_pid)/status"; do sleep 0.02; done
        curl -sS --max-time 60 "http://127.0.0.1:$PORT/attempts" >"$BATS_TEST_TMPDIR/attempts" 3>&- &
        asked=$!
        while shim_pid >/dev/null && kill -0 $asked 2>/dev/null; do sleep 0.02; done
        if shim_pid >/dev/null; then
            killed=
            kill $tracer
        else
            shim start "$NAME"
        fi
        wait $asked
        jq -c .attempts "$BATS_TEST_TMPDIR/attempts"
        [ "$(jq -r '.attempts | .bind, .listen' "$BATS_TEST_TMPDIR/attempts" | sort -u)" = done ]
        [ "$(state pid)" = "$pid" ]
    done
    echo "# killed at $((call - 2)) calls" >&3
    [ $call -gt 8 ]
}

@test "stop ends an agent that runs under no shim" {
    shim start "$NAME"
    pid=$(state pid)
    kill_shim
    shim stop "$NAME"
    [ ! -e "/proc/$pid" ]
    run shim stop "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"is not running"* ]]
}

@test "a halted agent keeps its sockets, also when its shim is started again, until it is told to recover" {
    shim start "$NAME"
    start_load
    mv "$MOSS_STORE/generations/$GOOD.json" "$BATS_TEST_TMPDIR/"
    run shim swap "$NAME" "$(generation exits)" --no-rehearsal --json
    [ "$status" = 3 ]
    [ "$(state state)" = HALTED ]
    [ "$(state generation)" = "$GOOD" ]
    kill_shim
    run shim start "$NAME"
    [ "$status" = 1 ]
    [[ $output == *"is halted"* ]]
    [ "$(state state)" = HALTED ]
    run shim swap "$NAME" "$(generation good2)"
    [ "$status" = 1 ]
    mv "$BATS_TEST_TMPDIR/$GOOD.json" "$MOSS_STORE/generations/"
    shim recover "$NAME"
    await_state STEADY
    until [ "$(state ready)" = true ]; do sleep 0.05; done
    [ "$(get /count | jq -r .mode)" = good ]
    stop_load
    [ "$refused" = 0 ]
    [ "$(records)" = 1 ]
}
