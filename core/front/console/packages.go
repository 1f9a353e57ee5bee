package console

import (
	"net/http"
	"path"
	"strconv"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// pageSize is the number of elements of a list on a page.
const pageSize = "100"

// packageRow is a package in a list.
type packageRow struct{ Key, Name, Version, Architecture, Summary, Path string }

// packageList is a page of a list of packages.
type packageList struct {
	Query string // as the user has typed it, or as the fields of the form say
	Terms []layout.Term
	Used  bool   // the fields of the form have values
	Error string // why the query cannot be read
	List  []packageRow
	Total string // number of all; "" with a query
	Next  string // address of the next page
}

// status returns the status of a page with the list.
func (l packageList) status() int {
	if l.Error != "" {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// listPackages returns the page of a list that a request wants.
func (q *request) listPackages(call client.Call[[]map[string]string]) (packageList, error) {
	l := packageList{Query: q.query("q")}
	fields, query := layout.Terms(q.r.URL.Query())
	if l.Terms, l.Used = fields, query != ""; l.Query == "" {
		l.Query = query
	}
	call = call.With("q", layout.Glob(l.Query))
	if q.aptless {
		call = call.With("limit", pageSize).With("after", q.query("after"))
	}
	found, err := client.Send(q.ctx, q.api, call)
	if client.StatusOf(err) == http.StatusBadRequest && l.Query != "" {
		l.Error = err.Error()
		return l, nil
	}
	if err != nil {
		return l, err
	}
	values := found.Value
	if !q.aptless {
		l.Total = layout.Count(len(values))
		values = values[:min(len(values), 100)]
	} else {
		l.Total, l.Next = grouped(found.Header.Get("X-Total")), q.page(found.Header)
	}
	for _, fields := range values {
		l.List = append(l.List, rowOf(fields))
	}
	return l, nil
}

// grouped writes the number in a header for people. A text that is no number stays.
func grouped(number string) string {
	if n, err := strconv.Atoi(number); err == nil {
		return layout.Count(n)
	}
	return number
}

// rowOf returns the row of a package.
func rowOf(fields map[string]string) packageRow {
	arch, _, _ := strings.Cut(strings.TrimPrefix(fields["ShortKey"], "P"), " ")
	return packageRow{Key: fields["Key"], Name: fields["Package"], Version: fields["Version"], Architecture: arch,
		Summary: layout.Summary(fields["Description"]), Path: packagePath(fields["Key"])}
}

// packagePath returns the path of the page of a package.
func packagePath(key string) string { return pathTo("package", key) }

func (q *request) packages() error {
	l, err := q.listPackages(client.AllFields())
	if err != nil {
		return err
	}
	return q.write(l.status(), "packages", "Packages", l)
}

// packageView is the data of the page of a package.
type packageView struct {
	packageRow
	Paragraphs []string
	Homepage   string
	Relations  []layout.Relations
	Others     []layout.Field
	Files      []fileView
	Paths      []string // that the package installs, if they are asked for
	Asked      bool
	Unreadable string
	References *client.References // nil if the session may not read them
	Origins    []client.Origin
	Versions   []packageRow
}

// fileView is a file of a package.
type fileView struct {
	client.File
	URL string // at which a publication has it; "" if none has, or at no address that is known
}

// viewFiles returns the files of a package with an address of each.
func viewFiles(f client.Files) (list []fileView) {
	for _, file := range f.Files {
		v := fileView{File: file}
		for _, p := range f.Published {
			if v.URL == "" && path.Base(p.Path) == file.Name {
				v.URL = p.URL
			}
		}
		list = append(list, v)
	}
	return list
}

// apart are fields that the page shows at places of their own.
var apart = []string{"Package", "Version", "Architecture", "Description", "Homepage", "Filename", "Files", "Checksums-Sha1", "Checksums-Sha256",
	"Checksums-Sha512", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Key", "ShortKey", "FilesHash", "Description-md5"}

// maxPaths bounds the paths on a page.
const maxPaths = 2000

func (q *request) onePackage() error {
	key := q.r.PathValue("key")
	found, err := client.Send(q.ctx, q.api, client.ShowPackage(key))
	if err != nil {
		return err
	}
	fields := found.Value
	v := packageView{packageRow: rowOf(fields), Homepage: fields["Homepage"], Asked: q.query("contents") != ""}
	v.Summary, v.Paragraphs = layout.Describe(fields["Description"])
	v.Relations, v.Others = layout.Split(fields, apart...)
	if q.aptless {
		if err := q.around(&v, key); err != nil {
			return err
		}
	}
	if err := q.versions(&v); err != nil {
		return err
	}
	return q.write(http.StatusOK, "package", v.Name+" "+v.Version, v)
}

// maxBeside bounds the lists in which a page looks for other versions.
const maxBeside = 4

// versions sets the other packages of the name, of lists that have the package. A list
// finds a name by its index. A search of all packages would read all of them.
func (q *request) versions(v *packageView) error {
	if v.References == nil {
		return nil
	}
	var places []client.Call[[]map[string]string]
	for _, in := range []struct {
		kind  string
		names []string
	}{{client.OfRepos, v.References.Repos}, {client.OfMirrors, v.References.Mirrors}, {client.OfSnapshots, v.References.Snapshots}} {
		for _, name := range in.names {
			places = append(places, client.ListFields(in.kind, name))
		}
	}
	seen := map[string]bool{v.Key: true}
	for _, call := range places[:min(len(places), maxBeside)] {
		found, err := client.Send(q.ctx, q.api, call.With("q", "Name (% "+v.Name+")").With("limit", "50"))
		if err != nil && client.StatusOf(err) != http.StatusNotFound { // dropped meanwhile
			return err
		}
		for _, fields := range found.Value {
			if row := rowOf(fields); !seen[row.Key] && row.Name == v.Name {
				seen[row.Key] = true
				v.Versions = append(v.Versions, row)
			}
		}
	}
	return nil
}

// around sets the files, the references and the origins of a package.
func (q *request) around(v *packageView, key string) error {
	files, err := client.Send(q.ctx, q.api, client.ListPackageFiles(key).Flag("contents", v.Asked))
	if err != nil {
		return err
	}
	v.Files, v.Unreadable = viewFiles(files.Value), files.Value.Unreadable
	v.Paths = files.Value.Paths[:min(len(files.Value.Paths), maxPaths)]
	references, err := client.Send(q.ctx, q.api, client.ListReferences(key))
	switch {
	case err == nil:
		v.References = &references.Value
	case client.StatusOf(err) != http.StatusForbidden:
		return err
	}
	origins, err := client.Send(q.ctx, q.api, client.ListOrigins(key))
	if err == nil {
		v.Origins = origins.Value[:min(len(origins.Value), 20)]
	} else if client.StatusOf(err) != http.StatusForbidden {
		return err
	}
	return nil
}
