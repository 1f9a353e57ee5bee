package api

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"aptless/core/formats/openapi"
)

// faults returns the errors of an operation with this access. Route, body and parameters
// make some possible; ownFaults has the others.
func (a Access) faults(o openapi.Operation) []openapi.Answer {
	found := map[int]string{
		http.StatusForbidden:           "a browser sends the request for another site, or an open server is not asked as localhost",
		http.StatusInternalServerError: "the server fails; some refusals have this status as in aptly",
		http.StatusServiceUnavailable:  "the storage is not reached in time, or the request cannot be recorded",
	}
	if a.class != openToAll {
		found[http.StatusUnauthorized] = "the credentials are missing or not valid"
		found[http.StatusForbidden] = "the credentials do not permit it; or " + found[http.StatusForbidden]
		found[http.StatusTooManyRequests] = "too many attempts with bad credentials: the header Retry-After says the seconds to wait"
	}
	params := openapi.PathParams(o.Path)
	if o.Body != nil || len(o.Query) > 0 || len(params) > 0 {
		found[http.StatusBadRequest] = notValid
	}
	if len(params) > 0 {
		found[http.StatusNotFound] = unknownName
	}
	if o.Body != nil {
		found[http.StatusRequestEntityTooLarge] = "the body is too large"
		if o.Media == "" && !strings.HasPrefix(o.Path, "/api/auth/") {
			found[http.StatusUnsupportedMediaType] = "the body is XML, YAML or another type than JSON"
		}
	}
	if slices.ContainsFunc(o.Query, func(p openapi.Param) bool { return p.Name == async.Name }) {
		found[http.StatusTooManyRequests] += "; or 1,000 tasks wait for one of the objects"
	}
	for _, own := range ownFaults() {
		if slices.Contains(own.ids, o.ID) {
			maps.Copy(found, own.text)
		}
	}
	maps.DeleteFunc(found, func(_ int, text string) bool { return text == "" })
	var list []openapi.Answer
	for _, status := range slices.Sorted(maps.Keys(found)) {
		list = append(list, openapi.Answer{Status: status, About: found[status], Example: exampleOf(status)})
	}
	return list
}

// Texts of errors that several operations have.
const (
	tooLong     = "the whole list is too large for an answer: ask for pages by limit="
	changedThen = "ifGeneration is not the present Generation: the publication was changed meanwhile"
	notValid    = "the body, a name or a parameter is not valid"
	unknownName = "an object that the request names does not exist"
)

// ownFault is the errors, by their status, that some operations have beyond the errors of
// their kind. The text "" takes the error of the kind away.
type ownFault struct {
	ids  []string // of the operations
	text map[int]string
}

func ownFaults() []ownFault {
	return []ownFault{
		{[]string{"createRepo"}, map[int]string{404: "there is no snapshot FromSnapshot", 409: "the name is taken"}},
		{[]string{"editRepo", "editSnapshot", "updateMirror"}, map[int]string{404: unknownName, 409: "the name is taken"}},
		{[]string{"editMirror"}, map[int]string{404: unknownName, 409: "the mirror is being updated"}},
		{[]string{"snapshotRepo", "snapshotMirror", "filterSnapshot", "createSnapshot"}, map[int]string{404: unknownName, 400: notValid + ", or the name is taken"}},
		{[]string{"createMirror", "mergeSnapshots", "pullSnapshot"}, map[int]string{404: unknownName, 500: "the name is taken, as in aptly, or the storage has failed"}},
		{[]string{"dropRepo", "dropSnapshot"}, map[int]string{409: "it is published, or other objects derive from it: force=1 drops it"}},
		{[]string{"dropSnapshots"}, map[int]string{404: "no snapshot matches"}},
		{[]string{"copyPackages", "importMirror"}, map[int]string{422: "the query is not valid, or nothing matches it"}},
		{[]string{"publish", "publishAtRoot"}, map[int]string{404: "there is no such source"}},
		{[]string{"updateOrSwitch", "dropPublication", "update", "rollback"}, map[int]string{409: changedThen}},
		{[]string{"cancelTask"}, map[int]string{409: "the task has ended, or has committed its changes"}},
		{[]string{"listPackages", "listRepoPackages", "listMirrorPackages", "listSnapshotPackages", "listPublishedPackages", "diffSnapshots", "listSnapshots"}, map[int]string{413: tooLong}},
		{[]string{"readExport"}, map[int]string{416: "from is beyond the end"}},
		{[]string{"importTransfer", "planImport"}, map[int]string{409: "other objects have names of the transfer, or the server is not empty"}},
		{[]string{"createToken", "rotateToken"}, map[int]string{409: "the name is taken, the token has ended, or there are too many tokens"}},
		{[]string{"setPolicy", "setBinding"}, map[int]string{404: "", 409: "there are too many"}},
		{[]string{"setAccess"}, map[int]string{409: "the list was changed meanwhile, a publication has the pool layout hash, or the server has no authentication"}},
		{[]string{"oidcAudience"}, map[int]string{404: "the server does not know its own address"}},
		{[]string{"exchangeToken"}, map[int]string{401: "the ID token is not valid", 403: "no trust policy matches the claims, which the answer repeats as Claims",
			409: "there are too many short tokens", 429: "too many failed attempts: the header Retry-After says the seconds to wait", 503: "the keys of the issuer are not reached"}},
		{[]string{"uploadFiles", "uploadFile"}, map[int]string{404: ""}},
		{[]string{"setUploaders", "beginParts", "signParts", "completeParts", "abortParts"}, map[int]string{415: ""}},
		{[]string{"metrics"}, map[int]string{404: "metrics are disabled"}},
		{[]string{"freezeData"}, map[int]string{400: "the server has no data folder, as on AWS"}},
		{[]string{"storage"}, map[int]string{404: "the storage was never checked"}},
	}
}

// exampleOf returns an answer with a status. Some answers have a hint.
func exampleOf(status int) any {
	example := map[string]string{}
	switch status {
	case http.StatusBadRequest:
		example["error"], example["hint"] = "Key: 'repoCreateParams.Name' Error:Field validation for 'Name' failed on the 'required' tag", "the request lacks Name"
	case http.StatusUnauthorized:
		example["error"] = "credentials are not valid"
	case http.StatusForbidden:
		example["error"] = "no permission: repo.import on hello"
	case http.StatusNotFound:
		example["error"] = "unable to show: published repo with storage:prefix/distribution ./stable not found"
		example["hint"] = "GET /api/publish lists the publications; in a path the prefix . is written :., and a slash _"
	default:
		return nil
	}
	return example
}
