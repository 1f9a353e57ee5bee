package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/transfer"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// wide are the operations of a closed server whose storage takes signed uploads. Clients
// have tokens, and move objects by exports and imports.
func (c *client) wide() []func() {
	return append(c.families(), c.createRepo, c.importFiles, c.publish, c.update, c.deliver, c.read, c.ownToken, c.ownToken, c.rights, c.announce, c.announce, c.announce, c.parts, c.parts, c.deepFolder, c.manyRefs, c.manyFiles, c.largePackage,
		c.importTransfer, c.importTransfer, c.importTransfer, c.restore, c.secretMirror, c.pagesOf, c.pagesOf, c.private, c.private, c.dropSource)
}

// begin makes the objects that most requests need.
func (c *client) begin() {
	c.addKey()
	for _, repo := range c.few("a", "b") {
		c.task("POST", "/api/repos", map[string]any{"Name": repo, "DefaultDistribution": "d1"})
		c.await(c.deliverPack(repo, pick(c.dice, c.stock()...), ""))
	}
	c.expect(c.json("POST", "/api/mirrors", c.mirrorBody("m")))
	c.publish()
	c.publish()
}

// ownToken makes a token of which the client is the owner. Other clients may revoke it.
func (c *client) ownToken() {
	c.secret = c.w.secret
	if c.dice.one(3) {
		return
	}
	a := c.json("POST", "/api/auth/tokens", map[string]any{"Name": fmt.Sprint("own", c.number), "Expires": "90d", "Grants": []map[string]any{{"Role": "admin"}}})
	c.expect(a)
	var made struct{ Token string }
	if a.known && a.code < 300 && json.Unmarshal(a.body, &made) == nil && made.Token != "" {
		c.secret = made.Token
	}
}

// known notes that a package may be in a directory.
func (c *client) known(dir string, keys ...string) {
	c.w.check.mu.Lock()
	defer c.w.check.mu.Unlock()
	known := c.w.check.model.uploads[dir]
	if known == nil {
		known = set{}
		c.w.check.model.uploads[dir] = known
	}
	for _, key := range keys {
		known[key], c.w.check.model.all[key] = true, true
	}
}

// announce announces a file, puts it to its URL, confirms it and imports it.
func (c *client) announce() {
	p := pick(c.dice, c.stock()...)
	c.known("direct", p.key)
	list := []map[string]any{{"name": p.file, "size": len(p.data), "sha256": p.sha256}}
	a := c.json("POST", "/api/files/direct", list)
	c.expect(a)
	var to []struct{ URL string }
	if !a.known || a.code != 200 || json.Unmarshal(a.body, &to) != nil || len(to) != 1 {
		return
	}
	if !c.dice.one(6) {
		c.store(to[0].URL, p.data)
	}
	c.expect(c.json("POST", "/api/files/direct?confirm=1", list))
	if c.dice.one(2) {
		c.task("POST", "/api/repos/"+c.repo()+"/file/direct"+pick(c.dice, "", "?forceReplace=1", "?noRemove=1"), nil)
	}
}

// store puts an object past the API, as a client with a signed URL does.
func (c *client) store(key string, data []byte) {
	if _, err := c.w.memory.Blobs.Put(context.Background(), key, bytes.NewReader(data), driver.PutOptions{}); err != nil {
		c.w.fail("signed upload: %v", err)
	}
}

// parts uploads a file in parts, or gives it up.
func (c *client) parts() {
	p := pick(c.dice, c.stock()...)
	c.known("direct", p.key)
	path := "/api/files/direct/" + url.PathEscape(p.file) + "/parts"
	file := map[string]any{"size": len(p.data), "sha256": p.sha256}
	a := c.json("POST", path, file)
	c.expect(a)
	if !a.known || a.code != 200 {
		return
	}
	a = c.json("POST", path+"/urls", map[string]any{"size": len(p.data), "sha256": p.sha256, "parts": []map[string]any{{"number": 1, "sha256": p.sha256}}})
	c.expect(a)
	var to []struct{ URL string }
	if a.known && a.code == 200 && json.Unmarshal(a.body, &to) == nil && len(to) == 1 && !c.dice.one(6) {
		_ = c.w.direct.PutPart(to[0].URL, p.data) // another client may have ended it
	}
	if c.dice.one(3) {
		c.expect(c.json("POST", path+"/abort", file))
		return
	}
	a = c.json("POST", path+"/complete", file)
	c.expect(a)
	if !a.known { // a client without an answer begins again
		c.expect(c.json("POST", path, file))
		c.expect(c.json("POST", path+"/complete", file))
	}
}

// deepFolder uploads into a folder of folders, and imports it.
func (c *client) deepFolder() {
	p := pick(c.dice, c.stock()...)
	dir := pick(c.dice, "deep/er", "deep/er/est")
	c.known(dir, p.key)
	c.known("deep/er", p.key) // an import of a folder has those below it
	c.expect(c.ask("PUT", "/api/files/"+url.PathEscape(dir)+"/"+p.file, "application/octet-stream", p.data))
	if c.dice.one(2) {
		c.task("POST", "/api/repos/"+c.repo()+"/file/"+url.PathEscape(dir), nil)
	}
}

// manyRefs sends arguments that are larger than a row.
func (c *client) manyRefs() {
	refs := []string{pick(c.dice, c.stock()...).key}
	for n := range 420 {
		refs = append(refs, fmt.Sprintf("Pamd64 absent-%028d 1 %016x", n, n))
	}
	c.task("DELETE", "/api/repos/"+c.repo()+"/packages", map[string]any{"PackageRefs": refs})
	c.cancel()
}

// manyFiles imports files that are no packages, of which the form has one twice. The
// task's value is larger than a row.
func (c *client) manyFiles() {
	dir := fmt.Sprintf("u%d-%d", c.number, c.sent)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for n := range 91 {
		part, err := form.CreateFormFile("file", fmt.Sprintf("%0140d_1_amd64.deb", n%90))
		if err == nil {
			_, err = part.Write([]byte("none"))
		}
		if err != nil {
			c.w.fail("form: %v", err)
			return
		}
	}
	if err := form.Close(); err != nil {
		c.w.fail("form: %v", err)
		return
	}
	c.expect(c.ask("POST", "/api/files/"+dir, form.FormDataContentType(), body.Bytes()))
	c.task("POST", "/api/repos/"+c.repo()+"/file/"+dir, nil)
	if len(c.mine) > 0 {
		id := c.mine[len(c.mine)-1]
		c.expect(c.json("GET", fmt.Sprintf("/api/tasks/%d/return_value", id), nil))
		c.expect(c.json("GET", fmt.Sprintf("/api/tasks/%d/output", id), nil))
		c.expect(c.json("DELETE", fmt.Sprintf("/api/tasks/%d", id), nil))
	}
}

// largePackage delivers a package whose record is larger than a row.
func (c *client) largePackage() { c.await(c.deliverPack(c.repo(), c.w.large, "")) }

// importTransfer exports all objects, and imports them from an upload directory, perhaps
// after changes.
func (c *client) importTransfer() {
	id := c.exported()
	if id == "" {
		return
	}
	a := c.json("GET", "/api/exports/"+id+"/objects/objects", nil)
	if !a.known || a.code != 200 {
		return
	}
	files := map[string][]byte{transfer.ObjectsName: a.body}
	for key, data := range c.w.memory.Objects("private/chunks/") {
		files[transfer.ListPrefix+key[strings.LastIndexByte(key, '/')+1:]] = []byte(data)
	}
	for _, p := range slices.Concat(c.stock(), []pack{c.w.large}) {
		if data, ok := c.w.memory.Objects(pool.FileKey(p.sha256))[pool.FileKey(p.sha256)]; ok {
			files[transfer.FilePrefix+p.sha256] = []byte(data)
		}
	}
	dir := fmt.Sprintf("u%d-%d", c.number, c.sent)
	body, media, err := apptest.FormOf(files)
	if err != nil {
		c.w.fail("form: %v", err)
		return
	}
	c.loseSome(id)
	c.expect(c.ask("POST", "/api/files/"+dir, media, body))
	lines := strings.Split(strings.TrimSpace(string(a.body)), "\n")
	c.expect(c.json("POST", "/api/import", map[string]any{"Files": []string{pick(c.dice, c.stock()...).sha256, hex.EncodeToString(make([]byte, sha256.Size))}, "Objects": lines}))
	c.task("POST", "/api/import/"+dir+pick(c.dice, "", "?overwrite=1", "?overwrite=1", "?dryRun=1", "?empty=1"), nil)
	c.restore()
}

// loseSome drops objects of an export, and perhaps collects their packages.
func (c *client) loseSome(export string) {
	if c.dice.one(4) {
		return
	}
	c.task("DELETE", "/api/exports/"+export, nil)
	_, path := c.publication()
	c.task("DELETE", "/api/publish/"+path+"?force=1", nil)
	if c.dice.one(2) {
		c.task("DELETE", "/api/repos/"+c.repo()+"?force=1", nil)
		c.dropSnapshot()
		c.cleanup()
	}
}

// restore publishes a publication that an import has left.
func (c *client) restore() {
	_, path := c.publication()
	c.task("POST", "/api/publish/"+path+"/restore", nil)
}

// secretMirror gives the mirror credentials, or takes them.
func (c *client) secretMirror() {
	login := map[string]any{"User": "u", "Password": "p"}
	if c.dice.one(3) {
		login = map[string]any{}
	}
	c.expect(c.json("POST", "/api/mirrors/m", map[string]any{"Name": "m", "Credentials": login}))
	c.updateMirror()
}

// pagesOf reads lists in pages.
func (c *client) pagesOf() {
	_, path := c.publication()
	c.expect(c.json("GET", pick(c.dice, "/api/repos?limit=1", "/api/snapshots?limit=1", "/api/mirrors?limit=1", "/api/publish?limit=1", "/api/packages?limit=2", "/api/packages?q=Name%20(=%20pa)",
		"/api/packages?limit=1&q=pa", "/api/repos/"+c.repo()+"/packages?limit=2", "/api/publish/"+path+"/tree?path=dists/d1", "/api/publish/"+path+"/tree?path=dists/d2", "/api/storage", "/api/metrics",
		"/dists/", "/pool/main/", "/x/", "/api/repos/"+c.repo()+"/packages?q=pa"), nil))
}

// private makes a prefix private or public, and the tokens that read it.
func (c *client) private() {
	var now struct{ Version string }
	if a := c.json("GET", "/api/auth/access", nil); !a.known || a.code != 200 || json.Unmarshal(a.body, &now) != nil {
		return
	}
	prefixes := []string{}
	if !c.dice.one(3) {
		prefixes = append(prefixes, pick(c.dice, "x", "y", "y"))
	}
	c.expect(c.json("PUT", "/api/auth/access", map[string]any{"Private": prefixes, "Version": now.Version}))
	c.expect(c.json("POST", "/api/auth/tokens", map[string]any{"Name": "d", "Kind": "download", "Expires": pick(c.dice, "1h", "90d"), "Grants": []map[string]any{{"Role": "downloader", "Tree": []string{"y"}}}}))
	if c.dice.one(2) {
		c.rights()
	}
}

// dropSource puts a .changes with its files into the drop box.
func (c *client) dropSource() {
	repo := c.repo()
	from := c.w.sources[pick(c.dice, "1.0-1", "1.1-1")]
	c.w.check.mu.Lock()
	maps.Copy(c.w.check.model.all, from.keys)
	c.w.check.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(from.files)) {
		c.store("drop/drop/"+repo+"/"+name, from.files[name])
	}
	c.task("POST", "/api/repos/"+repo+"/drop", nil)
}

// clearWide removes the upload directories of these operations, and the publications that
// wait.
func (w *World) clearWide(c *client) {
	if !w.wide() {
		return
	}
	for _, path := range movedObjects() {
		c.must("DELETE", "/api/"+path+"?force=1")
	}
	for _, dir := range []string{"direct", "deep/er/est", "deep/er", "deep"} {
		c.must("DELETE", "/api/files/"+url.PathEscape(dir))
	}
	// No request removes a publication that was imported and is not published.
	for _, key := range slices.Sorted(maps.Keys(w.memory.Rows("waiting"))) {
		row, err := w.memory.Table.Get(context.Background(), driver.Key{Part: "waiting", Sort: strings.TrimPrefix(key, "waiting/")})
		if err == nil {
			_, err = w.memory.Table.Write(context.Background(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		}
		if err != nil {
			w.fail("%s: %v", key, err)
		}
	}
}

// largePack returns a package whose record does not fit into a row, even compressed.
func largePack() pack {
	d, text := newDice(1), make([]byte, 0, 450_000)
	for len(text) < cap(text) {
		text = append(text, byte('!'+d.below('~'-'!')))
	}
	return packOf("pl", "1", debtest.Deb(debtest.Spec{Package: "pl", Version: "1", Architecture: "amd64", Fields: map[string]string{"X-Text": string(text)}}))
}
