# A world with one clerk in it, for the demonstration, the bench and the tests: source repository (with a fault, if one is named),
# base root, agent.json, a signing key, a model server, users. Everything lies below $world, a directory of the caller's.
# Sourced; needs MOSS_BUILD (where the programs are). FAULTS: a directory of patches instead of the clerk's own.
# shellcheck shell=bash

clerk=$(cd "$(dirname "${BASH_SOURCE[0]}")/../agents/clerk" && pwd)
export PATH=$MOSS_BUILD:$PATH

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The base root is the same for every world: made once for a build.
clerk_root() {
    local root=$MOSS_BUILD/clerk-root
    if [ ! -e "$root.done" ]; then
        rm -rf "$root"
        "$clerk/make-root" "$root" >&2
        touch "$root.done"
    fi
    echo "$root"
}

clerk_source() { # directory, fault or ""
    mkdir -p "$1"
    cp -r "$clerk/source/." "$1"
    find "$1" -name __pycache__ -prune -exec rm -rf {} +
    if [ -n "$2" ]; then
        patch -s -d "$1" -p1 <"${FAULTS:-$clerk/faults}/$2.patch"
    fi
    git -C "$1" init -q -b main
    git -C "$1" add -A
    git -C "$1" -c user.name=operator -c user.email=operator@localhost commit -q -m 'The clerk as it runs'
}

clerk_world() { # fault or ""
    mkdir -p "$world"
    export MOSS_STORE=$world/store MOSS_RUN=$world/run
    port=$(free_port)
    model_port=$(free_port)
    url=http://127.0.0.1:$port
    clerk_source "$world/source" "$1"
    ssh-keygen -q -t ed25519 -N '' -C operator -f "$world/key"
    printf 'operator %s\n' "$(cut -d' ' -f1,2 "$world/key.pub")" >"$world/allowed_signers"
    sed -e "s|@SOURCE@|$world/source|g" -e "s|@ROOT@|$(clerk_root)|g" -e "s|@OPERATOR@|$clerk/operator|g" \
        -e "s|@PORT@|$port|g" -e "s|@MODEL_PORT@|$model_port|g" -e "s|@ALLOWED_SIGNERS@|$world/allowed_signers|g" \
        -e "s|@CARELESS@|$clerk/careless|g" "$clerk/agent.json.in" >"$world/agent.json"
}

# Until it accepts; one that ends before that is quoted.
clerk_await() { # port, process, what it wrote
    until (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
        kill -0 "$2" 2>/dev/null || { cat "$3" >&2; return 1; }
        sleep 0.02
    done
}

clerk_model() {
    /usr/bin/python3 "$clerk/operator/model.py" --port "$model_port" >"$world/model.log" 2>&1 3>&- &
    model_pid=$!
    clerk_await "$model_port" $model_pid "$world/model.log"
}

# The clerk as a plain process: sessions of the same kind as in its container, without waiting for gates and bakes.
clerk_run() { # source, state
    mkdir -p "$2"
    CLERK_PORT=$port CLERK_MODEL_URL=http://127.0.0.1:$model_port/v1 CLERK_STATE=$2 MOSS_GENERATION=plain MOSS_NONCE=plain \
        /usr/bin/python3 -S -E -B "$1/clerkd.py" >"$world/clerk.log" 2>&1 3>&- &
    clerk_pid=$!
    clerk_await "$port" $clerk_pid "$world/clerk.log"
}
clerk_stop() {
    kill "$clerk_pid"
    wait "$clerk_pid"
}

# In place of the shell that calls it: so that a signal to a background job reaches the users.
clerk_users_exec() { # report, options…
    exec /usr/bin/python3 "$clerk/users/users.py" --url "$url" --report "$@"
}
clerk_users() { # report, options…
    (clerk_users_exec "$@")
}

# A world whose faulty clerk has served users, and the evidence of that.
clerk_evidence() { # fault, options of the users…
    clerk_world "$1"
    moss agent add "$world/agent.json"
    clerk_model
    clerk_run "$world/source" "$MOSS_STORE/agents/clerk/epochs/0"
    clerk_users "$world/report.json" --seed 1 "${@:2}"
    clerk_stop
    clerk_end
    moss evo catch-up
}

# The control group of this world's evolutions, where there is one: while it is there, a process of theirs may be, too.
clerk_cgroup() {
    local hierarchy
    hierarchy=$(awk '$(NF - 2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
    find "$hierarchy" -maxdepth 4 -name "evo-clerk-$(printf %s "$MOSS_STORE/agents/clerk" | sha256sum | cut -c 1-8)" 2>/dev/null
}

# Makes DIRECTORY/NAME.py the coding agent.
clerk_coder() { # directory, name, seconds
    local file=$MOSS_STORE/agents/clerk/agent.json
    jq --arg directory "$1" --arg program "/coder/$2.py" --argjson seconds "$3" \
        '.coder = {adapter: "command", directory: $directory, timeoutSeconds: $seconds, command: ["/usr/bin/python3", "-S", "-E", "-B", $program]}' \
        "$file" >"$file.new"
    mv "$file.new" "$file"
}

clerk_end() {
    moss-shim stop clerk >/dev/null 2>&1 || true
    [ -z "${model_pid:-}" ] || kill "$model_pid" 2>/dev/null || true
    wait 2>/dev/null || true
}

# Signs the request of `moss evo apply` as the operator of this world would.
clerk_sign() { # request
    ssh-keygen -q -Y sign -f "$world/key" -n moss-consent "$1" 2>/dev/null
}
