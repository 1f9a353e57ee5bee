package api

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/formats/openapi"
	"aptless/core/front/auth"
)

// SetupVariants returns the names of the texts for apt. The first one is the default.
func SetupVariants() []string {
	return []string{"sources", "deb822", "keyfile", "list", "containerfile", "cloud-init", "ansible", "auth"}
}

// browseRoutes adds readings of a publication that aptly's API does not have.
func (s *Server) browseRoutes(rt *Router) {
	const one = "/api/publish/{prefix}/{distribution}"
	rt.Handle("GET", one+"/tree", needs(publication(auth.PublishRead)), s.browse)
	rt.Handle("GET", one+"/setup", needs(publication(auth.PublishRead)), s.setup)
	s.diffRoutes(rt)
}

func browseOperations() []openapi.Operation {
	const one = "/api/publish/{prefix}/{distribution}"
	return []openapi.Operation{
		op("GET", one+"/tree", "Publish", "browsePublication", "List a folder of the published tree, as the server's records have it", gives(200, []publish.Entry{},
			append(pageQuery(), openapi.Param{Name: "path", About: "the folder below the prefix, for example dists/stable/main", Default: "the prefix itself"})...)),
		op("GET", one+"/setup", "Publish", "setupPublication", "Write the text by which a machine gets to use a publication", gives(200, Setup{},
			openapi.Param{Name: "for", About: "where the text is used", Values: SetupVariants(), Default: "sources"})),
	}
}

// browse answers with the entries of a folder, or with a page of them.
func (s *Server) browse(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	entries, err := s.Publish.Browse(r.Context(), published(r), Query(r, "path"))
	if err != nil {
		return err
	}
	if p.limit == 0 {
		return WriteJSON(w, http.StatusOK, entries)
	}
	at, found := slices.BinarySearchFunc(entries, p.after, func(e publish.Entry, after string) int { return strings.Compare(e.Name, after) })
	if found {
		at++
	}
	got := taken[publish.Entry]{items: entries[at:min(len(entries), at+p.limit)]}
	if at+p.limit < len(entries) {
		got.next = entries[at+p.limit-1].Name
	}
	return writePage(w, got, func(e publish.Entry) any { return e })
}

func (s *Server) setup(w http.ResponseWriter, r *http.Request) error {
	variant := Query(r, "for")
	if variant == "" {
		variant = SetupVariants()[0]
	}
	if !slices.Contains(SetupVariants(), variant) {
		return Errorf(http.StatusBadRequest, "invalid for %.40q: %s", variant, strings.Join(SetupVariants(), ", "))
	}
	text, err := s.Setup(r.Context(), s.Tree.address(r), published(r), variant)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, text)
}
