package store

import (
	"slices"

	"shoal"
)

// Object implements Content.
func (p *Part) Object() shoal.Object { return p.object }

// Manifest implements Content.
func (p *Part) Manifest() *shoal.Manifest { return p.manifest }

// Has implements Content.
func (p *Part) Has(piece int) bool {
	if piece < 0 || piece >= p.object.Pieces() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.have.Has(piece)
}

// Whole implements Content.
func (p *Part) Whole() bool { return p.Held() == p.object.Pieces() }

// Bitfield implements Content.
func (p *Part) Bitfield() shoal.Bitfield {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == p.object.Pieces() {
		return nil
	}
	return slices.Clone(p.have)
}

// Held implements Content.
func (p *Part) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// Check implements Content. A part changes all the time; what it must not be is removed or cut. When it is finished,
// it is checked as the File is.
func (p *Part) Check() error {
	if f := p.finished.Load(); f != nil {
		return f.Check()
	}
	stat, err := fstat(p.file)
	switch {
	case err != nil:
		return diskError(err, "examining %s", p.path)
	case stat.Nlink == 0:
		return shoal.Errorf(shoal.Changed, "%s was removed; download it again", p.path)
	case stat.Size != p.object.Size:
		return shoal.Errorf(shoal.Changed, "%s has %d bytes instead of %d; download it again", p.path, stat.Size, p.object.Size)
	}
	return nil
}
