package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A target is one fuzz function.
type target struct {
	root, folder string // the module's, and that of its package, below which is the corpus
	name         string
	held         bool // it does its work in bounds.Hold
}

// String is the target's name: its package, as seen from the module, and its own.
func (t target) String() string {
	in, err := filepath.Rel(t.root, t.folder)
	if err != nil || in == "." {
		return t.name
	}
	return in + "/" + t.name
}

// corpus is the folder with the target's committed inputs.
func (t target) corpus() string { return filepath.Join(t.folder, "testdata", "fuzz", t.name) }

// targets finds the fuzz targets of a module by reading its tests, whatever their build tags are; those of a package follow
// each other.
func targets(root string) (all []target, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".") || isModule(path)):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				all = append(all, target{root, filepath.Dir(path), f.Name.Name, holds(f)})
			}
		}
		return nil
	})
	return all, err
}

func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// holds tells whether a target calls bounds.Hold, or HoldSaid.
func holds(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Hold") {
			of, ok := s.X.(*ast.Ident)
			found = found || ok && of.Name == "bounds"
		}
		return true
	})
	return found
}
