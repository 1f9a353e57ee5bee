package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// finished counts the complete transfers of each file.
type finished struct {
	http.Handler
	mu    sync.Mutex
	times map[string]int
}

func (f *finished) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Handler.ServeHTTP(w, r)
	if r.Context().Err() == nil {
		f.mu.Lock()
		f.times[r.URL.Path]++
		f.mu.Unlock()
	}
}

// repeated returns the number of repeated transfers of all files.
func (f *finished) repeated(prefix string) (files, again int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, n := range f.times {
		if len(path) > len(prefix) && path[:len(prefix)] == prefix {
			files++
			again += n - 1
		}
	}
	return files, again
}

// TestSyncKilled kills the server at random moments of a mirror's first update. No file is
// lost. Only files that are in transfer or not stored yet at a kill are fetched twice.
func TestSyncKilled(t *testing.T) {
	packages, kills := 10_000, 20
	if testing.Short() {
		packages, kills = 1_000, 5
	}
	const atOnce = 8 // files that an update fetches, or has fetched and stores
	key, err := pgp.Generate("archive", "archive@example.org", pgp.Ed25519, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	var specs []debtest.Spec
	for i := range packages {
		specs = append(specs, debtest.Spec{Package: fmt.Sprintf("pkg%05d", i), Architecture: "amd64", Compression: "none"})
	}
	tree := upstreamtest.Build(upstreamtest.Spec{Signer: signer, At: time.Now(), Components: map[string]upstreamtest.Component{"main": {Packages: specs}}})
	sent := &finished{Handler: upstreamtest.Serve("", tree), times: map[string]int{}}
	archive := httptest.NewServer(sent)
	t.Cleanup(archive.Close)

	s := newServer(t, "--allow-upstream", "127.0.0.1")
	armor, err := json.Marshal(string(key.Armor()))
	s.must(err)
	s.must(s.json("POST", "/api/gpg/key", fmt.Sprintf(`{"GpgKeyArmor":%s}`, armor), nil))
	s.must(s.json("POST", "/api/mirrors", fmt.Sprintf(`{"Name":"m","ArchiveURL":%q,"Distribution":"stable"}`, archive.URL), nil))
	type taskState struct{ ID, State int }
	var task taskState
	update := func() { s.must(s.json("PUT", "/api/mirrors/m?_async=1", `{}`, &task)) }
	update()
	seed := uint64(time.Now().UnixNano())
	t.Logf("moments of seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	for range kills {
		time.Sleep(time.Duration(moments.IntN(2*packages/kills)) * 5 * time.Millisecond) // 200 files a second
		s.restart()
		if s.must(s.json("GET", fmt.Sprintf("/api/tasks/%d", task.ID), "", &task)); task.State == 3 {
			update()
		}
	}
	var output string
	for {
		s.must(s.json("GET", fmt.Sprintf("/api/tasks/%d/wait", task.ID), "", &task))
		s.must(s.json("GET", fmt.Sprintf("/api/tasks/%d/output", task.ID), "", &output))
		// A task is given up after five deaths between two saves.
		if task.State == 2 || !strings.Contains(output, "given up after") {
			break
		}
		update()
	}
	var keys []string
	s.must(s.json("GET", "/api/mirrors/m/packages", "", &keys))
	if task.State != 2 || len(keys) != packages {
		t.Fatalf("state %d with %d packages: %.2000s", task.State, len(keys), output)
	}
	files, again := sent.repeated("/pool/")
	t.Logf("%d files, %d sent again", files, again)
	if files != packages || again > kills*atOnce {
		t.Errorf("%d files were sent, %d of them again", files, again)
	}
	s.must(s.json("POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, nil))
	s.must(s.json("POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"s"}]}`, nil))
	s.verify("stable")
}
