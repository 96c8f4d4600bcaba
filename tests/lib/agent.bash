# An agent that is known and was never started, and a shim that is played: for tests of what goes on around both.
# Sourced by bats files; needs MOSS_RUN for the shim.
# shellcheck shell=bash

# The clerk's agent.json, with everything that it names below one directory.
agent_json() { # directory
    sed -e "s|@SOURCE@|$1/source|g" -e "s|@ROOT@|$1/root|g" -e "s|@OPERATOR@|$1|g" -e "s|@CARELESS@|$1|g" \
        -e "s|@PORT@|8080|g" -e "s|@MODEL_PORT@|8081|g" -e "s|@ALLOWED_SIGNERS@|$1/signers|g" \
        "$BATS_TEST_DIRNAME/../agents/clerk/agent.json.in"
}

# The shim's part: it says that it keeps the clerk, whose process is this one, and answers a swap, which is in $BATS_TEST_TMPDIR/swap-request then.
# Without an answer it dies in the middle of the swap.
agent_play_shim() { # [ANSWER]
    local socket=$MOSS_RUN/clerk/shim.sock
    [ -d "$MOSS_RUN/clerk" ] || install -d -m 0700 "$MOSS_RUN/clerk"
    rm -f "$socket"
    /usr/bin/python3 -B -E - "$socket" "$BATS_TEST_TMPDIR/swap-request" "${1:-}" 3>&- <<'PY' &
import json, os, socket, sys
path, swap, answer = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
s.listen(8)
while True:
    c, _ = s.accept()
    request = json.loads(c.recv(65536))
    if request["op"] == "status":
        c.send(json.dumps({"ok": True, "state": "STEADY", "pid": os.getpid()}).encode())
    else:
        with open(swap, "w") as file:
            json.dump(request, file)
        c.send(b'{"event":"TRYING"}')
        if answer:
            c.send(answer.encode())
    c.close()
PY
    shim=$!
    until [ -S "$socket" ]; do
        kill -0 "$shim"
        sleep 0.01
    done
}

agent_end_shim() {
    if [ -n "${shim:-}" ]; then
        kill "$shim" 2>/dev/null || true
        wait "$shim" 2>/dev/null || true
    fi
}
