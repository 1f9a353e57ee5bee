package app_test

import (
	"strings"
	"testing"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestTicksCollect holds that ticks begin a collection once in the time between two. A
// shorter time applies soon. Without a time the entry is removed.
func TestTicksCollect(t *testing.T) {
	env := drivertest.NewEnv()
	orphan := func() bool {
		_, err := env.Memory.Blobs.Stat(t.Context(), "private/incoming/ORPHAN")
		return err == nil
	}
	abandon := func() {
		t.Helper()
		if _, err := env.Memory.Blobs.Put(t.Context(), "private/incoming/ORPHAN", strings.NewReader("x"), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(every, time time.Duration, ticks int) {
		t.Helper()
		p, err := apptest.Start(t.Context(), env, apptest.Signer(t), func(c *app.Config) { c.CleanupEvery = every })
		if err != nil {
			t.Fatal(err)
		}
		for range ticks {
			env.Clock.Advance(time)
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.Drain(); err != nil {
				t.Fatal(err)
			}
		}
	}
	const week, hour = 7 * 24 * time.Hour, time.Hour
	abandon()
	pass(0, hour, 24*30)
	if !orphan() {
		t.Fatal("collected without a schedule")
	}
	pass(week, hour, 24*6)
	if !orphan() {
		t.Fatal("collected before its time")
	}
	pass(week, hour, 30) // another process of the same schedule
	if orphan() {
		t.Fatal("an unreferenced file stays after a week")
	}
	abandon()
	pass(2*hour, hour, 3+24) // a file is unreferenced only after a day
	if orphan() {
		t.Fatal("a shorter time does not apply")
	}
	pass(0, hour, 24)
	for e, err := range calendar.All(t.Context(), env.Memory.Table) {
		if err != nil || e.Kind == "cleanup.schedule" {
			t.Errorf("%s is left, %v", e.Name, err)
		}
	}
}
