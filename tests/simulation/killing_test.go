package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestKillersAreThoseOfThePage holds that docs/guarantees.md has the table of the killers,
// and that every change has a killer or is backed.
func TestKillersAreThoseOfThePage(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(guarantees(root))
	if err != nil {
		t.Fatal(err)
	}
	if table := killingTable(killers); !strings.Contains(string(page), table) {
		t.Errorf("docs/guarantees.md has another table than\n%s", table)
	}
	names := map[string]bool{}
	for _, c := range Changes() {
		names[c.Name] = true
		if (c.killer().seed == 0) != (c.backed() != "") {
			t.Errorf("%s: killer %v, backed by %q", c.Name, c.killer(), c.backed())
		}
	}
	for name := range killers {
		if !names[name] {
			t.Errorf("%s is no condition", name)
		}
	}
}

// TestKillsAreHonest reads the verdicts of processes that run seeds.
func TestKillsAreHonest(t *testing.T) {
	for _, c := range []struct {
		out  string
		want tried
	}{
		{"seed 1\nseed 4\n\nreport: {\"Counts\":{\"Seeds\":2},\"Failed\":[{\"Seed\":4,\"Violation\":\"a row dangles\"}]}\nFAIL\n", tried{2, 4, "a row dangles"}},
		{"seed 1\nseed 4\n\nreport: {\"Counts\":{\"Seeds\":2}}\n", tried{runs: 2}},
		{"seed 1\nseed 4\npanic: index out of range [recovered]\n\ngoroutine 1\n", tried{2, 4, "panic: index out of range [recovered]"}},
		{"seed 1\nfatal error: all goroutines are asleep\n", tried{1, 1, "fatal error: all goroutines are asleep"}},
	} {
		if got, err := verdict(c.out); err != nil || got != c.want {
			t.Errorf("%q: %v, %v, want %v", c.out, got, err, c.want)
		}
	}
	for _, out := range []string{"", "seed 1\n", "panic: no fixtures\n", "signal: killed\n"} {
		if got, err := verdict(out); err == nil {
			t.Errorf("%q: %v and no error", out, got)
		}
	}
}

// runMutants builds a program with all mutants, and runs it for each change that matches
// the pattern, one on each processor. It prints a row for each, in order. It is an error
// if a change survives that no condition backs.
func runMutants(pattern string, write bool) error {
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
	h := &hunt{dir: filepath.Join(root, "tests/simulation"), program: filepath.Join(dir, "simulation.test"), anew: write}
	if err := h.build(root, dir); err != nil {
		return err
	}
	begun := time.Now()
	slots, results := make(chan bool, runtime.NumCPU()), []chan found{}
	for n, c := range Changes() {
		result := make(chan found, 1)
		results = append(results, result)
		if !wanted.MatchString(c.Name) {
			close(result)
			continue
		}
		go func() {
			slots <- true
			defer func() { <-slots }()
			result <- h.kill(n+1, c)
		}()
	}
	fmt.Print(tableHead)
	all, sum := maps.Clone(killers), sums{}
	for n, c := range Changes() {
		if f, ok := <-results[n]; ok {
			fmt.Print(c.row(f.killer))
			sum.add(c, f)
			all[c.Name] = f.killer
			if f.seed == 0 {
				delete(all, c.Name)
			}
		}
	}
	fmt.Printf("\n%d killed, %d backed, %d survive, in %v with %d processors\n", sum.killed, sum.backed, len(sum.errs), time.Since(begun).Round(time.Second), runtime.NumCPU())
	if sum.killed+sum.backed+len(sum.errs) == 0 {
		return fmt.Errorf("no mutant matches %s", pattern)
	}
	if write {
		sum.errs = append(sum.errs, writeKillers(root, all))
	}
	return errors.Join(sum.errs...)
}

// sums are the outcomes of changes.
type sums struct {
	killed, backed int
	errs           []error // of changes that survive
}

func (s *sums) add(c Change, f found) {
	switch {
	case f.seed > 0:
		s.killed++
	case f.err == nil && c.backed() != "":
		s.backed++
	default:
		s.errs = append(s.errs, fmt.Errorf("%s survives %d runs: %w", c.Name, f.tried, f.err))
	}
}

// hunt searches the killers of changes.
type hunt struct {
	program string // that has all mutants
	dir     string // in which it runs
	anew    bool   // no killer is known
}

// found is the outcome of a search. Its seed is 0 if no run was a kill.
type found struct {
	killer
	err error
}

// build builds the program.
func (h *hunt) build(root, dir string) error {
	files, err := overlay(root, dir, Changes())
	if err != nil {
		return err
	}
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-vet=off", "-overlay", files, "-o", h.program, "./tests/simulation")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

var errNone = errors.New("no run fails")

// kill tries the known killer of a change, then every seed of its focus.
func (h *hunt) kill(number int, c Change) found {
	if k := c.killer(); k.seed > 0 && !h.anew {
		if violation, err := h.kills(number, k.seed); err == nil {
			return found{killer{k.seed, k.tried, violation}, nil}
		}
	}
	f := found{}
	for first := uint64(1); f.tried < mostTried; {
		got, err := h.run(number, fmt.Sprintf("-first=%d", first), fmt.Sprintf("-seeds=%d", mostTried-f.tried), "-focus="+c.focus())
		f.tried += got.runs
		if err != nil {
			f.err = errors.Join(f.err, err)
			return f
		}
		if got.seed == 0 {
			break
		}
		violation, err := h.kills(number, got.seed)
		if err == nil {
			return found{killer{got.seed, f.tried, violation}, nil}
		}
		f.err, first = errors.Join(f.err, err), got.seed+1
	}
	if f.err == nil && c.backed() == "" {
		f.err = errNone
	}
	return f
}

// kills returns the violation of a seed without a condition. It is an error if the seed
// passes, or fails with the condition, too.
func (h *hunt) kills(number int, seed uint64) (violation string, err error) {
	one := []string{fmt.Sprintf("-first=%d", seed), "-seeds=1"}
	without, err := h.run(number, one...)
	if err != nil {
		return "", err
	}
	if without.seed != seed {
		return "", fmt.Errorf("seed %d passes when it is repeated", seed)
	}
	with, err := h.run(0, one...)
	if err != nil {
		return "", err
	}
	if with.seed == seed {
		return "", fmt.Errorf("seed %d fails with the condition, too: %s", seed, with.violation)
	}
	return inShort(without.violation), nil
}

// longestSearch bounds the processes of a search. A search that takes longer is no kill.
const longestSearch = 10 * time.Minute

// run runs seeds in a process with the change of a number until one fails.
func (h *hunt) run(number int, seeds ...string) (tried, error) {
	ctx, cancel := context.WithTimeout(context.Background(), longestSearch)
	defer cancel()
	run := exec.CommandContext(ctx, h.program, append(seeds, "-test.run=^TestRunsKeepTheInvariants$", "-test.timeout=0", "-enough=1", "-shrink=false", "-part", "-announce")...)
	run.Dir, run.Env = h.dir, append(os.Environ(), fmt.Sprintf("%s=%d", switchedBy, number))
	out, _ := run.CombinedOutput() // a process with a failure exits with an error
	if ctx.Err() != nil {
		return tried{}, fmt.Errorf("the runs do not end within %v, after %d runs", longestSearch, len(announced.FindAll(out, -1)))
	}
	return verdict(string(out))
}

// tried is the outcome of a process that runs seeds. The last seed has failed, 0 if none has.
type tried struct {
	runs      int
	seed      uint64
	violation string
}

var (
	announced = regexp.MustCompile(`(?m)^seed (\d+)$`)
	crashes   = regexp.MustCompile(`(?m)^(panic|fatal error): .*$`)
)

// verdict reads the output of a process: its report, or the panic that ended it.
func verdict(out string) (tried, error) {
	seeds := announced.FindAllStringSubmatch(out, -1)
	if _, text, ok := strings.Cut(out, "\nreport: "); ok {
		line, _, _ := strings.Cut(text, "\n")
		r := NewReport()
		if err := json.Unmarshal([]byte(line), r); err != nil {
			return tried{}, err
		}
		got := tried{runs: r.Counts.Seeds}
		if len(r.Failed) > 0 {
			got.seed, got.violation = r.Failed[0].Seed, r.Failed[0].Violation
		}
		return got, nil
	}
	message := crashes.FindString(out)
	if len(seeds) == 0 || message == "" {
		return tried{}, fmt.Errorf("a process has ended without a report: %s", tail(out))
	}
	seed, err := strconv.ParseUint(seeds[len(seeds)-1][1], 10, 64)
	return tried{len(seeds), seed, message}, err
}

// tail returns the last bytes of an output.
func tail(out string) string { return out[max(0, len(out)-800):] }
