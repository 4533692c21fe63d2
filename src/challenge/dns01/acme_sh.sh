# Calls one function of a dns_*.sh among the functions of acme.sh.
#
# Arguments: acme.sh (may be empty), the dns_*.sh, the function, and its two arguments.

umask 077
agent_library=$1 agent_script=$2 agent_function=$3 agent_name=$4 agent_value=$5

# What is sourced sees the arguments, and acme.sh takes them for a command; without any it prints
# its help.
set --
if [ -n "$agent_library" ]; then
    # shellcheck source=/dev/null
    . "$agent_library" >/dev/null || exit
    # Sets where it keeps accounts, domains and headers: below LE_CONFIG_HOME.
    if command -v _initpath >/dev/null; then
        _initpath "$agent_name" || exit
        # shellcheck disable=SC2154
        [ -z "$DOMAIN_PATH" ] || mkdir -p "$DOMAIN_PATH"
    fi
fi
# shellcheck source=/dev/null
. "$agent_script" || exit
"$agent_function" "$agent_name" "$agent_value"
