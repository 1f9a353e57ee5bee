package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// Fixtures are objects that all runs share.
type Fixtures struct {
	Signer  pgp.Signer
	Trees   []upstreamtest.Tree // states of the archive that is mirrored
	states  []set               // their packages
	stock   []pack
	sources map[string]sourcePack
	large   pack
	secret  string
	moved   map[string][]byte // of a transfer folder

	ring *pgp.Keyring
}

// NewFixtures makes the objects that all runs share.
func NewFixtures() (*Fixtures, error) {
	key, err := pgp.Generate("Archive", "archive@example.org", pgp.Ed25519, time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return nil, err
	}
	f := &Fixtures{stock: stockOf(), sources: sourcesOf(), large: largePack(), secret: auth.NewSecret(auth.API)}
	if f.moved, err = movedOf(f.stock); err != nil {
		return nil, err
	}
	if f.Signer, err = pgp.NewSigner(key); err != nil {
		return nil, err
	}
	if f.ring, err = pgp.NewKeyring(key.Key); err != nil {
		return nil, err
	}
	for n := range 3 {
		packages := []debtest.Spec{{Package: "ma", Version: fmt.Sprint(n + 1), Architecture: "amd64"}, {Package: "mb", Version: "1", Architecture: "amd64"}}
		tree := upstreamtest.Build(upstreamtest.Spec{Signer: f.Signer, At: apptest.SigningTime.AddDate(1, 0, 0), Suffixes: []string{".gz"},
			Fields:     map[string]string{"Date": fmt.Sprintf("Sun, %d Jul 2025 10:16:37 UTC", 6+7*n)},
			Components: map[string]upstreamtest.Component{"main": {Packages: packages}}})
		state := set{}
		for name, data := range tree {
			if strings.HasSuffix(name, ".deb") {
				w := strings.Split(path.Base(name), "_")
				state[packOf(w[0], w[1], data).key] = true
			}
		}
		f.Trees, f.states = append(f.Trees, tree), append(f.states, state)
	}
	return f, nil
}

// network is the archive of another server. It moves from state to state.
type network struct {
	w      *World
	mu     sync.Mutex
	state  int
	trees  []upstreamtest.Tree
	server *upstreamtest.Server

	damaged atomic.Bool // an answer was
}

func newNetwork(w *World, f *Fixtures) *network {
	return &network{w: w, trees: f.Trees, server: upstreamtest.Serve(apptest.UpstreamRoot, f.Trees[0])}
}

// move changes the archive.
func (n *network) move() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = min(n.state+1, len(n.trees)-1)
	n.server.Set(n.trees[n.state])
}

// fetcher is the network of a process. Its requests are calls like those of a port.
type fetcher struct {
	n *network
	p *Process
}

func (f fetcher) Fetch(ctx context.Context, r upstream.Request) (*upstream.Answer, error) {
	return do(ctx, f.p, "Upstream.Fetch "+r.URL, false, func(_ context.Context, half bool) (*upstream.Answer, error) {
		answer, err := f.n.server.Fetch(ctx, r)
		if d := newDice(f.p.world.Plan.Seed, 15, uint64(f.p.world.steps)); err == nil && f.p.world.faulty(Network, d, 30) {
			f.n.damaged.Store(true)
			return damaged(answer, d)
		}
		return answer, err
	})
}

// damaged returns an answer with other bytes, or with fewer ones.
func damaged(a *upstream.Answer, d *dice) (*upstream.Answer, error) {
	data, err := io.ReadAll(a.Body)
	a.Body.Close()
	if err != nil || len(data) == 0 {
		return nil, errFault
	}
	if n := d.below(len(data)); d.one(2) {
		data = data[:n]
	} else {
		data[n] ^= 1 << d.below(8)
	}
	a.Body = io.NopCloser(bytes.NewReader(data))
	return a, nil
}
