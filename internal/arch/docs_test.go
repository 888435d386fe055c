package arch

import (
	"go/ast"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// public reports whether what the file exports is for users.
func (s *source) public() bool {
	return !s.test() && !s.below("internal") && !s.below("examples")
}

// checkDocs holds that every exported name has a comment: its own, or that of the group of constants or variables it is in.
func checkDocs(s *source) (found []string) {
	if !s.public() {
		return nil
	}
	missing := func(name *ast.Ident) {
		if name.IsExported() {
			found = append(found, s.at(name.Pos(), "nothing says what %s is", name))
		}
	}
	for _, decl := range s.file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Doc == nil && (decl.Recv == nil || ast.IsExported(receiver(decl))) {
				missing(decl.Name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if decl.Doc == nil && spec.Doc == nil {
						missing(spec.Name)
					}
				case *ast.ValueSpec:
					if decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						missing(spec.Names[0])
					}
				}
			}
		}
	}
	return found
}

// receiver is the name of the type that a method belongs to.
func receiver(decl *ast.FuncDecl) (name string) {
	ast.Inspect(decl.Recv.List[0].Type, func(node ast.Node) bool {
		if ident, ok := node.(*ast.Ident); ok && name == "" {
			name = ident.Name
		}
		return name == ""
	})
	return name
}

func TestEveryPackageIsDescribed(t *testing.T) {
	sources, err := tree(root)
	require.NoError(t, err)
	described := make(map[string]int)
	for _, s := range sources {
		if s.test() {
			continue
		}
		described[s.folder()] += 0
		if s.file.Doc != nil {
			described[s.folder()]++
		}
	}
	for pkg, comments := range described {
		require.Equal(t, 1, comments, "%s: a package has one comment, in one of its files", path.Base(pkg))
	}
}
