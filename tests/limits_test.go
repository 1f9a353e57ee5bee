package tests

import (
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var writeBounds = flag.Bool("write-bounds", false, "write the table of all bounds to docs/limits.md")

// bound is a constant of the code.
type bound struct {
	file, name, text string // text is the expression as written
	comment          string
	value            ast.Expr
}

// bounds are the constants of the module by folder and name.
type bounds map[string]map[string]*bound

// readBounds parses all packages of the products, without tests and their helpers.
func readBounds(t *testing.T) bounds {
	t.Helper()
	all := bounds{}
	for _, root := range []string{"core", "functions", "infra"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && strings.HasSuffix(name, "test") {
				return filepath.SkipDir
			}
			if filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
				all.read(t, name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (all bounds) read(t *testing.T, name string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.ToSlash(strings.TrimPrefix(name, "../"))
	known := all[path.Dir(file)]
	if known == nil {
		known = map[string]*bound{}
		all[path.Dir(file)] = known
	}
	for _, d := range f.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			spec := s.(*ast.ValueSpec)
			for i, id := range spec.Names {
				if i >= len(spec.Values) {
					continue
				}
				var text strings.Builder
				if err := format.Node(&text, files, spec.Values[i]); err != nil {
					t.Fatal(err)
				}
				comment := spec.Comment.Text()
				if comment == "" {
					comment = spec.Doc.Text()
				}
				if comment == "" && len(group.Specs) == 1 {
					comment = group.Doc.Text()
				}
				known[id.Name] = &bound{file, id.Name, text.String(), strings.Join(strings.Fields(comment), " "), spec.Values[i]}
			}
		}
	}
}

// value evaluates an expression in a folder's package. A name of another package is looked
// up in the folder that ends with the package's name.
func (all bounds) value(dir string, x ast.Expr) constant.Value {
	switch x := x.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(x.Value, x.Kind, 0)
	case *ast.ParenExpr:
		return all.value(dir, x.X)
	case *ast.Ident:
		if b := all[dir][x.Name]; b != nil {
			return all.value(dir, b.value)
		}
	case *ast.SelectorExpr:
		from := x.X.(*ast.Ident).Name
		if unit, err := time.ParseDuration("1" + map[string]string{"Second": "s", "Minute": "m", "Hour": "h", "Millisecond": "ms"}[x.Sel.Name]); from == "time" && err == nil {
			return constant.MakeInt64(int64(unit))
		}
		for other := range all {
			if path.Base(other) == from {
				return all.value(other, x.Sel)
			}
		}
	case *ast.BinaryExpr:
		a, b := all.value(dir, x.X), all.value(dir, x.Y)
		if a.Kind() == constant.Unknown || b.Kind() == constant.Unknown {
			break
		}
		if x.Op == token.SHL {
			n, _ := constant.Uint64Val(b)
			return constant.Shift(a, token.SHL, uint(n))
		}
		if x.Op == token.QUO {
			return constant.BinaryOp(a, token.QUO_ASSIGN, b)
		}
		return constant.BinaryOp(a, x.Op, b)
	}
	return constant.MakeUnknown()
}

// limitRow is a row of a table of docs/limits.md.
var limitRow = regexp.MustCompile("^\\| .+ \\| ([0-9]+)(?: (\\S+))? \\| `([^`]+)` `([^`]+)` \\| (.*) \\|$")

// limitUnit returns the size of a unit of a value. A time is in nanoseconds.
func limitUnit(t *testing.T, unit string) int64 {
	t.Helper()
	switch unit {
	case "":
		return 1
	case "KiB", "MiB", "GiB":
		return 1 << (10 * (1 + strings.IndexByte("KMG", unit[0])))
	}
	d, err := time.ParseDuration("1" + unit)
	if err != nil {
		t.Fatalf("unit %q", unit)
	}
	return int64(d)
}

// TestLimitsSayTheConstants holds that each value of the tables is that of its constant, and
// that each quoted text is in the code.
func TestLimitsSayTheConstants(t *testing.T) {
	all, source := readBounds(t), productSource(t)
	text, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	prose, _, _ := strings.Cut(string(text), "\n## Every bound in the code\n")
	rows := 0
	for line := range strings.Lines(prose) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| Bound |") || strings.HasPrefix(line, "|---") {
			continue
		}
		m := limitRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s has no value and constant", line)
			continue
		}
		rows++
		b := all[path.Dir(m[3])][m[4]]
		if b == nil || b.file != m[3] {
			t.Errorf("%s: %s does not declare %s", line, m[3], m[4])
			continue
		}
		number, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		want := constant.MakeInt64(number * limitUnit(t, m[2]))
		if got := all.value(path.Dir(m[3]), b.value); got.Kind() == constant.Unknown || !constant.Compare(got, token.EQL, want) {
			t.Errorf("%s: the constant is %s", line, b.text)
		}
		for i, quoted := range strings.Split(m[5], "`") {
			if i%2 == 1 && !strings.Contains(source, quoted) {
				t.Errorf("%s: the code has no %q", line, quoted)
			}
		}
	}
	if rows < 50 {
		t.Errorf("%d rows", rows)
	}
}

// productSource returns the text of all Go files of the products.
func productSource(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{"core", "functions", "infra"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			b.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// boundName matches the names of constants that bound something.
var boundName = regexp.MustCompile(`^(max|Max|most|keep)[A-Z]|(Limit|Time|Timeout|Patience|Grace)$|^(patience|tries|perHost|grace)$`)

// boundsTable returns the last section of docs/limits.md.
func boundsTable(all bounds) string {
	var b strings.Builder
	b.WriteString("\n## Every bound in the code\n\n| File | Constant | Value | Meaning |\n|---|---|---|---|\n")
	var found []*bound
	for dir, known := range all {
		for _, c := range known {
			v := all.value(dir, c.value)
			if boundName.MatchString(c.name) && (v.Kind() == constant.Int || v.Kind() == constant.Unknown) && v.ExactString() != fmt.Sprint(math.MaxInt) {
				found = append(found, c)
			}
		}
	}
	slices.SortFunc(found, func(a, b *bound) int { return strings.Compare(a.file+" "+a.name, b.file+" "+b.name) })
	cell := strings.NewReplacer("|", "\\|", "\n", " ")
	for _, c := range found {
		fmt.Fprintf(&b, "| `%s` | `%s` | `%s` | %s |\n", c.file, c.name, cell.Replace(c.text), cell.Replace(c.comment))
	}
	return b.String()
}

// TestEveryBoundIsListed holds that the last table has every constant whose name says that
// it bounds something.
func TestEveryBoundIsListed(t *testing.T) {
	text, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	prose, was, _ := strings.Cut(string(text), "\n## Every bound in the code\n")
	table := boundsTable(readBounds(t))
	if *writeBounds {
		if err := os.WriteFile("../docs/limits.md", []byte(prose+table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if "\n## Every bound in the code\n"+was == table {
		return
	}
	for line := range strings.Lines(table) {
		if !strings.Contains(was, line) {
			t.Errorf("missing: %s", line)
		}
	}
	t.Error("the table differs from the code: go test ./tests -run TestEveryBound -write-bounds")
}
