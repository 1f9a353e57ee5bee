package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/fsck"
	"aptless/core/engine/driver"
	"aptless/core/front/auth"
)

// room is the JSON form of Space, in MiB.
type room struct {
	Total, Free uint64
	PercentFull float32
}

// unbounded is the reported size of an unbounded storage: 1 EiB.
const unbounded = 1 << 60

// storage answers with the size of the storage, in MiB.
func (s *Server) storage(w http.ResponseWriter, r *http.Request) error {
	switch by := Query(r, "by"); by {
	case "":
	case "object":
		return s.storageByObject(w, r)
	default:
		return Errorf(http.StatusBadRequest, "invalid by %.20q: object", by)
	}
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

// storageByObject answers with the storage that objects take by the last check, as far as
// the sender may read them.
func (s *Server) storageByObject(w http.ResponseWriter, r *http.Request) error {
	usage, err := s.Checker.Usage(r.Context())
	if errors.Is(err, driver.ErrNotFound) {
		return Errorf(http.StatusNotFound, "the storage was never checked: POST /api/db/check does it")
	}
	if err != nil {
		return err
	}
	can := map[string]auth.Permission{"repo": auth.RepoRead, "mirror": auth.MirrorRead, "snapshot": auth.SnapshotRead}
	usage.Objects = slices.DeleteFunc(usage.Objects, func(o fsck.Object) bool {
		if o.Kind != "publish" {
			return !may(r, can[o.Kind], o.Name)
		}
		return !may(r, auth.PublishRead, auth.Publication(o.Storage, o.Prefix, o.Dist))
	})
	return WriteJSON(w, http.StatusOK, usage)
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
