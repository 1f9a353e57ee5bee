package app_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// TestReferencesNameEveryHolder: a package is found in each repository, snapshot and
// publication that has it, and in no other.
func TestReferencesNameEveryHolder(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "i386"), apptest.Deb("cc", "1", "all"))
		s.Fill(t, "q", apptest.Deb("aa", "1", "amd64"))
		s.Fill(t, "empty")
		keys := map[string]string{}
		for _, key := range s.Keys(t, "/api/repos/r") {
			keys[key[:strings.LastIndex(key, " 1 ")]] = key
		}
		for name, repo := range map[string]string{"s1": "r", "s2": "q"} {
			s.Want(t, "POST", "/api/repos/"+repo+"/snapshots", fmt.Sprintf(`{"Name":%q}`, name), 201, "")
		}
		create := func(prefix, more string) {
			s.Want(t, "POST", "/api/publish/"+prefix, `{"Distribution":"x",`+more+`,`+apptest.Unsigned+`}`, 201, "")
		}
		create(":.", `"SourceKind":"local","Architectures":["amd64"],"Sources":[{"Name":"r"}]`)
		create("p_q", `"SourceKind":"snapshot","Sources":[{"Name":"s1","Component":"main"},{"Name":"s2","Component":"contrib"}]`)
		const published = `"Publications":[{"Storage":"","Prefix":".","Distribution":"x","Path":"./x","Components":["main"]},`
		for key, want := range map[string]string{
			keys["Pamd64 aa"]: `{"Repos":["q","r"],"Mirrors":[],"Snapshots":["s1","s2"],` + published + `{"Storage":"","Prefix":"p/q","Distribution":"x","Path":"p/q/x","Components":["contrib","main"]}]}`,
			keys["Pi386 bb"]:  `{"Repos":["r"],"Mirrors":[],"Snapshots":["s1"],"Publications":[{"Storage":"","Prefix":"p/q","Distribution":"x","Path":"p/q/x","Components":["main"]}]}`,
			keys["Pall cc"]:   `{"Repos":["r"],"Mirrors":[],"Snapshots":["s1"],` + published + `{"Storage":"","Prefix":"p/q","Distribution":"x","Path":"p/q/x","Components":["main"]}]}`,
		} {
			s.Want(t, "GET", "/api/packages/"+url.PathEscape(key)+"/references", "", 200, want)
		}
		s.Want(t, "DELETE", "/api/repos/q?force=1", "", 200, "")
		s.Want(t, "GET", "/api/packages/"+url.PathEscape(keys["Pi386 bb"])+"/references", "", 200, `{"Repos":["r"],…`)
		for _, key := range []string{"nonsense", "Pamd64%20aa%201%200123456789abcdef"} {
			s.Refused(t, "GET", "/api/packages/"+key+"/references", "", 404, "key not found")
		}
	})
}

// TestReferencesNameMirrors: a package of a mirror is found there, and in a
// publication of its snapshot.
func TestReferencesNameMirrors(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Ask(t, "PUT", "/api/mirrors/m", "{}")
		for _, key := range s.Keys(t, "/api/mirrors/m") {
			s.Want(t, "GET", "/api/packages/"+url.PathEscape(key)+"/references", "", 200, `{"Repos":[],"Mirrors":["m"],"Snapshots":[],"Publications":[]}`)
		}
	})
}
