package publish_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// TestSuiteAndCodename holds that the suite and the codename of a Release can
// differ from the distribution. An update changes or clears them, or leaves
// them as they are. No other field can be put into a Release by them.
func TestSuiteAndCodename(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		const at = "/api/publish/:./trixie"
		shows := func(suite, codename string) {
			t.Helper()
			var view struct{ Suite, Codename string }
			s.Must(t, "GET", at, "", &view)
			if view.Suite != suite || view.Codename != codename {
				t.Errorf("shown are %+v, want %s and %s", view, suite, codename)
			}
			if suite == "" {
				suite = "trixie"
			}
			if codename == "" {
				codename = "trixie"
			}
			for path, want := range map[string]string{
				"/dists/trixie/Release":                   "\nSuite: " + suite + "\nCodename: " + codename + "\n",
				"/dists/trixie/main/binary-amd64/Release": "\nArchive: " + suite + "\nSuite: " + suite + "\nCodename: " + codename + "\n",
			} {
				if text := s.File(t, path); !strings.Contains(text, want) {
					t.Errorf("%s:\n%s, want %q", path, text, want)
				}
			}
		}
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"trixie","Suite":"stable","Codename":"trixie-updates","Sources":[{"Name":"r"}]}`, nil)
		shows("stable", "trixie-updates")
		s.Must(t, "PUT", at, `{}`, nil)
		shows("stable", "trixie-updates")
		s.Must(t, "PUT", at, `{"Suite":"oldstable/updates"}`, nil)
		shows("oldstable/updates", "trixie-updates")
		s.Must(t, "POST", at+"/update", `{"Codename":"","Aliases":["stable"]}`, nil)
		shows("oldstable/updates", "")
		if text := s.File(t, "/dists/stable/Release"); !strings.Contains(text, "\nSuite: stable\nCodename: trixie\n") {
			t.Errorf("the Release of an alias:\n%s", text)
		}
		s.Must(t, "PUT", at, `{"Suite":"","Aliases":[]}`, nil)
		shows("", "")
		for _, field := range []string{"Suite", "Codename", "Origin", "Label", "Version", "SignedBy"} {
			for _, value := range []string{"a\nOrigin: evil", "a\r\n b", "\x00"} {
				body, _ := json.Marshal(map[string]any{"SourceKind": "local", "Distribution": "new", "Sources": []map[string]string{{"Name": "r"}}, field: value})
				for method, path := range map[string]string{"POST": "/api/publish/p", "PUT": at} {
					if code, got := s.Ask(t, method, path, string(body)); code != 400 || !strings.Contains(got, "invalid "+field) {
						t.Errorf("%s %s: %d %s", method, body, code, got)
					}
				}
			}
		}
		shows("", "")
	})
}
