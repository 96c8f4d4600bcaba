# A containerd that has the drop-in as an administrator installs it, with an image from busybox. Sourced by bats files after engine.bash.
# shellcheck shell=bash

containerd_setup() {
    (
        flock 9
        [ ! -e /etc/containerd/conf.d/moss-runtime.toml ] || exit 0
        mkdir -p /etc/containerd/conf.d
        printf 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n' >/etc/containerd/config.toml
        install -m 644 "$engines/containerd/moss-runtime.toml" /etc/containerd/conf.d/
        systemctl restart containerd # Docker has one that knows nothing of it
        make_image /tmp/ctr docker.io/library/busybox:guest /bin/sh
        ctr --namespace default image import /tmp/ctr/image.tar >/dev/null
        ctr --namespace k8s.io image import /tmp/ctr/image.tar >/dev/null
        # What holds a pod's namespaces, by the name that containerd looks for.
        make_image /tmp/pause "$(containerd config default | sed -n 's/.*sandbox_image = "\(.*\)"/\1/p')" sleep 1000000
        ctr --namespace k8s.io image import /tmp/pause/image.tar >/dev/null
    ) 9>/tmp/ctr.lock 3>&-
}

# make_image DIRECTORY NAME WORD...: DIRECTORY/image.tar, an image as `docker save` writes it, whose command is WORD...
make_image() {
    local directory=$1 name=$2 sum
    shift 2
    mkdir -p "$directory/image"
    make_rootfs "$directory/rootfs"
    tar -C "$directory/rootfs" -cf "$directory/image/layer.tar" .
    sum=$(sha256sum "$directory/image/layer.tar" | cut -d' ' -f1)
    jq -nc --arg sum "sha256:$sum" '{architecture: "amd64", os: "linux", config: {Env: ["PATH=/bin"], Cmd: $ARGS.positional},
        rootfs: {type: "layers", diff_ids: [$sum]}}' --args -- "$@" >"$directory/image/config.json"
    jq -nc --arg name "$name" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$directory/image/manifest.json"
    tar -C "$directory/image" -cf "$directory/image.tar" .
}
