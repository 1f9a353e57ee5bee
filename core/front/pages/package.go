package pages

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// packageView is the data of the page of a package.
type packageView struct {
	packageRow
	Publication pubView
	Paragraphs  []string // of the description
	Homepage    string
	Maintainer  string
	Relations   []layout.Relations
	Others      []layout.Field
	Files       []fileView
	Install     string       // a command; "" for a source package
	Versions    []packageRow // other packages of the name in the publication
}

// fileView is a file of a package.
type fileView struct {
	Name, Path, SHA256 string
	Size               int64
}

// shownApart are fields that a page shows at places of their own.
var shownApart = []string{"Package", "Version", "Architecture", "Component", "Description", "Homepage", "Maintainer", "Filename", "Directory", "Files",
	"Checksums-Sha1", "Checksums-Sha256", "Checksums-Sha512", "Size", "MD5sum", "SHA1", "SHA256", "SHA512", "Key", "ShortKey", "FilesHash", "Description-md5"}

// onePackage shows a package of a publication. The path ends in component, name, version
// and architecture.
func (q *request) onePackage() error {
	place, rest, err := q.place(packagePath)
	if err != nil || len(rest) != 4 {
		return orAbsent(err)
	}
	found, err := client.Send(q.ctx, q.api, client.ShowPublicationDetails(place))
	if err != nil {
		return err
	}
	component, name, version, arch := rest[0], rest[1], rest[2], rest[3]
	fields, err := q.named(place, component, name+"_"+version+"_"+arch, "2")
	if err != nil {
		return err
	}
	if len(fields) != 1 || fields[0]["Version"] != version || strings.ContainsAny(name+version+arch, " ,|!(){}\"'") {
		return errAbsent
	}
	v := viewPackage(place, fields[0])
	v.Publication = viewPublication(found.Value)
	v.locate(fields[0])
	others, err := q.named(place, "", "Name (% "+name+")", "30")
	if err != nil {
		return err
	}
	for _, o := range others {
		if row := viewRow(place, o); row.Path != v.Path {
			v.Versions = append(v.Versions, row)
		}
	}
	return q.write(http.StatusOK, "package", v.Name+" "+v.Version, v)
}

// named returns the packages of a query in a component; "" is all components.
func (q *request) named(place client.Place, component, query, limit string) ([]map[string]string, error) {
	found, err := client.Send(q.ctx, q.api, client.ListPublished(place).With("limit", limit).With("component", component).With("q", query))
	return found.Value, err
}

// viewPackage returns a package as its page shows it, without its files.
func viewPackage(place client.Place, fields map[string]string) packageView {
	v := packageView{packageRow: viewRow(place, fields), Maintainer: fields["Maintainer"], Homepage: fields["Homepage"]}
	v.Summary, v.Paragraphs = layout.Describe(fields["Description"])
	v.Relations, v.Others = layout.Split(fields, shownApart...)
	if v.Architecture != "source" {
		v.Install = "sudo apt-get install " + v.Name
	}
	return v
}

// locate sets the files and their addresses.
func (v *packageView) locate(fields map[string]string) {
	at := func(file string) string {
		if v.Publication.Tree == "" {
			return ""
		}
		return (&url.URL{Path: v.Publication.Tree + file}).EscapedPath()
	}
	if file := fields["Filename"]; file != "" {
		size, _ := strconv.ParseInt(fields["Size"], 10, 64) // a number, as the server made it
		v.Files = append(v.Files, fileView{path.Base(file), at(file), fields["SHA256"], size})
	}
	for line := range strings.Lines(fields["Checksums-Sha256"]) {
		parts := strings.Fields(line)
		if len(parts) != 3 {
			continue
		}
		size, _ := strconv.ParseInt(parts[1], 10, 64)
		v.Files = append(v.Files, fileView{parts[2], at(fields["Directory"] + "/" + parts[2]), parts[0], size})
	}
}
