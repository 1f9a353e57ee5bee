package simulation

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	first   = flag.Uint64("first", 1, "the first seed")
	seeds   = flag.Int("seeds", 0, "number of seeds; 0 is the number of a short test")
	every   = flag.Int("every", 1, "run every n-th seed")
	plan    = flag.String("plan", "", "run this plan only, as a failure prints it")
	small   = flag.Bool("shrink", true, "shrink failures")
	whole   = flag.Bool("trail", false, "print all steps of a failure")
	lasting = flag.Duration("lasting", 0, "end after this time; 0 is never")
	part    = flag.Bool("part", false, "print the report as JSON; for a process that runs a part of the seeds")
	swarm   = flag.Bool("swarm", false, "run the seeds in one process for each processor, instead of the tests")
	mutants = flag.String("mutants", "", "build and run the mutants whose condition matches the pattern, instead of the tests")
	focused = flag.String("focus", "", "run only seeds with this focus")
	enough  = flag.Int("enough", 0, "end after this number of failures; 0 is never")
	rewrite = flag.Bool("write-killers", false, "search the killers of mutants anew, and write them into killers.go and docs/guarantees.md")
	saysAll = flag.Bool("announce", false, "print each seed before its run")
)

// maxHeap bounds the memory of a run, in bytes. Most runs have some 40 MiB of garbage.
const maxHeap = 256 << 20

// TestMain has one processor run the goroutines. Equal plans then have equal runs. A
// collection of garbage interrupts a goroutine, and another one may overtake it. So
// garbage is collected between runs.
func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	switch {
	case *swarm:
		err = runSwarm()
	case *mutants != "":
		err = runMutants(*mutants, *rewrite)
	default:
		runtime.GOMAXPROCS(1)
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(maxHeap)
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// many returns the number of seeds that a test runs.
func many(short, long int) int {
	switch {
	case *seeds > 0:
		return *seeds
	case testing.Short():
		return short
	}
	return long
}

// fixtures returns the objects that all runs share. Their keys are the same in each
// process, so that a seed that fails in one fails in another.
func fixtures(t *testing.T) *Fixtures {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 0)
	f, err := NewFixtures()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRunsKeepTheInvariants runs a number of seeds, or a part of them for a swarm.
func TestRunsKeepTheInvariants(t *testing.T) {
	f, report := fixtures(t), NewReport()
	if *plan != "" {
		var p Plan
		if err := json.Unmarshal([]byte(*plan), &p); err != nil {
			t.Fatal(err)
		}
		t.Log(describe(Run(t, f, p, report.Coverage)))
		return
	}
	begun := time.Now()
	next := *first
	for n := 0; n < many(300, 4000); n += *every {
		p := PlanOf(next)
		for ; *focused != "" && p.Focus != *focused; p = PlanOf(next) {
			next++
		}
		next += uint64(*every)
		if *saysAll {
			fmt.Printf("seed %d\n", p.Seed)
		}
		r := Run(t, f, p, report.Coverage)
		report.Add(r)
		if r.Failure != "" {
			if *small && len(report.Failed) <= 3 {
				r = Shrink(r.Plan, func(p Plan) Result { return Run(t, f, p, NewCoverage()) })
			}
			t.Error(describe(r))
		}
		if *enough > 0 && len(report.Failed) >= *enough || *lasting > 0 && time.Since(begun) > *lasting {
			break
		}
	}
	if *part {
		data, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\nreport: %s\n", data)
		return
	}
	t.Log(report)
}

// describe describes a failure.
func describe(r Result) string {
	trail := r.Trail()
	n := 30
	if *whole {
		n = len(trail)
	}
	data, _ := json.Marshal(r.Plan) // a plan always marshals
	return fmt.Sprintf("%v\n-plan='%s'\nafter %d steps: %s\n%s", r.Plan, data, r.Steps, r.Failure, strings.Join(trail[max(0, len(trail)-n):], "\n"))
}

// TestEqualPlansHaveEqualRuns holds that a failure can be repeated.
func TestEqualPlansHaveEqualRuns(t *testing.T) {
	f := fixtures(t)
	for n := range many(40, 200) {
		plan := PlanOf(*first + uint64(n))
		r, again := Run(t, f, plan, NewCoverage()), Run(t, f, plan, NewCoverage())
		if r.Hash == again.Hash {
			continue
		}
		since := max(begin(r), begin(again))
		one, other := steps(r, since), steps(again, since)
		i := 0
		for i < min(len(one), len(other)) && one[i] == other[i] {
			i++
		}
		t.Errorf("%v differs after %d of %d and %d lines:\n%s\neither\n%s\nor\n%s", plan, i, len(one), len(other), excerpt(one, i-10, i), excerpt(one, i, i+3), excerpt(other, i, i+3))
	}
}

// begin returns the step of the first line that a trail has kept.
func begin(r Result) int { return r.trail[0].step }

// steps returns the lines of the trail since a step that equal runs have in common.
func steps(r Result, since int) []string {
	var all []string
	for _, l := range r.trail {
		if l.step > since && l.words[0] != "answer" {
			all = append(all, l.String())
		}
	}
	return all
}

// excerpt returns the lines from a to b.
func excerpt(lines []string, a, b int) string {
	return strings.Join(lines[min(max(a, 0), len(lines)):min(b, len(lines))], "\n")
}

// TestRunLeavesTheFixturesAlone holds that a run does not depend on the runs before it in
// its process. All runs share the packages. An operation that adds one to those of its
// plan has a copy.
func TestRunLeavesTheFixturesAlone(t *testing.T) {
	all := stockOf()
	for names := range len(all)/versions + 1 {
		c := &client{w: &World{stock: all, Plan: Plan{Names: names}}}
		_ = append(c.stock(), pack{key: "another"})
		if again := stockOf(); !slices.EqualFunc(all, again, func(a, b pack) bool { return a.key == b.key }) {
			t.Fatalf("with %d names, a run changes the packages of later runs", names)
		}
	}
}

// TestShrinkKeepsTheFailure takes the death of a process for a failure. One fault and a
// few requests cause it, and the smaller plan can be repeated.
func TestShrinkKeepsTheFailure(t *testing.T) {
	f := fixtures(t)
	run := func(p Plan) Result {
		r := Run(t, f, p, NewCoverage())
		if r.Failure == "" && strings.Contains(strings.Join(r.Trail(), "\n"), CrashAfter.String()) {
			r.Failure = "a process has died"
		}
		return r
	}
	seed := uint64(1)
	for PlanOf(seed).Focus != "" || !early(run(PlanOf(seed))) {
		seed++
	}
	small := Shrink(PlanOf(seed), run)
	if small.Faults > 2 || small.Plan.Clients*small.Plan.Requests-len(small.Plan.NoRequest) > 3 {
		t.Errorf("%v with %d faults is not small", small.Plan, small.Faults)
	}
	if again := run(small.Plan); again.Hash != small.Hash || again.Failure != small.Failure {
		t.Errorf("%v fails by %q, then by %q", small.Plan, small.Failure, again.Failure)
	}
}

// early reports whether a run fails by the death of a process within 150 steps. A step of
// each seed is that of the death, and few requests do not reach a late one.
func early(r Result) bool {
	return r.Failure != "" && slices.ContainsFunc(r.trail, func(l line) bool { return l.step <= 150 && slices.Contains(l.words, CrashAfter.String()) })
}

// TestKillingSeedsPass holds that the seeds which fail without a protective condition
// pass with it.
func TestKillingSeedsPass(t *testing.T) {
	f := fixtures(t)
	seeds := map[uint64]string{}
	for _, c := range Changes() {
		if k := c.killer(); k.seed > 0 {
			seeds[k.seed] = c.Name
		}
	}
	for _, seed := range slices.Sorted(maps.Keys(seeds)) {
		if r := Run(t, f, PlanOf(seed), NewCoverage()); r.Failure != "" {
			t.Errorf("%s: %s", seeds[seed], describe(r))
		}
	}
}

// TestFoundFaultsStayMended repeats runs that have shown faults.
//
//   - 178: tasks waited for ever. The message of the first one followed that of the last.
//     A delivery of the last one started the second task only, which waited, too.
//   - 10871: the manifest of a dropped publication was deleted, and the write after it
//     failed. The next attempt left the row of staged objects.
//   - 318: a collection waited for a check of the storage from before its epoch, and the
//     check waited for the lock of the collection.
//   - 112: an import from the drop box ended before its claims were written. They stayed,
//     and the same file put again was taken no more.
//   - 5061: an update of a mirror went on after a death, and lacked a file that the archive
//     had replaced. The mirror had a part of the packages of the former Release.
//   - 1417, 2487, 3535: attempts that had stood still put files of dropped publications,
//     which stayed.
//   - 2224: a message could start a task that waited for one of another group, and was
//     delivered each second.
//   - 1615: an attempt at an update staged a change and died. The change was taken back, and
//     the next attempt found nothing to do. The row of staged objects stayed.
//   - 5766: the removal of an export was cancelled between its row and its object.
//   - 101979: a publication was dropped by force, and its InRelease could not be removed.
//     The drop of another one removed package files that the InRelease named.
//   - 109978: an update of a snapshot's publication read the row of a repository, for which
//     it had no lock.
//   - 107430: an attempt at an export that was overtaken put its objects after the export
//     was removed.
//   - 881113: a task that was to finish an update paid the debt of a drop under the same name.
func TestFoundFaultsStayMended(t *testing.T) {
	f := fixtures(t)
	for _, seed := range []uint64{178, 10871, 318, 112, 5061, 2224, 1417, 2487, 3535, 1615, 5766, 101979, 109978, 107430, 881113} {
		if r := Run(t, f, PlanOf(seed), NewCoverage()); r.Failure != "" {
			t.Error(describe(r))
		}
	}
}
