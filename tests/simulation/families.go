package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"aptless/core/engine/driver"
)

// families are the operations that clients of repositories, snapshots and publications
// seldom send: previews, pages, audits, tokens, the drop box, exports and checks.
func (c *client) families() []func() {
	return []func(){c.importFiles, c.deliver, c.createRepo, c.publish, c.publish, c.update, c.takeSnapshot, c.createSnapshot, c.removePackages, c.include, c.cleanup,
		c.look, c.look, c.look, c.look, c.look, c.preview, c.preview, c.checkAll, c.editSources, c.editSources, c.putFile, c.putFile, c.rights, c.rights, c.rights, c.rights,
		c.dropFile, c.dropFile, c.dropFile, c.export, c.export, c.changeMirror, c.updateMirror, c.dropPublication, c.dropRepo, c.keys}
}

// look reads objects as pages for people do.
func (c *client) look() {
	_, path := c.publication()
	repo, snapshot, p := c.repo(), c.snapshot(), pick(c.dice, c.stock()...)
	key := url.PathEscape(p.key)
	c.expect(c.json("GET", pick(c.dice,
		"/api/publish/"+path+"/packages", "/api/publish/"+path+"/sources", "/api/publish/"+path+"/revisions", "/api/publish/"+path+"/setup",
		"/api/publish/"+path+"/tree?path=dists", "/api/publish/"+path+"/tree?path=pool/main", "/api/publish/"+path+"/packages?q="+c.name(),
		"/api/packages/"+key, "/api/packages/"+key+"/origins", "/api/packages/"+key+"/references", "/api/packages/"+key+"/files", "/api/packages?q="+c.name(),
		"/api/repos/"+repo+"/origins/"+key, "/api/repos/"+repo+"/packages?q="+c.name(), "/api/repos/"+repo+"/drop",
		"/api/snapshots/"+snapshot+"/diff/"+c.snapshot(), "/api/snapshots/"+snapshot+"/verify", "/api/mirrors/m", "/api/mirrors/m/packages",
		"/api/files/shared", "/api/files", "/api/status", "/api/storage", "/api/audit", "/api/audit?verify=1", "/api/signing-keys", "/api/ready", "/api/healthy",
		"/api/auth/tokens", "/api/auth/access", "/api/auth/policies", "/api/auth/policies/p", "/api/auth/bindings", "/api/auth/bindings/b", "/api/auth/whoami",
		"/snapshots/1/dists/d1/InRelease", "/dists/d1/", "/pool/", "/key.asc", "/repos/"), nil))
}

// preview asks for the effect of a change.
func (c *client) preview() {
	_, path := c.publication()
	switch c.dice.below(6) {
	case 0:
		c.expect(c.json("PUT", "/api/publish/"+path+"?dryRun=1", map[string]any{"Label": fmt.Sprint(c.sent)}))
	case 1:
		c.expect(c.json("DELETE", "/api/publish/"+path+"?dryRun=1", nil))
	case 2:
		c.task("DELETE", "/api/repos/"+c.repo()+"/packages?dryRun=1&q="+c.name(), nil)
	case 3:
		c.task("POST", "/api/db/cleanup?dryRun=1", nil)
	case 4:
		c.task("POST", "/api/repos/"+c.repo()+"/copy/"+c.repo()+"/"+c.name(), map[string]any{"dry-run": true})
	default:
		c.expect(c.json("POST", "/api/publish/"+path+"/update?dryRun=1", map[string]any{}))
	}
}

// checkAll checks the whole storage.
func (c *client) checkAll() {
	c.task("POST", "/api/db/check"+pick(c.dice, "", "?deep=1", "?repair=1", "?deep=1&repair=1"), nil)
}

// editSources changes the staged components of a publication.
func (c *client) editSources() {
	_, path := c.publication()
	path = "/api/publish/" + path + "/sources"
	switch c.dice.below(4) {
	case 0:
		c.task("PUT", path, []map[string]string{{"Component": "main", "Name": c.repo()}})
	case 1:
		c.task("DELETE", path, nil)
	case 2:
		c.task("PUT", path+"/main", map[string]string{"Component": "main", "Name": c.repo()})
	default:
		c.task("DELETE", path+"/more", nil)
	}
}

// putFile uploads or removes a file in the folder that all clients share.
func (c *client) putFile() {
	p := pick(c.dice, c.stock()...)
	c.w.check.mu.Lock()
	known := c.w.check.model.uploads["shared"]
	if known == nil {
		known = set{}
		c.w.check.model.uploads["shared"] = known
	}
	known[p.key], c.w.check.model.all[p.key] = true, true
	c.w.check.mu.Unlock()
	c.expect(c.ask("PUT", "/api/files/shared/"+p.file, "application/octet-stream", p.data))
}

// rights makes, changes and removes tokens, policies and bindings.
func (c *client) rights() {
	grants := []map[string]any{{"Role": "reader"}}
	switch c.dice.below(9) {
	case 0, 1:
		c.token(c.json("POST", "/api/auth/tokens", map[string]any{"Name": "t", "Expires": pick(c.dice, "1h", "90d"), "Grants": grants}))
	case 2:
		c.expect(c.json("PUT", "/api/auth/policies/p", map[string]any{"Issuer": "https://issuer.example", "Audience": "x", "Claims": map[string][]string{"sub": {"x"}}, "TTL": "15m", "Grants": []map[string]any{{"Role": "uploader", "Repos": []string{"a"}, "Files": []string{"shared"}}}}))
	case 3:
		c.expect(c.json("DELETE", "/api/auth/policies/p", nil))
	case 4:
		c.expect(c.json("PUT", "/api/auth/bindings/b", map[string]any{"Kind": "cert", "Match": map[string][]string{"cn": {"x"}}, "Grants": grants}))
	case 5:
		c.expect(c.json("DELETE", "/api/auth/bindings/b", nil))
	case 6:
		c.expect(c.json("POST", "/api/auth/oidc/token", map[string]any{"token": "x"}))
	case 7:
		c.expect(c.json("PUT", "/api/auth/access", map[string]any{}))
	default:
		var all []struct{ ID string }
		if a := c.json("GET", "/api/auth/tokens", nil); a.known && a.code == 200 && json.Unmarshal(a.body, &all) == nil && len(all) > 0 {
			c.expect(c.json("DELETE", "/api/auth/tokens/"+all[c.dice.below(len(all))].ID, nil))
		}
	}
}

// token reads a new token and uses or rotates it.
func (c *client) token(a answer) {
	c.expect(a)
	var made struct{ ID, Token string }
	if !a.known || a.code >= 300 || json.Unmarshal(a.body, &made) != nil || made.ID == "" {
		return
	}
	c.expect(c.json("GET", "/api/auth/tokens/"+made.ID, nil))
	own := c.secret
	c.secret = made.Token
	c.look()
	c.secret = own
	if c.dice.one(2) {
		c.expect(c.json("POST", "/api/auth/tokens/"+made.ID+"/rotate", map[string]any{}))
	}
}

// dropFile puts a file into the drop box of a repository, past the API, and announces it.
func (c *client) dropFile() {
	repo := c.repo()
	if c.dice.one(4) {
		c.expect(c.json(pick(c.dice, "PUT", "DELETE"), "/api/repos/"+repo+"/drop", map[string]any{"Publish": []string{}}))
	}
	p := pick(c.dice, c.stock()...)
	c.w.check.mu.Lock()
	c.w.check.model.all[p.key] = true
	c.w.check.mu.Unlock()
	data := p.data
	if c.w.Plan.has(Damage) && c.dice.one(10) {
		data = data[:len(data)/2]
	}
	folder := pick(c.dice, "", "", "f/")
	if _, err := c.w.memory.Blobs.Put(context.Background(), "drop/drop/"+repo+"/"+folder+p.file, strings.NewReader(string(data)), driver.PutOptions{}); err != nil {
		c.w.fail("drop box: %v", err)
		return
	}
	c.task("POST", "/api/repos/"+repo+"/drop", nil)
}

// export exports all objects, reads some of them, and forgets the export.
func (c *client) export() {
	id := c.exported()
	if id == "" {
		return
	}
	p := pick(c.dice, c.stock()...)
	for _, part := range []string{"objects/objects", "lists/0-" + strings.Repeat("0", 64), "files/" + p.sha256} {
		c.expect(c.json("GET", "/api/exports/"+id+"/"+part, nil))
	}
	if !c.dice.one(3) {
		c.task("DELETE", "/api/exports/"+id, nil)
	}
}

// exported exports all objects. It returns the ID of the export, "" if it is unknown.
func (c *client) exported() string {
	c.task("POST", "/api/exports", nil)
	if len(c.mine) == 0 {
		return ""
	}
	var made struct{ Value struct{ ID string } }
	a := c.json("GET", fmt.Sprintf("/api/tasks/%d/return_value", c.mine[len(c.mine)-1]), nil)
	if !a.known || a.code != 200 || json.Unmarshal(a.body, &made) != nil {
		return ""
	}
	return made.Value.ID
}

// clearFamilies removes the objects and rows that only these operations make.
func (w *World) clearFamilies(c *client) {
	for _, key := range slices.Sorted(maps.Keys(w.memory.Rows("export"))) {
		c.must("DELETE", "/api/exports/"+strings.TrimPrefix(key, "export/"))
	}
	for _, key := range slices.Sorted(maps.Keys(w.memory.Objects("drop/"))) {
		if err := w.memory.Blobs.Delete(context.Background(), key); err != nil {
			w.fail("drop box: %v", err)
		}
	}
}
