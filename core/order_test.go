package core

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fileGraph has the files of a package, and for each the files that it refers to. A
// reference is the name of a type, function, method, field, variable or constant.
type fileGraph map[string]map[string][]string // by file and file: the names

// packageGraph checks the types of a package and draws the references between its
// files.
func packageGraph(t *testing.T, importer types.Importer, dir string, list []source) fileGraph {
	t.Helper()
	var parsed []*ast.File
	for _, s := range list {
		parsed = append(parsed, s.file)
	}
	set := list[0].set
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer}
	pkg, err := config.Check(module+"/"+dir, set, parsed, info)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	graph := fileGraph{}
	for id, to := range info.Uses {
		if to.Pkg() != pkg || !to.Pos().IsValid() {
			continue
		}
		from, of := path.Base(filepath.ToSlash(set.Position(id.Pos()).Filename)), path.Base(filepath.ToSlash(set.Position(to.Pos()).Filename))
		if from == of {
			continue
		}
		if graph[from] == nil {
			graph[from] = map[string][]string{}
		}
		if !slices.Contains(graph[from][of], id.Name) {
			graph[from][of] = append(graph[from][of], id.Name)
		}
	}
	return graph
}

// circle returns files that refer to each other in a circle, with the first again at
// its end. It returns nil if the files have an order in which all references go one
// way.
func (g fileGraph) circle() []string {
	var trail, found []string
	done := map[string]bool{}
	var visit func(file string)
	visit = func(file string) {
		if i := slices.Index(trail, file); i >= 0 && found == nil {
			found = append(slices.Clone(trail[i:]), file)
		}
		if done[file] || found != nil {
			return
		}
		done[file] = true
		trail = append(trail, file)
		for _, to := range slices.Sorted(maps.Keys(g[file])) {
			visit(to)
		}
		trail = trail[:len(trail)-1]
	}
	for _, file := range slices.Sorted(maps.Keys(g)) {
		visit(file)
	}
	return found
}

// exported returns an importer that reads the compiler's export data of packages.
func exported(t *testing.T) types.Importer {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[name] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(name string) (io.ReadCloser, error) { return os.Open(files[name]) })
}

// TestFilesHaveAnOrder holds that the files of a package of core have an order in which
// no file refers to one above it. So a package can be read from the top.
func TestFilesHaveAnOrder(t *testing.T) {
	packages := map[string][]source{}
	for _, s := range sources(t) {
		if within(s.dir, "core") && !s.test {
			packages[s.dir] = append(packages[s.dir], s)
		}
	}
	from := exported(t)
	arrows := 0
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		graph := packageGraph(t, from, dir, packages[dir])
		for _, to := range graph {
			arrows += len(to)
		}
		circle := graph.circle()
		for i := 1; i < len(circle); i++ {
			a, b := circle[i-1], circle[i]
			t.Errorf("%s: %s refers to %s (%s), which leads back to it", dir, a, b, strings.Join(slices.Sorted(slices.Values(graph[a][b])), ", "))
		}
	}
	if arrows < 500 {
		t.Errorf("only %d references between files are found", arrows)
	}
}

func TestCircle(t *testing.T) {
	to := func(files ...string) map[string][]string {
		m := map[string][]string{}
		for _, f := range files {
			m[f] = []string{"x"}
		}
		return m
	}
	for name, c := range map[string]struct {
		graph fileGraph
		want  []string
	}{
		"a chain":              {fileGraph{"a": to("b"), "b": to("c")}, nil},
		"two ways to one file": {fileGraph{"a": to("b", "c"), "b": to("d"), "c": to("d")}, nil},
		"two files":            {fileGraph{"a": to("b"), "b": to("a")}, []string{"a", "b", "a"}},
		"a circle below":       {fileGraph{"a": to("b"), "b": to("c"), "c": to("d"), "d": to("b")}, []string{"b", "c", "d", "b"}},
	} {
		if got := c.graph.circle(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// listedFile is a file that a doc.go lists in a line of its own.
var listedFile = regexp.MustCompile(`\b[a-z_]+\.go\b`)

// TestDocListsFiles holds that the files which the comment of a doc.go lists exist.
func TestDocListsFiles(t *testing.T) {
	for _, s := range sources(t) {
		if path.Base(s.path) != "doc.go" || !within(s.dir, "core") {
			continue
		}
		for line := range strings.Lines(s.file.Doc.Text()) {
			if !strings.HasPrefix(line, "\t") {
				continue
			}
			for _, name := range listedFile.FindAllString(line, -1) {
				if _, err := os.Stat(filepath.Join("..", s.dir, name)); err != nil {
					t.Errorf("%s lists %s, which does not exist", s.path, name)
				}
			}
		}
	}
}
