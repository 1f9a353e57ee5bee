package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// page is a document and its code spans, the texts between backquotes.
type page struct {
	name  string // path from the module's root, with slashes
	text  string // without its fenced blocks
	spans []string
}

// pages reads README.md and docs.
func pages(t *testing.T) []page {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, below...)
	if len(files) < 5 {
		t.Fatalf("only %d documents in docs", len(files))
	}
	span := regexp.MustCompile("`([^`\n]+)`")
	var all []page
	for _, f := range append(files, "../README.md") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p := page{name: filepath.ToSlash(strings.TrimPrefix(f, "../"))}
		for i, part := range strings.Split(string(b), "```") {
			if i%2 == 0 {
				p.text += part
			}
		}
		for _, m := range span.FindAllStringSubmatch(p.text, -1) {
			p.spans = append(p.spans, m[1])
		}
		all = append(all, p)
	}
	return all
}

// roots are the folders of the module that hold sources.
var roots = []string{"core", "functions", "infra", "localstack", "tests", "docs"}

// sourcePath reports whether a code span names a file or folder of the module. Such a span
// is a path below one of the module's folders, or ends like a source file.
func sourcePath(span string) bool {
	if !regexp.MustCompile(`^[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)*/?$`).MatchString(span) {
		return false
	}
	first, _, below := strings.Cut(span, "/")
	return below && slices.Contains(roots, first) ||
		slices.Contains([]string{".go", ".md", ".js", ".mjs", ".sh", ".yaml"}, path.Ext(span))
}

func exists(name string) bool {
	found, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(name)))
	return err == nil && len(found) > 0
}

// TestPathsInDocumentsExist holds that every file and folder in a document exists. A path
// starts at the root, at the document, or at a folder that the document names.
func TestPathsInDocumentsExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)`)
	for _, p := range pages(t) {
		places := []string{"", path.Dir(p.name)}
		for _, s := range p.spans {
			if info, err := os.Stat(filepath.Join("..", filepath.FromSlash(s))); err == nil && info.IsDir() && sourcePath(s) {
				places = append(places, s)
			}
		}
		for _, s := range p.spans {
			if sourcePath(s) && !slices.ContainsFunc(places, func(dir string) bool { return exists(path.Join(dir, s)) }) {
				t.Errorf("%s names %s, which does not exist", p.name, s)
			}
		}
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			if !strings.Contains(m[1], ":") && !exists(path.Join(path.Dir(p.name), m[1])) {
				t.Errorf("%s links to %s, which does not exist", p.name, m[1])
			}
		}
	}
}

// anchor returns the anchor of a heading, as web pages of repositories make it.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(heading)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TestAnchorsInDocumentsExist holds that a link to a part of a page leads to a heading.
func TestAnchorsInDocumentsExist(t *testing.T) {
	link, heading := regexp.MustCompile(`\]\(([^):#]*)#([^)]+)\)`), regexp.MustCompile(`(?m)^#+ (.+)$`)
	anchors := map[string]map[string]bool{}
	for _, p := range pages(t) {
		anchors[p.name] = map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(p.text, -1) {
			anchors[p.name][anchor(m[1])] = true
		}
	}
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			to := p.name
			if m[1] != "" {
				to = path.Join(path.Dir(p.name), m[1])
			}
			if !anchors[to][m[2]] {
				t.Errorf("%s links to %s#%s, which does not exist", p.name, to, m[2])
			}
		}
	}
}

// testNames returns the names of tests after the last element of their folder, for
// example "task.TestOrder".
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join("..", root), func(p string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(p, "_test.go") {
				return err
			}
			b, err := os.ReadFile(p)
			for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
				names[filepath.Base(filepath.Dir(p))+"."+m[1]] = true
				names[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

var testSpan = regexp.MustCompile(`^(?:[a-z0-9]+\.)?(?:Test|Fuzz|Benchmark)[A-Z]\w*$`)

// TestTestsInDocumentsExist holds that every test in a document exists in its package.
func TestTestsInDocumentsExist(t *testing.T) {
	names, named := testNames(t), 0
	for _, p := range pages(t) {
		for _, s := range p.spans {
			if testSpan.MatchString(s) {
				named++
				if !names[s] {
					t.Errorf("%s names the test %s, which does not exist", p.name, s)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test")
	}
}

// TestEachLawNamesItsTest holds that the laws of docs/design.md are numbered without gaps.
// Each law names a test, or says that none enforces it.
func TestEachLawNamesItsTest(t *testing.T) {
	law := regexp.MustCompile(`^(\d+)\. \*\*`)
	n := 0
	for _, p := range pages(t) {
		if p.name != "docs/design.md" {
			continue
		}
		for paragraph := range strings.SplitSeq(p.text, "\n\n") {
			m := law.FindStringSubmatch(paragraph)
			if m == nil {
				continue
			}
			n++
			if m[1] != strconv.Itoa(n) {
				t.Errorf("law %s is the %d. one", m[1], n)
			}
			spans := strings.Split(paragraph, "`")
			if !slices.ContainsFunc(spans, testSpan.MatchString) && !strings.Contains(paragraph, "No test holds it") {
				t.Errorf("law %s names no test", m[1])
			}
		}
	}
	if n == 0 {
		t.Error("docs/design.md has no laws")
	}
}

// TestEachGuaranteeNamesItsTest holds that each promise of docs/guarantees.md names a test.
func TestEachGuaranteeNamesItsTest(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		if p.name != "docs/guarantees.md" {
			continue
		}
		for section := range strings.SplitSeq(p.text, "\n## ") {
			if !strings.HasPrefix(section, "To ") {
				continue
			}
			for item := range strings.SplitSeq("\n"+section, "\n* ") {
				if strings.HasPrefix(item, "\nTo ") {
					continue
				}
				n++
				if !slices.ContainsFunc(strings.Split(item, "`"), testSpan.MatchString) {
					t.Errorf("%.80q names no test", item)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("%d guarantees", n)
	}
}

// declarations returns the names of functions, methods, types, variables and constants
// that a Go file declares.
func declarations(t *testing.T, name string) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", filepath.FromSlash(name)), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						names[id.Name] = true
					}
				}
			}
		}
	}
	return names
}

// TestMapLeadsToDeclarations holds that docs/map.md answers at least twenty questions. Each
// answer has Go files and names that they declare.
func TestMapLeadsToDeclarations(t *testing.T) {
	b, err := os.ReadFile("../docs/map.md")
	if err != nil {
		t.Fatal(err)
	}
	questions := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || !strings.HasSuffix(strings.TrimSpace(cells[0]), "?") {
			continue
		}
		questions++
		if len(cells) != 3 {
			t.Errorf("%d cells in %q", len(cells), line)
			continue
		}
		var known map[string]bool
		for i, s := range strings.Split(cells[1], "`") {
			switch {
			case i%2 == 0: // between spans
			case strings.HasSuffix(s, ".go"):
				known = declarations(t, s)
			case !known[s]:
				t.Errorf("%s leads to %s, which the file before it does not declare", cells[0], s)
			}
		}
		if known == nil {
			t.Errorf("%s leads to no file", cells[0])
		}
	}
	if questions < 20 {
		t.Errorf("%d questions, want 20", questions)
	}
}

// TestCommandsInDocumentsExist holds that the make targets and the options of aptless in
// documents exist.
func TestCommandsInDocumentsExist(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	err = filepath.WalkDir("../functions", func(p string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".go" {
			return err
		}
		b, err := os.ReadFile(p)
		code.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	target, option := regexp.MustCompile(`^\s*make ([a-z][a-z-]+)`), regexp.MustCompile(`--([a-z][a-z0-9-]+)`)
	for _, p := range pages(t) {
		if p.name == "docs/reference/cli.md" { // TestCommandLineIsDocumented makes it from the commands, and has flags of the library, too
			continue
		}
		commands := slices.Clone(p.spans)
		for line := range strings.Lines(p.text) {
			if strings.HasPrefix(line, "    ") && p.name == "README.md" {
				commands = append(commands, line)
			}
		}
		for _, c := range commands {
			for _, m := range target.FindAllStringSubmatch(c, -1) {
				if !strings.Contains(string(makefile), "\n"+m[1]+":") {
					t.Errorf("%s names make %s, which the Makefile does not have", p.name, m[1])
				}
			}
			if !strings.HasPrefix(c, "--") && !strings.Contains(c, "aptless ") && !strings.HasPrefix(c, "serve ") {
				continue
			}
			for _, m := range option.FindAllStringSubmatch(c, -1) {
				if m[1] != "help" && !strings.Contains(code.String(), `"`+m[1]+`"`) {
					t.Errorf("%s names --%s, which no command has", p.name, m[1])
				}
			}
		}
	}
}
