# shellcheck shell=bash
# Operations: what a session does, and how it knows that the answer is right. To be sourced by session.sh. A session knows
# of its name, group and device whether they are there, by what it was told; what was not acknowledged may or may not have
# been done (the states that end in -ing), and is asked for again.

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"

# Everybody's.
peers=3                 # daemons peer1, peer2, ...; all of them have the files of $work/base
limit=60                # seconds that a command may take, at most
tolerated=' 8 '         # the exit codes besides 0 that are no fault of Shoal's: here a server may be busy
orphaned=''             # those of publish besides, where it may find no peer, and serves the file until it is ended
keep=1                  # how many of the files that it has fetched a session keeps
declare -A base=()      # FileIDs of what all can fetch, by name
device=()               # of each peer

# The session's.
number=0 home='' state=''     # its folder, and the state folder of its device
own=absent own_name='' own_id='' published=0 # the name that it has published, and how many there were
group=none club=out           # its group, and what it is to everybody's
further=out                   # its second device
fetched=0                     # how many files
out='' code=0                 # of the last command
again=0                       # whether what is asked for was asked for before, and not acknowledged

# run OPERATION ARGUMENT...: runs a command of the session to its end. What it says is in $out, how it ended in $code: 124
# when that was after $limit seconds, and what its goroutines did then is in $home/stuck.TIME. It fails if the command did.
run() {
    local operation=$1 begin
    shift
    begin=${EPOCHREALTIME/./}
    code=0
    out=$(timeout --signal QUIT --kill-after 5 "$limit" "$shoal" "$@" --json --state "$state" 2>"$home/stderr") || code=$?
    echo "$operation $code $((${EPOCHREALTIME/./} - begin))" >>"$home/results"
    ((code != 0)) || return 0
    ((code != 124)) || mv "$home/stderr" "$home/stuck.$EPOCHSECONDS"
    ((again && (code == 3 || code == 5 || code == 7))) || [[ $tolerated == *" $code "* ]] || wrong "shoal $* ended with $code: $(tail -n 3 "$home/stderr" 2>&1)"
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
    local by=$work/peer$((number % peers + 1)) state tolerated=$tolerated$orphaned
    again=1
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
    local operation=$1 which=$((fetched++ % keep)) got=$work/got/$number
    shift
    mkdir -p "$got"
    rm -f "$got/$which" "$home/got.$which"
    if ! run "$operation" get "$@" "$name" -o "$got/$which"; then
        [[ ! -e $got/$which ]] || wrong "get $name ended with $code, and there is a file"
        return 0
    fi
    echo "$got/$which $id" >"$home/got.$which"
    holds "$got/$which" "$id"
}

# holds PATH FILEID: a finished file is right.
holds() {
    local is
    is=$(b3sum --no-names "$1" 2>&1) || true
    [[ $is == "$2" ]] || wrong "$1 was fetched, and b3sum says $is, not $2"
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
    again=1
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
    again=1
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
    # shellcheck disable=SC2034 # run sees it
    local state=$home/further
    again=1
    case $further in
    out) further=coming again=0 ;;
    in) further=leaving again=0 ;;
    esac
    if [[ $further == coming ]]; then
        run login login "user-$number" --password-file "$work/password" || return 0
        further=in again=0
        run whoami whoami || return 0
        [[ $out == *"\"user\":\"user-$number\""* ]] || wrong "whoami says $out after a login"
    else
        run logout logout || { ((code == 5 && again)) || return 0; }
        further=out
    fi
}

