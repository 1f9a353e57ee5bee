package core

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module    = "aptless"
	maxFile   = 500 // lines of a file
	maxFunc   = 80  // lines of a function
	maxParam  = 6   // parameters of a function
	maxBranch = 15  // if, for, case, && and || in a function
	testOnly  = "test"
)

// guarded are the parts of the standard library that a row of the table has to
// grant. Each stands for the packages below it, too.
var guarded = []string{"net", "os", "syscall", "plugin", "unsafe", "path/filepath", "io/ioutil", "testing"}

// free are packages below guarded ones that only compute.
var free = []string{"net/url", "net/mail", "net/textproto", "net/netip", "testing/iotest"}

// exceptions are breaches of a rule, with the reason. The key is the rule and the
// place: "state core/formats/deb.name", "file core/x/y.go" or "func core/x.name".
var exceptions = map[string]string{
	"state core/formats/deb.binaryReaders":    "a sync.Pool of buffers: whoever takes one sees nothing of who had it before",
	"state core/formats/deb.paragraphReaders": "a sync.Pool of readers: the next user of one sees nothing of the text of the one before",
}

// source is one parsed file.
type source struct {
	path string // from the root of the module, with slashes
	dir  string
	test bool // a _test.go file
	file *ast.File
	set  *token.FileSet
}

func (s source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "data" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		rel := filepath.ToSlash(strings.TrimPrefix(p, ".."+string(filepath.Separator)))
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{rel, path.Dir(rel), strings.HasSuffix(rel, "_test.go"), f, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files below the root of the module", len(all))
	}
	return all
}

// table reads the grants of each package from the comment of doc.go.
func table(t *testing.T) map[string][]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(f.Doc.Text()) {
		if !strings.HasPrefix(line, "\t") {
			continue
		}
		words := strings.Fields(line)
		if _, twice := rows[words[0]]; twice {
			t.Errorf("doc.go lists %s twice", words[0])
		}
		rows[words[0]] = words[1:]
	}
	if len(rows) == 0 {
		t.Fatal("no table in doc.go")
	}
	return rows
}

func imports(s source) []string {
	var paths []string
	for _, i := range s.file.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// within reports whether the import path is parent or below it.
func within(importPath, parent string) bool {
	return importPath == parent || strings.HasPrefix(importPath, parent+"/")
}

func anyWithin(importPath string, parents []string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return within(importPath, p) })
}

// storeys are the folders of core, lowest first.
var storeys = []string{"formats", "engine", "archive", "front"}

// beside is the package outside of the storeys: a client of the API. It imports nothing of
// core. Pages import it.
const beside = "client"

// storey returns the height of a package of core; -1 for one that is in none.
func storey(name string) int {
	first, _, _ := strings.Cut(name, "/")
	return slices.Index(storeys, first)
}

// allowed reports whether the package name of core may import importPath. It may
// import its own storey by the grants of its row, and lower storeys freely. A package
// for tests is never free.
func allowed(name, importPath string, grants []string) bool {
	if imported, ok := strings.CutPrefix(importPath, module+"/core/"); ok {
		lower := storey(imported) >= 0 && storey(imported) < storey(name)
		return slices.Contains(grants, imported) || lower && (!strings.HasSuffix(imported, testOnly) || strings.HasSuffix(name, testOnly))
	}
	if within(importPath, module) || strings.Contains(strings.Split(importPath, "/")[0], ".") {
		return anyWithin(importPath, grants)
	}
	return !anyWithin(importPath, guarded) || anyWithin(importPath, free) || anyWithin(importPath, grants)
}

func TestAllowed(t *testing.T) {
	grants := []string{"engine/driver", "github.com/a/b", "net/http"}
	for importPath, want := range map[string]bool{
		"aptless/core/engine/driver":            true,
		"aptless/core/engine/driver/drivertest": false,
		"aptless/core/formats/deb":              true,
		"aptless/core/formats/deb/debtest":      false,
		"aptless/core/archive/repo":             false,
		"aptless/core/front/api":                false,
		"aptless/infra/embedded":                false,
		"github.com/a/b/c":                      true,
		"github.com/a/bc":                       false,
		"github.com/aws/aws-sdk-go-v2/aws":      false,
		"strings":                               true,
		"net/http":                              true,
		"net/http/httputil":                     true,
		"net":                                   false,
		"net/url":                               true,
		"os":                                    false,
		"os/exec":                               false,
		"path":                                  true,
		"path/filepath":                         false,
		"osx":                                   true,
		"golang.org/x/crypto/openpgp/elgamal":   false,
	} {
		if got := allowed("engine/task", importPath, grants); got != want {
			t.Errorf("%s: %v, want %v", importPath, got, want)
		}
	}
}

func TestImports(t *testing.T) {
	rows := table(t)
	seen, used := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		name, ok := strings.CutPrefix(s.dir, "core/")
		if !ok {
			continue
		}
		seen[name] = true
		grants, listed := rows[name]
		if !listed {
			t.Errorf("%s: package %s is not in the table of core/doc.go", s.path, name)
		}
		if s.test {
			continue
		}
		if strings.HasSuffix(name, testOnly) { // a package for tests may use testing
			grants = append(slices.Clone(grants), "testing")
		}
		for _, p := range imports(s) {
			for _, g := range grants {
				used[name+" "+g] = used[name+" "+g] || within(strings.TrimPrefix(p, module+"/core/"), g) || within(p, g)
			}
			if listed && !allowed(name, p, grants) {
				t.Errorf("%s imports %s, which the table of core/doc.go does not allow to %s", s.path, p, name)
			}
		}
	}
	for name, grants := range rows {
		if !seen[name] {
			t.Errorf("core/doc.go lists %s, which does not exist", name)
		}
		for _, g := range grants {
			if !used[name+" "+g] {
				t.Errorf("core/doc.go lets %s import %s, which it does not", name, g)
			}
			if !strings.Contains(g, ".") && !anyWithin(g, guarded) && !seen[g] && !(within(g, module+"/infra") && strings.HasSuffix(name, testOnly)) {
				t.Errorf("core/doc.go lets %s import %s, which does not exist", name, g)
			}
		}
	}
}

// TestLaws holds the laws for the table itself, so that no row can permit a forbidden
// import. It also holds them for packages outside of core.
func TestLaws(t *testing.T) {
	rows := table(t)
	peers := []string{"archive/repo", "archive/snapshot", "archive/mirror"}
	for name, grants := range rows {
		for _, g := range grants {
			switch {
			case storey(name) < 0 && name != beside:
				t.Errorf("%s is in none of the storeys %v", name, storeys)
			case storey(g) >= 0 && storey(g) != storey(name):
				t.Errorf("the row of %s names %s: rows grant within a storey only", name, g)
			case within(g, module+"/infra") && strings.HasSuffix(name, testOnly): // as tests may
			case within(g, module), anyWithin(g, []string{"github.com/aws", "infra", "functions"}):
				t.Errorf("%s may import %s: core knows nothing of where it runs", name, g)
			case g == "front/api" && name != "front/app":
				t.Errorf("%s may import api", name)
			case slices.Contains(peers, name) && slices.Contains(peers, g):
				t.Errorf("%s may import its peer %s", name, g)
			case strings.HasSuffix(g, testOnly) && !strings.HasSuffix(name, testOnly):
				t.Errorf("%s may import %s, which is for tests", name, g)
			case within(g, "net") && storey(name) != storey("front") && name != beside && !strings.HasSuffix(name, testOnly):
				t.Errorf("%s may import %s: only the front and the client speak HTTP", name, g)
			}
		}
	}
	for _, s := range sources(t) {
		for _, p := range imports(s) {
			if !s.test && within(p, module) && strings.HasSuffix(p, testOnly) && !strings.HasSuffix(s.dir, testOnly) && !within(s.dir, "tests") {
				t.Errorf("%s imports %s, which is for tests", s.path, p)
			}
			if !s.test && within(s.dir, "infra") && within(p, module+"/core") && !within(p, module+"/core/engine/driver") && p != module+"/core/archive/upstream" {
				t.Errorf("%s imports %s: infra fills the ports and needs nothing else of core", s.path, p)
			}
		}
	}
}

// excused reports whether a breach of a rule is an exception, and notes its use.
func excused(used map[string]bool, what string) bool {
	_, ok := exceptions[what]
	used[what] = true
	return ok
}

func TestShape(t *testing.T) {
	used := map[string]bool{}
	documented, packages := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		packages[s.dir] = true
		base := path.Base(s.path)
		if doc := s.file.Doc.Text(); doc != "" && (base == "doc.go" || s.file.Name.Name == "main") {
			documented[s.dir] = true
		}
		if n := s.set.File(s.file.Pos()).LineCount(); n > maxFile && !excused(used, "file "+s.path) {
			t.Errorf("%s has %d lines, more than %d", s.path, n, maxFile)
		}
		for _, d := range s.file.Decls {
			checkDecl(t, s, d, used)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if !documented[dir] {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
	for what := range exceptions {
		if !used[what] {
			t.Errorf("the exception %q is not needed", what)
		}
	}
}

// embeds reports whether a variable has files of the source. They are read only.
func embeds(v *ast.ValueSpec) bool {
	sel, ok := v.Type.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "embed" && sel.Sel.Name == "FS"
}

func checkDecl(t *testing.T, s source, d ast.Decl, used map[string]bool) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if n := s.lines(d); n > maxFunc && !excused(used, "func "+s.dir+"."+d.Name.Name) {
			t.Errorf("%s: %s has %d lines, more than %d", s.path, d.Name.Name, n, maxFunc)
		}
		if n := d.Type.Params.NumFields(); n > maxParam && !excused(used, "params "+s.dir+"."+d.Name.Name) {
			t.Errorf("%s: %s has %d parameters, more than %d", s.path, d.Name.Name, n, maxParam)
		}
		if n := branches(d); n > maxBranch && !excused(used, "branches "+s.dir+"."+d.Name.Name) {
			t.Errorf("%s: %s has %d branches, more than %d", s.path, d.Name.Name, n, maxBranch)
		}
		if d.Recv == nil && d.Name.Name == "init" {
			t.Errorf("%s has an init function", s.path)
		}
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return
		}
		for _, spec := range d.Specs {
			v := spec.(*ast.ValueSpec)
			for i, name := range v.Names {
				if name.Name != "_" && !(i < len(v.Values) && constant(v.Values[i])) && !embeds(v) && !excused(used, "state "+s.dir+"."+name.Name) {
					t.Errorf("%s: variable %s is neither a sentinel, a pattern nor a table", s.path, name.Name)
				}
			}
		}
	}
}

// branches counts the if, for, case, && and || below a node; default is none.
func branches(n ast.Node) int {
	count := 0
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			count++
		case *ast.CaseClause:
			if n.List != nil {
				count++
			}
		case *ast.CommClause:
			if n.Comm != nil {
				count++
			}
		case *ast.BinaryExpr:
			if n.Op == token.LAND || n.Op == token.LOR {
				count++
			}
		}
		return true
	})
	return count
}

func TestBranches(t *testing.T) {
	for expr, want := range map[string]int{
		`func() {}`: 0,
		`func() { if a && b || c { } else if d { } }`:                     4,
		`func() { for { }; for range x { }; for i := range 3 { _ = i } }`: 3,
		`func() { switch x { case 1, 2: case 3: default: } }`:             2,
		`func() { select { case <-a: case b <- 1: default: } }`:           2,
		`func() { func() { if a { } }() }`:                                1,
	} {
		e, err := parser.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := branches(e); got != want {
			t.Errorf("%s: %d, want %d", expr, got, want)
		}
	}
}

// TestRooms keeps the packages below archive/publish small: 12 files beside doc.go.
func TestRooms(t *testing.T) {
	const most = 12
	files := map[string]int{}
	for _, s := range sources(t) {
		if within(s.dir, "core/archive/publish") && s.dir != "core/archive/publish" && !s.test && path.Base(s.path) != "doc.go" {
			files[s.dir]++
		}
	}
	if len(files) == 0 {
		t.Error("no packages below core/archive/publish")
	}
	for dir, n := range files {
		if n > most {
			t.Errorf("%s has %d files beside doc.go, more than %d", dir, n, most)
		}
	}
}

// constant reports whether the value of a package-level variable never changes: a
// pure constructor makes it, or it is a table of literals.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		fun, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			_, conversion := e.Fun.(*ast.ArrayType) // []byte("…")
			return conversion
		}
		pkg, _ := fun.X.(*ast.Ident)
		return pkg != nil && slices.Contains([]string{
			"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "time.Date", "crc32.MakeTable", "template.Must",
		}, pkg.Name+"."+fun.Sel.Name)
	case *ast.CompositeLit:
		sel, ok := e.Type.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, _ := sel.X.(*ast.Ident)
		return pkg != nil && pkg.Name != "sync" && pkg.Name != "atomic"
	case *ast.UnaryExpr: // &T{…} is shared, not a table
		return e.Op != token.AND
	case *ast.BasicLit, *ast.BinaryExpr:
		return true
	}
	return false
}

func TestConstant(t *testing.T) {
	for expr, want := range map[string]bool{
		`errors.New("x")`:           true,
		`regexp.MustCompile("x")`:   true,
		`[]byte("x")`:               true,
		`map[string]int{"a": 1}`:    true,
		`porcupine.Model{Init: f}`:  true,
		`sync.Pool{New: f}`:         false,
		`sync.Mutex{}`:              false,
		`make(map[string]int)`:      false,
		`&cache{}`:                  false,
		`new(int)`:                  false,
		`http.DefaultClient`:        false,
		`os.Getenv("X")`:            false,
		`func() int { return 1 }()`: false,
	} {
		e, err := parser.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := constant(e); got != want {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
}
