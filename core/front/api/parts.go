package api

import (
	"errors"
	"net/http"
	"path"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/front/auth"
)

// partsPath is the path of a file that a client puts in parts.
const partsPath = "/api/files/{dir}/{file}/parts"

// partsRequest is the body of all calls about a file in parts. The same file, by name,
// size and digest, is continued.
type partsRequest struct {
	Size   int64        `json:"size"`
	SHA256 string       `json:"sha256"`
	Parts  []partDigest `json:"parts,omitempty"` // the parts to be put next
}

// partDigest is a part that a client will put.
type partDigest struct {
	Number int    `json:"number"`
	SHA256 string `json:"sha256"`
}

// partsPlan tells a client how to cut a file.
type partsPlan struct {
	PartSize int64 `json:"partSize"` // bytes of each part but the last
	Parts    int   `json:"parts"`
	Done     []int `json:"done"` // parts that are in the storage
}

// partDestination is the signed request for a part.
type partDestination struct {
	Number  int               `json:"number"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// errNoParts says that a client sends a file of any size as one body.
func errNoParts() error {
	return Errorf(http.StatusBadRequest, "there are no uploads in parts: this server takes a file of any size with PUT /api/files/{dir}/{file}")
}

// onParts calls a handler with the file of a request.
func (s *Server) onParts(handle func(w http.ResponseWriter, r *http.Request, dir string, a upload.Announced, parts []partDigest) error) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		dir, err := CleanDir(Param(r, "dir"))
		if err != nil {
			return err
		}
		if s.Direct == nil {
			return errNoParts()
		}
		var body partsRequest
		if err := bindJSON(r, &body); err != nil {
			return err
		}
		file := announced{Param(r, "file"), body.Size, body.SHA256}
		if err := file.check(min(s.Uploads.Limit(), upload.MaxInParts)); err != nil {
			return err
		}
		err = handle(w, r, dir, upload.Announced(file), body.Parts)
		switch {
		case errors.Is(err, upload.ErrNotPut), errors.Is(err, upload.ErrParts):
			return Errorf(http.StatusBadRequest, "%v", err)
		case errors.Is(err, driver.ErrInvalid):
			return Errorf(http.StatusBadRequest, "wrong part: %v", err)
		case errors.Is(err, driver.ErrNotFound):
			return Errorf(http.StatusNotFound, "the upload of %s in parts has not begun", path.Join(dir, file.Name))
		}
		return err
	}
}

func (s *Server) partsRoutes(rt *Router) {
	access := needs(dirOf(auth.FilesWrite)).after()
	rt.Handle("POST", partsPath, access, s.onParts(func(w http.ResponseWriter, r *http.Request, dir string, a upload.Announced, _ []partDigest) error {
		plan, err := s.uploads(r).BeginParts(r.Context(), s.Direct, dir, a)
		if err != nil {
			return err
		}
		done := make([]int, len(plan.Done))
		for i, p := range plan.Done {
			done[i] = p.Number
		}
		return WriteJSON(w, http.StatusOK, partsPlan{plan.Size, plan.Count, done})
	}))
	rt.Handle("POST", partsPath+"/urls", needs(dirOf(auth.FilesWrite)), s.onParts(s.signParts))
	rt.Handle("POST", partsPath+"/complete", access, s.onParts(func(w http.ResponseWriter, r *http.Request, dir string, a upload.Announced, _ []partDigest) error {
		uploads := s.uploads(r)
		if err := uploads.MakeDir(r.Context(), dir); err != nil {
			return err
		}
		if err := uploads.ConfirmParts(r.Context(), s.Direct, dir, a); err != nil {
			return err
		}
		s.Metrics.uploaded(Param(r, "dir"))
		return WriteJSON(w, http.StatusOK, []string{path.Join(Param(r, "dir"), a.Name)})
	}))
	rt.Handle("POST", partsPath+"/abort", access, s.onParts(func(w http.ResponseWriter, r *http.Request, dir string, a upload.Announced, _ []partDigest) error {
		if err := s.uploads(r).AbortParts(r.Context(), s.Direct, dir, a); err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, struct{}{})
	}))
}

// maxSigned bounds the parts for which one request gets URLs.
const maxSigned = 100

func (s *Server) signParts(w http.ResponseWriter, r *http.Request, dir string, a upload.Announced, parts []partDigest) error {
	if len(parts) == 0 || len(parts) > maxSigned {
		return Errorf(http.StatusBadRequest, "parts: a list of 1 to %d parts is wanted", maxSigned)
	}
	list := make([]driver.Part, len(parts))
	for i, p := range parts {
		list[i] = driver.Part{Number: p.Number, SHA256: p.SHA256}
	}
	puts, err := s.uploads(r).SignParts(r.Context(), s.Direct, dir, a, list)
	if err != nil {
		return err
	}
	to := make([]partDestination, len(puts))
	for i, put := range puts {
		to[i] = partDestination{parts[i].Number, http.MethodPut, put.URL, put.Headers}
	}
	return WriteJSON(w, http.StatusOK, to)
}
