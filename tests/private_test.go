package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aptless/tests/apt"
)

// admin sends a request with the admin token of the server, and decodes the answer.
func (s *server) admin(method, path, body string, into any) {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "admin-token"))
	s.must(err)
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	s.must(err)
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := http.DefaultClient.Do(r)
	s.must(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	s.must(err)
	if answer.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, data)
	}
	s.must(json.Unmarshal(data, into))
}

// TestAptReadsAPrivatePrefix by a download token in auth.conf.d, and not without it or
// with a token of another prefix.
func TestAptReadsAPrivatePrefix(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t)
	s.greeted("team/x", "stable")
	s.args = append(s.args, "--auth")
	s.restart()
	key, err := s.fetch(t.Context(), "key.asc")
	s.must(err)
	var access struct{ Version string }
	s.admin("PUT", "/api/auth/access", `{"Private":["team/x"]}`, &access)
	for _, c := range []struct {
		name, prefix string
		reads        bool
	}{{"none", "", false}, {"other", "team/y", false}, {"host", "team/x", true}, {"wide", "team/*", true}} {
		reader := apt.New(t, apt.Options{URL: s.url + "/team/x", Suite: "stable", SignedBy: key})
		if c.prefix != "" {
			var made struct{ Token string }
			s.admin("POST", "/api/auth/tokens", fmt.Sprintf(`{"Name":%q,"Kind":"download","Grants":[{"Role":"downloader","Tree":[%q]}]}`, c.name, c.prefix), &made)
			reader.Authorize(t, fmt.Sprintf("machine %s/team/x login apt password %s", s.url, made.Token))
		}
		err := reader.Update(t.Context()).Err()
		if err == nil {
			err = reader.Download(t.Context(), "hello").Err()
		}
		if (err == nil) != c.reads {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.reads && len(reader.Files(t)) != 1 {
			t.Errorf("%s: files %v", c.name, reader.Files(t))
		}
	}
}
