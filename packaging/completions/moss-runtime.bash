# Completion of moss-runtime(1) for bash.
_moss_runtime()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words verb at
    local -a options=()
    case $previous in
    --root | --bundle | --store | --cwd | --upper | --image-path | --work-path | --parent-path)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --log | --criu | --config | --pid-file | --console-socket | --pidfd-socket | --process | --resources)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --log-format) words='json text' ;;
    --format) words='json table' ;;
    --cgroup-manager) words='cgroupfs systemd disabled' ;;
    --rootless) words='true false auto' ;;
    --manage-cgroups-mode) words='ignore soft full strict' ;;
    --empty-ns) words=network ;;
    esac
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        --root)
            options=(--root "${COMP_WORDS[at + 1]}")
            at=$((at + 1))
            ;;
        --log | --log-format | --cgroup-manager | --rootless | --criu) at=$((at + 1)) ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[at]}
            break
            ;;
        esac
    done
    if [ -z "${words:-}" ]; then
        case ${verb:-} in
        '') words='checkpoint create delete events exec features generation kill layer list pause ps restore resume run snapshot spec start state update
            --root --log --log-format --debug --cgroup-manager --systemd-cgroup --rootless --criu --version --help' ;;
        create | run)
            words='--bundle --config --pid-file --console-socket --pidfd-socket --preserve-fds --no-pivot --no-new-keyring --no-subreaper'
            [ "$verb" = create ] || words+=' --detach --keep'
            ;;
        restore)
            words='--bundle --detach --pid-file --console-socket --image-path --work-path --tcp-established --ext-unix-sk --shell-job --file-locks
                --lazy-pages --manage-cgroups-mode --empty-ns --auto-dedup --no-subreaper --no-pivot --lsm-profile --lsm-mount-context'
            ;;
        help) words='checkpoint create delete events exec features kill list pause ps restore resume run spec start state update' ;;
        spec) words='--bundle --rootless' ;;
        list) words='--format --quiet' ;;
        features) words= ;;
        layer) words='import verify path digest --store --json' ;;
        snapshot) words='mount mount-layers --size --upper --read-only --store --json' ;;
        generation) words='collect create list show --store --json' ;;
        *)
            words=$(moss-runtime "${options[@]}" list --quiet 2>/dev/null)
            case $verb in
            delete) words+=' --force --regex' ;;
            kill) words+=' --all --regex KILL TERM INT HUP USR1 USR2' ;;
            ps) words+=' --format' ;;
            events) words+=' --stats --interval' ;;
            exec) words+=' --process --cwd --env --tty --user --additional-gids --cap --no-new-privs --apparmor --process-label --cgroup --ignore-paused
                --detach --pid-file --console-socket --pidfd-socket --preserve-fds' ;;
            update) words+=' --resources --memory --memory-reservation --memory-swap --cpu-share --cpu-period --cpu-quota --cpu-burst --cpu-idle
                --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --pids-limit --blkio-weight --l3-cache-schema --mem-bw-schema' ;;
            checkpoint) words+=' --image-path --work-path --parent-path --leave-running --pre-dump --tcp-established --ext-unix-sk --shell-job
                --file-locks --lazy-pages --status-fd --page-server --manage-cgroups-mode --empty-ns --auto-dedup' ;;
            esac
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$current")
}
complete -F _moss_runtime moss-runtime
