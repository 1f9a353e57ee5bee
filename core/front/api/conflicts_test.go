package api_test

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// TestDescribedConflictsHappen: 409, 416 and 422 are errors of single operations. Each that
// the description has is the answer to a request here, or in the test that is named. Where
// aptly answers 400 or 500 to a name that is taken, so does aptless, and 409 is not described.
func TestDescribedConflictsHappen(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Fill(t, "q", apptest.Deb("bb", "1", "amd64"))
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"Name":"m"`, `"Name":"m2"`, 1), nil)
		s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s2"}`, nil)
		s.Must(t, "POST", "/api/publish/p", `{"SourceKind":"snapshot","Distribution":"d","Sources":[{"Name":"s"}],`+apptest.Unsigned+`}`, nil)
		s.Must(t, "POST", "/api/publish/p", `{"SourceKind":"local","Distribution":"l","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
		var e struct{ ID string }
		s.Must(t, "POST", "/api/exports", "", &e)
		requests := map[string][3]string{ // operation: path, body, status
			"GET /api/exports/{id}/{kind}/{name}":                {"/api/exports/" + e.ID + "/objects/all?from=100000000", "", "416"},
			"POST /api/mirrors":                                  {"/api/mirrors", apptest.CreateMirror, "500"},
			"PUT /api/mirrors/{name}":                            {"/api/mirrors/m", `{"Name":"m2"}`, "409"},
			"POST /api/mirrors/{name}/snapshots":                 {"/api/mirrors/m/snapshots", `{"Name":"s"}`, "400"},
			"DELETE /api/publish/{prefix}/{distribution}":        {"/api/publish/p/d?ifGeneration=99", "", "409"},
			"PUT /api/publish/{prefix}/{distribution}":           {"/api/publish/p/d?ifGeneration=99", "{" + apptest.Unsigned + "}", "409"},
			"POST /api/publish/{prefix}/{distribution}/rollback": {"/api/publish/p/d/rollback?ifGeneration=99", `{"Generation":1}`, "409"},
			"POST /api/publish/{prefix}/{distribution}/update":   {"/api/publish/p/l/update?ifGeneration=99", "{" + apptest.Unsigned + "}", "409"},
			"POST /api/repos":                                    {"/api/repos", `{"Name":"r"}`, "409"},
			"DELETE /api/repos/{name}":                           {"/api/repos/r", "", "409"},
			"PUT /api/repos/{name}":                              {"/api/repos/r", `{"Name":"q"}`, "409"},
			"POST /api/repos/{name}/copy/{src}/{file}":           {"/api/repos/q/copy/r/none", "{}", "422"},
			"POST /api/repos/{name}/import/{src}":                {"/api/repos/q/import/m", `{"Queries":["none"]}`, "422"},
			"POST /api/repos/{name}/snapshots":                   {"/api/repos/q/snapshots", `{"Name":"s"}`, "400"},
			"POST /api/snapshots":                                {"/api/snapshots", `{"Name":"s"}`, "400"},
			"DELETE /api/snapshots/{name}":                       {"/api/snapshots/s", "", "409"},
			"PUT /api/snapshots/{name}":                          {"/api/snapshots/s", `{"Name":"s2"}`, "409"},
			"POST /api/snapshots/{name}/filter":                  {"/api/snapshots/s/filter", `{"Destination":"s2","Queries":["aa"]}`, "400"},
			"POST /api/snapshots/{name}/merge":                   {"/api/snapshots/s2/merge", `{"Sources":["s"]}`, "500"},
			"POST /api/snapshots/{name}/pull":                    {"/api/snapshots/s/pull", `{"Source":"s","Destination":"s2","Queries":["aa"],"Architectures":["amd64"]}`, "500"},
		}
		for _, at := range slices.Sorted(maps.Keys(requests)) {
			r := requests[at]
			method, _, _ := strings.Cut(at, " ")
			if status, body := s.Ask(t, method, r[0], r[1]); r[2] != strconv.Itoa(status) {
				t.Errorf("%s: %d, want %s: %s", at, status, r[2], body)
			}
		}
		operations, _ := described(t, s)
		for _, at := range slices.Sorted(maps.Keys(operations)) {
			for _, status := range []string{"409", "416", "422"} {
				_, told := operations[at].Responses[status]
				if told && requests[at][2] != status && !held(t, at) || !told && requests[at][2] == status {
					t.Errorf("%s: %s is described: %t", at, status, told)
				}
			}
		}
	})
}

// held reports whether another file gets or answers the conflict of an operation.
func held(t *testing.T, at string) bool {
	t.Helper()
	of, is := elsewhere()[at]
	if !is {
		return false
	}
	text, err := os.ReadFile(of[0])
	if err != nil {
		t.Error(err)
	}
	return strings.Contains(string(text), of[1])
}

// elsewhere has the test that gets the conflict of an operation, or the code that answers
// with it, and words of either.
func elsewhere() map[string][2]string {
	return map[string][2]string{
		"POST /api/auth/tokens":             {"../auth/store_test.go", `{Order{Name: "taken"}, 409,`},
		"POST /api/auth/tokens/{id}/rotate": {"../auth/store_test.go", `"2h", nil); status(err) != 409`},
		"POST /api/auth/oidc/token":         {"../auth/exchange.go", "http.StatusConflict"},
		"PUT /api/auth/bindings/{name}":     {"../app/bindings_test.go", `409, "there are 200 bindings`},
		"PUT /api/auth/policies/{name}":     {"../auth/policies.go", `http.StatusConflict, "there are at most`},
		"PUT /api/auth/access":              {"../app/private_test.go", `409, "the private prefixes were changed`},
		"POST /api/import":                  {"../../archive/transfer/plan.go", `task.Fail(409, "unable to import: the storage is not empty")`},
		"POST /api/import/{dir}":            {"../../archive/transfer/load.go", `task.Fail(409, "unable to import: other objects`},
		"POST /api/mirrors/{name}":          {"../../archive/mirror/mirrors_test.go", `409, "unable to edit: mirror is locked`},
		"POST /api/tasks/{id}/cancel":       {"task_cancel_test.go", `"/api/tasks/1/cancel", "", 409,`},
	}
}
