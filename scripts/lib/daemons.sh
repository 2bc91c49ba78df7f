# shellcheck shell=bash
# Daemons that a script starts, and ends with itself. To be sourced. What runs is bin/shoal, or $SHOAL_BIN.
# The script sets $work, the folder of all that it leaves nothing of; a daemon NAME has its state in $work/NAME, and what
# it says in $work/NAME.out and $work/NAME.err.

me=$(basename "$0" .sh)
shoal=${SHOAL_BIN:-$(dirname "${BASH_SOURCE[0]}")/../../bin/shoal}
work=''
kept=''                    # says why the folder is to stay, if it is
keeps=''                   # says that it is to stay whenever the script fails
mounted=()                 # folders of it that are mounts
declare -A pid=() line=()  # of each daemon: its process, and its command line but for the address
declare -A at=()           # of each daemon that has one: the address where it is to listen
declare -A host=()         # of each daemon that has one: its network namespace
patience=60                # seconds that a daemon may take to start, at most

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 && -z ${NO_COLOR:-} ]] || say() { printf '\n%s\n' "$*"; }

fail() {
    echo "$me: $*" >&2
    exit 1
}

# begin: checks that there is a program, makes the folder, and sees to it that everything ends with the script.
begin() {
    [[ -x $shoal ]] || fail "no $shoal; run 'make build' first"
    shoal=$(realpath "$shoal")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/shoal-$me.XXXXXX")
}

# descendants PID: all processes that come from that one.
descendants() {
    local children child
    read -ra children 2>/dev/null <"/proc/$1/task/$1/children" || true
    for child in "${children[@]}"; do
        echo "$child"
        descendants "$child"
    done
}

clean_up() {
    local status=$? ours tries each
    trap '' INT TERM HUP
    ((status != 1)) || [[ -z $keeps ]] || kept=${kept:-it failed}
    mapfile -t ours < <(descendants $$)
    if ((${#ours[@]} > 0)); then
        kill "${ours[@]}" 2>/dev/null || true
        kill -CONT "${ours[@]}" 2>/dev/null || true # of one that hangs, too
        for ((tries = 0; tries < 100; tries++)); do # what does not end within ten seconds is killed
            [[ -n $(jobs -pr) ]] || break
            sleep 0.1
        done
        kill -KILL "${ours[@]}" 2>/dev/null || true
        wait 2>/dev/null || true
    fi
    for each in "${mounted[@]}"; do
        [[ -z $kept ]] || cp -a "$work/$each" "$work/disk of $each" || true
        umount -l "$work/$each"
    done
    if [[ -n $kept ]]; then
        echo "$me: $kept: see $work" >&2
    elif [[ -n $work ]]; then
        rm -rf "$work"
    fi
}

# launch NAME: starts the daemon again as it was, or for the first time.
launch() {
    local name=$1 before=()
    eval "set -- ${line[$name]}"
    [[ -z ${host[$name]:-} ]] || before=(nsenter "--net=/run/netns/${host[$name]}")
    : >"$work/$name.out" # or what it said before would be taken for what it says
    # Should the script be killed, they end, too.
    "${before[@]}" setpriv --pdeathsig KILL \
        "$shoal" "$@" --json --state "$work/$name" --listen "${at[$name]:-127.0.0.1:0}" >"$work/$name.out" 2>>"$work/$name.err" </dev/null &
    pid[$name]=$!
}

# daemon NAME ARGUMENT...: starts a daemon with a state and logs of its own, on any free port of loopback unless $at says
# otherwise.
daemon() {
    local name=$1
    shift
    line[$name]=${*@Q}
    launch "$name"
}

# event NAME FIELD: waits for the first event of the daemon NAME and prints one of its fields.
event() {
    local log=$work/$1.out tries
    for ((tries = 0; tries < patience * 20; tries++)); do
        if [[ -s $log ]]; then
            sed -n "1s/.*\"$2\":\"\\([^\"]*\\)\".*/\\1/p" "$log"
            return
        fi
        kill -0 "${pid[$1]}" 2>/dev/null || break
        sleep 0.05
    done
    tail -n 20 "$work/$1.err" >&2
    fail "the $1 did not start (above: what it said)"
}

# quietly COMMAND...: shows what a command wrote only when it fails.
quietly() {
    "$@" >"$work/step.log" 2>&1 || {
        cat "$work/step.log" >&2
        fail "that went wrong (above: why)"
    }
}

# file_id FILE: a line begins with a backslash when the name in it had to be escaped.
file_id() {
    local line
    line=$("$shoal" sum -- "$1")
    line=${line#\\}
    echo "${line%% *}"
}
