package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/client"
)

// TestProgressTellsThePhase: a plain line for each phase of a task that lasts, and one
// every 10 s within a phase. A phase that ends at once has no line.
func TestProgressTellsThePhase(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	r := &reporter{how: plain, out: &out, now: func() time.Time { return now }}
	for _, look := range []struct {
		after  time.Duration
		detail string
		want   string
	}{
		{0, `{"Phase":"Release"}`, ""},
		{100 * time.Millisecond, `{"Phase":"indexes"}`, ""},
		{2 * time.Second, `{"Phase":"indexes"}`, "Update mirror m: indexes\n"},
		{3 * time.Second, `{"Phase":"files","TotalNumberOfPackages":10,"RemainingNumberOfPackages":4,"TotalDownloadSize":4096,"RemainingDownloadSize":1024}`, "Update mirror m: files, 6 of 10 packages, 1.0 KiB to come\n"},
		{9 * time.Second, `{"Phase":"files","TotalNumberOfPackages":10,"RemainingNumberOfPackages":3}`, ""},
		{time.Second, `{"Phase":"files","TotalNumberOfPackages":10,"RemainingNumberOfPackages":2}`, "Update mirror m: files, 8 of 10 packages\n"},
		{time.Minute, `{"TotalNumberOfPackagesToDelete":5,"RemainingNumberOfPackagesToDelete":1}`, "Update mirror m: 4 of 5 objects\n"},
	} {
		now = now.Add(look.after)
		out.Reset()
		r.task(client.Progress{Task: client.Task{ID: 1, Name: "Update mirror m", State: client.Running}, Detail: json.RawMessage(look.detail)})
		if out.String() != look.want {
			t.Errorf("%s: %q, want %q", look.detail, out.String(), look.want)
		}
	}
	out.Reset()
	r.files = 8
	now = now.Add(time.Minute)
	r.task(client.Progress{Task: client.Task{ID: 1, Name: "Add", State: client.Running}, Detail: json.RawMessage(`{"Phase":"packages","NumberOfPackages":5}`)})
	if want := "Add: packages, 5 of 8 packages\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// screen is a terminal that is written and read at the same time.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// with waits until texts were shown, and returns all that was shown.
func (s *screen) with(t *testing.T, texts ...string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		shown, missing := s.String(), ""
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				missing = text
			}
		}
		if missing == "" {
			return shown
		}
		if time.Now().After(end) {
			t.Fatalf("%q is not shown: %q", missing, shown)
		}
	}
}

// TestBarsHaveATotalLine: an upload has one bar for a batch, the total stands below all, and
// the bar of a task names its phase.
func TestBarsHaveATotalLine(t *testing.T) {
	var out screen
	r := &reporter{how: live, out: &out, now: time.Now}
	r.sent(0, 3)
	sent, end := r.transfer("a.deb and 2 more", 100)
	sent(50)
	shown := out.with(t, "a.deb and 2 more", "Upload: 0 of 3 files")
	if bar, total := strings.LastIndex(shown, "a.deb and 2 more"), strings.LastIndex(shown, "Upload: 0 of 3 files"); bar < 0 || total < bar {
		t.Errorf("the total is not below the bar: %q", shown)
	}
	end(nil)
	r.sent(3, 3)
	r.close()
	r.task(client.Progress{Task: client.Task{ID: 1, Name: "Update", State: client.Running}, Detail: json.RawMessage(`{"Phase":"sign"}`), Output: "Finalizing\n"})
	out.with(t, "Update: sign")
	r.close()
	if !strings.Contains(out.String(), "Update: sign") || !strings.Contains(out.String(), "Finalizing") {
		t.Errorf("the task: %q", out.String())
	}
}
