package upstream_test

import (
	"net/url"
	"strings"
	"testing"

	"aptless/core/archive/upstream"
)

// FuzzArchive names archives and files in Release. Each fetched URL is below the
// archive's root.
func FuzzArchive(f *testing.F) {
	f.Add("http://deb.example.org/debian", "bookworm", "main/binary-amd64/Packages.gz")
	f.Add("https://u:p@deb.example.org:8443/a%2fb/", "./flat/", "./Packages")
	f.Add("http://deb.example.org/#", "stretch/updates", "../x")
	f.Add("http://deb.example.org/?", "x/..", "a?b#c")
	f.Add("http://deb.example.org/a;b", "%2e%2e/", "%2e%2e/+")
	f.Fuzz(func(t *testing.T, address, distribution, name string) {
		a, err := upstream.ParseArchive(address, distribution)
		if err != nil {
			return
		}
		root, err := url.Parse(a.Root)
		if err != nil || !strings.HasSuffix(root.Path, "/") {
			t.Fatalf("root %q: %v", a.Root, err)
		}
		file, err := upstream.FilePath(distribution, name)
		if err != nil {
			file = ""
		}
		for _, text := range []string{a.IndexURL("Release"), a.FileURL(file)} {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if u.Scheme != root.Scheme || u.Host != root.Host || u.User.String() != root.User.String() || u.RawQuery != "" || u.Fragment != "" || !strings.HasPrefix(u.Path, root.Path) {
				t.Fatalf("%q is not below %q", text, a.Root)
			}
			for c := range strings.SplitSeq(u.Path[len(root.Path):], "/") {
				if c == ".." {
					t.Fatalf("%q leads out of %q", text, a.Root)
				}
			}
		}
		if shown := upstream.Shown(a.Root); root.User != nil && strings.Contains(shown, "@"+root.Host) {
			t.Fatalf("%q shows who asks", shown)
		}
	})
}
