package registry

import "shoal"

// addName makes an entry found by its name's place among the others and by what it stands for.
func (g *group) addName(e *entry) {
	g.order.insert(e.name)
	file := e.content.ID
	first := g.byFile[file]
	if first == nil {
		g.byFile[file] = e
		return
	}
	all := g.alike[file]
	if all == nil {
		if g.alike == nil {
			g.alike = make(map[shoal.FileID]*names[shoal.Name])
		}
		all = new(names[shoal.Name])
		all.insert(first.name)
		g.alike[file] = all
	}
	all.insert(e.name)
	if e.name < first.name {
		g.byFile[file] = e
	}
}

// removeName is the reverse of addName.
func (g *group) removeName(e *entry) {
	g.order.remove(e.name)
	file := e.content.ID
	all := g.alike[file]
	if all == nil {
		delete(g.byFile, file)
		return
	}
	all.remove(e.name)
	g.byFile[file] = g.entries[all.smallest()]
	if all.single() {
		delete(g.alike, file)
	}
}
