#!/usr/bin/env bats
# A kept agent whose store lies on a file system of its own: one that is full, has no inode left or becomes read-only, at each stage of a swap; and one that makes
# snapshots or reflinks of the state.

bats_require_minimum_version 1.5.0
load ../integration/shim/lib

setup_file() {
    BATS_TEST_DIRNAME=$BATS_TEST_DIRNAME/../integration # where shim/lib finds its own
    shim_setup_file
}
setup() {
    [ "$(id -u)" = 0 ] || skip 'needs root'
    BATS_TEST_DIRNAME=$BATS_TEST_DIRNAME/../integration
}
teardown() {
    [ -n "${NAME:-}" ] || return 0
    ! [ -e "$AGENT/head.journal" ] || thaw_head || true # where a test has failed
    rm -f "$STORE_DIRECTORY/filler"
    shim_teardown
}

# A store on a fresh file system, in a file.
on() { # type size [option...]
    local type=$1 size=$2
    shift 2
    command -v "mkfs.$type" >/dev/null || skip "mkfs.$type is missing"
    truncate -s "$size" "$BATS_TEST_TMPDIR/image"
    "mkfs.$type" "$@" "$BATS_TEST_TMPDIR/image" >/dev/null 2>&1 || skip "mkfs.$type does not make such a file system here"
    mkdir "$BATS_TEST_TMPDIR/disk"
    mount -o loop "$BATS_TEST_TMPDIR/image" "$BATS_TEST_TMPDIR/disk" 2>/dev/null || skip "no loop device for $type"
    STORE_DIRECTORY=$BATS_TEST_TMPDIR/disk
    shim_setup
}
fill() { dd if=/dev/zero of="$STORE_DIRECTORY/filler" bs=64k conv=fsync 2>/dev/null || true; }
counter() { get /count | jq .counter; }
wait_for() { # command...
    for _ in $(seq 600); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}
is_in() { [ "$(state state)" = "$1" ]; }
is_ready() { [ "$(state ready)" = true ]; }

# The state survives the way there and back; while a candidate serves on its clone, CHECK is run.
swap_and_back() { # check...
    mkdir "$AGENT/epochs/0/deep"
    head -c 1m /dev/urandom >"$BATS_TEST_TMPDIR/noise"
    cp "$BATS_TEST_TMPDIR/noise" "$AGENT/epochs/0/deep/noise"
    with '.gate.bakeSeconds = 60'
    shim start "$NAME"
    counter
    shim swap "$NAME" "$(generation good2)" --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    swapper=$!
    wait_for is_in SERVING
    written=$(counter)
    "$@"
    get /sicken
    wait "$swapper" || true
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = rolled_back ]
    [ "$(state epoch)" = 1 ]
    [ "$(counter)" -gt "$written" ]
    cmp "$BATS_TEST_TMPDIR/noise" "$AGENT/epochs/1/deep/noise"
}

@test "xfs: the clone shares its blocks with the state" {
    shares_blocks() { filefrag -v "$AGENT/epochs/1/deep/noise" | grep -q shared; }
    on xfs 320m -m reflink=1
    swap_and_back shares_blocks
}

@test "btrfs: the clone is a snapshot, also of what has subvolumes within, and goes with them" {
    on btrfs 256m
    rmdir "$AGENT/epochs/0"
    btrfs subvolume create "$AGENT/epochs/0" >/dev/null
    is_snapshot() { btrfs subvolume show "$AGENT/epochs/0" | grep -q "Snapshot(s):" && [ "$(stat -c %i "$AGENT/epochs/1")" = 256 ]; }
    swap_and_back is_snapshot
    # A subvolume within is no part of a snapshot: it is copied.
    shim stop "$NAME"
    with '.gate.bakeSeconds = 2 | .probes.livenessProbe.failureThreshold = 1'
    btrfs subvolume create "$AGENT/epochs/1/within" >/dev/null
    echo kept >"$AGENT/epochs/1/within/file"
    shim start "$NAME"
    shim swap "$NAME" "$(generation good3)" --no-rehearsal
    [ "$(state epoch)" = 2 ]
    [ "$(cat "$AGENT/epochs/2/within/file")" = kept ]
    shim swap "$NAME" "$(generation good4)" --no-rehearsal
    [ "$(ls "$AGENT/epochs")" = "$(printf '2\n3')" ] # the one with the subvolume has gone, too
}

@test "ext4: a disk that is full before the swap stops it before the drain" {
    on ext4 96m -m 0
    head -c 3m /dev/urandom >"$AGENT/epochs/0/ballast"
    shim start "$NAME"
    counter
    pid=$(state pid)
    next=$(generation good2)
    fill
    run shim swap "$NAME" "$next" --json --no-rehearsal
    [ "$status" -ne 0 ]
    [[ $output == *"No space left"* ]]
    [ "$(state state)" = STEADY ]
    [ "$(state pid)" = "$pid" ]
    [ "$(get /healthz | jq -r .mode)" = good ]
    rm "$STORE_DIRECTORY/filler"
    [ "$(counter)" = 2 ]
    [ "$(ls "$AGENT/epochs")" = 0 ]
}

@test "ext4: a disk that becomes full while a candidate serves does not stop the way back, nor the agent afterwards" {
    on ext4 96m -m 0
    with '.gate.bakeSeconds = 60 | .state.policy = "restore"'
    shim start "$NAME"
    before=$(counter)
    shim swap "$NAME" "$(generation good2)" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    swapper=$!
    wait_for is_in SERVING
    fill
    get /sicken
    wait_for is_in STEADY
    wait_for is_ready
    wait "$swapper" || true
    [ "$(get /healthz | jq -r .mode)" = good ]
    [ "$(state epoch)" = 0 ]
    [ "$(counter)" = $((before + 1)) ]
    head -c 8m /dev/urandom >"$AGENT/epochs/0/more"
    [ "$(jq -r .cur.epoch "$AGENT/head.json")" = 0 ]
}

take_inodes() { for i in $(seq 3000); do : 2>/dev/null >"$STORE_DIRECTORY/inode-$i" || break; done; }

@test "ext4: a disk without an inode left while a candidate serves does not stop the way back" {
    on ext4 96m -m 0 -N 2048
    with '.gate.bakeSeconds = 60 | .state.policy = "restore"'
    shim start "$NAME"
    before=$(counter)
    shim swap "$NAME" "$(generation good2)" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    swapper=$!
    wait_for is_in SERVING
    take_inodes
    run ! touch "$STORE_DIRECTORY/one-more"
    get /sicken
    wait_for is_in STEADY
    wait_for is_ready
    wait "$swapper" || true
    [ "$(get /healthz | jq -r .mode)" = good ]
    [ "$(state epoch)" = 0 ]
    rm -f "$STORE_DIRECTORY"/inode-*
    [ "$(counter)" = $((before + 1)) ]
}

@test "ext4: without an inode left a swap is refused, and the agent serves on" {
    on ext4 96m -m 0 -N 2048
    shim start "$NAME"
    counter
    next=$(generation good2)
    take_inodes
    run shim swap "$NAME" "$next" --json --no-rehearsal
    [ "$status" -ne 0 ]
    [[ $output == *"No space left"* ]]
    [ "$(state state)" = STEADY ]
    [ "$(get /healthz | jq -r .mode)" = good ]
    rm -f "$STORE_DIRECTORY"/inode-*
    [ "$(counter)" = 2 ]
}

@test "ext4: on a disk that became read-only a swap is refused, and the agent serves on" {
    on ext4 96m -m 0
    shim start "$NAME"
    counter
    next=$(generation good2)
    mount -o remount,abort "$STORE_DIRECTORY" # as after an error of the disk
    run ! touch "$STORE_DIRECTORY/file"
    run shim swap "$NAME" "$next" --json --no-rehearsal
    [ "$status" -ne 0 ]
    [[ $output == *"Read-only file system"* ]]
    [ "$(state state)" = STEADY ]
    [ "$(get /healthz | jq -r .mode)" = good ]
    is_ready
}

# The head, whatever else is written in this directory.
freeze_head() { chattr +i "$AGENT" "$AGENT/head.journal" || skip 'no files are immutable here'; }
thaw_head() { chattr -i "$AGENT" "$AGENT/head.journal"; }
has_trouble() { [[ $(state trouble) == *head.j* ]]; }
serves() { [ "$(get /healthz | jq -r .mode)" = "$1" ]; }
swap_in_background() { # generation
    shim swap "$NAME" "$1" --no-rehearsal --json >"$BATS_TEST_TMPDIR/answer" 2>/dev/null 3>&- &
    swapper=$!
    wait_for is_in SERVING
}
has_ended() { # outcome
    wait "$swapper" || true
    [ "$(jq -r .outcome "$BATS_TEST_TMPDIR/answer")" = "$1" ]
}

@test "ext4: where the head cannot be written a swap is refused, and the agent is not touched" {
    on ext4 96m -m 0
    shim start "$NAME"
    shim swap "$NAME" "$(generation good2)" --no-rehearsal
    pid=$(state pid)
    next=$(generation good3)
    freeze_head
    run shim swap "$NAME" "$next" --no-rehearsal
    thaw_head
    [ "$status" = 1 ]
    [[ $output == *head.json* ]]
    [ "$(state pid)" = "$pid" ]
    shim swap "$NAME" "$next" --no-rehearsal
    serves good3
}

@test "ext4: a candidate that has baked while the head could not be written serves on, and is committed as soon as it can" {
    on ext4 96m -m 0
    with '.gate.bakeSeconds = 10'
    shim start "$NAME"
    swap_in_background "$(generation good2)"
    freeze_head
    wait_for has_trouble
    is_in SERVING
    serves good2
    thaw_head
    has_ended committed
    is_in STEADY
    [ "$(state trouble)" = '' ]
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 1 ]
}

# Also if it bakes in full after that.
@test "ext4: a candidate that crashes while the head cannot be written is started again, and rolled back as soon as it can" {
    on ext4 96m -m 0
    with '.gate.bakeSeconds = 10'
    shim start "$NAME"
    swap_in_background "$(generation good2)"
    pid=$(state pid)
    freeze_head
    kill -9 "$pid"
    wait_for has_trouble
    wait_for is_ready
    is_in SERVING
    serves good2
    sleep 11
    thaw_head
    has_ended rolled_back
    is_in STEADY
    serves good
    [ "$(wc -l <"$AGENT/swaps.jsonl")" = 1 ]
}

has_served() { [ "$(tr -d '\0' <"$AGENT/head.journal" | jq -s 'any(.served)')" = true ]; }

@test "ext4: a candidate that fails its gate while that cannot be written is rolled back, on the state that it shares with its clients" {
    on ext4 96m -m 0
    with '.state.policy = "keep"'
    shim start "$NAME"
    counter
    shim swap "$NAME" "$(generation never-ready)" --no-rehearsal >/dev/null 2>&1 3>&- &
    swapper=$!
    wait_for has_served
    freeze_head
    counter # its clients are answered, ready or not
    wait_for is_in STEADY
    wait "$swapper" || true
    serves good
    [ "$(counter)" = 3 ]
    # The next shim comes to the same.
    shim stop "$NAME"
    thaw_head
    shim start "$NAME"
    serves good
    [ "$(counter)" = 4 ]
}

@test "ext4: on a disk that became read-only an agent that dies is started again" {
    on ext4 96m -m 0
    shim start "$NAME"
    counter
    pid=$(state pid)
    mount -o remount,abort "$STORE_DIRECTORY"
    kill -9 "$pid"
    has_restarted() { [ "$(state pid)" != 0 ] && [ "$(state pid)" != "$pid" ]; }
    wait_for has_restarted
    wait_for is_ready
    serves good
}

@test "ext4: a swap that could not be recorded is recorded before the next one" {
    on ext4 96m -m 0
    with '.gate.bakeSeconds = 600'
    shim start "$NAME"
    swap_in_background "$(generation good2)"
    touch "$AGENT/swaps.jsonl"
    chattr +i "$AGENT/swaps.jsonl" || skip 'no files are immutable here'
    run shim rollback "$NAME"
    has_ended rolled_back
    serves good
    [[ $(state trouble) == *"the swap is not recorded"* ]]
    next=$(generation good3)
    run shim swap "$NAME" "$next" --no-rehearsal
    [ "$status" = 1 ]
    [[ $output == *"the last swap is not recorded yet"* ]]
    chattr -i "$AGENT/swaps.jsonl"
    swap_in_background "$next"
    [ "$(jq -r .txid "$AGENT/swaps.jsonl")" = 1 ]
    [ "$(state trouble)" = '' ]
}
