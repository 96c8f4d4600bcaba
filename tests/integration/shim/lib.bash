# Keeps the test server in a store of the test's own. Source it from a bats file.
SHIM_LIB=${BASH_SOURCE[0]%/*}

shim_setup_file() {
    export MOSS_BUILD=${MOSS_BUILD:-$SHIM_LIB/../../../build}
    export SHARED=$BATS_FILE_TMPDIR/shared
    mkdir -p "$SHARED"
    "$SHIM_LIB/../../agents/clerk/make-root" "$SHARED/root"
}

# What a file does that needs no more.
setup_file() { shim_setup_file; }
setup() { shim_setup; }
teardown() { shim_teardown; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

shim() { "$MOSS_BUILD/moss-shim" "$@"; }
runtime() { "$MOSS_BUILD/moss-runtime" "$@"; }

# A generation of the server in this mode: its digest.
generation() { # mode
    local layer=$BATS_TEST_TMPDIR/layer-$1 top
    mkdir -p "$layer/opt"
    cp "$SHIM_LIB/${PROGRAM:-server.py}" "$layer/opt/server.py"
    echo "$1" >"$layer/opt/mode"
    top=$(runtime layer import "$layer")
    runtime generation create --agent "$NAME" --commit 0000000000000000000000000000000000000000 "$top" "$BASE"
}

shim_setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    export MOSS_STORE=${STORE_DIRECTORY:-$BATS_TEST_TMPDIR/store} MOSS_RUN=$BATS_TEST_TMPDIR/run
    NAME=t$BATS_TEST_NUMBER-$$
    PORT=${PORT:-$(free_port)}
    AGENT=$MOSS_STORE/agents/$NAME
    mkdir -p "$AGENT/epochs/0" "$MOSS_RUN"
    BASE=$(runtime layer import "$SHARED/root")
    GOOD=$(generation good)
    sed -e "s/@NAME@/$NAME/g" -e "s/@PORT@/$PORT/g" -e "s/@NETWORK@/${NETWORK:-host}/" \
        "$SHIM_LIB/agent.json.in" >"$AGENT/agent.json"
    echo "{\"generation\":\"$GOOD\",\"epoch\":0}" >"$AGENT/initial.json"
}

shim_teardown() {
    shim stop "$NAME" >/dev/null 2>&1 || true
    [ -z "$LOADER" ] || kill "$LOADER" 2>/dev/null || true
    # Nothing may be left: no process in the container's cgroup, no mount.
    if find /sys/fs/cgroup -path "*kept-$NAME*" -o -path "*rehearsal-$NAME*" 2>/dev/null | grep .; then return 1; fi
    [ -z "$STORE_DIRECTORY" ] || umount "$STORE_DIRECTORY"
    ! grep -q "$BATS_TEST_TMPDIR" /proc/self/mountinfo
}

get() { # path
    curl -sS --max-time 5 "http://127.0.0.1:$PORT$1"
}
state() { shim status "$NAME" --json | jq -r ".$1"; }

# with FILTER: changes the agent.json of the store.
with() {
    jq "$@" "$AGENT/agent.json" >"$BATS_TEST_TMPDIR/changed.json"
    mv "$BATS_TEST_TMPDIR/changed.json" "$AGENT/agent.json"
}
