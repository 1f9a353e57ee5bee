package layout

import (
	"slices"
	"strings"
)

// Relation is a relation of a package to another one, with its alternatives.
type Relation []Target

// Target is one alternative of a relation.
type Target struct {
	Name string // of a package
	Rest string // such as " (>= 1.0) [amd64]"
}

// relationFields are the fields that have relations, in the order of a page.
var relationFields = []string{"Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Provides", "Conflicts", "Breaks", "Replaces",
	"Built-Using", "Build-Depends", "Build-Depends-Indep", "Build-Depends-Arch", "Build-Conflicts"}

// maxRelations bounds the relations of a field on a page.
const maxRelations = 300

// Relations are those of one field.
type Relations struct {
	Field string
	Items []Relation
	More  int // relations that are not shown
}

// Field is a field of a package.
type Field struct{ Name, Value string }

// Split returns the relations of a package, and its other fields in ascending order
// without those in known.
func Split(fields map[string]string, known ...string) (relations []Relations, others []Field) {
	for _, name := range relationFields {
		if text := fields[name]; text != "" {
			relations = append(relations, parse(name, text))
		}
	}
	for name, value := range fields {
		if !slices.Contains(relationFields, name) && !slices.Contains(known, name) && value != "" {
			others = append(others, Field{name, strings.TrimSpace(value)})
		}
	}
	slices.SortFunc(others, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return relations, others
}

// parse reads the relations of a field. Text that is no relation is shown as it is.
func parse(field, text string) Relations {
	r := Relations{Field: field}
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if len(r.Items) == maxRelations {
			r.More++
			continue
		}
		var alternatives Relation
		for target := range strings.SplitSeq(one, "|") {
			target = strings.TrimSpace(target)
			end := strings.IndexAny(target, " (:[<")
			if end < 0 {
				end = len(target)
			}
			alternatives = append(alternatives, Target{target[:end], target[end:]})
		}
		r.Items = append(r.Items, alternatives)
	}
	return r
}

// Describe splits a description into its first line and its paragraphs.
func Describe(text string) (first string, paragraphs []string) {
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	var open []string
	flush := func() {
		if len(open) > 0 {
			paragraphs = append(paragraphs, strings.Join(open, "\n"))
			open = nil
		}
	}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if line == "." || line == "" {
			flush()
			continue
		}
		open = append(open, line)
	}
	flush()
	return first, paragraphs
}
