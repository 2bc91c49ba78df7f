#!/usr/bin/env bash
# Makes the small captures in tests/pcap/testdata anew: real processes, in a network of their own that has nothing but
# loopback, captured by shoal-trace. Takes root, and what 'make build' builds.
# Usage: scripts/samples.sh [FOLDER]
set -euo pipefail

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/daemons.sh"

trace=$(dirname "$shoal")/shoal-trace

# within FOLDER: does all of this again in a network of its own.
within() {
    local folder
    folder=$(realpath -- "$1")
    SHOAL_SAMPLES=$folder exec unshare --net -- "$0"
}

# capture NAME: what happens from now on is a sample.
capture() {
    local tries
    sample=$1
    "$trace" -i lo --write "$work/$sample.pcapng" >"$work/$sample.txt" 2>"$work/$sample.err" &
    capture=$!
    for ((tries = 0; tries < 200; tries++)); do
        ! grep -qs capturing "$work/$sample.err" || return 0
        sleep 0.05
    done
    cat "$work/$sample.err" >&2
    fail "shoal-trace does not begin (above: what it said)"
}

# finish: all daemons end, the youngest first, and then the sample does.
finish() {
    local name
    for name in "$@"; do
        kill "${pid[$name]}"
        wait "${pid[$name]}" || fail "the $name did not end well"
        rm -rf "${work:?}/$name" "${work:?}/files"
    done
    kill -INT "$capture"
    wait "$capture" || {
        cat "$work/$sample.txt" >&2
        fail "a sample that breaks a rule (above: which)"
    }
    gzip -9nc "$work/$sample.pcapng" >"$folder/$sample.pcapng.gz"
    echo "$folder/$sample.pcapng.gz: $(stat -c %s "$folder/$sample.pcapng.gz") bytes"
}

# realm FLAG...: a server with the users alice and bob.
realm() {
    daemon server server "$@"
    SHOAL_SERVER=$(event server address)
    SHOAL_PIN=$(event server realm)
    export SHOAL_SERVER SHOAL_PIN
    local user
    for user in alice bob; do
        quietly "$shoal" server user --state "$work/server" "$user" <<<"a password of $user"
    done
}

# enrol NAME USER: makes the device with that state one of the user's.
enrol() {
    local device
    device=$("$shoal" device show --state "$work/$1")
    quietly "$shoal" server device --state "$work/server" --label "$1" "$2" "$device"
}

# peer NAME FILE: a peer of alice's that publishes a copy of the file.
peer() {
    mkdir -p "$work/files/$1"
    enrol "$1" alice
    cp "$2" "$work/files/$1"
    daemon "$1" peer --dir "$work/files/$1"
    event "$1" address >/dev/null
    as "$1" publish "$work/files/$1/$(basename "$2")"
}

# as NAME COMMAND...: a command by the device with that state.
as() {
    local name=$1
    shift
    quietly env SHOAL_STATE="$work/$name" "$shoal" "$@"
}

# numbers N: N kilobytes that gzip makes little of, and no two of which are alike.
numbers() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) { for (j = 0; j < 99; j++) printf "%010d", i; print "" } }'; }

# plaintext: names and groups, and a file of three pieces that is fetched from three peers at once.
plaintext() {
    export SHOAL_PLAINTEXT=loopback
    numbers 600 >"$work/numbers"
    capture plaintext
    realm
    enrol alice alice
    enrol bob bob
    local i
    for i in 1 2 3; do
        peer "peer$i" "$work/numbers"
    done
    as alice group create lab
    as bob group join lab
    as alice group accept lab bob
    as peer1 publish --group lab "$work/files/peer1/numbers"
    as bob ls
    as bob info numbers
    as bob get numbers -o "$work/fetched"
    cmp "$work/numbers" "$work/fetched"
    as bob get lab/numbers --range 1K-2K -o "$work/part"
    as bob cat numbers
    as alice group members lab
    as alice group remove lab bob
    as peer1 unpublish lab/numbers
    finish peer3 peer2 peer1 server
    unset SHOAL_PLAINTEXT
}

# tls: publish and get as they are by default, of which little can be seen.
tls() {
    numbers 20 >"$work/numbers"
    capture tls
    realm
    enrol carol alice
    peer peer4 "$work/numbers"
    as carol get numbers -o "$work/fetched again"
    finish peer4 server
}

# services: what a server says to the log and to the enrichment service.
services() {
    numbers 20 >"$work/numbers.txt"
    capture services
    daemon log rpclog
    daemon soap soap
    realm --rpclog "$(event log address)" --rpclog-key "$work/log/log.key" --soap "http://$(event soap address)"
    peer peer5 "$work/numbers.txt"
    finish peer5 server soap log
}

[[ -n ${SHOAL_SAMPLES:-} ]] || within "${1:-$(dirname "$0")/../tests/pcap/testdata}"
folder=$SHOAL_SAMPLES
begin
[[ -x $trace ]] || fail "no $trace; run 'make build' first"
trace=$(realpath "$trace")
PATH=$PATH:/usr/sbin:/sbin ip link set lo up
plaintext
tls
services
