package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// pack is a package that clients upload.
type pack struct {
	file, key, sha256 string
	data              []byte
}

// versions is the number of packages of one name.
const versions = 4

// stockOf returns the packages of all runs: names in versions, and for each name a rival
// of version 1 with other content.
func stockOf() []pack {
	var all []pack
	for _, name := range []string{"pa", "pb", "pc"} {
		for _, version := range []string{"1", "2", "3"} {
			all = append(all, packOf(name, version, apptest.Deb(name, version, "amd64")))
		}
		all = append(all, packOf(name, "1", append(apptest.Deb(name, "1", "amd64"), '\n')))
	}
	return all
}

func packOf(name, version string, data []byte) pack {
	file := name + "_" + version + "_amd64.deb"
	h := deb.NewHasher()
	h.Write(data)
	paragraph, err := deb.ParseParagraph(fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n", name, version), deb.ModeControl)
	if err != nil {
		panic(err) // the text is constant
	}
	p, err := deb.BinaryPackage(paragraph, deb.Binary, h.File(file))
	if err != nil {
		panic(err)
	}
	return pack{file, p.Key(), p.Files[0].SHA256, data}
}

// names of objects. There are few, so that clients meet.
func (c *client) repo() string     { return pick(c.dice, c.few("a", "b")...) }
func (c *client) snapshot() string { return pick(c.dice, c.few("s1", "s2", "s3")...) }
func (c *client) name() string     { return pick(c.dice, c.few("pa", "pb", "pc")...) }

// few returns the names of a plan: all, or the first ones.
func (c *client) few(all ...string) []string {
	if n := c.w.Plan.Names; n > 0 && n < len(all) {
		return all[:n]
	}
	return all
}

// stock returns the packages with the names of a plan.
func (c *client) stock() []pack {
	if n := c.w.Plan.Names; n > 0 {
		return slices.Clip(c.w.stock[:min(n*versions, len(c.w.stock))])
	}
	return slices.Clip(c.w.stock)
}

func (c *client) publication() (prefix, path string) {
	prefix = pick(c.dice, "", "", "x")
	if c.w.Plan.Names == 1 {
		return "", ":./d1"
	}
	dist := pick(c.dice, "d1", "d2")
	if prefix == "" {
		return prefix, ":./" + dist
	}
	return prefix, prefix + "/" + dist
}

// upload uploads some packages to a directory. It returns whether all were stored.
func (c *client) upload(dir string) bool {
	files := map[string][]byte{}
	c.w.check.mu.Lock()
	known := c.w.check.model.uploads[dir]
	if known == nil {
		known = set{}
		c.w.check.model.uploads[dir] = known
	}
	for range 1 + c.dice.below(3) {
		p := pick(c.dice, c.stock()...)
		if _, twice := files[p.file]; twice {
			continue
		}
		if c.w.Plan.has(Damage) && c.dice.one(15) {
			c.w.coverage.fault(Damage)
			files[p.file] = p.data[:c.dice.below(len(p.data))]
			continue
		}
		files[p.file] = p.data
		known[p.key], c.w.check.model.all[p.key] = true, true
	}
	c.w.check.mu.Unlock()
	body, media, err := apptest.FormOf(files)
	if err != nil {
		c.w.fail("form: %v", err)
		return false
	}
	a := c.ask("POST", "/api/files/"+dir, media, body)
	c.expect(a)
	return a.known && a.code == 200
}

func (c *client) importFiles() {
	dir := fmt.Sprintf("u%d-%d", c.number, c.sent)
	own := !c.dice.one(5)
	if !own {
		dir = "shared"
	}
	whole := c.upload(dir)
	c.w.check.mu.Lock()
	c.w.check.model.sure[dir] = whole && own
	c.w.check.mu.Unlock()
	query := pick(c.dice, "", "", "?forceReplace=1", "?noRemove=1")
	c.task("POST", "/api/repos/"+c.repo()+"/file/"+dir+query, nil)
}

func (c *client) deliver() {
	p := pick(c.dice, c.stock()...)
	_, path := c.publication()
	query := pick(c.dice, "", "?forceReplace=1", "?publish="+url.QueryEscape(strings.TrimPrefix(path, ":")))
	c.await(c.deliverPack(c.repo(), p, query))
}

// deliverPack uploads a package into a repository.
func (c *client) deliverPack(repo string, p pack, query string) answer {
	c.w.check.mu.Lock()
	c.w.check.model.all[p.key] = true
	c.w.check.mu.Unlock()
	body, media, err := apptest.FormOf(map[string][]byte{p.file: p.data})
	if err != nil {
		c.w.fail("form: %v", err)
		return answer{}
	}
	return c.ask("POST", "/api/upload/"+repo+query, media, body)
}

func (c *client) createRepo() {
	body := map[string]any{"Name": c.repo(), "DefaultDistribution": "d1"}
	if c.dice.one(3) {
		body["FromSnapshot"] = c.snapshot()
	}
	c.task("POST", "/api/repos", body)
}

func (c *client) editRepo() {
	body := map[string]any{"Comment": fmt.Sprint(c.sent)}
	if c.dice.one(2) {
		body["Name"] = c.repo()
	}
	c.task("PUT", "/api/repos/"+c.repo(), body)
}

func (c *client) dropRepo() {
	if c.dice.one(2) {
		c.task("DELETE", "/api/repos/"+c.repo()+pick(c.dice, "", "?force=1"), nil)
	}
}

func (c *client) refs() map[string]any {
	var keys []string
	for range 1 + c.dice.below(3) {
		keys = append(keys, pick(c.dice, c.stock()...).key)
	}
	return map[string]any{"PackageRefs": keys}
}

func (c *client) removePackages() { c.task("DELETE", "/api/repos/"+c.repo()+"/packages", c.refs()) }
func (c *client) addPackages()    { c.task("POST", "/api/repos/"+c.repo()+"/packages", c.refs()) }

func (c *client) copyPackages() {
	c.task("POST", "/api/repos/"+c.repo()+"/copy/"+c.repo()+"/"+c.name(), map[string]any{})
}

func (c *client) takeSnapshot() {
	c.task("POST", "/api/repos/"+c.repo()+"/snapshots", map[string]any{"Name": c.snapshot()})
}

func (c *client) createSnapshot() {
	body := map[string]any{"Name": c.snapshot()}
	if c.dice.one(2) {
		body = c.refs()
		body["Name"] = c.snapshot()
	} else {
		body["SourceSnapshots"] = []string{c.snapshot()}
	}
	c.task("POST", "/api/snapshots", body)
}

func (c *client) mergeSnapshots() {
	c.task("POST", "/api/snapshots/"+c.snapshot()+"/merge"+pick(c.dice, "", "?latest=1", "?no-remove=1"), map[string]any{"Sources": []string{c.snapshot(), c.snapshot()}})
}

func (c *client) pullSnapshot() {
	c.task("POST", "/api/snapshots/"+c.snapshot()+"/pull?no-deps=1", map[string]any{"Source": c.snapshot(), "Destination": c.snapshot(), "Queries": []string{c.name()}})
}

func (c *client) filterSnapshot() {
	c.task("POST", "/api/snapshots/"+c.snapshot()+"/filter", map[string]any{"Destination": c.snapshot(), "Queries": []string{c.name()}})
}

func (c *client) renameSnapshot() {
	c.task("PUT", "/api/snapshots/"+c.snapshot(), map[string]any{"Name": c.snapshot(), "Description": fmt.Sprint(c.sent)})
}

func (c *client) dropSnapshot() {
	if c.dice.one(6) {
		c.task("DELETE", "/api/snapshots?pattern=s*&force=1", nil)
		return
	}
	c.task("DELETE", "/api/snapshots/"+c.snapshot()+pick(c.dice, "", "?force=1"), nil)
}

func (c *client) publish() {
	prefix, path := c.publication()
	body := map[string]any{"SourceKind": "local", "Distribution": path[strings.LastIndexByte(path, '/')+1:], "Architectures": []string{"amd64"},
		"Sources": []map[string]string{{"Name": c.repo()}}}
	switch c.dice.below(4) {
	case 0:
		body["SourceKind"], body["Sources"] = "snapshot", []map[string]string{{"Name": c.snapshot()}}
	case 1:
		body["Sources"] = []map[string]string{{"Name": "a", "Component": "main"}, {"Name": "b", "Component": "more"}}
	}
	c.overwrite(body)
	if c.dice.one(5) {
		body["PoolLayout"] = "hash"
	}
	if c.dice.one(6) {
		body["ValidFor"] = "2d"
	}
	c.task("POST", strings.TrimSuffix("/api/publish/"+prefix, "/"), body)
}

func (c *client) update() {
	_, path := c.publication()
	body := map[string]any{}
	switch c.dice.below(5) {
	case 0:
		body["Snapshots"] = []map[string]string{{"Component": "main", "Name": c.snapshot()}}
	case 1:
		body["SkipCleanup"] = true
	case 2:
		body["Label"] = fmt.Sprint(c.sent)
	}
	c.overwrite(body)
	c.task("PUT", "/api/publish/"+path, body)
}

// overwrite has a publication replace package files under their paths, now and then.
func (c *client) overwrite(body map[string]any) {
	if c.dice.one(6) {
		body["ForceOverwrite"] = true
	}
}

func (c *client) stage() {
	_, path := c.publication()
	c.task("POST", "/api/publish/"+path+"/sources", map[string]string{"Component": pick(c.dice, "main", "more"), "Name": c.repo()})
	if c.dice.one(2) {
		c.task("POST", "/api/publish/"+path+"/update", map[string]any{})
	}
}

func (c *client) rollback() {
	_, path := c.publication()
	a := c.json("GET", "/api/publish/"+path+"/revisions", nil)
	var all []struct{ Generation int64 }
	if !a.known || a.code != 200 || json.Unmarshal(a.body, &all) != nil || len(all) == 0 {
		return
	}
	c.task("POST", "/api/publish/"+path+"/rollback", map[string]any{"Generation": all[c.dice.below(len(all))].Generation})
}

func (c *client) dropPublication() {
	_, path := c.publication()
	c.task("DELETE", "/api/publish/"+path+pick(c.dice, "", "", "?force=1"), nil)
}

func (c *client) cleanup() { c.task("POST", "/api/db/cleanup", nil) }

func (c *client) repair() {
	_, path := c.publication()
	c.task("POST", pick(c.dice, "/api/db/repair", "/api/publish/"+path+"/repair"), nil)
}

// cancel cancels one of the client's tasks, or removes its record.
func (c *client) cancel() {
	if len(c.mine) == 0 {
		return
	}
	id := c.mine[c.dice.below(len(c.mine))]
	if c.dice.one(3) {
		c.expect(c.json("DELETE", fmt.Sprintf("/api/tasks/%d", id), nil))
		return
	}
	c.expect(c.json("POST", fmt.Sprintf("/api/tasks/%d/cancel", id), nil))
}

func (c *client) readTasks() {
	c.expect(c.json("GET", "/api/tasks", nil))
	if c.dice.one(4) {
		c.expect(c.json("POST", "/api/tasks-clear", nil))
	}
}

// read reads lists and objects.
func (c *client) read() {
	_, path := c.publication()
	for range 1 + c.dice.below(4) {
		switch c.dice.below(8) {
		case 0:
			c.readPackages("repo", "/api/repos/", c.repo())
		case 1:
			c.readPackages("snapshot", "/api/snapshots/", c.snapshot())
		default:
			c.expect(c.json("GET", pick(c.dice, "/api/repos", "/api/repos/"+c.repo(), "/api/snapshots", "/api/snapshots/"+c.snapshot(), "/api/mirrors",
				"/api/publish", "/api/publish/"+path, "/api/packages", "/api/files", "/api/gpg/keys", "/api/graph.gv", "/api/version"), nil))
		}
	}
}

func (c *client) removeUpload() {
	c.expect(c.json("DELETE", pick(c.dice, "/api/files/shared", "/api/files/shared/pa_1_amd64.deb"), nil))
}

func (c *client) mirrorBody(name string) map[string]any {
	return map[string]any{"Name": name, "ArchiveURL": apptest.UpstreamRoot, "Distribution": "stable", "Components": []string{"main"}}
}

// changeMirror makes or edits a mirror, or moves its archive.
func (c *client) changeMirror() {
	switch c.dice.below(4) {
	case 0:
		c.w.net.move()
	case 1:
		c.editMirror()
	default:
		body := c.mirrorBody("m")
		if c.dice.one(2) {
			body["Schedule"] = "1h"
		}
		a := c.json("POST", "/api/mirrors", body)
		if c.expect(a); a.known && a.code >= 400 && c.last.made && c.w.Plan.lostWrites("") {
			c.w.fail("the creation of a mirror is answered with %d %s, and it was made", a.code, a.body)
		}
	}
}

func (c *client) editMirror() {
	c.expect(c.json("POST", "/api/mirrors/m", map[string]any{"Name": "m", "DownloadSources": c.dice.one(2)}))
}

func (c *client) updateMirror() {
	c.task("PUT", "/api/mirrors/m", map[string]any{})
	if c.dice.one(3) {
		c.snapshotMirror()
	}
}

func (c *client) snapshotMirror() {
	c.task("POST", "/api/mirrors/m/snapshots", map[string]any{"Name": c.snapshot()})
}

func (c *client) dropMirror() {
	if c.dice.one(3) {
		c.task("DELETE", "/api/mirrors/m"+pick(c.dice, "", "?force=1"), nil)
	}
}

// keys adds or removes the key of the mirrored archive.
func (c *client) keys() {
	if c.dice.one(4) {
		c.expect(c.json("DELETE", "/api/gpg/key", map[string]string{"GpgKeyID": apptest.KeyID(c.w.signer)}))
		return
	}
	c.addKey()
}

func (c *client) addKey() {
	c.expect(c.ask("POST", "/api/gpg/key", "application/json", []byte(apptest.KeyBody(c.w.signer))))
}

// readPackages reads the packages of a list. The answer must be its state at a moment
// between the request and the answer.
func (c *client) readPackages(part, path, name string) {
	from := c.w.check.moment()
	row := c.w.check.named(part, name)
	a := c.json("GET", path+name+"/packages", nil)
	c.expect(a)
	var keys []string
	if !a.known || a.code != 200 || json.Unmarshal(a.body, &keys) != nil {
		return
	}
	c.last.back = c.w.event()
	c.w.check.wasAt(part, name, setOf(keys...), from)
	if row != "" && row == c.w.check.named(part, name) { // the name was that of one row
		c.w.check.seen(row, c.last, setOf(keys...))
	}
}

// include uploads a source package, a binary package and their .changes, and includes
// them.
func (c *client) include() {
	version := pick(c.dice, "1.0-1", "1.1-1")
	dir := fmt.Sprintf("u%d-%d", c.number, c.sent)
	files, known := c.w.sources[version].files, c.w.sources[version].keys
	c.w.check.mu.Lock()
	maps.Copy(c.w.check.model.all, known)
	c.w.check.mu.Unlock()
	body, media, err := apptest.FormOf(files)
	if err != nil {
		c.w.fail("form: %v", err)
		return
	}
	if a := c.ask("POST", "/api/files/"+dir, media, body); a.known && a.code == 200 {
		c.task("POST", "/api/repos/"+c.repo()+"/include/"+dir+"?acceptUnsigned=1"+pick(c.dice, "", "&forceReplace=1"), nil)
	}
}

// uploaders changes the rules for uploads of a repository.
func (c *client) uploaders() {
	c.expect(c.json(pick(c.dice, "GET", "DELETE"), "/api/repos/"+c.repo()+"/uploaders", nil))
}

// sourcePack is a source package with its .changes.
type sourcePack struct {
	files map[string][]byte
	keys  set
}

// sourcesOf returns the source packages of all runs, by version.
func sourcesOf() map[string]sourcePack {
	all := map[string]sourcePack{}
	for _, version := range []string{"1.0-1", "1.1-1"} {
		files := debtest.Source(debtest.SourceSpec{Version: version})
		spec := debtest.Spec{Version: version, Architecture: "amd64"}
		data := debtest.Deb(spec)
		files[debtest.FileName(spec)] = data
		files["hello_"+version+"_amd64.changes"] = debtest.Changes(debtest.ChangesSpec{Version: version, Architecture: "source amd64"}, files)
		all[version] = sourcePack{files: files, keys: set{}}
	}
	return all
}
