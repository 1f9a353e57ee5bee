package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// pageSize is the number of packages on a page.
const pageSize = "100"

// packageRow is a package in a list.
type packageRow struct {
	Name, Version, Architecture, Component, Summary, Path string
}

// publicationView is the data of the page of a publication.
type publicationView struct {
	pubView
	Dated    string // path of the files as they are now, also after later changes; "" if there is none
	Setup    []snippet
	Warnings []string // of the set-up: apt refuses the publication, for example
	Keys     []keyView
	Query    string // as the reader has typed it, or as the fields of the form say
	Terms    []layout.Term
	Used     bool   // the fields of the form have values
	Error    string // why the query cannot be read
	Packages []packageRow
	Total    string // number of all packages; "" with a query
	Next     string // address of the next page
}

func (q *request) publication() error {
	place, rest, err := q.place(publicationPath)
	if err != nil || rest != nil {
		return orAbsent(err)
	}
	found, err := client.Send(q.ctx, q.api, client.ShowPublicationDetails(place))
	if err != nil {
		return err
	}
	v := publicationView{pubView: viewPublication(found.Value), Query: strings.TrimSpace(q.r.URL.Query().Get("q"))}
	if v.Storage == "" && v.Tree != "" && !v.Date.IsZero() {
		v.Dated = "/snapshots/" + v.Date.UTC().Format("20060102T150405Z") + v.Tree
	}
	if v.Keys, err = q.keys(); err != nil {
		return err
	}
	if v.Setup, v.Warnings, err = q.setup(place, v.Private); err != nil {
		return err
	}
	terms, written := layout.Terms(q.r.URL.Query())
	if v.Terms, v.Used = terms, written != ""; v.Query == "" {
		v.Query = written
	}
	status := http.StatusOK
	rows, err := q.packages(place, v.Query, q.r.URL.Query().Get("after"), pageSize)
	if client.StatusOf(err) == http.StatusBadRequest && v.Query != "" {
		v.Error, status, err = err.Error(), http.StatusBadRequest, nil
	}
	if err != nil {
		return err
	}
	v.Packages, v.Total = rows.list, rows.total
	if rows.next != "" {
		v.Next = layout.Base(q.r) + q.r.URL.EscapedPath() + "?" + url.Values{"q": {v.Query}, "after": {rows.next}}.Encode() + "#packages"
	}
	return q.write(status, "publication", v.Name, v)
}

// orAbsent returns err, or that there is no such page.
func orAbsent(err error) error {
	if err == nil {
		return errAbsent
	}
	return err
}

// place reads a path: the publication, and the segments after it.
func (q *request) place(begin string) (client.Place, []string, error) {
	var parts []string
	for part := range strings.SplitSeq(strings.TrimPrefix(q.r.URL.EscapedPath(), begin), "/") {
		text, err := url.PathUnescape(part)
		if err != nil {
			return client.Place{}, nil, errAbsent
		}
		parts = append(parts, text)
	}
	if len(parts) < 2 || slices.Contains(parts, "") {
		return client.Place{}, nil, errAbsent
	}
	place := placeOf(parts[0], parts[1])
	if len(parts) == 2 {
		return place, nil, nil
	}
	return place, parts[2:], nil
}

// rows is a page of packages.
type rows struct {
	list        []packageRow
	total, next string
}

// packages returns a page of the packages of a publication.
func (q *request) packages(place client.Place, query, after, limit string) (rows, error) {
	call := client.ListPublished(place).With("limit", limit).With("after", after).With("q", layout.Glob(query))
	found, err := client.Send(q.ctx, q.api, call)
	if err != nil {
		return rows{}, err
	}
	got := rows{next: found.Header.Get("X-Next"), total: found.Header.Get("X-Total")}
	for _, fields := range found.Value {
		got.list = append(got.list, viewRow(place, fields))
	}
	return got, nil
}

// viewRow returns the row of a package.
func viewRow(place client.Place, fields map[string]string) packageRow {
	return packageRow{Name: fields["Package"], Version: fields["Version"], Architecture: architectureOf(fields), Component: fields["Component"],
		Summary: layout.Summary(fields["Description"]), Path: pathOfPackage(place, fields["Component"], fields)}
}

// architectureOf returns the architecture of a package as its key has it.
func architectureOf(fields map[string]string) string {
	arch, _, _ := strings.Cut(strings.TrimPrefix(fields["ShortKey"], "P"), " ")
	return arch
}

// pathOfPackage returns the path of the page of a package.
func pathOfPackage(place client.Place, component string, fields map[string]string) string {
	at := strings.Replace(pathOf(place), publicationPath, packagePath, 1)
	return at + "/" + layout.Segment(component) + "/" + layout.Segment(fields["Package"]) + "/" + layout.Segment(fields["Version"]) + "/" + layout.Segment(architectureOf(fields))
}
