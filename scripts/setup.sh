#!/usr/bin/env bash
# Installs from Debian what the given groups need and the machine lacks. Quick when nothing is missing.
# Usage: scripts/setup.sh build|test|bench...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Unpacked here, not installed: nginx for benchmarks and tests, rpcbind and etcd for the tests, whose Debian packages would start a
# web server on port 80, a portmapper on port 111 and a database on port 2379.
rivals=build/rivals
tools=build/tools

# The etcd of Debian 12: an older line than the one that shoal embeds, and the oldest that it is tested with.
etcd_version=3.4.23

# The libtorrent that is measured against.
libtorrent_version=2.0.8

missing=()

fail() {
    echo "setup: $*" >&2
    exit 1
}

# need COMMAND [PACKAGE]: notes the package when the command is not there.
need() {
    command -v "$1" >/dev/null || missing+=("${2:-$1}")
}

need_build() {
    command -v go >/dev/null || fail "there is no go command; install Go 1.26 or newer from https://go.dev/dl"
    need make
    need cmake
    need gcc
    [[ -e /usr/include/stdlib.h ]] || missing+=(libc6-dev)
    # Without these Go cannot download modules.
    [[ -e /etc/ssl/certs/ca-certificates.crt || -d /etc/pki ]] || missing+=(ca-certificates)
}

need_test() {
    need_build
    need shellcheck
    need b3sum
    need curl
    need rpcgen rpcsvc-proto
    [[ -d /usr/include/tirpc ]] || missing+=(libtirpc-dev)
    need tshark
    has_iproute || missing+=(iproute2)
    has_zeep || missing+=(python3-zeep)
    # What the unpacked one links with.
    has_rpcbind || missing+=(libtirpc3 libwrap0 libsystemd0)
    has_nginx || missing+=(libpcre2-8-0 libssl3 zlib1g)
}

# Debian's zeep is found by Debian's Python, which need not be the first one in PATH.
has_zeep() {
    local python
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("zeep"))' 2>/dev/null && return
    done
    return 1
}

has_rpcbind() {
    [[ -x $tools/sbin/rpcbind ]] || PATH=$PATH:/usr/sbin:/sbin command -v rpcbind >/dev/null
}

# Only this version will do, wherever it is.
has_etcd() {
    local etcd
    for etcd in "$tools/usr/bin/etcd" etcd; do
        [[ $("$etcd" --version 2>/dev/null) == *"etcd Version: $etcd_version"* ]] && return
    done
    return 1
}

has_nginx() {
    [[ -x $rivals/usr/sbin/nginx ]] || PATH=$PATH:/usr/sbin command -v nginx >/dev/null
}

has_iproute() {
    PATH=$PATH:/usr/sbin:/sbin command -v ip tc >/dev/null
}

# Debian's libtorrent is found by Debian's Python.
has_libtorrent() {
    [[ $(/usr/bin/python3 -c 'import libtorrent; print(libtorrent.__version__)' 2>/dev/null) == "$libtorrent_version".* ]]
}

need_bench() {
    need_build
    need aria2c aria2
    has_iproute || missing+=(iproute2)
    has_libtorrent || missing+=("python3-libtorrent=$libtorrent_version-*")
    # What the unpacked one links with.
    has_nginx || missing+=(libpcre2-8-0 libssl3 zlib1g)
}

# as_root runs a command as root, by sudo if need be.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "$* needs root, and there is no sudo: run it as root first"
    fi
}

install_missing() {
    command -v apt-get >/dev/null ||
        fail "missing: ${missing[*]}; there is no apt-get here, so install them (Debian's names) by hand"
    echo "setup: installing ${missing[*]}" >&2
    local log
    log=$(mktemp)
    if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install \
        -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install ${missing[*]} (above: why); repair that, or install them by hand"
    fi
    rm -f "$log"
}

# unpack PACKAGE FOLDER [VERSION]
unpack() {
    local dir wanted=$1${3:+=$3*}
    echo "setup: unpacking $wanted into $2" >&2
    dir=$(mktemp -d)
    (cd "$dir" && apt-get -qq download "$wanted" 2>/dev/null) || {
        rm -rf "$dir"
        fail "apt-get could not download $wanted; run 'apt-get update', or install it by hand"
    }
    mkdir -p "$2"
    dpkg-deb -x "$dir/$1"_*.deb "$2"
    rm -rf "$dir"
}

(($# > 0)) || fail "which group? one or more of: build test bench"
for group in "$@"; do
    case $group in
    build | test | bench) "need_$group" ;;
    *) fail "no group '$group'; there are: build test bench" ;;
    esac
done
((${#missing[@]} == 0)) || install_missing
for group in "$@"; do
    [[ $group == build ]] || has_nginx || unpack nginx "$rivals"
    [[ $group != test ]] || has_rpcbind || unpack rpcbind "$tools"
    [[ $group != test ]] || has_etcd || unpack etcd-server "$tools" "$etcd_version"
done
