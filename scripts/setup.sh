#!/usr/bin/env bash
# Installs from Debian what the given groups need and the machine lacks. Quick when nothing is missing.
# Usage: scripts/setup.sh build|test|bench...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# nginx for the benchmark is unpacked here, not installed: its Debian package would start a web server on port 80.
rivals=build/rivals

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
    need rpcgen rpcsvc-proto
    [[ -d /usr/include/tirpc ]] || missing+=(libtirpc-dev)
}

has_nginx() {
    [[ -x $rivals/usr/sbin/nginx ]] || PATH=$PATH:/usr/sbin command -v nginx >/dev/null
}

need_bench() {
    need_build
    need aria2c aria2
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

unpack_nginx() {
    echo "setup: unpacking nginx into $rivals" >&2
    local dir
    dir=$(mktemp -d)
    (cd "$dir" && apt-get -qq download nginx 2>/dev/null) || {
        rm -rf "$dir"
        fail "apt-get could not download nginx; run 'apt-get update', or install nginx by hand"
    }
    mkdir -p "$rivals"
    dpkg-deb -x "$dir"/nginx_*.deb "$rivals"
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
    [[ $group != bench ]] || has_nginx || unpack_nginx
done
