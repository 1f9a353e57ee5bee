package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// tree is a distribution as its InRelease describes it.
type tree struct {
	date  time.Time
	made  time.Time         // of the object, in seconds
	needs map[string]string // SHA-256 of objects by key: indexes by hash, and package files
	plain map[string]string // likewise: indexes by name

	hashed map[string]string // by the name of an index, its key by hash
}

// required is an object that a reader asks for.
type required struct{ key, sha256 string }

// isInRelease returns the root of the tree of an InRelease, "public/x/dists/d/".
func isInRelease(key string) (root string, ok bool) {
	root, ok = strings.CutSuffix(key, "InRelease")
	return root, ok && strings.HasSuffix(root, "/") && strings.Contains(root, "/dists/")
}

// published checks an object of the public tree that has just been stored.
func (c *checker) published(key string, data []byte) {
	for _, t := range c.trees {
		if sha, ok := t.needs[key]; ok {
			if err := c.has(key, sha); err != nil {
				c.w.fail("a file that an InRelease names was replaced: %v", err)
			}
		}
	}
	root, ok := isInRelease(key)
	if !ok {
		return
	}
	if data == nil {
		data = c.read(key)
	}
	t, err := c.treeOf(root, data)
	if err != nil {
		c.w.fail("%s: %v", key, err)
		return
	}
	if old := c.trees[root]; old != nil && !t.date.After(old.date) && !t.date.Equal(old.date) {
		c.w.fail("%s: the Date goes back from %v to %v", key, old.date, t.date)
	}
	c.later(key, t, c.trees[root])
	c.supersede(root, t)
	c.trees[root] = t
	c.banish(root)
	for k, sha := range t.needs {
		if err := c.has(k, sha); err != nil {
			c.w.fail("%s names a file that is not there: %v", key, err)
			return
		}
	}
	c.notAhead(root, t)
}

// shownAgain requires that a dropped publication which a late call shows again is whole. If
// it is of an earlier state than the last one, its indexes are there, and package files may
// have gone.
func (c *checker) shownAgain(root string, data []byte) {
	if data == nil {
		data = c.read(root + "InRelease")
	}
	t, err := c.treeOf(root, data)
	if err != nil {
		c.w.fail("%sInRelease, put late: %v", root, err)
		return
	}
	if last := c.final[root]; last == nil || !last.date.Equal(t.date) {
		maps.DeleteFunc(t.needs, func(key, _ string) bool { return strings.Contains(key, "/pool/") })
	}
	c.trees[root] = t
	for key, sha := range t.needs {
		if err := c.has(key, sha); err != nil {
			c.w.fail("%sInRelease of a dropped publication names a file that is not there: %v", root, err)
			return
		}
	}
}

// banish notes that the InRelease of a dropped publication has been replaced.
func (c *checker) banish(root string) {
	if c.phantoms[root] {
		delete(c.phantoms, root)
		c.lives[root]++
	}
}

// keepFor is the promised life of an index by hash after its InRelease. Clocks of
// processes differ.
const keepFor = 7*24*time.Hour - time.Hour

// supersede notes when the indexes of the former InRelease were last named.
func (c *checker) supersede(root string, now *tree) {
	for key := range now.plain {
		delete(c.former, now.hashed[key])
	}
	if was := c.trees[root]; was != nil {
		for key := range was.plain {
			if _, still := now.needs[was.hashed[key]]; !still {
				c.former[was.hashed[key]] = time.Now()
			}
		}
	}
}

// outlived requires that an index that is deleted has been named by no InRelease for
// long, unless the publication is dropped. The promise ends with the deletion. Example: a
// publication is dropped with its indexes, and made again. A failed update stages one of
// these indexes and removes it. No InRelease since the deletion has named it.
func (c *checker) outlived(key string) {
	at, ok := c.former[key]
	delete(c.former, key)
	if !ok || time.Since(at) > keepFor {
		return
	}
	for _, h := range c.heads {
		if h.publication != nil && !h.publication.Dropping && strings.HasPrefix(key, rootOf(h.publication)) && c.trees[rootOf(h.publication)] != nil {
			c.w.fail("%s was deleted %v after the InRelease that named it", key, time.Since(at))
			return
		}
	}
}

// rootOf returns the root of the tree of a publication.
func rootOf(p *publish.Publication) string {
	return "public/" + strings.TrimPrefix(p.Prefix+"/", "./") + "dists/" + p.Distribution + "/"
}

// notAhead requires that the row of the publication has the Date of its InRelease, or a
// later one.
func (c *checker) notAhead(root string, t *tree) {
	prefix, dist, _ := strings.Cut(strings.TrimPrefix(root, "public/"), "dists/")
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		prefix = "."
	}
	h := c.heads[driver.Key{Part: "publish", Sort: ":" + prefix + "/" + strings.Trim(dist, "/")}]
	if h == nil {
		c.w.fail("%sInRelease was written without a row", root)
		return
	}
	if h.publication.Date.Truncate(time.Second).Before(t.date) {
		c.w.fail("%sInRelease has the date %v, its row %v", root, t.date, h.publication.Date)
	}
}

// unpublished checks the deletion of an object of the public tree.
func (c *checker) unpublished(key string) {
	if root, ok := isInRelease(key); ok {
		c.final[root] = c.trees[root]
		delete(c.trees, root)
		delete(c.phantoms, root)
		c.lives[root]++
		return
	}
	c.outlived(key)
	for root, t := range c.trees {
		if sha, ok := t.needs[key]; ok {
			if err := c.has(key, sha); err != nil {
				c.w.fail("%sInRelease names a file that was deleted: %v", root, err)
			}
		}
	}
}

// has requires that an object is there with a digest.
func (c *checker) has(key, sha256 string) error {
	forced := c.forced[key]
	if digest, ok := paths.Digest(strings.TrimPrefix(key, "public")); ok {
		key = pool.FileKey(digest) // the layout hash: the path is answered from the pool
	}
	info, err := c.memory.Blobs.Stat(context.Background(), key)
	if err != nil {
		return err
	}
	if strings.Trim(info.ETag, `"`) != sha256[:32] && !forced {
		return fmt.Errorf("%s has the digest %s, not %s", key, info.ETag, sha256[:32])
	}
	return nil
}

func (c *checker) read(key string) []byte {
	r, _, err := c.memory.Blobs.Open(context.Background(), key, nil)
	if err != nil {
		return nil
	}
	defer r.Close()
	data, _ := io.ReadAll(r)
	return data
}

// treeOf reads an InRelease and the indexes that it names.
func (c *checker) treeOf(root string, data []byte) (*tree, error) {
	text, signed, err := pgp.StripClearsign(data)
	if err != nil || !signed {
		return nil, fmt.Errorf("not signed: %w", err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		return nil, err
	}
	t := &tree{needs: map[string]string{}, plain: map[string]string{}, hashed: map[string]string{}}
	if t.date, err = time.Parse("Mon, 2 Jan 2006 15:04:05 MST", p.Get("Date")); err != nil {
		return nil, err
	}
	base := root[:strings.Index(root, "dists/")]
	for line := range strings.Lines(p.Get("SHA256")) {
		w := strings.Fields(line)
		if len(w) != 3 {
			continue
		}
		sha, name := w[0], w[2]
		if strings.HasPrefix(path.Base(name), "Contents-") && !strings.HasSuffix(name, ".gz") {
			continue // is listed and not stored
		}
		hashed := path.Join(root, path.Dir(name), "by-hash/SHA256", sha)
		t.needs[hashed], t.plain[root+name], t.hashed[root+name] = sha, sha, hashed
		if path.Base(name) != "Packages" {
			continue
		}
		files, err := c.indexed(base, hashed, sha)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			t.needs[f.key] = f.sha256
		}
	}
	return t, nil
}

// indexed returns the package files of an index.
func (c *checker) indexed(base, key, sha string) ([]required, error) {
	if files, ok := c.indexes[base+sha]; ok {
		return files, nil
	}
	var files []required
	for stanza := range bytes.SplitSeq(c.read(key), []byte("\n\n")) {
		if len(bytes.TrimSpace(stanza)) == 0 {
			continue
		}
		p, err := deb.ParseParagraph(string(stanza), deb.ModeControl)
		if err != nil {
			return nil, err
		}
		files = append(files, required{base + p.Get("Filename"), p.Get("SHA256")})
	}
	if err := c.has(key, sha); err == nil {
		c.indexes[base+sha] = files
	}
	return files, nil
}

// atRest requires that all names of a tree have the content that its InRelease lists.
func (c *checker) atRest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for root, t := range c.trees {
		for _, all := range []map[string]string{t.needs, t.plain} {
			for key, sha := range all {
				if err := c.has(key, sha); err != nil {
					c.w.fail("at rest, %sInRelease names a file that is not there: %v", root, err)
					return
				}
			}
		}
	}
	c.inventories("", true)
	for root := range c.trees {
		text, _, err := pgp.StripClearsign(c.read(root + "InRelease"))
		if err == nil && !bytes.Equal(bytes.TrimSpace(text), bytes.TrimSpace(c.read(root+"Release"))) {
			c.w.fail("at rest, %sRelease is another text than InRelease", root)
			return
		}
	}
	for key, h := range c.heads {
		if h.publication == nil {
			continue
		}
		root := rootOf(h.publication)
		t := c.trees[root]
		if t == nil || !t.date.Equal(h.publication.Date.Truncate(time.Second)) || !h.publication.Applied {
			c.w.fail("at rest, the tree of %s is not that of its row (applied: %v)", key, h.publication.Applied)
		}
	}
}
