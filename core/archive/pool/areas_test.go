package pool_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

// collected is a pool and its collector; nothing is marked unless a test does it.
type collected struct {
	*drivertest.Env
	pool      *pool.Store
	collector *gc.Collector
	task      *task.Dispatcher
}

func newCollected(t *testing.T) *collected {
	t.Helper()
	env := drivertest.NewEnv()
	epoch := &gc.Epoch{Table: env.Table}
	s := &pool.Store{Table: env.Table, Blobs: env.Blobs, Epoch: epoch}
	tasks := &task.Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler), Epoch: epoch}
	c := &gc.Collector{Table: env.Table, Blobs: env.Blobs, Lists: &lists.Store{Blobs: env.Blobs, Epoch: epoch.Number}, Tasks: tasks, Epoch: epoch,
		Now: env.Clock.Now, Areas: s.Areas(), FileName: pool.FilePin}
	d, err := task.NewDispatcher(tasks, c.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	return &collected{env, s, c, d}
}

// collect runs a collection and returns its output.
func (c *collected) collect(t *testing.T) string {
	t.Helper()
	admitted, err := c.collector.Tasks.Admit(t.Context(), c.collector.Check(), false)
	if err == nil {
		err = c.Drain(t.Context(), c.task.Handle)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.collector.Tasks.Get(t.Context(), admitted.ID)
	if err != nil || got.State != task.Succeeded {
		t.Fatalf("collection: %v, %+v", err, got)
	}
	out, err := c.collector.Tasks.Output(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// largeRecord returns a record that is too large for a row.
func largeRecord(t *testing.T, name, version string) pool.Record {
	t.Helper()
	spec := debtest.Spec{Package: name, Version: version}
	control, err := deb.ParseParagraph(debtest.Control(spec), deb.ModeControl)
	if err != nil {
		t.Fatal(err)
	}
	h := deb.NewHasher()
	h.Write([]byte(version))
	p, err := deb.BinaryPackage(control, deb.Binary, h.File("tool.deb"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string // random, so that they do not compress
	for range 20_000 {
		var b [24]byte
		rand.Read(b[:])
		paths = append(paths, "usr/"+base64.RawURLEncoding.EncodeToString(b[:]))
	}
	slices.Sort(paths)
	return pool.Record{Package: p, Paths: func(yield func([]byte, error) bool) {
		for _, path := range paths {
			if !yield([]byte(path), nil) {
				return
			}
		}
	}}
}

// longName makes a package key too long for an object name.
var longName = strings.Repeat("n", 120)

func TestObjectOfARecordThatGotNoRowIsCollected(t *testing.T) {
	c := newCollected(t)
	if _, err := c.pool.Row(t.Context(), largeRecord(t, "tool", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.pool.Row(t.Context(), largeRecord(t, longName, "1."+longName)); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Memory.Objects("private/records/")); n != 2 {
		t.Fatalf("%d objects", n)
	}
	c.collect(t)
	if left := c.Memory.Objects(""); len(left) > 0 {
		t.Errorf("left: %d objects", len(left))
	}
}

func TestLargeRecordIsCollectedWithItsObject(t *testing.T) {
	c := newCollected(t)
	for _, name := range []string{"tool", longName} {
		r := largeRecord(t, name, "1."+name)
		row, err := c.pool.Row(t.Context(), r)
		if err == nil {
			err = c.Table.Put(t.Context(), row)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.pool.Record(t.Context(), r.Package.Key()); err != nil || got.Package.Name != name {
			t.Errorf("record of %.10s: %v", name, err)
		}
	}
	c.collect(t)
	if rows, objects := c.Memory.Rows("package-"), c.Memory.Objects(""); len(rows) > 0 || len(objects) > 0 {
		t.Errorf("left: %d rows, %d objects", len(rows), len(objects))
	}
}

func TestDigestsOfAFileThatDidNotComeAreCollected(t *testing.T) {
	c := newCollected(t)
	h := deb.NewHasher()
	h.Write([]byte("x"))
	if err := c.Table.Put(t.Context(), c.pool.SumsRow(h.File("x"))); err != nil {
		t.Fatal(err)
	}
	c.collect(t)
	if rows := c.Memory.Rows("file-"); len(rows) > 0 {
		t.Errorf("left: %v", rows)
	}
}

func TestForeignFilesInThePoolStay(t *testing.T) {
	c := newCollected(t)
	foreign := []string{"private/pool/ab/.nfs0001", "private/records/backup"}
	for _, key := range foreign {
		if _, err := c.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out := c.collect(t)
	for _, key := range foreign {
		if _, err := c.Blobs.Stat(context.Background(), key); err != nil || !strings.Contains(out, key) {
			t.Errorf("%s: %v, output %s", key, err, out)
		}
	}
}
