package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"aptless/core/formats/deb/debtest"
)

// writer is a client that adds packages to a repository and publishes it. Writer 0 also
// makes snapshots and switches a publication to them.
type writer struct {
	*run
	n    int
	repo string
}

// most bounds the refusals of one request.
const most = 100

// errTaken says that the upload is gone: an earlier import has taken it, and its answer was
// lost when the server was killed.
var errTaken = errors.New("an earlier import has taken the upload")

// errGivenUp says that a request was refused most times.
var errGivenUp = errors.New("given up")

// write works until the context ends.
func (w *writer) write(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("w%d-%d", w.n, i)
		if w.addUntilDone(ctx, name) != nil {
			continue
		}
		if i%2 == 0 {
			w.update(ctx)
		}
		if w.n == 0 && i%4 == 3 {
			w.switchTo(ctx, fmt.Sprintf("s-%d", i))
		}
	}
}

// retry repeats a request until it succeeds. It counts refusals, and not the failures of
// a server that was killed.
func (w *writer) retry(ctx context.Context, request func() error) error {
	for range most {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.gate.RLock()
		err := request()
		down := w.killing.Load()
		w.gate.RUnlock()
		refused := (*refusal)(nil)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errTaken):
		case errors.As(err, &refused) && refused.status == http.StatusConflict:
			w.note("conflict", err, func(c *counts) { c.conflicts++ })
		case !down:
			w.note("failed", err, func(c *counts) { c.failed++ })
		}
		time.Sleep(w.pause)
	}
	w.note("given up", nil, func(c *counts) { c.givenUp++ })
	return errGivenUp
}

// addUntilDone uploads and imports a package until an answer says that it is there.
func (w *writer) addUntilDone(ctx context.Context, name string) error {
	return w.retry(ctx, func() error { return w.add(name) })
}

// add uploads and imports a package. The upload is repeated with the import, because an
// import whose answer was lost may have removed it.
func (w *writer) add(name string) error {
	spec := debtest.Spec{Package: name, Version: "1.0", Architecture: "amd64", Files: map[string]string{"usr/share/" + name: name}}
	dir := fmt.Sprintf("dir-%s-%d", w.repo, w.n)
	if err := w.upload(dir, debtest.FileName(spec), debtest.Deb(spec)); err != nil {
		return err
	}
	data, err := w.change("POST", "/repos/"+w.repo+"/file/"+dir, map[string]any{})
	if err != nil {
		return err
	}
	var report struct {
		FailedFiles []string
		Report      struct{ Warnings []string }
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return err
	}
	if warnings := strings.Join(report.Report.Warnings, "; "); len(report.FailedFiles) > 0 && strings.Contains(warnings, "no such file") {
		return errTaken
	}
	if len(report.FailedFiles) > 0 {
		return &refusal{http.StatusInternalServerError, fmt.Sprintf("import: failed files %q, %q", report.FailedFiles, report.Report.Warnings)}
	}
	w.acknowledged(func(c *counts) { c.imported++; w.acked[w.repo][name] = true })
	return nil
}

// update publishes the repository again. An answer promises all packages whose import was
// acknowledged before the request.
func (w *writer) update(ctx context.Context) {
	w.retry(ctx, func() error {
		w.mu.Lock()
		before := maps.Clone(w.acked[w.repo])
		w.mu.Unlock()
		_, err := w.change("PUT", "/publish/:./"+w.repo, map[string]any{"SkipContents": true, "SkipBz2": true, "AcquireByHash": true, "Signing": w.signing()})
		if err == nil {
			w.acknowledged(func(c *counts) { c.published++; maps.Copy(w.published[w.repo], before) })
		}
		return err
	})
}

// switchTo makes a snapshot and switches the publication of snapshots to it.
func (w *writer) switchTo(ctx context.Context, name string) {
	w.mu.Lock()
	before := maps.Clone(w.acked[w.repo])
	w.mu.Unlock()
	err := w.retry(ctx, func() error {
		_, err := w.change("POST", "/repos/"+w.repo+"/snapshots", map[string]string{"Name": name})
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			if _, shown := w.send("GET", "/snapshots/"+name, "", nil); shown == nil {
				return nil // an answer was lost
			}
		}
		return err
	})
	if err != nil {
		return
	}
	w.retry(ctx, func() error {
		_, err := w.change("PUT", "/publish/:./"+switched, map[string]any{"Snapshots": []map[string]string{{"Name": name, "Component": "main"}},
			"SkipContents": true, "SkipBz2": true, "AcquireByHash": true, "Signing": w.signing()})
		if err == nil {
			w.acknowledged(func(c *counts) { c.published++; maps.Copy(w.published[switched], before) })
		}
		return err
	})
}
