package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// function is the answer of a function: nothing is sent before its end.
type function struct{ *httptest.ResponseRecorder }

// Restart drops the answer.
func (f *function) Restart() bool {
	f.ResponseRecorder = httptest.NewRecorder()
	return true
}

// slowRead is a storage whose reads take a time.
type slowRead struct {
	driver.Blobs
	takes *time.Duration
}

func (s slowRead) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	select {
	case <-time.After(*s.takes):
	case <-ctx.Done():
		return nil, driver.Info{}, ctx.Err()
	}
	return s.Blobs.Open(ctx, key, rng)
}

// TestLongListingBecomesATask: a listing that is not complete when the time of a function
// ends is answered 202. Its task makes the same answer. Nothing of the first answer is left.
func TestLongListingBecomesATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, takes := drivertest.NewMemory(time.Now), time.Duration(0)
		drivers := apptest.On(m)
		drivers.Blobs = slowRead{drivers.Blobs, &takes}
		a, err := app.New(t.Context(), drivers, apptest.Signer(t), app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Wait: 25 * time.Second, Cache: 1})
		if err != nil {
			t.Fatal(err)
		}
		s := &apptest.Process{App: a, Ctx: t.Context()}
		step := func() {
			for {
				if delivered, err := m.Queue.Step(t.Context(), a.Dispatcher.Handle); err != nil {
					t.Fatal(err)
				} else if !delivered {
					return
				}
			}
		}
		admit := func(method, path, body string) {
			s.Want(t, method, path+"?_async=1", body, 202, "")
			step()
		}
		admit("POST", "/api/repos", `{"Name":"r"}`)
		if err := s.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all"), "b_1_all.deb": apptest.Deb("bb", "1", "all")}); err != nil {
			t.Fatal(err)
		}
		admit("POST", "/api/repos/r/file/d", "")
		ask := func(path, prefer string) (int, string) {
			ctx, cancel := context.WithTimeout(t.Context(), 28*time.Second)
			defer cancel()
			r, w := httptest.NewRequestWithContext(ctx, "GET", path, nil), &function{httptest.NewRecorder()}
			if takes > 0 {
				r.Header.Set("Accept-Encoding", "gzip")
			}
			r.Header.Set("Prefer", prefer)
			a.Handler.ServeHTTP(w, r)
			if w.Code == 202 && w.Header().Get("Content-Encoding") != "" {
				t.Errorf("%s: headers of the first answer: %v", path, w.Header())
			}
			return w.Code, w.Body.String()
		}
		for _, path := range []string{"/api/repos/r/packages", "/api/repos/r/packages?format=details&q=aa", "/api/packages?format=details"} {
			takes = 0
			code, want := ask(path, "")
			if code != 200 {
				t.Fatalf("%s: %d %s", path, code, want)
			}
			for _, prefer := range []string{"", "wait=5, Respond-Async"} {
				if takes = time.Minute; prefer != "" {
					takes = 0
				}
				began := time.Now()
				code, body := ask(path, prefer)
				if strings.HasPrefix(path, "/api/packages") && prefer == "" {
					continue // it reads no object
				}
				var task struct{ ID int }
				if code != 202 || json.Unmarshal([]byte(body), &task) != nil || time.Since(began) > 27*time.Second {
					t.Fatalf("%s, %q: %d %s after %s", path, prefer, code, body, time.Since(began))
				}
				step()
				s.Want(t, "GET", fmt.Sprintf("/api/tasks/%d/return_value", task.ID), "", 200, `{"Code":200,"Value":`+want+"}")
			}
		}
		takes = time.Minute
		if code, body := ask("/api/repos/r/packages?limit=1", ""); code != 503 {
			t.Errorf("a page: %d %s", code, body)
		}
		if code, body := ask("/api/repos/none/packages", ""); code != 404 {
			t.Errorf("a refusal: %d %s", code, body)
		}
	})
}

// TestLargeListingOfASmallProcess: in a process of 256 MiB a task makes listings of up to
// 24 MiB. A larger one fails with the reason. No answer is cut short.
func TestLargeListingOfASmallProcess(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t), app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Memory: app.MinMemory})
	if err != nil {
		t.Fatal(err)
	}
	s := &apptest.Process{App: a, Ctx: t.Context()}
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, a.Dispatcher.Handle, 2) })
	comment := strings.Repeat("c", 240_000)
	for i := range 110 {
		s.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":"r%03d","Comment":%q}`, i, comment), nil)
		if i != 79 && i != 109 {
			continue
		}
		r, w := httptest.NewRequestWithContext(t.Context(), "GET", "/api/repos", nil), httptest.NewRecorder()
		r.Header.Set("Prefer", "respond-async")
		a.Handler.ServeHTTP(w, r)
		var task struct{ ID int }
		if json.Unmarshal(w.Body.Bytes(), &task) != nil || task.ID == 0 {
			t.Fatalf("%d %.200s", w.Code, w.Body)
		}
		path := fmt.Sprintf("/api/tasks/%d", task.ID)
		s.Must(t, "GET", path+"/wait", "", nil)
		var value struct {
			Code  int
			Value []struct{ Name, Comment string }
		}
		s.Must(t, "GET", path+"/return_value", "", &value)
		if i == 79 && (value.Code != 200 || len(value.Value) != 80 || value.Value[7].Comment != comment) {
			t.Errorf("80 repositories: %d, %d of them", value.Code, len(value.Value))
		}
		var output string
		s.Must(t, "GET", path+"/output", "", &output)
		if i == 109 && (value.Code != 413 || value.Value != nil || !strings.Contains(output, "the answer is larger than 25165824 bytes: ask for pages by limit=")) {
			t.Errorf("110 repositories: %d, %s", value.Code, output)
		}
	}
}
