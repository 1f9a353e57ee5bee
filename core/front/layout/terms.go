package layout

import (
	"net/url"
	"strings"
)

// Term is a field of the form that writes a query.
type Term struct {
	Name, Label, Hint string
	Value             string
	field             string // of the query language
}

// terms are the fields of the form. Each is a parameter of the address.
var terms = []Term{{Name: "name", Label: "Name", Hint: "hello, or *-dev", field: "Name"}, {Name: "version", Label: "Version", Hint: "1.0, or >= 2.0", field: "$Version"},
	{Name: "architecture", Label: "Architecture", Hint: "amd64, all or source", field: "$Architecture"}, {Name: "section", Label: "Section", Hint: "net", field: "Section"},
	{Name: "maintainer", Label: "Part of the maintainer", field: "Maintainer"}, {Name: "depends", Label: "Part of the dependencies", field: "Depends"}}

// Terms returns the fields of the form with the values of an address, and the query that
// they write; "" without any. A value is quoted, so it says itself only. A star makes it a
// pattern. A version may begin with a relation, as ">= 2.0".
func Terms(values url.Values) (fields []Term, query string) {
	var list []string
	for _, t := range terms {
		t.Value = strings.TrimSpace(values.Get(t.Name))
		fields = append(fields, t)
		if t.Value != "" {
			list = append(list, t.condition())
		}
	}
	return fields, strings.Join(list, ", ")
}

// condition returns the query that a field says.
func (t Term) condition() string {
	relation, text := "=", t.Value
	switch {
	case t.Name == "version":
		for _, r := range []string{"<<", "<=", ">=", ">>", "<", ">", "="} {
			if rest, ok := strings.CutPrefix(text, r); ok {
				relation, text = r, strings.TrimSpace(rest)
				break
			}
		}
	case strings.ContainsAny(text, "*?["):
		relation = "%"
	case t.Name == "maintainer" || t.Name == "depends":
		relation, text = "%", "*"+text+"*"
	}
	return t.field + " (" + relation + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `")`
}
