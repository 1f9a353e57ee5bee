package pages

import (
	"net/http"
	"net/url"
	"strings"
)

// folderView is the data of the listing of a folder.
type folderView struct {
	Crumbs  []crumb
	Entries []Entry
	Next    string // address of the next page
}

// crumb is a folder on the way to another one.
type crumb struct{ Name, Path string }

// folder lists a folder of a published tree.
func (q *request) folder() error {
	path := q.r.URL.Path
	list, next, found, err := q.Folder(q.r.Context(), path, q.r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	if !found {
		q.Tree.ServeHTTP(q.w, q.r) // the answer for a file that does not exist
		return nil
	}
	v := folderView{Entries: list}
	if next != "" {
		v.Next = "?" + url.Values{"after": {next}}.Encode()
	}
	at := "/"
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		at += url.PathEscape(part) + "/"
		v.Crumbs = append(v.Crumbs, crumb{part, at})
	}
	return q.write(http.StatusOK, "folder", path, v)
}
