package index

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aptless/core/formats/deb"
)

// digestOf returns the digester of a file after it was resumed from an earlier one.
func digestOf(t *testing.T, data []byte, had *States, of Object, common int64, all bool) *digester {
	t.Helper()
	d := newDigester(DefaultDigests)
	if err := d.resume(had, of, common, all); err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(data, 300_001) {
		if _, err := d.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestStatesGiveTheDigestsOfAllBytes lets files go on from States of an earlier file. They
// have the digests and the States of files that are hashed whole. Only a part of the common
// bytes is hashed.
func TestStatesGiveTheDigestsOfAllBytes(t *testing.T) {
	t.Parallel()
	data := make([]byte, maxStates*minEvery+2<<20+77)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, size := range []int{100, minEvery, 3 * minEvery, len(data)} {
		before := data[:size]
		of, had := digestOf(t, before, nil, Object{}, 0, false).object()
		for _, common := range []int{0, minEvery, size / 3, size - 1} {
			if common > size {
				continue
			}
			after := append(slices.Clone(before[:common]), data[:size/2]...)
			d := digestOf(t, after, had, of, int64(common), false)
			if skipped := int64(common) - d.from; had != nil && common > 3*int(had.Every) && skipped > 2*had.Every {
				t.Errorf("%d of %d common bytes of %d are hashed", skipped, common, size)
			}
			o, states := d.object()
			whole, wholeStates := digestOf(t, after, nil, Object{}, 0, false).object()
			if o != whole {
				t.Errorf("%d bytes, %d common: other digests", size, common)
			}
			if had == nil || states == nil || had.Every != wholeStates.Every {
				continue
			}
			if diff := cmp.Diff(wholeStates, states); diff != "" {
				t.Errorf("%d bytes, %d common: %s", size, common, diff)
			}
		}
	}
}

// TestWrongStatesAreFound publishes after an index whose States are wrong. All of it is
// hashed then, and a line says so.
func TestWrongStatesAreFound(t *testing.T) {
	t.Parallel()
	base := newWorld()
	var many []*deb.Package
	base.st.SkipBz2 = true
	for n := range 2500 {
		p := pkg(5 * n)
		p.Extra["Description"] = fmt.Sprintf(" %d\n%s", n, strings.Repeat(" a line of the description\n", 30))
		many = append(many, p)
	}
	l := base.edit(t, nil, many, nil)
	prev := base.index(t, amd64, l, nil)
	if prev.PlainStates == nil || len(prev.PlainStates.States) < 6*deb.ChainSize(deb.AllDigests) {
		t.Fatalf("there are few states: %v", prev.PlainStates)
	}
	after := base.edit(t, l, []*deb.Package{pkg(99_995)}, nil)
	want := base.index(t, amd64, after, nil)
	common := prev.Plain.Size - prev.Pieces[len(prev.Pieces)-1].Plain
	last := int(common/prev.PlainStates.Every)*deb.ChainSize(deb.AllDigests) - 1
	for name, c := range map[string]struct {
		all, found bool
		damage     func(s *States)
	}{
		"right":                   {damage: func(*States) {}},
		"right, all":              {all: true, damage: func(*States) {}},
		"not as it was written":   {found: true, damage: func(s *States) { s.States[3] ^= 1 }},
		"another distance":        {found: true, damage: func(s *States) { s.Every *= 2 }},
		"the last":                {found: true, damage: func(s *States) { s.States[last] ^= 1; s.seal(prev.Plain) }},
		"the last but one":        {found: true, damage: func(s *States) { s.States[last-deb.ChainSize(deb.AllDigests)] ^= 1; s.seal(prev.Plain) }},
		"the first, all":          {all: true, found: true, damage: func(s *States) { s.States[0] ^= 1; s.seal(prev.Plain) }},
		"cut off":                 {damage: func(s *States) { s.States = s.States[:5]; s.seal(prev.Plain) }},
		"of other digests":        {damage: func(s *States) { s.Digests = deb.SHA256; s.seal(prev.Plain) }},
		"at no possible distance": {found: true, damage: func(s *States) { s.Every = 0; s.seal(prev.Plain) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.use(base.Clone())
			w.st.SkipBz2 = true
			wrong := *prev
			states := *prev.PlainStates
			states.States = bytes.Clone(states.States)
			wrong.PlainStates = &states
			c.damage(&states)
			st, said := w.stager(), ""
			st.HashAll, st.Say = c.all, func(format string, args ...any) { said += fmt.Sprintf(format, args...) }
			list, err := w.st.Lists.Open(t.Context(), after.Ref())
			if err != nil {
				t.Fatal(err)
			}
			x, err := st.index(context.Background(), amd64, list, &wrong)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, x); diff != "" {
				t.Error(diff)
			}
			if (said != "") != c.found {
				t.Errorf("said is %q", said)
			}
		})
	}
}
