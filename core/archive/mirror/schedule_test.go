package mirror_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestScheduledUpdateRunsOnce runs many ticks. A due mirror is updated once, and
// not while a task holds it.
func TestScheduledUpdateRunsOnce(t *testing.T) {
	w, env := apptest.NewMirroring(t), drivertest.NewEnv()
	if err := w.Begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	w.Env = nil
	p, err := w.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(body, want string) {
		t.Helper()
		got, err := p.Do("POST", "/api/mirrors/m", "application/json", []byte(body))
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
	updates := func() (n int) {
		t.Helper()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := p.Tick(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		data, err := p.Do("GET", "/api/tasks", "", nil)
		var tasks []struct{ State int }
		if err == nil {
			err = json.Unmarshal(data, &tasks)
		}
		for _, task := range tasks {
			if task.State == 0 {
				n++
			}
		}
		if drained := p.Drain(); err != nil || drained != nil {
			t.Fatal(err, drained)
		}
		if err := p.Ended(); err != nil {
			t.Error(err)
		}
		return n
	}
	edit(`{"Schedule":"6h"}`, `"Schedule":"6h"`)
	if _, err := p.Do("POST", "/api/mirrors/m", "application/json", []byte(`{"Schedule":"6 hours"}`)); err == nil {
		t.Error("a schedule that is none is taken")
	}
	if n := updates(); n != 0 {
		t.Errorf("%d updates before the time", n)
	}
	env.Clock.Advance(7 * time.Hour)
	if n := updates(); n != 1 {
		t.Errorf("%d updates when one is due", n)
	}
	if got, err := w.State(env); err != nil || !strings.Contains(got, "fresh") {
		t.Errorf("after the update: %s, %v", got, err)
	}
	if n := updates(); n != 0 {
		t.Errorf("%d updates after it", n)
	}
	// While a task holds the mirror, the update is postponed.
	env.Clock.Advance(7 * time.Hour)
	if _, err := p.Do("POST", "/api/mirrors/m/snapshots", "application/json", []byte(`{"Name":"s"}`)); err != nil {
		t.Fatal(err)
	}
	if n := updates(); n != 1 { // the snapshot's task
		t.Errorf("%d tasks while the mirror is in use", n)
	}
	env.Clock.Advance(11 * time.Minute)
	if n := updates(); n != 1 {
		t.Errorf("%d updates when the mirror is free", n)
	}
	edit(`{"Schedule":""}`, `"DownloadAppStream":true}`)
	env.Clock.Advance(100 * time.Hour)
	if n := updates(); n != 0 {
		t.Errorf("%d updates without a schedule", n)
	}
	edit(`{"Schedule":"0 4 * * *","IgnoreSignatures":true}`, `"Schedule":"0 4 * * *"`)
	env.Clock.Advance(24 * time.Hour)
	if n := updates(); n != 1 {
		t.Errorf("%d updates at a time of the day", n)
	}
	if err := p.Step("DELETE", "/api/mirrors/m?force=1", ""); err != nil {
		t.Fatal(err)
	}
	if left := env.Memory.Rows("mirror"); len(left) > 0 {
		t.Errorf("rows are left: %v", left)
	}
	body := strings.TrimSuffix(apptest.CreateMirror, "}") + `,"Schedule":"1d"}`
	if _, err := p.Do("POST", "/api/mirrors", "application/json", []byte(body)); err != nil {
		t.Error(err)
	}
	env.Clock.Advance(25 * time.Hour)
	if n := updates(); n != 1 {
		t.Errorf("%d updates of a mirror created with a schedule", n)
	}
}

// TestOldCalendarIsMigrated moves rows of the old partition into the calendar
// with their times. A newer entry stays.
func TestOldCalendarIsMigrated(t *testing.T) {
	w, env := apptest.NewMirroring(t), drivertest.NewEnv()
	if err := w.Begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	w.Env = nil
	p, err := w.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do("POST", "/api/mirrors/m", "application/json", []byte(`{"Schedule":"6h"}`)); err != nil {
		t.Fatal(err)
	}
	var uuid, entry string
	for key, data := range env.Memory.Rows("calendar") {
		if name, ok := strings.CutPrefix(key, "calendar/mirror/"); ok {
			uuid, entry = name, data
		}
	}
	former := driver.Key{Part: "mirror-due", Sort: uuid}
	put := func() {
		t.Helper()
		data, _ := json.Marshal(map[string]time.Time{"At": env.Clock.Now().Add(-time.Minute)})
		if _, err := env.Memory.Table.Write(t.Context(), driver.Op{Do: driver.OpPut, Key: former, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	tick := func() string {
		t.Helper()
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(); err != nil {
			t.Fatal(err)
		}
		if left := env.Memory.Rows(former.Part); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		return env.Memory.Rows("calendar")["calendar/mirror/"+uuid]
	}
	put()
	if got := tick(); got != entry {
		t.Errorf("the entry is %s, want %s", got, entry)
	}
	row, err := env.Memory.Table.Get(t.Context(), driver.Key{Part: "calendar", Sort: "mirror/" + uuid})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.Memory.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}); err != nil {
		t.Fatal(err)
	}
	put()
	if got := tick(); !strings.Contains(got, `"Task":`) {
		t.Errorf("nothing was planned: %s", got)
	}
	if got, err := w.State(env); err != nil || !strings.Contains(got, "fresh") {
		t.Errorf("after the update: %s, %v", got, err)
	}
}
