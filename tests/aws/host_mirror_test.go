package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
)

// TestDeployedMirror mirrors an archive that takes longer than a function's timeout, and
// kills functions at random. The update continues, ends correctly, and fetches only
// interrupted files again.
func TestDeployedMirror(t *testing.T) {
	t.Parallel()
	packages, kills := 1500, 6
	if testing.Short() {
		packages, kills = 120, 1
	}
	var specs []debtest.Spec
	for i := range packages {
		specs = append(specs, debtest.Spec{Package: fmt.Sprintf("package%d", i), Architecture: "amd64"})
	}
	archive := upstreamtest.Serve("", upstreamtest.Build(upstreamtest.Spec{Components: map[string]upstreamtest.Component{"main": {Packages: specs}}}))
	server := httptest.NewServer(archive)
	t.Cleanup(server.Close)
	p := deploy(t, lease, nil, func(o *localstack.Options) { o.Timeout, o.AllowUpstream = 6*time.Second, "127.0.0.1" })
	p.must("POST", "/api/mirrors", fmt.Sprintf(`{"Name":"deployed-mirror","ArchiveURL":%q,"Distribution":"stable","IgnoreSignatures":true}`, server.URL))

	ctx, stop := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	killed := 0
	killing.Go(func() {
		random := rand.New(rand.NewPCG(3, 5))
		for ctx.Err() == nil && killed < kills {
			time.Sleep(time.Duration(300+random.IntN(3000)) * time.Millisecond)
			if p.Stack.Kill(random, "MirrorFunction") {
				killed++
			}
		}
	})
	p.must("PUT", "/api/mirrors/deployed-mirror", `{"IgnoreSignatures":true}`)
	stop()
	killing.Wait()
	again := 0
	for path, n := range archive.Asked() {
		if strings.HasPrefix(path, "pool/") || strings.HasPrefix(path, "/pool/") {
			again += n - 1
		}
	}
	broken := p.brokenOff()
	t.Logf("%d packages, %d workers killed, %d broken off, %d files fetched again", packages, killed, broken, again)
	if most := broken * 8; again > most { // the number of concurrent downloads, and some
		t.Errorf("%d files were fetched again, at most %d were under way", again, most)
	}
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/mirrors/deployed-mirror/packages", ""), &keys); err != nil || len(keys) != packages {
		t.Errorf("%d packages, %v, want %d", len(keys), err, packages)
	}
	p.must("POST", "/api/mirrors/deployed-mirror/snapshots", `{"Name":"deployed-mirror"}`)
}

// brokenOff returns the number of interrupted attempts. Their worker was killed, exceeded
// its timeout, or was overtaken.
func (p *deployed) brokenOff() (n int) {
	p.t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "/worker/bootstrap failed") || strings.Contains(line, "attempt was overtaken") {
			n++
		}
	}
	return n
}
