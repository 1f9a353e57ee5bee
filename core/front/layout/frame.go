package layout

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed frame.html
var frames embed.FS

// Link is a link of the navigation.
type Link struct {
	Path, Text string
	Current    bool
}

// View is a page. Base and Theme are set by Set.Write.
type View struct {
	Title   string
	Site    string // name of the server in the header
	Home    string // path of the link on the name
	Nav     []Link
	Search  string // path of the search in the header; "" is none
	Query   string // the text of the search
	User    string // name of the signed-in user; "" is none
	Token   string // of the forms of this session; "" if the page has none
	SignIn  string // path of the form to sign in; "" is none
	SignOut string // path of the form to sign out; "" is none
	Mode    string // such as "read only", beside the name; "" is none
	About   string // path of the explanation of Mode
	Notice  string // of an action that has succeeded
	Now     time.Time
	Data    any

	Base, Path, Theme string
}

// Set has the templates of pages by the names of their files without ".html".
type Set map[string]*template.Template

// Parse reads the templates of pages. A file defines "body". The file parts.html, if there
// is one, has templates that all files use. more are further functions of the templates.
func Parse(files fs.FS, more ...template.FuncMap) (Set, error) {
	paths, err := assets()
	if err != nil {
		return nil, err
	}
	base := template.New("frame").Funcs(functions(paths))
	for _, own := range more {
		base.Funcs(own)
	}
	base, err = base.ParseFS(frames, "frame.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == "parts.html" {
			if base, err = base.ParseFS(files, name); err != nil {
				return nil, err
			}
		}
	}
	set := Set{}
	for _, name := range names {
		one, err := base.Clone()
		if err == nil {
			one, err = one.ParseFS(files, name)
		}
		if err != nil {
			return nil, err
		}
		set[strings.TrimSuffix(path.Base(name), ".html")] = one
	}
	return set, nil
}

// Write answers with the page of a template.
func (s Set) Write(w http.ResponseWriter, r *http.Request, status int, name string, v View) error {
	v.Base, v.Theme = Base(r), theme(r)
	if v.Path == "" {
		v.Path = r.URL.RequestURI()
	}
	t, ok := s[name]
	if !ok {
		return fmt.Errorf("there is no template %s", name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "frame", v); err != nil {
		return err
	}
	Write(w, r, status, b.Bytes())
	return nil
}
