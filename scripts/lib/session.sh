# shellcheck shell=bash
# Sessions: what somebody does with the command-line program, again and again, each result checked. To be sourced. A session is a user with a device, whose commands are processes that come one after the other. What it was
# told is done is kept in $work/sessions/N/memory, so that it can be asked for later.
# The script sets tolerated, the exit codes besides 0 that are no fault of Shoal's there.

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"

peers=3            # daemons peer1, peer2, ...; all of them have the files of $work/base
limit=60           # seconds that a command may take, at most
tolerated=' 8 '    # a server may be busy
clients=0          # how many sessions there are
sizes=(60000 700000 3000000) # bytes of the files that all fetch
declare -A base=() # FileIDs by name

# deal MIX: makes the deck of which each next operation is drawn, of weights such as list=4,get=1.
deal() {
    local part operation i
    deck=()
    for part in ${1//,/ }; do
        operation=${part%%=*}
        [[ $part =~ ^[a-z-]+=[0-9]{1,4}$ && " list lookup publish get get-one groups logins " == *" $operation "* ]] ||
            fail "MIX is of list, lookup, publish, get, get-one, groups and logins with whole numbers, as list=4,get=1: not '$part'"
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

# run OPERATION ARGUMENT...: runs a command of the session to its end. What it says is in $out, how it ended in $code. It
# fails if the command did.
run() {
    local operation=$1 begin
    shift
    begin=${EPOCHREALTIME/./}
    code=0
    out=$(timeout --kill-after 5 "$limit" "$shoal" "$@" --json --state "$state" 2>"$home/stderr") || code=$?
    echo "$operation $code $((${EPOCHREALTIME/./} - begin))" >>"$home/results"
    ((code != 0)) || return 0
    [[ $tolerated == *" $code "* ]] || wrong "shoal $* ended with $code: $(tail -n 3 "$home/stderr")"
    return 1
}

# wrong TEXT: what Shoal did wrong.
wrong() { echo "session $number: $*" >>"$home/wrong"; }

# has NAME FILEID: $out, of ls, info or publish, says that the name stands for that.
has() { [[ $out == *"\"file\":\"$2\","*"\"name\":\"$1\""* ]]; }

# listed NAME FILEID: the same in one line of ls.
listed() { [[ $out == *"\"file\":\"$2\",\"group\":\"public\",\"name\":\"$1\""* ]]; }

do_list() {
    run list ls || return 0
    local name
    for name in "${!base[@]}"; do
        listed "$name" "${base[$name]}" || wrong "ls lacks $name"
    done
    case $own in
    there) listed "$own_name" "$own_id" || wrong "ls lacks $own_name, which was published" ;;
    absent) [[ -z $own_name || $out != *"\"name\":\"$own_name\""* ]] || wrong "ls has $own_name, which was unpublished" ;;
    esac
}

# pick: a name that is published, and its FileID.
pick() {
    local names=("${!base[@]}")
    name=${names[RANDOM % ${#names[@]}]}
    id=${base[$name]}
    if [[ $own == there ]] && ((RANDOM % 4 == 0)); then
        name=$own_name id=$own_id
    fi
}

do_lookup() {
    pick
    run lookup info "$name" || return 0
    has "$name" "$id" || wrong "info $name says $out"
}

# A file of its own is published, and unpublished the next time. What was not acknowledged is asked for again.
do_publish() {
    local by=$work/peer$((number % peers + 1)) state again=1
    [[ ! -e $by.down ]] || return 0 # without a peer the command would go on as one
    state=$by
    [[ $own == *ing ]] || again=0
    if [[ $own == absent ]]; then
        own_name=own-$number-$((++published))
        head -c $((30000 + RANDOM * 16)) /dev/urandom >"$home/$own_name"
        own_id=$(b3sum --no-names "$home/$own_name")
        own=publishing
    elif [[ $own == there ]]; then
        own=unpublishing
    fi
    if [[ $own == publishing ]]; then
        run publish publish "$home/$own_name" || return 0
        has "$own_name" "$own_id" || wrong "publish $own_name says $out, and b3sum $own_id"
        own=there
    else
        run unpublish unpublish "$own_name" || { ((code == 3 && again)) || return 0; }
        own=absent
        rm -f "${home:?}/$own_name"
    fi
}

# fetch OPERATION FLAG...: fetches a file. What is there must be what was published.
fetch() {
    local operation=$1 got
    shift
    rm -f "$home/got"
    if ! run "$operation" get "$@" "$name" -o "$home/got"; then
        [[ ! -e $home/got ]] || wrong "get $name ended with $code, and there is a file"
        return
    fi
    got=$(b3sum --no-names "$home/got" 2>&1) || true
    [[ $got == "$id" ]] || wrong "get $name ended with 0, and b3sum says $got, not $id"
}

do_get() {
    pick
    fetch get
}

do_get-one() {
    local names=("${!base[@]}") which=$((RANDOM % peers + 1))
    name=${names[RANDOM % ${#names[@]}]}
    id=${base[$name]}
    fetch get-one --from "${device[which]}"
    ((code != 0)) || [[ ${out//"\"device\":\"${device[which]}\""/} != *'"device":'* ]] || wrong "get --from ${device[which]} says $out"
}

# Each owns a group now and then, and is in the club now and then, which is the first peer's.
do_groups() {
    case $((RANDOM % 3)) in
    0) own_group ;;
    1) visit_club ;;
    *) see_groups ;;
    esac
}

own_group() {
    local again=1
    case $group in
    none) group=creating again=0 ;;
    mine) group=deleting again=0 ;;
    esac
    if [[ $group == creating ]]; then
        run groups group create "group-$number" || { ((code == 7 && again)) || return 0; }
        group=mine
    else
        run groups group delete "group-$number" || { ((code == 3 && again)) || return 0; }
        group=none
    fi
}

visit_club() {
    local again=1
    case $club in
    out) club=joining again=0 ;;
    asks) club=entering again=0 ;;
    in) club=leaving again=0 ;;
    esac
    case $club in
    joining)
        run groups group join club || return 0
        club=asks
        ;;
    entering)
        state=$work/peer1 run groups group accept club "user-$number" || return 0
        club=in
        ;;
    leaving)
        run groups group leave club || { ((code == 3 && again)) || return 0; }
        club=out
        ;;
    esac
}

see_groups() {
    run groups group list || return 0
    role "group-$number"
    case $group:$is in
    none:none | mine:owner | *ing:*) ;;
    *) wrong "its group is $group, and group list says '$is'" ;;
    esac
    role club
    case $club:$is in
    out:none | asks:requested | in:member | *ing:*) ;;
    *) wrong "it is '$club' to the club, and group list says '$is'" ;;
    esac
}

# role GROUP: what the session's user is in the group by $out, of group list, is $is then.
role() {
    local pattern="\"group\":\"$1\"[^}]*\"role\":\"([a-z]*)\""
    is=none
    [[ ! $out =~ $pattern ]] || is=${BASH_REMATCH[1]}
}

# A further device comes and goes.
do_logins() {
    local state=$home/further again=1
    case $further in
    out) further=coming again=0 ;;
    in) further=leaving again=0 ;;
    esac
    if [[ $further == coming ]]; then
        run login login "user-$number" --password-file "$work/password" || return 0
        further=in
        run whoami whoami || return 0
        [[ $out == *"\"user\":\"user-$number\""* ]] || wrong "whoami says $out after a login"
    else
        run logout logout || { ((code == 5 && again)) || return 0; }
        further=out
    fi
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
    echo "${own@A} ${own_name@A} ${own_id@A} ${published@A} ${group@A} ${club@A} ${further@A}" >"$home/memory"
}

# enrol N: makes the user and device of a new session.
enrol() {
    local number=$1 home=$work/sessions/$1 state=$work/sessions/$1/state
    local own=absent own_name='' own_id='' published=0 group=none club=out further=out tries
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

# session N END: lives until that second of the clock, and prints what its processes took, as times does.
session() {
    as "$1"
    RANDOM=$1 # others do other things, and the same the next time
    while ((EPOCHSECONDS < $2)); do
        "do_${deck[RANDOM % ${#deck[@]}]}"
    done
    rest
    times >"$home/times"
}
