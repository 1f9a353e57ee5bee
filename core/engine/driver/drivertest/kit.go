package drivertest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// Set is the drivers under test.
type Set struct {
	Blobs driver.Blobs // must accept keys below "private/" and "public/"
	Table driver.Table
	Queue driver.Queue

	// Serve delivers the messages of Queue to the handler until ctx is done, those
	// of different groups concurrently. It returns after all handlers returned.
	Serve func(ctx context.Context, h driver.Handler)

	// NoBlobs, NoTable and NoQueue say that the set lacks the port. NotLazy says that
	// its store has no lazy changes: it syncs them like any other change.
	NoBlobs, NoTable, NoQueue, NotLazy bool

	// Patience bounds waits for an expected event; 0 means a minute. A slow store
	// needs more. Only a failing test waits that long.
	Patience time.Duration
}

// suite is the drivers and the name space of one test.
type suite struct {
	Set
	id string // unique to the test and the run
}

// part runs the tests of one port unless it is absent, each on its own drivers.
func part(t *testing.T, open func(t *testing.T) Set, absent func(Set) bool, tests []suiteTest) {
	if absent(open(t)) {
		return
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := suite{Set: open(t), id: unique()}
			if s.Patience == 0 {
				s.Patience = time.Minute
			}
			test.run(t, s)
		})
	}
}

type suiteTest struct {
	name string
	run  func(t *testing.T, s suite)
}

// key returns an object key of the test's name space.
func (s suite) key(name string) string { return "private/drivertest/" + s.id + "/" + name }

// row returns a row key of the test's name space.
func (s suite) row(sort string) driver.Key {
	return driver.Key{Part: "drivertest/" + s.id, Sort: sort}
}

// unique returns a random string.
func unique() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// must fails the test unless err is nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put stores an object.
func (s suite) put(t *testing.T, key, content string) driver.Info {
	t.Helper()
	info, err := s.Blobs.Put(t.Context(), key, strings.NewReader(content), driver.PutOptions{})
	must(t, err)
	return info
}

// read returns the content of an object, or of the part rng of it.
func (s suite) read(t *testing.T, key string, rng *driver.Range) (string, driver.Info) {
	t.Helper()
	r, info, err := s.Blobs.Open(t.Context(), key, rng)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b), info
}

// absent fails the test if the row exists.
func (s suite) absent(t *testing.T, key driver.Key) {
	t.Helper()
	if row, err := s.Table.Get(t.Context(), key); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Get %s: %+v, %v; want ErrNotFound", key, row, err)
	}
}

// get returns an existing row.
func (s suite) get(t *testing.T, key driver.Key) driver.Row {
	t.Helper()
	row, err := s.Table.Get(t.Context(), key)
	must(t, err)
	return row
}

// write is a Write that must succeed.
func (s suite) write(t *testing.T, ops ...driver.Op) string {
	t.Helper()
	version, err := s.Table.Write(t.Context(), ops...)
	must(t, err)
	return version
}
