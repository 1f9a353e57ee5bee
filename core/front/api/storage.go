package api

import (
	"net/http"
	"slices"
	"strings"
)

// room is the JSON form of Space, in MiB.
type room struct {
	Total, Free uint64
	PercentFull float32
}

// unbounded is the reported size of an unbounded storage: 1 EiB.
const unbounded = 1 << 60

// storage answers with the size of the storage, in MiB.
func (s *Server) storage(w http.ResponseWriter, _ *http.Request) error {
	space := Space{Total: unbounded, Free: unbounded}
	if s.Space != nil {
		var err error
		if space, err = s.Space(); err != nil {
			return Errorf(http.StatusBadRequest, "Error getting storage info on data: %v", err)
		}
	}
	full := float32(0)
	if space.Total > 0 {
		full = 100 - 100*float32(float64(space.Free)/float64(space.Total))
	}
	return WriteJSON(w, http.StatusOK, room{space.Total >> 20, space.Free >> 20, full})
}

// endpointRoutes adds the lists of further storages, by aptly's three kinds.
func (s *Server) endpointRoutes(rt *Router) {
	for _, kind := range []string{"s3", "gcs", "jfrog"} {
		names := []string{}
		for _, storage := range s.Tree.Storages {
			if name, ok := strings.CutPrefix(storage, kind+":"); ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		rt.Handle("GET", "/api/"+kind, anyPrincipal(), constant(names))
	}
}

// repair starts a repair of the whole storage.
func (s *Server) repair(w http.ResponseWriter, r *http.Request) error {
	return s.run(w, r, s.Repairs.check(Flag(r, "dryRun")), nil)
}
