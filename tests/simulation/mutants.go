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
}

// Mutants are the protective conditions, each removed in turn.
var Mutants = []Mutant{
	{"versions: a transaction requires the rows that it has only read", "engine/lock/tx.go",
		"		ops = append(ops, op)\n	}\n	return ops, nil", "		if op.Do != driver.OpCheck {\n			ops = append(ops, op)\n		}\n	}\n	return ops, nil"},
	{"token: an attempt whose row another attempt has written is lost", "engine/task/write.go",
		"case v != a.version && now.Attempt == next.Attempt && now.State == Running:", "case v != a.version && now.State == Running:"},
	{"token: a fenced write of an overtaken attempt is refused", "engine/task/write.go",
		"case now.Attempt != a.begun.Attempt || now.State != Running || v == a.version:", "case now.State != Running || v == a.version:"},
	{"lease: no attempt begins while another one has a live lease", "engine/task/dispatch.go",
		"	if t.State != Running {\n		return 0\n	}", "	if true || t.State != Running {\n		return 0\n	}"},
	{"lease: the heartbeat extends it", "engine/task/run.go",
		"	beating.Go(func() { a.heartbeat(beats, d.Store.Log) })", "	_ = beats"},
	{"queue order: a task waits for the tasks ahead of it", "engine/task/dispatch.go",
		"		if len(ahead) == 0 {", "		if true || len(ahead) == 0 {"},
	{"queue order: a task joins the end of a queue", "engine/lock/queue.go",
		"queue = append(queue, entry{task, n.Mode})", "queue = slices.Insert(queue, 0, entry{task, n.Mode})"},
	{"queue order: shared entries wait for an exclusive one", "engine/lock/queue.go",
		"func conflict(a, b Mode) bool { return a == Exclusive || b == Exclusive }", "func conflict(a, b Mode) bool { return a == Exclusive && b == Exclusive }"},
	{"queue order: a delivery starts the task for which the others of its group wait", "engine/task/dispatch.go",
		"		first, err := d.startable(ctx, m, ahead)", "		first, err := int64(0), error(nil)\n		if m.Body == strconv.FormatInt(id, 10) {\n			first, err = d.startable(ctx, m, ahead)\n		}"},
	{"staging: a removal whose manifest is gone ends with the row of staged objects", "archive/publish/drop.go",
		"		} else if err := s.dropStaging(ctx, a, r.Name); err != nil {\n			return err\n		}", "		}"},
	{"lost messages: the tick sends them again", "engine/task/tick.go",
		"!all && !d.forgotten(t)", "!all"},
	{"debts: a commit writes them", "engine/task/commit.go",
		"		list = append(list, o)", "		_ = o"},
	{"undo: a failed task removes its traces", "engine/task/outcome.go",
		"	if kind.undo == nil {\n		return d.fail", "	if true || kind.undo == nil {\n		return d.fail"},
	{"cancel: a committed task refuses", "engine/task/cancel.go",
		"		case t.Committed:\n			return final{fmt.Errorf(\"task %d: %w\", id, ErrCommitted)}\n", ""},
	{"commit: a committed task does not stop", "engine/task/task.go",
		"func (t Task) stops() bool { return t.Cancelled && !t.Committed && !t.Undoing }", "func (t Task) stops() bool { return t.Cancelled && !t.Undoing }"},
	{"commit: no error fails a committed task", "engine/task/run.go",
		"case errors.As(err, &failure) && !a.Committed():", "case errors.As(err, &failure):"},
	{"idempotency: an admission whose answer was lost is recognised", "engine/task/admit.go",
		"		if _, there := s.Get(look, t.ID); there == nil {\n			return nil\n		}\n", "		_ = look\n"},
	{"idempotency: a write whose answer was lost is recognised", "engine/task/write.go",
		"	case now.Attempt == next.Attempt && now.Seq == next.Seq:\n		*version = v\n		return nil\n", ""},
	{"idempotency: the message of an ended task is dropped", "engine/task/dispatch.go",
		"		if errors.Is(err, ErrUnknown) || err == nil && t.State.Ended() {", "		if errors.Is(err, ErrUnknown) {"},
	{"names: a name is taken once", "engine/named/change.go",
		"	case err == nil:\n		return &Taken{r.Noun, name}\n", "	case err == nil:\n		return nil\n"},
	{"references: a drop sees them", "engine/named/named.go",
		"	for row, err := range r.Table.Scan(ctx, RefKey(r.Part, uuid, \"\").Part, \"\") {\n		return row.Sort", "	for row, err := range r.Table.Scan(ctx, RefKey(r.Part, \"none\", \"\").Part, \"\") {\n		return row.Sort"},
	{"references: a drop of many snapshots sees them", "archive/snapshot/many.go",
		"	for row, err := range s.Table.Scan(ctx, named.RefKey(s.Rows().Part, uuid, \"\").Part, \"\") {", "	for row, err := range s.Table.Scan(ctx, named.RefKey(s.Rows().Part, \"none\", \"\").Part, \"\") {"},
	{"references: a publication writes one for each source", "archive/publish/protocol.go",
		"			a.Put(key, []byte(\"{}\"))", "			_ = key"},
	{"ETag order: the ETag is read before the row", "archive/publish/tree/tree.go",
		"		info, err := t.asIs(ctx, key, &opt)\n		if err != nil {\n			return err\n		}\n		if err := t.current(ctx); err != nil {\n			return err\n		}\n",
		"		if err := t.current(ctx); err != nil {\n			return err\n		}\n		info, err := t.asIs(ctx, key, &opt)\n		if err != nil {\n			return err\n		}\n"},
	{"ETag: a name is put on condition of it", "archive/publish/tree/tree.go",
		"	opt.IfMatch = info.ETag\n", ""},
	{"row: an apply ends when another manifest is committed", "archive/publish/tree/tree.go",
		"	if err == nil && superseded {", "	if false && superseded {"},
	{"apply: indexes get their mutable names", "archive/publish/tree/apply.go",
		"	if err := t.applyFiles(ctx, dir, indexes); err != nil {", "	if err := t.applyFiles(ctx, dir, indexes[:0]); err != nil {"},
	{"by-hash files outlive their readers", "archive/publish/tree/retire.go",
		"return generation <= now-keepGenerations && date.Sub(superseded) >= keepFor", "return generation < now"},
	{"dates grow by a second at least", "archive/publish/stage.go",
		"	next := last.Add(time.Second)\n", "	next := last.Add(-20 * time.Minute)\n"},
	{"shared pool: the lists of neighbours keep files", "archive/publish/files/clean.go",
		"	refs, err := c.Others(ctx, dir)\n", "	refs, err := c.Others(ctx, dir+\"/none\")\n"},
	{"conflict: a path has one file", "archive/publish/files/link.go",
		"		if f.has = other; !l.Force {\n", "		if f.has = other; false {\n"},
	{"fence: package files are removed after a fenced write", "archive/publish/files/clean.go",
		"	if _, err := c.Write(ctx); err != nil {\n		return err\n	}\n	keys", "	keys"},
	{"inventory: entries go after the files, in the transaction that ends the removal", "archive/publish/files/clean.go",
		"			if err := c.Inventory.remove(ctx, name); err != nil {", "			if err := error(nil); err != nil {"},
	{"inventory: it is committed before the manifest of a dropped publication goes", "archive/publish/drop.go",
		"			if err := a.Save(ctx, at); err != nil {", "			if err := error(nil); err != nil {"},
	{"epoch: lists are written in the epoch of the collection", "engine/gc/epoch.go",
		"func (e *Epoch) Number() int64 { return e.Seen().Epoch }", "func (e *Epoch) Number() int64 { return 0 }"},
	{"epoch: replaced heads are kept for the mark", "engine/gc/epoch.go",
		"		if slices.Contains(e.Heads, row.Part) {", "		if false && slices.Contains(e.Heads, row.Part) {"},
	{"barrier: the mark waits for the tasks from before the epoch", "engine/gc/collector.go",
		"		if id > c.at.Before {\n			break\n		}\n", "		if id > 0 {\n			break\n		}\n"},
	{"claim: tasks pin what they need", "engine/gc/pin.go",
		"	for _, name := range names {\n		if err := e.pin(", "	for _, name := range names[:0] {\n		if err := e.pin("},
	{"claim: a tombstone refuses a pin", "engine/gc/pin.go",
		"		case p.tombstone():\n			return ErrDeleting\n", "		case p.tombstone():\n			return nil\n"},
	{"claim: the collector respects pins", "engine/gc/pin.go",
		"func (p pin) holds(epoch int64) bool { return p.tombstone() || p.Epoch >= epoch }", "func (p pin) holds(epoch int64) bool { return false }"},
}

// Pairs are conditions that back each other: a mutant without one of them survives, and
// a mutant without both does not.
var Pairs = [][2]string{
	{"lease: no attempt begins", "token: an attempt whose row"},
	{"cancel: a committed task refuses", "commit: a committed task does not stop"},
	{"row: an apply ends", "ETag: a name is put"},
	{"token: an attempt whose row", "versions: a transaction requires"},
}

// mutantFocus is the focus of the seeds that may show a mutant, by the begin of its
// condition. Others may be shown by seeds without one.
var mutantFocus = map[string]string{
	"versions: a transaction requires": "mirror", "token: ": "overtaken", "lease: no attempt": "overtaken", "lease: the heartbeat": "slow",
	"ETag": "apply", "row: an apply": "apply", "by-hash": "generations", "fence: package": "comeback", "epoch: replaced": "turn", "queue order: a delivery starts": "unsent", "claim: a tombstone": "deletion",
	"idempotency: an admission": "lost writes", "idempotency: a write": "lost task rows", "cancel: ": "cancel", "commit: a committed": "cancel", "commit: no error": "missing",
	"lost messages": "unsent", "undo": "cancel", "dates": "generations", "shared pool": "pool", "epoch: lists": "deletion", "claim: the collector": "deletion", "claim: tasks": "mark", "barrier": "mark",
}

// Change is a set of mutants that are switched on together.
type Change struct {
	Name    string
	Mutants []Mutant
}

// focus returns the focus of the first mutant that has one.
func (c Change) focus() string {
	for _, m := range c.Mutants {
		if focus := conditionFocus[m.Condition]; focus != "" {
			return focus
		}
		for begin, focus := range mutantFocus {
			if strings.HasPrefix(m.Condition, begin) {
				return focus
			}
		}
	}
	return ""
}

// Changes returns a change for each mutant, and for each pair.
func Changes() []Change {
	var all []Change
	single := slices.Concat(Mutants, Conditions)
	for _, m := range single {
		all = append(all, Change{m.Condition, []Mutant{m}})
	}
	for _, pair := range slices.Concat(Pairs, conditionPairs) {
		c := Change{Name: "both: " + pair[0] + "; " + pair[1]}
		for _, begin := range pair {
			for _, m := range single {
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
