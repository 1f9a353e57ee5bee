package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

func TestRepairSaysWhatThePoolLacks(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m))
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Fill(t, "r", apptest.Deb("a", "1", "amd64"))
	check := func() (r struct{ Pool pool.CheckReport }) {
		t.Helper()
		for _, query := range []string{"?dryRun=1", ""} {
			s.Must(t, "POST", "/api/db/repair"+query, "", &r)
		}
		return r
	}
	if r := check().Pool; r.Records != 1 || r.Missing.Number != 0 || r.Missing.Names == nil {
		t.Errorf("a whole pool: %+v", r)
	}
	for key := range m.Objects(pool.FilePrefix) {
		if err := m.Blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	r := check().Pool
	if text, err := json.Marshal(r); r.Missing.Number != 1 || err != nil || !strings.Contains(string(text), " of Pamd64 a 1 ") {
		t.Errorf("a pool without files: %s", text)
	}
}
