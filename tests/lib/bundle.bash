# OCI bundles for the tests of the runtime: a busybox root file system and a config.json that a test changes with jq.
# Sourced by bats files; needs MOSS_BUILD (where the programs are).
# shellcheck shell=bash

runtime=$MOSS_BUILD/moss-runtime

# A bundle in $bundle, the state of containers in $containers, a directory of the host that nothing may touch in $host.
bundle_setup() {
    local applet
    bundle=$BATS_TEST_TMPDIR/bundle containers=$BATS_TEST_TMPDIR/containers host=$BATS_TEST_TMPDIR/host
    mkdir -p "$bundle/rootfs"/{bin,dev,etc,proc,sys,tmp} "$host"
    cp /bin/busybox "$bundle/rootfs/bin/"
    for applet in cat dd echo env false grep head hostname id ls mkdir mount mknod ps pwd readlink sh sleep stat touch tr true tty uniq wc chmod; do
        ln -s busybox "$bundle/rootfs/bin/$applet"
    done
    echo secret >"$host/canary"
    sha256sum "$host/canary" >"$BATS_TEST_TMPDIR/canary.sum"
    id=test-$BATS_SUITE_TEST_NUMBER-$$
    mounts_before=$(wc -l </proc/self/mountinfo)
    "$runtime" spec --bundle "$bundle"
    config '.process.terminal = false | .root.readonly = false'
}

bundle_teardown() {
    moss delete --force "$id"
    [ -z "$(ls -A "$containers" 2>/dev/null)" ]
    [ "$(wc -l </proc/self/mountinfo)" = "$mounts_before" ]
    [ -z "$(find "$(unified)" -name "$id*")" ]
    [ "$(ls -A "$host")" = canary ]
    sha256sum --quiet -c "$BATS_TEST_TMPDIR/canary.sum"
}

unified() {
    awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo
}

moss() {
    "$runtime" --root "$containers" "$@"
}

# config FILTER [JQ-OPTION...]: changes config.json.
config() {
    local filter=$1
    shift
    jq "$@" "$filter" "$bundle/config.json" >"$BATS_TEST_TMPDIR/config.new"
    cat "$BATS_TEST_TMPDIR/config.new" >"$bundle/config.json"
}

# program WORD...: what the container runs.
program() {
    config '.process.args = $args' --argjson args "$(for word in "$@"; do printf %s "$word" | jq -Rs .; done | jq -s .)"
}

script() {
    program sh -c "$1"
}

run_container() {
    run moss run --bundle "$bundle" "$@" "$id" </dev/null
}

# expect LINES: the container's output is exactly that.
expect() {
    run_container
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    [ "$output" = "$1" ] || { echo "$output"; false; }
}

# refused WORDS: the container is not made, and the error has these words.
refused() {
    run_container
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"$1"* ]]
}

# A created or started container that outlives the command keeps no stream of the test's.
create_container() {
    moss create --bundle "$bundle" "$@" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
}

status() {
    moss state "$id" | jq -r .status
}

# await COMMAND...: until it succeeds; a minute is for ever.
await() {
    local end=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ]
        sleep 0.01
    done
}

has_status() {
    [ "$(status)" = "$1" ]
}

await_status() {
    await has_status "$1"
}

await_file() {
    await test -e "$1"
}
