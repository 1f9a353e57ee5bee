package drivertest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
)

func testCopy(t *testing.T, s suite) {
	src, dst := s.key("src"), "public/drivertest/"+s.id+"/pool/dst"
	t.Cleanup(func() { must(t, s.Blobs.Delete(context.Background(), dst)) })
	was := s.put(t, src, "content")
	for range 2 { // first to a new key, then over itself
		info, err := s.Blobs.Copy(t.Context(), dst, src, driver.PutOptions{})
		must(t, err)
		got, stat := s.read(t, dst, nil)
		if got != "content" || stat.Key != dst || info.Key != dst || info.ETag != stat.ETag || info.Size != 7 {
			t.Errorf("Copy returned %+v; read %q with %+v", info, got, stat)
		}
	}
	// The two objects are independent after the copy.
	s.put(t, src, "changed")
	if got, _ := s.read(t, dst, nil); got != "content" {
		t.Errorf("the copy is %q after a change of the source", got)
	}
	before, err := s.Blobs.Stat(t.Context(), src)
	must(t, err)
	s.put(t, dst, "another")
	if got, info := s.read(t, src, nil); got != "changed" || info.ETag != before.ETag || info.ETag == was.ETag {
		t.Errorf("the source is %q with %+v after a change of the copy", got, info)
	}
	must(t, s.Blobs.Delete(t.Context(), src))
	if got, _ := s.read(t, dst, nil); got != "another" {
		t.Errorf("the copy is %q after the source was deleted", got)
	}
	if _, err := s.Blobs.Copy(t.Context(), dst, dst, driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("Copy to itself: %v, want ErrInvalid", err)
	}
}

func testCopyConditions(t *testing.T, s suite) {
	a, b, dst := s.key("a"), s.key("b"), s.key("dst")
	s.put(t, a, "a")
	s.put(t, b, "bb")
	expect := func(what string, err, want error, content string) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if got, _ := s.read(t, dst, nil); got != content {
			t.Errorf("%s: left %q, want %q", what, got, content)
		}
	}
	_, err := s.Blobs.Copy(t.Context(), dst, a, driver.PutOptions{IfMatch: `"0123456789abcdef0123456789abcdef"`})
	if !errors.Is(err, driver.ErrConflict) {
		t.Errorf("IfMatch without an object: %v, want ErrConflict", err)
	}
	first, err := s.Blobs.Copy(t.Context(), dst, a, driver.PutOptions{IfAbsent: true})
	expect("IfAbsent", err, nil, "a")
	_, err = s.Blobs.Copy(t.Context(), dst, b, driver.PutOptions{IfAbsent: true})
	expect("IfAbsent with an object", err, driver.ErrExists, "a")
	_, err = s.Blobs.Copy(t.Context(), dst, b, driver.PutOptions{IfMatch: first.ETag})
	expect("IfMatch", err, nil, "bb")
	_, err = s.Blobs.Copy(t.Context(), dst, a, driver.PutOptions{IfMatch: first.ETag})
	expect("IfMatch with the ETag before", err, driver.ErrConflict, "bb")
	_, err = s.Blobs.Copy(t.Context(), dst, a, driver.PutOptions{SHA256: strings.Repeat("0", 64), Size: 99})
	expect("digest and size, which Copy does not look at", err, nil, "a")
}

// oddKeys are names that a store would change if it quoted, trimmed, case-folded or
// truncated keys.
var oddKeys = []string{
	"+", "a+b", "a b", " ", " a", "a ", "~", "a~rc1", "%", "%3a", "1%3a2", "%2f", "%252f", ":", "1:2", "a=b&c=d", "?", "a?b", "#", "a#b",
	"ü", "u\u0308", "日本語", "\U0001F600", "A", "a", "...", "..a", "a..", ".a", "-", "-a", "_", "@", "!", "'", `"`, "(", "*", "[a]", "{a}",
	`\`, `a\b`, "|", "<", ">", "^", "`", "$", "$HOME", ";", ",", "nul", "con", ".tmp", "tmp", "lost+found",
}

func testOddKeys(t *testing.T, s suite) {
	var keys []string
	for _, odd := range oddKeys {
		keys = append(keys, s.key("file/"+odd), s.key("dir/"+odd+"/x"))
	}
	keys = append(keys, s.key("long/"+strings.Repeat("l", 240)))
	longest := s.key("longest/" + strings.Repeat("l", 200) + "/" + strings.Repeat("m", 200))
	keys = append(keys, longest+"/"+strings.Repeat("n", min(240, driver.MaxKeyLen-len(longest)-1)))
	for _, key := range keys {
		s.put(t, key, "content of "+key)
	}
	for _, key := range keys {
		if got, info := s.read(t, key, nil); got != "content of "+key || info.Key != key {
			t.Errorf("%q: read %q with %+v", key, got, info)
		}
		dst := s.key("copy/" + strings.TrimPrefix(key, s.key("")))
		if len(dst) <= driver.MaxKeyLen {
			_, err := s.Blobs.Copy(t.Context(), dst, key, driver.PutOptions{})
			must(t, err)
			if got, _ := s.read(t, dst, nil); got != "content of "+key {
				t.Errorf("%q: the copy is %q", key, got)
			}
		}
	}
	slices.Sort(keys)
	for _, folder := range []string{"dir/", "file/"} {
		want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, s.key(folder)) })
		sameKeys(t, s.Blobs.List(t.Context(), s.key(folder), ""), want)
	}
	must(t, s.Blobs.Delete(t.Context(), keys...))
	for _, key := range keys {
		if _, err := s.Blobs.Stat(t.Context(), key); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%q after Delete: %v", key, err)
		}
	}
}

// sameKeys fails the test unless list yields exactly the keys.
func sameKeys(t *testing.T, list iter.Seq2[driver.Info, error], want []string) {
	t.Helper()
	var got []string
	for info, err := range list {
		must(t, err)
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d keys, want %d: %s", len(got), len(want), firstDifference(got, want))
	}
}

// firstDifference describes the first difference of two lists.
func firstDifference(got, want []string) string {
	for i := 0; i < len(got) || i < len(want); i++ {
		at := func(list []string) string {
			if i < len(list) {
				return fmt.Sprintf("%q", list[i])
			}
			return "the end"
		}
		if at(got) != at(want) {
			return fmt.Sprintf("at %d is %s instead of %s", i, at(got), at(want))
		}
	}
	return "no difference"
}

func testRefusedKeys(t *testing.T, s suite) {
	src := s.key("src")
	s.put(t, src, "x")
	for _, key := range []string{
		"", "/", s.key(""), s.key("/a"), s.key("a//b"), s.key("."), s.key("./a"), s.key("../a"), s.key("a/.."), s.key("a/../b"),
		s.key("a\x00b"), s.key("a\nb"), s.key("\x7f"), s.key("a\xffb"), s.key(strings.Repeat("a", 241)), s.key(strings.Repeat("a/", 450) + "b"),
		"/" + src, "../" + src, "private/../" + src,
	} {
		if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Put %.60q: %v, want ErrInvalid", key, err)
		}
		if _, err := s.Blobs.Copy(t.Context(), key, src, driver.PutOptions{}); !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("Copy to %.60q: %v, want ErrInvalid", key, err)
		}
		// A refused key must not read or delete another object.
		if _, err := s.Blobs.Stat(t.Context(), key); err == nil {
			t.Errorf("Stat %.60q succeeded", key)
		}
		if r, _, err := s.Blobs.Open(t.Context(), key, nil); err == nil {
			r.Close()
			t.Errorf("Open %.60q succeeded", key)
		}
		if _, err := s.Blobs.Copy(t.Context(), s.key("dst"), key, driver.PutOptions{}); err == nil {
			t.Errorf("Copy from %.60q succeeded", key)
		}
		_ = s.Blobs.Delete(t.Context(), key) // refused or without effect
	}
	if got, _ := s.read(t, src, nil); got != "x" {
		t.Errorf("the object is %q", got)
	}
}

// testLeadingPath stores an object below and above another. A driver that stores
// files refuses; no driver may lose the first object.
func testLeadingPath(t *testing.T, s suite) {
	for _, tc := range [][2]string{
		{s.key("1/a"), s.key("1/a/b")}, {s.key("2/a"), s.key("2/a/b/c")}, {s.key("3/a/b"), s.key("3/a")}, {s.key("4/a/b/c"), s.key("4/a")},
	} {
		first, second := tc[0], tc[1]
		s.put(t, first, "first")
		check := func(what string, err error) {
			t.Helper()
			if err != nil && !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("%s %s beside %s: %v, want ErrInvalid or nil", what, second, first, err)
			}
			want := []string{first}
			if err == nil {
				want = append(want, second)
				if got, _ := s.read(t, second, nil); got != "second" {
					t.Errorf("%s is %q", second, got)
				}
			}
			slices.Sort(want)
			sameKeys(t, s.Blobs.List(t.Context(), s.key(strings.TrimPrefix(first, s.key(""))[:2]), ""), want)
			if got, _ := s.read(t, first, nil); got != "first" {
				t.Errorf("%s is %q after %s of %s", first, got, what, second)
			}
		}
		_, err := s.Blobs.Put(t.Context(), second, strings.NewReader("second"), driver.PutOptions{})
		check("Put", err)
		must(t, s.Blobs.Delete(t.Context(), second))
		s.put(t, s.key("src"), "second")
		_, err = s.Blobs.Copy(t.Context(), second, s.key("src"), driver.PutOptions{})
		check("Copy", err)
		// Once the first object is deleted, the second can be stored.
		must(t, s.Blobs.Delete(t.Context(), first))
		s.put(t, second, "second")
	}
}

func testDelete(t *testing.T, s suite) {
	must(t, s.Blobs.Delete(t.Context()))
	must(t, s.Blobs.Delete(t.Context(), s.key("never/was")))
	s.put(t, s.key("a"), "x")
	s.put(t, s.key("b/c"), "x")
	s.put(t, s.key("b/d"), "x")
	must(t, s.Blobs.Delete(t.Context(), s.key("b/c"), s.key("never/was"), s.key("a"), s.key("a")))
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""), []string{s.key("b/d")})
	must(t, s.Blobs.Delete(t.Context(), s.key("b"))) // the leading path of an object, but no object
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""), []string{s.key("b/d")})
	must(t, s.Blobs.Delete(t.Context(), s.key("b/d")))
	s.put(t, s.key("b"), "what was a leading path")
}

func testList(t *testing.T, s suite) {
	names := []string{"a", "ab", "b-c/x", "b/c", "b/d/e", "b0", "c/1", "c/10", "c/2", "d~"}
	for _, name := range names {
		s.put(t, s.key(name), name)
	}
	for _, tc := range []struct{ prefix, after string }{
		{"", ""}, {"a", ""}, {"ab", ""}, {"abc", ""}, {"b", ""}, {"b/", ""}, {"b/d", ""}, {"b/d/", ""}, {"c/1", ""}, {"c/1/", ""}, {"e", ""},
		{"", "a"}, {"", "aa"}, {"", "b"}, {"", "b/"}, {"", "b/c"}, {"", "b/d"}, {"", "b/d/e"}, {"", "b0"}, {"", "c/1"}, {"", "d~"}, {"", "zzz"},
		{"b", "a"}, {"b", "b-c/x"}, {"b", "b/d/e"}, {"b", "b0"}, {"c/", "c/10"}, {"c/1", "c/1"}, {"c/2", "c/10"}, {"a", "b"}, {"c/", "b"},
	} {
		var want []string
		for _, name := range names {
			if strings.HasPrefix(name, tc.prefix) && name > tc.after {
				want = append(want, s.key(name))
			}
		}
		after := ""
		if tc.after != "" {
			after = s.key(tc.after)
		}
		t.Run(tc.prefix+","+tc.after, func(t *testing.T) {
			sameKeys(t, s.Blobs.List(t.Context(), s.key(tc.prefix), after), want)
		})
	}
	list := s.Blobs.List(t.Context(), s.key("c/"), "")
	for range 2 { // each range starts a new listing
		sameKeys(t, list, []string{s.key("c/1"), s.key("c/10"), s.key("c/2")})
	}
	for info, err := range s.Blobs.List(t.Context(), s.key(""), "") {
		must(t, err)
		stat, err := s.Blobs.Stat(t.Context(), info.Key)
		must(t, err)
		if info.Size != stat.Size || info.ETag != stat.ETag || info.ModTime.Unix() != stat.ModTime.Unix() {
			t.Errorf("listed %+v, Stat is %+v", info, stat)
		}
		break // a caller may stop
	}
}

// testListPages lists more than the 1,000 objects of a page of S3.
func testListPages(t *testing.T, s suite) {
	var keys []string
	for i := range 1100 {
		keys = append(keys, s.key(fmt.Sprintf("%02x/%04d", i%7, i)))
	}
	var wg sync.WaitGroup
	for chunk := range slices.Chunk(keys, 1+len(keys)/16) {
		wg.Go(func() {
			for _, key := range chunk {
				if _, err := s.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(keys)
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""), keys)
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), keys[49]), keys[50:])
	must(t, s.Blobs.Delete(t.Context(), keys...)) // more than the 1,000 of one request
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""), nil)
}

// testListOrder uses keys whose byte order differs from the order of a walk through
// folders.
func testListOrder(t *testing.T, s suite) {
	var keys []string
	for _, a := range []string{"a", "a!", "a-", "a.", "a0", "aa", "aé", "a\U0001F600", "a\uFF61", "B"} {
		for _, b := range []string{"", "-", ".x", "/b", "/b-c", "/b/c", "0"} {
			keys = append(keys, s.key(a+b))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	all := slices.Clone(keys)
	keys = slices.DeleteFunc(keys, func(key string) bool { // no key may be a leading path of another
		return slices.ContainsFunc(all, func(k string) bool { return strings.HasPrefix(k, key+"/") })
	})
	for _, key := range slices.Backward(keys) {
		s.put(t, key, "x")
	}
	sameKeys(t, s.Blobs.List(t.Context(), s.key(""), ""), keys)
	for i := range keys {
		sameKeys(t, s.Blobs.List(t.Context(), s.key(""), keys[i]), keys[i+1:])
	}
}
