package app_test

import (
	"testing"

	"aptless/core/front/app/apptest"
)

// TestTreeIsServedBelowRepos reads published files at the paths where aptly serves them.
func TestTreeIsServedBelowRepos(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/publish", apptest.PublishBody, nil)
		s.Want(t, "GET", "/repos", "", 301, "")
		s.Want(t, "GET", "/repos/", "", 200, "<pre>\n<a href=\"-/\">default</a>\n</pre>\n")
		_, release := s.Ask(t, "GET", "/dists/stable/Release", "")
		s.Want(t, "GET", "/repos/-/dists/stable/Release", "", 200, release)
		for _, path := range []string{"/repos/-/", "/repos/-/private/pool", "/repos/-/../private/pool"} {
			s.Want(t, "GET", path, "", 404, "404 page not found")
		}
		s.Want(t, "GET", "/repos/x/dists/stable/Release", "", 404, `{"error":"published local storage x not configured"}`)
		s.Want(t, "GET", "/repos/-//private/pool", "", 301, "<a href=\"/repos/-/private/pool\">Moved Permanently</a>.\n\n")
		s.Want(t, "GET", "//dists/stable/Release", "", 301, "<a href=\"/dists/stable/Release\">Moved Permanently</a>.\n\n")
	})
}
