package simulation

import (
	"cmp"
	"strings"
)

// killers are seeds that fail without a condition, by the begin of the condition's name.
// The simulation holds that the same seeds pass with it. A mutant without a seed, or
// whose seed passes by now, is tried with many.
var killers = map[string]uint64{
	"versions: a transaction requires": 46, "token: an attempt whose row": 17, "token: a fenced write": 3566, "lease: no attempt begins": 17, "lease: the heartbeat": 78,
	"queue order: a task waits": 3, "queue order: a task joins": 1, "queue order: shared": 3, "queue order: a delivery starts": 40, "lost messages": 5,
	"debts": 27, "undo": 225, "cancel: a committed": 305, "commit: no error fails": 847,
	"idempotency: an admission": 30, "idempotency: a write": 11, "idempotency: the message": 1,
	"names": 3, "references: a drop sees": 8, "references: a publication": 3,
	"ETag order": 392, "row: an apply": 25, "apply: indexes": 3, "by-hash files": 71, "dates": 176,
	"shared pool": 205, "conflict": 13, "fence: package": 4, "inventory: entries go after": 3, "inventory: it is committed before": 10,
	"epoch: lists": 149, "epoch: replaced": 219, "barrier": 215, "claim: tasks pin": 28, "claim: a tombstone refuses": 289, "claim: the collector": 281,
	"both: lease": 17, "both: cancel": 305, "both: row": 581, "both: token": 17,
}

// backedBy are conditions that another one backs: without one of them no run fails. The
// change that removes both does.
var backedBy = map[string]string{
	"commit: a committed task does not stop": "a cancel refuses a committed task",
	"ETag: a name is put":                    "the row is read after the ETag, and before the name is put",
	"staging: a removal":                     "the write before the manifest goes also removes the row of staged objects",
}

// seed returns the seed that is known to fail without the conditions of a change, 0 if
// none is.
func (c Change) seed() uint64 {
	return cmp.Or(lookup(c.Name, conditionKillers), lookup(c.Name, killers))
}

// backed returns the condition that backs that of a change, "" if none does.
func (c Change) backed() string {
	if len(c.Mutants) > 1 {
		return ""
	}
	return cmp.Or(c.Mutants[0].Backed, lookup(c.Name, backedBy))
}

// lookup returns the value of the key that a name begins with.
func lookup[T any](name string, all map[string]T) (found T) {
	for begin, v := range all {
		if strings.HasPrefix(name, begin) {
			found = v
		}
	}
	return found
}
