package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAcceptanceIsWhole: the table of docs/console.md has W1 to W18, and each test that it
// names exists.
func TestAcceptanceIsWhole(t *testing.T) {
	table, err := os.ReadFile("../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, pattern := range []string{"*_test.go", "../aws/console_test.go", "../../core/front/app/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || files == nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	for i := range 18 {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| W%d \|.*\|(.*)\|$`, i+1)).FindSubmatch(table)
		if row == nil {
			t.Errorf("W%d has no row", i+1)
			continue
		}
		names := regexp.MustCompile("`(\\w+)`").FindAllSubmatch(row[1], -1)
		if len(names) == 0 {
			t.Errorf("W%d has no test", i+1)
		}
		for _, name := range names {
			if !strings.Contains(source.String(), "\nfunc "+string(name[1])+"(") {
				t.Errorf("W%d: there is no %s", i+1, name[1])
			}
		}
	}
	for _, part := range []string{"W1 ", "W2 ", "W3 ", "W4 ", "W5 ", "W6 ", "W7 ", "W8 ", "W9 ", "W10 ", "W11 ", "W12 ", "W13 ", "W14 ", "W17 "} {
		if !regexp.MustCompile(`b\.part\(t, "[^"]*` + part).MatchString(source.String()) {
			t.Errorf("no part of a test is named %s", part)
		}
	}
}
