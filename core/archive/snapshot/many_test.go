package snapshot_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/snapshot"
	"aptless/core/engine/task"
	"aptless/core/front/app/apptest"
)

// TestDropManyDoesWhatItPlans drops by pattern. The effects equal those of the
// dry run. Used and published snapshots stay, with the reason.
func TestDropManyDoesWhatItPlans(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		make := func(name string, sources ...string) {
			body, _ := json.Marshal(map[string]any{"Name": name, "SourceSnapshots": sources})
			s.Must(t, "POST", "/api/snapshots", string(body), nil)
		}
		names := func() string {
			var list []struct{ Name string }
			s.Must(t, "GET", "/api/snapshots", "", &list)
			var all []string
			for _, v := range list {
				all = append(all, v.Name)
			}
			return strings.Join(all, " ")
		}
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		make("daily-1")
		make("daily-2", "daily-1")
		make("daily-3")
		make("weekly", "daily-3")
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"daily-4"}`, nil)
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"s","Sources":[{"Name":"daily-4"}],`+apptest.Unsigned+`}`, nil)
		make("daily.5")
		make("Daily-6")
		const all = "Daily-6 daily-1 daily-2 daily-3 daily-4 daily.5 weekly"
		for path, want := range map[string]string{
			"":                                     `{"error":"pattern is required`,
			"?pattern=":                            `{"error":"pattern is required`,
			"?pattern=none-*":                      `{"error":"no snapshot matches none-*`,
			"?pattern=(":                           `{"error":"no snapshot matches (`,
			"?pattern=*&olderThan=soon":            `{"error":"invalid olderThan`,
			"?pattern=*&olderThan=1":               `{"error":"invalid olderThan`,
			"?pattern=*&olderThan=1h":              `{"error":"no snapshot matches`,
			"?pattern=" + strings.Repeat("x", 501): `{"error":"invalid pattern`,
		} {
			if code, got := s.Ask(t, "DELETE", "/api/snapshots"+path, ""); code < 400 || code >= 500 || !strings.HasPrefix(got, want) {
				t.Errorf("%s: %d %s, want %s", path, code, got, want)
			}
		}
		const dry = `{"Removed":["daily-2","daily-1"],"Kept":[{"Name":"daily-4","Reason":"snapshot is published"},{"Name":"daily-3","Reason":"snapshot was used as source for other snapshots"}]}`
		var planned, done snapshot.Removal
		s.Must(t, "DELETE", "/api/snapshots?pattern=daily-*&dryRun=1", "", &planned)
		if got, _ := json.Marshal(planned); string(got) != dry {
			t.Errorf("dry run %s", got)
		}
		if got := names(); got != all {
			t.Errorf("after the dry run: %s", got)
		}
		s.Must(t, "DELETE", "/api/snapshots?pattern=daily-*", "", &done)
		if a, b := apptest.JSON(planned), apptest.JSON(done); a != b {
			t.Errorf("done %s, planned %s", b, a)
		}
		if got := names(); got != "Daily-6 daily-3 daily-4 daily.5 weekly" {
			t.Errorf("left are %s", got)
		}
		s.Must(t, "DELETE", "/api/snapshots?pattern=d*&force=1", "", nil)
		if got := names(); got != "Daily-6 daily-4 weekly" {
			t.Errorf("left are %s", got)
		}
		s.Must(t, "DELETE", "/api/snapshots?pattern=?????????&olderThan=1h&dryRun=1", "", &planned)
		if len(planned.Removed)+len(planned.Kept) > 0 {
			t.Errorf("younger than an hour: %+v", planned)
		}
	})
}

// TestDropOfManyRunsInBatches drops more snapshots than one batch locks. More than
// maxMany are refused.
func TestDropOfManyRunsInBatches(t *testing.T) {
	r := newRig(t, nil)
	const n = 95
	for i := range n {
		spec, err := r.snapshots.CheckCreate(t.Context(), fmt.Sprintf("s%02d", i), "", nil, nil)
		r.made(t, fmt.Sprintf("s%02d", i), spec, err)
		r.env.Clock.Advance(time.Hour)
	}
	old := snapshot.ManyArgs{Pattern: "s*", Before: r.env.Clock.Now().Add(-5*time.Hour - time.Minute)}
	spec, err := r.snapshots.CheckDropMany(t.Context(), old)
	if got := r.run(t, spec, err); got.State != task.Succeeded {
		t.Fatalf("%s", got.Error)
	}
	left, err := r.snapshots.All(t.Context(), false)
	if err != nil || len(left) != 5 || left[0].Name != "s90" {
		t.Errorf("left are %d, %v", len(left), err)
	}
	if rows := r.env.Memory.Rows("lock/"); len(rows) > 0 {
		t.Errorf("locks are left: %v", rows)
	}
}
