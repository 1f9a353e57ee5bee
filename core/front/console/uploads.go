package console

import (
	"crypto/rand"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// maxField bounds a field of an upload, in bytes, and maxFiles its files.
const (
	maxField = 1000
	maxFiles = 1000
)

// uploadView is the data of the form of an upload.
type uploadView struct{ Repo, Back, Error string }

// uploadForm shows the form of an upload.
func (q *request) uploadForm() error {
	name := q.r.PathValue("name")
	if _, err := client.Send(q.ctx, q.api, client.ShowRepo(name)); err != nil {
		return err
	}
	return q.write(http.StatusOK, "upload", "Upload to "+name, uploadView{Repo: name, Back: pathTo("repos", name)})
}

// uploading shows the form of an upload, or takes its files.
func (q *request) uploading() error {
	if q.r.Method == http.MethodPost {
		return q.upload()
	}
	return q.uploadForm()
}

// upload passes the files of a form on to the server, as they come. Then there is the
// plan of their import.
func (q *request) upload() error {
	parts, err := q.r.MultipartReader()
	if err != nil {
		return &client.Refusal{Status: http.StatusBadRequest, Text: "The form has no files."}
	}
	repo, dir, files := q.r.PathValue("name"), "console-"+strings.ToLower(rand.Text()[:12]), 0
	proven := false
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &client.Refusal{Status: http.StatusBadRequest, Text: "The upload was interrupted."}
		}
		if part.FileName() == "" {
			value, err := io.ReadAll(io.LimitReader(part, maxField))
			if err != nil {
				return err
			}
			proven = proven || part.FormName() == "csrf" && q.sessions.proves(idOf(q.r), string(value))
			continue
		}
		if !proven {
			return errForged
		}
		if files++; files > maxFiles {
			return &client.Refusal{Status: http.StatusRequestEntityTooLarge, Text: "An upload has at most 1,000 files."}
		}
		if err := q.pass(dir, part); err != nil {
			return err
		}
	}
	if !proven {
		return errForged
	}
	if files == 0 {
		v := uploadView{Repo: repo, Back: pathTo("repos", repo), Error: "Choose at least one file."}
		return q.write(http.StatusBadRequest, "upload", "Upload to "+repo, v)
	}
	q.redirect(pathTo("repos", repo, "import", dir))
	return nil
}

// pass sends one file to the upload area. It is read once, so it is not sent again.
func (q *request) pass(dir string, part *multipart.Part) error {
	name := path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	return q.api.Pass(q.ctx, dir, name, part)
}

// importUploads imports an upload directory into a repository.
func importUploads() act {
	return act{
		form: func(q *request) (form, error) {
			name, dir := q.r.PathValue("name"), q.r.PathValue("dir")
			return form{Title: "Import into " + name, Submit: "Import the packages", Back: pathTo("repos", name), Command: "aptless repo add " + name + " FILE",
				Text:   "The files are uploaded. " + dir + " is their directory until they are imported.",
				Fields: []field{{Name: "replace", Label: "Replace packages of the same name and version", Check: true}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p := plan{}
			if !q.aptless {
				names, err := client.Send(q.ctx, q.api, client.ListUploads(q.r.PathValue("dir")))
				for _, name := range names.Value {
					p.Lines = append(p.Lines, "Imports "+name)
				}
				if err == nil {
					p, _, err = onList(q, p, client.OfRepos, q.r.PathValue("name"))
				}
				return p, err
			}
			files, err := client.Send(q.ctx, q.api, client.ListUploadDetails(q.r.PathValue("dir")))
			for _, f := range files.Value {
				p.Lines = append(p.Lines, "Imports "+f.Name+" ("+layout.Bytes(f.Size)+", SHA-256 "+f.SHA256+")")
			}
			if v.Get("replace") != "" {
				p.Lines = append(p.Lines, "Packages of the same name and version that differ are replaced.")
			}
			if err == nil {
				p, _, err = onList(q, p, client.OfRepos, q.r.PathValue("name"))
			}
			return p, err
		},
		run: func(q *request, v url.Values) (string, error) {
			name := q.r.PathValue("name")
			return start(q, client.Import(name, q.r.PathValue("dir")).Flag("forceReplace", v.Get("replace") != ""), pathTo("repos", name))
		},
	}
}
