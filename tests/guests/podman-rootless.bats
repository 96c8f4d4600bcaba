#!/usr/bin/env bats
# Podman as an ordinary user, with the systemd manager of the user's session.
# runtimes: moss-runtime crun

load engine.bash

setup_file() {
    rootless_setup
}

setup() {
    export manager=systemd
}

teardown() {
    podman_teardown
}

# Replaces that of root's suites.
pod() {
    pod_as_user "$@"
}

@test "run: output, exit status, root that is the user" {
    run -42 pod_run "$image" sh -c 'id -u; head -n 1 /proc/self/uid_map | tr -s " "; exit 42'
    [ "$output" = $'0\n 0 1000 1' ]
}

@test "run: --userns keep-id, another user" {
    run -0 pod_run --userns keep-id "$image" id -u
    [ "$output" = 1000 ]
    run -0 pod_run --user 5:6 "$image" sh -c 'id -u; id -g'
    [ "$output" = $'5\n6' ]
}

@test "run: limits where the user has the controllers" {
    run -0 pod_run --memory 64m --pids-limit 33 --cpus 0.5 "$image" sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'
    [ "$output" = $'67108864\n33\n50000 100000' ]
}

@test "run: with the cgroupfs manager" {
    manager=cgroupfs
    run -0 pod_run "$image" echo hello
    [[ "$output" == *hello ]]
}

@test "run: volumes, a read-only root, capabilities, the filter of system calls" {
    as_user sh -c 'mkdir -p volume && echo canary >volume/file'
    run -0 pod_run --read-only -v /home/user/volume:/volume:ro --cap-drop all "$image" \
        sh -c 'cat /volume/file; touch /a 2>/dev/null || echo refused; grep -E "^(CapEff|Seccomp):" /proc/self/status'
    [ "$output" = $'canary\nrefused\nCapEff:\t0000000000000000\nSeccomp:\t2' ]
}

@test "run: privileged, the processes of the host, what another image holds" {
    run -0 pod_run --privileged "$image" sh -c 'echo x >/dev/null && grep CapBnd /proc/self/status'
    [[ "$output" == *000001ffffffffff ]]
    run -0 pod_run --pid host "$image" readlink /proc/self/ns/pid
    [ "$output" = "$(readlink /proc/self/ns/pid)" ]
    run -0 pod_run --mount "type=image,src=$image,dst=/image" "$image" sh -c 'cmp /bin/busybox /image/bin/busybox && echo same'
    [ "$output" = same ]
}

@test "run: a network of its own" {
    run -0 pod run --rm "$image" ip addr
    [[ "$output" == *tap0* || "$output" == *eth0* || "$output" == *enp* || "$output" == *ens* ]]
}

@test "exec, --tty, logs, stop" {
    pod_start "$(name)" -- sh -c 'echo started; trap "exit 9" TERM; sleep 1000 & wait'
    run -3 pod exec --user user "$(name)" sh -c 'id -un; exit 3'
    [ "$output" = user ]
    [ "$(pod logs "$(name)")" = started ]
    run -0 script -qec "runuser -u user -- env HOME=/home/user XDG_RUNTIME_DIR=/run/user/1000 podman --runtime $ENGINE_RUNTIME exec -it $(name) tty" /dev/null
    [[ "$output" == *"/dev/pts/"* ]]
    pod stop -t 30 "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.ExitCode}}' 9
}

@test "pause and unpause" {
    pod_start "$(name)" -- sleep 1000
    pod pause "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.Status}}' paused
    pod unpause "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.Status}}' running
}

@test "out of memory: exit status 137" {
    run -137 pod_run --memory 16m --memory-swap 16m "$image" sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M'
}

@test "out of memory: OOMKilled" {
    oom_is_known
}

@test "pod: two containers share a network" {
    pod pod create --name "$(name)-pod" --network none >/dev/null
    for which in a b; do
        pod run -d --pod "$(name)-pod" --name "$(name)$which" "$image" sleep 1000 >/dev/null
    done
    [ "$(pod exec "$(name)a" readlink /proc/self/ns/net)" = "$(pod exec "$(name)b" readlink /proc/self/ns/net)" ]
    pod pod rm -f -t 0 "$(name)-pod" >/dev/null
}
