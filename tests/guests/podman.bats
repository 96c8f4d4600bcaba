#!/usr/bin/env bats
# Podman, as root, with the cgroupfs manager.
# runtimes: moss-runtime crun

load engine.bash

setup_file() {
    podman_setup
}

setup() {
    export manager=cgroupfs
}

teardown() {
    podman_teardown
}

@test "run: output, exit status, standard input" {
    run -42 pod_run -i "$image" sh -c 'cat; echo error >&2; exit 42' <<<hello
    [ "$output" = $'hello\nerror' ] || [ "$output" = $'error\nhello' ]
}

@test "run: a program that is missing is 127, one that cannot be executed 126" {
    run -127 pod_run "$image" no-such-program
    [[ "$output" == *no-such-program* ]]
    run -126 pod_run "$image" /etc/passwd
}

@test "run: user, groups, directory, environment, host name" {
    run -0 pod_run --user 1000:1000 --group-add 7 --workdir /tmp --env KEY=value --hostname box "$image" \
        sh -c 'id -u; id -G; pwd; echo $KEY; hostname'
    [ "$output" = $'1000\n1000 7\n/tmp\nvalue\nbox' ]
}

@test "run: capabilities, no new privileges, system call filter" {
    run -0 pod_run --cap-drop all --cap-add net_raw --security-opt no-new-privileges "$image" \
        grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
    [ "$output" = $'CapEff:\t0000000000002000\nNoNewPrivs:\t1\nSeccomp:\t2' ]
}

@test "run: the profile of AppArmor" {
    run -0 pod_run "$image" cat /proc/self/attr/current
    [[ "$output" == containers-default-*'(enforce)' ]]
}

@test "run: privileged sees the host's devices and all capabilities" {
    run -0 pod_run --privileged "$image" sh -c 'grep CapEff /proc/self/status; ls /dev/vda'
    [[ "$output" == *000001ffffffffff$'\n'/dev/vda ]]
}

@test "run: limits are in the container's cgroup" {
    run -0 pod_run --memory 64m --memory-swap 64m --pids-limit 33 --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 "$image" \
        sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpu.weight cpuset.cpus'
    [ "$output" = $'67108864\n0\n33\n50000 100000\n20\n0' ]
}

@test "run: resource limits, sysctls, shared memory, devices" {
    run -0 pod_run --ulimit nofile=77:88 --sysctl kernel.msgmax=9000 --shm-size 3m --device /dev/vda:/dev/disk:r "$image" \
        sh -c 'ulimit -Sn; ulimit -Hn; cat /proc/sys/kernel/msgmax; df -k /dev/shm | tail -n 1; dd if=/dev/disk of=/dev/null bs=512 count=1 2>/dev/null && echo read; dd if=/dev/zero of=/dev/disk bs=512 count=1 2>/dev/null || echo not written'
    [ "${lines[0]}" = 77 ] && [ "${lines[1]}" = 88 ] && [ "${lines[2]}" = 9000 ]
    [[ "${lines[3]}" == shm*3072* ]]
    [ "${lines[4]} ${lines[5]}" = "read not written" ]
}

@test "run: volumes, temporary file systems, a read-only root, secrets" {
    mkdir -p "$BATS_TEST_TMPDIR/volume"
    echo canary >"$BATS_TEST_TMPDIR/volume/file"
    printf confidential | podman secret create "$(name)" - >/dev/null
    run pod_run --read-only -v "$BATS_TEST_TMPDIR/volume:/volume:ro" -v "$(name):/named" --tmpfs /scratch:size=1m --secret "$(name)" "$image" \
        sh -c "cat /volume/file /run/secrets/$(name); echo; touch /scratch/a /named/b && echo written; touch /volume/c /d 2>/dev/null || echo refused"
    podman secret rm "$(name)" >/dev/null
    podman volume rm "$(name)" >/dev/null
    [ "$output" = $'canary\nconfidential\nwritten\nrefused' ]
}

@test "run: --init reaps and forwards" {
    pod_start "$(name)" --init -- sh -c 'trap "exit 7" TERM; sleep 1000 & wait'
    run -0 pod exec "$(name)" cat /proc/1/comm
    [[ "$output" == catatonit || "$output" == podman-init ]]
    pod stop -t 20 "$(name)"
    pod_is "$(name)" '{{.State.ExitCode}}' 7
}

@test "run: --tty is a terminal of the asked size" {
    run -0 script -qec "stty cols 91 rows 33; podman --log-level error --runtime $ENGINE_RUNTIME --cgroup-manager $manager run --rm --network none -it $image sh -c 'tty; stty size'" /dev/null
    [[ "$output" == *"/dev/pts/0"* && "$output" == *"33 91"* ]]
}

@test "run: user namespaces" {
    run -0 pod_run --uidmap 0:100000:5000 --gidmap 0:200000:5000 "$image" sh -c 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "'
    [ "$output" = $' 0 100000 5000\n 0 200000 5000' ]
}

@test "run: the host's namespaces" {
    run -0 pod run --rm --network host --pid host --uts host --ipc host "$image" sh -c 'for i in net pid uts ipc; do readlink /proc/self/ns/$i; done'
    [ "$output" = "$(for i in net pid uts ipc; do readlink /proc/self/ns/$i; done)" ]
}

@test "run: without a cgroup" {
    run -0 pod_run --cgroups=disabled "$image" cat /proc/self/cgroup
    [[ "$output" != */libpod-* ]]
}

@test "run: a bridge network, an address, a forwarded port" {
    port=$((20000 + $$ % 10000))
    pod run -d --name "$(name)" -p "$port:80" "$image" sh -c 'while :; do echo served | nc -l -p 80; done' >/dev/null
    await eval "[ \"\$(busybox nc -w 2 127.0.0.1 $port </dev/null)\" = served ]"
}

@test "run: from a directory" {
    make_rootfs "$BATS_TEST_TMPDIR/rootfs"
    run -0 pod_run --rootfs "$BATS_TEST_TMPDIR/rootfs" echo directory
    [ "$output" = directory ]
}

@test "run: open file descriptors are passed on" {
    echo three >"$BATS_TEST_TMPDIR/three"
    run -0 podman --log-level error --runtime "$ENGINE_RUNTIME" --cgroup-manager "$manager" run --rm --network none --preserve-fds 1 "$image" \
        sh -c 'cat <&3' 3<"$BATS_TEST_TMPDIR/three"
    [ "$output" = three ]
}

@test "exec: output, exit status, user, directory, environment" {
    pod_start "$(name)" -- sleep 1000
    run -3 pod exec --user user --workdir /tmp --env KEY=value "$(name)" sh -c 'id -un; pwd; echo $KEY; exit 3'
    [ "$output" = $'user\n/tmp\nvalue' ]
    run -127 pod exec "$(name)" no-such-program
    run -0 pod exec -i "$(name)" cat <<<input
    [ "$output" = input ]
}

@test "exec: --tty" {
    pod_start "$(name)" -- sleep 1000
    run -0 script -qec "podman --log-level error --runtime $ENGINE_RUNTIME --cgroup-manager $manager exec -it $(name) tty" /dev/null
    [[ "$output" == *"/dev/pts/"* ]]
}

@test "exec: detached" {
    pod_start "$(name)" -- sleep 1000
    pod exec -d "$(name)" sh -c 'echo finished >/tmp/file'
    await pod exec "$(name)" grep -q finished /tmp/file
}

@test "a container is created, started, waited for, started again" {
    pod create --name "$(name)" --network none "$image" sh -c 'echo run >>/count; wc -l </count; exit 5' >/dev/null
    pod_is "$(name)" '{{.State.Status}}' created
    run -5 pod start -a "$(name)"
    [ "$output" = 1 ]
    run -5 pod start -a "$(name)"
    [ "$output" = 2 ]
    [ "$(pod wait "$(name)")" = 5 ]
}

@test "stop, kill and their exit statuses" {
    pod_start "$(name)a" -- sh -c 'trap "exit 9" TERM; sleep 1000 & wait'
    pod_start "$(name)b" -- sh -c 'trap "" TERM; sleep 1000'
    pod_start "$(name)c" -- sh -c 'trap "exit 8" USR1; sleep 1000 & wait'
    pod stop -t 30 "$(name)a"
    pod stop -t 1 "$(name)b"
    pod kill -s USR1 "$(name)c"
    [ "$(pod wait "$(name)a" "$(name)b" "$(name)c" | tr '\n' ' ')" = '9 137 8 ' ]
}

@test "logs hold both streams" {
    pod_start "$(name)" -- sh -c 'echo out; echo error >&2'
    pod wait "$(name)" >/dev/null
    run -0 pod logs "$(name)"
    [ "$(sort <<<"$output")" = $'error\nout' ]
}

@test "pause and unpause" {
    pod_start "$(name)" -- sleep 1000
    events=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pod inspect --format '{{.State.Pid}}' "$(name)")/cgroup")/cgroup.events
    pod pause "$(name)"
    pod_is "$(name)" '{{.State.Status}}' paused
    grep -qx 'frozen 1' "$events"
    pod unpause "$(name)"
    pod_is "$(name)" '{{.State.Status}}' running
    grep -qx 'frozen 0' "$events"
}

@test "top and stats" {
    pod_start "$(name)" --memory 100m -- sh -c 'sleep 1000 & sleep 1000 & wait'
    run -0 pod top "$(name)" pid comm
    [ "$(grep -c sleep <<<"$output")" = 2 ]
    run -0 pod stats --no-stream --format '{{.PIDs}} {{.MemLimit}}' "$(name)"
    # Podman 5 says bytes.
    [ "$output" = '3 104.9MB' ] || [ "$output" = '3 104857600' ]
}

@test "update changes a running container" {
    pod_start "$(name)" --memory 64m -- sleep 1000
    pod update --memory 96m --cpu-shares 2048 "$(name)" >/dev/null
    run -0 pod exec "$(name)" cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.weight
    [ "$output" = $'100663296\n79' ]
}

@test "out of memory: exit status 137" {
    run -137 pod run --name "$(name)" --network none --memory 16m --memory-swap 16m "$image" \
        sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M'
}

@test "out of memory: OOMKilled" {
    oom_is_known
}

@test "a limit of 1 MiB of memory is enough to start and to execute another program" {
    pod_start "$(name)" --memory 1m -- sleep 1000
    run -0 pod exec "$(name)" cat /sys/fs/cgroup/memory.max
    [ "$output" = 1048576 ]
}

@test "healthcheck: healthy, then unhealthy" {
    pod_start "$(name)" --health-cmd 'test -e /healthy' --health-retries 1 --health-interval disable -- sh -c 'touch /healthy; exec sleep 1000'
    await pod exec "$(name)" test -e /healthy
    run -0 pod healthcheck run "$(name)"
    pod exec "$(name)" rm /healthy
    run -1 pod healthcheck run "$(name)"
}

@test "restart policy: twice on failure, then no more" {
    pod_start "$(name)" --restart on-failure:2 -- sh -c 'echo x >>/count; exit 1'
    await pod_is "$(name)" '{{.RestartCount}} {{.State.Status}}' '2 exited'
    [ "$(pod inspect --format '{{.State.ExitCode}}' "$(name)")" = 1 ]
    run -0 pod cp "$(name):/count" -
    [ "$(grep -ac '^x' <<<"$output")" = 3 ] || [ "$(tr -dc x <<<"$output" | wc -c)" -ge 3 ]
}

@test "restart" {
    pod_start "$(name)" -- sh -c 'echo x >>/count; exec sleep 1000'
    pod restart -t 0 "$(name)" >/dev/null
    await eval "[ \"\$(podman exec $(name) wc -l /count)\" = '2 /count' ]"
}

@test "cp: into and out of a running container" {
    pod_start "$(name)" --tmpfs /scratch -- sleep 1000
    echo inward >"$BATS_TEST_TMPDIR/in"
    pod cp "$BATS_TEST_TMPDIR/in" "$(name):/scratch/file"
    run -0 pod exec "$(name)" cat /scratch/file
    [ "$output" = inward ]
    pod cp "$(name):/scratch/file" "$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "commit: a running container becomes an image" {
    pod_start "$(name)" -- sh -c 'echo committed >/file; exec sleep 1000'
    await pod exec "$(name)" test -s /file
    pod commit -q "$(name)" "localhost/$(name)" >/dev/null
    run pod_run "localhost/$(name)" cat /file
    podman rmi "localhost/$(name)" >/dev/null
    [ "$output" = committed ]
}

@test "build: steps are run by the runtime" {
    cat >"$BATS_TEST_TMPDIR/Containerfile" <<END
FROM $image
RUN echo built >/file && id -u >>/file
USER user
CMD cat /file; id -u
END
    pod build --network none -q --runtime "$(command -v "$ENGINE_RUNTIME")" -t "localhost/$(name)" "$BATS_TEST_TMPDIR" >/dev/null
    run pod_run "localhost/$(name)"
    podman rmi "localhost/$(name)" >/dev/null
    [ "$output" = $'built\n0\n1000' ]
}

@test "pod: containers share network, IPC and host name; pause, stop, remove" {
    pod pod create --name "$(name)-pod" --network none --hostname together >/dev/null
    for which in a b; do
        pod run -d --pod "$(name)-pod" --name "$(name)$which" "$image" sleep 1000 >/dev/null
    done
    namespaces='for i in net ipc uts; do readlink /proc/self/ns/$i; done'
    [ "$(pod exec "$(name)a" sh -c "$namespaces")" = "$(pod exec "$(name)b" sh -c "$namespaces")" ]
    [ "$(pod exec "$(name)b" hostname)" = together ]
    pod pod pause "$(name)-pod" >/dev/null
    pod_is "$(name)a" '{{.State.Status}}' paused
    pod pod unpause "$(name)-pod" >/dev/null
    pod pod stop -t 0 "$(name)-pod" >/dev/null
    pod_is "$(name)b" '{{.State.ExitCode}}' 137
    pod pod rm -f "$(name)-pod" >/dev/null
}

@test "a container joins another's namespaces" {
    pod_start "$(name)a" -- sleep 1000
    run -0 pod run --rm --network "container:$(name)a" --pid "container:$(name)a" --ipc "container:$(name)a" "$image" ps -o comm
    [[ "$output" == *sleep* ]]
}

@test "nothing is left of a removed container" {
    pod_start "$(name)" -- sh -c 'sleep 1000 & sleep 1000'
    id=$(pod inspect --format '{{.Id}}' "$(name)")
    pod rm -f -t 0 "$(name)" >/dev/null
    [ -z "$(find /sys/fs/cgroup -name "*$id*")" ]
    run -1 grep -q "$id" /proc/self/mountinfo
    run "$ENGINE_RUNTIME" state "$id"
    [ "$status" -ne 0 ]
}
