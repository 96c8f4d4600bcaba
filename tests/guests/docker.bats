#!/usr/bin/env bats
# Docker, whose cgroups are systemd's scopes and whose networks are set up by a hook.
# runtimes: moss-runtime runc

load engine.bash

setup_file() {
    (
        flock 9
        echo "$ENGINE_RUNTIME" >>/tmp/docker.users
        ! docker version >/dev/null 2>&1 || exit 0
        mkdir -p /etc/docker
        install -m 644 "$engines/docker/daemon.json" /etc/docker/
        systemctl start docker
        await docker version >/dev/null
        make_rootfs /tmp/docker
        tar -C /tmp/docker -c . | docker import - "$image" >/dev/null
    ) 9>/tmp/docker.lock 3>&-
}

# Pasta takes a bridge that leads nowhere for the way out, where the guest has no other: the last of both leaves none.
teardown_file() {
    (
        flock 9
        sed -i '$d' /tmp/docker.users
        [ ! -s /tmp/docker.users ] || exit 0
        systemctl stop docker.socket docker
        ip link delete docker0
    ) 9>/tmp/docker.lock 3>&-
}

setup() {
    # The name that the drop-in gives it.
    runtime=${ENGINE_RUNTIME%-runtime}
}

teardown() {
    local left
    left=$(docker ps -aq --filter "name=^/$(name)")
    # shellcheck disable=SC2086
    [ -z "$left" ] || docker rm -f $left >/dev/null
}

# docker_run OPTION... IMAGE WORD...: a container without a network, gone when it has ended.
docker_run() {
    docker run --runtime "$runtime" --rm --network none "$@" 3>&-
}

# docker_start NAME OPTION... -- WORD...: one in the background.
docker_start() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    docker run --runtime "$runtime" -d --name "$name" --network none "${options[@]}" "$image" "$@" >/dev/null 3>&-
}

docker_is() { # NAME FORMAT VALUE
    [ "$(docker inspect --format "$2" "$1")" = "$3" ]
}

@test "the drop-in is read" {
    run -0 docker info --format '{{range $name, $runtime := .Runtimes}}{{$name}} {{$runtime.Path}}{{"\n"}}{{end}}'
    [[ "$output" == *"moss /usr/local/bin/moss-runtime"* ]]
    docker_start "$(name)" -- sleep 1000
    docker_is "$(name)" '{{.HostConfig.Runtime}}' "$runtime"
}

@test "run: output, exit status, standard input" {
    run -42 --separate-stderr docker_run -i "$image" sh -c 'cat; echo error >&2; exit 42' <<<hello
    [ "$output" = hello ]
    [ "$stderr" = error ]
}

@test "run: a program that is missing is 127, one that cannot be executed 126" {
    run -127 docker_run "$image" no-such-program
    [[ "$output" == *no-such-program*"executable file not found in"* ]]
    run -126 docker_run "$image" /etc/passwd
    [[ "$output" == *"permission denied"* ]]
}

@test "run: user, groups, directory, environment, host name" {
    run -0 docker_run --user 1000:1000 --group-add 7 --workdir /tmp --env KEY=value --hostname box "$image" \
        sh -c 'id -u; id -G; pwd; echo $KEY; hostname'
    [ "$output" = $'1000\n1000 7\n/tmp\nvalue\nbox' ]
}

@test "run: capabilities, no new privileges, the filter of system calls, the profile of AppArmor" {
    run -0 docker_run --cap-drop all --cap-add net_raw --security-opt no-new-privileges "$image" \
        sh -c 'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; cat /proc/self/attr/current'
    [ "$output" = $'CapEff:\t0000000000002000\nNoNewPrivs:\t1\nSeccomp:\t2\ndocker-default (enforce)' ]
}

@test "run: privileged sees the host's devices and all capabilities" {
    run -0 docker_run --privileged "$image" sh -c 'grep CapEff /proc/self/status; ls /dev/vda'
    [[ "$output" == *000001ffffffffff$'\n'/dev/vda ]]
}

@test "run: limits are in the container's scope" {
    docker_start "$(name)" --memory 64m --memory-swap 64m --pids-limit 33 --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 -- sleep 1000
    scope=docker-$(docker inspect --format '{{.Id}}' "$(name)").scope
    run -0 systemctl show -P ActiveState -P MemoryMax -P TasksMax -P CPUWeight "$scope"
    [ "$(sort <<<"$output" | tr '\n' ' ')" = '20 33 67108864 active ' ]
    run -0 docker exec "$(name)" sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpuset.cpus'
    [ "$output" = $'67108864\n0\n33\n50000 100000\n0' ]
}

@test "run: resource limits, sysctls, shared memory, devices" {
    run -0 docker_run --ulimit nofile=77:88 --sysctl kernel.msgmax=9000 --shm-size 3m --device /dev/vda:/dev/disk:r "$image" \
        sh -c 'ulimit -Sn; ulimit -Hn; cat /proc/sys/kernel/msgmax; df -k /dev/shm | tail -n 1; dd if=/dev/disk of=/dev/null bs=512 count=1 2>/dev/null && echo read; dd if=/dev/zero of=/dev/disk bs=512 count=1 2>/dev/null || echo not written'
    [ "${lines[0]} ${lines[1]} ${lines[2]}" = "77 88 9000" ]
    [[ "${lines[3]}" == shm*3072* ]]
    [ "${lines[4]} ${lines[5]}" = "read not written" ]
}

@test "run: volumes, temporary file systems, a read-only root" {
    mkdir -p "$BATS_TEST_TMPDIR/volume"
    echo canary >"$BATS_TEST_TMPDIR/volume/file"
    run docker_run --read-only -v "$BATS_TEST_TMPDIR/volume:/volume:ro" -v "$(name):/named" --tmpfs /scratch:size=1m "$image" \
        sh -c "cat /volume/file; touch /scratch/a /named/b && echo written; touch /volume/c /d 2>/dev/null || echo refused"
    docker volume rm "$(name)" >/dev/null
    [ "$output" = $'canary\nwritten\nrefused' ]
}

@test "run: --init reaps and forwards" {
    docker_start "$(name)" --init -- sh -c 'trap "exit 7" TERM; sleep 1000 & wait'
    run -0 docker exec "$(name)" cat /proc/1/comm
    [[ "$output" == docker-init || "$output" == tini* ]]
    docker stop -t 30 "$(name)"
    docker_is "$(name)" '{{.State.ExitCode}}' 7
}

@test "run: --tty is a terminal of the asked size" {
    run -0 script -qec "stty cols 91 rows 33; docker run --runtime $runtime --rm --network none -it $image sh -c 'sleep 2; tty; stty size'" /dev/null
    [[ "$output" == *"/dev/pts/0"* && "$output" == *"33 91"* ]]
}

@test "run: the host's namespaces" {
    run -0 docker run --runtime "$runtime" --rm --network host --pid host --uts host --ipc host "$image" \
        sh -c 'for i in net pid uts ipc; do readlink /proc/self/ns/$i; done' 3>&-
    [ "$output" = "$(for i in net pid uts ipc; do readlink /proc/self/ns/$i; done)" ]
}

@test "run: a bridge network, an address, a forwarded port" {
    docker run --runtime "$runtime" -d --name "$(name)" -p 127.0.0.1::80 "$image" \
        sh -c 'while :; do echo served | nc -l -p 80; done' >/dev/null 3>&-
    docker exec "$(name)" ip -4 addr show eth0 | grep -q 'inet 172'
    address=$(docker port "$(name)" 80)
    await eval "[ \"\$(busybox nc -w 2 127.0.0.1 ${address##*:} </dev/null)\" = served ]"
}

@test "run: a container joins another's namespaces" {
    docker_start "$(name)" -- sleep 1000
    run -0 docker run --runtime "$runtime" --rm --network "container:$(name)" --pid "container:$(name)" "$image" ps -o comm 3>&-
    [[ "$output" == *sleep* ]]
}

@test "exec: output, exit status, user, directory, environment, --tty, detached" {
    docker_start "$(name)" -- sleep 1000
    run -3 docker exec --user user --workdir /tmp --env KEY=value "$(name)" sh -c 'id -un; pwd; echo $KEY; exit 3'
    [ "$output" = $'user\n/tmp\nvalue' ]
    run -126 docker exec "$(name)" no-such-program
    [[ "$output" == *no-such-program*"executable file not found in"* ]]
    run -0 docker exec -i "$(name)" cat <<<input
    [ "$output" = input ]
    run -0 script -qec "docker exec -it $(name) tty" /dev/null
    [[ "$output" == *"/dev/pts/"* ]]
    docker exec -d "$(name)" sh -c 'echo finished >/tmp/file'
    await docker exec "$(name)" grep -q finished /tmp/file
}

@test "a container is created, started, waited for, started again" {
    docker create --runtime "$runtime" --name "$(name)" --network none "$image" sh -c 'echo run >>/count; wc -l </count; exit 5' >/dev/null
    docker_is "$(name)" '{{.State.Status}}' created
    run -5 docker start -a "$(name)"
    [ "$output" = 1 ]
    run -5 docker start -a "$(name)"
    [ "$output" = 2 ]
    [ "$(docker wait "$(name)")" = 5 ]
}

@test "stop, kill and their exit statuses" {
    docker_start "$(name)a" -- sh -c 'trap "exit 9" TERM; sleep 1000 & wait'
    docker_start "$(name)b" -- sh -c 'trap "" TERM; sleep 1000'
    docker_start "$(name)c" -- sh -c 'trap "exit 8" USR1; sleep 1000 & wait'
    docker stop -t 30 "$(name)a"
    docker stop -t 1 "$(name)b"
    docker kill -s USR1 "$(name)c"
    [ "$(docker wait "$(name)a" "$(name)b" "$(name)c" | tr '\n' ' ')" = '9 137 8 ' ]
}

@test "pause and unpause" {
    docker_start "$(name)" -- sleep 1000
    docker pause "$(name)"
    docker_is "$(name)" '{{.State.Status}}' paused
    docker unpause "$(name)"
    [ "$(docker exec "$(name)" echo resumed)" = resumed ]
}

@test "top, stats, logs" {
    docker_start "$(name)" --memory 100m -- sh -c 'echo out; echo error >&2; sleep 1000 & sleep 1000 & wait'
    await eval "[ \"\$(docker top $(name) -o pid,comm | grep -c sleep)\" = 2 ]"
    run -0 docker stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' "$(name)"
    [[ "$output" == '3 '*'/ 100MiB' ]]
    run -0 docker logs "$(name)"
    [ "$(sort <<<"$output")" = $'error\nout' ]
}

@test "update changes a running container" {
    docker_start "$(name)" --memory 64m --memory-swap 64m -- sleep 1000
    docker update --memory 96m --memory-swap 96m --cpu-shares 2048 "$(name)" >/dev/null
    run -0 docker exec "$(name)" cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.weight
    [ "$output" = $'100663296\n79' ]
}

@test "out of memory: exit status 137" {
    run -137 docker run --runtime "$runtime" --name "$(name)" --network none --memory 16m --memory-swap 16m "$image" \
        sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M' 3>&-
}

# Containerd reads memory.events beside the end of the container: one that ends with it may be gone before.
@test "out of memory: OOMKilled" {
    docker_start "$(name)" --memory 16m --memory-swap 16m -- \
        sh -c 'trap "exit 9" TERM; dd if=/dev/zero of=/dev/null bs=64M; sleep 1000 & wait'
    await docker_is "$(name)" '{{.State.OOMKilled}}' true
    docker stop -t 30 "$(name)" >/dev/null
    docker_is "$(name)" '{{.State.OOMKilled}} {{.State.ExitCode}}' 'true 9'
}

@test "healthcheck: healthy, then unhealthy" {
    docker_start "$(name)" --health-cmd 'test -e /healthy' --health-retries 1 --health-interval 1s -- sh -c 'touch /healthy; exec sleep 1000'
    await docker_is "$(name)" '{{.State.Health.Status}}' healthy
    docker exec "$(name)" rm /healthy
    await docker_is "$(name)" '{{.State.Health.Status}}' unhealthy
}

@test "restart policy: twice on failure, then no more" {
    docker_start "$(name)" --restart on-failure:2 -- sh -c 'echo x >>/count; exit 1'
    await docker_is "$(name)" '{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}' '2 exited 1'
    [ "$(docker cp "$(name):/count" - | tar -xO)" = $'x\nx\nx' ]
}

@test "restart" {
    docker_start "$(name)" -- sh -c 'echo x >>/count; exec sleep 1000'
    docker restart -t 0 "$(name)" >/dev/null
    await eval "[ \"\$(docker exec $(name) wc -l /count)\" = '2 /count' ]"
}

@test "cp: into and out of a running container; commit" {
    docker_start "$(name)" -- sleep 1000
    echo inward >"$BATS_TEST_TMPDIR/in"
    docker cp "$BATS_TEST_TMPDIR/in" "$(name):/tmp/file"
    [ "$(docker exec "$(name)" cat /tmp/file)" = inward ]
    docker cp "$(name):/tmp/file" "$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
    docker commit "$(name)" "localhost/$(name)" >/dev/null
    run docker_run "localhost/$(name)" cat /tmp/file
    docker rmi "localhost/$(name)" >/dev/null
    [ "$output" = inward ]
}

@test "nothing is left of a removed container" {
    docker_start "$(name)" -- sh -c 'sleep 1000 & sleep 1000'
    id=$(docker inspect --format '{{.Id}}' "$(name)")
    docker rm -f "$(name)" >/dev/null
    await eval "[ -z \"\$(find /sys/fs/cgroup -name '*$id*')\" ]"
    run -1 grep -q "$id" /proc/self/mountinfo
    [ -z "$(find /run/docker /run/containerd -name "*$id*")" ]
}
