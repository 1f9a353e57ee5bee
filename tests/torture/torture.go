package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// counts are the figures of one server.
type counts struct {
	server              string
	imported, published int
	reads, mixed        [modes]int
	kills               int
	lost                int // acknowledged packages that a repository or its last tree lacks
	stale               int
	missing             int
	conflicts, failed   int
	givenUp             int
	repairs             int
	wait                time.Duration // the longest from a start to the first acknowledged change
	reasons             []string      // the first ones of each kind
}

// damage is the sum of all that a client or reader should never see. Refusals are not in it.
func (c counts) damage() int {
	return c.lost + c.stale + c.mixed[byHash] + c.missing + c.repairs + c.givenUp
}

// repositories are the local repositories, each published under its name. The distribution
// snap publishes snapshots of the first.
func repositories() []string { return []string{"one", "two"} }

const switched = "snap"

// distributions are the publications.
func distributions() []string { return append(repositories(), switched) }

// run is the torture of one server.
type run struct {
	*server
	tree     tree
	options  options
	progress io.Writer
	pause    time.Duration // after a refusal
	rng      *rand.Rand
	gate     sync.RWMutex // writers hold it for reading during a request; the killer closes it
	killing  atomic.Bool  // requests fail because the server is down

	mu        sync.Mutex // guards the fields below
	counts    counts
	acked     map[string]map[string]bool // packages by repository
	published map[string]map[string]bool // packages by distribution
	stale     map[string]bool            // packages that publications lacked, by distribution and name
	said      map[string]int             // reasons told, by kind
	since     time.Time                  // the last start; zero if a change was acknowledged since
}

func newRun(s *server, o options, progress io.Writer) *run {
	r := &run{server: s, tree: tree{s, filepath.Join(s.root, "public")}, options: o, progress: progress, pause: 10 * time.Millisecond, rng: rand.New(rand.NewPCG(o.seed, 1)),
		counts: counts{server: s.name}, acked: map[string]map[string]bool{}, published: map[string]map[string]bool{}, stale: map[string]bool{}, said: map[string]int{}}
	for _, name := range distributions() {
		r.acked[name], r.published[name] = map[string]bool{}, map[string]bool{}
	}
	return r
}

// note counts by the function and keeps the first reasons of a kind.
func (r *run) note(kind string, reason error, count func(c *counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count(&r.counts)
	if r.said[kind]++; reason != nil && r.said[kind] <= 3 {
		r.counts.reasons = append(r.counts.reasons, kind+": "+reason.Error())
	}
}

// acknowledged notes a change that an answer has promised.
func (r *run) acknowledged(count func(c *counts)) {
	r.note("", nil, func(c *counts) {
		count(c)
		if !r.since.IsZero() {
			c.wait, r.since = max(c.wait, time.Since(r.since)), time.Time{}
		}
	})
}

// all runs the torture to its end.
func (r *run) all() (counts, error) {
	defer r.kill()
	if err := r.start(); err != nil {
		return r.counts, err
	}
	if err := r.prepare(); err != nil {
		return r.counts, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var writers, readers sync.WaitGroup
	for n := range r.options.writers {
		w := &writer{run: r, n: n, repo: repositories()[n%len(repositories())]}
		writers.Go(func() { w.write(ctx) })
	}
	reading, end := context.WithCancel(context.Background())
	for m := range modes {
		readers.Go(func() { r.readAll(reading, m) })
	}
	defer func() { stop(); end(); writers.Wait(); readers.Wait() }()
	for range r.options.kills {
		time.Sleep(r.options.between/2 + time.Duration(r.rng.Int64N(int64(r.options.between))))
		if err := r.crash(); err != nil {
			r.note("start", err, func(c *counts) { c.repairs++ })
			stop()
			return r.result(), nil
		}
	}
	time.Sleep(r.options.between)
	stop()
	writers.Wait()
	r.finish()
	end()
	readers.Wait()
	return r.result(), nil
}

func (r *run) result() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// prepare makes the repositories with a package each, and the publications.
func (r *run) prepare() error {
	for _, name := range repositories() {
		if _, err := r.json("POST", "/repos", map[string]string{"Name": name, "DefaultDistribution": name, "DefaultComponent": "main"}); err != nil {
			return err
		}
		w := &writer{run: r, repo: name, n: -1}
		if err := w.add("base-" + name); err != nil {
			return err
		}
		if err := r.publish("local", name, name); err != nil {
			return err
		}
	}
	if _, err := r.json("POST", "/repos/one/snapshots", map[string]string{"Name": "base"}); err != nil {
		return err
	}
	return r.publish("snapshot", "base", switched)
}

func (r *run) publish(kind, source, distribution string) error {
	_, err := r.json("POST", "/publish/:.", map[string]any{"SourceKind": kind, "Sources": []map[string]string{{"Name": source, "Component": "main"}},
		"Distribution": distribution, "Architectures": []string{"amd64"}, "AcquireByHash": true, "SkipContents": true, "SkipBz2": true, "Signing": r.signing()})
	return err
}

// crash kills the server, starts it again, and waits until each publication is readable
// without a further request.
func (r *run) crash() error {
	r.killing.Store(true)
	r.kill()
	r.gate.Lock() // all requests have ended
	defer r.gate.Unlock()
	r.note("", nil, func(c *counts) { c.kills++ })
	time.Sleep(time.Duration(r.rng.Int64N(int64(200 * time.Millisecond))))
	if err := r.start(); err != nil {
		return err
	}
	r.killing.Store(false)
	started := time.Now()
	defer func() { r.note("", nil, func(*counts) { r.since = started }) }()
	if err := r.settle(); err != nil {
		r.note("repair", err, func(c *counts) { c.repairs++ })
	}
	return nil
}

// settled bounds the time in which a started server finishes interrupted work.
const settled = 10 * time.Second

// settle waits until both kinds of readers can read each distribution.
func (r *run) settle() (err error) {
	for begun := time.Now(); time.Since(begun) < settled; time.Sleep(50 * time.Millisecond) {
		err = nil
		for _, dist := range distributions() {
			for m := range modes {
				_, failed := r.tree.read(dist, m, r.expected(dist), 0)
				err = errors.Join(err, failed)
			}
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// expected returns the packages that a read of a distribution has to have from now on.
func (r *run) expected(dist string) map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.published[dist])
}

// readAll reads all distributions in turn.
func (r *run) readAll(ctx context.Context, m mode) {
	for n := 0; ctx.Err() == nil; n++ {
		dist := distributions()[n%len(distributions())]
		_, err := r.tree.read(dist, m, r.expected(dist), n)
		r.observe(m, err)
		time.Sleep(time.Millisecond)
	}
}

// observe counts a read.
func (r *run) observe(m mode, err error) {
	stale := (*staleError)(nil)
	switch {
	case err == nil:
		r.note("", nil, func(c *counts) { c.reads[m]++ })
	case errors.As(err, &stale):
		r.note("lost from a publication", err, func(c *counts) {
			c.reads[m]++
			for _, p := range stale.packages {
				r.stale[stale.dist+" "+p] = true
			}
			c.stale = len(r.stale)
		})
	case errors.Is(err, errMissing):
		r.note("missing", err, func(c *counts) { c.reads[m]++; c.missing++ })
	default:
		r.note(fmt.Sprint("mixed ", m), err, func(c *counts) { c.reads[m]++; c.mixed[m]++ })
	}
}

// finish updates each publication a last time, and looks for each acknowledged package.
func (r *run) finish() {
	for _, name := range repositories() {
		w := &writer{run: r, repo: name, n: -1}
		w.update(context.Background())
		var keys []string
		data, err := r.send("GET", "/repos/"+name+"/packages?format=details", "", nil)
		var details []struct{ Package string }
		if err == nil {
			err = json.Unmarshal(data, &details)
		}
		if err != nil {
			r.note("list", err, func(c *counts) { c.failed++ })
		}
		have := map[string]bool{}
		for _, d := range details {
			have[d.Package] = true
		}
		shown, err := r.tree.read(name, byHash, nil, 0)
		if err != nil {
			r.note("last read", err, func(c *counts) { c.repairs++ })
		}
		for p := range r.acked[name] {
			if !have[p] || shown[p] == "" {
				keys = append(keys, p)
			}
		}
		if len(keys) > 0 {
			r.note("lost", fmt.Errorf("%s lacks %q", name, keys[:min(len(keys), 5)]), func(c *counts) { c.lost += len(keys) })
		}
	}
}
