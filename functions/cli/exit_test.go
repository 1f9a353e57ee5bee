package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestExitCodesAreDocumented holds that docs/reference/cli.md and docs/cli.md have a row for
// success and for each constant of exit.go, and no other.
func TestExitCodesAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[int]bool{0: true}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "code") {
			return true
		}
		code, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		codes[code] = true
		return true
	})
	if len(codes) < 9 {
		t.Errorf("%d codes", len(codes))
	}
	var want []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		want = append(want, strconv.Itoa(code))
	}
	for _, name := range []string{"../../docs/reference/cli.md", "../../docs/cli.md"} {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| .+ \|$`).FindAllSubmatch(page, -1) {
			got = append(got, string(row[1]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the codes %q, the program %q", name, got, want)
		}
	}
}
