package app_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

var errBroken = errors.New("broken storage")

// breakage makes calls fail: reads of lists, or the scan of a partition after a number
// of rows.
type breakage struct {
	broken bool
	rows   int
	part   string
}

type breakingBlobs struct {
	driver.Blobs
	*breakage
}

type breakingTable struct {
	driver.Table
	*breakage
}

func (b breakingBlobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	if b.broken && strings.HasPrefix(key, "private/chunks/") {
		return nil, driver.Info{}, errBroken
	}
	return b.Blobs.Open(ctx, key, rng)
}

func (b breakingTable) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	rows := b.Table.Scan(ctx, part, after)
	if !b.broken || !strings.HasPrefix(part, cmp.Or(b.part, "package-")) {
		return rows
	}
	return func(yield func(driver.Row, error) bool) {
		left := b.rows
		for row, err := range rows {
			if left--; left < 0 {
				yield(driver.Row{}, errBroken)
				return
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// TestBrokenListings holds that a truncated answer never looks complete. A failure
// before the first byte is answered with an error. A later failure breaks the
// connection.
func TestBrokenListings(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	b := &breakage{}
	drivers := app.Drivers{Blobs: breakingBlobs{m.Blobs, b}, Table: breakingTable{m.Table, b}, Queue: m.Queue}
	a, err := app.New(t.Context(), drivers, apptest.Signer(t), app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Cache: 1,
		Sleep: func(context.Context, time.Duration) error { runtime.Gosched(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := &apptest.Process{App: a, Drivers: drivers}
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	var specs []debtest.Spec
	for i := range 64 {
		specs = append(specs, debtest.Spec{Package: fmt.Sprintf("p%02d", i), Architecture: "amd64",
			Fields: map[string]string{"X-Long": strings.Repeat("long ", 8000)}, Compression: "none"})
	}
	s.Stock(t, "r", nil, specs...)
	b.broken = true
	for _, query := range []string{"", "?format=details", "?q=p01", "?maximumVersion=1"} {
		if code, got := s.Ask(t, "GET", "/api/repos/r/packages"+query, ""); code != 500 || !strings.HasPrefix(got, `{"error":"`) {
			t.Errorf("%s: %d %s", query, code, got)
		}
	}
	for _, query := range []string{"", "?format=details", "?q=p01", "?q=p01&withDeps=1", "?maximumVersion=1"} {
		if code, got := s.Ask(t, "GET", "/api/packages"+query, ""); code != 500 || !strings.HasPrefix(got, `{"error":"`) {
			t.Errorf("%s: %d %s", query, code, got)
		}
	}
	b.rows = 3 // rows of each partition: more than fit into the buffer of an answer
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("an answer that was begun ended with %v", p)
			}
		}()
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/packages?format=details", nil))
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}()
}
