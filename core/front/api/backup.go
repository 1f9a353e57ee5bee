package api

import (
	"errors"
	"net/http"

	"aptless/core/engine/driver"
	"aptless/core/formats/openapi"
	"aptless/core/front/auth"
)

func (s *Server) backupRoutes(rt *Router) {
	rt.Handle("POST", "/api/backups", needs(plain(auth.DBManage)).after(), func(w http.ResponseWriter, r *http.Request) error {
		if s.Freezer == nil {
			return Errorf(http.StatusBadRequest, "this deployment has no data folder: export its objects, and see the backups of its table and its bucket")
		}
		f, err := s.Freezer.Freeze(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusCreated, f)
	})
	rt.Handle("DELETE", "/api/backups/{id}", needs(plain(auth.DBManage)).after(), func(w http.ResponseWriter, r *http.Request) error {
		err := driver.ErrNotFound
		if s.Freezer != nil {
			err = s.Freezer.Thaw(Param(r, "id"))
		}
		if errors.Is(err, driver.ErrNotFound) {
			return Errorf(http.StatusNotFound, "no copy %.40q of the data folder", Param(r, "id"))
		}
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, struct{}{})
	})
}

func backupOperations() []openapi.Operation {
	return []openapi.Operation{
		op("POST", "/api/backups", "Database", "freezeData", "Make a copy of the data folder by links, as it is at one moment. Not in aptly", gives(201, Frozen{})),
		op("DELETE", "/api/backups/{id}", "Database", "thawData", "Remove a copy of the data folder. Not in aptly", gives(200, empty{})),
	}
}
