#!/usr/bin/env bats
# containerd as the kubelet uses it, with the handlers of the drop-in.
# runtimes: moss-runtime runc

load engine.bash
load containerd.bash

setup_file() {
    containerd_setup
}

setup() {
    handler=${ENGINE_RUNTIME%-runtime}
    logs=$BATS_TEST_TMPDIR
    parent=/$(name)
    [ "$handler" = runc ] || parent=$parent.slice # what the kubelet says with the systemd driver
    # Namespaces of the node for the network, which needs no CNI plugin; PID of the container.
    pod=$(jq -nc --arg name "$(name)" --arg parent "$parent" --arg logs "$logs" '{
        metadata: {name: $name, uid: $name, namespace: "default"}, log_directory: $logs,
        linux: {cgroup_parent: $parent, security_context: {namespace_options: {network: 2, pid: 1}}}}')
}

teardown() {
    [ -z "$sandbox" ] || cri StopPodSandbox "{\"pod_sandbox_id\": \"$sandbox\"}"
    [ -z "$sandbox" ] || cri RemovePodSandbox "{\"pod_sandbox_id\": \"$sandbox\"}"
}

cri() {
    "$BATS_TEST_DIRNAME/cri" "$@" 3>&-
}

run_pod() {
    sandbox=$(cri RunPodSandbox "{\"config\": $pod, \"runtime_handler\": \"$handler\"}" | jq -er .pod_sandbox_id)
}

# start_container FILTER WORD...: starts a container in the pod; jq's FILTER changes its configuration.
start_container() {
    local filter=$1 config
    shift
    config=$(jq -nc '{metadata: {name: "one"}, image: {image: "docker.io/library/busybox:guest"}, command: $ARGS.positional, log_path: "log",
        linux: {security_context: {namespace_options: {network: 2, pid: 1}, no_new_privs: 1}}} | '"$filter" --args -- "$@")
    container=$(cri CreateContainer "{\"pod_sandbox_id\": \"$sandbox\", \"config\": $config, \"sandbox_config\": $pod}" | jq -er .container_id)
    cri StartContainer "{\"container_id\": \"$container\"}"
}

container_is() { # FILTER
    cri ContainerStatus "{\"container_id\": \"$container\"}" | jq -e ".status | $1"
}

exec_sync() { # WORD...
    cri ExecSync "$(jq -nc --arg id "$container" '{container_id: $id, cmd: $ARGS.positional, timeout: 60}' --args -- "$@")"
}

@test "a pod's container runs, is looked into, and ends" {
    run_pod
    start_container '.envs = [{key: "KEY", value: "value"}]' sh -c 'echo $KEY; trap "exit 9" TERM; sleep 1000 & wait'
    container_is '.state == 1'
    await grep -q 'stdout F value' "$logs/log"
    exec_sync sh -c 'echo out; echo error >&2; exit 3' >"$BATS_TEST_TMPDIR/exec"
    [ "$(jq -c . "$BATS_TEST_TMPDIR/exec")" = '{"stdout":"out\n","stderr":"error\n","exit_code":3}' ]
    cri StopContainer "{\"container_id\": \"$container\", \"timeout\": 30}"
    container_is '.state == 2 and .exit_code == 9'
}

@test "limits are the container's, below the pod's cgroup, and can be changed" {
    run_pod
    start_container '.linux.resources = {memory_limit_in_bytes: 67108864, cpu_period: 100000, cpu_quota: 50000}' sleep 1000
    [ "$(exec_sync cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max | jq -r .stdout)" = $'67108864\n50000 100000' ]
    [ -n "$(find /sys/fs/cgroup -path "*$parent/*$container*")" ]
    cri UpdateContainerResources "{\"container_id\": \"$container\", \"linux\": {\"memory_limit_in_bytes\": 100663296}}"
    [ "$(exec_sync cat /sys/fs/cgroup/memory.max | jq -r .stdout)" = 100663296 ]
}

@test "containers of a pod share its IPC namespace; the root is read-only where asked for" {
    run_pod
    start_container '.linux.security_context.readonly_rootfs = 1' sleep 1000
    first=$(exec_sync readlink /proc/self/ns/ipc | jq -r .stdout)
    [ "$(exec_sync touch /file | jq .exit_code)" = 1 ]
    start_container '.metadata.name = "two"' sleep 1000
    [ "$(exec_sync readlink /proc/self/ns/ipc | jq -r .stdout)" = "$first" ]
}

@test "a program that is missing is named" {
    run_pod
    run ! start_container . no-such-program
    [[ "$output" == *no-such-program*"executable file not found in"* ]]
}

@test "nothing is left of a removed pod" {
    run_pod
    start_container . sh -c 'sleep 1000 & sleep 1000'
    cri StopPodSandbox "{\"pod_sandbox_id\": \"$sandbox\"}"
    cri RemovePodSandbox "{\"pod_sandbox_id\": \"$sandbox\"}"
    [ -z "$(find /sys/fs/cgroup "/run/containerd/runc" -name "*$sandbox*" -o -name "*$container*")" ]
    run -1 grep -qE "$sandbox|$container" /proc/self/mountinfo
    sandbox=
}
