// Package shoal is the vocabulary of Shoal: the identifiers, names, sizes, hashes and errors that every other package
// speaks in. It is a leaf: it imports nothing of the project but native, which computes the hashes.
//
// Shoal moves big files among the machines of a group. How the data flows:
//
//	publish   file ──hash──► Manifest, FileID ──► peer (serves in place) ──PUBLISH──► server (knows who has what)
//	get       name ──LOOKUP──► server ──sources──► engine ──REQUEST──► many peers at once
//	          ──PIECE──► verified against the Manifest ──► store (pwrite, fsync, rename) ──► the peer serves it on
//
// The server never carries pieces. A piece is verified before it is written, announced or served.
//
// The words, each a type here: a FileID names content and is what b3sum prints; an Object is a FileID with its size;
// a piece is the unit of verification and a block the unit of request; a Manifest proves the piece hashes and the size
// of an Object; a DeviceID is one installation's public key; a RealmKey is the root key clients pin; a Name is only a
// label, and means something in one Group alone.
package shoal
