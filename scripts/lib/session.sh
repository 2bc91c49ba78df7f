# shellcheck shell=bash
# Sessions: what somebody does with the command-line program, again and again, each result checked. To be sourced. A session
# is a user with a device, whose commands are processes that come one after the other. What it was told is done is kept in
# $work/sessions/N/memory, so that it can be asked for later.

# shellcheck source=scripts/lib/operations.sh
source "$(dirname "${BASH_SOURCE[0]}")/operations.sh"

clients=0                    # how many sessions there are
sizes=(60000 700000 3000000) # bytes of the files that all fetch
operations='list lookup publish get get-one groups logins'

# deal MIX: makes the deck of which each next operation is drawn, of weights such as list=4,get=1.
deal() {
    local part operation i
    deck=()
    for part in ${1//,/ }; do
        operation=${part%%=*}
        [[ $part =~ ^[a-z-]+=[0-9]{1,4}$ && " $operations " == *" $operation "* ]] ||
            fail "MIX is weights of $operations, whole numbers, as list=4,get=1: not '$part'"
        for ((i = 0; i < 10#${part#*=}; i++)); do deck+=("$operation"); done
    done
    ((${#deck[@]} > 0)) || fail "MIX has no operation"
}

# settle: has a server, a log service, an enrichment service and the peers run, and everybody's files published.
settle() {
    local i size
    mkdir -p "$work/base" "$work/sessions"
    head -c 18 /dev/urandom | base64 >"$work/password"
    daemon rpclog rpclog
    daemon soap soap
    local log
    log=(--rpclog "$(event rpclog address)" --rpclog-key "$work/rpclog/log.key")
    daemon server server --registration open --soap "$(event soap url)" "${log[@]}"
    SHOAL_SERVER=$(event server address)
    SHOAL_PIN=$(event server realm)
    export SHOAL_SERVER SHOAL_PIN
    quietly "$shoal" server user --state "$work/server" --password-file "$work/password" keeper
    for ((i = 1; i <= peers; i++)); do
        quietly "$shoal" login --state "$work/peer$i" --password-file "$work/password" keeper
        mkdir -p "$work/files$i"
        daemon "peer$i" peer --dir "$work/files$i" "${log[@]}"
        device[i]=$(event "peer$i" device)
    done
    quietly "$shoal" group create --state "$work/peer1" club
    for size in "${sizes[@]}"; do
        head -c "$size" /dev/urandom >"$work/base/base-$size"
        base[base-$size]=$(b3sum --no-names "$work/base/base-$size")
        for ((i = 1; i <= peers; i++)); do
            cp "$work/base/base-$size" "$work/files$i"
            quietly "$shoal" publish --state "$work/peer$i" "$work/files$i/base-$size"
        done
    done
}

# as N: takes up the session of that number where it was.
as() {
    number=$1
    home=$work/sessions/$1 state=$work/sessions/$1/state
    # shellcheck source=/dev/null
    source "$home/memory"
}

# rest: keeps what the session knows.
rest() {
    echo "${own@A} ${own_name@A} ${own_id@A} ${published@A} ${group@A} ${club@A} ${further@A} ${fetched@A}" >"$home/memory"
}

# enrol N: makes the user and device of a new session.
enrol() {
    local number=$1 home=$work/sessions/$1 state=$work/sessions/$1/state
    local tries
    mkdir -p "$home"
    for ((tries = 0; tries < 100; tries++)); do
        run enrol user create "user-$1" --password-file "$work/password" && break
        ((code == 8)) || return 0 # and it has been said
        sleep 0.2
    done
    rm "$home/results"
    rest
}

# withdraw N: unpublishes what the session has published, so that all is as before.
withdraw() {
    as "$1"
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [[ $own != absent ]] || break
        do_publish
    done
    rest
}

# each DO [ARGUMENT]: calls it with the number of each session up to $clients, some at a time.
each() {
    local do=$1 i running=()
    shift
    for ((i = 1; i <= clients; i++)); do
        "$do" "$i" "$@" &
        running+=($!)
        ((i <= 16)) || wait -n || true
    done
    finish "${running[@]}"
}

# finish PID...: waits for sessions.
finish() {
    local each
    for each in "$@"; do
        wait "$each" || fail "a session ended with $?"
    done
}

# mistakes: prints what the sessions found wrong, some of it; fails if that is anything.
mistakes() {
    local found
    found=$(cat "$work/sessions/"*/wrong 2>/dev/null) || true
    [[ -n $found ]] || return 0
    echo "$(wc -l <<<"$found") times Shoal was wrong:"
    head -n 10 <<<"$found" | cut -c -400
    return 1
}

# session N END: lives until that microsecond of the clock, and keeps what its processes took, as times prints it.
session() {
    as "$1"
    RANDOM=$1 # others do other things, and the same the next time
    while ((${EPOCHREALTIME/./} < $2)); do
        again=0
        "do_${deck[RANDOM % ${#deck[@]}]}"
    done
    rest
    times >"$home/times"
}
