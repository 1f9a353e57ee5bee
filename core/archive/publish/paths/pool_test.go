package paths

import (
	"strings"
	"testing"

	"aptless/core/formats/deb"
)

// TestPackageDir refuses, by the layout hash, packages that cannot be found by one digest.
func TestPackageDir(t *testing.T) {
	hash := Dist{Layout: HashLayout}
	digest := strings.Repeat("ab", 32)
	file := func(name, sha256 string) deb.File { return deb.File{Name: name, SHA256: sha256} }
	for name, tc := range map[string]struct {
		kind  deb.Kind
		files []deb.File
		want  string
	}{
		"binary":       {deb.Binary, []deb.File{file("x_1_all.deb", digest)}, "pool/sha256/ab/" + digest},
		"udeb":         {deb.Udeb, []deb.File{file("x_1_all.udeb", digest)}, "pool/sha256/ab/" + digest},
		"source":       {deb.Source, []deb.File{file("x_1.tar.xz", ""), file("x_1.dsc", digest)}, "pool/source/" + digest},
		"no file":      {deb.Binary, nil, ""},
		"no digest":    {deb.Binary, []deb.File{file("x_1_all.deb", "")}, ""},
		"other digest": {deb.Binary, []deb.File{file("x_1_all.deb", "../"+digest[3:])}, ""},
		"no .dsc":      {deb.Source, []deb.File{file("x_1.tar.xz", digest)}, ""},
		"two .dsc":     {deb.Source, []deb.File{file("x_1.dsc", digest), file("y_1.dsc", digest)}, ""},
	} {
		got, err := hash.PackageDir(hashDir, &deb.Package{Kind: tc.kind, Name: "x", Version: "1", Architecture: "all", Files: tc.files})
		if (err == nil) != (tc.want != "") || tc.want != "" && got != tc.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
