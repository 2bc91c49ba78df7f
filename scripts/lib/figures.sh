# shellcheck shell=bash
# What a script measures of the daemons, the machine and the sessions. To be sourced.

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"

page=$(getconf PAGESIZE)

# sample NAME: sets ticks (of CPU), kib (in memory, without what files back) and open (descriptors) of a daemon.
sample() {
    local p=${pid[$1]} stat memory files
    { read -r stat <"/proc/$p/stat" && read -ra memory <"/proc/$p/statm"; } 2>/dev/null || return 1
    read -ra stat <<<"${stat##*) }"
    files=("/proc/$p/fd/"*)
    ticks=$((stat[11] + stat[12])) kib=$(((memory[1] - memory[2]) * page / 1024)) open=${#files[@]}
}

# sample_all: adds a line for each daemon to the samples.
sample_all() {
    local name
    for name in "${!pid[@]}"; do
        ! sample "$name" || echo "$EPOCHSECONDS $name $kib $open"
    done >>"$work/samples"
}

# keep_sampling: does that every second until it is ended.
keep_sampling() {
    while :; do
        sample_all
        sleep 1
    done
}

# ask NAME PATH: what a daemon says at a path below /debug/pprof/.
ask() { (cd "$work/$1" && curl -sS --max-time 120 --unix-socket pprof.sock "http://daemon/debug/pprof/$2"); }

# meter: the machine's counters, and what the daemons took of it, as lines "what number": ticks of CPU, milliseconds in which
# the disk that has $work was busy, milliseconds that goroutines of the server waited for locks.
meter() {
    local fields name sum=0 i
    read -ra fields </proc/stat
    for ((i = 1; i <= 8; i++)); do sum=$((sum + fields[i])); done
    echo "all $sum"
    echo "idle $((fields[4] + fields[5]))"
    awk -v at="$(stat -c '%Hd %Ld' "$work")" '$1 " " $2 == at { ms = $13 } END { print "disk", ms + 0 }' /proc/diskstats
    ask server 'mutex?debug=1' | awk -F '[= ]' '
        /^cycles\/second/ { rate = $2 } / @ / { sum += $1 } END { printf "locks %d\n", rate ? sum / rate * 1000 : 0 }'
    for name in "${!pid[@]}"; do
        ! sample "$name" || echo "$name $ticks"
    done
}

# descriptors: the daemon that is nearest to its limit, as "percent name open limit".
descriptors() {
    local name most
    for name in "${!pid[@]}"; do
        most=$(awk '/^Max open files/ { print $4 }' "/proc/${pid[$name]}/limits")
        awk -v name="$name" -v most="$most" '$2 == name && $4 > open { open = $4 } END { print int(100 * open / most), name, open, most }' "$work/samples"
    done | sort -n | tail -n 1
}

# held SINCE: of the samples from that second on, for each daemon its name, the KiB that it had in the middle, and the most
# descriptors.
held() {
    awk -v since="$1" '$1 >= since { print $2, $3, $4 }' "$work/samples" | sort -k1,1 -k2,2n | awk '
        function show() { if (n) print is, kib[int((n + 1) / 2)], open }
        $1 != is { show(); is = $1; n = open = 0 }
        { kib[++n] = $2; if ($3 > open) open = $3 }
        END { show() }'
}

# table: of lines "operation code microseconds" a line for each operation and one for all of them, with milliseconds.
table() {
    { sed 's/^[^ ]*/all/' "$1"; cat "$1"; } | sort -k1,1 -k3,3n | awk '
        function at(p) { return t[int((n - 1) * p) + 1] / 1000 }
        function show(  code, errors) {
            if (!n) return
            for (code = 1; code < 256; code++) if (code in failed) errors = errors sprintf("  exit %d: %d", code, failed[code])
            printf "  %-10s %7d %9.1f %9.1f %9.1f %9.1f%s\n", is, n, at(.5), at(.9), at(.99), t[n] / 1000, errors
            split("", failed)
            n = 0
        }
        BEGIN { printf "  %-10s %7s %9s %9s %9s %9s  errors\n", "operation", "times", "p50 ms", "p90", "p99", "max" }
        $1 != is { show(); is = $1 }
        { t[++n] = $3; if ($2) failed[$2]++ }
        END { show() }'
}

# knee FILE: of lines "clients thousandths-of-operations-a-second ...", the number of that with the knee: the first after which
# none has a tenth more operations a second, so that more clients only wait longer. 0 if that is the last one.
knee() {
    awk '{ rate[NR] = $2 }
        END {
            at = NR
            for (i = NR - 1; i > 0; i--) {
                if (rate[i + 1] > best) best = rate[i + 1]
                if (best < 1.1 * rate[i]) at = i
            }
            print at < NR ? at : 0
        }' "$1"
}

# rest_of NAME: what a daemon has when it has nothing to do: descriptors, goroutines, bytes in use after a collection.
rest_of() {
    local ticks kib open
    sample "$1"
    echo "$open $(ask "$1" 'goroutine?debug=1' | awk 'NR == 1 { print $4 }') $(ask "$1" 'heap?gc=1&debug=1' | awk '/^# HeapAlloc =/ { print $4 }')"
}

# flat WHAT BEFORE AFTER PERCENT MORE: fails if something has grown by more than so many percent and so much.
flat() {
    (($3 <= $2 + $2 * $4 / 100 + $5)) || {
        echo "  $1 grew from $2 to $3: that is a leak"
        return 1
    }
}
