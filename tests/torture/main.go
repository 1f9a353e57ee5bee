package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	aptless string // the program; "" leaves it out
	aptly   string
	servers []string // name=command
	writers int
	kills   int
	between time.Duration // mean time between two kills
	seed    uint64
	work    string
	async   bool
	verbose bool
}

func main() {
	var o options
	flag.StringVar(&o.aptless, "aptless", "bin/aptless", "program of aptless; empty for none")
	flag.StringVar(&o.aptly, "aptly", "/usr/bin/aptly", "program of aptly, if it is installed; empty for none")
	flag.Func("server", "another server as 'name=command', with {addr} and {root}; may be given several times", func(text string) error {
		o.servers = append(o.servers, text)
		return nil
	})
	flag.IntVar(&o.writers, "writers", 6, "concurrent writers")
	flag.IntVar(&o.kills, "kills", 20, "how often the server is killed")
	flag.DurationVar(&o.between, "between", 3*time.Second, "mean time between two kills")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the times of kills")
	flag.StringVar(&o.work, "work", os.TempDir(), "folder for the data of the servers")
	flag.BoolVar(&o.async, "async", true, "run each server a second time, with asynchronous requests whose tasks are waited for")
	flag.BoolVar(&o.verbose, "v", false, "print the first reasons of each kind of damage")
	flag.Parse()
	if _, err := torture(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

// candidate is a server to torture.
type candidate struct {
	name  string
	argv  []string // with {addr} and {root}
	async bool
}

// candidates returns the installed servers, and a line about each absent one.
func candidates(o options) (found []candidate, absent []string, err error) {
	for _, built := range []struct{ name, bin, args string }{
		{"aptless", o.aptless, "serve --listen {addr} --data {root}"},
		{"aptly", o.aptly, "api serve -listen {addr} -config {root}.conf"},
	} {
		if built.bin == "" {
			continue
		}
		bin, err := exec.LookPath(built.bin)
		if err != nil {
			absent = append(absent, built.name+" is not installed at "+built.bin+", so it is left out")
			continue
		}
		if bin, err = filepath.Abs(bin); err != nil {
			return nil, nil, err
		}
		found = append(found, candidate{name: built.name, argv: append([]string{bin}, strings.Fields(built.args)...)})
	}
	for _, text := range o.servers {
		name, command, ok := strings.Cut(text, "=")
		argv := strings.Fields(command)
		if !ok || name == "" || len(argv) == 0 || !strings.Contains(command, "{addr}") || !strings.Contains(command, "{root}") {
			return nil, nil, fmt.Errorf("%q is not name=command with {addr} and {root}", text)
		}
		found = append(found, candidate{name: name, argv: argv})
	}
	if o.async {
		for _, c := range slices.Clone(found) {
			found = append(found, candidate{c.name + ", async", c.argv, true})
		}
	}
	return found, absent, nil
}

// torture runs each server and writes the table to out.
func torture(o options, out, progress io.Writer) ([]counts, error) {
	if o.writers < 1 || o.kills < 0 || o.between <= 0 {
		return nil, errors.New("at least one writer, no kill or more, and a time between kills are needed")
	}
	servers, absent, err := candidates(o)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(o.work, "torture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	var all []counts
	for n, c := range servers {
		s, err := newServer(c, filepath.Join(work, fmt.Sprint(n)), key)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(progress, "%s: %d writers, %d kills\n", c.name, o.writers, o.kills)
		found, err := newRun(s, o, progress).all()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if o.verbose {
			for _, line := range found.reasons {
				fmt.Fprintln(progress, c.name+":", line)
			}
		}
		all = append(all, found)
	}
	fmt.Fprintf(out, "%d writers, %d kills with a mean of %v between them, %s\n\n", o.writers, o.kills, o.between, time.Now().UTC().Format(time.DateOnly))
	for _, line := range absent {
		fmt.Fprintf(out, "%s\n\n", line)
	}
	table(out, all)
	return all, nil
}

// table writes a column for each server.
func table(out io.Writer, all []counts) {
	row := func(name string, cell func(c counts) string) {
		fmt.Fprintf(out, "| %s |", name)
		for _, c := range all {
			fmt.Fprintf(out, " %s |", cell(c))
		}
		fmt.Fprintln(out)
	}
	row("", func(c counts) string { return c.server })
	row("---", func(counts) string { return "---" })
	for _, line := range []struct {
		name string
		n    func(c counts) int
	}{
		{"Packages acknowledged", func(c counts) int { return c.imported }},
		{"Publications acknowledged", func(c counts) int { return c.published }},
		{"Reads by hash", func(c counts) int { return c.reads[byHash] }},
		{"Reads of plain names", func(c counts) int { return c.reads[plain] }},
		{"Kills", func(c counts) int { return c.kills }},
		{"**Lost packages**", func(c counts) int { return c.lost }},
		{"**Lost from a publication** that was acknowledged", func(c counts) int { return c.stale }},
		{"**Mixed reads by hash**", func(c counts) int { return c.mixed[byHash] }},
		{"**Mixed reads of plain names**", func(c counts) int { return c.mixed[plain] }},
		{"**Missing package files**", func(c counts) int { return c.missing }},
		{"**Refused requests**: 409", func(c counts) int { return c.conflicts }},
		{"**Refused requests**: 5xx and other 4xx", func(c counts) int { return c.failed }},
		{"**Requests given up** after 100 refusals", func(c counts) int { return c.givenUp }},
		{"**Starts that needed repair**", func(c counts) int { return c.repairs }},
	} {
		row(line.name, func(c counts) string { return fmt.Sprint(line.n(c)) })
	}
	row("Longest time from a start to the first acknowledged change, s", func(c counts) string { return fmt.Sprintf("%.1f", c.wait.Seconds()) })
}
