package repo

import (
	"strings"
	"testing"

	"aptless/core/archive/upload"
	"aptless/core/formats/deb"
)

// TestReleasesKeepNoText holds that a release in memory does not refer to the
// text it was parsed from.
func TestReleasesKeepNoText(t *testing.T) {
	text := strings.Repeat("x", 1<<20)
	r := &release{files: map[string]upload.Upload{"a.deb": {Dir: "d", Name: "a.deb"}}, changes: &deb.Changes{
		Paragraph: deb.Paragraph{{Name: "Changes", Value: text}}, Source: text[:3], Distribution: "sid",
		Architectures: []string{"amd64"}, Binaries: []string{text[:1]}, Files: []deb.File{{Name: "a.deb", Size: 1}},
	}}
	if n := r.compact(); n < fileMemory || n > fileMemory+200 {
		t.Errorf("%d bytes are kept", n)
	}
	if r.changes.Paragraph != nil || r.changes.Source != "xxx" || r.files["a.deb"].Dir != "d" || len(r.changes.Files) != 1 {
		t.Errorf("%+v", r)
	}
	if !r.changes.Accepts(&deb.Package{Kind: deb.Binary, Name: "x", Architecture: "amd64"}) {
		t.Error("what it announces is not accepted")
	}
	refused := &release{refusal: "no", changes: r.changes, files: r.files}
	if n := refused.compact(); n != 0 || refused.changes != nil || refused.files != nil {
		t.Errorf("a refused one keeps %d bytes", n)
	}
}
