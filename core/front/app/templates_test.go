package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/auth"
)

// TestTemplateNamesOnlyWhatMayBeUsed: of two uploads by a template one is for a
// repository of the client. The other is refused in the same words, whether its
// repository exists or not.
func TestTemplateNamesOnlyWhatMayBeUsed(t *testing.T) {
	g := newGuarded(t).works(t)
	for _, name := range []string{"for-sid", "for-theirs"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
	}
	mine := []string{"for-sid", "for-sid-*"}
	token := g.token(t, auth.Grant{Role: auth.Uploader, Repos: mine}, auth.Grant{Can: []auth.Permission{auth.RepoImport}, Repos: mine})
	const template = "/api/repos/for-%7B%7B.Distribution%7D%7D/include/d"
	for _, dist := range []string{"sid", "theirs", "nowhere"} {
		spec := debtest.Spec{Package: dist}
		files := map[string][]byte{debtest.FileName(spec): debtest.Deb(spec)}
		g.must(t, token, "PUT", "/api/files/d/"+debtest.FileName(spec), string(files[debtest.FileName(spec)]))
		g.must(t, token, "PUT", "/api/files/d/"+dist+".changes", string(debtest.Changes(debtest.ChangesSpec{Source: dist, Architecture: "all", Distribution: dist}, files)))
	}
	var answer struct {
		Report struct{ Added, Warnings []string }
	}
	if err := json.Unmarshal([]byte(g.must(t, token, "POST", template+"?acceptUnsigned=1", "")), &answer); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(answer.Report.Added, ","); got != "sid_1.0_all added" {
		t.Errorf("added %s", got)
	}
	for _, name := range []string{"theirs", "nowhere"} {
		want := "unable to process file " + name + ".changes: local repo with name for-" + name + " not found"
		if !strings.Contains(strings.Join(answer.Report.Warnings, "\n"), want) {
			t.Errorf("warnings %q, want %s", answer.Report.Warnings, want)
		}
	}
	include := g.token(t, auth.Grant{Can: []auth.Permission{auth.RepoInclude, auth.FilesWrite}, Repos: mine})
	g.refused(t, include, "POST", template+"?acceptUnsigned=1", "", 403, "no permission: repo.import")
	g.refused(t, include, "POST", template+"?forceReplace=1", "", 403, "no permission: repo.write")
	g.refused(t, g.token(t, auth.Grant{Role: auth.Reader}), "POST", template, "", 403, "no permission: repo.include")
	// A text with a single action is a name, as in aptly.
	g.refused(t, token, "POST", "/api/repos/%7B%7B.Distribution%7D%7D/include/d", "", 403, "no permission: repo.include on {{.Distribution}}")
}
