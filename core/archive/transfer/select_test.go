package transfer_test

import (
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/transfer"
)

// TestSelectionIsWhole: a publication brings its sources, a mirror its keyrings. A pattern
// without an object is an error.
func TestSelectionIsWhole(t *testing.T) {
	publication := func(prefix, distribution, uuid string) transfer.Object {
		return transfer.Object{Publication: &transfer.Publication{Settings: publish.Settings{Name: publish.Name{Prefix: prefix, Distribution: distribution}},
			Components: map[string]publish.Component{"main": {UUID: uuid}}}}
	}
	objects := []transfer.Object{{Ring: &transfer.Ring{Name: keyring.Default}}, {Repo: &repo.Repo{UUID: "1", Name: "tools"}}, {Repo: &repo.Repo{UUID: "2", Name: "toys"}},
		{Mirror: &mirror.Mirror{UUID: "3", Name: "debian"}}, {Snapshot: &snapshot.Snapshot{UUID: "4", Name: "tools"}}, publication(".", "stable", "1"), publication("a/b", "testing", "4")}
	for patterns, want := range map[string]string{
		"repo/tools": "repo tools", "repo/to*": "repo tools, repo toys", "snapshot/tools repo/toys": "repo toys, snapshot tools", "mirror/*": "keyring trustedkeys.gpg, mirror debian",
		"publication/./stable": "repo tools, publication ./stable", "publication/a/b/testing": "snapshot tools, publication a/b/testing", "publication/*": "repo tools, snapshot tools, publication ./stable, publication a/b/testing",
	} {
		got, err := transfer.Select(objects, strings.Fields(patterns))
		var names []string
		for i := range got {
			names = append(names, got[i].Kind()+" "+got[i].Name())
		}
		if err != nil || strings.Join(names, ", ") != want {
			t.Errorf("%s: %q, %v, want %s", patterns, names, err, want)
		}
	}
	for _, wrong := range []string{"tools", "repo/", "repo/none", "publication/stable/.", "disk/tools"} {
		if got, err := transfer.Select(objects, []string{wrong}); err == nil || slices.Contains(strings.Fields(err.Error()), "error") {
			t.Errorf("%s: %v, %v", wrong, got, err)
		}
	}
}
