# Completion of moss(1) for bash.
_moss()
{
    local current=${COMP_WORDS[COMP_CWORD]}
    case $COMP_CWORD in
    1) mapfile -t COMPREPLY < <(compgen -W 'agent evo --help --version' -- "$current") ;;
    2)
        case ${COMP_WORDS[1]} in
        agent) mapfile -t COMPREPLY < <(compgen -W 'add list logs remove restart start status stop' -- "$current") ;;
        evo) mapfile -t COMPREPLY < <(compgen -W 'apply batch batches catch-up flag restart start status stop' -- "$current") ;;
        esac
        ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}
complete -F _moss moss
