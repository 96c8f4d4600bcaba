#!/usr/bin/env bats
# Wrong configurations and wrong commands: each gives one line that names the member, path or limit and the cause. Engines match some of the words.
#
# The tables lie in runtime-errors/. A table's test looks at every row, prints those that differ, and fails then.

bats_require_minimum_version 1.5.0
load ../lib/bundle

rows=$BATS_TEST_DIRNAME/runtime-errors

setup() {
    bundle_setup
    config '.linux.namespaces |= map(select(.type != "cgroup")) | .process.args = ["true"]'
    cp -a "$bundle" "$BATS_TEST_TMPDIR/good"
    differ=0 n=0
}

teardown() {
    umount "$BATS_TEST_TMPDIR/over" 2>/dev/null || :
    bundle_teardown
}

# A file system of its own for the state of containers.
mount_over() { # options
    mkdir -p "$BATS_TEST_TMPDIR/over"
    mount -t tmpfs -o "$1" tmpfs "$BATS_TEST_TMPDIR/over"
}

running_container() {
    script 'exec sleep 1000'
    create_container
    moss start "$id"
}

ended_container() {
    running_container
    moss kill "$id" KILL
    await_status stopped
}

# The paths of this test as the tables write them.
named() {
    local text=$1
    text=${text//"$BATS_TEST_TMPDIR"/TMP}
    text=${text//"$id"/ID}
    printf %s "$text"
}

fresh_bundle() {
    rm -rf "$bundle"
    cp -a "$BATS_TEST_TMPDIR/good" "$bundle"
}

check_row() { # title, wanted status, wanted text; what `run` has found
    n=$((n + 1))
    [ "$status" -ne "$2" ] || [ "$(named "$output")" != "$3" ] || return 0
    printf '%s: status %s, must be %s\n  is:   %s\n  must: %s\n' "$1" "$status" "$2" "$(named "$output")" "$3"
    differ=$((differ + 1))
}

@test "a configuration that cannot be fulfilled is refused with its place and the cause" {
    local line title='' before='' filter=.
    while IFS= read -r line; do
        case $line in
        '#'*) ;;
        '! '*) before=${line#! } ;;
        '| '*) filter=${line#| } ;;
        '> '*)
            fresh_bundle
            if [ -z "$before" ] || eval "$before"; then
                config "${filter//TMP/"$BATS_TEST_TMPDIR"}"
                moss create --bundle "$bundle" "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 && status=0 || status=$?
                [ "$status" -ne 0 ] || moss start "$id" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
                output=$(cat "$BATS_TEST_TMPDIR/out")
                moss delete --force "$id"
                check_row "$title" 1 "moss-runtime: ${line#> }"
            fi
            ;;
        ?*) title=$line before='' filter=. ;;
        esac
    done <"$rows/config"
    [ "$n" -ge 40 ]
    [ "$differ" -eq 0 ]
}

@test "a command that cannot be carried out says why" {
    local line title='' before='' command='' wanted=1
    while IFS= read -r line; do
        case $line in
        '#'*) ;;
        '! '*) before=${line#! } ;;
        '$ '*) command=${line#$ } ;;
        '= '*) wanted=${line#= } ;;
        '> '*)
            fresh_bundle
            if [ -z "$before" ] || eval "$before"; then
                eval "$command" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 && status=0 || status=$?
                output=$(cat "$BATS_TEST_TMPDIR/out")
                moss delete --force "$id"
                ! mountpoint -q "$BATS_TEST_TMPDIR/over" || umount "$BATS_TEST_TMPDIR/over"
                check_row "$title" "$wanted" "moss-runtime: ${line#> }"
            fi
            ;;
        ?*) title=$line before='' command='' wanted=1 ;;
        esac
    done <"$rows/commands"
    [ "$n" -ge 40 ]
    [ "$differ" -eq 0 ]
}

@test "a capability that is unknown is left out, with a warning" {
    config '.process.capabilities.bounding += ["CAP_NOSUCH"] | .process.capabilities.permitted += ["CAP_NOSUCH"]'
    script 'grep CapBnd /proc/self/status'
    run --separate-stderr moss run --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 0 ]
    [[ $output == CapBnd:* ]]
    [ "$stderr" = "moss-runtime: warning: process.capabilities: left out, as they are unknown or cannot be given here: CAP_NOSUCH" ]
    moss --log "$BATS_TEST_TMPDIR/log" --log-format json run --bundle "$bundle" "$id" </dev/null >/dev/null 2>"$BATS_TEST_TMPDIR/err"
    [ ! -s "$BATS_TEST_TMPDIR/err" ]
    [ "$(jq -r .level "$BATS_TEST_TMPDIR/log")" = warning ]
}

@test "the last record of the log is the whole error" {
    program nosuch
    run moss --log "$BATS_TEST_TMPDIR/log" --log-format json create --bundle "$bundle" "$id" </dev/null
    [ "$status" -eq 1 ]
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/log" | jq -r '"\(.level): \(.msg)"')" = "error: ${output#moss-runtime: }" ]
}
