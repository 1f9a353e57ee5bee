package aws

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/tests/prices"
)

// idle are the long polls of the event sources. They do not depend on the work.
const idle = "sqs.ReceiveMessage"

// cost logs the requests of a step as a row of a table. It checks that a million of them
// cost at most the given dollars.
func (p *process) cost(name string, most float64, step func()) {
	p.t.Helper()
	before := p.drivers.Counts()
	step()
	made := p.drivers.Counts()
	for kind := range made {
		if made[kind] -= before[kind]; made[kind] == 0 || kind == idle {
			delete(made, kind)
		}
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		all = append(all, fmt.Sprintf("%s %d", kind, made[kind]))
	}
	sum, err := prices.Dollars(made)
	if err != nil {
		p.t.Error(err)
	}
	p.t.Logf("| %s | %s | %.1f |", name, strings.Join(all, ", "), sum)
	if sum > most {
		p.t.Errorf("a million times %s costs %.1f dollars, and not at most %.1f", name, sum, most)
	}
}

// settle waits until work that goes on after an answer has ended: for two seconds there
// are no requests but polls of queues.
func (p *process) settle() {
	busy := func() map[string]int64 {
		made := p.drivers.Counts()
		delete(made, idle)
		return made
	}
	for last := busy(); ; {
		time.Sleep(2 * time.Second)
		now := busy()
		if maps.Equal(now, last) {
			return
		}
		last = now
	}
}

// TestCost counts the requests of operations for docs/cost.md. It changes one package in a
// repository of n; the size must have no effect.
func TestCost(t *testing.T) {
	t.Parallel()
	sizes := []int{100}
	if !testing.Short() {
		sizes = []int{1000, 10_000}
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) { cost(t, n) })
	}
}

func cost(t *testing.T, n int) {
	p := serve(t)
	name := fmt.Sprint("cost", time.Now().UnixNano())
	spec := func(n int) debtest.Spec {
		return debtest.Spec{Package: fmt.Sprintf("pkg%05d", n), Version: "1.0"}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
	const batch = 500 // files of one upload
	for first := 0; first < n; first += batch {
		var some []debtest.Spec
		for i := range min(batch, n-first) {
			some = append(some, spec(first+i))
		}
		must(p.upload(name, some...))
	}
	each := float64(n)
	p.cost(fmt.Sprintf("import of %d in one call", n), 10*each, func() { p.must("POST", "/api/repos/"+name+"/file/"+name, "") })
	publish := fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Architectures":["amd64"],"Sources":[{"Name":%[1]q}]}`, name)
	p.cost(fmt.Sprintf("first publish of %d", n), 200+8*each, func() { p.must("POST", "/api/publish", publish) })
	p.cost(fmt.Sprintf("first publish of %d by digest", n), 250+0.2*each, func() {
		p.must("POST", "/api/publish/hash", strings.Replace(publish, `"Architectures"`, `"PoolLayout":"hash","Architectures"`, 1))
	})
	p.cost("upload of 1", 8, func() { must(p.upload(name, spec(n))) })
	p.cost("import of 1", 40, func() { p.must("POST", "/api/repos/"+name+"/file/"+name, "") })
	p.cost(fmt.Sprintf("publish of 1 more into %d", n), 200, func() { p.must("PUT", "/api/publish/:./"+name, "{}") })
	p.cost(fmt.Sprintf("publish of 1 more into %d by digest", n), 200, func() { p.must("PUT", "/api/publish/hash/"+name, "{}") })
	p.cost("publish of nothing new", 30, func() { p.must("PUT", "/api/publish/:./"+name, "{}") })
	p.cost(fmt.Sprintf("drop of a publication of %d", n), 0.02*each+200, func() {
		p.must("DELETE", "/api/publish/:./"+name, "")
		p.settle()
	})
	p.cost("tick of an hour, with the retention of tasks", 8, func() { must(p.Tick(t.Context())) })
	for range 10 { // work that came due meanwhile is done first
		before := p.drivers.Counts()["dynamodb.TransactWriteItems"]
		must(p.Tick(t.Context()))
		if p.settle(); p.drivers.Counts()["dynamodb.TransactWriteItems"] == before {
			break
		}
	}
	p.cost("tick", 3, func() { must(p.Tick(t.Context())) })
}

// TestCostOfMirror counts the requests of a mirror whose archive has not changed.
func TestCostOfMirror(t *testing.T) {
	key, err := pgp.Generate("Archive", "archive@example.org", pgp.Ed25519, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	var packages []debtest.Spec
	for n := range 100 {
		packages = append(packages, debtest.Spec{Package: fmt.Sprintf("pkg%04d", n), Version: "1.0"})
	}
	const root = "https://archive.example.org/debian/"
	server := upstreamtest.Serve(root, upstreamtest.Build(upstreamtest.Spec{
		Signer: signer, At: time.Now(), Components: map[string]upstreamtest.Component{"main": {Packages: packages}},
	}))
	p := serve(t, func(c *app.Config) { c.Upstream, c.Mirrors.IgnoreSignatures = server, true })
	name := fmt.Sprint("mirror", time.Now().UnixNano())
	p.must(http.MethodPost, "/api/mirrors", fmt.Sprintf(`{"Name":%q,"ArchiveURL":%q,"Distribution":"stable"}`, name, root))
	update := func() { p.must(http.MethodPut, "/api/mirrors/"+name, "{}") }
	p.cost("first update of a mirror of 100", 1500, update)
	p.cost("update of a mirror that has not changed", 40, update)
}
