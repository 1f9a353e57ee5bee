package repo

import "aptless/core/engine/task"

// Kinds returns the tasks of local repositories.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("repo.create", s.create),
		task.Define("repo.edit", s.edit),
		task.Define("repo.drop", s.drop),
		task.Define("repo.add", s.add),
		task.Define("repo.remove", s.remove),
		task.Define("repo.import", s.importFiles),
		task.Define("repo.include", s.include),
		task.Define("repo.tidy", s.tidy),
		task.Define("repo.copy", s.copy),
	}
}
