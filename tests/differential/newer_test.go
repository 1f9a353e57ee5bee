package differential

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// newer are the fields of answers in which aptly 1.6.3 differs from 1.5.0. Each has its
// place in aptly's source.
type newer []*newerAnswer

type newerAnswer struct {
	Request string            // the request, as in reports
	Source  string            // place in the source of 1.6.3
	Fields  map[string][2]any // values of 1.5.0 and of 1.6.3, by the field of a difference
	used    bool
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

// correct turns an answer of 1.5.0 into the answer of 1.6.3. A request may be repeated: an
// answer without the listed values of 1.5.0 stays.
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

// matches reports whether all fields have the values of 1.5.0.
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

// at changes the value of a field, if it exists.
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

// sortSources sorts the sources of all publications in a value by component. aptly 1.6.3
// lists them so (deb/publish.go, MarshalJSON), 1.5.0 in the random order of a Go map.
func sortSources(v any) {
	switch in := v.(type) {
	case []any:
		for _, element := range in {
			sortSources(element)
		}
	case map[string]any:
		if _, ok := in["Prefix"]; !ok {
			return
		}
		order(in["Sources"])
	}
}

// unused returns the requests without a correction.
func (n newer) unused() []string {
	var names []string
	for _, c := range n {
		if !c.used && !slices.Contains(names, c.Request) {
			names = append(names, c.Request)
		}
	}
	return names
}

// TestCorrections holds that exactly the fields with listed values are replaced.
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

// TestSourcesAreSorted holds that only sources of publications are sorted, by component.
func TestSourcesAreSorted(t *testing.T) {
	for in, want := range map[string]string{
		`{"Prefix":".","Sources":[{"Component":"main","Name":"a"},{"Component":"contrib","Name":"b"}]}`: `{"Prefix":".","Sources":[{"Component":"contrib","Name":"b"},{"Component":"main","Name":"a"}]}`,
		`[{"Prefix":"p","Sources":[{"Component":"b"},{"Component":"a"}]},["y","x"]]`:                    `[{"Prefix":"p","Sources":[{"Component":"a"},{"Component":"b"}]},["y","x"]]`,
		`{"Sources":["b","a"]}`: `{"Sources":["b","a"]}`,
		`{"Prefix":"p"}`:        `{"Prefix":"p"}`,
		`"text"`:                `"text"`,
	} {
		var v any
		must(t, json.Unmarshal([]byte(in), &v))
		if sortSources(v); encode(v) != want {
			t.Errorf("%s, want %s", encode(v), want)
		}
	}
}
