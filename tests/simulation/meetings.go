package simulation

import "time"

// manySeeds is the last seed without a focus of lateFocuses, so that the plans of these
// seeds stay.
const manySeeds = 20_000

// lateFocuses are biases of seeds above manySeeds.
func lateFocuses() []focus {
	return []focus{
		// A collection stands still while it deletes, and is overtaken. The file comes back.
		{name: "tombstone", mix: "taken again", names: 1, processes: 2, clients: 4, requests: 10, hasty: true, only: true, also: []Kind{Visible, Late},
			aims: []Aim{{Call: "Blobs.Delete private/pool", Kind: Freeze, One: 1, For: 70 * time.Second}}},
		// A record is taken while a collection removes it.
		{name: "revival", mix: "taken again", names: 1, clients: 4, requests: 10, hasty: true, only: true,
			aims: []Aim{{Call: "Table.Write claim/", Kind: Delay, One: 3}, {Call: "Table.Get package-", Kind: Delay, One: 4}, {Call: "Blobs.Delete private/", Kind: Delay, One: 3}}},
		// Commits of publications are not applied for long.
		{name: "unapplied", mix: "publish", names: 1, requests: 10, hasty: true, only: true,
			aims: []Aim{{Call: "Blobs.Put public/dists/", Kind: Before, One: 2}, {Call: "Blobs.Copy public/dists/", Kind: Before, One: 2}}},
		// Processes die while they remove files of publications.
		{name: "drops", mix: "drops", names: 2, requests: 10, hasty: true, only: true, also: []Kind{Visible},
			aims: []Aim{{Call: "Blobs.Delete public/", Kind: CrashAfter, One: 4}, {Call: "Blobs.Delete public/", Kind: CrashBefore, One: 6}, {Call: "Table.Write task/", Kind: CrashAfter, One: 40}}},
		// The epoch begins while tasks do, and answers about it come late.
		{name: "epochs", mix: "collect", names: 1, hasty: true, only: true, clients: 3, requests: 10, aims: []Aim{{Call: "Table.Write collection/", Kind: Delay, One: 2, For: 5 * time.Second},
			{Call: "Table.Get collection/", Kind: Slow, One: 3}, {Call: "Blobs.Copy private/pool", Kind: Slow, One: 3}, {Call: "Table.Get claim/", Kind: Slow, One: 4}}},
		// Failed publications cannot be undone for long.
		{name: "undone", mix: "tasks", names: 1, hasty: true, only: true, requests: 10, aims: []Aim{{Call: "Blobs.Delete public/", Kind: Outage, One: 3, For: 16 * time.Minute},
			{Call: "Blobs.Stat public/", Kind: Delay, One: 6, For: 5 * time.Second}}},
		// Tasks wait for each other between the check of a name and its change.
		{name: "renames", mix: "names", names: 2, hasty: true, only: true, clients: 4, requests: 20, aims: []Aim{{Call: "Table.Write task/", Kind: Delay, One: 4, For: 5 * time.Second}}},
		// A collection meets publications that are being staged.
		{name: "staged", mix: "staged", names: 1, hasty: true, only: true, clients: 3, requests: 10, aims: []Aim{{Call: "Blobs.Put private/publish/", Kind: Slow, One: 3}, {Call: "Table.Write task/", Kind: Delay, One: 3, For: 15 * time.Second}}},
		// A collection meets uploads whose rows are not written.
		{name: "received", mix: "received", names: 1, hasty: true, only: true, clients: 4, requests: 10, aims: []Aim{{Call: "Table.Write upload/", Kind: Delay, One: 2, For: 10 * time.Second}, {Call: "Table.Write task/", Kind: Delay, One: 6, For: 10 * time.Second}}},
		// Publications replace package files of others, and fail or die before they commit.
		{name: "forced", mix: "forced", processes: 2, requests: 5, hasty: true, only: true, also: []Kind{Visible},
			aims: []Aim{{Call: "Blobs.Copy public/pool/", Kind: CrashAfter, One: 6}, {Call: "Blobs.Put private/publish/", Kind: CrashBefore, One: 20}, {Call: "Blobs.Put private/publish/", Kind: Delay, One: 2, For: 10 * time.Second}}},
		// An apply stands still, and its publication is dropped meanwhile.
		{name: "dropped", mix: "dropped", names: 1, processes: 3, clients: 4, requests: -8, hasty: true, only: true, also: []Kind{Visible},
			aims: []Aim{{Call: "Blobs.Stat public/dists/d1/", Kind: Freeze, One: 10, For: 70 * time.Second}, {Call: "Blobs.Delete public/", Kind: Delay, One: 2, For: time.Minute}}},
		// A collection is cancelled while a deletion of it is under way.
		{name: "ended", mix: "ended", names: 1, processes: 2, clients: 4, requests: 10, hasty: true, only: true, also: []Kind{Late},
			aims: []Aim{{Call: "Blobs.Delete private/pool", Kind: Late, One: 1}, {Call: "Blobs.Delete private/pool", Kind: Delay, One: 2, For: 10 * time.Second}}},
		// A collection stands still between its tombstones and its deletions.
		{name: "stalled", mix: "taken again", names: 1, processes: 2, clients: 4, requests: 10, hasty: true, only: true, also: []Kind{Visible},
			aims: []Aim{{Call: "Table.Write claim/file", Kind: Freeze, One: 2, For: 2 * time.Minute}, {Call: "Table.Write fence collection/", Kind: Freeze, One: 3, For: 2 * time.Minute}}},
		// Days pass between requests.
		{name: "days", mix: "days", names: 1, requests: 10, only: true, aims: []Aim{{Call: "Blobs.Put public/dists/", Kind: Before, One: 20}}},
		// Files are put late into trees whose lists are collected before they are looked at again.
		{name: "late lists", mix: "late lists", names: 1, processes: 2, hasty: true, requests: 15, also: []Kind{Visible, Late},
			aims: []Aim{{Call: "Blobs.Copy public/", Kind: Freeze, One: 8, For: time.Minute}, {Call: "Blobs.Put public/", Kind: Freeze, One: 12, For: time.Minute}}},
		// Files of the drop box are taken, and put again meanwhile.
		{name: "box", mix: "box", names: 2, processes: 2, requests: -8, hasty: true, only: true, also: []Kind{Visible},
			aims: []Aim{{Call: "Blobs.Stat drop/", Kind: Delay, One: 3, For: 10 * time.Second}, {Call: "Table.Put drop/", Kind: CrashBefore, One: 4}, {Call: "Blobs.Delete drop/", Kind: CrashAfter, One: 6}, {Call: "Blobs.Copy private/incoming/", Kind: Delay, One: 4, For: 5 * time.Second}}},
		// Trees of dropped publications cannot be removed for minutes.
		{name: "shown", mix: "shown", names: 2, requests: 5, hasty: true, only: true, aims: []Aim{{Call: "Blobs.Delete public/", Kind: Outage, One: 2, For: 4 * time.Minute}}},
		// Tasks begin while they are cancelled.
		{name: "begun", mix: "tasks", names: 1, hasty: true, only: true, clients: 3, requests: 20, aims: []Aim{{Call: "Table.Get lock/", Kind: Delay, One: 2, For: 3 * time.Second}}},
		// Uploads take the names of files that are imported.
		{name: "uploads", mix: "uploads", names: 1, hasty: true, only: true, clients: 4, requests: 20, aims: []Aim{{Call: "Table.Write task/", Kind: Delay, One: 3, For: 10 * time.Second}, {Call: "Table.Write upload/", Kind: Delay, One: 3, For: 5 * time.Second}}},
	}
}

// lateMix returns the operations of a plan of lateFocuses, nil of another one.
func (c *client) lateMix() []func() {
	switch c.w.Plan.Mix {
	case "names":
		return []func(){c.createRepo, c.createRepo, c.editRepo, c.editRepo, c.editRepo, c.dropRepo, c.takeSnapshot, c.takeSnapshot, c.renameSnapshot, c.renameSnapshot, c.dropSnapshot}
	case "drops":
		return []func(){c.importFiles, c.importFiles, c.createRepo, c.publish, c.publish, c.publish, c.update, c.update, c.dropPublication, c.dropPublication, c.dropPublication}
	case "staged":
		return []func(){c.importFiles, c.importFiles, c.createRepo, c.publish, c.publish, c.publish, c.update, c.update, c.update, c.dropPublication, c.cleanup, c.cleanup, c.cleanup}
	case "received":
		return []func(){c.importFiles, c.importFiles, c.deliver, c.deliver, c.createRepo, c.cleanup, c.cleanup}
	case "days":
		return []func(){c.importFiles, c.importFiles, c.createRepo, c.publish, c.publish, c.update, c.update, c.update, c.update, c.update, c.removePackages, c.rollback, c.cleanup, c.takeSnapshot, c.dropSnapshot, c.deliver}
	case "late lists":
		return []func(){c.importFiles, c.createRepo, c.publish, c.publish, c.publish, c.dropPublication, c.dropPublication, c.removePackages, c.addPackages, c.update, c.update, c.rollback, c.dropRepo, c.cleanup, c.cleanup}
	case "box":
		return []func(){c.createRepo, c.createRepo, c.dropFile, c.dropFile, c.dropFile, c.dropFile, c.dropFile, c.cancel}
	case "shown":
		return []func(){c.importFiles, c.createRepo, c.createRepo, c.publish, c.publish, c.publish, c.update, c.update, c.dropPublication, c.dropPublication, c.dropPublication}
	case "uploads":
		return []func(){c.createRepo, c.importShared, c.importShared, c.importShared, c.putFile, c.putFile, c.removePackages}
	}
	return nil
}
