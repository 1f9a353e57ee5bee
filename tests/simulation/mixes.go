package simulation

// operation sends the requests of one operation.
func (c *client) operation() { pick(c.dice, c.mix()...)() }

// mix returns the operations of a plan. An operation that is there twice is twice as
// frequent.
func (c *client) mix() []func() {
	if script := c.script(); script != nil {
		return []func(){script}
	}
	switch c.w.Plan.Mix {
	case "publish":
		return []func(){c.importFiles, c.importFiles, c.importFiles, c.createRepo, c.publish, c.publish, c.update, c.update, c.update, c.update, c.update,
			c.removePackages, c.stage, c.rollback, c.dropPublication, c.deliver, c.repair, c.cancel}
	case "collect":
		return []func(){c.importFiles, c.importFiles, c.importFiles, c.createRepo, c.createRepo, c.dropRepo, c.dropRepo, c.removePackages, c.removePackages, c.addPackages, c.deliver,
			c.takeSnapshot, c.takeSnapshot, c.createSnapshot, c.dropSnapshot, c.dropSnapshot, c.filterSnapshot, c.copyPackages, c.cleanup, c.cleanup, c.cleanup, c.cleanup, c.publish, c.dropPublication}
	case "back":
		return []func(){c.importFiles, c.createRepo, c.publish, c.removePackages, c.removePackages, c.removePackages, c.addPackages, c.addPackages, c.addPackages,
			c.update, c.update, c.update, c.update, c.update, c.update}
	case "return":
		return []func(){c.importFiles, c.createRepo, c.publish, c.publish, c.publish, c.dropPublication, c.dropPublication, c.removePackages, c.addPackages, c.addPackages,
			c.update, c.update, c.update, c.rollback, c.cancel}
	case "pool":
		return []func(){c.importFiles, c.importFiles, c.createRepo, c.createRepo, c.publish, c.publish, c.publish, c.update, c.update, c.deliver, c.removePackages, c.removePackages,
			c.dropPublication, c.dropPublication, c.takeSnapshot, c.stage, c.rollback, c.repair}
	case "mirror":
		return []func(){c.changeMirror, c.changeMirror, c.editMirror, c.editMirror, c.editMirror, c.editMirror, c.editMirror, c.editMirror, c.updateMirror, c.updateMirror, c.snapshotMirror, c.snapshotMirror, c.snapshotMirror, c.snapshotMirror,
			c.dropMirror, c.dropSnapshot, c.dropSnapshot, c.dropSnapshot, c.publish, c.cleanup}
	case "tasks":
		return []func(){c.createRepo, c.editRepo, c.editRepo, c.addPackages, c.removePackages, c.importFiles, c.takeSnapshot, c.dropSnapshot, c.dropRepo, c.publish, c.publish, c.update, c.update, c.update, c.dropPublication,
			c.cancel, c.cancel, c.cancel, c.readTasks, c.cleanup, c.renameSnapshot}
	case "families":
		return c.families()
	case "wide", "every":
		return c.closed()
	case "many":
		return []func(){c.importFiles, c.createRepo, c.takeSnapshot, c.takeSnapshot, c.takeSnapshot, c.filterSnapshot, c.mergeSnapshots, c.publishSnapshot, c.publishSnapshot, c.dropPublication,
			c.dropSnapshots, c.dropSnapshots, c.dropSnapshots}
	case "unsent":
		return []func(){c.importFiles, c.createRepo, c.publish, c.publish, c.stage, c.stage, c.update, c.update, c.update}
	}
	if late := c.lateMix(); late != nil {
		return late
	}
	return []func(){
		c.importFiles, c.importFiles, c.importFiles, c.importFiles, c.deliver, c.deliver, c.createRepo, c.createRepo, c.editRepo, c.dropRepo,
		c.removePackages, c.removePackages, c.addPackages, c.copyPackages,
		c.takeSnapshot, c.takeSnapshot, c.takeSnapshot, c.createSnapshot, c.mergeSnapshots, c.pullSnapshot, c.filterSnapshot, c.renameSnapshot, c.dropSnapshot, c.dropSnapshot,
		c.publish, c.publish, c.publish, c.update, c.update, c.update, c.update, c.stage, c.rollback, c.dropPublication, c.dropPublication,
		c.cleanup, c.cleanup, c.repair, c.cancel, c.readTasks, c.read, c.read, c.read, c.removeUpload,
		c.include, c.include, c.uploaders, c.changeMirror, c.updateMirror, c.updateMirror, c.dropMirror, c.keys,
	}
}

// script returns the only operation of a plan, nil if it has several.
func (c *client) script() func() {
	return map[string]func(){"comeback": c.comeBack, "taken again": c.takeAgain, "turn": c.turn, "relabel": c.relabel, "removal": c.publishAndDrop, "added again": c.addAgain,
		"forced": c.force, "dropped": c.relabelAndDrop, "ended": c.endCollection}[c.w.Plan.Mix]
}
