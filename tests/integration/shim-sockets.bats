#!/usr/bin/env bats
# Listening sockets that outlive the agent: what clients see of a swap, and what an agent sees that starts with its sockets held.

bats_require_minimum_version 1.5.0
load shim/lib

ALL='threading_http asyncio_ipv6 asyncio_dual_stack prefork group mptcp late_listeners epoll abstract packets state_path any_port client_first late busybox node node_cluster'

setup() {
    NETWORK=none PORT=8000 shim_setup
}
teardown() {
    if [ -n "$LOADER" ]; then
        kill "$LOADER"
        wait "$LOADER" 2>/dev/null || true
        LOADER=
    fi
    shim_teardown
}

# What the base root lacks of Python, and Node if it is here.
zoo_layer() { # directory
    /usr/bin/python3 - "$1" <<'END'
import os, shutil, subprocess, sys, sysconfig
root, library = sys.argv[1], sysconfig.get_path("stdlib")
for name in ("asyncio", "concurrent"):
    shutil.copytree(f"{library}/{name}", f"{root}{library}/{name}", ignore=shutil.ignore_patterns("__pycache__"))
def copy(source, place=None):
    place = root + (place or source)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copy(os.path.realpath(source), place)
if os.path.exists("/usr/bin/node"):
    copy("/usr/bin/node")
    for line in subprocess.run(["ldd", "/usr/bin/node"], capture_output=True, text=True, check=True).stdout.splitlines():
        for word in line.split():
            if word.startswith("/") and os.path.isfile(word):
                copy(word, word if word.startswith("/usr/") else f"/usr{word}")
    for name in ("acorn", "cjs-module-lexer", "undici"):
        if os.path.isdir(f"/usr/share/nodejs/{name}"):
            shutil.copytree(f"/usr/share/nodejs/{name}", f"{root}/usr/share/nodejs/{name}")
END
}

# A generation of an agent's program in this mode, above the base and the layers that are given: its digest.
program() { # file mode [layer…]
    local layer=$BATS_TEST_TMPDIR/layer-$2 top
    mkdir -p "$layer/opt"
    cp "$BATS_TEST_DIRNAME/shim/server.py" "$BATS_TEST_DIRNAME/shim/$1" "$layer/opt"
    echo "$2" >"$layer/opt/mode"
    top=$(runtime layer import "$layer")
    runtime generation create --agent "$NAME" --commit 0000000000000000000000000000000000000000 "$top" "${@:3}" "$BASE"
}

# agent.json through jq, for an agent of many processes on a machine that may be slow.
patient() { # jq argument…
    jq "${@:1:$#-1}" "${!#}"' | .limits.processes = 512 | .gate.gateTimeoutSeconds = 100 | .gate.swapBudgetSeconds = 200
        | .probes.startupProbe.failureThreshold = 60 | del(.probes.livenessProbe) | .probes[].timeoutSeconds = 10' \
        "$AGENT/agent.json" >"$AGENT/agent.json.new"
    mv "$AGENT/agent.json.new" "$AGENT/agent.json"
}

wait_for() { # seconds command…
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

start_load() { # kind…
    init=$(cat "$(find /sys/fs/cgroup -path "*kept-$NAME-*/init/cgroup.procs" | head -n 1)")
    nsenter -n -t "$init" /usr/bin/python3 -S -E "$BATS_TEST_DIRNAME/shim/connect.py" "$BATS_TEST_TMPDIR/load" \
        "/proc/$init/root/state" "$@" 3>&- &
    LOADER=$!
}

all_answered() { jq -e --arg m "$1" 'all(.[]; .[$m] > 0)' "$BATS_TEST_TMPDIR/load" >/dev/null 2>&1; }

# Each kind has been answered by a generation of this mode.
wait_answers() { # mode
    wait_for 60 all_answered "$1" && return
    cat "$BATS_TEST_TMPDIR/load" >&2
    shim logs "$NAME" >&2
    return 1
}

all_bound() { state listeners | jq -e 'all(.bound)' >/dev/null; }

@test "servers of many makes are swapped and swapped back: nobody is refused" {
    kinds=$ALL
    [ -x /usr/bin/node ] || kinds=${kinds/ node node_cluster/}
    python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)' 2>/dev/null || kinds=${kinds/ mptcp/}
    echo "# $kinds" >&3
    mkdir "$BATS_TEST_TMPDIR/zoo"
    zoo_layer "$BATS_TEST_TMPDIR/zoo"
    zoo=$(runtime layer import "$BATS_TEST_TMPDIR/zoo")
    good=$(program zoo.py good "$zoo")
    patient --arg kinds "$kinds" '.run.command[3] = "/opt/zoo.py" | .run.env = {"PORT": "8000", "KINDS": $kinds}'
    echo "{\"generation\":\"$good\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
    start_load $kinds
    wait_answers good

    shim swap "$NAME" "$(program zoo.py good2 "$zoo")" --no-rehearsal
    wait_answers good2
    [ "$(cat "$AGENT/epochs/0/port")" = "$(cat "$AGENT/epochs/1/port")" ]
    # It is ready and answers for a while, then goes back.
    run -3 shim swap "$NAME" "$(program zoo.py sickens "$zoo")" --no-rehearsal
    wait_answers sickens
    jq -c 'to_entries[] | [.key, .value]' "$BATS_TEST_TMPDIR/load" | sed 's/^/# /' >&3
    [ "$(jq 'map(.refused) | add' "$BATS_TEST_TMPDIR/load")" = 0 ]
    # One client after the other: at most one was being answered when an incarnation ended, of which there were three, and one more may have waited at a worker of a
    # group that was late.
    jq -e 'all(.[]; .cut <= 6)' "$BATS_TEST_TMPDIR/load"
    wait_for 30 all_bound
    # A group has as many listeners as it had, all in use.
    [ "$(state listeners | jq '[.[] | select(.address == "127.0.0.1:8005" and .bound)] | length')" = 3 ]
}

@test "an agent that binds in odd ways finds its sockets held as it would find them free" {
    good=$(program odd.py good)
    patient '.run.command[3] = "/opt/odd.py" | .run.env = {"PORT": "8000"}'
    echo "{\"generation\":\"$good\",\"epoch\":0}" >"$AGENT/initial.json"
    shim start "$NAME"
    for run in 1 2 3; do
        [ $run = 1 ] || kill -9 "$(state pid)"
        wait_for 30 eval "[ \"\$(wc -l <'$AGENT/epochs/0/checks')\" = $run ]"
    done
    jq -c 'with_entries(select(.value != "ok"))' "$AGENT/epochs/0/checks" | sed 's/^/# /' >&3
    [ "$(jq -s '[.[] | length] | unique | length' "$AGENT/epochs/0/checks")" = 1 ]
    jq -s -e 'all(.[][]; . == "ok")' "$AGENT/epochs/0/checks"
    [ "$(state trouble)" = "" ]
    # Neither what connected nor what was bound alone is held.
    [ "$(state listeners | jq '[.[] | select(.address | test(":900[45]$"))] | length')" = 0 ]
}

@test "an agent that takes its sockets from MOSS is swapped and swapped back: nobody is refused" {
    path=$BATS_TEST_TMPDIR/agent.sock
    patient --arg path "$path" '.run.command[3] = "/opt/fds.py" | .run.env = {"PORT": "8000"} | .sockets = {"mode": "listen-fds", "listen": [
        {"name": "http", "tcp": "127.0.0.1:80"}, {"name": "path", "unix": $path, "mode": "0660"},
        {"name": "packets", "unix": "@packets", "type": "seqpacket"}]}'
    echo "{\"generation\":\"$(program fds.py good)\",\"epoch\":0}" >"$AGENT/initial.json"
    # What a killed shim has left is no obstacle; what somebody listens at is.
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$path"
    shim start "$NAME"
    [ "$(stat -c %a "$path")" = 660 ]
    start_load http=80 path="$path" packets
    wait_answers good

    # The candidate is rehearsed with sockets that nobody knows.
    shim swap "$NAME" "$(program fds.py good2)" --json >"$BATS_TEST_TMPDIR/answer"
    [ "$(jq -r '.outcome, .rehearsed' "$BATS_TEST_TMPDIR/answer" | xargs)" = 'committed true' ]
    wait_answers good2
    run -3 shim swap "$NAME" "$(program fds.py takes-none)" --no-rehearsal
    run -3 shim swap "$NAME" "$(program fds.py sickens)" --no-rehearsal
    wait_answers sickens
    kill -9 "$(state pid)"
    wait_for 30 eval '[ "$(state restarts)" = 1 ] && [ "$(state ready)" = true ]'
    echo "# $(cat "$BATS_TEST_TMPDIR/load")" >&3
    [ "$(jq 'map(.refused) | add' "$BATS_TEST_TMPDIR/load")" = 0 ]
    [ "$(state listeners | jq -c 'map([.address, .bound])')" = "[[\"127.0.0.1:80\",true],[\"$path\",true],[\"@packets\",true]]" ]
    shim stop "$NAME"
    [ ! -e "$path" ]
}

@test "an address of listen-fds that cannot be had is named" {
    path=$BATS_TEST_TMPDIR/taken
    patient --arg path "$path" '.sockets = {"mode": "listen-fds", "listen": [{"name": "path", "unix": $path}]}'
    touch "$path"
    run -1 shim start "$NAME"
    [[ $output == *"cannot listen at $path: there is a file that is no socket"* ]]
    [ -f "$path" ]
    rm "$path"
    python3 -c 'import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)' "$path" 3>&- &
    LOADER=$!
    wait_for 10 [ -S "$path" ]
    run -1 shim start "$NAME"
    [[ $output == *"cannot listen at $path: Address already in use"* ]]
    [ -S "$path" ]
}
