package simulation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"aptless/core/archive/drop"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// owned are the partitions of rows that only a living attempt writes, beside its puts.
var owned = []string{"staging", "deletions", "inventory", "removal", "late"}

// unfenced requires that an attempt which was overtaken writes none of these rows, also
// without a condition on the row of its task.
func (c *checker) unfenced(ctx context.Context, p *Process, ops []driver.Op) {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok || c.tasks[d.task] == nil || c.tasks[d.task].process == p {
		return
	}
	if i := slices.IndexFunc(ops, func(op driver.Op) bool { return op.Do != driver.OpCheck && slices.Contains(owned, op.Key.Part) }); i >= 0 {
		c.w.fail("an overtaken attempt at task %d (%s) writes %s without a fence", d.task, c.tasks[d.task].row.Kind, ops[i].Key)
	}
}

// barred requires that a task whose token was revoked before its first attempt has no
// effect.
func (c *checker) barred(k *known, was task.Task) {
	t := k.row
	if was.Attempt == 0 && t.Attempt == 1 && t.By != nil && t.By.Kind == "api" {
		row, err := c.memory.Table.Get(context.Background(), driver.Key{Part: "auth-token", Sort: t.By.Key})
		var token struct{ Revoked string }
		k.revoked = err != nil || json.Unmarshal(row.Data, &token) != nil || token.Revoked != ""
	}
	if k.revoked && (t.Committed || t.State == task.Succeeded) {
		c.w.fail("the token of task %d (%s) was revoked before it began, and it has an effect", t.ID, t.Kind)
	}
}

// undone requires that a failed publication which may replace package files has brought back
// the files of the inventory. It holds the lock of that. Files may be missing: a removal that
// has died, and is owed, has removed them before their entries.
func (c *checker) undone(t task.Task) {
	var args struct {
		Prefix         string
		ForceOverwrite bool
	}
	if t.State == task.Failed && strings.HasPrefix(t.Kind, "publish.") && json.Unmarshal(t.Args, &args) == nil && args.ForceOverwrite {
		c.inventories("inventory/:"+args.Prefix+"/", false)
	}
}

// inventories requires that the package files which the rows of inventories name are there
// with their digests. A row with marks is of a publication that replaces files, or is to be
// undone.
func (c *checker) inventories(begin string, all bool) {
	for key, data := range c.memory.Rows("inventory") {
		var row struct {
			List   lists.Ref
			Recent map[string]string
			Forced []string
		}
		if !strings.HasPrefix(key, begin) {
			continue
		}
		if err := json.Unmarshal([]byte(data), &row); err != nil {
			c.w.fail("%s: %v", key, err)
			return
		}
		if len(row.Forced) > 0 {
			continue
		}
		files := map[string]string{}
		list, err := c.lists.Chunks.Open(context.Background(), row.List)
		if err != nil {
			c.w.fail("%s: %v", key, err)
			return
		}
		for r, err := range list.All(context.Background()) {
			if err != nil {
				c.w.fail("%s: %v", key, err)
				return
			}
			files[string(r.Key)] = hex.EncodeToString(r.Val)
		}
		for name, sha := range row.Recent {
			if files[name] = sha; strings.Trim(sha, "0") == "" {
				delete(files, name)
			}
		}
		prefix, _, _ := strings.Cut(strings.TrimPrefix(key, "inventory/:"), "/pool")
		for name, sha := range files {
			object := "public/" + strings.TrimPrefix(prefix+"/", "./") + name
			info, err := c.memory.Blobs.Stat(context.Background(), object)
			if err != nil && !all {
				continue
			}
			if err != nil || strings.Trim(info.ETag, `"`) != sha[:32] {
				c.w.fail("the inventory %s has %s with the digest %s, and the object has %s (error %v)", key, name, sha[:32], info.ETag, err)
				return
			}
		}
	}
}

// losing looks at the files that a call of a task is about to remove. They are uploads that
// the task has imported, or files of the drop box. It returns a check for after the removal.
func (c *checker) losing(ctx context.Context, ops []driver.Op, objects []string) func() {
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok {
		return func() {}
	}
	removed := map[string]string{} // the digest of a file, by its name
	for _, op := range ops {
		if op.Do != driver.OpDelete || op.Key.Part != "upload" || d.kind != "repo.import" && d.kind != "repo.tidy" {
			continue
		}
		var u struct{ File struct{ SHA256 string } }
		if row, err := c.memory.Table.Get(context.Background(), op.Key); err == nil && json.Unmarshal(row.Data, &u) == nil {
			removed[op.Key.String()] = u.File.SHA256
		}
	}
	for _, key := range objects {
		if strings.HasPrefix(key, drop.Prefix) {
			removed[key] = c.digest(key)
		}
	}
	return func() {
		for name, sha := range removed {
			c.kept(name, sha)
		}
	}
}

// digest returns the SHA-256 of an object, "" if it is not there.
func (c *checker) digest(key string) string {
	r, _, err := c.memory.Blobs.Open(context.Background(), key, nil)
	if err != nil {
		return ""
	}
	defer r.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// kept requires that a package has been in a list, or is among the refused files. A task has
// removed its file from the uploads or from the drop box.
func (c *checker) kept(name, sha string) {
	i := slices.IndexFunc(c.w.stock, func(p pack) bool { return p.sha256 == sha })
	if i < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	refused := drop.FailedPrefix + strings.TrimPrefix(name, drop.Prefix)
	if strings.HasPrefix(name, drop.Prefix) && c.digest(refused) == sha {
		return
	}
	for of, all := range c.history {
		if strings.HasPrefix(of, "repo/") && slices.ContainsFunc(all, func(p past) bool { return p.keys[c.w.stock[i].key] }) {
			return
		}
	}
	c.w.fail("%s is removed, and its package %s was in no list", name, short(c.w.stock[i].key))
}
