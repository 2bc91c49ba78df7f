"""A BitTorrent peer made of libtorrent's own parts, to compare with. Usage:

    torrent.py torrent FILE TORRENT               writes a torrent of 256 KiB pieces
    torrent.py seed TORRENT FOLDER ADDRESS        serves FOLDER's file until it is terminated
    torrent.py get TORRENT FOLDER ADDRESS PEER...             fetches the file into FOLDER
    torrent.py join TORRENT FOLDER ADDRESS FIFO PEER...       the same once somebody writes to FIFO, and then serves it

ADDRESS and PEER are IP:PORT. seed and join say {"event": "ready"} when they listen, get and join {"event": "done"}.
"""

import json
import os
import sys

import libtorrent as lt


def say(event):
    print(json.dumps({"event": event}), flush=True)


def make_torrent(path, torrent):
    files = lt.file_storage()
    lt.add_files(files, path)
    made = lt.create_torrent(files, 256 << 10, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, os.path.dirname(path))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))


def listen(address):
    """TCP alone, in plaintext, and nobody but the peers that are named: what is not set is as libtorrent has it."""
    return lt.session({
        "listen_interfaces": address,
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False,
        "out_enc_policy": 2, "in_enc_policy": 2,
        "connection_speed": 500,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.storage_notification,
    })


def add(session, torrent, folder, flags):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = folder
    params.flags = (params.flags | flags) & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    return session.add_torrent(params)


def connect(handle, peers):
    for peer in peers:
        host, port = peer.rsplit(":", 1)
        handle.connect_peer((host, int(port)))


def events(session):
    session.wait_for_alert(20)
    for alert in session.pop_alerts():
        if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
            sys.exit(alert.message())
        yield alert


def finish(session, handle):
    """Waits until the file is whole, and as others see it."""
    while not handle.status().is_seeding:
        for _ in events(session):
            pass
    handle.flush_cache()
    while not any(isinstance(alert, lt.cache_flushed_alert) for alert in events(session)):
        pass
    say("done")


def serve(session):
    while True:
        session.wait_for_alert(1000)
        session.pop_alerts()


def main(role, *args):
    if role == "torrent":
        make_torrent(*args)
        return
    torrent, folder, address, *rest = args
    session = listen(address)
    if role == "seed":
        add(session, torrent, folder, lt.torrent_flags.seed_mode)
        say("ready")
        serve(session)
    handle = add(session, torrent, folder, 0)
    if role == "join":
        say("ready")
        with open(rest.pop(0), "rb"):
            pass
    connect(handle, rest)
    finish(session, handle)
    if role == "join":
        serve(session)
    os._exit(0)  # what is there is there: taking the session apart is not part of the download


main(*sys.argv[1:])
