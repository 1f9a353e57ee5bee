package pages

import (
	"net/http"
	"strings"

	"aptless/core/client"
)

// maxSearched bounds the publications that one search reads.
const maxSearched = 50

// perSearched is the number of packages of each that a search shows.
const perSearched = "20"

// searchView is the data of the page of the search.
type searchView struct {
	Query  string
	Groups []foundIn
	Left   int // publications that were not searched
	None   bool
	Error  string // why the query cannot be read
}

// foundIn are the packages that were found in a publication.
type foundIn struct {
	pubView
	Packages []packageRow
	More     string // address of all that was found there; "" if this is all
}

// search shows the packages of all publications that match a text.
func (q *request) search() error {
	v := searchView{Query: strings.TrimSpace(q.r.URL.Query().Get("q"))}
	if v.Query == "" {
		return q.write(http.StatusOK, "search", "Search", v)
	}
	all, err := q.publications()
	if err != nil {
		return err
	}
	status := http.StatusOK
	v.Left = max(0, len(all)-maxSearched)
	for _, p := range all[:min(len(all), maxSearched)] {
		got, err := q.packages(p.Place(), v.Query, "", perSearched)
		if client.StatusOf(err) == http.StatusBadRequest {
			v.Error, v.Left, status = err.Error(), 0, http.StatusBadRequest
			break
		}
		if err != nil {
			return err
		}
		if len(got.list) == 0 {
			continue
		}
		group := foundIn{pubView: p, Packages: got.list}
		if got.next != "" {
			group.More = p.Path
		}
		v.Groups = append(v.Groups, group)
	}
	v.None = len(v.Groups) == 0 && v.Error == ""
	return q.write(status, "search", "Search: "+v.Query, v)
}
