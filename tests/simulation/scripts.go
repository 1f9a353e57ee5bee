package simulation

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// comeBack publishes a repository without a package, then with it again.
func (c *client) comeBack() {
	p := c.w.stock[c.number%3]
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": "a"})
		c.await(c.deliverPack("a", p, ""))
		c.task("POST", "/api/publish", map[string]any{"SourceKind": "local", "Distribution": "d1", "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": "a"}}})
	}
	for _, method := range []string{"DELETE", "POST"} {
		c.task(method, "/api/repos/a/packages", map[string]any{"PackageRefs": []string{p.key}})
		c.task("PUT", "/api/publish/:./d1", map[string]any{})
		c.sent++
	}
}

// turn moves the list of a repository to a snapshot and back, while other clients
// collect. Between the two only the snapshot has the list.
func (c *client) turn() {
	repo, snapshot := "a", "s1"
	switch c.number {
	case 1:
	case 2:
		repo, snapshot = "b", "s2"
	default:
		c.cleanup()
		return
	}
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": repo})
		c.await(c.deliverPack(repo, c.w.stock[c.number], ""))
	}
	c.task("POST", "/api/repos/"+repo+"/snapshots", map[string]any{"Name": snapshot})
	c.task("DELETE", "/api/repos/"+repo+"?force=1", nil)
	c.task("POST", "/api/repos", map[string]any{"Name": repo, "FromSnapshot": snapshot})
	c.task("DELETE", "/api/snapshots/"+snapshot+"?force=1", nil)
}

// takeAgain removes a package and takes it again from the pool, while other clients collect.
func (c *client) takeAgain() {
	p := c.w.stock[0]
	refs := map[string]any{"PackageRefs": []string{p.key}}
	switch {
	case c.number == 0:
		c.cleanup()
		return
	case c.sent == 1:
		c.task("POST", "/api/repos", map[string]any{"Name": c.few("a", "b")[0]})
	}
	if c.number == 1 || c.dice.one(4) {
		c.await(c.deliverPack("a", p, ""))
	} else {
		c.task("POST", "/api/repos/a/packages", refs)
	}
	c.task("DELETE", "/api/repos/a/packages", refs)
}

// relabel publishes a repository, then changes the label of the publication. So each
// update has an InRelease of its own.
func (c *client) relabel() {
	if c.number == 0 && c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": "a"})
		c.await(c.deliverPack("a", c.w.stock[0], ""))
		c.task("POST", "/api/publish", map[string]any{"SourceKind": "local", "Distribution": "d1", "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": "a"}}})
		return
	}
	c.task("PUT", "/api/publish/:./d1", map[string]any{"Label": fmt.Sprint(c.number, "-", c.sent)})
}

// publishAndDrop publishes a repository, and drops the publication. Two distributions
// share a pool.
func (c *client) publishAndDrop() {
	repo, dist := "a", "d1"
	if c.number%2 == 1 {
		repo, dist = "b", "d2"
	}
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": repo})
		c.await(c.deliverPack(repo, c.w.stock[c.number%2], ""))
	}
	c.task("POST", "/api/publish", map[string]any{"SourceKind": "local", "Distribution": dist, "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": repo}}})
	c.task("DELETE", "/api/publish/:./"+dist, nil)
}

// addAgain removes a package from all lists, has a collection begin, and adds the package
// again while the collection deletes its files.
func (c *client) addAgain() {
	repo := pick(c.dice, "a", "b")
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": repo})
	}
	p := c.w.stock[c.number%2]
	c.await(c.deliverPack(repo, p, ""))
	c.task("DELETE", "/api/repos/"+repo+"/packages", map[string]any{"PackageRefs": []string{p.key}})
	c.expect(c.json("POST", "/api/db/cleanup?_async=1", nil))
	time.Sleep(c.dice.upTo(20 * time.Second))
	c.await(c.deliverPack(repo, p, ""))
}

// publishSnapshot publishes a snapshot.
func (c *client) publishSnapshot() {
	prefix, path := c.publication()
	c.task("POST", strings.TrimSuffix("/api/publish/"+prefix, "/"), map[string]any{"SourceKind": "snapshot", "Distribution": path[strings.LastIndexByte(path, '/')+1:],
		"Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": c.snapshot()}}})
}

// dropSnapshots drops all snapshots that nothing needs, or also sources of others.
func (c *client) dropSnapshots() {
	c.task("DELETE", "/api/snapshots?pattern=s*"+pick(c.dice, "", "&force=1"), nil)
}

// force publishes two repositories that have different files of one name. The second
// publication replaces the file of the first one, and is cancelled at times.
func (c *client) force() {
	n := c.number % 2
	repo, dist := []string{"a", "b"}[n], []string{"d1", "d2"}[n]
	p := []pack{c.w.stock[0], c.w.stock[versions-1]}[n]
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": repo})
		c.await(c.deliverPack(repo, p, ""))
	}
	body := map[string]any{"SourceKind": "local", "Distribution": dist, "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": repo}}, "ForceOverwrite": n == 1 || c.dice.one(3)}
	if c.dice.one(2) {
		c.task("POST", "/api/publish", body)
	} else {
		c.cancelled(c.json("POST", "/api/publish?_async=1", body), 20*time.Second)
	}
	switch c.dice.below(4) {
	case 0:
		c.task("DELETE", "/api/publish/:./"+dist, nil)
	case 1:
		c.task("DELETE", "/api/repos/"+repo+"/packages", map[string]any{"PackageRefs": []string{p.key}})
		c.task("PUT", "/api/publish/:./"+dist, map[string]any{"ForceOverwrite": n == 1})
		c.await(c.deliverPack(repo, p, ""))
	}
}

// relabelAndDrop changes the label of a publication, while another client drops it and
// makes it again.
func (c *client) relabelAndDrop() {
	if c.number > 0 {
		c.task("PUT", "/api/publish/:./d1", map[string]any{"Label": fmt.Sprint(c.number, "-", c.sent)})
		return
	}
	if c.sent == 1 {
		c.task("POST", "/api/repos", map[string]any{"Name": "a"})
		c.await(c.deliverPack("a", c.w.stock[0], ""))
	}
	c.task("POST", "/api/publish", map[string]any{"SourceKind": "local", "Distribution": "d1", "Architectures": []string{"amd64"}, "Sources": []map[string]string{{"Name": "a"}}})
	time.Sleep(c.dice.upTo(3 * time.Minute))
	c.task("DELETE", "/api/publish/:./d1", nil)
}

// endCollection cancels collections, while others remove a package and take it again.
func (c *client) endCollection() {
	if c.number > 0 {
		c.takeAgain()
		return
	}
	c.cancelled(c.json("POST", "/api/db/cleanup?_async=1", nil), time.Minute)
}

// cancelled cancels the task of an answer after some time.
func (c *client) cancelled(a answer, longest time.Duration) {
	var t struct{ ID int }
	if !a.known || json.Unmarshal(a.body, &t) != nil || t.ID == 0 {
		return
	}
	time.Sleep(c.dice.upTo(longest))
	c.expect(c.json("POST", fmt.Sprintf("/api/tasks/%d/cancel", t.ID), nil))
	c.poll(t.ID, 0)
}

// importShared uploads into the directory that all clients share, and imports it.
func (c *client) importShared() {
	c.upload("shared")
	c.task("POST", "/api/repos/"+c.repo()+"/file/shared"+pick(c.dice, "", "?forceReplace=1"), nil)
}
