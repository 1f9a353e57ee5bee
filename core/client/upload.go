package client

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
)

// MaxInRequest is the size of the largest file that is sent in a request, if the server
// has direct uploads. API Gateway takes 10 MiB, of which base64 leaves less.
const MaxInRequest = 4 << 20

// Uploaded returns the files of an upload directory by name. It is empty if there is no
// such directory, and for an aptly, which tells no digests.
func (c *Client) Uploaded(ctx context.Context, dir string) (map[string]File, error) {
	there := map[string]File{}
	aptless, err := c.Aptless(ctx)
	if err != nil || !aptless {
		return there, err
	}
	files, err := Send(ctx, c, ListUploadDetails(dir))
	if StatusOf(err) == http.StatusNotFound {
		return there, nil
	}
	for _, f := range files.Value {
		there[f.Name] = f
	}
	return there, err
}

// Upload stores a file in an upload directory. A large file goes to the storage by a
// signed address if the server has such. Sending a file twice changes nothing.
func (c *Client) Upload(ctx context.Context, dir string, l Local) error {
	aptless, err := c.Aptless(ctx)
	if err != nil {
		return err
	}
	if aptless && l.Size > c.largest() {
		if done, err := c.inParts(ctx, dir, l); err != nil || done {
			return err
		}
	}
	if aptless && l.Size > MaxInRequest {
		if done, err := c.direct(ctx, dir, l); err != nil || done {
			return err
		}
	}
	r := request{method: http.MethodPut, path: at("files", dir, l.Name), safe: true, raw: l.reader, size: l.Size, media: "application/octet-stream"}
	if !aptless { // aptly takes forms only
		r = form(dir, []Local{l})
	}
	_, err = c.do(ctx, r)
	return err
}

// UploadAll stores small files in an upload directory by one request. The server makes
// them durable together, which is many times as fast as one by one. A request that takes
// too long for a server or a gateway is not sent again as it is. Two requests follow, each
// with half of the files. Example: 200 files, of which a function on AWS stores 120 in the
// 29 s that it has.
func (c *Client) UploadAll(ctx context.Context, dir string, files []Local) error {
	r := form(dir, files)
	r.safe = len(files) == 1
	_, err := c.do(ctx, r)
	if err == nil || len(files) == 1 || ctx.Err() != nil || !Unanswered(err) {
		return err
	}
	if err := c.sleep(ctx, firstWait); err != nil {
		return err
	}
	if err := c.UploadAll(ctx, dir, files[:len(files)/2]); err != nil {
		return err
	}
	return c.UploadAll(ctx, dir, files[len(files)/2:])
}

// form returns the request of a form with files.
func form(dir string, files []Local) request {
	var text strings.Builder
	w := multipart.NewWriter(&text)
	var ends []int // of the head of each file in text
	size := int64(0)
	for _, l := range files {
		_, _ = w.CreateFormFile("file", l.Name) // a strings.Builder takes all
		ends = append(ends, text.Len())
		size += l.Size
	}
	w.Close()
	heads := text.String()
	return request{method: http.MethodPost, path: at("files", dir), safe: true, media: w.FormDataContentType(),
		size: size + int64(len(heads)), raw: func() (io.Reader, error) {
			var parts []io.Reader
			begin := 0
			for i, l := range files {
				parts = append(parts, strings.NewReader(heads[begin:ends[i]]), &later{open: l.reader})
				begin = ends[i]
			}
			return io.MultiReader(append(parts, strings.NewReader(heads[begin:]))...), nil
		}}
}

// later opens a reader at its first use, so that one file is open at a time.
type later struct {
	open func() (io.Reader, error)
	from io.Reader
}

func (l *later) Read(p []byte) (n int, err error) {
	if l.from == nil {
		if l.from, err = l.open(); err != nil {
			return 0, err
		}
	}
	return l.from.Read(p)
}

// announced is a file of a direct upload.
type announced struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// direct puts a file into the storage and confirms it. It reports false if the server has
// no direct uploads.
func (c *Client) direct(ctx context.Context, dir string, l Local) (bool, error) {
	type target struct {
		Method, URL string
		Headers     map[string]string
	}
	list := []announced{{l.Name, l.Size, l.SHA256}}
	to, err := Send(ctx, c, Call[[]target]{Method: http.MethodPost, Path: at("files", dir), Body: list, Safe: true})
	var refused *Refusal
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && strings.Contains(refused.Text, "multipart/form-data") {
		return false, nil // the server expects a form
	}
	if err != nil {
		return false, err
	}
	if len(to.Value) != 1 {
		return false, errors.New("the server answered no address for a direct upload")
	}
	if err := c.put(ctx, to.Value[0].Method, to.Value[0].URL, to.Value[0].Headers, l); err != nil {
		return false, err
	}
	_, err = Send(ctx, c, Call[Nothing]{Method: http.MethodPost, Path: at("files", dir), Body: list, Safe: true}.Flag("confirm", true))
	return true, err
}
