// Package forgetful is a disk for tests whose power can be cut: it forgets what was not synced, as a real one may.
//
// What a cut leaves of a file is what was there at its last fsync, and any of the sectors written since. A new name is
// there after an fsync of the file, or of its folder; a renaming or a removal after an fsync of the folder, or of the file
// under its new name. That is what journaling filesystems promise, and no more.
package forgetful

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	sector = 512
	block  = 4096 // of which changes are noted
)

// Disk is the content of a filesystem. Its methods may be called concurrently.
type Disk struct {
	mu   sync.Mutex // guards all that is below, and all nodes
	root *node
	cut  bool
	end  chan struct{} // closed by Release
}

// node is a file or a folder.
type node struct {
	children map[string]*node // of a folder
	data     []byte           // of a file
	changed  map[int]struct{} // blocks that were written since the last sync

	parent *node // nil where it has no name
	name   string

	// What is on disk.
	kept       map[string]*node
	keptData   []byte
	keptParent *node
	keptName   string
}

func newFolder() *node {
	return &node{children: make(map[string]*node), kept: make(map[string]*node)}
}

func newFile() *node { return &node{changed: make(map[int]struct{})} }

// New returns an empty disk.
func New() *Disk { return &Disk{root: newFolder(), end: make(chan struct{})} }

// Cut cuts the power: what is asked for from now on is not answered before Release. The processes that use the disk must
// be killed between the two.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
}

// Release lets go of those who wait, without an answer that they could use.
func (d *Disk) Release() { close(d.end) }

// enter locks the disk for a request, or reports that the power is gone.
func (d *Disk) enter() bool {
	d.mu.Lock()
	if !d.cut {
		return true
	}
	d.mu.Unlock()
	<-d.end
	return false
}

// After returns a disk with what is left after a cut. Of what was not synced it has the share that is given, in 0…1, by
// sectors and by files' sizes.
func (d *Disk) After(share float64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := New()
	left.root = d.root.left(share)
	return left
}

// left returns what is left of a node.
func (n *node) left(share float64) *node {
	if n.children == nil {
		f := newFile()
		f.data = n.leftData(share)
		f.keptData = slices.Clone(f.data)
		return f
	}
	f := newFolder()
	for name, child := range n.kept {
		c := child.left(share)
		c.parent, c.name, c.keptParent, c.keptName = f, name, f, name
		f.children[name] = c
	}
	f.kept = maps.Clone(f.children)
	return f
}

func (n *node) leftData(share float64) []byte {
	data := slices.Clone(n.keptData)
	if rand.Float64() < share {
		data = resize(data, len(n.data))
	}
	for b := range n.changed {
		for at := b * block; at < min((b+1)*block, len(data), len(n.data)); at += sector {
			if rand.Float64() < share {
				copy(data[at:min(at+sector, len(data))], n.data[at:])
			}
		}
	}
	return data
}

// resize cuts data off, or adds zeros.
func resize(data []byte, size int) []byte {
	if size <= len(data) {
		clear(data[size:])
		return data[:size]
	}
	before := len(data)
	data = slices.Grow(data, size-before)[:size]
	clear(data[before:])
	return data
}

// write changes a file from an offset on.
func (n *node) write(data []byte, offset int) {
	if end := offset + len(data); end > len(n.data) {
		n.resize(end)
	}
	copy(n.data[offset:], data)
	n.note(offset, offset+len(data))
}

// resize changes a file's size.
func (n *node) resize(size int) {
	before := len(n.data)
	n.data = resize(n.data, size)
	n.note(min(before, size), max(before, size))
}

// note keeps in mind that what is between two offsets was changed.
func (n *node) note(from, to int) {
	for b := from / block; b*block < to; b++ {
		n.changed[b] = struct{}{}
	}
}

// sync makes a node as it is now, and its name, last.
func (n *node) sync() {
	if n.children == nil {
		n.keptData = resize(n.keptData, len(n.data))
		for b := range n.changed {
			if from := b * block; from < len(n.data) {
				copy(n.keptData[from:min(from+block, len(n.data))], n.data[from:])
			}
		}
		clear(n.changed)
	} else {
		for name, child := range n.kept {
			if n.children[name] != child {
				delete(n.kept, name)
				child.keptParent = nil
			}
		}
		for _, child := range n.children {
			child.keepName()
		}
	}
	for ; n.parent != nil; n = n.parent {
		n.keepName()
	}
}

// keepName makes the name that a node has last, in place of any that it had.
func (n *node) keepName() {
	if n.keptParent != nil {
		delete(n.keptParent.kept, n.keptName)
	}
	if other := n.parent.kept[n.name]; other != nil && other != n {
		other.keptParent = nil
	}
	n.parent.kept[n.name] = n
	n.keptParent, n.keptName = n.parent, n.name
}

// add gives a node without a name one in a folder, in place of what has it.
func (n *node) add(name string, child *node) {
	n.remove(name)
	n.children[name] = child
	child.parent, child.name = n, name
}

// remove takes the node of a name out of a folder, if there is one, and returns it.
func (n *node) remove(name string) *node {
	child := n.children[name]
	if child != nil {
		delete(n.children, name)
		child.parent = nil
	}
	return child
}
