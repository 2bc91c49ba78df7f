#!/usr/bin/env bash
# Has many people use Shoal at a time, and looks at what becomes slow, wrong, or is not given back.
# Usage: [CLIENTS=300] [SECONDS=15] [MIX=list=4,lookup=3,publish=1,get=2,get-one=1,groups=1,logins=1] scripts/stress.sh
#
# A server, three peers, a log service and an enrichment service run on loopback, over TLS. Sessions are users with devices
# of their own, who do one command after the other, each a process of its own; what each says and fetches is checked.
# There are 1, 2, 4, ... CLIENTS of them, each time for so many SECONDS; then once more CLIENTS, to see what grows. MIX says
# how often each operation is chosen, relative to the others.
#
# For each step: operations a second, milliseconds that they took, exit codes (docs/OPERATIONS.md), and where the time of the
# CPUs went. In the end the knee, after which no step has a tenth more operations a second; what is nearest to being full there;
# what the server's CPU time goes to; and the memory and descriptors of the daemons. It ends with 1 when anything was
# wrong, or when a daemon keeps descriptors, goroutines or memory after the load; then the logs stay.
# A command takes some 20 ms of CPU time: on a few CPUs it is the commands that fill them, long before the daemons do. The
# profiles of each step stay in ${TMPDIR:-/var/tmp}/shoal-stress-profiles.
#
# STRESS_FAULT=wrong (files are not what they are said to be) and =leak (connections stay) are for the test of this script.
mapfile -d '' -t environment <"/proc/$$/environ" # bash counts in SECONDS, from what the environment says on
set -euo pipefail
export LC_ALL=C

# shellcheck source=scripts/lib/session.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/session.sh"
# shellcheck source=scripts/lib/figures.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/figures.sh"

most=${CLIENTS:-300}
seconds=15
for variable in "${environment[@]}"; do
    [[ $variable != SECONDS=?* ]] || seconds=${variable#*=}
done
mix=${MIX:-list=4,lookup=3,publish=1,get=2,get-one=1,groups=1,logins=1}
[[ $most =~ ^[1-9][0-9]{0,3}$ ]] || fail "CLIENTS is 1 to 9999, not '$most'"
[[ $seconds =~ ^[1-9][0-9]{0,4}$ ]] || fail "SECONDS is 1 to 99999, not '$seconds'"
deal "$mix"
spare=10    # descriptors and goroutines that may come and go
settling=$((seconds < 13 ? 4 + 2 * seconds : 30)) # seconds in which what the load took must have been given back

# enlist: makes the sessions up to $clients that are not there.
enlist() {
    local last=$clients enlisted
    enlisted=$(find "$work/sessions" -name memory | wc -l)
    newcomer() { (($1 <= enlisted)) || enrol "$1"; }
    each newcomer
    clients=$last
}

# step CLIENTS NUMBER: so many sessions for so many seconds, and what was measured.
step() {
    clients=$1
    local number=$2 i running=() begin end took
    enlist
    rm -f "$work/sessions/"*/{results,times}
    meter >"$work/before"
    ask server "profile?seconds=$seconds" >"$work/cpu.$number" 2>/dev/null &
    local profile=$!
    begin=${EPOCHREALTIME/./}
    end=$((begin + seconds * 1000000))
    for ((i = 1; i <= clients; i++)); do
        session "$i" "$end" &
        running+=($!)
    done
    finish "${running[@]}"
    sample_all # a short step has no other
    took=$((${EPOCHREALTIME/./} - begin))
    wait "$profile" || true
    ask server mutex >"$work/locks.$number"
    meter >"$work/after"
    cat "$work/sessions/"*/results >"$work/results"
    report
}

# report: prints a step, and keeps it for the end.
report() {
    local count p99
    count=$(wc -l <"$work/results")
    p99=$(sort -k3,3n "$work/results" | awk '{ t[NR] = $3 } END { print t[int((NR - 1) * .99) + 1] }')
    echo "$clients $((count * 1000000000 / took)) $p99" >>"$work/steps"
    say "$clients sessions: $((count * 1000000 / took)).$((count * 10000000 / took % 10)) operations a second"
    table "$work/results"
    shares | tee "$work/shares.$number"
    held "$((begin / 1000000))" >"$work/held.$number"
    awk '{ printf "  %s %d MiB %d", $1, $2 / 1024, $3 } END { print "  (in memory and descriptors, in the middle of the step)" }' "$work/held.$number"
}

# shares: what the machine's time went to.
shares() {
    local -A spent=()
    local name value was commands shells daemons_spent=0
    while read -r name value _ was; do
        spent[$name]=$((value - was))
    done < <(join <(sort "$work/after") <(sort "$work/before") -o 1.1,1.2,2.1,2.2)
    read -r shells commands < <(cat "$work/sessions/"*/times | sed 's/[ms]/ /g' | awk -v hz="$(getconf CLK_TCK)" '
        { ticks[NR % 2] += hz * ($1 * 60 + $2 + $3 * 60 + $4) } END { printf "%d %d\n", ticks[1], ticks[0] }')
    percent() { echo $((100 * $1 / spent[all])); }
    printf '  CPU %d %% busy: commands %d %%, shells of the sessions %d %%' $((100 - $(percent "${spent[idle]}"))) \
        "$(percent "$commands")" "$(percent "$shells")"
    for name in "${daemons[@]}"; do
        printf ', %s %d %%' "$name" "$(percent "${spent[$name]}")"
        daemons_spent=$((daemons_spent + spent[$name]))
    done
    printf ', all else %d %%' $((100 - $(percent $((spent[idle] + commands + shells + daemons_spent)))))
    printf '\n  disk %d %% busy; locks of the server waited for %d ms a second\n' \
        $((100000 * spent[disk] / took)) $((1000000 * spent[locks] / took))
}

# be_idle: has the sessions take back what they published, waits until nothing is going on, and prints what each daemon
# has then: its name, and what rest_of says. $first is how many descriptors each had when that was done first.
be_idle() {
    local tries name ticks kib open
    each withdraw
    for ((tries = 0; tries < settling; tries++)); do
        sleep 1
        for name in "${daemons[@]}"; do
            sample "$name"
            ((open <= ${first[$name]:-open} + spare)) || continue 2
        done
        break
    done
    for name in "${daemons[@]}"; do
        echo "$name $(rest_of "$name")"
    done
}

# leak: lets devices stay that nobody takes away.
leak() {
    local i
    for ((i = 0; i < spare + 5; i++)); do
        quietly "$shoal" login --state "$work/leak$i" --password-file "$work/password" keeper
        "$shoal" publish --state "$work/leak$i" "$work/base/base-60000" >/dev/null 2>&1 &
    done
    sleep 1
}

# compare: what each daemon had before and after the last step, at rest, and what memory it had while that went on and
# while the same step did before. It fails if something was not given back.
compare() {
    local name grown=0 compared=0 open goroutines heap now_open now_goroutines now_heap kib now_kib
    printf '  %-8s %20s %20s %20s %20s\n' daemon descriptors goroutines 'KiB in use' 'KiB under load'
    while read -r name open goroutines heap now_open now_goroutines now_heap kib _ now_kib _; do
        printf '  %-8s %20s %20s %20s %20s\n' "$name" "${first[$name]}, $open, $now_open" "$goroutines, $now_goroutines" \
            "$((heap / 1024)), $((now_heap / 1024))" "$kib, $now_kib"
        compared=$((compared + 1))
        flat "$name: descriptors" "${first[$name]}" "$now_open" 0 "$spare" || grown=1
        flat "$name: goroutines" "$goroutines" "$now_goroutines" 0 $((2 * spare)) || grown=1
        flat "$name: bytes in use" "$heap" "$now_heap" 10 $((4 << 20)) || grown=1
        flat "$name: KiB under load" "$kib" "$now_kib" 25 $((64 << 10)) || grown=1
    done < <(join "$work/rest" "$work/rest.after" | join - "$work/held.$((number - 1))" | join - "$work/held.$number")
    ((compared == ${#daemons[@]} && !grown))
}

# show_knee: where more sessions bring nothing, and why.
show_knee() {
    local at rate p99 clients last_rate last_p99 last
    echo
    awk 'BEGIN { print "  sessions  operations/s     p99 ms" } { printf "  %8d %13.1f %10.1f\n", $1, $2 / 1000, $3 / 1000 }' "$work/steps"
    at=$(knee "$work/steps")
    if ((at == 0)); then
        say "No knee: the last step has over a tenth more operations a second than each before"
        at=$(wc -l <"$work/steps")
    else
        read -r clients rate p99 < <(sed -n "${at}p" "$work/steps")
        read -r last last_rate last_p99 < <(tail -n 1 "$work/steps")
        say "The knee: $clients sessions with $((rate / 1000)) operations a second and a p99 of $((p99 / 1000)) ms; no larger step has a tenth more, and $last sessions have $((last_rate / 1000)) and $((last_p99 / 1000)) ms"
    fi
    cat "$work/shares.$at"
    read -r full name open limit < <(descriptors)
    echo "  descriptors: $full % of what it may have at $name ($open of $limit), at the most of all steps"
    echo "  nearest to being full: $(fullest "$work/shares.$at" "$full")"
    say "What the server's CPU time went to there, and who held locks that others waited for until then ($profiles/{cpu,locks}.$at)"
    go tool pprof -top -nodecount 15 "$profiles/cpu.$at" 2>/dev/null | tail -n +4 || echo "  there is no profile"
    go tool pprof -top -cum -nodecount 8 "$profiles/locks.$at" 2>/dev/null | tail -n +5 || echo "  there is no profile"
}

# fullest SHARES DESCRIPTORS: what is nearest to being full. Locks are when a goroutine waits for one all the time, unless it
# is the CPU that who has the lock waits for.
fullest() {
    awk -v open="$2" '
        function see(is, full) { if (full > most) { most = full; what = is } }
        / CPU / { see("CPU", $2) }
        / disk / { see("disk", $2); see("locks", $11 > 1000 ? 100 : $11 / 10) }
        END { see("descriptors", open); printf "%s, %d %%\n", what, most }' "$1"
}

begin
say "Starting a server, $peers peers, a log service and an enrichment service"
settle
daemons=(peer{1..3} rpclog server soap) # sorted
keep_sampling &
if [[ ${STRESS_FAULT:-} == *wrong* ]]; then
    for name in "${!base[@]}"; do base[$name]=${base[$name]//[0-9]/f}; done
fi

declare -A first=()
number=0
for ((n = 1; ; n = n * 2 < most ? n * 2 : most)); do
    step "$n" $((++number))
    if ((number == 1)); then
        be_idle >"$work/rest"
        while read -r name open _; do
            first[$name]=$open
        done <"$work/rest"
    fi
    ((n < most)) || break
done
be_idle >"$work/rest"
step "$most" $((++number))
sed -i '$d' "$work/steps" # it is no step up
[[ ${STRESS_FAULT:-} != *leak* ]] || leak
be_idle >"$work/rest.after"

profiles=${TMPDIR:-/var/tmp}/shoal-stress-profiles
mkdir -p "$profiles"
cp "$work/"{cpu,locks}.* "$profiles"
show_knee
say "What the daemons keep"
compare || kept='a daemon does not give back what it took'
mistakes || kept='something was wrong'
[[ -z $kept ]] || exit 1
say "Nothing was wrong, and nothing was kept"
