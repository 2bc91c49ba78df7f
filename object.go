package shoal

import "fmt"

const (
	// BlockUnit is the granularity of block values, in bytes: HASHES gives one for every BlockUnit bytes of a piece.
	BlockUnit = 16 << 10
	// MaxBlock is the largest block a single REQUEST may ask for, in bytes.
	MaxBlock = 1 << 20
	// MaxPieces is the most pieces an object has.
	MaxPieces = 1 << 16
	// MaxSize is the size of the largest object, in bytes: 64 TiB, whose pieces have 1 GiB.
	MaxSize = 1 << 46

	minPieceLength = 256 << 10
)

// Object is a file's content: its FileID, and the size that must be given along with it, because hashes alone do not
// prove a size before the manifest has been seen.
type Object struct {
	ID   FileID
	Size int64 // bytes
}

// Check refuses sizes outside 0…MaxSize. The error has code BadRequest.
func (o Object) Check() error {
	if o.Size < 0 || o.Size > MaxSize {
		return Errorf(BadRequest, "a size of %d bytes is not possible; at most %d are", o.Size, int64(MaxSize))
	}
	return nil
}

// PieceLength is the length of every piece but the last, in bytes, fixed by the size alone: 256 KiB up to 1 GiB, 1 MiB
// up to 64 GiB, and then doubling so that there are at most MaxPieces. A power of two of at least one chunk, so
// every piece but the last is a complete BLAKE3 subtree.
func (o Object) PieceLength() int64 {
	if o.Size <= 1<<30 {
		return minPieceLength
	}
	length := int64(1 << 20)
	for o.Size > length*MaxPieces {
		length *= 2
	}
	return length
}

// Pieces is the number of pieces, at least 1: an empty file is one empty piece.
func (o Object) Pieces() int {
	length := o.PieceLength()
	return int(max(1, (o.Size+length-1)/length))
}

// PieceRange returns where piece i begins and how many bytes it has. i must be in 0…Pieces()-1.
func (o Object) PieceRange(i int) (offset, length int64) {
	if i < 0 || i >= o.Pieces() {
		panic(fmt.Sprintf("piece %d of an object of %d pieces", i, o.Pieces()))
	}
	full := o.PieceLength()
	offset = int64(i) * full
	return offset, min(full, o.Size-offset)
}

// CheckBlock refuses a block that is empty, longer than MaxBlock, or not inside piece i. The one block of an empty
// object is the exception: it is empty. The error has code BadRequest.
func (o Object) CheckBlock(i int, begin, length int64) error {
	if i < 0 || i >= o.Pieces() {
		return Errorf(BadRequest, "piece %d is asked for, of an object of %d", i, o.Pieces())
	}
	_, size := o.PieceRange(i)
	if begin < 0 || length < 0 || length > MaxBlock || begin > size || length > size-begin || (length == 0 && size > 0) {
		return Errorf(BadRequest, "block %d+%d does not lie in piece %d of %d bytes", begin, length, i, size)
	}
	return nil
}

// Swarm identifies the devices that have or fetch one object of one group. The group is part of it, so that knowing a
// hash opens nothing.
type Swarm struct {
	Group  Group
	Object Object
}
