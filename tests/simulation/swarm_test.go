package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// runSwarm runs many seeds in one process for each processor, and prints the sum. The
// error has the failures.
func runSwarm() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	workers, number := runtime.NumCPU(), many(1000, 4000)
	reports, errs := make([]*Report, workers), make([]error, workers)
	var all sync.WaitGroup
	begun := time.Now()
	for n := range workers {
		all.Go(func() { reports[n], errs[n] = runPart(program, n, workers, number) })
	}
	all.Wait()
	sum := NewReport()
	for _, r := range reports {
		sum.Join(r)
	}
	sites, err := Sites(root)
	if err != nil {
		return err
	}
	uncalled, unharmed := sum.Coverage.Missed(sites)
	fmt.Printf("%d call sites of ports in the source; not called: %d %v\nwithout a fault: %d %v\n", len(sites), len(uncalled), uncalled, len(unharmed), unharmed)
	errs = append(errs, sum.verdict(sites)...)
	fmt.Print(sum.Table(), sum.Harms())
	fmt.Printf("calls without a fault that they can have: %v\n", sum.Coverage.UnmetSites())
	took := time.Since(begun)
	fmt.Printf("%v\n%v of real time with %d processors: %.0f operations a second\n", sum, took.Round(time.Second), workers, float64(sum.Counts.Requests+sum.Counts.Reads)/took.Seconds())
	return errors.Join(errs...)
}

// runPart runs every seed of worker n in a process. The report is empty if the process
// printed none.
func runPart(program string, n, workers, number int) (*Report, error) {
	c := exec.Command(program, "-test.run=^TestRunsKeepTheInvariants$", "-test.timeout=0", "-part", fmt.Sprintf("-every=%d", workers),
		fmt.Sprintf("-first=%d", *first+uint64(n)), fmt.Sprintf("-seeds=%d", number-n), fmt.Sprintf("-trail=%t", *whole), fmt.Sprintf("-lasting=%v", *lasting), "-focus="+*focused, "-shrink=false")
	out, err := c.CombinedOutput()
	report := NewReport()
	text, rest, found := bytes.Cut(out, []byte("\nreport: "))
	if err == nil && !found {
		err = errors.New("no report")
	}
	if err != nil {
		err = fmt.Errorf("%s\n%w", text, err)
	}
	if line, _, _ := bytes.Cut(rest, []byte("\n")); found {
		err = errors.Join(err, json.Unmarshal(line, report))
	}
	return report, err
}
