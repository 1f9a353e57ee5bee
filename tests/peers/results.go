package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// results collects the figures of operations.
type results struct {
	progress io.Writer
	names    []string                        // of the operations, in the order of their first figures
	found    map[string]map[string][]figures // by operation and peer
	failed   []string
}

func newResults(progress io.Writer) *results {
	return &results{progress: progress, found: map[string]map[string][]figures{}}
}

// add adds the figures of an operation, or its error.
func (r *results) add(peer, name string, f figures, err error) {
	if errors.Is(err, errLacks) {
		fmt.Fprintf(r.progress, "%-9s %-42s %v\n", peer, name, err)
		return
	}
	if err != nil {
		r.failed = append(r.failed, fmt.Sprintf("%s, %s: %v", peer, name, err))
		fmt.Fprintf(r.progress, "%-9s %-42s failed: %v\n", peer, name, err)
		return
	}
	fmt.Fprintf(r.progress, "%-9s %-42s %9.4f s %7.2f s CPU %5d MiB\n", peer, name, f.wall.Seconds(), f.cpu.Seconds(), f.peak>>20)
	if r.found[name] == nil {
		r.names = append(r.names, name)
		r.found[name] = map[string][]figures{}
	}
	r.found[name][peer] = append(r.found[name][peer], f)
}

// median returns the medians of each figure; ok is false without figures. Of an even
// number of figures it is the greater one in the middle.
func median(all []figures) (m figures, ok bool) {
	if len(all) == 0 {
		return m, false
	}
	middle := func(of func(figures) int64) int64 {
		values := make([]int64, len(all))
		for i, f := range all {
			values[i] = of(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figures{
		wall: time.Duration(middle(func(f figures) int64 { return int64(f.wall) })),
		cpu:  time.Duration(middle(func(f figures) int64 { return int64(f.cpu) })),
		peak: middle(func(f figures) int64 { return f.peak }),
	}, true
}

// table writes a Markdown table with the medians of aptless and of each other peer.
// The time of another peer is also a multiple of that of aptless.
func (r *results) table(w io.Writer, peers []string) {
	others := slices.DeleteFunc(slices.Clone(peers), func(p string) bool { return p == "aptless" })
	fmt.Fprintf(w, "| Operation | aptless: s | CPU s | MiB |")
	for _, p := range others {
		fmt.Fprintf(w, " %s: s | MiB | times |", p)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", 3+3*len(others)))
	for _, name := range r.names {
		own, ok := median(r.found[name]["aptless"])
		fmt.Fprintf(w, "| %s |", name)
		if ok {
			fmt.Fprintf(w, " %s | %.2f | %d |", seconds(own.wall), own.cpu.Seconds(), own.peak>>20)
		} else {
			fmt.Fprint(w, " | | |")
		}
		for _, p := range others {
			m, measured := median(r.found[name][p])
			switch {
			case !measured:
				fmt.Fprint(w, " | | |")
			case !ok:
				fmt.Fprintf(w, " %s | %d | |", seconds(m.wall), m.peak>>20)
			default:
				fmt.Fprintf(w, " %s | %d | %.1f |", seconds(m.wall), m.peak>>20, float64(m.wall)/float64(own.wall))
			}
		}
		fmt.Fprintln(w)
	}
}

// seconds writes a time with three digits that matter.
func seconds(d time.Duration) string {
	switch s := d.Seconds(); {
	case s >= 10:
		return fmt.Sprintf("%.1f", s)
	case s >= 1:
		return fmt.Sprintf("%.2f", s)
	case s >= 0.1:
		return fmt.Sprintf("%.3f", s)
	default:
		return fmt.Sprintf("%.4f", s)
	}
}
