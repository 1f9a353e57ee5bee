package browser

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
)

// oddNames are names of objects, with characters that addresses, HTML and queries use.
func oddNames() []string {
	return []string{"a+b~c%d:e", "<script>alert(1)</script>", "пакеты-包裹-\u202eabc", strings.Repeat("long-name-", 20), "q&a=1?#x", `quote"'back\slash`, "100%", "two words"}
}

// fillOdd gives a server objects of odd names, and objects whose parts are gone. The archive
// of a mirror does not answer, and a revision is of a snapshot that was dropped.
func (s *server) fillOdd(t testing.TB) {
	t.Helper()
	for i, name := range oddNames() {
		in := url.PathEscape(name)
		s.json(t, "POST", "/api/repos", `{"Name":`+quote(name)+`,"Comment":`+quote(name)+`,"DefaultDistribution":"stable"}`)
		s.json(t, "POST", "/api/repos/"+in+"/copy/stable/hello", "{}")
		s.json(t, "POST", "/api/repos/"+in+"/snapshots", `{"Name":`+quote(name)+`,"Description":`+quote(name)+`}`)
		s.json(t, "POST", fmt.Sprintf("/api/publish/odd%d", i), `{"SourceKind":"snapshot","Distribution":`+quote(strings.ReplaceAll(name, " ", "-"))+`,"Label":`+quote(name)+`,"Architectures":["amd64"],"Sources":[{"Name":`+quote(name)+`}]}`)
	}
	a := archiveOf(t, 3, nil)
	s.mirror(t, "gone", a.url+"/1")
	s.json(t, "PUT", "/api/mirrors/gone", `{"IgnoreSignatures":true}`)
	a.server.Close()
	s.json(t, "POST", "/api/repos/stable/snapshots", `{"Name":"part-1"}`)
	s.json(t, "POST", "/api/repos/stable/snapshots", `{"Name":"part-2"}`)
	s.json(t, "POST", "/api/publish/many_parts", `{"SourceKind":"snapshot","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"part-1","Component":"main"},{"Name":"part-2","Component":"contrib/extra"}]}`)
	s.json(t, "PUT", "/api/publish/many_parts/stable", `{"Snapshots":[{"Name":"part-1","Component":"contrib/extra"}]}`)
	s.json(t, "DELETE", "/api/snapshots/part-2?force=1", "")
	s.json(t, "POST", "/api/publish/filesystem:local:team", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"stable"}]}`)
	s.add(t, "empty", debtest.Spec{Package: "libstdc++6", Version: "1:2.0+dfsg~rc1-1", Architecture: "amd64", Fields: map[string]string{"Description": "plus signs"}})
	s.json(t, "PUT", "/api/repos/stable/uploaders", `{"groups":{"<b>team</b>":["0123456789ABCDEF"]},"rules":[{"condition":"Name (% lib*)","allow":["<b>team</b>"],"deny":["*"]}]}`)
}

var (
	links  = regexp.MustCompile(`<a [^>]*href="([^"]*)"`)
	inMain = regexp.MustCompile(`(?s)<nav class="side".*</nav>|<main.*</main>`)
)

// TestEveryLinkLeads follows the links of all pages, of a server whose objects have odd
// names and whose parts are gone. Each page is there, and is valid HTML.
func TestEveryLinkLeads(t *testing.T) {
	s := serveFilled(t, "--storage", "local="+t.TempDir())
	s.fillOdd(t)
	from := map[string]string{"/": "", "/-/": ""}
	open := []string{"/", "/-/"}
	kinds := map[string]int{} // pages of each kind
	for len(open) > 0 {
		path := open[0]
		open = open[1:]
		status, header, page := s.try(t, "GET", path, "", nil)
		if !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			if status != http.StatusOK {
				t.Errorf("%s, a link of %s: %d %.200s", path, from[path], status, page)
			}
			continue
		}
		if forgotten := from[path] == "/-/audit" && strings.HasPrefix(path, "/-/tasks/"); status != http.StatusOK && !forgotten {
			t.Errorf("%s, a link of %s: %d %.3000s", path, from[path], status, page)
		}
		if path == "/repos/" { // a listing as an aptly has it
			continue
		}
		if found := append(faults(string(page)).found, tidy(t, string(page))...); len(found) > 0 {
			t.Errorf("%s: %q", path, found)
		}
		for _, m := range links.FindAllStringSubmatch(strings.Join(inMain.FindAllString(string(page), -1), ""), -1) {
			to, err := url.Parse(html.UnescapeString(m[1]))
			if err != nil {
				t.Errorf("%s has the link %q: %v", path, m[1], err)
				continue
			}
			base, _ := url.Parse(s.url + path)
			at := base.ResolveReference(to)
			next := at.RequestURI()
			kind, most := kindOf(at)
			if _, known := from[next]; known || at.Host != base.Host || kinds[kind] >= most {
				continue
			}
			kinds[kind]++
			from[next] = path
			open = append(open, next)
		}
	}
	t.Logf("%d pages and files", len(from))
}

// kindOf returns the kind of a page, and how many of the kind are visited. Pages of objects
// are visited for each odd name, with each of their actions. Of published files and folders a
// few are enough.
func kindOf(at *url.URL) (kind string, most int) {
	parts := strings.Split(at.EscapedPath(), "/")
	if parts[1] != "-" {
		return fmt.Sprint(parts[1], len(parts)), 3
	}
	kind = fmt.Sprint(parts[2], len(parts), slices.Sorted(maps.Keys(at.Query())))
	if last := parts[len(parts)-1]; len(parts) > 4 && regexp.MustCompile("^[a-z]{4,9}$").MatchString(last) {
		kind += last
	}
	return kind, len(oddNames()) + 2
}

// unknown are attributes that HTML Tidy 5.6 does not know: those of WAI-ARIA, and of links
// in drawings.
var unknown = regexp.MustCompile(`proprietary attribute "aria-|<a> proprietary attribute "(href|class)"`)

// tidy returns the faults that HTML Tidy finds in a page.
func tidy(t testing.TB, page string) []string {
	t.Helper()
	cmd := exec.Command("tidy", "-quiet", "-errors", "-utf8")
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("tidy: %v", err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool { return line == "" || unknown.MatchString(line) })
}
