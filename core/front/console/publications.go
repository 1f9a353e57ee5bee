package console

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/client"
	"aptless/core/front/auth"
)

// publication is a publication in a list.
type publication struct {
	client.PublicationDetails
	Title, Path string
}

func viewPublication(p client.PublicationDetails) publication {
	return publication{p, p.Place().String(), placePath(p.Place())}
}

func (q *request) publications() error {
	found, err := client.Send(q.ctx, q.api, client.ListPublicationDetails())
	if err != nil {
		return err
	}
	all := found.Value
	name := q.query("q")
	all = slices.DeleteFunc(all, func(p client.PublicationDetails) bool { return !strings.Contains(p.Place().String(), name) })
	v := publicationsView{Query: name, Total: len(all)}
	for _, p := range all[:min(len(all), maxPublications)] {
		v.List = append(v.List, viewPublication(p))
	}
	return q.write(http.StatusOK, "publications", "Publications", v)
}

// shown returns a publication. An aptly before 1.6 shows one only in its list.
func (q *request) shown(place client.Place) (client.PublicationDetails, error) {
	if q.aptless {
		found, err := client.Send(q.ctx, q.api, client.ShowPublicationDetails(place))
		return found.Value, err
	}
	found, err := client.Send(q.ctx, q.api, client.ListPublications())
	for _, p := range found.Value {
		if placePath(p.Place()) == placePath(place) {
			return client.PublicationDetails{Publication: p}, nil
		}
	}
	if err == nil {
		err = &client.Refusal{Status: http.StatusNotFound, Text: place.String() + " is not published."}
	}
	return client.PublicationDetails{}, err
}

// maxPublications bounds the publications on a page. A filter finds the others.
const maxPublications = 200

// publicationsView is the data of the list of publications.
type publicationsView struct {
	Query string
	Total int
	List  []publication
}

// setup is a text by which a machine gets to use a publication.
type setup struct {
	client.Setup
	Title string
}

// setups are the texts of the page, in its order.
var setups = []setup{{client.Setup{For: "sources"}, "One command"}, {client.Setup{For: "keyfile"}, "A .sources file and a key file"},
	{client.Setup{For: "containerfile"}, "Dockerfile"}, {client.Setup{For: "ansible"}, "Ansible"}}

// publicationView is the data of the page of a publication.
type publicationView struct {
	publication
	Staged    []client.Source
	Revisions []revision
	Setup     []setup
	Readers   string // path of its page for readers
	Actions   []action
	May       bool // go back to a revision
	MayStage  bool // change the sources of the next update
}

// revision is a state of a publication that is kept.
type revision struct {
	client.Revision
	First        bool // no other one is kept before it
	Known        bool // how many packages it has gained and lost
	Gained, Lost int
}

func viewRevisions(list []client.Revision) (all []revision) {
	for i, r := range list {
		v := revision{Revision: r, First: i == len(list)-1, Known: r.Added != nil && r.Removed != nil}
		if v.Known {
			v.Gained, v.Lost = *r.Added, *r.Removed
		}
		all = append(all, v)
	}
	return all
}

func (q *request) publication() error {
	place := q.place()
	found, err := q.shown(place)
	if err != nil {
		return err
	}
	v := publicationView{publication: viewPublication(found), May: q.mayChange(auth.PublishUpdate, publicationRight(place)) && q.aptless, MayStage: q.mayChange(auth.PublishUpdate, publicationRight(place))}
	staged, err := client.Send(q.ctx, q.api, client.ListSources(place))
	if err == nil {
		v.Staged = staged.Value
	} else if client.StatusOf(err) != http.StatusNotFound {
		return err
	}
	if q.aptless {
		revisions, err := client.Send(q.ctx, q.api, client.ListRevisions(place))
		if err != nil {
			return err
		}
		v.Revisions = viewRevisions(revisions.Value)
		for _, one := range setups {
			text, err := client.Send(q.ctx, q.api, client.ShowSetup(place, one.For))
			if err != nil {
				return err
			}
			v.Setup = append(v.Setup, setup{text.Value, one.Title})
		}
	}
	if q.Readers {
		v.Readers = strings.Replace(v.Path, "/-/publications/", "/-/d/", 1)
	}
	if v.SourceKind == "snapshot" {
		q.offer(&v.Actions, auth.PublishUpdate, publicationRight(place), action{placePath(place, "switch"), "Switch to another snapshot", false})
	} else {
		q.offer(&v.Actions, auth.PublishUpdate, publicationRight(place), action{placePath(place, "update"), "Update", false})
	}
	q.offer(&v.Actions, auth.PublishUpdate, publicationRight(place), action{placePath(place, "sources"), "Change the sources", false})
	q.offer(&v.Actions, auth.PublishManage, publicationRight(place), action{placePath(place, "drop"), "Drop", true})
	return q.write(http.StatusOK, "publication", v.Title, v)
}

// treeView is the data of a folder of a publication.
type treeView struct {
	publication
	Folder  string
	Up      string // address of the folder above; "" at the top
	Entries []treeEntry
	Next    string
}

// treeEntry is an entry of a folder with its address.
type treeEntry struct {
	client.TreeEntry
	Path string
}

func (q *request) tree() error {
	place := q.place()
	found, err := q.shown(place)
	if err != nil {
		return err
	}
	v := treeView{publication: viewPublication(found), Folder: strings.Trim(q.query("path"), "/")}
	entries, err := client.Send(q.ctx, q.api, client.ListTree(place, v.Folder).With("limit", "500").With("after", q.query("after")))
	if err != nil {
		return err
	}
	v.Next = q.page(entries.Header)
	for _, e := range entries.Value {
		at := strings.Trim(v.Folder+"/"+e.Name, "/")
		one := treeEntry{TreeEntry: e}
		switch {
		case e.Folder:
			one.Path = placePath(place, "tree") + "?path=" + at
		case q.Readers && v.Storage == "":
			one.Path = "/" + strings.TrimPrefix(v.Prefix+"/"+at, "./")
		}
		v.Entries = append(v.Entries, one)
	}
	if v.Folder != "" {
		up, _, _ := cutLast(v.Folder, "/")
		v.Up = placePath(place, "tree") + "?path=" + up
	}
	return q.write(http.StatusOK, "tree", v.Title+"/"+v.Folder, v)
}

// cutLast cuts a text at the last separator. Without one, before is "".
func cutLast(text, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}
