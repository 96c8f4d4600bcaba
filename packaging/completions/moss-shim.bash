# Completion of moss-shim(1) for bash.
_moss_shim()
{
    local current=${COMP_WORDS[COMP_CWORD]} path store words
    store=/var/lib/moss
    [ "$EUID" -eq 0 ] || store=${XDG_DATA_HOME:-$HOME/.local/share}/moss
    store=${MOSS_STORE:-$store}
    case $COMP_CWORD in
    1) words='detach discard generations history logs probes recover rollback start status stop swap --help --version' ;;
    2)
        for path in "$store"/agents/*/agent.json; do
            [ ! -e "$path" ] || words+=" $(basename "$(dirname "$path")")"
        done
        ;;
    *)
        words='--store --json'
        case ${COMP_WORDS[1]} in
        start) words='--store --foreground' ;;
        recover | rollback) words+=' --to' ;;
        swap)
            words+=' --no-rehearsal'
            for path in "$store"/generations/*; do
                [ ! -e "$path" ] || words+=" $(basename "$path" .json)"
            done
            ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "${words:-}" -- "$current")
}
complete -F _moss_shim moss-shim
