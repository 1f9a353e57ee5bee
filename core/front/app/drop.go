package app

import (
	"context"

	"aptless/core/archive/drop"
	"aptless/core/engine/driver"
	"aptless/core/front/audit"
)

// dropBox has deliveries end the files of the drop box.
func dropBox(s *drop.Store) *drop.Store {
	s.Deliveries.Drops = s
	return s
}

// Dropped says that a file has arrived in the drop box: it admits the task that takes the
// files of its place. by and from are the sender and the address that the storage tells.
// A key that is no file of the drop box is ignored. Events may be repeated.
func (a *App) Dropped(ctx context.Context, key, by, from string) error {
	place, ok := drop.PlaceOf(key)
	if !ok {
		return nil
	}
	spec := a.drops.Check(place)
	spec.Record = func(id int64) (string, driver.Op, func(error)) {
		p := a.protection.audit.Begin(audit.Record{Event: audit.TaskAdmitted, By: audit.By{Kind: spec.By.Kind, ID: by, Name: spec.By.Name},
			From: from, Path: key, Task: id, Status: 202})
		return p.Record.ID, p.Op, p.Done
	}
	_, err := a.tasks.Admit(ctx, spec, false)
	return err
}
