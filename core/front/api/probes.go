package api

import "net/http"

// readiness answers a probe. Warnings is not aptly's.
type readiness struct {
	Status   string
	Warnings []string `json:",omitempty"`
}

// probeRoutes are what monitors ask, by GET or HEAD.
func (s *Server) probeRoutes(rt *Router) {
	ready := func(w http.ResponseWriter, _ *http.Request) error {
		answer := readiness{Status: "Aptly is ready"}
		if s.Problems != nil {
			answer.Warnings = s.Problems()
		}
		return WriteJSON(w, http.StatusOK, answer)
	}
	rt.Probe("/api/ready", ready)
	rt.Probe("/api/healthy", constant(readiness{Status: "Aptly is healthy"}))
	rt.Handle("GET", "/api/version", constant(map[string]string{"Version": s.Version}))
}
