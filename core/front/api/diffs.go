package api

import (
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/formats/deb"
	"aptless/core/formats/openapi"
	"aptless/core/front/auth"
)

// difference is one package of a comparison. A side without the package is nil. Component
// is that of a publication, "" for other lists.
type difference struct {
	Left, Right *string
	Component   string `json:",omitempty"`
}

func orNull(key string) *string {
	if key == "" {
		return nil
	}
	return &key
}

// diffKinds are the kinds of differences. A rebuilt package has the same version and other
// files or control fields.
var diffKinds = []string{"added", "removed", "newer", "older", "rebuilt"}

// diffQuery describes the parameters of a comparison.
func diffQuery() []openapi.Param {
	return append(pageQuery(), openapi.Param{Name: "kind", About: "only differences of this kind. A newer version is on the right, an older one on the left. Not in aptly", Values: diffKinds, Default: "all"},
		openapi.Param{Name: "onlyMatching", About: "only packages that both snapshots have in different versions", Values: []string{"1"}},
		openapi.Param{Name: "name", About: "only packages whose name has this part. Not in aptly", Default: "none: all"})
}

// diffRoutes adds comparisons that aptly's API does not have.
func (s *Server) diffRoutes(rt *Router) {
	rt.Handle("GET", "/api/repos/{name}/diff/{withRepo}", needs(param(auth.RepoRead, "name"), param(auth.RepoRead, "withRepo")), s.diffRepos)
	rt.Handle("GET", onePublication+"/diff", needs(publication(auth.PublishRead)), s.diffRevisions)
}

func diffOperations() []openapi.Operation {
	revision := func(name, about, otherwise string) openapi.Param {
		return openapi.Param{Name: name, About: about, Default: otherwise}
	}
	return []openapi.Operation{
		op("GET", "/api/repos/{name}/diff/{withRepo}", "Repositories", "diffRepos", "List how two repositories differ", gives(200, []difference{}, diffQuery()...)),
		op("GET", onePublication+"/diff", "Publish", "diffRevisions", "List how two revisions of a publication differ, by component", gives(200, []difference{},
			append(diffQuery(), revision("from", "Generation of the revision on the left", "the one before that on the right"),
				revision("to", "Generation of the revision on the right", "the current one"))...)),
	}
}

// repoList returns the packages of the repository that a parameter of the path names.
func (s *Server) repoList(r *http.Request, name string) (*pkglist.List, error) {
	found, err := s.Repos.ByName(r.Context(), Param(r, name))
	if err != nil {
		return nil, err
	}
	return s.Repos.Packages(r.Context(), found)
}

func (s *Server) diffRepos(w http.ResponseWriter, r *http.Request) error {
	left, err := s.repoList(r, "name")
	if err != nil {
		return err
	}
	right, err := s.repoList(r, "withRepo")
	if err != nil {
		return err
	}
	return writeDiff(w, r, pairs(pkglist.Diff(r.Context(), left, right)))
}

func (s *Server) diffRevisions(w http.ResponseWriter, r *http.Request) error {
	var sides [2]int64
	for i, name := range []string{"from", "to"} {
		text := Query(r, name)
		n, err := strconv.ParseInt(text, 10, 64)
		if text != "" && (err != nil || n < 1) {
			return Errorf(http.StatusBadRequest, "invalid %s %.20q: the Generation of a revision", name, text)
		}
		sides[i] = n
	}
	all, err := s.Publish.Differences(r.Context(), published(r), sides[0], sides[1])
	if err != nil {
		return err
	}
	return writeDiff(w, r, all)
}

// pairs returns differences of lists that are in no component.
func pairs(all iter.Seq2[pkglist.Pair, error]) iter.Seq2[publish.Difference, error] {
	return func(yield func(publish.Difference, error) bool) {
		for pair, err := range all {
			if !yield(publish.Difference{Pair: pair}, err) {
				return
			}
		}
	}
}

// viewDifference returns a difference as clients see it.
func viewDifference(d publish.Difference) any {
	return difference{orNull(d.Left), orNull(d.Right), d.Component}
}

// writeDiff answers with a comparison, or with a page of it.
func writeDiff(w http.ResponseWriter, r *http.Request, all iter.Seq2[publish.Difference, error]) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	wanted, kind := onlyWanted(r), Query(r, "kind")
	if kind != "" && !slices.Contains(diffKinds, kind) {
		return Errorf(http.StatusBadRequest, "invalid kind %.20q: %s", kind, strings.Join(diffKinds, ", "))
	}
	if p.limit > 0 {
		return diffPage(w, p, kind, wanted, all)
	}
	out := newArray(w)
	for d, err := range all {
		if err != nil {
			return out.fail(err)
		}
		if wanted(d.Pair) && (kind == "" || kind == kindOf(d.Pair)) {
			out.add(viewDifference(d))
		}
	}
	return out.end()
}

// onlyWanted returns whether a request wants a difference.
func onlyWanted(r *http.Request) func(pkglist.Pair) bool {
	part, matching := Query(r, "name"), Flag(r, "onlyMatching")
	return func(pair pkglist.Pair) bool {
		return (!matching || pair.Left != "" && pair.Right != "") && (part == "" || strings.Contains(nameOf(pair), part))
	}
}

// kindOf returns the kind of a difference, one of diffKinds.
func kindOf(pair pkglist.Pair) string {
	switch {
	case pair.Left == "":
		return "added"
	case pair.Right == "":
		return "removed"
	}
	left, err := deb.ParseKey(pair.Left)
	if err != nil {
		return "rebuilt"
	}
	right, err := deb.ParseKey(pair.Right)
	if err != nil {
		return "rebuilt"
	}
	switch c := deb.CompareVersions(left.Version, right.Version); {
	case c < 0:
		return "newer"
	case c > 0:
		return "older"
	}
	return "rebuilt"
}

// diffPage answers with a page of a comparison. after is the number of the differences
// before the page. The header X-Total has the number of all differences of the page's kind.
// X-Added, X-Removed, X-Newer, X-Older and X-Rebuilt have those of each kind, and X-Changed
// the sum of the last three.
func diffPage(w http.ResponseWriter, p paging, kind string, wanted func(pkglist.Pair) bool, all iter.Seq2[publish.Difference, error]) error {
	from, err := strconv.Atoi(p.after)
	if p.after != "" && (err != nil || from < 0) {
		return errAfter(p.after)
	}
	numbers := map[string]int{}
	got := taken[publish.Difference]{}
	for pair, err := range all {
		if err != nil {
			return err
		}
		if !wanted(pair.Pair) {
			continue
		}
		its := kindOf(pair.Pair)
		numbers[its]++
		if kind != "" && kind != its {
			continue
		}
		if got.total++; got.total > from && got.total <= from+p.limit {
			got.items = append(got.items, pair)
		}
	}
	if from+p.limit < got.total {
		got.next = strconv.Itoa(from + p.limit)
	}
	for _, name := range diffKinds {
		w.Header().Set("X-"+strings.ToUpper(name[:1])+name[1:], fmt.Sprint(numbers[name]))
	}
	w.Header().Set("X-Changed", fmt.Sprint(numbers["newer"]+numbers["older"]+numbers["rebuilt"]))
	return writePage(w, got, viewDifference)
}

// nameOf returns the name of the package of a difference.
func nameOf(pair pkglist.Pair) string {
	key := pair.Left
	if key == "" {
		key = pair.Right
	}
	parts := strings.Fields(key) // architecture, name, version, digest
	if len(parts) < 2 {
		return key
	}
	return parts[1]
}
