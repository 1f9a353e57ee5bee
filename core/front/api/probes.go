package api

import "net/http"

// readiness is the answer to a probe. Warnings is an addition to aptly's API.
type readiness struct {
	Status   string
	Warnings []string `json:",omitempty"`
}

// probeRoutes adds the routes for monitors, for GET and HEAD.
func (s *Server) probeRoutes(rt *Router) {
	ready := func(w http.ResponseWriter, _ *http.Request) error {
		answer := readiness{Status: "Aptly is ready"}
		if s.Problems != nil {
			answer.Warnings = s.Problems()
		}
		return WriteJSON(w, http.StatusOK, answer)
	}
	rt.Probe("/api/ready", public(), ready)
	rt.Probe("/api/healthy", public(), constant(readiness{Status: "Aptly is healthy"}))
	rt.Handle("GET", "/api/version", anyPrincipal(), constant(map[string]string{"Version": s.Version}))
}
