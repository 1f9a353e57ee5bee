package app_test

import (
	"testing"

	"aptless/core/front/app/apptest"
)

// TestRepositoriesAndRevisionsAreCompared: with the same form as snapshots, and for a
// publication by component. A package of an architecture that is not published is left out.
func TestRepositoriesAndRevisionsAreCompared(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		type difference struct {
			Left, Right *string
			Component   string
		}
		diff := func(path string) (text string) {
			t.Helper()
			var all []difference
			s.Must(t, "GET", path, "", &all)
			for _, d := range all {
				side := func(key *string) string {
					if key == nil {
						return "-"
					}
					return (*key)[:len(*key)-17]
				}
				text += d.Component + "|" + side(d.Left) + "|" + side(d.Right) + "\n"
			}
			return text
		}
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
		s.Fill(t, "q", apptest.Deb("aa", "2", "amd64"), apptest.Deb("bb", "1", "amd64"), apptest.Deb("cc", "1", "i386"))
		if got, want := diff("/api/repos/r/diff/q"), "|Pamd64 aa 1|Pamd64 aa 2\n|-|Pi386 cc 1\n"; got != want {
			t.Errorf("repositories: %q, want %q", got, want)
		}
		if got := diff("/api/repos/r/diff/q?name=cc&limit=5"); got != "|-|Pi386 cc 1\n" {
			t.Errorf("by a part of a name: %q", got)
		}
		for kind, want := range map[string]string{"newer": "|Pamd64 aa 1|Pamd64 aa 2\n", "added": "|-|Pi386 cc 1\n", "older": "", "removed": "", "rebuilt": ""} {
			for _, limit := range []string{"", "&limit=5"} {
				if got := diff("/api/repos/r/diff/q?kind=" + kind + limit); got != want {
					t.Errorf("%s%s: %q, want %q", kind, limit, got, want)
				}
			}
		}
		if _, header := pageOf(t, s, "/api/repos/q/diff/r?limit=1&kind=older", ""); header.Get("X-Total") != "1" || header.Get("X-Older") != "1" || header.Get("X-Removed") != "1" || header.Get("X-Newer") != "0" || header.Get("X-Changed") != "1" {
			t.Errorf("the numbers of the kinds: %v", header)
		}
		s.Want(t, "GET", "/api/repos/r/diff/q?kind=other", "", 400, `{"error":"invalid kind…`)
		if got := diff("/api/repos/r/diff/r"); got != "" {
			t.Errorf("a repository with itself: %q", got)
		}
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"r","Component":"main"},{"Name":"q","Component":"extra"}]}`, nil)
		const stable = "/api/publish/:./stable"
		s.Want(t, "GET", stable+"/diff", "", 404, `{"error":"no revision 0 of ./stable is kept"…`)
		s.Fill(t, "x", apptest.Deb("dd", "1", "amd64"), apptest.Deb("ee", "1", "i386"))
		for _, to := range []string{"r", "q"} {
			s.Must(t, "POST", "/api/repos/"+to+"/copy/x/Name", `{}`, nil)
		}
		s.Must(t, "PUT", stable, `{}`, nil)
		want := "extra|-|Pamd64 dd 1\nmain|-|Pamd64 dd 1\n"
		for _, path := range []string{"/diff", "/diff?to=2", "/diff?from=1", "/diff?from=1&to=2", "/diff?limit=1000"} {
			if got := diff(stable + path); got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
		if got := diff(stable + "/diff?from=2&to=1&limit=1&after=1"); got != "main|Pamd64 dd 1|-\n" {
			t.Errorf("the second page, the other way: %q", got)
		}
		s.Want(t, "GET", stable+"/diff?from=7", "", 404, `{"error":"no revision 7 of ./stable is kept"…`)
		s.Want(t, "GET", stable+"/diff?to=-1", "", 400, `{"error":"invalid to…`)
		s.Want(t, "GET", "/api/repos/r/diff/none", "", 404, "")
		before := listed(t, s, "/api/repos/x/packages?limit=1")
		if again := listed(t, s, "/api/repos/x/packages?limit=1&q=dd"); again != before || before == "" {
			t.Errorf("X-List of one list: %q and %q", before, again)
		}
		s.Must(t, "DELETE", "/api/repos/x/packages?q=dd", "", nil)
		if after := listed(t, s, "/api/repos/x/packages?limit=1"); after == before {
			t.Errorf("X-List stays after a change: %s", after)
		}
	})
}

// listed returns the digest of a list that a page of its packages tells.
func listed(t *testing.T, s *apptest.Process, path string) string {
	t.Helper()
	_, header := pageOf(t, s, path, "")
	return header.Get("X-List")
}
