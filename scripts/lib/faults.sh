# shellcheck shell=bash
# Faults: what befalls daemons, the links of the machines that they run on, and their disks, and how it ends again. To be
# sourced. Each daemon runs on a host, which is a network namespace with a link to a bridge in the script's own; its state is
# on a disk of its own, a tmpfs (unshare(1), ip-netns(8), tc-tbf(8)).

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"

# stay_apart ARGUMENT...: runs the script again as this process, with a network and mounts of its own.
stay_apart() {
    [[ ${SHOAL_APART:-} == "$$" ]] || SHOAL_APART=$$ exec unshare --net --mount "$BASH" "$0" "$@"
}

# wire: makes the bridge that the hosts are connected by.
wire() {
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    mount -t tmpfs tmpfs /run
    ip link add lan type bridge forward_delay 0
    ip addr add 10.7.0.1/16 dev lan
    ip link set lan up
}

# connect HOST ADDRESS: makes a host.
connect() {
    ip netns add "$1"
    ip link add "to-$1" type veth peer name eth0 netns "$1"
    ip link set "to-$1" master lan up
    ip -n "$1" addr add "$2/16" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
}

# disk NAME MEGABYTES: gives a folder of $work a disk of its own.
disk() {
    mkdir -p "$work/$1"
    mount -t tmpfs -o "size=$2m" tmpfs "$work/$1"
    mounted+=("$1")
}

declare -A ailing=() # what each daemon or disk suffers from, "FAULT SECOND" when that is to end
declare -A faults=() # how many there were

# strike FAULT NAME SECONDS: does that to a daemon, or to its link or disk, until heal is called.
strike() {
    ailing[$2]="$1 $((EPOCHSECONDS + $3))"
    faults[$1]=$((${faults[$1]:-0} + 1))
    printf '%(%H:%M:%S)T  %s %s, %s s\n' -1 "$1" "$2" "$3"
    "begin_$1" "$2"
}

# heal NAME: ends what it suffers from.
heal() {
    local fault=${ailing[$1]% *}
    unset "ailing[$1]"
    "end_$fault" "$1"
}

# heal_due SECOND: ends all that is to end by then.
heal_due() {
    local name
    for name in "${!ailing[@]}"; do
        ((${ailing[$name]#* } > $1)) || heal "$name"
    done
}

begin_kill() {
    touch "$work/$1.down"
    kill -KILL "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null || true
}
end_kill() { revive "$1"; }

begin_stop() {
    touch "$work/$1.down"
    kill -TERM "${pid[$1]}"
}
end_stop() {
    local code=0 tries
    for ((tries = 0; tries < patience * 2; tries++)); do
        kill -0 "${pid[$1]}" 2>/dev/null || break
        sleep 0.5
    done
    kill -KILL "${pid[$1]}" 2>/dev/null || true
    wait "${pid[$1]}" || code=$?
    ((code == 0)) || blame "$1 ended with $code when it was asked to end"
    revive "$1"
}

# A daemon is killed, and again while it starts.
begin_kill-twice() { begin_kill "$1"; }
end_kill-twice() {
    launch "$1"
    sleep "0.0$((RANDOM % 90 + 10))"
    begin_kill "$1"
    revive "$1"
}

begin_hang() { kill -STOP "${pid[$1]}"; }
end_hang() { kill -CONT "${pid[$1]}"; }

# Frames are lost both ways, and nobody is told.
begin_cut() { ip link set "to-${host[$1]}" nomaster; }
end_cut() { ip link set "to-${host[$1]}" master lan; }

begin_slow() {
    local shaper='tbf rate 4mbit burst 16kb latency 50ms'
    # shellcheck disable=SC2086 # they are words
    tc qdisc add dev "to-${host[$1]}" root $shaper
    # shellcheck disable=SC2086
    tc -n "${host[$1]}" qdisc add dev eth0 root $shaper
}
end_slow() {
    tc qdisc del dev "to-${host[$1]}" root
    tc -n "${host[$1]}" qdisc del dev eth0 root
}

# A disk has next to nothing left; as that of a server it has less than the server insists on, but something.
begin_fill() {
    local free leave=0
    free=$(df --output=avail -B1 "$work/$1" | tail -n 1)
    [[ $1 != server ]] || leave=$((100 << 20))
    ((free <= leave)) || fallocate -l $((free - leave)) "$(mktemp "$work/$1/filler.XXXXXX")" 2>/dev/null || true # others take it, too
}
end_fill() { rm -f "$work/$1/filler".*; }

# fill_up: fills again what has become free of disks that are to be full.
fill_up() {
    local name
    for name in "${!ailing[@]}"; do
        [[ ${ailing[$name]} != fill* ]] || begin_fill "$name"
    done
}

# revive NAME: starts a daemon again where it was. A command that took its place for the moment (shoal publish serves by
# itself where there is no peer) ends by itself.
revive() {
    local tries
    for ((tries = 0; tries < patience; tries++)); do
        launch "$1"
        if awaken "$1"; then
            rm -f "$work/$1.down"
            return
        fi
        sleep 1
    done
    tail -n 20 "$work/$1.err" >&2
    fail "$1 did not start again (above: what it said)"
}

# awaken NAME: waits until a daemon that was started says that it is ready, or ends.
awaken() {
    local tries
    for ((tries = 0; tries < patience * 20; tries++)); do
        [[ ! -s $work/$1.out ]] || return 0
        kill -0 "${pid[$1]}" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

# blame TEXT: what Shoal did wrong.
blame() {
    echo "$*"
    echo "$*" >>"$work/blamed"
}

# look_after NAME...: starts daemons again that have ended by themselves, which is wrong.
look_after() {
    local name code
    for name in "$@"; do
        if [[ -e $work/$name.down ]] || kill -0 "${pid[$name]}" 2>/dev/null; then continue; fi
        code=0
        wait "${pid[$name]}" || code=$?
        blame "$name ended by itself with $code: $(tail -n 2 "$work/$name.err" | cut -c -400)"
        revive "$name"
    done
}
