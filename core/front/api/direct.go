package api

import (
	"context"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"path"
	"strings"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/front/auth"
)

// announced is a file that a client wants to upload directly to the storage.
type announced struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// destination is the signed request by which a client uploads a file.
type destination struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// uploads returns the upload area as the sender of a request sees it.
func (s *Server) uploads(r *http.Request) *upload.Store {
	p := callOf(r.Context()).principal
	if p.Owner == "" { // an open server
		return s.Uploads
	}
	return s.Uploads.As(upload.Caller{Owner: p.Owner, Token: p.ID, Manages: func(_ context.Context, dir string) (bool, error) {
		return auth.Decide(p, auth.Need{Can: auth.FilesManage, Name: dir}) == nil, nil
	}})
}

func isJSON(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == "application/json"
}

// direct answers with signed requests for uploads directly to the storage. Files
// that exceed the size of an API request go this way. With confirm=1 it adds the
// uploaded files to the directory.
func (s *Server) direct(w http.ResponseWriter, r *http.Request, dir string) error {
	var list []announced
	if err := bindJSON(r, &list); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > upload.MaxAnnounced {
		return Errorf(http.StatusBadRequest, "a list of 1 to %d files is wanted", upload.MaxAnnounced)
	}
	for _, a := range list {
		if err := a.check(min(s.Uploads.Limit(), upload.MaxDirect)); err != nil {
			return err
		}
	}
	if Flag(r, "confirm") {
		return s.confirm(w, r, dir, list)
	}
	files := make([]upload.Announced, len(list))
	for i, a := range list {
		files[i] = upload.Announced(a)
	}
	puts, err := s.uploads(r).Announce(r.Context(), s.Direct, dir, files)
	if errors.Is(err, driver.ErrInvalid) {
		return Errorf(http.StatusBadRequest, "wrong file")
	}
	if err != nil {
		return err
	}
	to := make([]destination, len(list))
	for i, put := range puts {
		to[i] = destination{list[i].Name, http.MethodPut, put.URL, put.Headers}
	}
	return WriteJSON(w, http.StatusOK, to)
}

// check refuses a file of more than limit bytes, a bad name, and a bad digest.
func (a announced) check(limit int64) error {
	digest, err := hex.DecodeString(a.SHA256)
	switch {
	case !safe(a.Name) || a.Name != baseName(a.Name):
		return Errorf(http.StatusBadRequest, "wrong file")
	case a.Size < 0 || a.Size > limit:
		return Errorf(http.StatusBadRequest, "%s: size is not one of 0 to %d bytes", a.Name, limit)
	case err != nil || len(digest) != 32 || a.SHA256 != strings.ToLower(a.SHA256):
		return Errorf(http.StatusBadRequest, "%s: sha256 is not 64 lower-case hexadecimal digits", a.Name)
	}
	return nil
}

func (s *Server) confirm(w http.ResponseWriter, r *http.Request, dir string, list []announced) error {
	uploads := s.uploads(r)
	if err := uploads.MakeDir(r.Context(), dir); err != nil {
		return err
	}
	stored := make([]string, len(list))
	for i, a := range list {
		err := uploads.Confirm(r.Context(), dir, upload.Announced(a))
		if errors.Is(err, upload.ErrNotPut) {
			return Errorf(http.StatusBadRequest, "%v", err)
		}
		if err != nil {
			return err
		}
		stored[i] = path.Join(Param(r, "dir"), a.Name)
	}
	return WriteJSON(w, http.StatusOK, stored)
}
