package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aptless/tests/freeport"
)

// server is a peer with aptly's API, on a fresh folder.
type server struct {
	peer    string
	argv    func(address string) []string
	public  string // folder of the published files
	url     string // of the API
	process *process
	results *results
	w       *workload
	began   time.Duration // from the start to the first answer
}

// newAptless prepares a server of the program bin in the folder root.
func newAptless(bin, root string, w *workload, results *results) (*server, error) {
	data := filepath.Join(root, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, "signing-key.asc"), w.secret, 0o600); err != nil {
		return nil, err
	}
	return &server{peer: "aptless", w: w, results: results, public: filepath.Join(data, "public"), argv: func(address string) []string {
		return []string{bin, "serve", "--data", data, "--listen", address, "--allow-upstream", "127.0.0.0/8"}
	}}, nil
}

// newAptly prepares a server of aptly in the folder root.
func newAptly(bin, root string, w *workload, results *results) (*server, error) {
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{"rootDir": root, "gpgProvider": "gpg"})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(root, "aptly.conf")
	if err := os.WriteFile(file, config, 0o666); err != nil {
		return nil, err
	}
	return &server{peer: "aptly", w: w, results: results, public: filepath.Join(root, "public"), argv: func(address string) []string {
		return []string{bin, "api", "serve", "-listen", address, "-config", file}
	}}, nil
}

// patience bounds the start of a server, and removalTime the removal of files.
const (
	patience    = time.Minute
	removalTime = 10 * time.Minute
)

// start starts the server and waits for its first answer.
func (s *server) start() error {
	address, err := freeport.Address()
	if err != nil {
		return err
	}
	s.url = "http://" + address + "/api"
	began := time.Now()
	if s.process, err = start(s.w.env(), "", s.argv(address)...); err != nil {
		return err
	}
	for {
		if r, err := http.Get(s.url + "/version"); err == nil {
			r.Body.Close()
			s.began = time.Since(began)
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("%s ended at its start: %s", s.peer, tail(s.process.log.Bytes()))
		default:
		}
		if time.Since(began) > patience {
			s.process.stop()
			return fmt.Errorf("%s does not answer", s.peer)
		}
		time.Sleep(time.Millisecond)
	}
}

// call makes a request with a body of JSON and returns the body of the answer.
func (s *server) call(method, path string, body any) ([]byte, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return s.send(method, path, "application/json", bytes.NewReader(data))
}

func (s *server) send(method, path, contentType string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if answer.StatusCode == http.StatusNotFound && strings.HasPrefix(string(data), "404 page") {
		return nil, errLacks
	}
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, tail(data))
	}
	return data, err
}

// errLacks says that a peer does not have an operation.
var errLacks = errors.New("the peer has no such operation")

// timed measures an operation. An error is reported, and the next operation follows.
func (s *server) timed(name string, do func() error) {
	s.process.resetPeak()
	cpu, began := s.process.cpu(), time.Now()
	err := do()
	s.results.add(s.peer, name, figures{time.Since(began), s.process.cpu() - cpu, s.process.peak()}, err)
}

// request measures one request.
func (s *server) request(name, method, path string, body any) {
	s.timed(name, func() error {
		_, err := s.call(method, path, body)
		return err
	})
}

// upload uploads files to a directory, a hundred in a form.
func (s *server) upload(dir string, files []string) error {
	for part := range slices.Chunk(files, 100) {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for _, f := range part {
			data, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			field, err := w.CreateFormFile("file", filepath.Base(f))
			if err != nil {
				return err
			}
			field.Write(data)
		}
		w.Close()
		if _, err := s.send("POST", "/files/"+dir, w.FormDataContentType(), &form); err != nil {
			return err
		}
	}
	return nil
}

// add imports a directory, or one file of it.
func (s *server) add(upload string) error {
	data, err := s.call("POST", "/repos/r/file/"+upload+"?noRemove=1", nil)
	if err != nil {
		return err
	}
	var report struct{ FailedFiles []string }
	if err := json.Unmarshal(data, &report); err != nil {
		return err
	}
	if len(report.FailedFiles) > 0 {
		return fmt.Errorf("not imported: %s", report.FailedFiles[0])
	}
	return nil
}

// publish measures a first publication of a repository or snapshot. aptly 1.5 needs
// SkipBz2 in the body, else it panics.
func (s *server) publish(name, prefix, kind, source string, contents bool) {
	s.request(name, "POST", "/publish/"+prefix, map[string]any{
		"SourceKind": kind, "Sources": []map[string]string{{"Name": source, "Component": "main"}}, "Distribution": "stable",
		"Architectures": architectures(), "SkipContents": !contents, "SkipBz2": false, "Signing": s.signing()})
}

// update measures an update of a publication, with another snapshot unless it is "".
func (s *server) update(name, prefix, snapshot string, contents bool) {
	body := map[string]any{"SkipContents": !contents, "SkipBz2": false, "Signing": s.signing()}
	if snapshot != "" {
		body["Snapshots"] = []map[string]string{{"Name": snapshot, "Component": "main"}}
	}
	s.request(name, "PUT", "/publish/"+prefix+"/stable", body)
}

func (s *server) signing() map[string]any { return map[string]any{"Batch": true, "GpgKey": s.w.key} }

// repeats is how often a run repeats an operation of some milliseconds.
const repeats = 3

// runRepository measures the life of a repository.
func (s *server) runRepository() error {
	all, err := s.w.files("all")
	if err != nil {
		return err
	}
	more, err := s.w.files("more")
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	defer func() { s.process.stop() }()
	s.results.add(s.peer, "start, empty", figures{s.began, s.process.cpu(), s.process.peak()}, nil)
	for dir, files := range map[string][]string{"all": all, "more": more} {
		if err := s.upload(dir, files); err != nil {
			return err
		}
	}
	if _, err := s.call("POST", "/repos", map[string]string{"Name": "r", "DefaultComponent": "main", "DefaultDistribution": "stable"}); err != nil {
		return err
	}
	s.timed("import by one call", func() error { return s.add("all") })
	s.request("snapshot", "POST", "/repos/r/snapshots", map[string]string{"Name": "s1"})
	s.publish("first publication", "plain", "local", "r", false)
	s.publish("first publication, Contents", "full", "local", "r", true)
	s.publish("publication of a published list, Contents", "again", "local", "r", true)
	for i := range repeats {
		if err := s.add("more/" + url.PathEscape(filepath.Base(more[i]))); err != nil {
			return err
		}
		s.update("one more", "plain", "", false)
		s.update("one more, Contents", "full", "", true)
	}
	s.update("nothing changed", "plain", "", false)
	s.runSnapshots()
	s.runQueries()
	s.timed("drop, to the answer", func() error {
		_, err := s.call("DELETE", "/publish/snap/stable", nil)
		return err
	})
	s.drop("drop, all gone", "full")
	s.request("cleanup", "POST", "/db/cleanup", map[string]any{})
	s.process.stop()
	if err := s.start(); err != nil {
		return err
	}
	s.results.add(s.peer, "start with data", figures{s.began, s.process.cpu(), s.process.peak()}, nil)
	return nil
}

// runSnapshots measures comparison, merge and switch of two snapshots of which one
// has a few packages more.
func (s *server) runSnapshots() {
	if _, err := s.call("POST", "/repos/r/snapshots", map[string]string{"Name": "s2"}); err != nil {
		s.results.add(s.peer, "snapshot diff", figures{}, err)
		return
	}
	for range repeats {
		s.request("snapshot diff", "GET", "/snapshots/s1/diff/s2", nil)
	}
	s.request("merge of two snapshots", "POST", "/snapshots/s3/merge", map[string]any{"Sources": []string{"s1", "s2"}})
	s.publish("publication of a published list", "snap", "snapshot", "s1", false)
	s.update("switch, few changed", "snap", "s2", false)
}

// runQueries measures questions for packages of the repository.
func (s *server) runQueries() {
	name := packageName(s.w.n / 2)
	for _, q := range []struct{ name, path, query string }{
		{"query by name", "/repos/r/packages?", name},
		{"query by name, details", "/repos/r/packages?format=details&", name},
		{"query by name, all packages", "/packages?", name},
		{"query, name by regular expression", "/repos/r/packages?", "Name (~ .*render.*)"},
		{"query, field by regular expression", "/repos/r/packages?", "Description (~ .*lattice.*)"},
		{"query with dependencies", "/repos/r/packages?withDeps=1&", name},
		{"all packages", "/repos/r/packages?", ""},
		{"all packages, details", "/repos/r/packages?format=details&", ""},
	} {
		for range repeats {
			s.request(q.name, "GET", strings.TrimRight(q.path+url.Values{"q": {q.query}}.Encode(), "?&"), nil)
		}
	}
}

// drop measures the time until no package file of a publication is left.
func (s *server) drop(name, prefix string) {
	left := packagesBelow(filepath.Join(s.public, prefix))
	s.timed(name, func() error {
		if _, err := s.call("DELETE", "/publish/"+prefix+"/stable", nil); err != nil {
			return err
		}
		for began := time.Now(); time.Since(began) < removalTime; time.Sleep(2 * time.Millisecond) {
			for len(left) > 0 && isGone(left[0]) {
				left = left[1:]
			}
			if len(left) == 0 {
				return nil
			}
		}
		return fmt.Errorf("%s still has files below %s", s.peer, prefix)
	})
}

// packagesBelow returns the package files below a folder. Each is looked at once while they
// are removed: walks of the folder would slow the removal.
func packagesBelow(dir string) (files []string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".deb") {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func isGone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// runMirror measures updates of a mirror.
func (s *server) runMirror() error {
	u := s.w.serve()
	defer u.Close()
	if err := s.start(); err != nil {
		return err
	}
	defer s.process.stop()
	// aptly finds the key in its home, too. An answer that it has it is no error.
	s.call("POST", "/gpg/key", map[string]string{"Keyring": "trustedkeys.gpg", "GpgKeyArmor": string(s.w.public)})
	if _, err := s.call("POST", "/mirrors", map[string]any{"Name": "m", "ArchiveURL": u.URL + "/", "Distribution": "stable", "Components": []string{"main"},
		"Architectures": architectures(), "Keyrings": []string{"trustedkeys.gpg"}}); err != nil {
		return err
	}
	for _, step := range []string{"mirror, first update", "mirror, nothing changed", "mirror, 1 % changed"} {
		if step == "mirror, 1 % changed" {
			u.tree.Store(&s.w.after)
		}
		s.request(step, "PUT", "/mirrors/m", map[string]string{"Name": "m"})
	}
	return nil
}
