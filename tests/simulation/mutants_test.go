package simulation

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// moduleRoot returns the folder of the module.
func moduleRoot() (string, error) { return filepath.Abs("../..") }

// TestMutantsFit holds that the source has the conditions that mutants remove.
func TestMutantsFit(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Changes() {
		if _, err := c.texts(root); err != nil {
			t.Error(err)
		}
		if len(c.Mutants) == 0 {
			t.Errorf("%s has no mutants", c.Name)
		}
	}
	if _, err := switched(root, Changes()); err != nil {
		t.Error(err)
	}
}

// TestUnreachedSitesAreThere holds that each reason is about call sites of the source.
func TestUnreachedSitesAreThere(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	sites, err := Sites(root)
	if err != nil {
		t.Fatal(err)
	}
	for begin := range unreached {
		if !slices.ContainsFunc(sites, func(s string) bool { return strings.HasPrefix(s, begin) }) {
			t.Errorf("no call site begins with %s", begin)
		}
	}
}

// runMutants builds a program with all mutants, and runs it for each that matches the
// pattern. It is an error if no seed fails.
func runMutants(pattern string) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := overlay(root, dir, Changes())
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "simulation.test")
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-vet=off", "-overlay", files, "-o", program, "./tests/simulation")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	var errs []error
	for n, c := range Changes() {
		if wanted.MatchString(c.Name) {
			errs = append(errs, runMutant(program, filepath.Join(root, "tests/simulation"), n+1, c))
		}
	}
	if len(errs) == 0 {
		return fmt.Errorf("no mutant matches %s", pattern)
	}
	return errors.Join(errs...)
}

// runMutant runs the change with that number, and prints a row of a table with the seeds
// that fail.
func runMutant(program, dir string, number int, m Change) error {
	begun, tried := time.Now(), many(200, 200)
	var killed []string
	var out string
	for _, seeds := range [][]string{{fmt.Sprintf("-first=%d", m.seed()), "-seeds=1"}, {fmt.Sprintf("-seeds=%d", tried), "-focus=" + m.focus()}} {
		if seeds[0] == "-first=0" {
			continue // no seed is known
		}
		run := exec.Command(program, append(seeds, "-test.run=^TestRunsKeepTheInvariants$", "-test.timeout=10m", "-enough=1", "-shrink=false")...)
		run.Dir, run.Env = dir, append(os.Environ(), fmt.Sprintf("%s=%d", switchedBy, number))
		data, _ := run.CombinedOutput() // a mutant that is killed exits with an error
		out = string(data)
		if killed = seedsOf(out); len(killed) > 0 {
			break
		}
	}
	why := reason(out)
	if by := m.backed(); by != "" && len(killed) == 0 {
		why = "backed by: " + by
	}
	fmt.Printf("| %s | %s | %s | %v |\n", m.Name, strings.Join(killed, ", "), why, time.Since(begun).Round(time.Second))
	if len(killed) == 0 && m.backed() == "" {
		return fmt.Errorf("%s: survives %d seeds\n%s", m.Name, tried, tail(out))
	}
	return nil
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
