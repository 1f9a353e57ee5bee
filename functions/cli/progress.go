package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	bars "github.com/jedib0t/go-pretty/v6/progress"

	"aptless/core/client"
)

// how says in which form progress is shown.
type how int

const (
	hidden how = iota // --quiet, and commands that are quick
	live              // bars on a terminal
	plain             // a line for each phase, and one every 10 s
	events            // JSON lines
)

// every is the time between two plain lines. The first line comes after patience.
const (
	every    = 10 * time.Second
	patience = 2 * time.Second
)

// reporter shows progress on stderr. It is safe for concurrent use.
type reporter struct {
	how how
	out io.Writer
	now func() time.Time

	mu      sync.Mutex
	last    time.Time // of a plain line
	phase   string
	waited  int64       // the task of the last line, or uploads
	writer  bars.Writer // of live
	done    chan struct{}
	tracker *bars.Tracker // of the task
	total   *bars.Tracker // of all files of an upload
	files   int           // that the next import reads; 0 if that is not known
}

// uploads is reporter.waited of an upload, which has no task.
const uploads = -1

// event is a line of --progress=json.
type event struct {
	Event string          `json:"event"` // "task", "output" or "file"
	Name  string          `json:"name,omitempty"`
	Task  int64           `json:"task,omitempty"`
	Text  string          `json:"text,omitempty"`
	Done  int64           `json:"done,omitempty"`
	Total int64           `json:"total,omitempty"`
	More  json.RawMessage `json:"detail,omitempty"`
}

func (r *reporter) emit(e event) {
	data, err := json.Marshal(e)
	if err == nil {
		fmt.Fprintf(r.out, "%s\n", data)
	}
}

// bar starts the bars if they are not shown yet.
func (r *reporter) bar(t *bars.Tracker) {
	if r.writer == nil {
		r.writer, r.done = bars.NewWriter(), make(chan struct{})
		r.writer.SetOutputWriter(r.out)
		r.writer.SetUpdateFrequency(100 * time.Millisecond)
		r.writer.SetTrackerLength(20)
		r.writer.SetSortBy(bars.SortByIndex)
		r.writer.SetStyle(bars.StyleDefault)
		r.writer.Style().Visibility.ETA = true
		r.writer.Style().Visibility.Speed = true
		go func(w bars.Writer, done chan struct{}) {
			w.Render()
			close(done)
		}(r.writer, r.done)
	}
	r.writer.AppendTracker(t)
}

// close ends the bars.
func (r *reporter) close() {
	r.mu.Lock()
	w, done := r.writer, r.done
	r.writer, r.tracker, r.total = nil, nil, nil
	r.mu.Unlock()
	if w == nil {
		return
	}
	time.Sleep(110 * time.Millisecond) // the last state is drawn
	w.Stop()
	<-done
}

// remaining are the fields of a task's detail that count.
type remaining struct {
	Phase                                                            string
	TotalDownloadSize, RemainingDownloadSize                         int64
	TotalNumberOfPackages, RemainingNumberOfPackages                 int64
	TotalNumberOfPackagesToDelete, RemainingNumberOfPackagesToDelete int64
	NumberOfPackages                                                 int64 // that an import has read
}

// counted is a number of things: how many there are, and how many are done.
type counted struct {
	noun        string
	done, total int64
}

// things returns the count of a detail. files is the number of files of an import.
func (d remaining) things(files int) counted {
	switch {
	case d.TotalNumberOfPackages > 0:
		return counted{"packages", d.TotalNumberOfPackages - d.RemainingNumberOfPackages, d.TotalNumberOfPackages}
	case d.TotalNumberOfPackagesToDelete > 0:
		return counted{"objects", d.TotalNumberOfPackagesToDelete - d.RemainingNumberOfPackagesToDelete, d.TotalNumberOfPackagesToDelete}
	}
	return counted{"packages", d.NumberOfPackages, int64(files)}
}

// text says the part of the work, and how much is done.
func (d remaining) text(files int) string {
	parts := []string{}
	if d.Phase != "" {
		parts = append(parts, d.Phase)
	}
	switch n := d.things(files); {
	case n.total > 0:
		parts = append(parts, fmt.Sprintf("%d of %d %s", n.done, n.total, n.noun))
	case n.done > 0:
		parts = append(parts, fmt.Sprintf("%d %s", n.done, n.noun))
	}
	if d.TotalDownloadSize > 0 {
		parts = append(parts, bytesText(d.RemainingDownloadSize)+" to come")
	}
	return strings.Join(parts, ", ")
}

// task shows the progress of a task.
func (r *reporter) task(p client.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var d remaining
	_ = json.Unmarshal(p.Detail, &d) // another detail has no counts
	switch r.how {
	case events:
		if p.Output != "" {
			r.emit(event{Event: "output", Task: p.Task.ID, Text: p.Output})
		}
		r.emit(event{Event: "task", Task: p.Task.ID, Name: p.Task.Name, More: p.Detail})
	case plain:
		r.wait(p.Task, d)
	case live:
		r.live(p, d)
	}
}

// wait writes lines for a task that lasts.
func (r *reporter) wait(t client.Task, d remaining) {
	if t.State != client.Idle && t.State != client.Running {
		return
	}
	phase := t.Name + "\x00" + d.Phase
	if r.waited != t.ID {
		r.waited, r.last, r.phase = t.ID, r.now(), ""
	}
	r.plain(phase, t.Name, d.text(r.files))
}

// plain writes a line if the phase is new or the last line is long ago. A phase that comes
// within patience after the last line is told by a later one.
func (r *reporter) plain(phase, name, text string) {
	now := r.now()
	since := now.Sub(r.last)
	if since < every && (phase == r.phase || since < patience) {
		return
	}
	if text != "" {
		name += ": " + text
	}
	fmt.Fprintln(r.out, clean(name))
	r.phase, r.last = phase, now
}

func (r *reporter) live(p client.Progress, d remaining) {
	if p.Task.State == client.Succeeded || p.Task.State == client.Failed {
		if r.tracker != nil && p.Task.State == client.Failed {
			r.tracker.MarkAsErrored()
		} else if r.tracker != nil {
			r.tracker.SetValue(r.tracker.Total)
			r.tracker.MarkAsDone()
		}
		r.tracker = nil
		return
	}
	if r.tracker == nil {
		r.tracker = &bars.Tracker{Message: clean(p.Task.Name)}
		r.bar(r.tracker)
	}
	for line := range strings.Lines(p.Output) {
		r.writer.Log("%s", clean(strings.TrimRight(line, "\n")))
	}
	message := p.Task.Name
	if text := d.text(r.files); text != "" {
		message += ": " + text
	}
	r.tracker.UpdateMessage(clean(message))
	n := d.things(r.files)
	if d.TotalDownloadSize > 0 {
		n.done, n.total = d.TotalDownloadSize-d.RemainingDownloadSize, d.TotalDownloadSize
		r.tracker.Units = bars.UnitsBytes
	}
	if n.total > 0 {
		r.tracker.UpdateTotal(n.total)
		r.tracker.SetValue(min(n.done, n.total-1))
	}
}

// transfer shows the upload of a file. sent is called with the bytes so far, and end
// once, with the error or nil.
func (r *reporter) transfer(name string, total int64) (sent func(int64), end func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.how {
	case events:
		return func(int64) {}, func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			e := event{Event: "file", Name: name, Done: total, Total: total}
			if err != nil {
				e.Done, e.Text = 0, err.Error()
			}
			r.emit(e)
		}
	case live:
		t := &bars.Tracker{Message: clean(name), Total: max(total, 1), Units: bars.UnitsBytes, RemoveOnCompletion: true}
		r.bar(t)
		return func(n int64) { t.SetValue(min(n, total)) }, func(err error) {
			if err != nil {
				t.MarkAsErrored()
			} else {
				t.MarkAsDone()
			}
		}
	}
	return func(int64) {}, func(error) {}
}

// sent shows how many files of an upload are sent: by the total line below the bars, or
// by plain lines.
func (r *reporter) sent(done, all int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.how {
	case plain:
		if r.waited != uploads { // the first line comes after patience
			r.waited, r.last, r.phase = uploads, r.now(), ""
		}
		r.plain("Upload", "Upload", fmt.Sprintf("%d of %d files", done, all))
	case live:
		if r.total == nil {
			r.total = &bars.Tracker{Message: "Upload", Total: int64(max(all, 1)), Index: math.MaxUint64}
			r.bar(r.total)
		}
		r.total.UpdateMessage(fmt.Sprintf("Upload: %d of %d files", done, all))
		if r.total.SetValue(int64(done)); done == all {
			r.total.MarkAsDone()
		}
	}
}
