package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// partsOf cuts data as a plan says.
func partsOf(data []byte, plan Plan) map[int][]byte {
	parts := map[int][]byte{}
	for chunk := range slices.Chunk(data, int(plan.Size)) {
		parts[len(parts)+1] = chunk
	}
	return parts
}

// putParts signs and puts parts.
func putParts(t *testing.T, s *Store, d *drivertest.Direct, a Announced, parts map[int][]byte, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		puts, err := s.SignParts(t.Context(), d, "d", a, []driver.Part{{Number: n, SHA256: digestOf(parts[n])}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.PutPart(puts[0].URL, parts[n]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlanFitsAnySize: no file needs more parts than a store takes, and the parts are the
// file.
func TestPlanFitsAnySize(t *testing.T) {
	for _, size := range []int64{0, 1, usualPart - 1, usualPart, usualPart + 1, 5 << 30, 640 << 30, 640<<30 + 1, MaxInParts - 1, MaxInParts} {
		p, sum := planOf(size), int64(0)
		if p.Count > driver.MaxParts || p.Size < driver.MinPart || p.Size > 5<<30 {
			t.Errorf("%d bytes: %d parts of %d bytes", size, p.Count, p.Size)
		}
		for n := 1; n <= p.Count; n++ {
			part, err := p.part(n, size)
			if err != nil || part < 0 || part == 0 && size > 0 {
				t.Fatalf("%d bytes: part %d has %d bytes, %v", size, n, part, err)
			}
			sum += part
		}
		if sum != size {
			t.Errorf("the parts of %d bytes have %d", size, sum)
		}
	}
}

// TestFileInPartsGoesOnWhereItStopped: a client that begins the same file again gets the
// parts that are there. The file is confirmed without being read.
func TestFileInPartsGoesOnWhereItStopped(t *testing.T) {
	s, m := memory()
	d := &drivertest.Direct{Blobs: s.Blobs}
	data := bytes.Repeat([]byte("0123456789abcdef"), usualPart/16+1)
	a := Announced{"big.deb", int64(len(data)), digestOf(data)}
	plan, err := s.BeginParts(t.Context(), d, "d", a)
	if err != nil || plan.Count != 2 {
		t.Fatalf("%+v, %v", plan, err)
	}
	parts := partsOf(data, plan)
	putParts(t, s, d, a, parts, 2)
	if err := s.ConfirmParts(t.Context(), d, "d", a); !errors.Is(err, ErrParts) || !strings.Contains(err.Error(), "[1]") {
		t.Errorf("confirmation without part 1: %v", err)
	}
	plan, err = s.BeginParts(t.Context(), d, "d", a)
	if err != nil || len(plan.Done) != 1 || plan.Done[0].Number != 2 || d.Begun() != 1 {
		t.Fatalf("%+v, %v, %d begun", plan, err, d.Begun())
	}
	putParts(t, s, d, a, parts, 1)
	before := m.Counts()["Blobs.Open"]
	for range 2 { // a client repeats a confirmation whose answer was lost
		if err := s.ConfirmParts(t.Context(), d, "d", a); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Counts()["Blobs.Open"] - before; n > 0 {
		t.Errorf("the confirmation reads the file %d times", n)
	}
	if n := len(m.Rows(announcedPart)); n != 0 {
		t.Errorf("%d announcements are left", n)
	}
	u, err := s.Complete(t.Context(), find(t, s, "d", "big.deb"))
	if err != nil || u.File.SHA256 != a.SHA256 || u.File.MD5 == "" {
		t.Errorf("%+v, %v", u.File, err)
	}
}

// TestConfirmationThatWasCutOffIsRepeated: the store has joined the parts, and the row
// was not written.
func TestConfirmationThatWasCutOffIsRepeated(t *testing.T) {
	s, _ := memory()
	d := &drivertest.Direct{Blobs: s.Blobs}
	data := []byte("small")
	a := Announced{"a.deb", 5, digestOf(data)}
	plan, err := s.BeginParts(t.Context(), d, "d", a)
	if err != nil {
		t.Fatal(err)
	}
	putParts(t, s, d, a, partsOf(data, plan), 1)
	n, err := s.begun(t.Context(), "d", a)
	if err == nil {
		err = s.join(t.Context(), d, "d", a, n)
	}
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := s.BeginParts(t.Context(), d, "d", a); err != nil || d.Begun() != 0 {
		t.Errorf("a complete file is begun anew: %+v, %v", plan, err)
	}
	if err := s.ConfirmParts(t.Context(), d, "d", a); err != nil {
		t.Error(err)
	}
	find(t, s, "d", "a.deb")
}

// TestAbortedPartsAreGone: nothing of an aborted file is left, and it may begin anew.
func TestAbortedPartsAreGone(t *testing.T) {
	s, m := memory()
	d := &drivertest.Direct{Blobs: s.Blobs}
	a := Announced{"a.deb", 5, digestOf([]byte("small"))}
	for range 2 {
		if _, err := s.BeginParts(t.Context(), d, "d", a); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.AbortParts(t.Context(), d, "d", a); err != nil {
				t.Fatal(err)
			}
		}
		if d.Begun() != 0 || len(m.Rows(announcedPart)) != 0 || len(m.Objects(pool.IncomingPrefix)) != 0 {
			t.Errorf("left: %d begun, rows %v", d.Begun(), m.Rows(announcedPart))
		}
	}
	if _, err := s.SignParts(t.Context(), d, "d", a, []driver.Part{{Number: 1, SHA256: a.SHA256}}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a part of an aborted file is signed for: %v", err)
	}
	if err := s.ConfirmParts(t.Context(), d, "d", a); !errors.Is(err, ErrNotPut) {
		t.Errorf("an aborted file is confirmed: %v", err)
	}
}

// TestPartsExpire: an old file in parts begins anew, and the older object is removed. A
// file is confirmed only while the collector keeps its object.
func TestPartsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := memory()
		d := &drivertest.Direct{Blobs: s.Blobs}
		data := []byte("small")
		a := Announced{"a.deb", 5, digestOf(data)}
		plan, err := s.BeginParts(t.Context(), d, "d", a)
		if err != nil {
			t.Fatal(err)
		}
		putParts(t, s, d, a, partsOf(data, plan), 1)
		time.Sleep(announcedFor)
		if plan, err = s.BeginParts(t.Context(), d, "d", a); err != nil || len(plan.Done) != 0 || d.Begun() != 1 {
			t.Errorf("%+v, %v, %d begun", plan, err, d.Begun())
		}
		putParts(t, s, d, a, partsOf(data, plan), 1)
		time.Sleep(confirmFor)
		if err := s.ConfirmParts(t.Context(), d, "d", a); !errors.Is(err, ErrNotPut) {
			t.Errorf("a file that may be collected at any time is confirmed: %v", err)
		}
	})
}

// TestPartsOfAnotherOwner: another owner neither continues, signs, confirms nor aborts.
func TestPartsOfAnotherOwner(t *testing.T) {
	s, _ := memory()
	d := &drivertest.Direct{Blobs: s.Blobs}
	nobody := func(context.Context, string) (bool, error) { return false, nil }
	mine, other := s.As(Caller{Owner: "a", Manages: nobody}), s.As(Caller{Owner: "b", Manages: nobody})
	data := []byte("small")
	a := Announced{"a.deb", 5, digestOf(data)}
	if _, err := mine.BeginParts(t.Context(), d, "d", a); err != nil {
		t.Fatal(err)
	}
	_, begin := other.BeginParts(t.Context(), d, "d", a)
	_, sign := other.SignParts(t.Context(), d, "d", a, []driver.Part{{Number: 1, SHA256: a.SHA256}})
	for about, err := range map[string]error{"begin": begin, "sign": sign, "confirm": other.ConfirmParts(t.Context(), d, "d", a), "abort": other.AbortParts(t.Context(), d, "d", a)} {
		if !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", about, err)
		}
	}
}
