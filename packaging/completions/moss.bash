# Completion of moss(1) for bash.
_moss()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words
    case $previous in
    --store)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --request | --consent)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --depth) words='shallow standard deep' ;;
    --coder) words='search command' ;;
    --agent) words=$(_moss_agents) ;;
    esac
    if [ -z "${words:-}" ]; then
        case ${COMP_CWORD}:${COMP_WORDS[1]}:${COMP_WORDS[2]} in
        1:*) words='agent collect daemon discard evo generations history recover rollback --help --version' ;;
        *:daemon:*) words='--interval --once --store --json --help' ;;
        *:collect:*) words='--dry-run --grace --store --json' ;;
        2:generations:* | 2:discard:* | 2:history:* | 2:recover:* | 2:rollback:*) words=$(_moss_agents) ;;
        *:recover:* | *:rollback:*) words='--to --store --json' ;;
        *:discard:* | *:history:*) words='--store --json' ;;
        2:agent:*) words='add list logs remove restart start status stop' ;;
        2:evo:*) words='apply batch batches catch-up flag report restart start status stop' ;;
        *:agent:add)
            if [[ $current != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
            fi
            words='--replace --store --json'
            ;;
        *:agent:list) words='--store --json' ;;
        *:agent:logs) words="$(_moss_agents) --lines --store" ;;
        *:agent:remove) words="$(_moss_agents) --force --store --json" ;;
        *:agent:* | *:generations:*) words="$(_moss_agents) --store --json" ;;
        *:evo:start | *:evo:restart) words="$(_moss_batches) --depth --coder --jobs --seconds --detach --agent --store --json" ;;
        *:evo:apply) words="$(_moss_batches) --request --consent --agent --store --json" ;;
        *:evo:batch) words="$(_moss_batches) --agent --store --json" ;;
        *:evo:flag) words='--session --user --turn --expect --words --agent --store --json' ;;
        *:evo:*) words='--agent --store --json' ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$current")
}

# The store that a command line without --store uses.
_moss_store()
{
    if [ -n "${MOSS_STORE:-}" ]; then
        echo "$MOSS_STORE"
    elif [ "$EUID" -eq 0 ]; then
        echo /var/lib/moss
    else
        echo "${XDG_DATA_HOME:-$HOME/.local/share}/moss"
    fi
}

_moss_agents()
{
    local path
    for path in "$(_moss_store)"/agents/*/agent.json; do
        [ ! -e "$path" ] || basename "$(dirname "$path")"
    done
}

_moss_batches()
{
    local path
    for path in "$(_moss_store)"/agents/*/batches/b-*; do
        [ ! -e "$path" ] || basename "$path"
    done
}

complete -F _moss moss
