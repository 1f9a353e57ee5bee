package differential

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// difference is a field in which two answers differ. An absent field is "".
type difference struct{ field, aptly, ours string }

// differences lists the different fields of two values decoded from JSON. It compares lists
// of equal length element by element.
func differences(field string, aptly, ours any) []difference {
	switch a := aptly.(type) {
	case map[string]any:
		if b, ok := ours.(map[string]any); ok {
			return mapDifferences(field, a, b)
		}
	case []any:
		if b, ok := ours.([]any); ok && len(a) == len(b) {
			var all []difference
			for i := range a {
				all = append(all, differences(fmt.Sprintf("%s/%d", field, i), a[i], b[i])...)
			}
			return all
		}
	}
	if a, b := encode(aptly), encode(ours); a != b {
		return []difference{{field, a, b}}
	}
	return nil
}

func mapDifferences(field string, a, b map[string]any) []difference {
	names := maps.Clone(a)
	maps.Copy(names, b)
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		at := field + "/" + name
		x, inA := a[name]
		y, inB := b[name]
		switch {
		case !inA:
			all = append(all, difference{at, "", encode(y)})
		case !inB:
			all = append(all, difference{at, encode(x), ""})
		default:
			all = append(all, differences(at, x, y)...)
		}
	}
	return all
}

// acceptance accepts differences with a reason.
type acceptance struct {
	request, field *regexp.Regexp
	ours           *regexp.Regexp // matches our value
	reason         string
}

// accept returns an acceptance. request matches request.String with the name of its table
// before it, and field matches a difference's field; both are regular expressions for
// the whole text. ours is a regular expression for the beginning of our value.
func accept(request, field, ours, reason string) acceptance {
	if ours == anything {
		ours = ""
	}
	return acceptance{regexp.MustCompile("^(?:" + request + ")$"), regexp.MustCompile("^(?:" + field + ")$"), regexp.MustCompile("^" + ours), reason}
}

// judge separates accepted from unaccepted differences.
type judge struct {
	accepted []acceptance
	mu       sync.Mutex
	used     map[int]int // number of uses of an acceptance, by its index
	requests int
	newer    newer // answers in which aptly 1.6.3 differs from 1.5.0
}

// compare fails the test for differences between the answers of aptly and of one of our
// servers to the request name.
func (j *judge) compare(t *testing.T, name, server string, aptly, ours answer) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	var report strings.Builder
	sortSources(aptly["body"])
	j.newer.correct(name, aptly)
	for _, d := range differences("", map[string]any(aptly), map[string]any(ours)) {
		i := slices.IndexFunc(j.accepted, func(a acceptance) bool {
			return a.request.MatchString(name) && a.field.MatchString(d.field) && a.ours.MatchString(d.ours)
		})
		if i >= 0 {
			j.used[i]++
			continue
		}
		fmt.Fprintf(&report, "\n  %s\n    aptly %s\n    ours  %s", d.field, d.aptly, d.ours)
	}
	if report.Len() > 0 {
		t.Errorf("%s: %s%s", server, name, report.String())
	}
}

// finish fails the test for every unused acceptance.
func (j *judge) finish(t *testing.T) {
	t.Helper()
	accepted := 0
	for i, a := range j.accepted {
		if accepted += j.used[i]; j.used[i] == 0 {
			t.Errorf("no longer a difference: %s, %s: %s", a.request, a.field, a.reason)
		}
	}
	for _, request := range j.newer.unused() {
		t.Errorf("%s: no such request, or 1.5.0 answers the same", request)
	}
	t.Logf("%d requests and trees compared; %d differences accepted for %d reasons", j.requests, accepted, len(j.accepted))
}

// TestDifferences holds that exactly the different fields are found.
func TestDifferences(t *testing.T) {
	a := map[string]any{"same": []any{"x"}, "value": 1.0, "only": nil, "list": []any{"a", map[string]any{"b": true}}, "kind": "x"}
	b := map[string]any{"same": []any{"x"}, "value": 2.0, "list": []any{"a", map[string]any{"b": false}}, "kind": []any{}, "more": "m"}
	want := []difference{{"/kind", `"x"`, "[]"}, {"/list/1/b", "true", "false"}, {"/more", "", `"m"`}, {"/only", "null", ""}, {"/value", "1", "2"}}
	if got := differences("", a, b); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
