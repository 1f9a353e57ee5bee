package simulation

// Conditions are further protective conditions, each removed in turn.
var Conditions = []Mutant{
	{"begin: an attempt counts on the row as it was read", "engine/task/run.go",
		"	version, err := d.Store.Table.Write(ctx, append([]driver.Op{putOp(t, version)}, more...)...)\n",
		"	if _, v, err := d.Store.get(ctx, t.ID); err == nil {\n		version = v\n	}\n	version, err := d.Store.Table.Write(ctx, append([]driver.Op{putOp(t, version)}, more...)...)\n"},
	{"begin: the row shows whether a write without an answer was made", "engine/task/run.go",
		"	if getErr == nil && now.Owner == t.Owner", "	if false && getErr == nil && now.Owner == t.Owner"},
	{"unsettled: an attempt that did not end notes a recheck", "engine/task/run.go",
		"	if d.Unsettled == nil ||", "	if true || d.Unsettled == nil ||"},
	{"cancel: a cancelled task does not succeed", "engine/task/write.go",
		"		if w.stoppable && a.task.stops() {", "		if false && w.stoppable && a.task.stops() {"},
	{"cancel: a task with an attempt is undone first", "engine/task/cancel.go",
		"		case t.Attempt == 0:", "		case true:"},
	{"refusal: rows of a failed run are not written", "engine/task/outcome.go",
		"	a.tx, a.paid, a.answer = lock.NewTx(a.store.Table), nil, nil // puts of the failed run are dropped\n", ""},
	{"claim: the entry's last task has ended", "engine/task/claim.go",
		"		if err == nil && !t.State.Ended() {", "		if false && err == nil && !t.State.Ended() {"},
	{"epoch: an attempt reads it before any row", "engine/task/run.go",
		"	if d.Store.Epoch != nil {", "	if false && d.Store.Epoch != nil {"},
	{"collection: lists of the present epoch stay", "engine/gc/lists.go",
		"Live: o.Epoch < 0 || o.Epoch >= s.Epoch()}", "Live: o.Epoch < 0}"},
	{"collection: tombstones of a dead attempt are removed", "engine/gc/remove.go",
		"	if c.at.Released && c.at.Clean && c.at.Token+1 == c.attempt.Token() {", "	if true {"},
	{"collection: records are removed on condition of their pins", "engine/gc/remove.go",
		"			if area.Pinned {\n				ops = append(ops,", "			if false && area.Pinned {\n				ops = append(ops,"},
	{"pins: of package files that are adopted", "archive/pool/sums.go",
		"	if err := s.pin(ctx, FilePin(f.SHA256)); err != nil {\n		return err\n	}\n", ""},
	{"pins: of records that are written", "archive/pool/record.go",
		"	if err := s.pin(ctx, PackagePin(r.Package.Key())); err != nil {\n		return driver.Row{}, err\n	}\n", ""},
	{"staging: its row is written before the first object", "archive/publish/clean.go",
		"		_, err = a.Write(ctx, driver.Op{Do: driver.OpPut, Key: stagingKey(row.Name), If: version, Data: data})\n", "		_, _ = version, data\n"},
	{"staging: what the committed manifest names stays", "archive/publish/clean.go",
		"				live[key] = true\n", "				_ = key\n"},
	{"time: that of InRelease grows by a second", "archive/publish/tree/tree.go",
		"		if !from.date.IsZero() {\n			if opt.NotBefore", "		if false && !from.date.IsZero() {\n			if opt.NotBefore"},
	{"drop: InRelease goes before the row", "archive/publish/drop.go",
		"	if err := s.delete(ctx, a, p, p.notOf(others, p.releases())); err != nil {\n		if !args.Force", "	if err := s.delete(ctx, a, p, p.notOf(others, nil)); err != nil {\n		if !args.Force"},
	{"names: a publication is created once", "archive/publish/create.go",
		"	if errors.Is(err, driver.ErrNotFound) {\n		return nil\n	}\n	if err != nil {\n		return err\n	}\n	line,", "	if errors.Is(err, driver.ErrNotFound) || err == nil {\n		return nil\n	}\n	if err != nil {\n		return err\n	}\n	line,"},
	{"inventory: the commit enters the package files", "archive/publish/protocol.go",
		"	if err := d.link.Enter(ctx); err != nil {", "	if err := error(nil); err != nil {"},
}

// conditionKillers are seeds that fail without a condition, as killers are.
var conditionKillers = map[string]uint64{
	"begin: an attempt counts on the row as it was read":              10,
	"begin: the row shows whether a write without an answer was made": 11,
	"unsettled: an attempt that did not end notes a recheck":          25,
	"cancel: a cancelled task does not succeed":                       102,
	"cancel: a task with an attempt is undone first":                  832,
	"refusal: rows of a failed run are not written":                   102,
	"claim: the entry's last task has ended":                          3,
	"epoch: an attempt reads it before any row":                       86,
	"collection: lists of the present epoch stay":                     149,
	"collection: tombstones of a dead attempt are removed":            411,
	"collection: records are removed on condition of their pins":      206,
	"pins: of package files that are adopted":                         281,
	"pins: of records that are written":                               281,
	"staging: its row is written before the first object":             94,
	"staging: what the committed manifest names stays":                726,
	"time: that of InRelease grows by a second":                       986,
	"drop: InRelease goes before the row":                             3,
	"names: a publication is created once":                            5,
	"inventory: the commit enters the package files":                  13,
}

// conditionFocus is the focus of the seeds that may show the loss of a condition.
var conditionFocus = map[string]string{
	"begin: an attempt counts on the row as it was read":              "apply",
	"begin: the row shows whether a write without an answer was made": "lost task rows",
	"unsettled: an attempt that did not end notes a recheck":          "apply",
	"cancel: a cancelled task does not succeed":                       "cancel",
	"cancel: a task with an attempt is undone first":                  "cancel",
	"refusal: rows of a failed run are not written":                   "cancel",
	"epoch: an attempt reads it before any row":                       "mark",
	"collection: lists of the present epoch stay":                     "deletion",
	"collection: tombstones of a dead attempt are removed":            "deletion",
	"collection: records are removed on condition of their pins":      "deletion",
	"pins: of package files that are adopted":                         "deletion",
	"pins: of records that are written":                               "deletion",
	"staging: its row is written before the first object":             "overtaken",
	"staging: what the committed manifest names stays":                "overtaken",
	"time: that of InRelease grows by a second":                       "generations",
	"names: a publication is created once":                            "unsent",
	"inventory: the commit enters the package files":                  "unsent",
}

// conditionBacked are conditions that other ones back.
var conditionBacked = map[string]string{}

// conditionPairs are conditions that back each other.
var conditionPairs = [][2]string{}
