package browser

import "testing"

// TestScreenshots makes the pictures of docs/images, with -screenshots. Without it, it
// opens the same pages.
func TestScreenshots(t *testing.T) {
	s := serveFilled(t, "--title", "Example repository", "--about", "Packages of the Example project for Debian and Ubuntu.")
	b := open(t, s)
	b.visit("/-/repos/stable?q=libgreeting-dev")
	pkg := b.link("libgreeting-dev")
	for _, shot := range []struct{ name, path, theme string }{
		{"public-home", "/", "light"}, {"public-setup", "/-/d/-/stable", "light"}, {"public-search", "/-/search?q=greet", "dark"},
		{"console-overview", "/-/", "light"}, {"console-repository", "/-/repos/stable", "light"}, {"console-package", pkg, "dark"},
		{"console-compare", "/-/compare?left=stable-2026-11-01&right=stable-2026-11-20", "light"}, {"console-publication", "/-/publications/-/stable", "light"},
		{"console-graph", "/-/graph", "dark"}, {"console-upload", "/-/repos/stable/upload", "light"},
	} {
		b.look(shot.theme, 1280)
		b.visit(shot.path)
		b.shoot(shot.name)
	}
	b.quiet()
}

// TestReadingWithoutScripts: a search, a package and a comparison with scripts off.
func TestReadingWithoutScripts(t *testing.T) {
	s := serveFilled(t)
	b := open(t, s)
	b.scriptsOff()
	for path, text := range map[string]string{"/-/search?q=hello": "hello-doc", "/-/d/-/stable?q=libgreeting": "libgreeting-dev", "/-/repos/stable?q=hello": "2.12-1",
		"/-/compare?left=stable-2026-11-01&right=stable-2026-11-20": "Added: 1", "/dists/stable/main/": "binary-amd64", "/-/publications/-/stable/tree?path=pool/main/h/hello": "hello_2.12-1_amd64.deb"} {
		b.visit(path)
		b.shows(text)
	}
}
