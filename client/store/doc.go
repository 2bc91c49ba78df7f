// Package store is the disk side of a client: published files served in place, downloads in progress that survive any
// crash, the memory that pieces are assembled in, and the catalog of what this device serves.
//
// A download is written to a Part: a hidden file of its final size in the destination folder, with a sidecar beside it
// that lists the pieces known to be on disk. A piece is verified before it is written. When all are there, the part is
// synced, renamed to its final name, never over something else, and served on as a File.
//
//	Buffers ──Get──► piece in assembly ──WritePiece──► Part ──Finish──► File
//	                                                    │ checkpoints      ▲
//	                                                    ▼                  │ Hash, OpenFile
//	                                                  sidecar       Catalog, published files
//
// A Part of a range (ResumeRange) has the pieces that the range lies in, and its Extract copies the bytes out. A stream's
// pieces go to a Spool, which has no name and survives nothing.
//
// What survives: after the process is killed, every piece that WritePiece returned for, because OpenPart hashes again
// whatever the part has beyond the sidecar; after the machine lost power, at least what the sidecar lists.
//
// The package is for Linux.
package store
