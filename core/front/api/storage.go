package api

import (
	"net/http"
	"slices"
	"strings"
)

// Space is how much room there is for data, in bytes.
type Space struct{ Total, Free uint64 }

// room is Space as clients see it, in MiB.
type room struct {
	Total, Free uint64
	PercentFull float32
}

// unbounded is what is said to be there where storage has no end: 1 EiB.
const unbounded = 1 << 60

// storage answers how much room there is, in MiB.
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

// endpointRoutes are the lists of further places to publish to. aptly lists
// three kinds of them.
func (s *Server) endpointRoutes(rt *Router) {
	for _, kind := range []string{"s3", "gcs", "jfrog"} {
		names := []string{}
		for _, storage := range s.Tree.Storages {
			if name, ok := strings.CutPrefix(storage, kind+":"); ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		rt.Handle("GET", "/api/"+kind, constant(names))
	}
}
