package simulation

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"aptless/core/archive/transfer/transfertest"
	"aptless/core/front/app/apptest"
)

// closed are the operations of clients of a closed server.
func (c *client) closed() []func() {
	if c.w.Plan.Mix == "every" {
		return c.every()
	}
	return c.wide()
}

// every are the operations of all families. Requests whose tasks are rare otherwise are
// frequent.
func (c *client) every() []func() {
	return append(c.wide(), c.derive, c.derive, c.derive, c.derive, c.derive, c.lend, c.lend, c.bring, c.bring, c.bring, c.expire, c.expire, c.back, c.back, c.back, c.back, c.back, c.include, c.forgetMirror, c.forgetMirror, c.dropMany,
		c.listLater, c.listLater, c.editRepo, c.addPackages, c.filterSnapshot, c.dropSnapshot, c.stage, c.cancel, c.updateMirror, c.readTasks, c.repair, c.repair)
}

// derive makes a snapshot of snapshots, or gives one another name. First it makes a
// source and frees the name.
func (c *client) derive() {
	from, to := c.snapshot(), c.snapshot()
	c.task("POST", "/api/repos/"+c.repo()+"/snapshots", map[string]any{"Name": from})
	if to != from {
		c.task("DELETE", "/api/snapshots/"+to+"?force=1", nil)
	}
	path := "/api/snapshots/" + from
	switch c.dice.below(5) {
	case 0:
		c.task("POST", "/api/snapshots/"+to+"/merge"+pick(c.dice, "", "?latest=1", "?no-remove=1"), map[string]any{"Sources": []string{from}})
	case 1:
		c.task("POST", path+"/pull?no-deps=1", map[string]any{"Source": from, "Destination": to, "Queries": []string{c.name()}})
	case 2:
		c.task("POST", path+"/filter", map[string]any{"Destination": to, "Queries": []string{c.name()}})
	case 3:
		c.task("POST", "/api/snapshots", map[string]any{"Name": to, "SourceSnapshots": []string{from}})
	default:
		c.task("PUT", path, map[string]any{"Name": to, "Description": to})
	}
}

// lend delivers a package into one repository, and copies it into another.
func (c *client) lend() {
	p := pick(c.dice, c.stock()...)
	c.await(c.deliverPack("a", p, ""))
	c.task("POST", "/api/repos/b/copy/a/"+nameOf(p.key), map[string]any{})
}

// movedOf returns the files of a transfer folder. It has the repository moved, its
// snapshot moved-1, and the publications moved/local and moved/frozen.
func movedOf(stock []pack) (map[string][]byte, error) {
	return transfertest.Files("moved", stock[0].data, stock[versions].data)
}

// bring imports objects of another server, and publishes them. Other requests change
// them.
func (c *client) bring() {
	dir := fmt.Sprintf("u%d-%d", c.number, c.sent)
	for _, p := range []pack{c.w.stock[0], c.w.stock[versions]} {
		c.known(dir, p.key)
	}
	body, media, err := apptest.FormOf(c.w.moved)
	if err != nil {
		c.w.fail("form: %v", err)
		return
	}
	c.expect(c.ask("POST", "/api/files/"+dir, media, body))
	c.task("POST", "/api/import/"+dir+pick(c.dice, "", "?overwrite=1"), nil)
	for _, path := range []string{"moved/local", "moved/frozen"} {
		if !c.dice.one(4) {
			c.task("POST", "/api/publish/"+path+"/restore", nil)
		}
	}
	switch c.dice.below(4) {
	case 0:
		c.task("DELETE", "/api/repos/moved/packages", c.refs())
		c.task("PUT", "/api/publish/moved/local", map[string]any{})
	case 1:
		c.clearMoved()
	}
}

// movedObjects are the objects that bring imports, in an order in which they can be
// dropped.
func movedObjects() []string {
	return []string{"publish/moved/local", "publish/moved/frozen", "snapshots/moved-1", "repos/moved"}
}

// clearMoved drops the objects that bring imports.
func (c *client) clearMoved() {
	for _, path := range movedObjects() {
		c.task("DELETE", "/api/"+path+"?force=1", nil)
	}
}

// expire publishes with a Release that is valid for an hour, and waits until it is
// published again.
func (c *client) expire() {
	prefix, path := c.publication()
	c.task("DELETE", "/api/publish/"+path+"?force=1", nil)
	c.task("POST", "/api/publish/"+pick(c.dice, prefix, "x"), map[string]any{"SourceKind": "local", "Distribution": "d1", "Architectures": []string{"amd64"},
		"Sources": []map[string]string{{"Name": c.repo()}}, "ValidFor": "1h"})
	time.Sleep(40 * time.Minute)
}

// back publishes. Then it changes or checks the publication, or takes a change back.
func (c *client) back() {
	_, path := c.publication()
	prefix, distribution, _ := strings.Cut(strings.TrimPrefix(path, ":"), "/")
	repo := c.repo()
	c.await(c.deliverPack(repo, pick(c.dice, c.stock()...), ""))
	c.task("POST", "/api/publish/"+strings.TrimPrefix(prefix, "."), map[string]any{"SourceKind": "local", "Distribution": distribution, "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": repo}}})
	path = "/api/publish/" + path
	switch c.dice.below(5) {
	case 0:
		c.await(c.deliverPack(repo, pick(c.dice, c.stock()...), "?publish="+url.QueryEscape(prefix+"/"+distribution)))
	case 1:
		c.task("POST", path+"/repair", nil)
	case 2:
		c.task("POST", path+"/sources", map[string]string{"Component": pick(c.dice, "main", "more"), "Name": c.repo()})
		c.task("POST", path+"/update", map[string]any{})
	default:
		c.task("PUT", path, map[string]any{"Label": fmt.Sprint(c.sent)})
		c.task("POST", path+"/rollback", map[string]any{"Generation": 1})
	}
}

// forgetMirror makes a mirror and drops it.
func (c *client) forgetMirror() {
	c.expect(c.json("POST", "/api/mirrors", c.mirrorBody("m")))
	c.updateMirror()
	c.task("DELETE", "/api/mirrors/m"+pick(c.dice, "", "?force=1"), nil)
}

// dropMany makes snapshots and drops all of them.
func (c *client) dropMany() {
	for _, name := range c.few("s1", "s2", "s3") {
		c.task("POST", "/api/repos/"+c.repo()+"/snapshots", map[string]any{"Name": name})
	}
	c.task("DELETE", "/api/snapshots?pattern=s*&force=1", nil)
}

// listLater has a task read the packages of a repository. The value of the task must be
// its state at a moment between the request and the end of the task.
func (c *client) listLater() {
	repo, from := c.repo(), c.w.check.moment()
	c.prefer = "respond-async"
	a := c.json("GET", "/api/repos/"+repo+"/packages", nil)
	c.prefer = ""
	var t struct{ ID int }
	if c.await(a) != 2 || json.Unmarshal(a.body, &t) != nil || t.ID == 0 {
		return
	}
	var made struct {
		Code  int
		Value []string
	}
	a = c.json("GET", fmt.Sprintf("/api/tasks/%d/return_value", t.ID), nil)
	if a.known && a.code == 200 && json.Unmarshal(a.body, &made) == nil && made.Code == 200 {
		c.w.check.wasAt("repo", repo, setOf(made.Value...), from)
	}
}
