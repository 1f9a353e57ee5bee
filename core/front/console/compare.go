package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"aptless/core/client"
	"aptless/core/front/auth"
	"aptless/core/front/layout"
)

// side is one of the two states of a comparison.
type side struct{ Value, Text string }

// compareView is the data of a comparison of snapshots, of repositories, or of revisions of
// a publication.
type compareView struct {
	Of          string // snapshots, repos, or publications
	Section     action // the page above this one
	Title       string
	Left, Right side
	Choices     []side // of both sides; the sides of snapshots and repositories can be typed, too
	Name        string // part of the names of packages
	Kind        string // of the differences that are shown; "" is all
	Kinds       []kindView
	List        []difference
	Total       string
	All         string // address of the comparison without a filter of kinds
	Next        string
	Compared    bool
	Components  bool // the differences are in components
	Text        string
	TextAs      string // markdown or json; "" is no text
	Texts       []action
	Cut         bool // the text has not all differences
	Switches    []action
}

// kindView is a kind of differences with their number.
type kindView struct{ Kind, Title, Number, Path string }

// diffKinds are the kinds of differences and their titles, in the order of a page.
var diffKinds = []kindView{{Kind: "added", Title: "Added"}, {Kind: "removed", Title: "Removed"}, {Kind: "newer", Title: "Newer"},
	{Kind: "older", Title: "Older"}, {Kind: "rebuilt", Title: "Rebuilt"}}

// difference is a package of a comparison.
type difference struct{ Name, Architecture, Component, Left, Right, LeftPath, RightPath string }

// textSize is the number of differences of which a page makes a text.
const textSize = "1000"

// compare compares snapshots, or with of=repos repositories.
func (q *request) compare() error {
	v := compareView{Of: client.OfSnapshots, Title: "Compare two snapshots", Section: action{Path: "/-/snapshots", Text: "Snapshots"}}
	call := client.Diff
	names, err := []string(nil), error(nil)
	if q.query("of") == client.OfRepos {
		q.navigate = client.OfRepos
		v.Of, v.Title, v.Section, call = client.OfRepos, "Compare two repositories", action{Path: "/-/repos", Text: "Repositories"}, client.DiffRepos
		names, err = q.repoNames("")
	} else {
		names, err = q.snapshotNames()
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		v.Choices = append(v.Choices, side{name, name})
	}
	v.Left, v.Right = side{q.query("left"), q.query("left")}, side{q.query("right"), q.query("right")}
	if v.Left.Value != "" && v.Right.Value != "" {
		if err := q.differences(&v, call(v.Left.Value, v.Right.Value)); err != nil {
			return err
		}
	}
	if v.Of == client.OfSnapshots && len(v.List) > 0 {
		if v.Switches, err = q.switches(v.Left.Value, v.Right.Value); err != nil {
			return err
		}
	}
	return q.write(http.StatusOK, "compare", v.Title, v)
}

// compareRevisions compares revisions of a publication. Without a right one it is the
// current one, and without a left one it is the one before that on the right.
func (q *request) compareRevisions() error {
	place := q.place()
	revisions, err := client.Send(q.ctx, q.api, client.ListRevisions(place))
	if err != nil {
		return err
	}
	v := compareView{Of: "publications", Title: "Compare revisions of " + place.String(), Section: action{Path: placePath(place), Text: place.String()}}
	v.Left.Value, v.Right.Value = q.query("left"), q.query("right")
	list := revisions.Value
	for i, r := range list {
		n := fmt.Sprint(r.Generation)
		if v.Right.Value == "" {
			v.Right.Value = n
		}
		if v.Left.Value == "" && v.Right.Value == n && i+1 < len(list) {
			v.Left.Value = fmt.Sprint(list[i+1].Generation)
		}
		v.Choices = append(v.Choices, side{n, n + ", " + layout.Date(r.Date)})
	}
	v.Left.Text, v.Right.Text = "Revision "+v.Left.Value, "Revision "+v.Right.Value
	if v.Left.Value != "" {
		if err := q.differences(&v, client.DiffRevisions(place, v.Left.Value, v.Right.Value)); err != nil {
			return err
		}
	}
	return q.write(http.StatusOK, "compare", v.Title, v)
}

// differences sets the page of differences that a request wants.
func (q *request) differences(v *compareView, call client.Call[[]client.Difference]) error {
	v.Name, v.Kind, v.TextAs = q.query("name"), q.query("kind"), q.query("text")
	size := pageSize
	if v.TextAs != "" {
		size = textSize
	}
	found, err := client.Send(q.ctx, q.api, call.With("limit", size).With("after", q.query("after")).With("name", v.Name).With("kind", v.Kind))
	if err != nil {
		return err
	}
	h := found.Header
	v.Compared, v.Total, v.Next, v.All = true, grouped(h.Get("X-Total")), q.page(h), q.address("kind", "")
	v.Texts = []action{{Path: q.address("text", "markdown"), Text: "as Markdown"}, {Path: q.address("text", "json"), Text: "as JSON"}}
	for _, k := range diffKinds {
		k.Number, k.Path = grouped(h.Get("X-"+k.Title)), q.address("kind", k.Kind)
		if k.Number != "" && (k.Number != "0" || k.Kind != "rebuilt") {
			v.Kinds = append(v.Kinds, k)
		}
	}
	for _, d := range found.Value[:min(len(found.Value), 1000)] {
		one := viewDifference(d)
		if !q.aptless && !strings.Contains(one.Name, v.Name) {
			continue
		}
		v.List, v.Components = append(v.List, one), v.Components || one.Component != ""
	}
	if v.TextAs != "" {
		v.Text, v.Cut = v.write(found.Value), v.Next != ""
		v.List = v.List[:min(len(v.List), 100)]
	}
	return nil
}

// address returns the address of this page with another value of a parameter, from its
// first page on.
func (q *request) address(name, value string) string {
	values := url.Values{}
	for given, list := range q.r.URL.Query() {
		values[given] = list
	}
	values.Del("after")
	values.Del(name)
	if value != "" {
		values.Set(name, value)
	}
	return layout.Base(q.r) + q.r.URL.EscapedPath() + "?" + values.Encode()
}

// write returns the differences as a text to copy.
func (v *compareView) write(list []client.Difference) string {
	if v.TextAs == "json" {
		text, err := json.MarshalIndent(map[string]any{"Left": v.Left.Text, "Right": v.Right.Text, "Differences": list}, "", "  ")
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Differences from %s to %s\n\n", plain(v.Left.Text), plain(v.Right.Text))
	for _, k := range v.Kinds {
		fmt.Fprintf(&b, "- %s: %s\n", k.Title, k.Number)
	}
	fmt.Fprintf(&b, "\n| Package | Architecture | %s | %s |\n|---|---|---|---|\n", plain(v.Left.Text), plain(v.Right.Text))
	for _, d := range v.List {
		name := d.Name
		if d.Component != "" {
			name += " (" + d.Component + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", plain(name), plain(d.Architecture), plain(d.Left), plain(d.Right))
	}
	return b.String()
}

// plain writes a text so that Markdown shows it as it is.
func plain(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\\`*_{}[]<>#|~", r) {
			b.WriteByte('\\')
		}
		if r == '\n' || r == '\r' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// switches returns the forms that switch a publication from a snapshot to another one.
func (q *request) switches(left, right string) (list []action, err error) {
	if q.Reads || !q.some(auth.PublishUpdate) {
		return nil, nil
	}
	in, err := q.publishedFrom("snapshot", left)
	for _, p := range in[:min(len(in), maxSwitches)] {
		place := p.Place()
		if !q.may(auth.PublishUpdate, publicationRight(place)) {
			continue
		}
		for _, s := range p.Sources {
			if s.Name == left {
				list = append(list, action{placePath(place, "switch") + "?" + url.Values{"snapshot-" + s.Component: {right}}.Encode(), "Switch " + place.String() + " to " + right, false})
			}
		}
	}
	return list, err
}

// maxSwitches bounds the publications that a comparison offers to switch.
const maxSwitches = 10

// viewDifference returns a difference as a page shows it.
func viewDifference(d client.Difference) difference {
	v := difference{Component: d.Component}
	side := func(key *string) (version, at string) {
		if key == nil {
			return "", ""
		}
		parts := strings.Fields(strings.TrimPrefix(*key, "P"))
		if len(parts) < 3 {
			return *key, ""
		}
		v.Architecture, v.Name = parts[0], parts[1]
		return parts[2], packagePath(*key)
	}
	v.Left, v.LeftPath = side(d.Left)
	v.Right, v.RightPath = side(d.Right)
	return v
}
