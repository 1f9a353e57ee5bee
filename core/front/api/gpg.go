package api

import (
	"errors"
	"net/http"
	"strings"

	"aptless/core/archive/keyring"
	"aptless/core/front/auth"
)

// gpgAddKeyParams is the body of the import of keys.
type gpgAddKeyParams struct {
	Keyserver   string
	GpgKeyID    string
	GpgKeyArmor string
	Keyring     string
}

// gpgDeleteKeyParams is the body of the deletion of a key.
type gpgDeleteKeyParams struct {
	GpgKeyID string
	Keyring  string
}

func (s *Server) gpgRoutes(rt *Router) {
	rt.Handle("GET", "/api/gpg/keys", needs(plain(auth.GPGRead)), func(w http.ResponseWriter, r *http.Request) error {
		keys, err := s.Keyrings.List(r.Context(), sanitise(Query(r, "keyring")))
		if err != nil {
			return badKey("failed to list keys: ", err)
		}
		return WriteJSON(w, http.StatusOK, struct{ Keys []keyring.View }{keys})
	})
	rt.Handle("POST", "/api/gpg/key", needs(plain(auth.GPGManage)).around(), s.addKey)
	rt.Handle("DELETE", "/api/gpg/key", needs(plain(auth.GPGManage)).around(), func(w http.ResponseWriter, r *http.Request) error {
		var body gpgDeleteKeyParams
		if err := Bind(r, &body); err != nil {
			return err
		}
		id := strings.TrimSpace(sanitise(body.GpgKeyID))
		if id == "" {
			return Errorf(http.StatusBadRequest, "GpgKeyID is required")
		}
		if err := s.Keyrings.Delete(r.Context(), sanitise(body.Keyring), id); err != nil {
			return badKey("failed to delete key: ", err)
		}
		return WriteJSON(w, http.StatusOK, "")
	})
}

// badKey returns status 400 for a key that the keyring refuses.
func badKey(title string, err error) error {
	if refusal := (*keyring.Refusal)(nil); errors.As(err, &refusal) {
		return Errorf(http.StatusBadRequest, "%s%v", title, refusal)
	}
	return err
}

// addKey imports keys. It answers a refusal with a bare string in the form of gpg's
// output.
func (s *Server) addKey(w http.ResponseWriter, r *http.Request) error {
	var body gpgAddKeyParams
	if err := Bind(r, &body); err != nil {
		return err
	}
	ids, ring := strings.TrimSpace(sanitise(body.GpgKeyID)), sanitise(body.Keyring)
	var said string
	var err error
	switch {
	case body.GpgKeyArmor != "" && ids != "":
		return WriteJSON(w, http.StatusBadRequest, "gpg: conflicting commands\n")
	case body.GpgKeyArmor != "":
		said, err = s.Keyrings.Import(r.Context(), ring, []byte(body.GpgKeyArmor))
	case ids != "":
		said, err = s.Keyrings.Receive(r.Context(), ring, sanitise(body.Keyserver), ids)
	default:
		return Errorf(http.StatusBadRequest, "GpgKeyArmor or GpgKeyID is required")
	}
	if refusal := (*keyring.Refusal)(nil); errors.As(err, &refusal) {
		return WriteJSON(w, http.StatusBadRequest, refusal.Error())
	}
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, said)
}
