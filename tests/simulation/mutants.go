package simulation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is a change of the source that removes one protective condition.
type Mutant struct {
	Condition string // that is removed
	File      string // below core
	Old, New  string // a text that the file has once, and its replacement
	Focus     string // of the seeds that are searched; "" is all seeds

	// Backed says which condition backs this one: no run fails without this one alone.
	// A mutant of Pairs removes both.
	Backed string
}

// Mutants are the protective conditions, each removed in turn.
var Mutants = []Mutant{
	{Condition: "versions: a transaction requires the rows that it has only read", File: "engine/lock/tx.go", Focus: "mirror",
		Old: "		ops = append(ops, op)\n	}\n	return ops, nil",
		New: "		if op.Do != driver.OpCheck {\n			ops = append(ops, op)\n		}\n	}\n	return ops, nil"},
	{Condition: "token: an attempt whose row another attempt has written is lost", File: "engine/task/write.go", Focus: "overtaken",
		Old: "case v != a.version && now.Attempt == next.Attempt && now.State == Running:",
		New: "case v != a.version && now.State == Running:"},
	{Condition: "token: a fenced write of an overtaken attempt is refused", File: "engine/task/write.go", Focus: "overtaken",
		Old: "case now.Attempt != a.begun.Attempt || now.State != Running || v == a.version:",
		New: "case now.State != Running || v == a.version:"},
	{Condition: "lease: no attempt begins while another one has a live lease", File: "engine/task/dispatch.go", Focus: "overtaken",
		Old: "	if t.State != Running {\n		return 0\n	}",
		New: "	if true || t.State != Running {\n		return 0\n	}"},
	{Condition: "lease: the heartbeat extends it", File: "engine/task/run.go", Focus: "slow",
		Old: "	beating.Go(func() { a.heartbeat(beats, d.Store.Log) })",
		New: "	_ = beats"},
	{Condition: "queue order: a task waits for the tasks ahead of it", File: "engine/task/dispatch.go",
		Old: "		if len(ahead) == 0 {",
		New: "		if true || len(ahead) == 0 {"},
	{Condition: "queue order: a task joins the end of a queue", File: "engine/lock/queue.go",
		Old: "queue = append(queue, entry{task, n.Mode})",
		New: "queue = slices.Insert(queue, 0, entry{task, n.Mode})"},
	{Condition: "queue order: shared entries wait for an exclusive one", File: "engine/lock/queue.go",
		Old: "func conflict(a, b Mode) bool { return a == Exclusive || b == Exclusive }",
		New: "func conflict(a, b Mode) bool { return a == Exclusive && b == Exclusive }"},
	{Condition: "queue order: a delivery starts the task for which the others of its group wait", File: "engine/task/dispatch.go", Focus: "unsent",
		Old: "		first, err := d.startable(ctx, m, ahead)",
		New: "		first, err := int64(0), error(nil)\n		if m.Body == strconv.FormatInt(id, 10) {\n			first, err = d.startable(ctx, m, ahead)\n		}"},
	{Condition: "removal: one whose manifest is gone removes what its rows name", File: "archive/publish/drop.go",
		Backed: "the write before the manifest goes also removes that from the rows",
		Old:    "		if err := s.removeListed(ctx, a, r); err != nil {",
		New:    "		if err := error(nil); err != nil {"},
	{Condition: "lost messages: the tick sends them again", File: "engine/task/tick.go", Focus: "unsent",
		Old: "!all && !d.forgotten(t)",
		New: "!all"},
	{Condition: "debts: a commit writes them", File: "engine/task/commit.go",
		Old: "		list = append(list, o)",
		New: "		_ = o"},
	{Condition: "undo: a failed task removes its traces", File: "engine/task/outcome.go", Focus: "cancel",
		Old: "	if kind.undo == nil {\n		return d.fail",
		New: "	if true || kind.undo == nil {\n		return d.fail"},
	{Condition: "cancel: a committed task refuses", File: "engine/task/cancel.go", Focus: "cancel",
		Old: "		case t.Committed:\n			return final{fmt.Errorf(\"task %d: %w\", id, ErrCommitted)}\n",
		New: ""},
	{Condition: "commit: a committed task does not stop", File: "engine/task/task.go", Focus: "cancel",
		Backed: "a cancel refuses a committed task",
		Old:    "func (t Task) stops() bool { return t.Cancelled && !t.Committed && !t.Undoing }",
		New:    "func (t Task) stops() bool { return t.Cancelled && !t.Undoing }"},
	{Condition: "commit: no error fails a committed task", File: "engine/task/run.go", Focus: "missing",
		Old: "case errors.As(err, &failure) && !a.Committed():",
		New: "case errors.As(err, &failure):"},
	{Condition: "idempotency: an admission whose answer was lost is recognised", File: "engine/task/admit.go", Focus: "lost writes",
		Old: "		if _, there := s.Get(look, t.ID); there == nil {\n			return nil\n		}\n",
		New: "		_ = look\n"},
	{Condition: "idempotency: a write whose answer was lost is recognised", File: "engine/task/write.go", Focus: "lost task rows",
		Old: "	case now.Attempt == next.Attempt && now.Seq == next.Seq:\n		*version = v\n		return nil\n",
		New: ""},
	{Condition: "idempotency: the message of an ended task is dropped", File: "engine/task/dispatch.go",
		Old: "		if errors.Is(err, ErrUnknown) || err == nil && t.State.Ended() {",
		New: "		if errors.Is(err, ErrUnknown) {"},
	{Condition: "names: a name is taken once", File: "engine/named/change.go",
		Old: "	case err == nil:\n		return &Taken{r.Noun, name}\n",
		New: "	case err == nil:\n		return nil\n"},
	{Condition: "references: a drop sees them", File: "engine/named/named.go",
		Old: "	for row, err := range r.Table.Scan(ctx, RefKey(r.Part, uuid, \"\").Part, \"\") {\n		return row.Sort",
		New: "	for row, err := range r.Table.Scan(ctx, RefKey(r.Part, \"none\", \"\").Part, \"\") {\n		return row.Sort"},
	{Condition: "references: a drop of many snapshots sees them", File: "archive/snapshot/many.go", Focus: "many",
		Old: "	for row, err := range s.Table.Scan(ctx, named.RefKey(s.Rows().Part, uuid, \"\").Part, \"\") {",
		New: "	for row, err := range s.Table.Scan(ctx, named.RefKey(s.Rows().Part, \"none\", \"\").Part, \"\") {"},
	{Condition: "references: a publication writes one for each source", File: "archive/publish/protocol.go",
		Old: "			a.Put(key, []byte(\"{}\"))",
		New: "			_ = key"},
	{Condition: "ETag order: the ETag is read before the row", File: "archive/publish/tree/tree.go", Focus: "relabel",
		Old: "		info, err := t.asIs(ctx, key, &opt)\n		if err != nil {\n			return err\n		}\n		if err := t.current(ctx); err != nil {\n			return err\n		}\n",
		New: "		if err := t.current(ctx); err != nil {\n			return err\n		}\n		info, err := t.asIs(ctx, key, &opt)\n		if err != nil {\n			return err\n		}\n"},
	{Condition: "ETag: a name is put on condition of it", File: "archive/publish/tree/tree.go", Focus: "relabel",
		Old: "	opt.IfMatch = info.ETag\n",
		New: ""},
	{Condition: "row: an apply ends when another manifest is committed", File: "archive/publish/tree/tree.go", Focus: "relabel",
		Old: "	if err == nil && superseded {",
		New: "	if false && superseded {"},
	{Condition: "apply: indexes get their mutable names", File: "archive/publish/tree/apply.go",
		Old: "	if err := t.applyFiles(ctx, dir, indexes); err != nil {",
		New: "	if err := t.applyFiles(ctx, dir, indexes[:0]); err != nil {"},
	{Condition: "by-hash files outlive their readers", File: "archive/publish/tree/retire.go", Focus: "generations",
		Old: "return generation <= now-keepGenerations && date.Sub(superseded) >= keepFor",
		New: "return generation < now"},
	{Condition: "dates grow by a second at least", File: "archive/publish/stage.go", Focus: "generations",
		Old: "	next := last.Add(time.Second)\n",
		New: "	next := last.Add(-20 * time.Minute)\n"},
	{Condition: "shared pool: the lists of neighbours keep files", File: "archive/publish/files/clean.go", Focus: "pool",
		Old: "	refs, err := c.Others(ctx, dir)\n",
		New: "	refs, err := c.Others(ctx, dir+\"/none\")\n"},
	{Condition: "conflict: a path has one file", File: "archive/publish/files/link.go",
		Old: "		if f.has = other; !l.Force {\n",
		New: "		if f.has = other; false {\n"},
	{Condition: "fence: package files are removed after a fenced write", File: "archive/publish/deletions.go", Focus: "comeback",
		Old: "	if err := f.begin(ctx); err != nil {\n		return err\n	}\n	err := remove(ctx)",
		New: "	err := remove(ctx)"},
	{Condition: "inventory: entries go after the files, in the transaction that ends the removal", File: "archive/publish/files/clean.go",
		Old: "			if err := c.Inventory.remove(ctx, name); err != nil {",
		New: "			if err := error(nil); err != nil {"},
	{Condition: "inventory: it is committed before the manifest of a dropped publication goes", File: "archive/publish/drop.go", Focus: "removal",
		Backed: "a removal whose manifest is gone removes what its rows name",
		Old:    "		if err := a.Save(ctx, at); err != nil {",
		New:    "		if err := error(nil); err != nil {"},
	{Condition: "epoch: lists are written in the epoch of the collection", File: "engine/gc/epoch.go", Focus: "deletion",
		Old: "func (e *Epoch) Number() int64 { return e.Seen().Epoch }",
		New: "func (e *Epoch) Number() int64 { return 0 }"},
	{Condition: "epoch: replaced heads are kept for the mark", File: "engine/gc/epoch.go", Focus: "turn",
		Old: "		if slices.Contains(e.Heads, row.Part) {",
		New: "		if false && slices.Contains(e.Heads, row.Part) {"},
	{Condition: "barrier: the mark waits for the tasks from before the epoch", File: "engine/gc/collector.go", Focus: "added again",
		Old: "		if id > c.at.Before {\n			break\n		}\n",
		New: "		if id > 0 {\n			break\n		}\n"},
	{Condition: "claim: tasks pin what they need", File: "engine/gc/pin.go", Focus: "mark",
		Old: "	for _, name := range names {\n		if err := e.pin(",
		New: "	for _, name := range names[:0] {\n		if err := e.pin("},
	{Condition: "claim: a tombstone refuses a pin", File: "engine/gc/pin.go", Focus: "added again",
		Old: "		case p.tombstone():\n			return ErrDeleting\n",
		New: "		case p.tombstone():\n			return nil\n"},
	{Condition: "claim: the collector respects pins", File: "engine/gc/pin.go", Focus: "deletion",
		Old: "func (p pin) holds(epoch int64) bool { return p.tombstone() || p.Epoch >= epoch }",
		New: "func (p pin) holds(epoch int64) bool { return false }"},
}

// Pair removes two conditions that back each other. They have these begins.
type Pair struct{ Name, One, Other string }

// Pairs are conditions that back each other. A mutant without both does not survive.
var Pairs = []Pair{
	{"lease and token (both removed)", "lease: no attempt begins", "token: an attempt whose row"},
	{"a cancel refuses a committed task, and it does not stop (both removed)", "cancel: a committed task refuses", "commit: a committed task does not stop"},
	{"an apply ends, and the ETag is a condition (both removed)", "row: an apply ends", "ETag: a name is put"},
	{"the write before a manifest goes, and the removal of what rows name (both removed)", "inventory: it is committed before", "removal: one whose manifest"},
	{"an overtaken attempt restores objects, and a publication waits (both removed)", "put back: an overtaken attempt", "late deletions: a publication waits"},
	{"a deletion that has stalled is not begun, and it ends in time (both removed)", "collection: a deletion that has stalled", "collection: a deletion ends in time"},
	{"token and required rows (both removed)", "token: an attempt whose row", "versions: a transaction requires"},
}

// Change is a set of mutants that are switched on together.
type Change struct {
	Name    string
	Mutants []Mutant
}

// focus returns the focus of the first mutant that has one.
func (c Change) focus() string {
	for _, m := range c.Mutants {
		if m.Focus != "" {
			return m.Focus
		}
	}
	return ""
}

// backed returns the condition that backs that of a change, "" if none does.
func (c Change) backed() string {
	if len(c.Mutants) == 1 {
		return c.Mutants[0].Backed
	}
	return ""
}

// conditions returns the mutants of all files.
func conditions() []Mutant { return slices.Concat(Mutants, Conditions, Further, OfPublications) }

// Changes returns a change for each mutant, and for each pair.
func Changes() []Change {
	var all []Change
	for _, m := range conditions() {
		all = append(all, Change{m.Condition, []Mutant{m}})
	}
	for _, p := range Pairs {
		c := Change{Name: p.Name}
		for _, begin := range []string{p.One, p.Other} {
			for _, m := range conditions() {
				if strings.HasPrefix(m.Condition, begin) {
					c.Mutants = append(c.Mutants, m)
				}
			}
		}
		all = append(all, c)
	}
	return all
}

// texts returns the changed files below a root, by path.
func (c Change) texts(root string) (map[string]string, error) {
	texts := map[string]string{}
	for _, m := range c.Mutants {
		path := filepath.Join(root, "core", m.File)
		text, ok := texts[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		if n := strings.Count(text, m.Old); n != 1 {
			return nil, fmt.Errorf("mutant %q: %s has the text %d times", m.Condition, m.File, n)
		}
		texts[path] = strings.Replace(text, m.Old, m.New, 1)
	}
	return texts, nil
}
