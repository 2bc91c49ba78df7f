package registry

import "slices"

// blockLength is the most names in a block: what an insertion has to move stays small, and so does the list of blocks.
const blockLength = 512

// names is a set of names in the order of their bytes: sorted blocks, none empty. Insertion and removal cost a search
// and the moving of part of one block.
type names[N ~string] struct{ blocks [][]N }

// find returns the block where n is or belongs, its place there, and whether it is there.
func (s *names[N]) find(n N) (block, place int, found bool) {
	block, exact := slices.BinarySearchFunc(s.blocks, n, func(b []N, n N) int {
		switch {
		case b[0] > n:
			return 1
		case b[0] < n:
			return -1
		}
		return 0
	})
	switch {
	case exact:
		return block, 0, true
	case block > 0:
		block-- // the last block that begins before n
	}
	if block == len(s.blocks) {
		return block, 0, false
	}
	place, found = slices.BinarySearch(s.blocks[block], n)
	return block, place, found
}

// insert adds n, which must not be there.
func (s *names[N]) insert(n N) {
	i, at, _ := s.find(n)
	if i == len(s.blocks) {
		s.blocks = append(s.blocks, []N{n})
		return
	}
	b := slices.Insert(s.blocks[i], at, n)
	s.blocks[i] = b
	if len(b) > blockLength {
		half := len(b) / 2
		s.blocks[i] = slices.Clone(b[:half])
		s.blocks = slices.Insert(s.blocks, i+1, slices.Clone(b[half:]))
	}
}

// remove takes n away, which must be there.
func (s *names[N]) remove(n N) {
	i, at, _ := s.find(n)
	s.blocks[i] = slices.Delete(s.blocks[i], at, at+1)
	if len(s.blocks[i]) == 0 {
		s.blocks = slices.Delete(s.blocks, i, i+1)
	}
}

// single reports whether there is one name.
func (s *names[N]) single() bool { return len(s.blocks) == 1 && len(s.blocks[0]) == 1 }

// smallest returns the first name. There must be one.
func (s *names[N]) smallest() N { return s.blocks[0][0] }

// after appends to page at most limit names that are greater than n, and tells whether more remain.
func (s *names[N]) after(page []N, n N, limit int) (_ []N, more bool) {
	i, at, found := s.find(n)
	if found {
		at++
	}
	for ; i < len(s.blocks); i, at = i+1, 0 {
		rest := s.blocks[i][at:]
		if take := limit - len(page); len(rest) > take {
			return append(page, rest[:take]...), true
		}
		page = append(page, rest...)
	}
	return page, false
}
