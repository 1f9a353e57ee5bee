package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/tests/cache"
)

// reader updates its lists of one distribution like apt-get update.
type reader struct {
	w      *World
	number int
	dist   string // path of the distribution, "/dists/d1/"
	byHash bool
	from   *cache.Cache
	date   time.Time
	life   int // of the distribution that date is of
}

// origin serves the public tree from the storage, as on AWS. Each of its reads is a
// step of the scheduler.
func (w *World) origin() http.Handler {
	p := &Process{world: w, reader: true, ctx: context.Background()}
	return &api.Tree{Blobs: blobs{p}, Log: slog.New(slog.DiscardHandler),
		AsOf: func(context.Context, string, string) (string, error) { return "", driver.ErrNotFound }}
}

// run updates the lists until the clients end.
func (r *reader) run(done <-chan struct{}) {
	for n := 0; !r.w.over(); n++ {
		d := newDice(r.w.Plan.Seed, 8, uint64(r.number), uint64(n))
		longest := 5 * time.Minute
		if r.w.Plan.Mix == "days" {
			longest = 24 * time.Hour
		}
		timer := time.NewTimer(time.Second + d.upTo(longest))
		select {
		case <-done:
			timer.Stop()
			return
		case <-timer.C:
			r.update(d)
		}
	}
}

// life returns how often the distribution of a root has ended. It is not alive if its
// InRelease is that of a dropped publication, which a late call has put.
func (c *checker) life(root string) (lives int, alive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lives[root], !c.phantoms[root]
}

func (r *reader) get(path string) (int, []byte) {
	status, _, body := r.from.Get(path)
	r.w.mu.Lock()
	r.w.counts.Reads++
	r.w.mu.Unlock()
	return status, body
}

// update reads InRelease and one index.
func (r *reader) update(d *dice) {
	root := "public" + r.dist
	life, alive := r.w.check.life(root)
	status, body := r.get(r.dist + "InRelease")
	if status != http.StatusOK {
		return
	}
	release, date, err := r.release(body, d.one(20))
	if err != nil {
		r.w.fail("reader of %s: InRelease: %v", r.dist, err)
		return
	}
	sha, name := chosen(release.Get("SHA256"), d)
	if name == "" {
		return
	}
	file := r.dist + name
	if r.byHash {
		file = r.dist + path.Dir(name) + "/by-hash/SHA256/" + sha
	}
	status, body = r.get(file)
	if now, _ := r.w.check.life(root); now != life {
		r.life = -1
		return // the distribution was dropped meanwhile
	}
	sum := sha256.Sum256(body)
	if r.byHash && r.from.Off && (status != http.StatusOK || hex.EncodeToString(sum[:]) != sha) {
		r.w.fail("reader by hash: %s: status %d, digest %x", file, status, sum)
		return
	}
	if got := hex.EncodeToString(sum[:]); !r.byHash && status == http.StatusOK {
		r.plain(root, name, sha, got)
	}
	if !alive { // its date is an earlier one
		r.life = -1
		return
	}
	if r.life == life && date.Before(r.date) && r.from.Off {
		r.w.fail("reader of %s goes back from %v to %v", r.dist, r.date, date)
	}
	r.date, r.life = date, life
}

// plain requires that an index that was read by its name is there by hash, too. So it is
// whole, and of a state of the publication. That may be another one than the state of the
// InRelease, which the reader sees by the digest.
func (r *reader) plain(root, name, want, got string) {
	r.w.mu.Lock()
	r.w.counts.Plain++
	if got != want {
		r.w.counts.Mixed++
	}
	r.w.mu.Unlock()
	if got == want || !r.from.Off { // a cache may have a file of a dropped publication
		return
	}
	hashed := root + path.Dir(name) + "/by-hash/SHA256/" + got
	if _, err := r.w.memory.Blobs.Stat(context.Background(), hashed); err != nil {
		r.w.fail("reader by name: %s%s has the digest %s, which no state of the publication has: %v", root, name, got, err)
	}
}

// readAtRest requires that readers by name get one state, once no task is left. The
// answers in caches are stale by then.
func (w *World) readAtRest() {
	w.open = true
	defer func() { w.open = false }()
	for _, r := range w.reading {
		if r.byHash {
			continue
		}
		r.from.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
		before := w.counts.Mixed
		for n := range 3 {
			r.update(newDice(w.Plan.Seed, 16, uint64(r.number), uint64(n)))
		}
		if w.counts.Mixed != before && !w.failed.Load() {
			w.fail("at rest, a reader of %s by name reads two states", r.dist)
		}
	}
}

// release reads an InRelease, and perhaps verifies its signature, which takes long.
func (r *reader) release(body []byte, verify bool) (deb.Paragraph, time.Time, error) {
	text, signed, err := pgp.StripClearsign(body)
	if err == nil && verify {
		_, _, err = r.w.ring.VerifyClearsigned(body, time.Time{})
	}
	if err != nil || !signed {
		return deb.Paragraph{}, time.Time{}, fmt.Errorf("signed: %v (error %v)", signed, err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		return p, time.Time{}, err
	}
	date, err := time.Parse("Mon, 2 Jan 2006 15:04:05 MST", p.Get("Date"))
	return p, date, err
}

// chosen returns one of the files that a Release lists.
func chosen(lines string, d *dice) (sha, name string) {
	var all [][]string
	for line := range strings.Lines(lines) {
		w := strings.Fields(line)
		if len(w) == 3 && (strings.HasSuffix(w[2], "/Packages") || strings.HasSuffix(w[2], "/Packages.gz")) {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return "", ""
	}
	w := all[d.below(len(all))]
	return w[0], w[2]
}

// readers returns the readers of a run: by hash and by name, directly and through a cache.
func (w *World) readers() []*reader {
	var all []*reader
	origin := w.origin()
	for i, dist := range []string{"/dists/d1/", "/x/dists/d1/", "/dists/d2/"} {
		cached := &cache.Cache{Origin: origin, Now: time.Now}
		direct := &cache.Cache{Origin: origin, Now: time.Now, Off: true}
		for j, from := range []*cache.Cache{direct, cached} {
			all = append(all, &reader{w: w, number: 2*i + j, dist: dist, byHash: (i+j)%3 < 2, from: from, life: -1})
		}
	}
	return all
}
