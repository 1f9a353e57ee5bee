package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
)

// TestMirror mirrors an archive onto the substitutes twice, publishes it, and logs the
// requests.
func TestMirror(t *testing.T) {
	t.Parallel()
	const root = "https://archive.example.org/debian/"
	server := upstreamtest.Serve(root, nil)
	p := serve(t, func(c *app.Config) { c.Upstream, c.Mirrors.IgnoreSignatures = server, true })
	archive := func(date string, packages int) {
		var specs []debtest.Spec
		for i := range packages {
			specs = append(specs, debtest.Spec{Package: fmt.Sprintf("package%d", i), Architecture: "amd64", Files: map[string]string{fmt.Sprint("usr/share/", i): strings.Repeat("x", i*1000)}})
		}
		server.Set(upstreamtest.Build(upstreamtest.Spec{Fields: map[string]string{"Date": date},
			Components: map[string]upstreamtest.Component{"main": {Packages: specs, Sources: []debtest.SourceSpec{{Source: "package0", Version: "1.0-1"}}}}}))
	}
	archive("Sat, 11 Jul 2026 10:16:37 UTC", 50)
	p.must("POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"`+root+`","Distribution":"stable","DownloadSources":true}`)
	p.counted("first update, 51 packages", func() { p.must("PUT", "/api/mirrors/m", "{}") })
	p.counted("nothing new", func() { p.must("PUT", "/api/mirrors/m", "{}") })
	archive("Sun, 12 Jul 2026 10:16:37 UTC", 51)
	server.Asked()
	p.counted("one new package", func() { p.must("PUT", "/api/mirrors/m", "{}") })
	files := 0
	for path := range server.Asked() {
		if strings.HasPrefix(path, "pool/") {
			files++
		}
	}
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/mirrors/m/packages", ""), &keys); err != nil || len(keys) != 52 || files != 1 {
		t.Errorf("%d packages, %v; %d files were fetched", len(keys), err, files)
	}
	p.must("POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`)
	p.must("POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"stable","Sources":[{"Name":"s"}]}`)
	data, err := p.fetch(context.Background(), "dists/stable/main/binary-amd64/Packages")
	if n := strings.Count(string(data), "Package: "); err != nil || n != 51 {
		t.Errorf("%d packages are published, %v", n, err)
	}
	p.must("POST", "/api/db/cleanup", "")
	p.must("GET", "/api/snapshots/s/packages", "")
}
