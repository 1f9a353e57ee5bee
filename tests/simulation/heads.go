package simulation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/mirror"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
	"aptless/core/front/app/apptest"
)

// head is a row that names lists.
type head struct {
	name string      // of a repository, mirror or snapshot
	list lists.Ref   // of its packages
	refs []lists.Ref // all lists that it needs

	publication *publish.Publication
}

// content is a list, read.
type content struct {
	keys  set // of packages
	files map[string]int64
	fine  bool // its objects, records and files are there
}

// set is a set of package keys.
type set map[string]bool

func setOf(keys ...string) set {
	s := set{}
	for _, k := range keys {
		s[k] = true
	}
	return s
}

func (s set) String() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(s)) {
		all = append(all, short(k))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// short is a package key as name_version_arch, and the start of its digest.
func short(key string) string {
	w := strings.Fields(strings.TrimPrefix(key, "P"))
	if len(w) < 4 {
		return key
	}
	return fmt.Sprintf("%s_%s_%s %.4s", w[1], w[2], w[0], w[3])
}

// open reads a list. The checker reads the storage directly.
func (c *checker) open(ref lists.Ref) (*content, error) {
	if got := c.contents[ref]; got != nil {
		return got, nil
	}
	got := &content{keys: set{}, files: map[string]int64{}}
	list, err := c.lists.Open(context.Background(), ref)
	if err != nil {
		return nil, err
	}
	for p, err := range list.All(context.Background()) {
		if err != nil {
			return nil, err
		}
		got.keys[p.Key()] = true
		for _, f := range p.Files {
			got.files[f.SHA256] = f.Size
		}
	}
	c.contents[ref] = got
	return got, nil
}

// whole requires that a list and all that it needs is there.
func (c *checker) whole(ref lists.Ref) error {
	got := c.contents[ref]
	if got != nil && got.fine {
		return nil
	}
	delete(c.contents, ref)
	c.lists.Chunks.Cache = lists.NewCache(1 << 20)
	got, err := c.open(ref)
	if err != nil {
		return err
	}
	files := pool.Store{Table: c.memory.Table, Blobs: c.memory.Blobs}
	for key := range got.keys {
		if _, err := files.Record(context.Background(), key); err != nil {
			return fmt.Errorf("record of %s: %w", short(key), err)
		}
	}
	for sha := range got.files {
		info, err := c.memory.Blobs.Stat(context.Background(), pool.FileKey(sha))
		if err != nil || strings.Trim(info.ETag, `"`) != sha[:32] {
			return fmt.Errorf("file %s has the ETag %q (error %v)", sha, info.ETag, err)
		}
	}
	got.fine = true
	return nil
}

// needs requires that all lists of all heads are whole.
func (c *checker) needs(after string) {
	for _, got := range c.contents {
		got.fine = false
	}
	for _, key := range slices.SortedFunc(maps.Keys(c.heads), compareKeys) {
		c.headWhole(key, after)
	}
}

func compareKeys(a, b driver.Key) int {
	return cmp.Or(strings.Compare(a.Part, b.Part), strings.Compare(a.Sort, b.Sort))
}

func (c *checker) headWhole(key driver.Key, after string) {
	for _, ref := range c.heads[key].refs {
		if err := c.whole(ref); err != nil {
			c.w.fail("%s (%s) names a list that is not whole, after %s: %v", key, c.heads[key].name, after, err)
			return
		}
	}
}

// headOf decodes a row.
func headOf(key driver.Key, data []byte) (*head, error) {
	switch key.Part {
	case "repo":
		var r repo.Repo
		err := json.Unmarshal(data, &r)
		return &head{name: r.Name, list: r.List, refs: []lists.Ref{r.List}}, err
	case "snapshot":
		var s snapshot.Snapshot
		err := json.Unmarshal(data, &s)
		return &head{name: s.Name, list: s.List, refs: []lists.Ref{s.List}}, err
	case "mirror":
		var m mirror.Mirror
		err := json.Unmarshal(data, &m)
		return &head{name: m.Name, list: m.List, refs: []lists.Ref{m.List}}, err
	case "publish":
		p := &publish.Publication{}
		err := json.Unmarshal(data, p)
		h := &head{name: key.Sort, publication: p}
		for _, part := range p.Components {
			h.refs = append(h.refs, part.List)
		}
		for _, r := range p.Revisions {
			for _, part := range r.Components {
				h.refs = append(h.refs, part.List)
			}
		}
		return h, err
	}
	return nil, errors.New("no head")
}

// changed checks the change of heads by a Write.
func (c *checker) changed(acting *known, ops []driver.Op) {
	before := maps.Clone(c.heads)
	if acting != nil {
		c.refused(acting, ops)
	}
	for _, op := range ops {
		if op.Do == driver.OpDelete {
			c.unseen(acting, c.heads[op.Key])
			delete(c.heads, op.Key)
			continue
		}
		h, err := headOf(op.Key, op.Data)
		if err != nil {
			c.w.fail("row %s: %v", op.Key, err)
			return
		}
		c.heads[op.Key] = h
		c.headWhole(op.Key, "it was written")
		c.committed(h)
	}
	for _, op := range ops {
		c.counted(acting, op.Key, before[op.Key], c.heads[op.Key])
	}
	if acting != nil && !c.w.failed.Load() {
		c.effect(acting, before, ops)
	}
}

// counted counts the change of a row as an effect of its task, unless its content stays.
func (c *checker) counted(acting *known, key driver.Key, was, now *head) {
	if key.Part == "publish" {
		return
	}
	var states [2]set // of the row: before and after
	for i, h := range []*head{was, now} {
		if h == nil {
			continue
		}
		c.remember(key.Part, h.name)
		if got, err := c.open(h.list); err == nil {
			states[i] = got.keys
		}
	}
	if acting != nil && key.Part != "mirror" {
		c.transition(key.String(), acting.row.ID, states[0], states[1])
	}
	switch {
	case key.Part == "mirror" && acting == nil:
		c.edited(key, was, now)
	case was != nil && now != nil && was.list.Digest == now.list.Digest && was.name == now.name:
	case acting != nil:
		acting.effects++
		if !acting.row.State.Ended() { // moved has checked an end
			c.inOrder(acting.row)
		}
	default:
		c.w.fail("%s changes without a task", key)
	}
}

// effect requires that the effect of a task is that of the model, and the only one.
func (c *checker) effect(t *known, before map[driver.Key]*head, ops []driver.Op) {
	if limit, ok := effects[t.row.Kind]; ok && t.effects > limit {
		c.w.fail("task %d (%s) takes effect %d times", t.row.ID, t.row.Kind, t.effects)
		return
	}
	if err := c.model.apply(c, t.row, before, ops); err != nil {
		c.w.fail("task %d (%s, %s): %v", t.row.ID, t.row.Kind, t.row.Name, err)
	}
}

// effects are the numbers of rows that a task of a kind changes at most.
var effects = map[string]int{
	"repo.create": 1, "repo.edit": 1, "repo.drop": 1, "repo.add": 1, "repo.remove": 1, "repo.import": 1, "repo.copy": 1, "deliver": 1, "publish.deliver": 1,
	"snapshot.take": 1, "snapshot.create": 1, "snapshot.merge": 1, "snapshot.pull": 1, "snapshot.filter": 1, "snapshot.update": 1, "snapshot.drop": 1,
	"mirror.update": 1, "mirror.drop": 1,
}

// references requires that every reference has both ends.
func (c *checker) references() {
	if err := apptest.Fits(apptest.Referring(c.memory)); err != nil {
		c.w.fail("references: %v", err)
	}
}

// packages returns the packages of a head that was there before.
func (c *checker) packages(heads map[driver.Key]*head, part, uuid string) (set, error) {
	h := heads[driver.Key{Part: part, Sort: uuid}]
	if h == nil {
		return nil, fmt.Errorf("%s %s is not there", part, uuid)
	}
	got, err := c.open(h.list)
	if err != nil {
		return nil, err
	}
	return got.keys, nil
}

// unended returns the tasks that have not ended.
func (c *checker) unended() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, id := range c.order {
		if t := c.tasks[id].row; t.State != task.Succeeded {
			all = append(all, fmt.Sprintf("%d %s in state %d, attempt %d, tries %d: %s", id, t.Kind, t.State, t.Attempt, t.Tries, t.Error))
		}
	}
	return all
}

// past is the state of a name: its packages, from a moment on.
type past struct {
	moment int
	keys   set // nil if there was no such object
}

// moment returns the number of the present moment. Each Write ends one.
func (c *checker) moment() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moments
}

// remember notes the packages of names after a Write.
func (c *checker) remember(part string, names ...string) {
	c.moments++
	for _, name := range names {
		var now set
		for key, h := range c.heads {
			if key.Part == part && h.name == name {
				if got, err := c.open(h.list); err == nil {
					now = got.keys
				}
			}
		}
		c.history[part+"/"+name] = append(c.history[part+"/"+name], past{c.moments, now})
	}
}

// wasAt requires that a name had packages at a moment since from.
func (c *checker) wasAt(part, name string, keys set, from int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.history[part+"/"+name]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].keys != nil && equal(all[i].keys, keys) == nil {
			return
		}
		if all[i].moment <= from {
			break
		}
	}
	c.w.fail("a client reads the packages %v of %s %s, which it had at no moment of the request", keys, part, name)
}

// named returns the row that has a name now, "" if there is none.
func (c *checker) named(part, name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, h := range c.heads {
		if key.Part == part && h.name == name {
			return key.String()
		}
	}
	return ""
}
