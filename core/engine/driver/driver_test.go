package driver

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	for _, tc := range []struct {
		key string
		ok  bool
	}{
		{"a", true},
		{"public/pool/main/libx/libx+y/libx+y_1%3a1.0~rc1-1_amd64.deb", true},
		{"private/ü:λ 日本", true},
		{"private/...", true},
		{strings.Repeat("a", 240) + "/" + strings.Repeat("b", 240), true},
		{strings.Repeat("a/", 449) + "bb", true},
		{"", false},
		{"/a", false},
		{"a/", false},
		{"a//b", false},
		{"./a", false},
		{"a/..", false},
		{"a/../b", false},
		{"a\nb", false},
		{"a\x00", false},
		{"a\x7f", false},
		{"a\xff", false},
		{strings.Repeat("a", 241), false},
		{strings.Repeat("a/", 449) + "bbb", false},
	} {
		if err := CheckKey(tc.key); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("CheckKey(%.40q) = %v", tc.key, err)
		}
	}
}

func TestRangeBounds(t *testing.T) {
	for _, tc := range []struct {
		rng         *Range
		size        int64
		offset, len int64
		invalid     bool
	}{
		{nil, 10, 0, 10, false},
		{&Range{0, -1}, 10, 0, 10, false},
		{&Range{0, -1}, 0, 0, 0, false},
		{&Range{3, 4}, 10, 3, 4, false},
		{&Range{3, 0}, 10, 3, 0, false},
		{&Range{3, 7}, 10, 3, 7, false},
		{&Range{3, 8}, 10, 3, 7, false},
		{&Range{3, 1<<63 - 1}, 10, 3, 7, false},
		{&Range{10, 5}, 10, 10, 0, false},
		{&Range{11, 0}, 10, 0, 0, true},
		{&Range{-1, 5}, 10, 0, 0, true},
	} {
		offset, n, err := tc.rng.Bounds(tc.size)
		if offset != tc.offset || n != tc.len || errors.Is(err, ErrInvalid) != tc.invalid {
			t.Errorf("%v of %d: %d, %d, %v", tc.rng, tc.size, offset, n, err)
		}
	}
}

func TestCheckOps(t *testing.T) {
	many := func(n, size int) []Op {
		ops := make([]Op, n)
		for i := range ops {
			ops[i] = Op{Key: Key{"p", fmt.Sprint(i)}, Data: make([]byte, size)}
		}
		return ops
	}
	for name, tc := range map[string]struct {
		ops []Op
		ok  bool
	}{
		"put":           {[]Op{{Key: Key{"p", "s"}}}, true},
		"delete":        {[]Op{{Do: OpDelete, Key: Key{"p", "s"}, If: "1"}}, true},
		"check absent":  {[]Op{{Do: OpCheck, Key: Key{"p", "s"}}}, true},
		"most":          {many(MaxOps, 1), true},
		"largest row":   {many(1, MaxRowSize), true},
		"largest":       {many(96, MaxTxSize/96), true},
		"none":          {nil, false},
		"too many":      {many(MaxOps+1, 1), false},
		"row too large": {many(1, MaxRowSize+1), false},
		"too large":     {many(97, MaxTxSize/96), false},
		"delete absent": {[]Op{{Do: OpDelete, Key: Key{"p", "s"}}}, false},
		"twice":         {[]Op{{Key: Key{"p", "s"}}, {Do: OpCheck, Key: Key{"p", "s"}}}, false},
		"verb":          {[]Op{{Do: 3, Key: Key{"p", "s"}}}, false},
		"no partition":  {[]Op{{Key: Key{"", "s"}}}, false},
		"no sort":       {[]Op{{Key: Key{"p", ""}}}, false},
		"long sort":     {[]Op{{Key: Key{"p", strings.Repeat("s", 901)}}}, false},
		"not UTF-8":     {[]Op{{Key: Key{"p", "\xff"}}}, false},
	} {
		if err := CheckOps(tc.ops); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckRows(t *testing.T) {
	a, b := Row{Key: Key{"p", "a"}}, Row{Key: Key{"p", "b"}, Data: make([]byte, MaxRowSize)}
	if err := CheckRows([]Row{a, b}); err != nil {
		t.Error(err)
	}
	for _, rows := range [][]Row{{a, b, a}, {{Key: Key{"p", "a"}, Data: make([]byte, MaxRowSize+1)}}, {{}}} {
		if err := CheckRows(rows); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.60v: %v", rows, err)
		}
	}
}

func TestMessageCheck(t *testing.T) {
	long := strings.Repeat("x", 129)
	for _, tc := range []struct {
		m  Message
		ok bool
	}{
		{Message{Group: "g-1.2:~", ID: "!", Body: "1"}, true},
		{Message{Group: long[:128], ID: long[:128], Body: strings.Repeat("x", MaxBody)}, true},
		{Message{Group: "", ID: "i", Body: "1"}, false},
		{Message{Group: "g", ID: "", Body: "1"}, false},
		{Message{Group: "g", ID: "i", Body: ""}, false},
		{Message{Group: "a b", ID: "i", Body: "1"}, false},
		{Message{Group: "g", ID: "é", Body: "1"}, false},
		{Message{Group: long, ID: "i", Body: "1"}, false},
		{Message{Group: "g", ID: long, Body: "1"}, false},
		{Message{Group: "g", ID: "i", Body: strings.Repeat("x", MaxBody+1)}, false},
		{Message{Group: "g", ID: "i", Body: "\xff"}, false},
	} {
		if err := tc.m.Check(); (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40q: %v", tc.m.ID, err)
		}
	}
}

func TestConflictError(t *testing.T) {
	err := fmt.Errorf("write: %w", &ConflictError{Keys: []Key{{"p", "a"}, {"p", "b"}}})
	var conflict *ConflictError
	if !errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) || !errors.As(err, &conflict) || len(conflict.Keys) != 2 {
		t.Errorf("%v", err)
	}
	if want := "changed by another writer: p/a, p/b"; conflict.Error() != want {
		t.Errorf("%q, want %q", conflict, want)
	}
}
