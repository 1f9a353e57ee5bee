package cli_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/transfer"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// writesNothing runs an import again. No request changes the server: a POST to
// /api/import is a question, and no row and no object is written.
func (b *bench) writesNothing(t *testing.T, words ...string) {
	t.Helper()
	b.requests()
	rows, objects, began := b.memory.Rows(""), b.memory.Objects(""), time.Now()
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "0 package files were sent, 0 publications made") {
		t.Errorf("again: exit code %d\n%s", r.code, r.err)
	}
	took, reads, changes := time.Since(began), 0, 0
	for _, line := range b.requests() {
		if strings.HasPrefix(line, "GET ") || strings.HasPrefix(line, "HEAD ") || line == "POST /api/import" {
			reads++
		} else {
			changes++
			t.Errorf("the second run changes the server: %s", line)
		}
	}
	if !maps.Equal(rows, b.memory.Rows("")) || !maps.Equal(objects, b.memory.Objects("")) {
		t.Error("the second run writes rows or objects")
	}
	t.Logf("second run of %q: %v, %d requests that read, %d that change", words[:min(2, len(words))], took.Round(time.Millisecond), reads, changes)
}

// filled makes a server with repositories, snapshots and publications. One publication
// has an older list than its repository.
func filled(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	dir := debs(t, "aa_1_amd64", "bb_2_all")
	for _, words := range [][]string{
		{"repo", "create", "-comment=first", "-distribution=stable", "-component=main", "r"}, {"repo", "add", "r", filepath.Join(dir, "aa_1_amd64.deb")},
		{"repo", "create", "q"}, {"repo", "add", "q", filepath.Join(dir, "bb_2_all.deb")},
		{"snapshot", "create", "one", "from", "repo", "r"}, {"snapshot", "create", "two", "from", "repo", "q"},
		{"snapshot", "merge", "both", "one", "two"},
		{"publish", "repo", "-component=main,extra", "-distribution=stable", "-origin=O", "-label=L", "-architectures=amd64", "r", "q", "team"},
		{"publish", "snapshot", "-distribution=frozen", "-architectures=amd64,i386", "-skip-contents", "both", "deep/er"},
		{"repo", "add", "r", debs(t, "cc_3_amd64")},
	} {
		b.must(t, words...)
	}
	return b
}

// published returns the indexes and Release files of a server, without dates, digests of
// Release and signatures.
func published(t *testing.T, b *bench) string {
	t.Helper()
	var text strings.Builder
	for _, path := range []string{"/team/dists/stable/main/binary-amd64/Packages", "/team/dists/stable/extra/binary-amd64/Packages", "/team/dists/stable/main/Contents-amd64",
		"/deep/er/dists/frozen/main/binary-amd64/Packages", "/deep/er/dists/frozen/main/binary-i386/Packages", "/team/dists/stable/Release", "/deep/er/dists/frozen/Release"} {
		_, body := b.Ask(t, "GET", path, "")
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "Date:") {
				text.WriteString(line)
			}
		}
	}
	return text.String()
}

// state returns the objects of a server as its API tells them, without times.
func state(t *testing.T, b *bench) string {
	t.Helper()
	var text strings.Builder
	for _, path := range []string{"/api/repos", "/api/repos/r/packages", "/api/repos/q/packages", "/api/snapshots", "/api/snapshots/both/packages", "/api/publish", "/api/mirrors", "/api/gpg/keys"} {
		_, body := b.Ask(t, "GET", path, "")
		text.WriteString(path + "\n" + body + "\n")
	}
	return text.String()
}

// TestExportComesBack: a folder brings all objects to an empty server. Lists, names, UUIDs
// and published indexes are equal. A publication keeps the list that it had, though its
// repository has another by now.
func TestExportComesBack(t *testing.T) {
	from, dir := filled(t), filepath.Join(t.TempDir(), "out")
	apptest.Signer(t)
	from.must(t, "export", dir)
	to := newBench(t)
	r := to.aptless(t, "import", dir)
	if r.code != 0 || !strings.Contains(r.err, "3 package files were sent, 2 publications made") {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	if got, want := published(t, to), published(t, from); got != want {
		t.Errorf("published\n%s\nwant\n%s", got, want)
	}
	if got, want := state(t, to), state(t, from); got != want {
		t.Errorf("state\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(published(t, to), "Package: cc\n") {
		t.Error("a package that was not published is published")
	}
	to.must(t, "publish", "update", "stable", "team")
	if !strings.Contains(published(t, to), "Package: cc\n") {
		t.Error("an update does not publish the repository")
	}
	left := to.must(t, "files", "list")
	if left != "" {
		t.Errorf("left in the upload area: %s", left)
	}
}

// TestImportDropsItsDirectory: two source packages have the same upstream archive. One
// request drops the upload directory after the import.
func TestImportDropsItsDirectory(t *testing.T) {
	from, dir, files := newBench(t), filepath.Join(t.TempDir(), "out"), t.TempDir()
	for _, version := range []string{"1.0-1", "1.0-2"} {
		for name, data := range debtest.Source(debtest.SourceSpec{Version: version}) {
			if err := os.WriteFile(filepath.Join(files, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	from.must(t, "repo", "create", "r")
	from.must(t, "repo", "add", "r", files)
	from.must(t, "export", dir)
	to := newBench(t)
	to.must(t, "import", dir)
	if want, got := from.must(t, "repo", "show", "-with-packages", "r"), to.must(t, "repo", "show", "-with-packages", "r"); got != want || !strings.Contains(got, "hello") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	dropped := 0
	for _, line := range to.requests() {
		if strings.HasPrefix(line, "DELETE /api/files/") {
			dropped++
		}
	}
	if dropped != 1 {
		t.Fatalf("%d requests to drop the directory", dropped)
	}
	if files := to.must(t, "files", "list"); files != "" {
		t.Errorf("files %q are left", files)
	}
}

// TestSkeletonFilesTravel: an operator has put files beside the indexes of a publication.
// They are in the export, and the published tree of the other server is equal. A folder
// without such files stays of version 1, which older programs read.
func TestSkeletonFilesTravel(t *testing.T) {
	from, m := stored(t)
	apptest.Signer(t)
	put := func(m *drivertest.Memory, name, text string) {
		t.Helper()
		if _, err := m.Blobs.Put(t.Context(), "private/skel/team/dists/stable/"+name, strings.NewReader(text), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	version := func(dir string) int {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := transfer.ParseManifest(data)
		if err != nil {
			t.Fatal(err)
		}
		return manifest.Version
	}
	from.must(t, "repo", "create", "r")
	from.must(t, "repo", "add", "r", debs(t, "aa_1_amd64"))
	from.must(t, "publish", "repo", "-component=main,main/extra", "-distribution=stable", "-architectures=amd64", "r", "r", "team")
	plain, dir := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "out")
	from.must(t, "export", plain)
	put(m, "main/i18n/Translation-xx", "text\n")
	put(m, "main/empty", "")
	put(m, "main/extra/deep/er/x", "of the component inside of the other")
	from.must(t, "publish", "update", "stable", "team")
	from.must(t, "export", dir)
	if a, b := version(plain), version(dir); a != 1 || b != 2 {
		t.Errorf("versions %d and %d", a, b)
	}
	to, other := stored(t)
	to.must(t, "import", dir)
	tree := treeOf(m)
	if tree["public/team/dists/stable/main/i18n/Translation-xx"] != "text\n" || tree["public/team/dists/stable/main/extra/deep/er/x"] == "" {
		t.Errorf("the tree has no skeleton files: %q", slices.Sorted(maps.Keys(tree)))
	}
	equalMaps(t, "tree of the other server", treeOf(other), tree)
	to.writesNothing(t, "import", dir)
	from.writesNothing(t, "import", dir)
	again := filepath.Join(t.TempDir(), "again")
	to.must(t, "export", again)
	equalMaps(t, "folder of the other server", folderOf(t, again), folderOf(t, dir))

	put(m, "main/i18n/Translation-xx", "newer\n")
	from.must(t, "publish", "update", "stable", "team")
	from.must(t, "export", dir)
	if r := to.aptless(t, "import", dir); r.code != 0 || !strings.Contains(r.err, "publication: 1 updated") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	equalMaps(t, "tree after a change", treeOf(other), treeOf(m))

	put(other, "main/own", "of the operator there")
	to.must(t, "publish", "update", "stable", "team")
	put(m, "main/i18n/Translation-xx", "newest\n")
	from.must(t, "publish", "update", "stable", "team")
	from.must(t, "export", dir)
	if r := to.aptless(t, "import", dir); r.code != 0 || !strings.Contains(r.err, "publication team/stable was changed on the server since its import") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	to.must(t, "import", "--overwrite", dir)
	if files := other.Objects("public/team/dists/stable/main/"); files["public/team/dists/stable/main/own"] == "" || files["public/team/dists/stable/main/i18n/Translation-xx"] != "newest\n" {
		t.Errorf("after an import that overwrites: %q", slices.Sorted(maps.Keys(files)))
	}
}

// TestSecondExportFetchesNothing, and one after an import fetches the new file.
func TestSecondExportFetchesNothing(t *testing.T) {
	b, dir := filled(t), filepath.Join(t.TempDir(), "out")
	export := func() (done struct{ Files, Fetched int }) {
		t.Helper()
		if err := json.Unmarshal([]byte(b.must(t, "export", "--json", dir)), &done); err != nil {
			t.Fatal(err)
		}
		return done
	}
	if got := export(); got.Files != 3 || got.Fetched != 3 {
		t.Errorf("first: %+v", got)
	}
	b.requests()
	if got := export(); got.Files != 3 || got.Fetched != 0 {
		t.Errorf("second: %+v", got)
	}
	if sent := b.requests(); slices.ContainsFunc(sent, func(s string) bool { return strings.Contains(s, "/files/") }) {
		t.Errorf("the second export fetches files: %q", sent)
	}
	b.must(t, "repo", "add", "q", debs(t, "dd_1_all"))
	if got := export(); got.Files != 4 || got.Fetched != 1 {
		t.Errorf("third: %+v", got)
	}
}

// TestImportAgainChangesNothing: an object that was changed here since is left alone
// unless the import overwrites.
func TestImportAgainChangesNothing(t *testing.T) {
	from, dir := filled(t), filepath.Join(t.TempDir(), "out")
	from.must(t, "export", dir)
	to := newBench(t)
	to.must(t, "import", dir)
	before := state(t, to)
	to.writesNothing(t, "import", dir)
	if after := state(t, to); after != before {
		t.Errorf("state\n%s\nbefore\n%s", after, before)
	}
	to.must(t, "repo", "edit", "-comment=mine", "r")
	from.must(t, "repo", "edit", "-comment=theirs", "r")
	from.must(t, "repo", "edit", "-comment=theirs", "q")
	from.must(t, "export", dir)
	r := to.aptless(t, "import", dir)
	if r.code != 0 || !strings.Contains(r.err, "repo r was changed on the server") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if got := to.must(t, "repo", "show", "r"); !strings.Contains(got, "mine") {
		t.Errorf("r: %s", got)
	}
	if got := to.must(t, "repo", "show", "q"); !strings.Contains(got, "theirs") {
		t.Errorf("q: %s", got)
	}
	to.must(t, "import", "--overwrite", dir)
	if got := to.must(t, "repo", "show", "r"); !strings.Contains(got, "theirs") {
		t.Errorf("overwritten: %s", got)
	}
}

// TestClashChangesNothing: another repository has a name.
func TestClashChangesNothing(t *testing.T) {
	from, dir := filled(t), filepath.Join(t.TempDir(), "out")
	from.must(t, "export", dir)
	to := newBench(t)
	to.must(t, "repo", "create", "q")
	before := state(t, to)
	if r := to.aptless(t, "import", "--dry-run", dir); r.code != 5 || !strings.Contains(r.err, "another object has the name of repo q") {
		t.Errorf("dry run: exit code %d\n%s", r.code, r.err)
	}
	if r := to.aptless(t, "import", dir); r.code != 5 || !strings.Contains(r.err, "other objects have the names of repo q") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if r := to.aptless(t, "import", "--empty", dir); r.code != 5 {
		t.Errorf("empty: exit code %d\n%s", r.code, r.err)
	}
	if after := state(t, to); after != before {
		t.Errorf("state\n%s\nbefore\n%s", after, before)
	}
}

// TestCopiesHaveNamesOfTheirOwn: a folder comes back to its server under other names,
// beside the objects that are there. Repeating the command changes nothing.
func TestCopiesHaveNamesOfTheirOwn(t *testing.T) {
	b, dir := filled(t), filepath.Join(t.TempDir(), "out")
	b.must(t, "export", "--only", "publication/team/*", dir)
	before := b.must(t, "repo", "show", "-with-packages", "r")
	words := []string{"import", "--as", "r=r-copy", "--as", "repo/q=q-copy", "--as", "team/stable=copies/stable", dir}
	if r := b.aptless(t, words...); r.code != 0 || !strings.Contains(r.err, "0 package files were sent, 1 publications made") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	if got := b.must(t, "repo", "list", "-raw"); got != "q\nq-copy\nr\nr-copy\n" {
		t.Errorf("repositories: %q", got)
	}
	if got := b.must(t, "publish", "show", "stable", "copies"); !strings.Contains(got, "r-copy") || !strings.Contains(got, "q-copy") {
		t.Errorf("publication: %s", got)
	}
	if after := b.must(t, "repo", "show", "-with-packages", "r"); after != before {
		t.Errorf("r became\n%s\nbefore\n%s", after, before)
	}
	b.writesNothing(t, words...)
	for _, wrong := range []string{"r", "none=x", "team/stable=x", "=x"} {
		if r := b.aptless(t, "import", "--as", wrong, dir); r.code == 0 {
			t.Errorf("--as %s is taken", wrong)
		}
	}
}

// TestDamagedFolderIsRefused: each kind of damage is named, and no name of an object
// appears on the server.
func TestDamagedFolderIsRefused(t *testing.T) {
	from := filled(t)
	dir := filepath.Join(t.TempDir(), "out")
	from.must(t, "export", dir)
	damage := func(pattern string, change func(path string) error) string {
		t.Helper()
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(copied, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, path := range found {
			if err := change(path); err != nil {
				t.Fatal(err)
			}
		}
		return copied
	}
	flip := func(path string) error {
		data, err := os.ReadFile(path)
		data[len(data)/2] ^= 0x10
		return errors.Join(err, os.WriteFile(path, data, 0o644))
	}
	cut := func(path string) error { return os.Truncate(path, 20) }
	for name, copied := range map[string]string{
		"list is changed": damage("lists/*/*", flip), "list is cut": damage("lists/*/*", cut), "list is gone": damage("lists/*/*", os.Remove),
		"file is changed": damage("pool/*/*", flip), "file is cut": damage("pool/*/*", cut), "file is gone": damage("pool/*/*", os.Remove),
		"objects are changed": damage("objects-*", flip), "manifest is cut": damage("manifest.json", cut),
	} {
		t.Run(name, func(t *testing.T) {
			to := newBench(t)
			r := to.aptless(t, "import", copied)
			if r.code != 1 && r.code != 3 {
				t.Errorf("exit code %d\n%s", r.code, r.err)
			}
			if got := to.must(t, "snapshot", "list", "--json"); got != "[]\n" {
				t.Errorf("snapshots: %s", got)
			}
		})
	}
}

// TestKeptExportsComeBack: of three exports two are kept. The file that only the first one
// had is gone, and each kept one is imported as it was.
func TestKeptExportsComeBack(t *testing.T) {
	b, dir := filled(t), filepath.Join(t.TempDir(), "out")
	manifests := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "manifest-*.json"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	files := func() int {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "pool/*/*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	export := func(want int) string {
		t.Helper()
		b.must(t, "export", "--keep", "2", dir)
		all := manifests()
		if len(all) != want {
			t.Fatalf("manifests: %q", all)
		}
		return filepath.Base(all[len(all)-1])
	}
	b.must(t, "repo", "create", "once")
	b.must(t, "repo", "add", "once", debs(t, "only-first_1_all"))
	export(1)
	b.must(t, "repo", "drop", "once")
	second := export(2)
	if n := files(); n != 4 {
		t.Errorf("%d files of the first two exports", n)
	}
	b.must(t, "repo", "add", "q", debs(t, "late_1_all"))
	export(2)
	if n := files(); n != 4 {
		t.Errorf("%d files of the last two exports", n)
	}
	if r := b.aptless(t, "export", dir); r.code != 0 || len(manifests()) != 2 || files() != 4 {
		t.Errorf("an export that keeps nothing changes the kept ones: %s", r.err)
	}
	for name, has := range map[string]bool{second: false, "": true} {
		to := newBench(t)
		words := []string{"import", dir}
		if name != "" {
			words = []string{"import", "--manifest", name, dir}
		}
		to.must(t, words...)
		if got := to.must(t, "repo", "show", "-with-packages", "q"); strings.Contains(got, "late_1_all") != has {
			t.Errorf("%q: %s", name, got)
		}
	}
	if r := b.aptless(t, "import", "--manifest", "manifest-none.json", dir); r.code != 2 {
		t.Errorf("a manifest that is not there: exit code %d", r.code)
	}
	if r := b.aptless(t, "export", "--keep", "-1", dir); r.code != 2 {
		t.Errorf("a negative number: exit code %d", r.code)
	}
}
