package shoal

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"shoal/native"
	"shoal/tests/bounds"
	"shoal/wire/vectors"
)

// sequences calls use with every sequence of hashes of the pool.
func sequences(pool []Hash, length int, use func([]Hash)) {
	chosen := make([]Hash, length)
	var choose func(i int)
	choose = func(i int) {
		if i == length {
			use(chosen)
			return
		}
		for _, h := range pool {
			chosen[i] = h
			choose(i + 1)
		}
	}
	choose(0)
}

// nodes are the values of all nodes of the tree over units of data, with and without the root flag.
func nodes(data []byte, unit int) []Hash {
	var pool []Hash
	var walk func(from, to int)
	walk = func(from, to int) {
		part := data[from*unit : min(to*unit, len(data))]
		pool = append(pool, native.ChainingValue(part, uint64(from*unit/chunk)))
		if to-from > 1 {
			left := 1
			for 2*left < to-from {
				left *= 2
			}
			walk(from, from+left)
			walk(from+left, to)
		}
	}
	walk(0, (len(data)+unit-1)/unit)
	return append(pool, native.Sum(data))
}

// tails are the parts of data from the beginning of a chunk that have the given length, and some of two chunks.
func tails(data []byte, length int) (all [][]byte) {
	for begin := 0; begin+length <= len(data); begin += chunk {
		all = append(all, data[begin:begin+length])
		if begin+2*chunk <= len(data) {
			all = append(all, data[begin:begin+2*chunk])
		}
	}
	return all
}

// A forger who has the whole tree of a small file, and any size to claim, finds nothing but the truth.
func TestNoForgedEndOfOnePiece(t *testing.T) {
	for _, size := range []int{1024, 1025, 2048, 3072, 4*1024 + 1, 5000, 6 * 1024} {
		data := vectors.Content(int64(size))
		truth, m, err := HashFile(t.Context(), bytes.NewReader(data), int64(size), nil)
		if err != nil {
			t.Fatal(err)
		}
		pool := nodes(data, chunk)
		accepted := 0
		for claimed := int64(0); claimed <= 7*1024; claimed++ {
			if r := claimed % 1024; r > 1 && r < 1023 && r != int64(size%1024) {
				continue
			}
			o := Object{truth.ID, claimed}
			for _, tail := range tails(data, int(claimed-tailOffset(o))) {
				sequences(pool, tailDepth(o), func(siblings []Hash) {
					forged := &Manifest{Size: claimed, Tail: tail, Siblings: siblings}
					if forged.Verify(o) != nil {
						return
					}
					accepted++
					if o != truth || !sameManifest(forged, m) {
						t.Errorf("%d bytes: accepted for %d: %+v", size, claimed, forged)
					}
				})
			}
		}
		if accepted == 0 {
			t.Errorf("%d bytes: not even the truth is accepted", size)
		}
	}
}

// The same for a file of some pieces: all choices of inner nodes as pieces, with every end that has a proof.
func TestNoForgedEndOfPieces(t *testing.T) {
	const piece = minPieceLength
	for _, size := range []int64{2 * piece, 3*piece + 2*1024 + 1} {
		data := vectors.Content(size)
		truth, m, err := HashFile(t.Context(), bytes.NewReader(data), size, nil)
		if err != nil {
			t.Fatal(err)
		}
		pool := nodes(data, piece)
		type end struct {
			tail     []byte
			siblings []Hash
		}
		var ends []end
		for last := int64(1); last <= (size+piece-1)/piece; last++ { // the end of each piece
			o := Object{Size: min(last*piece, size)}
			tail, siblings, err := proveTail(bytes.NewReader(data), o)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end{tail, siblings})
			for _, more := range pool {
				ends = append(ends, end{tail, append(slices.Clone(siblings), more)}, end{tail, append([]Hash{more}, siblings...)})
			}
			if len(siblings) > 0 {
				ends = append(ends, end{tail, siblings[1:]}, end{tail, siblings[:len(siblings)-1]})
			}
		}
		accepted := 0
		for _, claimed := range []int64{
			0, 1, piece - 1, piece, piece + 1, 2*piece - 1, 2 * piece, 2*piece + 1, 3*piece - 1, 3 * piece, 3*piece + 1,
			3*piece + 1024 + 1, 3*piece + 2*1024 + 1, 4*piece - 1, 4 * piece,
		} {
			o := Object{truth.ID, claimed}
			pieces := o.Pieces()
			if pieces == 1 {
				pieces = 0
			}
			for _, e := range ends {
				if len(e.siblings) != tailDepth(o) {
					continue // refused by the number, as TestForgedVectors shows
				}
				e.tail = e.tail[:min(len(e.tail), int(claimed-tailOffset(o)))]
				sequences(pool, pieces, func(hashes []Hash) {
					forged := &Manifest{Size: claimed, Pieces: hashes, Tail: e.tail, Siblings: e.siblings}
					if forged.Verify(o) != nil {
						return
					}
					accepted++
					if o != truth || !sameManifest(forged, m) {
						t.Errorf("%d bytes: accepted for %d: %+v", size, claimed, forged)
					}
				})
			}
		}
		if accepted == 0 {
			t.Errorf("%d bytes: not even the truth is accepted", size)
		}
	}
}

// Nothing but the one true manifest is accepted for an object, whatever a stranger sends.
func FuzzManifest(f *testing.F) {
	type known struct {
		Object
		truth *Manifest
	}
	var objects []known
	all := loadObjects(f)
	add := func(id vectors.Hex, size int64, v vectors.Manifest) {
		i := slices.IndexFunc(objects, func(k known) bool { return k.ID == FileID(id) })
		if i >= 0 {
			f.Add(uint8(i), size, v.Size, bytes.Join(asBytes(v.Pieces), nil), []byte(v.Tail), bytes.Join(asBytes(v.Siblings), nil))
		}
	}
	for _, v := range all.Objects {
		objects = append(objects, known{Object{FileID(v.FileID), v.Size}, manifestOf(v.Manifest)})
		add(v.FileID, v.Size, v.Manifest)
	}
	for _, v := range all.Forged {
		add(v.FileID, v.Size, v.Manifest)
	}
	f.Fuzz(func(t *testing.T, which uint8, claimed, size int64, pieces, tail, siblings []byte) {
		bounds.Hold(t, len(pieces)+len(tail)+len(siblings), func() {
			k := objects[int(which)%len(objects)]
			m := &Manifest{Size: size, Pieces: cut(pieces), Tail: tail, Siblings: cut(siblings)}
			err := m.Verify(Object{k.ID, claimed})
			if truth := claimed == k.Size && sameManifest(m, k.truth); (err == nil) != truth {
				t.Errorf("for %d bytes of %v: %+v: %v", claimed, k, m, err)
			}
			if err != nil && !errors.Is(err, Corrupt) && !errors.Is(err, BadRequest) {
				t.Error(err)
			}
		})
	})
}

func asBytes(hs []vectors.Hex) (all [][]byte) {
	for _, h := range hs {
		all = append(all, h)
	}
	return all
}

func cut(b []byte) []Hash {
	hs := []Hash{}
	for ; len(b) >= len(Hash{}); b = b[len(Hash{}):] {
		hs = append(hs, Hash(b))
	}
	return hs
}
