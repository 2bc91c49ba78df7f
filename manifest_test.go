package shoal

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"shoal/native"
	"shoal/wire/vectors"
)

func loadObjects(t testing.TB) *vectors.Objects {
	var all vectors.Objects
	if err := vectors.Load(os.DirFS("wire/testdata/vectors"), vectors.ObjectsFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Objects) < 20 || len(all.Forged) < 50 || len(all.Lengths) < 30 {
		t.Fatalf("%d, %d and %d vectors; there were more", len(all.Objects), len(all.Forged), len(all.Lengths))
	}
	return &all
}

func hashesOf(hs []vectors.Hex) []Hash {
	all := []Hash{}
	for _, h := range hs {
		all = append(all, Hash(h))
	}
	return all
}

func manifestOf(v vectors.Manifest) *Manifest {
	return &Manifest{Size: v.Size, Pieces: hashesOf(v.Pieces), Tail: v.Tail, Siblings: hashesOf(v.Siblings)}
}

func sameManifest(a, b *Manifest) bool {
	return a.Size == b.Size && slices.Equal(a.Pieces, b.Pieces) && bytes.Equal(a.Tail, b.Tail) && slices.Equal(a.Siblings, b.Siblings)
}

func TestObjectVectors(t *testing.T) {
	for _, v := range loadObjects(t).Objects {
		data := vectors.Content(v.Size)
		o, m, err := HashFile(t.Context(), bytes.NewReader(data), v.Size, nil)
		if err != nil || o.ID != FileID(v.FileID) || o.Size != v.Size {
			t.Fatalf("%d bytes: %v, %v", v.Size, o, err)
		}
		if want := manifestOf(v.Manifest); !sameManifest(m, want) {
			t.Errorf("%d bytes: the manifest is\n%+v, not\n%+v", v.Size, m, want)
		}
		if err := manifestOf(v.Manifest).Verify(o); err != nil {
			t.Error(err)
		}
		for _, blocks := range v.Blocks {
			offset, length := o.PieceRange(blocks.Piece)
			want := hashesOf(blocks.Values)
			if got := BlockValues(o, blocks.Piece, data[offset:offset+length]); !slices.Equal(got, want) {
				t.Errorf("%d bytes: other block values of piece %d", v.Size, blocks.Piece)
			}
			if !m.VerifyBlockValues(o, blocks.Piece, want) {
				t.Errorf("%d bytes: the block values of piece %d are refused", v.Size, blocks.Piece)
			}
		}
	}
}

func TestForgedVectors(t *testing.T) {
	for _, v := range loadObjects(t).Forged {
		if err := manifestOf(v.Manifest).Verify(Object{FileID(v.FileID), v.Size}); !errors.Is(err, Corrupt) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

func TestLengthVectors(t *testing.T) {
	for _, v := range loadObjects(t).Lengths {
		o := Object{Size: v.Size}
		_, last := o.PieceRange(o.Pieces() - 1)
		if o.PieceLength() != v.PieceLength || int64(o.Pieces()) != v.Pieces || last != v.LastPiece {
			t.Errorf("%d bytes are %d pieces of %d, the last of %d, not %+v", v.Size, o.Pieces(), o.PieceLength(), last, v)
		}
	}
}

func TestVerifyPieceRefuses(t *testing.T) {
	for _, size := range []int64{0, 1, 5000, minPieceLength + 7, 3 * minPieceLength} {
		data := vectors.Content(size)
		o, m, err := HashFile(t.Context(), bytes.NewReader(data), size, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range o.Pieces() {
			offset, length := o.PieceRange(i)
			piece := data[offset : offset+length]
			wrong := [][]byte{append(slices.Clone(piece), 0)}
			if length > 0 {
				changed := slices.Clone(piece)
				changed[length/2] ^= 1
				wrong = append(wrong, nil, piece[:length-1], changed)
			}
			if i > 0 && length == o.PieceLength() {
				wrong = append(wrong, data[:length]) // a right piece in the wrong place
			}
			for j, w := range wrong {
				if m.VerifyPiece(o, i, w) {
					t.Errorf("%d bytes: piece %d: wrong bytes %d are accepted", size, i, j)
				}
			}
		}
	}
}

func TestVerifyBlockValuesRefuses(t *testing.T) {
	for _, size := range []int64{0, 1, BlockUnit, BlockUnit + 1, minPieceLength, minPieceLength + 1, 2*minPieceLength + 3*BlockUnit + 1} {
		data := vectors.Content(size)
		o, m, err := HashFile(t.Context(), bytes.NewReader(data), size, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range o.Pieces() {
			offset, length := o.PieceRange(i)
			right := BlockValues(o, i, data[offset:offset+length])
			wrong := map[string][]Hash{"none": nil, "one too many": append(slices.Clone(right), Hash{}), "the FileID": {Hash(o.ID)}}
			if n := len(right); n > 1 {
				swapped := slices.Clone(right)
				swapped[0], swapped[n-1] = swapped[n-1], swapped[0]
				changed := slices.Clone(right)
				changed[n-1][31] ^= 1
				wrong["one too few"], wrong["swapped"], wrong["changed"] = right[:n-1], swapped, changed
				wrong["a parent for two"] = append([]Hash{native.Parent(right[0], right[1])}, right[2:]...)
				if n%2 == 0 {
					wrong["of twice the length"] = native.BlockValues(nil, data[offset:offset+length], uint64(offset/chunk), 2*BlockUnit)
				}
			}
			for what, values := range wrong {
				if m.VerifyBlockValues(o, i, values) {
					t.Errorf("%d bytes: piece %d: accepted: %s", size, i, what)
				}
			}
		}
	}
}

func TestVerifyRefusesSizes(t *testing.T) {
	for _, size := range []int64{-1, MaxSize + 1} {
		if err := (&Manifest{Size: size}).Verify(Object{Size: size}); !errors.Is(err, BadRequest) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
