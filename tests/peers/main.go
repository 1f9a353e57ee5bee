package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	aptless  string // the program; "" leaves it out
	packages int
	tiny     bool
	runs     int
	work     string
	peers    string
	keep     bool
	revision string // of aptless, for the table
}

func main() {
	var o options
	flag.StringVar(&o.aptless, "aptless", "bin/aptless", "program of aptless")
	flag.IntVar(&o.packages, "packages", 10_000, "packages of the repository and of the mirror, at least 10")
	flag.BoolVar(&o.tiny, "tiny", false, "packages of one file without compression, for repositories of 200,000")
	flag.IntVar(&o.runs, "runs", 5, "runs of each peer; the table has medians")
	flag.StringVar(&o.work, "work", os.TempDir(), "folder for packages and data of the peers; removed at the end")
	flag.StringVar(&o.peers, "peers", "aptless,aptly,reprepro", "peers to measure")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder of packages and data")
	flag.StringVar(&o.revision, "revision", "", "revision of aptless, for the report")
	flag.Parse()
	if err := bench(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// bench measures the peers and writes the table to out.
func bench(o options, out, progress io.Writer) (err error) {
	if o.packages < 10 || o.runs < 1 {
		return errors.New("at least 10 packages and one run are needed")
	}
	if _, err := exec.LookPath("gpg"); err != nil {
		return fmt.Errorf("gpg makes the key of all peers: %w", err)
	}
	peers, bins, absent, err := installed(o)
	if err != nil {
		return err
	}
	for _, line := range absent {
		fmt.Fprintln(progress, line)
	}
	work, err := os.MkdirTemp(o.work, "peers-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(progress, "packages and data are in", work)
	} else {
		defer os.RemoveAll(work)
	}
	fmt.Fprintf(progress, "making %d packages\n", o.packages+additional)
	w, err := newWorkload(filepath.Join(work, "workload"), o.packages, o.tiny)
	if err != nil {
		return err
	}
	defer w.close()
	results := newResults(progress)
	for n := range o.runs {
		for _, peer := range peers {
			if err := runPeer(peer, bins[peer], filepath.Join(work, fmt.Sprintf("%s-%d", peer, n)), w, results); err != nil {
				results.failed = append(results.failed, fmt.Sprintf("%s: %v", peer, err))
			}
		}
	}
	report(o, out, peers, bins, absent, results)
	if len(results.failed) > 0 {
		return fmt.Errorf("%d operations failed:\n%s", len(results.failed), strings.Join(results.failed, "\n"))
	}
	return nil
}

// report writes the table, after a line about each peer.
func report(o options, out io.Writer, peers []string, bins map[string]string, absent []string, results *results) {
	fmt.Fprintf(out, "%d packages, medians of %d runs, %s, %d processors. \"times\" is the time of a peer as a multiple of that of aptless.\n\n",
		o.packages, o.runs, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	for _, peer := range peers {
		line := version(bins[peer])
		if peer == "aptless" && o.revision != "" {
			line += ", revision " + o.revision
		}
		fmt.Fprintf(out, "* %s: %s\n", peer, line)
	}
	for _, line := range absent {
		fmt.Fprintf(out, "* %s\n", line)
	}
	fmt.Fprintln(out)
	results.table(out, peers)
}

// installed returns the peers that are measured, their programs, and a line about
// each absent one. An absent aptless is an error.
func installed(o options) (peers []string, bins map[string]string, absent []string, err error) {
	bins = map[string]string{}
	for peer := range strings.SplitSeq(o.peers, ",") {
		if !slices.Contains([]string{"aptless", "aptly", "reprepro"}, peer) {
			return nil, nil, nil, fmt.Errorf("unknown peer %q", peer)
		}
		name := peer
		if peer == "aptless" {
			name = o.aptless
		}
		bin, err := exec.LookPath(name)
		if err != nil && peer == "aptless" {
			return nil, nil, nil, fmt.Errorf("build aptless first: %w", err)
		}
		if err != nil {
			absent = append(absent, peer+" is not installed, so it is not measured")
			continue
		}
		if bin, err = filepath.Abs(bin); err != nil {
			return nil, nil, nil, err
		}
		peers, bins[peer] = append(peers, peer), bin
	}
	return peers, bins, absent, nil
}

// version returns the first line about the version of a program.
func version(bin string) string {
	for _, arg := range []string{"version", "--version"} {
		if data, err := exec.Command(bin, arg).CombinedOutput(); err == nil {
			line, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
			return line
		}
	}
	return "unknown version"
}

// runPeer measures one peer once, on fresh folders below root.
func runPeer(peer, bin, root string, w *workload, results *results) error {
	if peer == "reprepro" {
		var errs []error
		for _, contents := range []bool{false, true} {
			r := &reprepro{bin, filepath.Join(root, fmt.Sprint("contents-", contents)), w, results}
			errs = append(errs, r.runRepository(contents))
		}
		r := &reprepro{bin, filepath.Join(root, "mirror"), w, results}
		return errors.Join(append(errs, r.runMirror())...)
	}
	begin := newAptless
	if peer == "aptly" {
		begin = newAptly
	}
	var errs []error
	for _, part := range []struct {
		name string
		run  func(*server) error
	}{{"repository", (*server).runRepository}, {"mirror", (*server).runMirror}} {
		s, err := begin(bin, filepath.Join(root, part.name), w, results)
		if err == nil {
			err = part.run(s)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
