package drivertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"aptless/core/engine/driver"
)

func runBlobs(t *testing.T, open func(t *testing.T) Set) {
	part(t, open, func(s Set) bool { return s.NoBlobs }, blobTests())
	part(t, open, func(s Set) bool { return s.NoBlobs }, []suiteTest{{"Sync", testSync}})
}

// runLazyBlobs makes the changes of all tests lazily. Reads see no difference.
func runLazyBlobs(t *testing.T, open func(t *testing.T) Set) {
	part(t, func(t *testing.T) Set {
		s := open(t)
		s.Blobs = lazyBlobs{s.Blobs}
		return s
	}, func(s Set) bool { return s.NoBlobs || s.NotLazy }, blobTests())
}

// lazyBlobs makes all changes lazily.
type lazyBlobs struct{ driver.Blobs }

func (b lazyBlobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	return b.Blobs.Put(driver.Lazily(ctx), key, r, opt)
}

func (b lazyBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	return b.Blobs.Copy(driver.Lazily(ctx), dst, src, opt)
}

func (b lazyBlobs) Delete(ctx context.Context, keys ...string) error {
	return b.Blobs.Delete(driver.Lazily(ctx), keys...)
}

// testSync holds that Sync changes nothing that is seen, and may be called at any time.
func testSync(t *testing.T, s suite) {
	lazy := suite{Set: s.Set, id: s.id}
	lazy.Blobs = lazyBlobs{s.Blobs}
	must(t, s.Blobs.Sync(t.Context()))
	old := s.put(t, s.key("old"), "old")
	lazy.put(t, s.key("new"), "new")
	_, err := lazy.Blobs.Copy(t.Context(), s.key("copy"), s.key("new"), driver.PutOptions{IfAbsent: true})
	must(t, err)
	_, err = lazy.Blobs.Put(t.Context(), s.key("old"), strings.NewReader("changed"), driver.PutOptions{IfMatch: old.ETag})
	must(t, err)
	must(t, lazy.Blobs.Delete(t.Context(), s.key("new")))
	for range 2 {
		must(t, s.Blobs.Sync(t.Context()))
		if got, _ := s.read(t, s.key("old"), nil); got != "changed" {
			t.Errorf("a replaced object is %q", got)
		}
		if got, _ := s.read(t, s.key("copy"), nil); got != "new" {
			t.Errorf("a copy is %q", got)
		}
		if _, err := s.Blobs.Stat(t.Context(), s.key("new")); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("a deleted object: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Blobs.Sync(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Sync with a context that is done: %v", err)
	}
}

// testNotBefore holds that an object is not older than its options say.
func testNotBefore(t *testing.T, s suite) {
	s.put(t, s.key("from"), "x")
	opt := driver.PutOptions{NotBefore: time.Now().Add(1200 * time.Millisecond).Truncate(time.Second)}
	put, err := s.Blobs.Put(t.Context(), s.key("put"), strings.NewReader("x"), opt)
	must(t, err)
	copied, err := s.Blobs.Copy(t.Context(), s.key("copy"), s.key("from"), opt)
	must(t, err)
	for _, info := range []driver.Info{put, copied} {
		if stat, err := s.Blobs.Stat(t.Context(), info.Key); err != nil || info.ModTime.Before(opt.NotBefore) || stat.ModTime.Before(opt.NotBefore) {
			t.Errorf("%s has the time %v, and by Stat %v (%v), want at least %v", info.Key, info.ModTime, stat.ModTime, err, opt.NotBefore)
		}
	}
}

func blobTests() []suiteTest {
	return []suiteTest{
		{"ReadWhatWasWritten", testReadWritten},
		{"Missing", testMissing},
		{"Ranges", testRanges},
		{"Conditions", testConditions},
		{"Announced", testAnnounced},
		{"FailingReader", testFailingReader},
		{"Copy", testCopy},
		{"CopyConditions", testCopyConditions},
		{"OddKeys", testOddKeys},
		{"RefusedKeys", testRefusedKeys},
		{"LeadingPath", testLeadingPath},
		{"Delete", testDelete},
		{"Cancelled", testBlobsCancelled},
		{"Large", testLarge},
		{"List", testList},
		{"ListPages", testListPages},
		{"ListOrder", testListOrder},
		{"RaceIfAbsent", testRaceIfAbsent},
		{"RaceIfMatch", testRaceIfMatch},
		{"RaceCopy", testRaceCopy},
		{"CountByIfMatch", testCountByIfMatch},
		{"ReplaceWhileRead", testReplaceWhileRead},
		{"DeleteWhileRead", testDeleteWhileRead},
		{"SameFolder", testSameFolder},
		{"NotBefore", testNotBefore},
	}
}

func testReadWritten(t *testing.T, s suite) {
	key := s.key("dir/object")
	etags := map[string]string{}
	// Every change is read back at once, including one to an empty object and one
	// to content of the same length.
	for _, content := range []string{"first", "other", "", "longer than before", "x"} {
		before := time.Now().Add(-time.Minute)
		put := s.put(t, key, content)
		if put.Key != key || put.Size != int64(len(content)) || put.ETag == "" {
			t.Errorf("Put of %q returned %+v", content, put)
		}
		stat, err := s.Blobs.Stat(t.Context(), key)
		must(t, err)
		if stat.Key != key || stat.Size != put.Size || stat.ETag != put.ETag {
			t.Errorf("Stat returned %+v after Put returned %+v", stat, put)
		}
		if stat.ModTime.Before(before) || stat.ModTime.After(time.Now().Add(time.Minute)) {
			t.Errorf("ModTime is %v, now is %v", stat.ModTime, time.Now())
		}
		got, info := s.read(t, key, nil)
		if got != content || info.Key != key || info.Size != put.Size || info.ETag != put.ETag {
			t.Errorf("read %q with %+v, want %q with %+v", got, info, content, put)
		}
		if was, ok := etags[put.ETag]; ok {
			t.Errorf("%q and %q have the ETag %s", was, content, put.ETag)
		}
		etags[put.ETag] = content
	}
}

func testMissing(t *testing.T, s suite) {
	key := s.key("missing")
	check := func(call string, err error) {
		t.Helper()
		if !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", call, err)
		}
	}
	_, _, err := s.Blobs.Open(t.Context(), key, nil)
	check("Open", err)
	_, _, err = s.Blobs.Open(t.Context(), key, &driver.Range{Offset: 1, Length: 0})
	check("Open of a range", err)
	_, err = s.Blobs.Stat(t.Context(), key)
	check("Stat", err)
	_, err = s.Blobs.Copy(t.Context(), s.key("copy"), key, driver.PutOptions{})
	check("Copy", err)
	s.put(t, s.key("dir/object"), "x")
	_, err = s.Blobs.Stat(t.Context(), s.key("dir"))
	check("Stat of a leading path", err)
	_, _, err = s.Blobs.Open(t.Context(), s.key("dir"), nil)
	check("Open of a leading path", err)
}

func testRanges(t *testing.T, s suite) {
	content := "0123456789"
	key, empty := s.key("digits"), s.key("empty")
	s.put(t, key, content)
	s.put(t, empty, "")
	for _, tc := range []struct {
		key    string
		rng    driver.Range
		want   string
		beyond bool
	}{
		{key, driver.Range{Offset: 0, Length: 3}, "012", false},
		{key, driver.Range{Offset: 3, Length: 4}, "3456", false},
		{key, driver.Range{Offset: 9, Length: 1}, "9", false},
		{key, driver.Range{Offset: 7, Length: 100}, "789", false},
		{key, driver.Range{Offset: 7, Length: -1}, "789", false},
		{key, driver.Range{Offset: 0, Length: -1}, content, false},
		{key, driver.Range{Offset: 4, Length: 0}, "", false},
		{key, driver.Range{Offset: 0, Length: 0}, "", false},
		{key, driver.Range{Offset: 10, Length: -1}, "", false},
		{key, driver.Range{Offset: 10, Length: 5}, "", false},
		{key, driver.Range{Offset: 10, Length: 0}, "", false},
		{empty, driver.Range{Offset: 0, Length: -1}, "", false},
		{empty, driver.Range{Offset: 0, Length: 1}, "", false},
		{key, driver.Range{Offset: 11, Length: 1}, "", true},
		{key, driver.Range{Offset: 11, Length: 0}, "", true},
		{key, driver.Range{Offset: 1 << 40, Length: -1}, "", true},
		{key, driver.Range{Offset: -1, Length: 2}, "", true},
		{empty, driver.Range{Offset: 1, Length: -1}, "", true},
	} {
		r, info, err := s.Blobs.Open(t.Context(), tc.key, &tc.rng)
		if tc.beyond {
			if !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("%+v: %v, want ErrInvalid", tc.rng, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", tc.rng, err)
			continue
		}
		got, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		whole, err := s.Blobs.Stat(t.Context(), tc.key)
		must(t, err)
		if string(got) != tc.want || info.Size != whole.Size || info.ETag != whole.ETag {
			t.Errorf("%+v: read %q with %+v; want %q, and the whole is %+v", tc.rng, got, info, tc.want, whole)
		}
	}
}

func testConditions(t *testing.T, s suite) {
	key := s.key("object")
	put := func(content string, opt driver.PutOptions) (driver.Info, error) {
		return s.Blobs.Put(t.Context(), key, strings.NewReader(content), opt)
	}
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err := put("a", driver.PutOptions{IfMatch: `"0123456789abcdef0123456789abcdef"`})
	expect("IfMatch without an object", err, driver.ErrConflict)
	_, err = s.Blobs.Stat(t.Context(), key)
	expect("Stat after the refused Put", err, driver.ErrNotFound)

	a, err := put("a", driver.PutOptions{IfAbsent: true})
	must(t, err)
	_, err = put("b", driver.PutOptions{IfAbsent: true})
	expect("IfAbsent with an object", err, driver.ErrExists)
	if got, info := s.read(t, key, nil); got != "a" || info.ETag != a.ETag {
		t.Errorf("%q with %+v after a refused Put", got, info)
	}
	b, err := put("b", driver.PutOptions{IfMatch: a.ETag})
	must(t, err)
	_, err = put("c", driver.PutOptions{IfMatch: a.ETag})
	expect("IfMatch with the ETag before", err, driver.ErrConflict)
	if got, info := s.read(t, key, nil); got != "b" || info.ETag != b.ETag {
		t.Errorf("%q with %+v after a refused Put", got, info)
	}
	_, err = put("d", driver.PutOptions{IfMatch: b.ETag, IfAbsent: true})
	expect("both conditions", err, driver.ErrInvalid)

	must(t, s.Blobs.Delete(t.Context(), key))
	_, err = put("e", driver.PutOptions{IfMatch: b.ETag})
	expect("IfMatch after Delete", err, driver.ErrConflict)
	_, err = put("f", driver.PutOptions{IfAbsent: true})
	must(t, err)
	if got, _ := s.read(t, key, nil); got != "f" {
		t.Errorf("%q after IfAbsent after Delete", got)
	}
}

func testAnnounced(t *testing.T, s suite) {
	sum := func(content string) string {
		h := sha256.Sum256([]byte(content))
		return hex.EncodeToString(h[:])
	}
	for _, tc := range []struct {
		name string
		opt  driver.PutOptions
		ok   bool
	}{
		{"digest and size", driver.PutOptions{SHA256: sum("content"), Size: 7}, true},
		{"digest", driver.PutOptions{SHA256: sum("content")}, true},
		{"size", driver.PutOptions{Size: 7}, true},
		{"wrong digest", driver.PutOptions{SHA256: sum("Content"), Size: 7}, false},
		{"size too large", driver.PutOptions{Size: 8}, false},
		{"size too small", driver.PutOptions{Size: 6}, false},
		{"size too small, right digest of it", driver.PutOptions{SHA256: sum("conten"), Size: 6}, false},
		{"wrong digest of a new object", driver.PutOptions{SHA256: sum("Content"), IfAbsent: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key := s.key(unique())
			if !tc.opt.IfAbsent {
				s.put(t, key, "before")
			}
			_, err := s.Blobs.Put(t.Context(), key, strings.NewReader("content"), tc.opt)
			if tc.ok {
				must(t, err)
				if got, _ := s.read(t, key, nil); got != "content" {
					t.Errorf("read %q", got)
				}
				return
			}
			if !errors.Is(err, driver.ErrDigest) {
				t.Errorf("%v, want ErrDigest", err)
			}
			if tc.opt.IfAbsent {
				if _, err := s.Blobs.Stat(t.Context(), key); !errors.Is(err, driver.ErrNotFound) {
					t.Errorf("Stat: %v, want ErrNotFound", err)
				}
			} else if got, _ := s.read(t, key, nil); got != "before" {
				t.Errorf("read %q, want what was there before", got)
			}
		})
	}
}

func testFailingReader(t *testing.T, s suite) {
	old, fresh := s.key("old"), s.key("new")
	s.put(t, old, "before")
	for _, size := range []int{0, 1, 100_000, 6 << 20} {
		for _, key := range []string{old, fresh} {
			// A request body that is cut off ends with io.ErrUnexpectedEOF.
			for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF} {
				r := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
				if _, err := s.Blobs.Put(t.Context(), key, r, driver.PutOptions{}); err == nil {
					t.Errorf("Put of a reader that fails after %d bytes with %v succeeded", size, broken)
				}
			}
		}
	}
	if got, _ := s.read(t, old, nil); got != "before" {
		t.Errorf("read %d bytes, want what was there before", len(got))
	}
	if _, err := s.Blobs.Stat(t.Context(), fresh); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Stat of the new object: %v, want ErrNotFound", err)
	}
	for info, err := range s.Blobs.List(t.Context(), s.key(""), "") {
		must(t, err)
		if info.Key != old {
			t.Errorf("%s was left behind", info.Key)
		}
	}
}

func testBlobsCancelled(t *testing.T, s suite) {
	key := s.key("object")
	s.put(t, key, "before")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, openErr := s.Blobs.Open(ctx, key, nil)
	_, statErr := s.Blobs.Stat(ctx, key)
	_, putErr := s.Blobs.Put(ctx, key, strings.NewReader("after"), driver.PutOptions{})
	_, copyErr := s.Blobs.Copy(ctx, s.key("copy"), key, driver.PutOptions{})
	var listErr error
	for _, err := range s.Blobs.List(ctx, s.key(""), "") {
		listErr = err
	}
	for call, err := range map[string]error{
		"Open": openErr, "Stat": statErr, "Put": putErr, "Copy": copyErr, "List": listErr, "Delete": s.Blobs.Delete(ctx, key),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", call, err)
		}
	}

	// Cancel in the middle of the content.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	r := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}))
	// A driver that has received all bytes before the cancellation may store them.
	if _, err := s.Blobs.Put(ctx, key, io.MultiReader(r, bytes.NewReader(make([]byte, 1<<20))), driver.PutOptions{}); err == nil {
		if info, err := s.Blobs.Stat(t.Context(), key); err != nil || info.Size != 2<<20 {
			t.Errorf("Put succeeded, Stat: %+v, %v", info, err)
		}
	} else if got, _ := s.read(t, key, nil); got != "before" && len(got) != 2<<20 {
		t.Errorf("Put failed and left %d bytes", len(got))
	}
}

// readerFunc is an io.Reader made of a function.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// testLarge puts and reads 20 MiB twice: once with size and digest announced, once
// without.
func testLarge(t *testing.T, s suite) {
	const size = 20 << 20
	content := func() io.Reader {
		var seed [32]byte
		return io.LimitReader(rand.NewChaCha8(seed), size)
	}
	h := sha256.New()
	_, err := io.Copy(h, content())
	must(t, err)
	sum := hex.EncodeToString(h.Sum(nil))
	for _, opt := range []driver.PutOptions{{SHA256: sum, Size: size}, {}} {
		key := s.key(unique())
		info, err := s.Blobs.Put(t.Context(), key, content(), opt)
		must(t, err)
		if info.Size != size {
			t.Errorf("Put returned %+v", info)
		}
		r, _, err := s.Blobs.Open(t.Context(), key, nil)
		must(t, err)
		h.Reset()
		n, err := io.Copy(h, r)
		must(t, errors.Join(err, r.Close()))
		if n != size || hex.EncodeToString(h.Sum(nil)) != sum {
			t.Errorf("read %d bytes with SHA-256 %x, want %d with %s", n, h.Sum(nil), size, sum)
		}
		if tail, _ := s.read(t, key, &driver.Range{Offset: size - 5, Length: -1}); len(tail) != 5 {
			t.Errorf("the last 5 bytes are %d", len(tail))
		}
		must(t, s.Blobs.Delete(t.Context(), key))
	}
}
