package layout

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// The files of pages. htmx.min.js is htmx 4.0.1 as its npm package has it.
//
//go:embed style.css aptless.js htmx.min.js icon.svg
var embedded embed.FS

// static begins the paths of the files of pages.
const static = "/-/static/"

// digest returns the part of a file's digest that its path has.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// assets returns the paths of the files of pages by their names.
func assets() (map[string]string, error) {
	found := map[string]string{}
	err := fs.WalkDir(embedded, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(name)
		found[name] = static + digest(data) + "/" + name
		return err
	})
	return found, err
}

// mediaTypes are the media types of the files, by their ends.
var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// ServeFile answers a request for a file of pages, and reports that it has. The path of
// a file that a former version had is answered with the current file.
func ServeFile(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, static)
	if !ok {
		return false
	}
	of, name, _ := strings.Cut(rest, "/")
	data, err := embedded.ReadFile(name)
	if err != nil {
		http.NotFound(w, r)
		return true
	}
	h := w.Header()
	h.Set("Content-Type", mediaTypes[path.Ext(name)])
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if of == digest(data) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	answer(w, r, http.StatusOK, data)
	return true
}
