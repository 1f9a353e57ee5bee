package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// cancelled requires that a task which a client has cancelled goes no further.
func (c *checker) cancelled(was, t task.Task) {
	if was.Cancelled && !was.Committed && !was.Undoing && (t.Committed || t.State == task.Succeeded) {
		c.w.fail("task %d (%s) was cancelled, and goes on to state %d (committed: %v)", t.ID, t.Kind, t.State, t.Committed)
	}
}

// abandons requires that a living process gives up no attempt while the only faults are
// lost answers to writes of its row. The end of a run kills all processes.
func (c *checker) abandons(of *Process, was, t task.Task) {
	lives := of != nil && !of.dead.Load()
	if lives && was.State == task.Running && was.Owner != "" && t.Attempt > was.Attempt && c.w.Plan.lostWrites(" task/") {
		c.w.fail("the lost answer to a write ends attempt %d at task %d (%s)", was.Attempt, t.ID, t.Kind)
	}
}

// refused requires that a failed task changes no object. Undos of transfers do.
func (c *checker) refused(acting *known, ops []driver.Op) {
	if t := acting.row; t.State == task.Failed && !strings.HasPrefix(t.Kind, "transfer.") && t.Kind != "publish.restore" {
		c.w.fail("task %d (%s) fails and changes %s", t.ID, t.Kind, ops[0].Key)
	}
}

// unseen requires that apt does not see a publication without a row. A drop by force goes
// on when it cannot remove the files.
func (c *checker) unseen(acting *known, was *head) {
	if was == nil || was.publication == nil || acting != nil && strings.Contains(string(acting.row.Args), `"Force":true`) {
		return
	}
	root := rootOf(was.publication)
	if c.trees[root] != nil && !c.phantoms[root] {
		c.w.fail("the row of a publication is removed, and %sInRelease is there", root)
	}
}

// claimed requires that a calendar entry has one open task.
func (c *checker) claimed(op driver.Op) {
	var e struct{ Task int64 }
	if op.Do == driver.OpDelete && op.Key.Part == "calendar" {
		delete(c.claims, op.Key.Sort)
	}
	if op.Key.Part != "calendar" || op.Do != driver.OpPut || json.Unmarshal(op.Data, &e) != nil {
		return
	}
	was := c.tasks[c.claims[op.Key.Sort]]
	if now := c.tasks[e.Task]; was != nil && now != nil && was != now && !was.row.State.Ended() && was.row.Entry == op.Key.Sort && now.row.Entry == op.Key.Sort {
		c.w.fail("task %d (%s) is admitted for %s, and task %d has not ended", now.row.ID, now.row.Kind, op.Key, was.row.ID)
	}
	c.claims[op.Key.Sort] = e.Task
}

// received requires that the row of an upload names an object that is there.
func (c *checker) received(deleted []string) {
	for key, data := range c.memory.Rows("upload") {
		for _, object := range deleted {
			if strings.Contains(data, `"`+object+`"`) {
				c.w.fail("%s names %s, which was deleted", key, object)
			}
		}
	}
}

// entered requires that the transaction which admits a task for a calendar entry moves the
// entry on.
func (c *checker) entered(of driver.Op, ops []driver.Op) {
	var t task.Task
	if of.If != driver.Absent || json.Unmarshal(of.Data, &t) != nil || t.Entry == "" {
		return
	}
	for _, op := range ops {
		var e struct{ Task int64 }
		if op.Key.Part == "calendar" && op.Key.Sort == t.Entry && json.Unmarshal(op.Data, &e) == nil && e.Task == t.ID {
			return
		}
	}
	c.w.fail("task %d (%s) is admitted for calendar/%s, which stays as it was", t.ID, t.Kind, t.Entry)
}

// uploaded requires that the object of an upload is there when its row is written.
func (c *checker) uploaded(op driver.Op) {
	var u struct{ Blob string }
	if op.Key.Part != "upload" || op.Do != driver.OpPut || json.Unmarshal(op.Data, &u) != nil || u.Blob == "" {
		return
	}
	if _, err := c.memory.Blobs.Stat(context.Background(), u.Blob); err != nil {
		c.w.fail("%s is written, and its object is not there: %v", op.Key, err)
	}
}

// committed requires that the manifest of a publication is there when its row is written.
func (c *checker) committed(h *head) {
	if h.publication == nil || h.publication.Dropping || h.publication.Manifest == "" {
		return
	}
	if _, err := c.memory.Blobs.Stat(context.Background(), h.publication.Manifest); err != nil {
		c.w.fail("the row of %s is written, and its manifest is not there: %v", rootOf(h.publication), err)
	}
}

// manifests requires that the manifests of revisions are there.
func (c *checker) manifests(deleted []string) {
	for _, h := range c.heads {
		p := h.publication
		if p == nil || p.Dropping {
			continue
		}
		for _, key := range deleted {
			if key == p.Manifest || slices.ContainsFunc(p.Revisions, func(r publish.Revision) bool { return r.Manifest == key }) {
				c.w.fail("%s names the manifest %s, which was deleted", rootOf(p), key)
			}
		}
	}
}

// later requires that an InRelease of a later Date is an object of a later second. apt
// takes an equal second for "not modified". A process whose clock is wrong does not know
// which of two times is the later one.
func (c *checker) later(key string, t, old *tree) {
	info, err := c.memory.Blobs.Stat(context.Background(), key)
	if err != nil {
		return
	}
	t.made = info.ModTime.Truncate(time.Second)
	if old != nil && !c.w.Plan.has(Skew) && t.date.After(old.date) && !t.made.After(old.made) {
		c.w.fail("%s has the Date %v and the time %v, the one before %v and %v", key, t.date, t.made, old.date, old.made)
	}
}

// noteMade notes that a request has made an object without a task.
func noteMade(ctx context.Context, op driver.Op) {
	if r, ok := ctx.Value(requestKey{}).(*request); ok && op.If == driver.Absent {
		r.made = true
	}
}

// edited requires that an edit of a mirror leaves its packages.
func (c *checker) edited(key driver.Key, was, now *head) {
	if was != nil && now != nil && was.list.Digest != now.list.Digest {
		c.w.fail("the packages of %s (%s) change without a task", key, now.name)
	}
}

// musts are kinds of tasks that succeed by a change of a row.
var musts = []string{"repo.create", "repo.drop", "snapshot.take", "snapshot.create", "snapshot.merge", "snapshot.filter", "snapshot.drop", "mirror.drop"}

// effective requires that a task which succeeds has had its effect. A task that pays a debt
// may find nothing to do.
func (c *checker) effective(k *known) {
	if k == nil || k.row.State != task.Succeeded || k.row.Origin != 0 {
		return
	}
	if k.effects == 0 && slices.Contains(musts, k.row.Kind) {
		c.w.fail("task %d (%s, %s) succeeds without an effect", k.row.ID, k.row.Kind, k.row.Name)
	}
	var args publish.DropArgs
	if k.row.Kind != "publish.drop" || json.Unmarshal(k.row.Args, &args) != nil {
		return
	}
	h := c.heads[driver.Key{Part: "publish", Sort: args.Storage + ":" + args.Prefix + "/" + args.Distribution}]
	if h != nil && !h.publication.Dropping {
		c.w.fail("task %d (%s) succeeds, and %s is published", k.row.ID, k.row.Kind, rootOf(h.publication))
	}
}
