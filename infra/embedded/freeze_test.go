package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

// TestFrozenIsOneMoment: writers put an object and then its row, and replace both, and
// delete the row and then the object. In each frozen storage every row has its object,
// with the bytes that the row names.
func TestFrozenIsOneMoment(t *testing.T) {
	s := openFrozen(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wait sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for w := range 4 {
		wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := writeRound(ctx, s, w, n); err != nil && ctx.Err() == nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	for range 6 {
		f, err := s.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := t.TempDir()
		if err := copyTree(f.Dir, other); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		checkRows(t, openFrozen(t, other))
	}
	stop()
	wait.Wait()
	if failed != nil {
		t.Error(failed)
	}
}

// writeRound stores an object under a new key with its row, then another in its place
// under the same key, then removes both.
func writeRound(ctx context.Context, s *Store, w, n int) error {
	key := fmt.Sprintf("private/w%d/%d", w, n)
	row := driver.Key{Part: "p", Sort: fmt.Sprint(w)}
	put := func(text string) error {
		_, err := s.Blobs.Put(driver.Lazily(ctx), key+"-"+text, strings.NewReader(text), driver.PutOptions{})
		if err == nil {
			err = s.Table.Put(ctx, driver.Row{Key: row, Data: []byte(key + "-" + text)})
		}
		return err
	}
	if err := errors.Join(put("one"), put("two"), s.Blobs.Delete(ctx, key+"-one")); err != nil {
		return err
	}
	if n%3 == 0 {
		r, err := s.Table.Get(ctx, row)
		if err == nil {
			_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row, If: r.Version})
		}
		return errors.Join(err, s.Blobs.Delete(ctx, key+"-two"))
	}
	return nil
}

func checkRows(t *testing.T, s *Store) {
	t.Helper()
	for row, err := range s.Table.Scan(t.Context(), "p", "") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := s.Blobs.Open(t.Context(), string(row.Data), nil)
		if err != nil {
			t.Errorf("the object of row %s: %v", row.Sort, err)
			continue
		}
		data, err := io.ReadAll(body)
		body.Close()
		if err != nil || !strings.HasSuffix(string(row.Data), string(data)) {
			t.Errorf("the object of row %s has %q, %v", row.Sort, data, err)
		}
	}
}

// TestFrozenStaysAsItWas: objects are replaced and deleted afterwards.
func TestFrozenStaysAsItWas(t *testing.T) {
	dir := t.TempDir()
	s := openFrozen(t, dir)
	put := func(key, text string) {
		t.Helper()
		if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader(text), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("public/a", "old")
	put("private/b", "there")
	f, err := s.Freeze(t.Context())
	if err != nil || f.Objects != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	put("public/a", "new")
	put("public/c", "new")
	if err := s.Blobs.Delete(t.Context(), "private/b"); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := copyTree(f.Dir, other); err != nil {
		t.Fatal(err)
	}
	o := openFrozen(t, other)
	for key, want := range map[string]string{"public/a": "old", "private/b": "there", "public/c": ""} {
		body, _, err := o.Blobs.Open(t.Context(), key, nil)
		if want == "" {
			if !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("%s: %v", key, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(body)
		body.Close()
		if string(data) != want {
			t.Errorf("%s: %q", key, data)
		}
	}
}

// copyTree copies a folder into an empty one.
func copyTree(from, to string) error { return os.CopyFS(to, os.DirFS(from)) }

// openFrozen opens a folder until the test ends.
func openFrozen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
