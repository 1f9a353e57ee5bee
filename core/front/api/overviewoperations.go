package api

import "aptless/core/formats/openapi"

// details asks for objects with more fields than aptly has.
var details = openapi.Param{Name: "format", About: "with the fields that aptly does not have", Values: []string{"details"}}

// taskQuery describes the parameters of the listing of tasks.
func taskQuery() []openapi.Param {
	return append(pageQuery(), details, openapi.Param{Name: "state", About: "only tasks in this state: idle, running, succeeded, failed. Not in aptly", Values: []string{"0", "1", "2", "3"}, Default: "none: all"},
		openapi.Param{Name: "last", About: "only so many of the last tasks, up to 1000, the newest first. Not in aptly", Default: "none: all"},
		openapi.Param{Name: "kind", About: "only tasks of this kind, for example repo.import. Not in aptly", Default: "none: all"})
}

func overviewOperations() []openapi.Operation {
	return []openapi.Operation{
		op("GET", "/api/status", "Status", "status", "Count objects and tasks, and list all that may need an operator", gives(200, overview{})),
		op("GET", "/api/signing-keys", "Keys", "listSigningKeys", "List the public keys that sign publications, and the problems that apt has with them", gives(200, []signingKey{})),
		op("GET", "/api/packages/{key}/files", "Packages", "listPackageFiles", "List the files of a package", gives(200, packageContents{},
			openapi.Param{Name: "contents", About: "with the paths that the package installs", Values: []string{"1"}})),
	}
}
