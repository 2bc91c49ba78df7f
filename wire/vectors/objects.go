package vectors

import (
	"encoding/binary"
	"fmt"
	"slices"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// Objects are files and what proves them.
type Objects struct {
	Rule    string   `json:"bytes"`
	Objects []Object `json:"objects"`
	Forged  []Forged `json:"forged"`
	Lengths []Length `json:"lengths"`
}

// Object is a file by the rule of Content, with its manifest and the values of the blocks of some pieces.
type Object struct {
	Size     int64         `json:"size"`
	FileID   Hex           `json:"file"`
	Manifest Manifest      `json:"manifest"`
	Blocks   []BlockValues `json:"blocks"`
}

// Manifest is a manifest_reply.
type Manifest struct {
	Size     int64 `json:"size"`
	Pieces   []Hex `json:"pieces"`
	Tail     Hex   `json:"tail"`
	Siblings []Hex `json:"siblings"`
}

// BlockValues is a hashes_reply.
type BlockValues struct {
	Piece  int   `json:"piece"`
	Values []Hex `json:"values"`
}

// Forged is a manifest that must be refused by M1 for the object claimed.
type Forged struct {
	Name     string   `json:"name"`
	FileID   Hex      `json:"file"`
	Size     int64    `json:"size"`
	Manifest Manifest `json:"manifest"`
}

// Length says how a size is cut into pieces.
type Length struct {
	Size        int64 `json:"size"`
	PieceLength int64 `json:"piece_length"`
	Pieces      int64 `json:"pieces"`
	LastPiece   int64 `json:"last_piece"`
}

const contentRule = "byte i of every file is (7*i + i/251) mod 256, the division without remainder"

// Content is the file of size bytes of the vectors.
func Content(size int64) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(7*i + i/251)
	}
	return b
}

const (
	chunkLength = 1024
	blockLength = 16 << 10
	pieceLength = 256 << 10 // of the small files here
)

var sizes = []int64{
	0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 5000, blockLength - 1, blockLength, blockLength + 1, 3 * blockLength,
	100_000, pieceLength - 1, pieceLength, pieceLength + 1, pieceLength + chunkLength + 1, 2*pieceLength - 1, 2 * pieceLength,
	2*pieceLength + 1, 3*pieceLength + 5*blockLength + 7, 5*pieceLength + 70_001,
}

// value is the chaining value of the subtree that b forms at a chunk, or with root the hash of a file, in the words of
// the BLAKE3 paper, section 2.1.
func value(b []byte, chunk uint64, root bool) Hex {
	var flags uint32
	if root {
		flags = guts.FlagRoot
	}
	if len(b) <= chunkLength {
		n := guts.CompressChunk(b, &guts.IV, chunk, 0)
		n.Flags |= flags
		return words(guts.ChainingValue(n))
	}
	left := chunkLength
	for 2*left < len(b) {
		left *= 2
	}
	return parent(value(b[:left], chunk, false), value(b[left:], chunk+uint64(left/chunkLength), false), root)
}

func parent(left, right Hex, root bool) Hex {
	var l, r [8]uint32
	for i := range l {
		l[i] = binary.LittleEndian.Uint32(left[4*i:])
		r[i] = binary.LittleEndian.Uint32(right[4*i:])
	}
	var flags uint32
	if root {
		flags = guts.FlagRoot
	}
	return words(guts.ChainingValue(guts.ParentNode(l, r, &guts.IV, flags)))
}

func words(cv [8]uint32) Hex {
	var b Hex
	for _, w := range cv {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// parts are the values of b's parts of the given length, b beginning at a chunk.
func parts(b []byte, chunk uint64, length int) []Hex {
	values := []Hex{}
	for part := range slices.Chunk(b, length) {
		values = append(values, value(part, chunk, false))
		chunk += uint64(length / chunkLength)
	}
	return values
}

// siblings are the left siblings on the path to the last chunk of b, which begins at a chunk; lowest first.
func siblings(b []byte, chunk uint64) []Hex {
	all := []Hex{}
	for len(b) > chunkLength {
		left := chunkLength
		for 2*left < len(b) {
			left *= 2
		}
		all = append(all, value(b[:left], chunk, false))
		b, chunk = b[left:], chunk+uint64(left/chunkLength)
	}
	slices.Reverse(all)
	return all
}

func makeObject(size int64) Object {
	b := Content(size)
	id := blake3.Sum256(b)
	o := Object{Size: size, FileID: id[:], Blocks: []BlockValues{}}
	o.Manifest = Manifest{Size: size, Pieces: []Hex{}, Tail: Hex{}}
	pieces := max(1, int((size+pieceLength-1)/pieceLength))
	lastBegin := (pieces - 1) * pieceLength
	if pieces > 1 {
		o.Manifest.Pieces = parts(b, 0, pieceLength)
	}
	if size > 0 {
		o.Manifest.Tail = b[(size-1)/chunkLength*chunkLength:]
	}
	o.Manifest.Siblings = siblings(b[lastBegin:], uint64(lastBegin/chunkLength))
	if size > blockLength {
		for _, piece := range slices.Compact([]int{0, pieces - 1}) {
			begin := piece * pieceLength
			end := min(begin+pieceLength, int(size))
			o.Blocks = append(o.Blocks, BlockValues{piece, parts(b[begin:end], uint64(begin/chunkLength), blockLength)})
		}
	}
	return o
}

func makeObjects() *Objects {
	all := &Objects{Rule: contentRule, Lengths: lengths()}
	for _, size := range sizes {
		all.Objects = append(all.Objects, makeObject(size))
	}
	for _, size := range []int64{0, 1, 1025, 100_000, 2*pieceLength + 1, 3*pieceLength + 5*blockLength + 7} {
		all.Forged = append(all.Forged, forgeries(makeObject(size))...)
	}
	all.Forged = append(all.Forged, shorter()...)
	return all
}

// lengths are the cuts around every threshold, by section 8's words.
func lengths() []Length {
	var all []Length
	add := func(size, length int64) {
		pieces := max(1, (size+length-1)/length)
		all = append(all, Length{size, length, pieces, size - (pieces-1)*length})
	}
	add(0, 256<<10)
	add(1, 256<<10)
	add(256<<10, 256<<10)
	add(256<<10+1, 256<<10)
	add(1<<30, 256<<10)
	add(1<<30+1, 1<<20)
	for length := int64(1 << 20); length < 1<<30; length *= 2 {
		add(length*65536-1, length)
		add(length*65536, length)
		add(length*65536+1, 2*length)
	}
	add(1<<46-1, 1<<30)
	add(1<<46, 1<<30)
	return all
}

// forgeries are all kinds of small changes to o's manifest.
func forgeries(o Object) []Forged {
	var all []Forged
	add := func(name string, change func(*Manifest)) {
		m := o.Manifest
		m.Pieces, m.Siblings = slices.Clone(m.Pieces), slices.Clone(m.Siblings)
		m.Tail = slices.Clone(m.Tail)
		change(&m)
		all = append(all, Forged{fmt.Sprintf("%d bytes: %s", o.Size, name), o.FileID, o.Size, m})
	}
	zero := make(Hex, 32)
	flip := func(h Hex) Hex {
		h = slices.Clone(h)
		h[len(h)-1] ^= 1
		return h
	}
	add("the size is one more", func(m *Manifest) { m.Size++ })
	add("the size is one less", func(m *Manifest) { m.Size-- })
	add("the last chunk is a byte longer", func(m *Manifest) { m.Tail = append(m.Tail, 0) })
	add("a sibling too many", func(m *Manifest) { m.Siblings = append(m.Siblings, zero) })
	add("a piece hash too many", func(m *Manifest) { m.Pieces = append(m.Pieces, zero) })
	add("the FileID as the only piece hash", func(m *Manifest) { m.Pieces = []Hex{o.FileID} })
	if len(o.Manifest.Tail) > 0 {
		add("no last chunk", func(m *Manifest) { m.Tail = Hex{} })
		add("the last chunk is a byte shorter", func(m *Manifest) { m.Tail = m.Tail[:len(m.Tail)-1] })
		add("the last chunk is another", func(m *Manifest) { m.Tail = flip(m.Tail) })
	}
	if n := len(o.Manifest.Siblings); n > 0 {
		add("the last sibling is missing", func(m *Manifest) { m.Siblings = m.Siblings[:n-1] })
		add("the first sibling is missing", func(m *Manifest) { m.Siblings = m.Siblings[1:] })
		add("a sibling is another", func(m *Manifest) { m.Siblings[n-1] = flip(m.Siblings[n-1]) })
		if n > 1 {
			add("the siblings are upside down", func(m *Manifest) { slices.Reverse(m.Siblings) })
		}
	}
	if n := len(o.Manifest.Pieces); n > 0 {
		add("no piece hashes", func(m *Manifest) { m.Pieces = []Hex{} })
		add("the first piece hash is missing", func(m *Manifest) { m.Pieces = m.Pieces[1:] })
		add("the last piece hash is missing", func(m *Manifest) { m.Pieces = m.Pieces[:n-1] })
		add("a piece hash is another", func(m *Manifest) { m.Pieces[0] = flip(m.Pieces[0]) })
		add("the last piece hash is another", func(m *Manifest) { m.Pieces[n-1] = flip(m.Pieces[n-1]) })
		add("two piece hashes change places", func(m *Manifest) { m.Pieces[0], m.Pieces[1] = m.Pieces[1], m.Pieces[0] })
		add("the first two pieces' parent stands for both", func(m *Manifest) {
			m.Pieces = append([]Hex{parent(m.Pieces[0], m.Pieces[1], false)}, m.Pieces[2:]...)
		})
	}
	return all
}

// shorter are objects whose piece hashes are inner nodes of a longer file: they combine to its FileID, and only the
// last chunk shows that the size is not the one claimed.
func shorter() []Forged {
	o := makeObject(4 * pieceLength)
	h := o.Manifest.Pieces
	halves := []Hex{parent(h[0], h[1], false), parent(h[2], h[3], false)}
	claim := func(name string, size int64, m Manifest) Forged {
		m.Size = size
		return Forged{name, o.FileID, size, m}
	}
	half := makeObject(2 * pieceLength).Manifest
	chunks := makeObject(4 * chunkLength)
	end := Content(4 * chunkLength)[2*chunkLength:]
	return []Forged{
		claim("four pieces as two: the halves of the tree, the true end", 2*pieceLength,
			Manifest{Pieces: halves, Tail: o.Manifest.Tail, Siblings: o.Manifest.Siblings}),
		claim("four pieces as two: the halves of the tree, the end of the second piece", 2*pieceLength,
			Manifest{Pieces: halves, Tail: half.Tail, Siblings: half.Siblings}),
		claim("four pieces as two: the true end with the third piece as one more sibling", 2*pieceLength,
			Manifest{Pieces: halves, Tail: o.Manifest.Tail, Siblings: append(slices.Clone(o.Manifest.Siblings), h[2])}),
		claim("four pieces as one: the path from the end to the FileID", pieceLength,
			Manifest{Pieces: []Hex{}, Tail: o.Manifest.Tail, Siblings: append(slices.Clone(o.Manifest.Siblings), h[2], halves[0])}),
		claim("four pieces as three: the first half as a piece", 3*pieceLength,
			Manifest{Pieces: []Hex{halves[0], h[2], h[3]}, Tail: o.Manifest.Tail, Siblings: o.Manifest.Siblings}),
		claim("a byte less: the true hashes, the last chunk cut", 4*pieceLength-1,
			Manifest{Pieces: h, Tail: o.Manifest.Tail[:chunkLength-1], Siblings: o.Manifest.Siblings}),
		{
			"four chunks as three: the last two as the last", chunks.FileID, 3 * chunkLength,
			Manifest{Size: 3 * chunkLength, Pieces: []Hex{}, Tail: end, Siblings: chunks.Manifest.Siblings[1:]},
		},
	}
}
