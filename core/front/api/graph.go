package api

import (
	"mime"
	"net/http"

	"aptless/core/formats/graphviz"
)

// graph answers with the graph of all objects and their sources, as DOT or rendered.
func (s *Server) graph(w http.ResponseWriter, r *http.Request) error {
	layout := graphviz.Horizontal
	if Query(r, "layout") == "vertical" {
		layout = graphviz.Vertical
	}
	nodes, err := s.Nodes(r.Context())
	if err != nil {
		s.Log.Error("graph could not be made", "error", err)
		return WriteJSON(w, http.StatusInternalServerError, struct{}{})
	}
	dot := graphviz.Dot(nodes, layout)
	ext := Param(r, "ext")
	if ext == "dot" || ext == "gv" {
		return writeBytes(w, "text/plain; charset=utf-8", dot)
	}
	picture, err := s.Draw(r.Context(), ext, dot)
	if err != nil {
		return Errorf(http.StatusInternalServerError, "unable to execute dot: %v (is graphviz package installed?)", err)
	}
	contentType := mime.TypeByExtension("." + ext)
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	page(w.Header(), "'unsafe-inline'") // a picture as SVG is a page: names of objects are its text
	return writeBytes(w, contentType, picture)
}
