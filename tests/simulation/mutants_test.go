package simulation

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	mutants = flag.String("mutants", "", "build and run the mutants whose condition matches the pattern")
	enough  = flag.Int("enough", 0, "end after this number of failures; 0 is never")
)

// moduleRoot returns the folder of the module.
func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestMutantsFit holds that the source has the conditions that mutants remove.
func TestMutantsFit(t *testing.T) {
	root := moduleRoot(t)
	for _, c := range Changes() {
		if _, err := c.texts(root); err != nil {
			t.Error(err)
		}
		if len(c.Mutants) == 0 {
			t.Errorf("%s has no mutants", c.Name)
		}
	}
}

// TestMutants builds each mutant and requires that a seed fails.
func TestMutants(t *testing.T) {
	if *mutants == "" {
		t.Skip("make mutants runs it")
	}
	wanted, root := regexp.MustCompile(*mutants), moduleRoot(t)
	for _, m := range Changes() {
		if !wanted.MatchString(m.Name) {
			continue
		}
		begun := time.Now()
		dir := t.TempDir()
		overlay, err := m.overlay(root, dir)
		if err != nil {
			t.Error(err)
			continue
		}
		program := filepath.Join(dir, "simulation.test")
		build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-vet=off", "-overlay", overlay, "-o", program, "./tests/simulation")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", m.Name, err, out)
			continue
		}
		run := exec.Command(program, "-test.run=^TestRunsKeepTheInvariants$", "-test.timeout=10m", "-enough=1", "-shrink=false", fmt.Sprintf("-seeds=%d", many(200, 200)))
		run.Dir = filepath.Join(root, "tests/simulation")
		out, _ := run.CombinedOutput() // a mutant that is killed exits with an error
		killed := seedsOf(string(out))
		if len(killed) == 0 {
			t.Errorf("%s: survives %d seeds\n%s", m.Name, many(200, 200), tail(string(out)))
		}
		fmt.Fprintf(os.Stderr, "| %s | %s | %s | %v |\n", m.Name, strings.Join(killed, ", "), reason(string(out)), time.Since(begun).Round(time.Second))
	}
}

// tail returns the last bytes of an output.
func tail(out string) string { return out[max(0, len(out)-800):] }

// seedsOf returns the seeds whose failures an output describes. A run that does not end
// counts, too.
func seedsOf(out string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`seed (\d+): \d+ clients`).FindAllStringSubmatch(out, -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 && strings.Contains(out, "panic: ") {
		all = append(all, "panic")
	}
	return all
}

// reason returns the first violation that an output describes.
func reason(out string) string {
	m := regexp.MustCompile(`after \d+ steps: ([^\n]*)`).FindStringSubmatch(out)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(m[1][:min(len(m[1]), 140)], "|", "/")
}
