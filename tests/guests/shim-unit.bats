#!/usr/bin/env bats
# A kept agent as a unit of systemd.
# runtimes: moss-runtime

load engine.bash
load swap.bash

setup_file() {
    shim_setup_file
    systemctl daemon-reload
}

setup() {
    swap_setup
    jq '.network.mode = "host"' "$AGENT/agent.json" >"$AGENT/agent.json.new"
    mv "$AGENT/agent.json.new" "$AGENT/agent.json"
    unit=moss-shim@$NAME.service
    systemctl start "$unit"
    ready
}

teardown() {
    systemctl stop "$unit"
    swap_teardown
    [ -z "$(find /sys/fs/cgroup -path "*$NAME*" -name cgroup.procs)" ]
}

@test "swapped; a restart is one of the shim, and nobody is refused; a stop ends the agent, which comes back as it was" {
    start_swap good2
    while_swapping systemctl is-active --quiet "$unit"
    agent=$(state pid)
    start_load
    systemctl restart "$unit"
    ready
    stop_load
    [ "$refused" = 0 ]
    [ "$(state pid)" = "$agent" ]
    systemctl stop "$unit"
    [ ! -e "/proc/$agent" ]
    systemctl start "$unit"
    ready
    [ "$(get /count | jq -r .mode)" = good2 ]
}

@test "the shim is killed: systemd starts another, which takes the agent over, and nobody is refused" {
    agent=$(state pid)
    start_load
    first=$(systemctl show -P MainPID "$unit")
    kill -KILL "$first"
    await eval "pid=\$(systemctl show -P MainPID $unit) && [ \$pid != 0 ] && [ \$pid != $first ]"
    ready
    stop_load
    [ "$refused" = 0 ]
    [ "$(state pid)" = "$agent" ]
}

@test "a shim that is detached leaves the agent running, and one that was told to stop has not failed" {
    agent=$(state pid)
    moss-shim detach "$NAME"
    await eval "[ \$(systemctl show -P ActiveState $unit) = inactive ]"
    [ -e "/proc/$agent" ]
    systemctl start "$unit"
    ready
    [ "$(state pid)" = "$agent" ]
    moss-shim stop "$NAME"
    await eval "[ \$(systemctl show -P ActiveState $unit) = inactive ]"
    [ ! -e "/proc/$agent" ]
}
