# What the suites share: an image from busybox, names of a runtime's own, podman with the runtime under test.
# Sourced by bats files; ENGINE_RUNTIME names the runtime.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0
image=localhost/busybox
engines=/usr/local/share/moss/engines

# A root file system of busybox in directory $1.
make_rootfs() {
    mkdir -p "$1"/{bin,dev,etc,proc,sys,tmp,root,run,var}
    cp /bin/busybox "$1/bin/busybox"
    chroot "$1" /bin/busybox --install -s /bin
    printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\nuser:x:1000:\n' >"$1/etc/group"
}

# A name that only this test with this runtime has.
name() {
    local suite=${BATS_TEST_FILENAME##*/}
    suite=${suite%.bats}
    echo "${ENGINE_RUNTIME%-runtime}-${suite//-/}-$BATS_SUITE_TEST_NUMBER${1:-}"
}

# await COMMAND...: until it succeeds; a minute is for ever.
await() {
    local end=$((SECONDS + 60))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "waited in vain: $*"; return 1; }
        sleep 0.2
    done
}

# The drop-in as an administrator installs it, the host's own network backend, no journal to wait for.
podman_setup() {
    (
        flock 9
        [ ! -e /etc/containers/containers.conf.d/50-moss-runtime.conf ] || exit 0
        mkdir -p /etc/containers/containers.conf.d
        printf '[containers]\nlog_driver = "k8s-file"\n[engine]\nevents_logger = "file"\n[network]\nnetwork_backend = "netavark"\n' \
            >/etc/containers/containers.conf.d/10-guest.conf
        make_rootfs /tmp/rootfs
        tar -C /tmp/rootfs -cf /tmp/rootfs.tar .
        podman import --quiet /tmp/rootfs.tar "$image"
        install -m 644 "$engines/podman/50-moss-runtime.conf" /etc/containers/containers.conf.d/
    ) 9>/tmp/podman.lock 3>&-
}

# Podman with the runtime under test.
pod() {
    podman --log-level error --runtime "$ENGINE_RUNTIME" --cgroup-manager "$manager" "$@" 3>&-
}

# pod_run OPTION... IMAGE WORD...: a container without a network, gone when it has ended.
pod_run() {
    pod run --rm --network none "$@"
}

# pod_start NAME OPTION... -- WORD...: one in the background.
pod_start() {
    local name=$1
    shift
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    pod run -d --name "$name" --network none "${options[@]}" "$image" "$@" >/dev/null
}

# pod_is NAME FORMAT VALUE: what `podman inspect` says.
pod_is() {
    [ "$(pod inspect --format "$2" "$1")" = "$3" ]
}

# A container with a limit in which something runs out of memory is known to have done so once it has ended. It ends after conmon has seen
# it: systemd removes the scope of a container whose last process was killed, and may do so before conmon has read memory.events there
# (https://github.com/containers/conmon/issues/426), with any runtime.
oom_is_known() {
    pod_start "$(name)" --memory 16m --memory-swap 16m -- sh -c 'trap "exit 9" TERM; dd if=/dev/zero of=/dev/null bs=64M; sleep 1000 & wait'
    # Podman 4 looks for conmon's mark beside config.json, podman 5 in /run.
    read -r id config <<<"$(pod inspect --format '{{.Id}} {{.OCIConfigPath}}' "$(name)")"
    directory=${config%/*}
    await eval "find /run '$directory' -name oom -path '*$id*' 2>/dev/null | grep -q ."
    pod stop -t 30 "$(name)" >/dev/null
    pod_is "$(name)" '{{.State.OOMKilled}} {{.State.ExitCode}}' 'true 9'
}

podman_teardown() {
    pod rm -f -t 0 --filter "name=^$(name)" >/dev/null
}

# The same for the user `user`, who has a session.
rootless_setup() {
    podman_setup
    (
        flock 9
        loginctl enable-linger user
        await test -S /run/user/1000/bus
        cp /tmp/rootfs.tar /home/user/
        chmod 644 /home/user/rootfs.tar
        as_user podman image exists "$image" || as_user podman import --quiet /home/user/rootfs.tar "$image"
    ) 9>/tmp/rootless.lock
}

as_user() {
    (cd /home/user && runuser -u user -- env -u MOSS_STORE -u MOSS_RUN HOME=/home/user XDG_RUNTIME_DIR=/run/user/1000 \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@" 3>&-)
}

pod_as_user() {
    as_user podman --log-level error --runtime "$ENGINE_RUNTIME" --cgroup-manager "$manager" "$@"
}
