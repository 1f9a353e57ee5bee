package tests

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTableOfSecurityNamesTests: each test that docs/security.md names is in the tree, and
// the numbers of negative tests and acceptances have no gap. A1 is all tests of clients.
func TestTableOfSecurityNamesTests(t *testing.T) {
	data, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(source), -1) {
			declared[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+)`")
	for _, m := range named.FindAllStringSubmatch(string(data), -1) {
		if !declared[m[1]] {
			t.Errorf("%s is not in the tree", m[1])
		}
	}
	for kind, numbers := range map[string][2]int{"N": {1, 63}, "A": {2, 11}} {
		for i := numbers[0]; i <= numbers[1]; i++ {
			row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| %s%d \\| .*`(Test|Fuzz)\\w+`.* \\|$", kind, i))
			if !row.Match(data) {
				t.Errorf("%s%d has no test", kind, i)
			}
		}
	}
}
