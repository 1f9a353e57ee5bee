package upload

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

func announced(content, name string) Announced {
	f := hashed(content, name)
	return Announced{Name: name, Size: f.Size, SHA256: f.SHA256}
}

// announce announces files and returns the keys for them.
func announce(t *testing.T, s *Store, files ...Announced) []string {
	t.Helper()
	puts, err := s.Announce(t.Context(), &drivertest.Direct{Blobs: s.Blobs}, "d", files)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, len(puts))
	for i, p := range puts {
		keys[i] = p.URL
	}
	return keys
}

func putObject(t *testing.T, s *Store, key, content string) {
	t.Helper()
	if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader(content), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestDirectUploadIsConfirmedWithoutBeingReadOrCopied(t *testing.T) {
	s, m := memory()
	a := announced("bytes", "a.deb")
	key := announce(t, s, a)[0]
	if err := s.Confirm(t.Context(), "d", a); !errors.Is(err, ErrNotPut) {
		t.Errorf("a file that is not there is confirmed: %v", err)
	}
	putObject(t, s, key, "bytes")
	before := m.Counts()
	for range 2 {
		if err := s.Confirm(t.Context(), "d", a); err != nil {
			t.Fatal(err)
		}
	}
	after := m.Counts()
	if after["Blobs.Open"] != before["Blobs.Open"] || after["Blobs.Copy"] != before["Blobs.Copy"] || len(m.Objects(pool.IncomingPrefix)) != 1 {
		t.Errorf("requests %v before, %v after; objects %v", before, after, m.Objects(pool.IncomingPrefix))
	}
	if n := len(m.Rows(announcedPart)); n != 0 {
		t.Errorf("%d announcements are left", n)
	}
	u, err := s.Complete(t.Context(), find(t, s, "d", "a.deb"))
	if want := hashed("bytes", "a.deb"); err != nil || u.File != want || find(t, s, "d", "a.deb").File != want {
		t.Errorf("file %+v, %v, want %+v", u.File, err, want)
	}
}

func TestDirectUploadThatIsNotWhatWasAnnouncedIsFoundWhenItIsRead(t *testing.T) {
	s, _ := memory()
	a := announced("bytes", "a.deb")
	key := announce(t, s, a)[0]
	putObject(t, s, key, "byte")
	if err := s.Confirm(t.Context(), "d", a); !errors.Is(err, ErrNotPut) {
		t.Errorf("a file of another size is confirmed: %v", err)
	}
	putObject(t, s, key, "BYTES")
	if err := s.Confirm(t.Context(), "d", a); err != nil {
		t.Fatal(err)
	}
	u := find(t, s, "d", "a.deb")
	if _, err := s.Complete(t.Context(), u); !errors.Is(err, driver.ErrDigest) {
		t.Errorf("a file with other bytes is complete: %v", err)
	}
	r, err := s.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := r.File(); !errors.Is(err, driver.ErrDigest) {
		t.Errorf("a file with other bytes is read: %v", err)
	}
}

func TestAnnouncementsOfOneFileShareAnObjectUntilItIsConfirmed(t *testing.T) {
	s, _ := memory()
	a, b := announced("a", "a.deb"), announced("b", "b.deb")
	first := announce(t, s, a, a)
	again := announce(t, s, b, a)
	if first[0] != first[1] || again[1] != first[0] || again[0] == first[0] {
		t.Errorf("keys %v, then %v", first, again)
	}
	putObject(t, s, first[0], "a")
	if err := s.Confirm(t.Context(), "d", a); err != nil {
		t.Fatal(err)
	}
	if next := announce(t, s, a); next[0] == first[0] {
		t.Error("the object of a confirmed file may be put again")
	}
}

func TestAnnouncementExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := memory()
		a := announced("a", "a.deb")
		first := announce(t, s, a)[0]
		time.Sleep(announcedFor)
		second := announce(t, s, a)[0]
		if first == second {
			t.Error("an old announcement is renewed")
		}
		putObject(t, s, second, "a")
		time.Sleep(confirmFor)
		if err := s.Confirm(t.Context(), "d", a); !errors.Is(err, ErrNotPut) {
			t.Errorf("a file that may be collected at any time is confirmed: %v", err)
		}
	})
}

func TestFileThatIsTooLargeIsNotStored(t *testing.T) {
	s, m := memory()
	s.MaxSize = 5
	receive(t, s, "d", "a", "12345")
	if err := s.Receive(t.Context(), "d", "b", strings.NewReader("123456")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file of 6 bytes: %v", err)
	}
	if n := len(m.Objects("")); n != 1 {
		t.Errorf("%d objects", n)
	}
}
