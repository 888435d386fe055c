// Package arch holds the tree to its architecture: which package may import which, what the core may not do, and what
// the folders look like. It reads the sources of the whole module with go/parser, for every system and build tag at once.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/smolnet/smolnet"

// maxLines is how long a file may be, tests aside. What is longer holds more than one concept.
const maxLines = 600

// folders are all that the top level holds, folders that begin with a dot aside.
var folders = []string{"core", "dev", "dialer", "examples", "internal", "listener", "smolnet"}

// arrows say which of the module's own packages a package may import, tests aside. A package's row is the one with its own
// name, or else the nearest above it that ends in "/..."; one that has none may import nothing. "a/..." means a and all
// below it, "a/*/..." only what lies below it.
var arrows = map[string][]string{
	"core/packet/...": {"core/packet/..."},
	"core/wire/...":   {"core/wire/..."},
	"core/...":        {"core/*/..."}, // the parts of core know each other, never core itself
	"core":            {"core/*/...", "dev"},
	"dev":             {"core/packet"},
	"dev/...":         {"dev/...", "core/packet", "core/wire", "internal/link"},
	"dialer/...":      {"core/tcp", "core/udp", "internal/inet", "internal/neterr"},
	"listener/...":    {"core/tcp", "core/udp", "internal/inet", "internal/neterr"},
	"smolnet":         {"core/...", "dev", "dialer", "listener", "internal/dns", "internal/inet", "internal/neterr"},
	"smolnet/...":     {"smolnet/...", "core/...", "dev/...", "dialer", "listener", "internal/neterr"},
	"internal/inet":   {},
	"internal/neterr": {"core/*/..."},
	"internal/link":   {"dev", "core/packet"},
	"internal/dns":    {}, // it reaches the network through functions that it is given
	"internal/...":    {"smolnet/...", "core/...", "dev/...", "dialer/...", "listener/...", "internal/..."},
	"examples/...":    {"smolnet/...", "core/...", "dev/...", "dialer/...", "listener/...", "examples/device", "internal/netns"},
}

// dependencies are the modules that the root module may import; testOnly those for its tests alone.
var (
	dependencies = []string{"golang.org/x/net", "golang.org/x/sys", "github.com/songgao/water"}
	testOnly     = []string{"github.com/stretchr/testify"}
)

// clock is what reads or waits for the clock in package time.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// nameless are the words that say nothing of what a file or a package holds.
var nameless = []string{"util", "common", "helper", "manager"}

// source is one Go file of the tree.
type source struct {
	path  string // from the module's root, with slashes
	fset  *token.FileSet
	file  *ast.File
	lines int
}

func (s *source) folder() string { return path.Dir(s.path) }
func (s *source) test() bool     { return strings.HasSuffix(s.path, "_test.go") }

// below reports whether the file lies in the folder or below it.
func (s *source) below(folder string) bool { return strings.HasPrefix(s.path, folder+"/") }

// debug reports whether only a build with the tag packetdebug has the file.
func (s *source) debug() bool {
	for _, group := range s.file.Comments {
		for _, comment := range group.List {
			if comment.Text == "//go:build packetdebug" {
				return true
			}
		}
	}
	return false
}

func (s *source) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.path, s.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

func parse(name string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{path: name, fset: fset, file: file, lines: strings.Count(string(text), "\n")}, nil
}

// tree parses every Go file of the module whose root is given. Nested modules are none of it.
func tree(root string) (sources []*source, err error) {
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (nested == nil || strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(relative), text)
		sources = append(sources, s)
		return err
	})
	return sources, err
}

// The checks. Each returns a line "file:line: what is wrong" for everything that it finds.
var checks = map[string]func(*source) []string{
	"imports point down the picture":                 checkArrows,
	"few dependencies":                               checkDependencies,
	"the core starts no goroutine and takes no lock": checkConcurrency,
	"the core reads no clock":                        checkClock,
	"the core does no I/O":                           checkIO,
	"names say what things are":                      checkNames,
	"files are short":                                checkLength,
	"what is exported is described":                  checkDocs,
}

func checkArrows(s *source) (found []string) {
	if s.test() {
		return nil
	}
	from := s.folder()
	allowed := arrowsFrom(from)
	for _, spec := range s.file.Imports {
		to, ours := strings.CutPrefix(imported(spec), module+"/")
		if ours && !slices.ContainsFunc(allowed, func(pattern string) bool { return contains(pattern, to) }) {
			found = append(found, s.at(spec.Pos(), "%s must not import %s, only %q", from, to, allowed))
		}
	}
	return found
}

func arrowsFrom(pkg string) []string {
	if to, ok := arrows[pkg]; ok {
		return to
	}
	for above := pkg; above != "."; above = path.Dir(above) {
		if to, ok := arrows[above+"/..."]; ok {
			return to
		}
	}
	return nil
}

// contains reports whether the package is one of those that the pattern means.
func contains(pattern, pkg string) bool {
	if above, ok := strings.CutSuffix(pattern, "/*/..."); ok {
		return strings.HasPrefix(pkg, above+"/")
	}
	above, whole := strings.CutSuffix(pattern, "/...")
	return pkg == above || whole && strings.HasPrefix(pkg, above+"/")
}

func checkDependencies(s *source) (found []string) {
	allowed := dependencies
	if s.test() {
		allowed = append(slices.Clone(dependencies), testOnly...)
	}
	for _, spec := range s.file.Imports {
		name := imported(spec)
		host, _, _ := strings.Cut(name, "/")
		standard := !strings.Contains(host, ".")
		if standard || contains(module+"/...", name) {
			continue
		}
		if !slices.ContainsFunc(allowed, func(module string) bool { return contains(module+"/...", name) }) {
			found = append(found, s.at(spec.Pos(), "%s is not among the dependencies allowed here, %q", name, allowed))
		}
	}
	return found
}

func checkConcurrency(s *source) (found []string) {
	if !s.below("core") || s.test() || s.debug() {
		return nil
	}
	ast.Inspect(s.file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			found = append(found, s.at(node.Pos(), "the core starts no goroutine"))
		case *ast.ChanType, *ast.SelectStmt:
			found = append(found, s.at(node.Pos(), "the core waits for nothing: it has no channels"))
		case *ast.SelectorExpr:
			name, ok := s.selected(node, "sync")
			if ok && (name != "Pool" || !s.below("core/packet")) {
				found = append(found, s.at(node.Pos(), "the core takes no lock, so it has no use for sync.%s", name))
			}
		}
		return true
	})
	return found
}

func checkClock(s *source) (found []string) {
	if !s.below("core") || s.test() {
		return nil
	}
	ast.Inspect(s.file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := s.selected(selector, "time"); ok && slices.Contains(clock, name) {
				found = append(found, s.at(node.Pos(), "the core is told the time, it does not call time.%s", name))
			}
		}
		return true
	})
	return found
}

func checkIO(s *source) (found []string) {
	if !s.below("core") || s.test() {
		return nil
	}
	for _, spec := range s.file.Imports {
		name := imported(spec)
		if spec.Name != nil && spec.Name.Name == "." {
			found = append(found, s.at(spec.Pos(), "the core imports nothing by dot, which would hide what it calls"))
		}
		switch {
		case name == "net/netip":
		case contains("net/...", name), contains("os/...", name), contains("syscall/...", name),
			contains("golang.org/x/sys/...", name):
			found = append(found, s.at(spec.Pos(), "the core does no I/O, so it has no use for %s", name))
		}
	}
	return found
}

func checkNames(s *source) (found []string) {
	for _, part := range strings.Split(strings.TrimSuffix(s.path, ".go"), "/") {
		for _, word := range strings.FieldsFunc(strings.ToLower(part), func(r rune) bool { return strings.ContainsRune("_-.", r) }) {
			for _, bad := range nameless {
				if word == bad || word == bad+"s" {
					found = append(found, s.at(s.file.Package, "%q in the name does not say what is in it", word))
				}
			}
		}
	}
	return found
}

func checkLength(s *source) []string {
	if s.test() || s.lines <= maxLines {
		return nil
	}
	return []string{fmt.Sprintf("%s:%d: %d lines, where %d are the most", s.path, s.lines, s.lines, maxLines)}
}

func imported(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser has read it as a string
	}
	return name
}

// selected returns what the selector picks out of the standard package, whatever name the file imports it by.
func (s *source) selected(selector *ast.SelectorExpr, pkg string) (string, bool) {
	ident, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	for _, spec := range s.file.Imports {
		name := path.Base(imported(spec))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if imported(spec) == pkg && name == ident.Name {
			return selector.Sel.Name, true
		}
	}
	return "", false
}

const root = "../.."

func TestTreeFollowsTheArchitecture(t *testing.T) {
	sources, err := tree(root)
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			for _, s := range sources {
				for _, finding := range check(s) {
					t.Error(finding)
				}
			}
		})
	}
}

func TestTopLevelHoldsOnlyItsFolders(t *testing.T) {
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() && !strings.HasPrefix(name, ".") {
			require.Contains(t, folders, name, "%s: the top level holds these folders only", name)
		}
		require.NotEqual(t, ".go", filepath.Ext(name), "%s: the top level holds no package", name)
	}
}
