package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// requirements returns the modules and the tools in a go.mod.
func requirements(t *testing.T, path string) (modules, tools []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := "" // the directive of the open parentheses
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == ")" {
			block = ""
			continue
		}
		if len(words) == 2 && words[1] == "(" {
			block = words[0]
			continue
		}
		directive := block
		if directive == "" {
			directive, words = words[0], words[1:]
		}
		switch directive {
		case "require":
			modules = append(modules, words[0])
		case "tool":
			tools = append(tools, words[0])
		}
	}
	if len(modules) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	return modules, tools
}

// moduleOf returns the module of an import path: the longest matching prefix.
func moduleOf(importPath string, modules []string) string {
	best := ""
	for _, m := range modules {
		if (importPath == m || strings.HasPrefix(importPath, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// uses returns the folders that import each module. For a module that only _test.go files
// import, it returns the word tests.
func uses(t *testing.T, modules []string) map[string][]string {
	t.Helper()
	used, tested := map[string][]string{}, map[string]bool{}
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "data" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() && p != ".." {
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return filepath.SkipDir // a separate module, which is not linked into the program
			}
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(p), ".."+string(filepath.Separator)))
		for _, i := range f.Imports {
			importPath := strings.Trim(i.Path.Value, `"`)
			if !strings.Contains(strings.Split(importPath, "/")[0], ".") {
				continue
			}
			m := moduleOf(importPath, modules)
			if m == "" {
				t.Errorf("%s imports %s, of no module in go.mod", p, importPath)
			} else if strings.HasSuffix(p, "_test.go") {
				tested[m] = true
			} else if !slices.Contains(used[m], dir) {
				used[m] = append(used[m], dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for m := range tested {
		if used[m] == nil {
			used[m] = []string{"tests"}
		}
	}
	return used
}

// row is a line of the table in docs/dependencies.md.
type row struct {
	module, licence, why string
	where                []string
}

func documented(t *testing.T) []row {
	t.Helper()
	b, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[0]) == "Module" {
			continue
		}
		if len(cells) != 4 {
			t.Errorf("%d cells in %q", len(cells), line)
			continue
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				t.Errorf("an empty cell in %q", line)
			}
		}
		r := row{module: cells[0], licence: cells[2], why: cells[3]}
		for w := range strings.SplitSeq(cells[1], ",") {
			r.where = append(r.where, strings.TrimSpace(w))
		}
		rows = append(rows, r)
	}
	return rows
}

func TestDependenciesAreDocumented(t *testing.T) {
	modules, tools := requirements(t, "../go.mod")
	used := uses(t, modules)
	for _, tool := range tools {
		m := moduleOf(tool, modules)
		used[m] = append(used[m], "`make lint`")
	}
	listed := map[string]bool{}
	for _, r := range documented(t) {
		if listed[r.module] {
			t.Errorf("docs/dependencies.md lists %s twice", r.module)
		}
		listed[r.module] = true
		if used[r.module] == nil {
			t.Errorf("docs/dependencies.md lists %s, which nothing imports", r.module)
			continue
		}
		for _, dir := range r.where {
			// A folder includes its subfolders.
			if !slices.ContainsFunc(used[r.module], func(u string) bool { return u == dir || strings.HasPrefix(u, dir+"/") }) {
				t.Errorf("docs/dependencies.md says %s is used in %s, which does not import it", r.module, dir)
			}
		}
		for _, u := range used[r.module] {
			if !slices.ContainsFunc(r.where, func(dir string) bool { return u == dir || strings.HasPrefix(u, dir+"/") }) {
				t.Errorf("%s is used in %s, which docs/dependencies.md does not say", r.module, u)
			}
		}
	}
	for m, dirs := range used {
		if !listed[m] {
			t.Errorf("%s is used in %v, and docs/dependencies.md does not list it", m, dirs)
		}
	}
}

// TestReleaseDependenciesAreDocumented holds that the section on the release names each module
// that infra/packaging requires itself.
func TestReleaseDependenciesAreDocumented(t *testing.T) {
	const path = "../infra/packaging/go.mod"
	_, tools := requirements(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The release\n")
	modules, _ := requirements(t, path)
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		direct := len(words) == 2 && slices.Contains(modules, words[0])
		if direct && !strings.Contains(section, "`"+words[0]+"`") {
			t.Errorf("docs/dependencies.md does not list %s", words[0])
		}
	}
	for _, tool := range tools {
		if !strings.Contains(section, "`"+moduleOf(tool, modules)+"`") {
			t.Errorf("docs/dependencies.md does not list %s", tool)
		}
	}
}
