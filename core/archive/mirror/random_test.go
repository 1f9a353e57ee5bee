package mirror_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestMirrorEqualsTheArchiveAfterEachUpdate changes an archive at random and
// updates. The mirror then has exactly the packages of the archive, or with
// LatestOnly their highest versions. No file is ever fetched twice.
func TestMirrorEqualsTheArchiveAfterEachUpdate(t *testing.T) {
	signer := apptest.Signer(t)
	rapid.Check(t, func(t *rapid.T) {
		env := drivertest.NewEnv()
		server := upstreamtest.Serve(apptest.UpstreamRoot, nil)
		p, err := apptest.Start(context.Background(), env, signer, func(c *app.Config) { c.Upstream, c.Mirrors.IgnoreSignatures = server, true })
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]debtest.Spec{} // by name, version and architecture
		date := time.Date(2026, 7, 11, 0, 0, 0, 0, time.UTC)
		publish := func() {
			date = date.Add(time.Hour)
			var specs []debtest.Spec
			for _, key := range slices.Sorted(maps.Keys(listed)) {
				specs = append(specs, listed[key])
			}
			server.Set(upstreamtest.Build(upstreamtest.Spec{
				Components: map[string]upstreamtest.Component{"main": {Packages: specs}}, Architectures: []string{"amd64", "arm64"}, Suffixes: []string{".gz"},
				ByHash: rapid.Bool().Draw(t, "by hash"), Fields: map[string]string{"Date": date.Format(time.RFC1123)},
			}))
		}
		publish()
		if _, err := p.Do("POST", "/api/mirrors", "application/json", []byte(apptest.CreateMirror)); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "updates") {
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				spec := debtest.Spec{Package: rapid.SampledFrom([]string{"aa", "bb", "cc"}).Draw(t, "name"), Version: rapid.SampledFrom([]string{"1", "2", "10"}).Draw(t, "version"),
					Architecture: rapid.SampledFrom([]string{"amd64", "arm64", "all"}).Draw(t, "architecture"), Compression: "none"}
				key := spec.Package + "_" + spec.Version + "_" + spec.Architecture
				if _, there := listed[key]; there && rapid.Bool().Draw(t, "remove") {
					delete(listed, key)
				} else {
					listed[key] = spec
				}
			}
			publish()
			latest := rapid.Bool().Draw(t, "latest only")
			if err := p.Step("PUT", "/api/mirrors/m", fmt.Sprintf(`{"LatestOnly":%t}`, latest)); err != nil {
				t.Fatal(err)
			}
			data, err := p.Do("GET", "/api/mirrors/m/packages", "", nil)
			var got []string
			if err == nil {
				err = json.Unmarshal(data, &got)
			}
			for i, key := range got {
				words := strings.Fields(key)
				got[i] = words[1] + "_" + words[2] + "_" + words[0][1:]
			}
			slices.Sort(got)
			if want := kept(listed, latest); err != nil || !slices.Equal(got, want) {
				t.Fatalf("the mirror has %v, %v, want %v", got, err, want)
			}
		}
		for path, n := range server.Asked() {
			if strings.HasPrefix(path, "pool/") && n > 1 {
				t.Fatalf("%s was fetched %d times", path, n)
			}
		}
	})
}

// kept returns the expected packages of a mirror, ascending.
func kept(listed map[string]debtest.Spec, latest bool) []string {
	order := []string{"1", "2", "10"}
	return slices.Sorted(func(yield func(string) bool) {
		for key, spec := range listed {
			higher := slices.ContainsFunc(order[slices.Index(order, spec.Version)+1:], func(version string) bool {
				_, there := listed[spec.Package+"_"+version+"_"+spec.Architecture]
				return there
			})
			if (!latest || !higher) && !yield(key) {
				return
			}
		}
	})
}
