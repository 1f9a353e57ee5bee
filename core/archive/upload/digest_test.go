package upload

import (
	"errors"
	"strings"
	"testing"
)

// TestDigestGoesOnFromEachState: at each step another process goes on, and the digests are
// those of the whole file. With a state of another version it reads the file anew.
func TestDigestGoesOnFromEachState(t *testing.T) {
	s, _ := memory()
	s.Sliced = 1000
	content := strings.Repeat("0123456789abcde", 700)
	want, a := hashed(content, "large.bin"), announced(content, "large.bin")
	putObject(t, s, announce(t, s, a)[0], content)
	if err := s.Confirm(t.Context(), "d", a); err != nil {
		t.Fatal(err)
	}
	u, err := s.Find(t.Context(), "d", a.Name)
	if err != nil || !s.Sliceable(u) {
		t.Fatalf("%+v, %v", u, err)
	}
	over := errors.New("the slice is over")
	var states [][]byte
	for state := []byte(nil); ; states = append(states, state) {
		done, err := s.Digest(t.Context(), u, state, func(next []byte) error {
			state = next
			return over
		})
		if err == nil {
			if done.File != want {
				t.Errorf("%+v, want %+v", done.File, want)
			}
			break
		}
		if !errors.Is(err, over) || len(states) > len(content) {
			t.Fatal(err)
		}
	}
	if len(states) < len(content)/1000 {
		t.Fatalf("%d steps", len(states))
	}
	for _, state := range [][]byte{nil, {}, []byte(`{"Size":896,"Sums":["","","",""]}`), states[3][:20], append([]byte{1}, states[3]...)} {
		if done, err := s.Digest(t.Context(), u, state, func([]byte) error { return nil }); err != nil || done.File != want {
			t.Errorf("from %q: %+v, %v", state, done.File, err)
		}
	}
}
