package differential

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// newer are the fields of answers that aptly 1.6.3, whose API is spoken, gives in
// another way than 1.5.0, which is compared. They are data, each with the place in
// aptly's source that makes it.
type newer []*newerAnswer

type newerAnswer struct {
	Request   string            // as in reports
	Source    string            // of what 1.6.3 answers
	Sometimes string            // why 1.5.0 answers some runs like 1.6.3, if it does
	Fields    map[string][2]any // of 1.5.0 and of 1.6.3, by the path that a difference has
	used      bool
}

func readNewer(t *testing.T) newer {
	t.Helper()
	data, err := os.ReadFile("testdata/aptly-1.6.3.json")
	must(t, err)
	var all newer
	must(t, json.Unmarshal(data, &all))
	for _, a := range all {
		if a.Source == "" || len(a.Fields) == 0 {
			t.Errorf("%s: no source, or no field", a.Request)
		}
	}
	return all
}

// correct makes an answer of 1.5.0 the one that 1.6.3 gives. A request may be sent
// several times: an answer that is not as listed for 1.5.0 stays.
func (n newer) correct(request string, a answer) {
	for _, c := range n {
		if c.Request != request || !c.matches(a) {
			continue
		}
		c.used = true
		for field, values := range c.Fields {
			at(a, field, func(any) any { return values[1] })
		}
	}
}

// matches says whether all fields are those of 1.5.0.
func (c *newerAnswer) matches(a answer) bool {
	for field, values := range c.Fields {
		same := false
		at(a, field, func(was any) any {
			same = encode(was) == encode(values[0])
			return was
		})
		if !same {
			return false
		}
	}
	return true
}

// at changes the value of a field, if there is one.
func at(a answer, field string, change func(any) any) {
	var node any = map[string]any(a)
	names := strings.Split(field, "/")[1:]
	for i, name := range names {
		last := i+1 == len(names)
		switch in := node.(type) {
		case map[string]any:
			if node = in[name]; last {
				in[name] = change(node)
			}
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(in) {
				return
			}
			if node = in[n]; last {
				in[n] = change(node)
			}
		default:
			return
		}
	}
}

// unused returns the requests for which nothing was to be corrected, although 1.5.0
// always answers in its own way.
func (n newer) unused() []string {
	var names []string
	for _, c := range n {
		if !c.used && c.Sometimes == "" && !slices.Contains(names, c.Request) {
			names = append(names, c.Request)
		}
	}
	return names
}

// TestCorrections holds that fields are replaced where they are as listed, and nowhere
// else.
func TestCorrections(t *testing.T) {
	n := newer{
		{Request: "a", Fields: map[string][2]any{"/status": {400.0, 409.0}, "/body/list/1/x": {"old", "new"}}},
		{Request: "a", Fields: map[string][2]any{"/body/list/2": {nil, "more"}}},
		{Request: "a", Fields: map[string][2]any{"/status/x": {nil, "deep"}}},
		{Request: "b", Fields: map[string][2]any{"/status": {400.0, 500.0}}},
	}
	first := answer{"status": 400.0, "body": map[string]any{"list": []any{"0", map[string]any{"x": "old", "y": "y"}}}}
	second := answer{"status": 201.0, "body": map[string]any{"list": []any{"0", map[string]any{"x": "old"}}}}
	n.correct("a", first)
	n.correct("a", second)
	if got, want := encode(first), `{"body":{"list":["0",{"x":"new","y":"y"}]},"status":409}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := encode(second), `{"body":{"list":["0",{"x":"old"}]},"status":201}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := n.unused(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("unused are %q", got)
	}
}
