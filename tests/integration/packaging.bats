#!/usr/bin/env bats
# What is installed beside the programs: completions that know every verb, manuals without mistakes, units that systemd can read, and nothing left by uninstall.

bats_require_minimum_version 1.5.0

setup() {
    PATH=$MOSS_BUILD:$PATH
    packaging=$BATS_TEST_DIRNAME/../../packaging
}

# complete_line WORD…: what the last word is completed to, sorted.
complete_line() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "_${1//-/_}"
    printf '%s\n' "${COMPREPLY[@]}" | sort
}

# Those that a program's help lists, indented by two.
verbs_in() {
    sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | sort -u
}

@test "every verb is completed, and nothing that is none" {
    for program in moss moss-shim moss-runtime; do
        # shellcheck source=/dev/null
        . "$packaging/completions/$program.bash"
    done
    [ "$(complete_line moss '' | grep -v '^-')" = "$(moss --help | verbs_in)" ]
    [ "$(complete_line moss evo '')" = "$(moss evo --help | verbs_in)" ]
    for verb in $(complete_line moss agent ''); do
        run ! moss agent "$verb" --no-such-option
        [[ "$output" == "usage: moss agent $verb "* ]]
    done
    [ "$(complete_line moss-shim '' | grep -v '^-')" = "$(moss-shim --help | verbs_in)" ]
    [ "$(complete_line moss-runtime '' | grep -v '^-')" = "$(moss-runtime --help | verbs_in)" ]
}

@test "agents and batches are completed from the store" {
    # shellcheck source=/dev/null
    . "$packaging/completions/moss.bash"
    export MOSS_STORE=$BATS_TEST_TMPDIR/store
    [ -z "$(complete_line moss agent status c)" ]
    mkdir -p "$MOSS_STORE/agents/clerk/batches/b-0001"
    touch "$MOSS_STORE/agents/clerk/agent.json"
    [ "$(complete_line moss agent status c)" = clerk ]
    [ "$(complete_line moss evo start b)" = b-0001 ]
    [ "$(complete_line moss evo start --depth d)" = deep ]
}

@test "the manuals have no mistakes" {
    command -v man >/dev/null || skip "man is missing"
    for page in "$packaging"/man/*.[1-8]; do
        run --separate-stderr man --warnings -E UTF-8 -l "$page"
        [ "$status" -eq 0 ] && [ -z "$stderr" ] || { echo "$page: $stderr"; return 1; }
    done
}

@test "agent.json(5) speaks of every member, and its example is one" {
    for member in $(jq -r '[paths | map(strings) | last // empty] | unique | .[]' "$BATS_TEST_DIRNAME/../unit/shim/agent/good/full.json"); do
        case $member in PORT | HOME | nonce | assistant) continue ;; esac
        grep -q "\b$member\b" "$packaging/man/agent.json.5" || { echo "$member"; return 1; }
    done
    sed -n '/^The smallest:/,/^\.fi/p' "$packaging/man/agent.json.5" | sed -e '/^[.T]/d' -e 's/\\-/-/g' >"$BATS_TEST_TMPDIR/agent.json"
    jq -e . "$BATS_TEST_TMPDIR/agent.json" >/dev/null
    MOSS_STORE=$BATS_TEST_TMPDIR/store run -1 moss agent add "$BATS_TEST_TMPDIR/agent.json"
    [[ "$output" == "moss: root.directory: /srv/clerk/root: "* ]] # it is read, and names what is not there
}

@test "uninstall removes what install has put there" {
    export BUILD=$MOSS_BUILD DESTDIR=$BATS_TEST_TMPDIR/dest PREFIX=/usr
    mkdir -p "$DESTDIR/usr/bin" "$DESTDIR/usr/lib" "$DESTDIR/usr/share/man"
    find "$DESTDIR" >"$BATS_TEST_TMPDIR/before"
    "$packaging/install"
    [ -x "$DESTDIR/usr/bin/moss" ]
    [ -e "$DESTDIR/usr/share/man/man5/agent.json.5" ]
    [ -e "$DESTDIR/usr/share/bash-completion/completions/moss-runtime" ]
    [ "$(jq -r .runtimes.moss.path "$DESTDIR/usr/share/moss/engines/docker/daemon.json")" = /usr/bin/moss-runtime ]
    [ -z "$(grep -r @PREFIX@ "$DESTDIR/usr/share/moss/engines")" ]
    if command -v systemd-analyze >/dev/null; then
        for unit in moss.service moss-shim@.service; do
            sed -i "s|/usr/bin/moss|$DESTDIR/usr/bin/moss|" "$DESTDIR/usr/lib/systemd/system/$unit"
            run systemd-analyze verify --man=no "$DESTDIR/usr/lib/systemd/system/$unit"
            [ "$status" -eq 0 ] && ! grep -q "$unit" <<<"$output" || { echo "$output"; return 1; }
        done
    fi
    "$packaging/uninstall"
    find "$DESTDIR" | cmp - "$BATS_TEST_TMPDIR/before"
}

@test "the drop-ins of engines are well-formed and name the program" {
    python3 - "$packaging/engines" <<'END'
import sys, tomllib

def table(file, *keys):
    value = tomllib.load(open(f"{sys.argv[1]}/{file}", "rb"))
    for key in keys:
        value = value[key]
    return value

program = "@PREFIX@/bin/moss-runtime"
assert table("podman/50-moss-runtime.conf", "engine", "runtimes", "moss-runtime") == [program]
runtimes = table("containerd/moss-runtime.toml", "plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes")
assert runtimes["moss"]["options"]["BinaryName"] == program
assert "runc" in runtimes  # containerd's default, which an imported file takes away otherwise
assert table("crio/50-moss-runtime.conf", "crio", "runtime", "runtimes", "moss")["runtime_path"] == program
END
    grep -qx 'handler: moss' "$packaging/engines/kubernetes/runtimeclass.yaml"
}
