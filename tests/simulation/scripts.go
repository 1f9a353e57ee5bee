package simulation

import (
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
