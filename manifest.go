package shoal

import "shoal/native"

const chunk = 1024 // bytes in a BLAKE3 chunk, the leaf of the tree (BLAKE3 paper, section 2.1)

// Manifest is what proves an object's pieces and size. It is data until Verify has accepted it for an Object.
//
// The piece hashes combine to the FileID, but hashes alone do not prove the size: a sender could present an inner node
// as a piece. So the manifest carries the last chunk with the nodes beside its path up to the last piece's hash (up to
// the FileID when there is one piece). A chunk's hash is bound to its position and length, so this proves the end.
type Manifest struct {
	Size     int64  // bytes
	Pieces   []Hash // the chaining value of each piece; none when there is only one piece
	Tail     []byte // the last chunk: 1 to 1024 bytes, none for an empty object
	Siblings []Hash // the left siblings on the path from the last chunk upwards, lowest first
}

// Verify accepts m only if it proves that o has these pieces and this size. The error has code Corrupt and is the
// fault of who sent the manifest, never of those who serve pieces.
func (m *Manifest) Verify(o Object) error {
	if err := o.Check(); err != nil {
		return err
	}
	pieces := o.Pieces()
	switch {
	case m.Size != o.Size:
		return Errorf(Corrupt, "the manifest is for %d bytes, the object has %d", m.Size, o.Size)
	case pieces == 1 && len(m.Pieces) != 0, pieces > 1 && len(m.Pieces) != pieces:
		return Errorf(Corrupt, "the manifest has %d piece hashes for %d pieces", len(m.Pieces), pieces)
	case int64(len(m.Tail)) != o.Size-tailOffset(o):
		return Errorf(Corrupt, "the manifest's last chunk has %d bytes instead of %d", len(m.Tail), o.Size-tailOffset(o))
	case len(m.Siblings) != tailDepth(o):
		return Errorf(Corrupt, "the manifest proves its end with %d hashes instead of %d", len(m.Siblings), tailDepth(o))
	}
	end := m.foldTail(o)
	if pieces == 1 {
		if FileID(end) != o.ID {
			return Errorf(Corrupt, "the manifest does not prove the end of %v", o.ID)
		}
		return nil
	}
	if end != m.Pieces[pieces-1] {
		return Errorf(Corrupt, "the manifest does not prove the end of %v", o.ID)
	}
	if FileID(native.Root(m.Pieces)) != o.ID {
		return Errorf(Corrupt, "the manifest's piece hashes do not combine to %v", o.ID)
	}
	return nil
}

// foldTail combines the last chunk with its siblings: to the last piece's hash, or to the root of a one-piece object.
func (m *Manifest) foldTail(o Object) Hash {
	onePiece := o.Pieces() == 1
	if onePiece && len(m.Siblings) == 0 {
		return native.Sum(m.Tail)
	}
	value := native.ChainingValue(m.Tail, uint64(tailOffset(o)/chunk))
	for i, sibling := range m.Siblings {
		if onePiece && i == len(m.Siblings)-1 {
			value = native.RootParent(sibling, value)
		} else {
			value = native.Parent(sibling, value)
		}
	}
	return value
}

// VerifyPiece reports whether data is piece i of o. m must have been accepted by Verify for o.
func (m *Manifest) VerifyPiece(o Object, i int, data []byte) bool {
	offset, length := o.PieceRange(i)
	if int64(len(data)) != length {
		return false
	}
	if len(m.Pieces) == 0 {
		return FileID(native.Sum(data)) == o.ID
	}
	return Hash(native.ChainingValue(data, uint64(offset/chunk))) == m.Pieces[i]
}

// VerifyBlockValues reports whether values are the chaining values of the BlockUnit-long blocks of piece i of o: they
// must be of the right number and combine to the piece's hash. m must have been accepted by Verify for o. A
// one-block object has none that could be checked, and the answer is false.
func (m *Manifest) VerifyBlockValues(o Object, i int, values []Hash) bool {
	if len(values) != BlockValueCount(o, i) {
		return false
	}
	if len(m.Pieces) == 0 {
		return len(values) > 1 && FileID(native.Root(values)) == o.ID
	}
	return Hash(native.Combine(values)) == m.Pieces[i]
}

// BlockValueCount is the number of block values that HASHES gives for piece i: one for each begun BlockUnit bytes.
func BlockValueCount(o Object, i int) int {
	_, length := o.PieceRange(i)
	return int(max(1, (length+BlockUnit-1)/BlockUnit))
}

// BlockValues computes the chaining value of each BlockUnit of data, which is piece i of o.
func BlockValues(o Object, i int, data []byte) []Hash {
	offset, _ := o.PieceRange(i)
	return native.BlockValues(nil, data, uint64(offset/chunk), BlockUnit)
}

// tailOffset is where the last chunk begins, in bytes.
func tailOffset(o Object) int64 {
	if o.Size == 0 {
		return 0
	}
	return (o.Size - 1) / chunk * chunk
}

// tailDepth is how many parents stand between the last chunk and its piece's hash. In BLAKE3's tree the left side
// holds the largest power of two of chunks that leaves the right side at least one (paper, section 2.1).
func tailDepth(o Object) int {
	depth := 0
	for range tailLefts(o) {
		depth++
	}
	return depth
}
