#!/usr/bin/env bash
# Has people use Shoal while everything that it runs on fails, and then looks whether all is there that was promised.
# Usage: [CLIENTS=20] [MIX=list=4,...] scripts/soak.sh MINUTES      as root; MINUTES may be a fraction
#
# A server with an enrichment service, a log service and three peers run on five hosts (network namespaces), with disks of
# their own (tmpfs). Sessions as in stress.sh go on all the while; they also hand downloads to the peers. For so many MINUTES,
# up to two at a time, daemons are killed, killed again while they start, stopped, and made to stand still; links are cut or
# made slow; disks are filled. In the end all daemons are killed once more and start again. Then
#   - every name, group, membership and device is as it was acknowledged last, and what was published can be fetched;
#   - every file that a get or a queued download has finished is right, and every queued download finishes;
#   - no daemon has ended by itself.
# Otherwise it ends with 1, and says where the logs are. What it does to processes, it does to those it has started.
#
# SOAK_FAULT=lost (a name that nobody published is looked for) and =file (finished files are spoiled) are for the test of
# this script.
set -euo pipefail
export LC_ALL=C

# shellcheck source=scripts/lib/session.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/session.sh"
# shellcheck source=scripts/lib/faults.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/faults.sh"
# shellcheck source=scripts/lib/figures.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/figures.sh"

[[ $# == 1 && $1 =~ ^[0-9]{1,5}(\.[0-9]+)?$ ]] || fail "how long? Usage: scripts/soak.sh MINUTES"
seconds=$(awk -v minutes="$1" 'BEGIN { print int(minutes * 60 + .5) }')
operations+=' queue'
mix=${MIX:-list=4,lookup=3,publish=2,get=3,get-one=1,groups=2,logins=1,queue=1}
clients=${CLIENTS:-20}
[[ $clients =~ ^[1-9][0-9]{0,2}$ ]] || fail "CLIENTS is 1 to 999, not '$clients'"
deal "$mix"
((EUID == 0)) || fail "networks and mounts of its own need root: run it as root, or with sudo"
stay_apart "$@"

# Besides: nobody who has the file can be reached, and no space is left.
tolerated=' 4 6 8 '
# shellcheck disable=SC2034 # for the sessions
orphaned=' 124 '
# shellcheck disable=SC2034 # for the sessions
keep=3
most_wishes=3 # queued downloads of a session
daemons=(server soap rpclog peer1 peer2 peer3)

# do_queue: hands a download to a peer. Once that is acknowledged it is on disk, and will be done.
do_queue() {
    local wishes=0 k=$((number % peers + 1)) id path which=base-${sizes[RANDOM % ${#sizes[@]}]}
    [[ ! -e $home/wishes ]] || wishes=$(wc -l <"$home/wishes")
    ((wishes < most_wishes)) || return 0
    id=${base[$which]}
    path=$work/got/peer$k/$number-$((published++))
    state=$work/peer$k run queue get --queue "$which" -o "$path" || return 0
    echo "$path $id" >>"$home/wishes"
}

# place: the hosts, their disks, and where the daemons are.
place() {
    local i
    wire
    connect hub 10.7.0.2
    connect log 10.7.0.3
    at=([server]=10.7.0.2:0 [rpclog]=10.7.0.3:0)
    host=([server]=hub [soap]=hub [rpclog]=log)
    disk server 700
    disk soap 16
    disk rpclog 64
    disk got 400
    for ((i = 1; i <= peers; i++)); do
        connect "peer$i" "10.7.0.1$i"
        at[peer$i]=10.7.0.1$i:0 host[peer$i]=peer$i
        disk "peer$i" 32
        mkdir "$work/got/peer$i"
    done
}

# befall: something happens to something that is well.
befall() {
    local all=(kill kill kill-twice stop hang hang cut cut slow fill) fault name names
    fault=${all[RANDOM % ${#all[@]}]}
    case $fault in
    cut | slow) names=(server rpclog peer1 peer2 peer3) ;; # the enrichment service has the server's link
    fill) names=("${daemons[@]}" got) ;;
    *) names=("${daemons[@]}") ;;
    esac
    name=${names[RANDOM % ${#names[@]}]}
    [[ -n ${ailing[$name]:-} ]] || strike "$fault" "$name" $((RANDOM % 8 + 1))
}

# reckon N: what was acknowledged to the session is there, and what it has fetched is right.
reckon() {
    as "$1"
    local file path id tries
    tolerated=' 4 8 '
    until_right settle_up
    until_right see_all
    for file in "$home/got."*; do
        [[ -e $file ]] || continue
        read -r path id <"$file"
        holds "$path" "$id"
    done
    [[ -e $home/wishes ]] || return 0
    while read -r path id; do
        for ((tries = 0; tries < patience; tries++)); do
            [[ ! -e $path ]] || break
            sleep 1
        done
        holds "$path" "$id"
    done <"$home/wishes"
}

# until_right DO: does it until no command fails any more.
until_right() {
    local tries failed
    for ((tries = 0; tries < patience; tries++)); do
        failed=0
        "$1"
        ((failed)) || return 0
        [[ ! -e $home/wrong ]] || return 0
        sleep 1
    done
    wrong "a minute after the last fault: $1 still ends with $code: $(tail -n 3 "$home/stderr")"
}

# settle_up: what was asked for and not acknowledged is asked for again.
settle_up() {
    [[ $own != *ing ]] || do_publish
    [[ $group != *ing ]] || own_group
    [[ $club != *ing ]] || visit_club
    [[ $further != *ing ]] || do_logins
    [[ $own$group$club$further != *ing* ]] || failed=1
}

# see_all: everything is as it was acknowledged.
see_all() {
    do_list
    ((code == 0)) || failed=1
    see_groups
    ((code == 0)) || failed=1
    if [[ $further == in ]]; then
        state=$home/further run whoami whoami || failed=1
        [[ $out == *"\"user\":\"user-$number\""* ]] || wrong "whoami says $out after a login"
    fi
    if [[ $own == there ]]; then
        name=$own_name id=$own_id
        fetch get
        ((code == 0)) || failed=1
    fi
}

# trouble END: until that second, things happen.
trouble() {
    while ((EPOCHSECONDS < $1)); do
        sleep 0.5
        heal_due "$EPOCHSECONDS"
        look_after "${daemons[@]}"
        fill_up
        ((${#ailing[@]} > 1 || RANDOM % 3)) || befall
    done
    heal_due $(($1 + 1000)) # all
}

keeps=1
begin
RANDOM=${SEED:-$EPOCHSECONDS}
say "Starting a server, an enrichment service, a log service and $peers peers on hosts of their own"
place
settle
for name in "${daemons[@]}"; do
    at[$name]=$(event "$name" address)
done
each enrol

say "$clients sessions, and faults for $1 minutes"
running=() end=$((EPOCHSECONDS + seconds))
for ((i = 1; i <= clients; i++)); do
    session "$i" "${end}000000" &
    running+=($!)
done
trouble "$end"
finish "${running[@]}"
cat "$work/sessions/"*/results >"$work/results"
table "$work/results"
for fault in "${!faults[@]}"; do
    printf '  %s: %d' "$fault" "${faults[$fault]}"
done
echo '  (how often that befell)'
for name in "${daemons[@]}"; do
    begin_kill "$name"
done
for name in "${daemons[@]}"; do
    revive "$name"
done

say "Is all there that was acknowledged?"
[[ ${SOAK_FAULT:-} != *lost* ]] || echo 'own=there own_name=nobodys own_id=0' >>"$work/sessions/1/memory"
if [[ ${SOAK_FAULT:-} == *file* ]]; then
    for file in "$work/got/"[0-9]*/*; do echo >>"$file"; done
fi
for ((i = 1; i <= peers; i++)); do # what waits for its next attempt need not
    quietly "$shoal" downloads resume all --state "$work/peer$i"
done
each reckon
right=1
mistakes || right=0
[[ ! -e $work/blamed ]] || right=0
((right)) || exit 1
echo "All of it: $(cat "$work/sessions/"*/wishes 2>/dev/null | wc -l) queued downloads, $(find "$work/sessions" -name 'got.*' | wc -l) kept files, and the names, groups and devices of $clients sessions"
