package api

import (
	"context"
	"errors"
	"mime"
	"net/http"

	"aptless/core/archive/deliver"
	"aptless/core/engine/lock"
)

// deliver imports the files of the body into a repository. With publish= it also
// updates that publication. The task does both or neither.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request) (err error) {
	args := deliver.Args{Repo: Param(r, "repo"), Dir: s.Uploads.NewDelivery(),
		ForceReplace: Flag(r, "forceReplace"), ForceOverwrite: Flag(r, "forceOverwrite")}
	if args.Publication, err = publicationOf(r.URL.Query().Get("publish")); err != nil {
		return err
	}
	if _, err := s.Deliveries.Check(r.Context(), args); err != nil { // refuses a bad request before its body is read
		return err
	}
	admitted := false
	defer func() {
		if !admitted {
			ctx := context.WithoutCancel(r.Context())
			if left := s.Uploads.RemoveDir(ctx, args.Dir); left != nil {
				s.Log.Warn("files of a refused upload stay until the next cleanup", "dir", args.Dir, "error", left)
			}
		}
	}()
	if args.Files, err = s.receiveAll(r, args.Dir); err != nil {
		return err
	}
	spec, err := s.Deliveries.Check(r.Context(), args)
	if err != nil {
		return err
	}
	// An admission that returns an error may have been committed: its answer was lost.
	// The task then needs the files, so they stay.
	admitted = true
	err = s.run(w, r, spec, nil)
	if errors.Is(err, lock.ErrTooMany) {
		admitted = false
	}
	return err
}

// receiveAll stores the files of a body and returns their number. The body is a
// form, or one file with its name in file=.
func (s *Server) receiveAll(r *http.Request, dir string) (int, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "multipart/form-data" {
		names, err := s.receiveForm(r, dir)
		if err != nil {
			return 0, err
		}
		seen := map[string]bool{}
		for _, name := range names {
			if seen[name] {
				return 0, Errorf(http.StatusBadRequest, "two files have the name %s", name)
			}
			seen[name] = true
		}
		if len(names) == 0 {
			return 0, Errorf(http.StatusBadRequest, "no file in the form")
		}
		return len(names), nil
	}
	name := r.URL.Query().Get("file")
	if name == "" {
		return 0, Errorf(http.StatusBadRequest, "a form (multipart/form-data) with files is wanted, or one file as the body and its name as file=")
	}
	if !safe(name) || name != baseName(name) {
		return 0, Errorf(http.StatusBadRequest, "wrong file")
	}
	if r.ContentLength > s.Uploads.Limit() {
		return 0, s.tooLarge(name)
	}
	uploads := s.uploads(r)
	if err := uploads.MakeDir(r.Context(), dir); err != nil {
		return 0, err
	}
	if err := s.receiveBody(r, uploads, dir, name); err != nil {
		return 0, err
	}
	return 1, nil
}
