package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// Tree serves the published trees. The tree of the default storage is at the root.
// The tree of a file-system storage is below /repos/<name>/. A path in the pool
// layout "hash" contains a digest: it is answered from the package pool.
type Tree struct {
	Blobs    driver.Blobs
	Storages []string                                                               // names as in publish.Store, for example "filesystem:www"
	AsOf     func(ctx context.Context, id, name string) (key string, err error)     // maps a path below /snapshots/<id>/ to its object
	Key      func(context.Context) ([]byte, error)                                  // returns the armoured public key
	Sources  func(ctx context.Context, base string, want Selection) (string, error) // returns the text of /aptless.sources; the text explains an ErrNotFound
	Log      *slog.Logger

	// Public is the URL of the published files if another program serves them. A file of
	// the pool is then a redirect to its path by digest there. "" is where Handler is.
	Public string
}

// ServeHTTP answers GET and HEAD.
func (t *Tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := r.URL.EscapedPath(); strings.Contains(path, "//") {
		t.merge(w, r, path)
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/repos/"); ok && t.isFolder(name) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", Prefix(r)+r.URL.EscapedPath()+"/")
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	if t.made(w, r) {
		return
	}
	key, name, err := t.object(r)
	if sha256, ok := strings.CutPrefix(key, pool.FilePrefix); ok && err == nil && t.Public != "" {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", strings.TrimSuffix(t.Public, "/")+"/pool/sha256/"+sha256+"/"+url.PathEscape(path.Base(r.URL.Path)))
		w.WriteHeader(http.StatusFound)
		return
	}
	if err == nil {
		err = t.serve(w, r, key, cmp.Or(name, key))
	}
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrInvalid) {
		t.absent(w, r.URL.Path)
	} else if err != nil {
		t.Log.Error("published file was not served", "key", key, "error", err)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// made answers for the files that are made for each request, and reports that it has.
func (t *Tree) made(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/key.asc" {
		key, err := t.Key(r.Context())
		t.text(w, r, "application/pgp-keys", string(key), err)
		return true
	}
	place, ok := strings.CutSuffix(r.URL.Path, "/aptless.sources")
	if !ok {
		return false
	}
	text, err := t.Sources(r.Context(), t.address(r), t.selection(r, place))
	t.text(w, r, "text/plain; charset=utf-8", text, err)
	return true
}

// address returns the URL of the published files, without a final slash.
func (t *Tree) address(r *http.Request) string {
	if t.Public != "" {
		return strings.TrimSuffix(t.Public, "/")
	}
	return base(r)
}

// object returns the key of the object of a path, and the name that selects its headers;
// "" stands for the key. It returns driver.ErrInvalid for a path that has none.
func (t *Tree) object(r *http.Request) (key, name string, err error) {
	key = t.key(r.URL.Path)
	if err := driver.CheckKey(key); err != nil {
		return "", "", err
	}
	if sha256, ok := paths.Digest(r.URL.Path); ok {
		return pool.FileKey(sha256), r.URL.Path, nil
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/snapshots/")
	if !ok {
		return key, "", nil
	}
	id, below, _ := strings.Cut(rest, "/")
	dated, err := t.AsOf(r.Context(), id, below)
	if errors.Is(err, driver.ErrNotFound) {
		return key, "", nil // "snapshots" may be the prefix of a publication
	}
	return dated, "", err
}

// merge redirects to the path with repeated slashes merged, for example for debmirror,
// which asks for //dists if its root is /. A redirect lets a proxy apply its access
// rules to the final path. Paths of the API are refused.
func (t *Tree) merge(w http.ResponseWriter, r *http.Request, path string) {
	one := strings.Join(slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" }), "/")
	if one == "" || one == "api" || strings.HasPrefix(one, "api/") {
		t.missing(w)
		return
	}
	if strings.HasSuffix(path, "/") {
		one += "/"
	}
	redirect(w, r, "/"+one)
}

// folders returns links to the file-system storages, or to the default one if there
// is none.
func (t *Tree) folders(ctx context.Context) string {
	var b strings.Builder
	for _, storage := range t.Storages {
		if name, ok := strings.CutPrefix(storage, "filesystem:"); ok && Shows(ctx, storage, ".") {
			name = html.EscapeString(name)
			fmt.Fprintf(&b, "<a href=\"%s/\">%s</a>\n", name, name)
		}
	}
	if b.Len() == 0 {
		return "<a href=\"-/\">default</a>\n"
	}
	return b.String()
}

// selection returns the publications that /aptless.sources below a path describes. The
// path selects a prefix or a distribution: /team/a or /team/a/dists/stable. The query
// overrides it: prefix=filesystem:www:team/a, and distribution=, which may be repeated.
func (t *Tree) selection(r *http.Request, place string) Selection {
	var w Selection
	if rest, ok := strings.CutPrefix(place, "/repos/"); ok {
		name, below, _ := strings.Cut(rest, "/")
		if storage := "filesystem:" + name; slices.Contains(t.Storages, storage) {
			w.Storage, place = storage, "/"+below
		} else if name == "-" {
			place = "/" + below
		}
	}
	prefix, distribution, _ := strings.Cut(place+"/", "/dists/")
	if w.Prefix = strings.Trim(prefix, "/"); w.Prefix == "" {
		w.Prefix = "."
	}
	if distribution = strings.Trim(distribution, "/"); distribution != "" {
		w.Distributions = []string{distribution}
	}
	query := queryValues(r)
	if query.Has("prefix") {
		w.Storage, w.Prefix = paths.ParsePrefix(query.Get("prefix"))
	}
	for _, d := range query["distribution"] {
		if d != "" {
			w.Distributions = append(w.Distributions, d)
		}
	}
	return w
}

// isFolder reports whether a name below /repos/ is a tree: "-" or the name of a
// storage.
func (t *Tree) isFolder(name string) bool {
	return name == "-" || name != "" && slices.Contains(t.Storages, "filesystem:"+name)
}

// key returns the object of a path.
func (t *Tree) key(path string) string {
	if rest, ok := strings.CutPrefix(path, "/repos/"); ok {
		name, file, _ := strings.Cut(rest, "/")
		if name == "-" { // aptly serves the default tree below /repos/-/ too
			return "public/" + file
		}
		if storage := "filesystem:" + name; slices.Contains(t.Storages, storage) {
			return paths.StorageRoot(storage) + "/" + file
		}
	}
	return "public" + path
}

// text answers with a text made for the request. The status is 404 if err is
// driver.ErrNotFound; the text then explains it.
func (t *Tree) text(w http.ResponseWriter, r *http.Request, contentType, text string, err error) {
	h, status := w.Header(), http.StatusOK
	h.Set("Cache-Control", "no-store")
	if errors.Is(err, driver.ErrNotFound) {
		status, err = http.StatusNotFound, nil
	}
	if err != nil {
		t.Log.Error("request failed", "path", r.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
}

// absent answers 404 for a path without an object. As from aptly, the answer names the
// storage of a path below /repos/ if there is no such storage.
func (t *Tree) absent(w http.ResponseWriter, path string) {
	if rest, ok := strings.CutPrefix(path, "/repos/"); ok {
		if name, _, _ := strings.Cut(rest, "/"); !t.isFolder(name) {
			w.Header().Set("Cache-Control", "no-store")
			_ = WriteJSON(w, http.StatusNotFound, map[string]string{"error": "published local storage " + name + " not configured"})
			return
		}
	}
	t.missing(w)
}

func (t *Tree) missing(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	notFound(w, "")
}

// serve answers with an object. name selects its headers.
func (t *Tree) serve(w http.ResponseWriter, r *http.Request, key, name string) error {
	info, err := t.Blobs.Stat(r.Context(), key)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", entityTag(info.ETag))
	h.Set("Last-Modified", info.ModTime.UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", CacheControl(name))
	if callOf(r.Context()).private {
		h.Set("Cache-Control", strings.Replace(CacheControl(name), "public", "private", 1))
	}
	h.Set("Content-Type", contentType(name))
	h.Set("Accept-Ranges", "bytes")
	if unchanged(r, info) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	part, ok := requested(r, info)
	if !ok {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", info.Size))
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	if r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(info.Size, 10))
		return nil
	}
	body, now, err := t.Blobs.Open(r.Context(), key, part)
	if err != nil {
		return err
	}
	defer body.Close()
	if now.ETag != info.ETag { // the object was replaced between Stat and Open
		if part != nil {
			return t.serve(w, r, key, name)
		}
		h.Set("ETag", entityTag(now.ETag))
		h.Set("Last-Modified", now.ModTime.UTC().Format(http.TimeFormat))
		info = now
	}
	status, size := http.StatusOK, info.Size
	if part != nil {
		status, size = http.StatusPartialContent, part.Length
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.Offset, part.Offset+part.Length-1, info.Size))
	}
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(status)
	io.Copy(w, body) // after an error the client sees fewer bytes than Content-Length
	return nil
}

// CacheControl returns the header Cache-Control of a published file.
func CacheControl(name string) string { return paths.CacheControl(name) }

func contentType(key string) string {
	switch path.Ext(key) {
	case ".deb", ".udeb", ".ddeb":
		return "application/vnd.debian.binary-package"
	case ".gz":
		return "application/gzip"
	case ".xz":
		return "application/x-xz"
	case ".zst":
		return "application/zstd"
	case ".bz2":
		return "application/x-bzip2"
	case ".gpg", ".asc":
		return "application/pgp-signature"
	case ".dsc":
		return "text/plain; charset=utf-8"
	}
	if strings.Contains(key, "/pool/") || strings.Contains(key, "/by-hash/") {
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}
