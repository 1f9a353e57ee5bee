package pages

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// maxHome bounds the publications of the root page.
const maxHome = 200

// pubView is a publication on a page.
type pubView struct {
	client.PublicationDetails
	Path       string // of its page
	Name       string // as apt and people name it: "stable", "team/a stable", or "filesystem:local:. stable"
	Tree       string // path of its files; "" if this server does not serve them
	Components []string
}

// keyView is a key on the root page.
type keyView struct {
	client.SigningKey
	Grouped string    // the fingerprint in groups of four
	Until   time.Time // zero is for ever
	Soon    bool      // it expires within a month
	Over    bool      // it has expired
}

// homeView is the data of the root page.
type homeView struct {
	About        About
	Publications []pubView
	More         int // publications that are not shown
	Trees        []treeView
	Keys         []keyView
	Console      string
}

// treeView is a folder with the files of publications.
type treeView struct {
	Path string // with a last slash
	Pool bool   // there are package files below pool/
}

// trees returns the folders of the files of publications, in the order of the list.
func trees(list []pubView) (all []treeView) {
	for _, p := range list {
		if p.Tree == "" {
			continue
		}
		i := slices.IndexFunc(all, func(t treeView) bool { return t.Path == p.Tree })
		if i < 0 {
			i, all = len(all), append(all, treeView{Path: p.Tree})
		}
		all[i].Pool = all[i].Pool || p.HasPool()
	}
	return all
}

// HasPool reports whether package files are in folders below pool/. Those of the pool layout
// hash are found by their names only.
func (p pubView) HasPool() bool { return p.NumPackages > 0 && p.PoolLayout != "hash" }

// soon is the time before its end in which a key is announced.
const soon = 30 * 24 * time.Hour

func (q *request) home() error {
	all, err := q.publications()
	if err != nil {
		return err
	}
	keys, err := q.keys()
	if err != nil {
		return err
	}
	v := homeView{About: q.About, Keys: keys, Console: q.Console}
	v.Publications = all[:min(len(all), maxHome)]
	v.More, v.Trees = len(all)-len(v.Publications), trees(v.Publications)
	return q.write(http.StatusOK, "home", "Home", v)
}

// publications returns the publications that the reader may see.
func (q *request) publications() ([]pubView, error) {
	found, err := client.Send(q.ctx, q.api, client.ListPublicationDetails())
	if err != nil {
		return nil, err
	}
	var all []pubView
	for _, p := range found.Value {
		all = append(all, viewPublication(p))
	}
	return all, nil
}

// viewPublication returns a publication as a page shows it.
func viewPublication(p client.PublicationDetails) pubView {
	v := pubView{PublicationDetails: p, Path: pathOf(p.Place()), Name: p.Distribution, Tree: treeOf(p.Publication)}
	if place := p.Place(); place.Prefix != "." && place.Prefix != "" {
		v.Name = place.Prefix + " " + p.Distribution
	}
	for _, s := range p.Sources {
		v.Components = append(v.Components, s.Component)
	}
	return v
}

// pathOf returns the path of the page of a publication. The segment "-" is the root: a
// URL cannot have a segment ".".
func pathOf(p client.Place) string {
	prefix, distribution := p.Segments()
	if prefix == ":." {
		prefix = "-"
	}
	return publicationPath + layout.Segment(prefix) + "/" + layout.Segment(distribution)
}

// placeOf reads the segments of such a path.
func placeOf(prefix, distribution string) client.Place {
	if prefix == "-" {
		prefix = ":."
	}
	return client.ParsePlace(prefix, distribution)
}

// treeOf returns the path of the folder of a publication's files, with a last slash.
func treeOf(p client.Publication) string {
	root := "/"
	if name, ok := strings.CutPrefix(p.Storage, "filesystem:"); ok {
		root = "/repos/" + name + "/"
	} else if p.Storage != "" {
		return ""
	}
	return strings.TrimSuffix(path.Join(root, p.Prefix), "/") + "/"
}

// keys returns the keys that sign publications.
func (q *request) keys() ([]keyView, error) {
	found, err := client.Send(q.ctx, q.api, client.ListSigningKeys())
	if err != nil {
		return nil, err
	}
	var list []keyView
	for _, k := range found.Value {
		v := keyView{SigningKey: k, Grouped: grouped(k.Fingerprint)}
		if at, err := time.Parse(time.RFC3339, k.Expires); err == nil {
			v.Until, v.Over = at, at.Before(q.Now())
			v.Soon = !v.Over && at.Sub(q.Now()) < soon
		}
		list = append(list, v)
	}
	return list, nil
}

// grouped writes a fingerprint in groups of four digits, as people compare them.
func grouped(fingerprint string) string {
	return strings.Join(slices.Collect(func(yield func(string) bool) {
		for part := range slices.Chunk([]byte(fingerprint), 4) {
			if !yield(string(part)) {
				return
			}
		}
	}), " ")
}
