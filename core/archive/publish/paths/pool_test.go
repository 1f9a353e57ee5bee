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

// TestAreaOfAFileIsThatOfItsDirectory holds for all layouts. Directories that two
// publications may share are in one area.
func TestAreaOfAFileIsThatOfItsDirectory(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	p := &deb.Package{Kind: deb.Source, Name: "libx", Version: "1", Architecture: deb.SourceArch, Files: []deb.File{{Name: "libx_1.dsc", SHA256: digest}}}
	for _, tc := range []struct {
		dist      Dist
		component string
		area      string
	}{
		{Dist{Name: "stable"}, "main", ""},
		{Dist{Name: "stable"}, "stable/main", "stable"},
		{Dist{Name: "other"}, "non-free/firmware/x", "non-free"},
		{Dist{Name: "stable", MultiDist: true}, "main", "stable"},
		{Dist{Name: "stable/updates", MultiDist: true}, "a/b", "stable"},
		{Dist{Name: "stable", Layout: HashLayout}, "main", ""},
		{Dist{Name: "stable", Layout: HashLayout, MultiDist: true}, "a/b", ""},
	} {
		dir := tc.dist.PoolDir(tc.component)
		name, err := tc.dist.Location(tc.component, dir, p, p.Files[0])
		if err != nil || Area(dir) != tc.area || AreaOf(name) != tc.area || !InPool(name) {
			t.Errorf("%s: area %q, of the file %s %q, want %q; %v", dir, Area(dir), name, AreaOf(name), tc.area, err)
		}
	}
}
