package drop

import (
	"context"
	"encoding/json"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/task"
)

// EntryKind is the kind of the calendar's entries of places where files wait.
const EntryKind = "drop"

// remind has the place be looked at again when its oldest file has waited too long.
func (s *Store) remind(ctx context.Context, a *task.Attempt, p Place, due time.Time, needed bool) error {
	name := "drop/" + p.name()
	if !needed {
		return calendar.Remove(ctx, a, name)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return calendar.Schedule(ctx, a, calendar.Entry{Name: name, Kind: EntryKind, Data: data, Due: due.Add(time.Second)})
}
