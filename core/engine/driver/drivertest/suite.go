package drivertest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// Set is the drivers under test.
type Set struct {
	Blobs driver.Blobs // takes keys below "private/" and "public/"
	Table driver.Table
	Queue driver.Queue

	// Serve delivers the messages of Queue to the handler, those of different
	// groups at the same time, until ctx is done and the handlers have
	// returned.
	Serve func(ctx context.Context, h driver.Handler)

	// NoBlobs, NoTable and NoQueue say that the set is without the port.
	NoBlobs, NoTable, NoQueue bool

	// Patience is how long to wait for what must come, however slow the store
	// is; 0 is a minute. Nothing waits that long unless a test fails.
	Patience time.Duration
}

// Run runs the suite. Each test calls open and uses keys, partitions and
// groups of its own, so the drivers may stand on a store that others use. What
// is left in it afterwards is of no use.
func Run(t *testing.T, open func(t *testing.T) Set) {
	t.Run("Blobs", func(t *testing.T) { runBlobs(t, open) })
	t.Run("Table", func(t *testing.T) { runTable(t, open) })
	t.Run("Queue", func(t *testing.T) { runQueue(t, open) })
}

// suite is what a test of the suite has at hand.
type suite struct {
	Set
	id string // unlike that of any other test, ever
}

// part runs the tests of one port, if there is one, each on drivers of its own.
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

// key returns an object's key that belongs to the test.
func (s suite) key(name string) string { return "private/drivertest/" + s.id + "/" + name }

// row returns a row's key that belongs to the test.
func (s suite) row(sort string) driver.Key {
	return driver.Key{Part: "drivertest/" + s.id, Sort: sort}
}

// unique returns a string that no other call returns.
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

// read returns the content of an object, or of the part of it in rng.
func (s suite) read(t *testing.T, key string, rng *driver.Range) (string, driver.Info) {
	t.Helper()
	r, info, err := s.Blobs.Open(t.Context(), key, rng)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b), info
}
