package api

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"path"
	"strings"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/front/auth"
)

// Limits of a multipart upload. maxParts bounds the number of parts. maxValues
// bounds the bytes of all parts without a file name together.
const (
	maxValues = 20 << 20
)

func (s *Server) fileRoutes(rt *Router) {
	s.partsRoutes(rt)
	rt.Handle("GET", "/api/files", some(auth.FilesWrite), inPages(func(w http.ResponseWriter, r *http.Request) error {
		dirs, err := s.uploads(r).Dirs(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, dirs)
	}))
	rt.Handle("POST", "/api/files/{dir}", needs(dirOf(auth.FilesWrite)).after(), s.upload)
	rt.Handle("PUT", "/api/files/{dir}/{file}", needs(dirOf(auth.FilesWrite)).after(), s.uploadOne)
	rt.Handle("GET", "/api/files/{dir}", needs(dirOf(auth.FilesWrite)), inPages(s.listFiles))
	rt.Handle("DELETE", "/api/files/{dir}", needs(dirOf(auth.FilesWrite)).after(), func(w http.ResponseWriter, r *http.Request) error {
		dir, err := CleanDir(Param(r, "dir"))
		if err != nil {
			return err
		}
		if err := s.uploads(r).RemoveDir(r.Context(), dir); err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, struct{}{})
	})
	rt.Handle("DELETE", "/api/files/{dir}/{file}", needs(dirOf(auth.FilesWrite)).after(), func(w http.ResponseWriter, r *http.Request) error {
		dir, err := CleanDir(Param(r, "dir"))
		if err != nil {
			return err
		}
		name, err := CleanFile(Param(r, "file"))
		if err == nil && name == "" {
			err = Errorf(http.StatusBadRequest, "wrong file")
		}
		if err != nil {
			return err
		}
		if err := s.uploads(r).RemoveName(r.Context(), dir, name); err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, struct{}{})
	})
}

// skipValue discards the value of a form field. values counts the bytes of all
// values before it; the result includes this one.
func skipValue(part io.Reader, values int64) (int64, error) {
	n, err := io.Copy(io.Discard, io.LimitReader(part, maxValues+1-values))
	if values += n; err == nil && values > maxValues {
		err = multipart.ErrMessageTooLarge
	}
	return values, err
}

// upload stores every part of a form that has a file name.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	dir, err := CleanDir(Param(r, "dir"))
	if err != nil {
		return err
	}
	if s.Direct != nil && isJSON(r) {
		return s.direct(w, r, dir)
	}
	stored, err := s.receiveForm(r, dir)
	if err != nil {
		return err
	}
	for i, name := range stored {
		stored[i] = path.Join(Param(r, "dir"), name)
	}
	if len(stored) == 0 {
		lacksFile(w.Header())
	}
	s.Metrics.uploaded(Param(r, "dir"))
	return WriteJSON(w, http.StatusOK, stored)
}

// receiveForm stores every part of a form that has a file name, and returns the
// stored names.
func (s *Server) receiveForm(r *http.Request, dir string) ([]string, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, Errorf(http.StatusBadRequest, "%v", err)
	}
	uploads := s.uploads(r)
	if err := uploads.MakeDir(r.Context(), dir); err != nil {
		return nil, err
	}
	into := uploads.Form(dir)
	stored, err := s.receiveParts(r, form, into)
	if err != nil {
		_ = into.Drop(context.WithoutCancel(r.Context())) // the collector deletes the objects that are left
		return nil, err
	}
	return stored, into.Place(r.Context())
}

// receiveParts receives every part of a form that has a file name, and returns the names.
func (s *Server) receiveParts(r *http.Request, form *multipart.Reader, into *upload.Form) ([]string, error) {
	stored, values := []string{}, int64(0)
	for parts := 0; ; parts++ {
		part, err := form.NextRawPart()
		if err == io.EOF { // a wrapped io.EOF means that the form is truncated
			return stored, nil
		}
		if err == nil && parts >= maxParts {
			err = multipart.ErrMessageTooLarge
		}
		if err != nil {
			return nil, Errorf(http.StatusBadRequest, "%s", brokenOff(err))
		}
		name := baseName(part.FileName())
		if name == "" {
			if values, err = skipValue(part, values); err != nil {
				return nil, Errorf(http.StatusBadRequest, "%s", brokenOff(err))
			}
			continue
		}
		if !safe(name) {
			return nil, Errorf(http.StatusBadRequest, "wrong file")
		}
		body, err := decoded(part)
		if err != nil {
			return nil, err
		}
		if err := s.receive(r, name, body, into.Receive); err != nil {
			return nil, err
		}
		stored = append(stored, name)
	}
}

// decoded returns the content of a part without its transfer encoding (RFC 2045 6).
// RFC 7578 4.7 deprecates transfer encodings in forms, but some clients use them.
func decoded(part *multipart.Part) (io.Reader, error) {
	encoding := strings.TrimSpace(part.Header.Get("Content-Transfer-Encoding"))
	switch strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
		return part, nil
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, part), nil
	case "quoted-printable":
		return quotedprintable.NewReader(part), nil
	}
	return nil, Errorf(http.StatusBadRequest, "%s: Content-Transfer-Encoding %.100s is not known", baseName(part.FileName()), encoding)
}

func (s *Server) uploadOne(w http.ResponseWriter, r *http.Request) error {
	dir, err := CleanDir(Param(r, "dir"))
	if err != nil {
		return err
	}
	name := Param(r, "file")
	if !safe(name) || !safe(sanitise(name)) {
		return Errorf(http.StatusBadRequest, "wrong file")
	}
	uploads := s.uploads(r)
	if err := uploads.MakeDir(r.Context(), dir); err != nil {
		return err
	}
	if sub := path.Dir(name); sub != "." {
		_, err := uploads.Names(r.Context(), path.Join(dir, sub))
		if errors.Is(err, fs.ErrNotExist) {
			return Errorf(http.StatusInternalServerError, "open %s: no such file or directory", upload.Path(dir, name))
		}
		if err != nil {
			return err
		}
	}
	if err := s.receiveBody(r, uploads, dir, name); err != nil {
		return err
	}
	s.Metrics.uploaded(Param(r, "dir"))
	return WriteJSON(w, http.StatusOK, []string{path.Join(Param(r, "dir"), name)})
}

// receiveBody stores the body of the request as a file.
func (s *Server) receiveBody(r *http.Request, uploads *upload.Store, dir, name string) error {
	return s.receive(r, name, r.Body, func(ctx context.Context, name string, body io.Reader) error {
		return uploads.Receive(ctx, dir, name, body)
	})
}

// receive stores a file from the request. If the client's stream breaks off, it
// answers 400 and stores nothing.
func (s *Server) receive(r *http.Request, name string, body io.Reader, store func(context.Context, string, io.Reader) error) error {
	if r.Method == http.MethodPut && r.ContentLength > s.Uploads.Limit() {
		return s.tooLarge(name)
	}
	stream := &clientStream{Reader: body}
	err := store(r.Context(), name, stream)
	switch {
	case stream.err != nil:
		return Errorf(http.StatusBadRequest, "%s", brokenOff(stream.err))
	case errors.Is(err, upload.ErrTooLarge):
		return s.tooLarge(name)
	case errors.Is(err, driver.ErrInvalid):
		return Errorf(http.StatusBadRequest, "wrong file")
	}
	return err
}

func (s *Server) tooLarge(name string) error {
	return Errorf(http.StatusRequestEntityTooLarge, "%s: more than %d bytes, the most that is taken of a file", name, s.Uploads.Limit())
}

// clientStream keeps the error with which reading from the client ended.
type clientStream struct {
	io.Reader
	err error
}

func (s *clientStream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *Server) listFiles(w http.ResponseWriter, r *http.Request) error {
	dir, err := CleanDir(Param(r, "dir"))
	if err != nil {
		return err
	}
	var files []upload.Upload
	names, details := []string(nil), Query(r, "format") == "details"
	if details {
		files, err = s.uploads(r).List(r.Context(), dir)
	} else {
		names, err = s.uploads(r).Names(r.Context(), dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Errorf(http.StatusNotFound, "%v", err)
	}
	if err != nil {
		return err
	}
	if details {
		return WriteJSON(w, http.StatusOK, uploadDetails(dir, files))
	}
	return WriteJSON(w, http.StatusOK, names)
}
