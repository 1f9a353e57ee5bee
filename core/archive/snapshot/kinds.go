package snapshot

import "aptless/core/engine/task"

// Kinds returns the tasks of snapshots.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("snapshot.take", s.take),
		task.Define("snapshot.create", s.create),
		task.Define("snapshot.merge", s.merge),
		task.Define("snapshot.pull", s.pull),
		task.Define("snapshot.filter", s.filter),
		task.Define("snapshot.update", s.update),
		task.Define("snapshot.drop", s.drop),
		task.Define("snapshot.drop-many", s.dropMany),
	}
}
