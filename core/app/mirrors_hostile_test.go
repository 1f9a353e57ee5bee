package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/deb/debtest"
	"aptless/core/driver/drivertest"
	"aptless/core/pgp"
	"aptless/core/upstream/upstreamtest"
)

// edition is a state of an archive: each has a newer version of some packages.
func edition(n int, signer pgp.Signer) upstreamtest.Spec {
	spec := archiveSpec(signer)
	var packages []debtest.Spec
	for i := range 8 {
		if (i+n)%5 > 0 {
			packages = append(packages, debtest.Spec{Package: fmt.Sprintf("pkg%d", i), Version: fmt.Sprint(1 + (i+n)/3), Architecture: "amd64"})
		}
	}
	spec.Components = map[string]upstreamtest.Component{"main": {Packages: packages}}
	spec.Fields = map[string]string{"Date": time.Date(2026, 7, 11+n, 10, 0, 0, 0, time.UTC).Format(time.RFC1123)}
	if spec.ByHash = n%2 == 1; !spec.ByHash {
		spec.Suffixes = []string{""} // where nothing but the digest tells one from another
	}
	return spec
}

// hostility is what an archive does to whoever mirrors it.
type hostility struct {
	mu       sync.Mutex
	random   *rand.Rand
	server   *upstreamtest.Server
	editions []upstreamtest.Tree
	bad      []upstreamtest.Tree // that are not to be believed, whatever they say
	zeros    []byte              // many, compressed
	faults   int                 // of a hundred answers
	swap     int                 // the request after which another edition is served; 0 is none
	to       int                 // that edition
	asked    int
}

// fault is a upstreamtest.Server's.
func (h *hostility) fault(path string, _ int, data []byte) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked++; h.asked == h.swap {
		h.server.Set(h.editions[h.to])
	}
	if h.random.IntN(100) >= h.faults {
		return data, nil
	}
	switch h.random.IntN(7) {
	case 0:
		return data[:len(data)/2], nil
	case 1:
		return append(slices.Clone(data), 'x'), nil
	case 2:
		data = slices.Clone(data)
		data[h.random.IntN(len(data))] ^= 1
		return data, nil
	case 3: // what another edition has there
		if other := h.editions[h.random.IntN(len(h.editions))][path]; other != nil {
			return other, nil
		}
		return nil, h.server.Status(404, path)
	case 4: // what should never be believed
		if other := h.bad[h.random.IntN(len(h.bad))][path]; other != nil {
			return other, nil
		}
		return nil, fmt.Errorf("%s: connection reset by peer", path)
	case 5:
		return h.zeros, nil
	}
	return nil, h.server.Status([]int{403, 404, 500, 503}[h.random.IntN(4)], path)
}

// bad returns trees that are spoilt in ways that last.
func bad(n int, signer, stranger pgp.Signer) []upstreamtest.Tree {
	forged := edition(n, stranger)
	forged.Components["main"] = upstreamtest.Component{Packages: []debtest.Spec{{Package: "evil", Version: "1", Architecture: "amd64"}}}
	unsigned := edition(n, nil)
	expired := edition(n, signer)
	expired.Fields["Valid-Until"] = "Mon, 13 Jul 2015 10:16:37 UTC"
	const stanza = "Package: evil\nVersion: 1\nArchitecture: amd64\nSize: 1\nSHA256: %s\nFilename: %s\n\n"
	digest := strings.Repeat("0", 64)
	outside := edition(n, signer)
	outside.Extra = map[string][]byte{"main/binary-amd64/Packages": fmt.Appendf(nil, stanza, digest, "../../x.deb")}
	outside.Extra["main/binary-amd64/Packages.gz"] = upstreamtest.Compress(outside.Extra["main/binary-amd64/Packages"], ".gz")
	bomb := edition(n, signer)
	bomb.Extra = map[string][]byte{"main/binary-amd64/Packages.gz": upstreamtest.Compress([]byte(strings.Repeat(fmt.Sprintf(stanza, digest, "x.deb"), 10000)), ".gz")}
	var trees []upstreamtest.Tree
	for _, spec := range []upstreamtest.Spec{forged, unsigned, expired, outside, bomb} {
		trees = append(trees, upstreamtest.Build(spec))
	}
	return trees
}

// TestHostileArchive updates a mirror from an archive that serves all sorts of
// lies, and changes in the middle. Whatever it does, the mirror has the packages
// of an edition that the archive's key has signed, all or none of them, and never
// those of an older one; and an honest archive is mirrored after it.
func TestHostileArchive(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 12
	}
	const editions, updates = 5, 8
	signer := testSigner(t)
	key, err := pgp.Generate("stranger", "stranger@example.org", pgp.Ed25519, signingTime)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	h := &hostility{zeros: upstreamtest.Compress(make([]byte, 8<<20), ".gz")}
	for n := range editions {
		h.editions = append(h.editions, upstreamtest.Build(edition(n, signer)))
		h.bad = append(h.bad, bad(n, signer, stranger)...)
	}
	want := honest(t, signer, h.editions)
	outcomes := map[int]int{} // how many by status
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := remembered(t)
			s.trust(t, signer)
			s.upstream.Set(h.editions[0])
			s.must(t, "POST", "/api/mirrors", createMirror, nil)
			h.random, h.server = rand.New(rand.NewPCG(seed, 0)), s.upstream
			s.upstream.Fault = h.fault
			last, have := -1, []string(nil)
			for range updates {
				from := h.random.IntN(editions)
				h.faults, h.swap, h.asked, h.to = h.random.IntN(30), h.random.IntN(30), 0, h.random.IntN(editions)
				s.upstream.Set(h.editions[from])
				if h.random.IntN(4) == 0 {
					s.upstream.Set(h.bad[h.random.IntN(len(h.bad))])
				}
				code, answer := s.ask(t, "PUT", "/api/mirrors/m", `{}`)
				outcomes[code]++
				got := s.packageKeys(t, last >= 0)
				switch now := slices.IndexFunc(want, func(keys []string) bool { return slices.Equal(keys, got) }); {
				case code == 500 && !slices.Equal(got, have):
					t.Errorf("after %s it has %q, before %q", answer, got, have)
				case code == 204 && (now < 0 || now < last):
					t.Errorf("after edition %d it has %d: %q", last, now, got)
				case code == 204:
					last, have = now, got
				case code != 500:
					t.Errorf("%d %s", code, answer)
				}
			}
			s.upstream.Fault = nil
			s.upstream.Set(h.editions[editions-1])
			s.want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
			if got := s.packageKeys(t, true); !slices.Equal(got, want[editions-1]) {
				t.Errorf("of the honest archive it has %q", got)
			}
		})
	}
	if outcomes[204] < len(h.editions) || outcomes[500] < len(h.editions) {
		t.Errorf("updates ended with %v", outcomes)
	}
}

// remembered returns a server with all in memory.
func remembered(t *testing.T) *served {
	m := drivertest.NewMemory(time.Now)
	s := newServed(t, Drivers{m.Blobs, m.Table, m.Queue})
	s.serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	return s
}

// honest returns the keys of the packages of each edition.
func honest(t *testing.T, signer pgp.Signer, editions []upstreamtest.Tree) [][]string {
	t.Helper()
	var all [][]string
	s := remembered(t)
	s.trust(t, signer)
	s.upstream.Set(editions[0])
	s.must(t, "POST", "/api/mirrors", createMirror, nil)
	for _, tree := range editions {
		s.upstream.Set(tree)
		s.want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		all = append(all, s.packageKeys(t, true))
	}
	return all
}

// packageKeys returns the packages of the mirror, nil if it never was updated.
func (s *served) packageKeys(t *testing.T, updated bool) []string {
	t.Helper()
	if !updated {
		if code, _ := s.ask(t, "GET", "/api/mirrors/m/packages", ""); code == 404 {
			return nil
		}
	}
	return s.keys(t, "/api/mirrors/m")
}
