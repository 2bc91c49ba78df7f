#!/usr/bin/env bash
# Shows the whole path on this machine: a server and four peers on loopback, one file fetched from all four at once.
# Nothing is left behind: the processes end and the copies are removed, also after Ctrl-C.
# Usage: scripts/demo.sh [FILE]    without FILE, the Go toolchain packed into an archive of over 200 MB
set -euo pipefail

# shellcheck source=scripts/lib/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/daemons.sh"

least=$((200 * 1000 * 1000)) # bytes of a file that is made here
peers=4
password=$(head -c 18 /dev/urandom | base64) # of a user who is gone when this ends

# log_in NAME: makes the device with that state one of the demo's user.
log_in() {
    quietly "$shoal" login --state "$work/$1" --label "$1" demo <<<"$password"
}

# require_space BYTES: refuses to fill the disk.
require_space() {
    local free
    free=$(df --output=avail -B1 "$work" | tail -n 1)
    ((free > $1 + 100000000)) ||
        fail "$work has $((free / 1000000)) MB free, $((($1 + 100000000) / 1000000)) are needed: set TMPDIR to a larger folder"
}

# make_file PATH: packs the Go toolchain, and while that is too small, more that every Linux machine has.
make_file() {
    local folder members=()
    for folder in "$(go env GOROOT)" /usr/lib /usr/share; do
        members+=("${folder#/}")
        quietly tar -C / --sort=name --mtime=@0 --owner=0 --group=0 --ignore-failed-read -cf "$1" "${members[@]}"
        (($(stat -c %s "$1") < least)) || return 0
    done
    fail "$1 has less than 200 MB; give a file: make run FILE=…"
}

begin

if (($# > 0)) && [[ -n $1 ]]; then
    file=$1
    [[ -f $file && -r $file ]] || fail "$file is not a file that can be read"
else
    say "Packing the Go toolchain into one large file"
    file=$work/go-toolchain.tar
    require_space $((2 * least))
    make_file "$file"
fi
file=$(realpath -- "$file")
name=$(basename -- "$file")
size=$(stat -c %s -- "$file")
require_space $((peers * size))

say "Starting a server and $peers peers on loopback"
daemon server server
address=$(event server address)
pin=$(event server realm)
echo "server  $address  realm $pin"
export SHOAL_SERVER=$address SHOAL_PIN=$pin
quietly "$shoal" server user --state "$work/server" demo <<<"$password"
log_in fetcher
for ((i = 1; i <= peers; i++)); do
    mkdir "$work/files$i"
    log_in "peer$i"
    daemon "peer$i" peer --dir "$work/files$i"
    peer=$(event "peer$i" address)
    echo "peer $i  $peer"
done

say "Peer 1 publishes $name ($((size / 1000000)) MB); the others fetch it, and serve it from then on"
quietly "$shoal" publish --state "$work/peer1" -- "$file"
for ((i = 2; i <= peers; i++)); do
    quietly "$shoal" get --state "$work/peer$i" -o "$work/files$i/$name" -- "$name"
    echo "peer $i has it"
done
"$shoal" ls --state "$work/fetcher"

say "Fetching it from all $peers at once, encrypted, each piece verified"
begin=$(date +%s%N)
"$shoal" get --state "$work/fetcher" -o "$work/fetched" -- "$name"
millis=$((($(date +%s%N) - begin) / 1000000 + 1))

cmp -- "$file" "$work/fetched" || fail "what was fetched differs from $file"
want=$(file_id "$file")
got=$(file_id "$work/fetched")
[[ $want == "$got" ]] || fail "the FileIDs differ: $want published, $got fetched"
say "Equal, byte for byte: FileID $got"
echo "$((size / 1000000)) MB in $((millis / 1000)).$(printf %03d $((millis % 1000))) s, from the command to its exit: $((size / 1000 / millis)) MB/s"

cat <<END

Everything started here ends now. To share files among machines, in terminals of their own:

    bin/shoal server                  # prints its address, its realm fingerprint, and a code for the first user
    export SHOAL_SERVER=HOST:7400 SHOAL_PIN=FINGERPRINT     # on each machine, and then
    bin/shoal user create NAME        # once, with that code; on other machines: bin/shoal login NAME
    bin/shoal peer --dir DIR
    bin/shoal publish FILE...                               # where a file is
    bin/shoal ls                                            # anywhere: what there is
    bin/shoal get NAME                                      # and have it

Or see this with a file of yours: make run FILE=/path/to/one
END
