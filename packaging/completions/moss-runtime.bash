# Completion of moss-runtime(1) for bash.
_moss_runtime()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words verb at
    local -a options=()
    case $previous in
    --root | --bundle | --store | --cwd | --upper)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --log | --pid-file | --console-socket | --process | --resources)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --log-format | --format) words='json text table' ;;
    esac
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
        --root)
            options=(--root "${COMP_WORDS[at + 1]}")
            at=$((at + 1))
            ;;
        --log | --log-format | --cgroup-manager | --rootless) at=$((at + 1)) ;;
        -*) ;;
        *)
            verb=${COMP_WORDS[at]}
            break
            ;;
        esac
    done
    if [ -z "${words:-}" ]; then
        case ${verb:-} in
        '') words='create delete exec features generation kill layer list pause ps resume run snapshot spec start state update
            --root --log --log-format --debug --cgroup-manager --systemd-cgroup --rootless --version --help' ;;
        create | run) words='--bundle --pid-file --console-socket --preserve-fds --no-pivot --no-new-keyring' ;;
        spec) words='--bundle --rootless' ;;
        list) words='--format --quiet' ;;
        features) words= ;;
        layer) words='import verify path digest --store --json' ;;
        snapshot) words='mount mount-layers --size --upper --read-only --store --json' ;;
        generation) words='collect create list show --store --json' ;;
        *)
            words=$(moss-runtime "${options[@]}" list --quiet 2>/dev/null)
            case $verb in
            delete) words+=' --force' ;;
            kill) words+=' --all KILL TERM INT HUP USR1 USR2' ;;
            ps) words+=' --format' ;;
            exec) words+=' --process --cwd --env --tty --user --detach --pid-file --console-socket' ;;
            update) words+=' --resources' ;;
            esac
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$current")
}
complete -F _moss_runtime moss-runtime
