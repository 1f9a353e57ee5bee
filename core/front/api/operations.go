package api

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"aptless/core/archive/deliver"
	"aptless/core/archive/drop"
	"aptless/core/archive/fsck"
	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/gc"
	"aptless/core/formats/openapi"
)

// Query parameters that many operations have.
var (
	force        = openapi.Param{Name: "force", About: "also if other objects derive from it", Values: []string{"1"}}
	listingQuery = []openapi.Param{{Name: "q", About: "query of packages", Default: "none: all packages"}, {Name: "withDeps", About: "with the dependencies of the matching packages", Values: []string{"1"}}, {Name: "format", About: "whole packages instead of their keys", Values: []string{"details"}}}
	latest       = openapi.Param{Name: "maximumVersion", About: "only the highest version of each package", Values: []string{"1"}}
	forceReplace = openapi.Param{Name: "forceReplace", About: "replace conflicting packages", Values: []string{"1"}}
	noRemove     = openapi.Param{Name: "noRemove", About: "keep the uploaded files", Values: []string{"1"}}
)

// operations describes every route below /api. TestOperations compares it with the
// served routes.
func operations() []openapi.Operation {
	all := repoOperations()
	all = append(all, fileOperations()...)
	all = append(all, mirrorOperations()...)
	all = append(all, snapshotOperations()...)
	all = append(all, publishOperations()...)
	all = append(all, browseOperations()...)
	all = append(all, diffOperations()...)
	all = append(all, packageOperations()...)
	all = append(all, authOperations()...)
	all = append(all, overviewOperations()...)
	all = append(all, transferOperations()...)
	all = append(all, backupOperations()...)
	return append(all, statusOperations()...)
}

func repoOperations() []openapi.Operation {
	const tag, one = "Repos", "/api/repos/{name}"
	imports := []openapi.Param{noRemove, forceReplace}
	include := []openapi.Param{{Name: "noRemoveFiles", About: noRemove.About, Values: []string{"1"}}, imports[1],
		{Name: "acceptUnsigned", About: "accept .changes without a signature", Values: []string{"1"}}, {Name: "ignoreSignature", About: "do not verify signatures", Values: []string{"1"}}}
	return []openapi.Operation{
		op("GET", "/api/repos", tag, "listRepos", "List the local repositories", gives(200, []listedRepo{})),
		tasked("POST", "/api/repos", tag, "createRepo", "Create a repository", takes(repoCreateParams{}, 201, repo.View{})),
		op("GET", one, tag, "showRepo", "Show a repository", gives(200, repo.View{})),
		tasked("PUT", one, tag, "editRepo", "Change a repository", takes(reposEditParams{}, 200, repo.View{})),
		tasked("DELETE", one, tag, "dropRepo", "Drop a repository", gives(200, empty{}, force)),
		op("GET", one+"/packages", tag, "listRepoPackages", "List the packages of a repository", gives(200, []string{}, packageQuery(latest)...)),
		tasked("POST", one+"/packages", tag, "addRepoPackages", "Add packages by key", takes(reposPackagesAddDeleteParams{}, 200, repo.View{})),
		tasked("DELETE", one+"/packages", tag, "removeRepoPackages", "Remove packages by key or by query", takes(reposPackagesAddDeleteParams{}, 200, repo.View{},
			openapi.Param{Name: "q", About: "query of the packages to remove, in place of the body. The answer is a report then. Not in aptly", Default: "none"}, dryRun)),
		tasked("POST", one+"/file/{dir}", tag, "importDir", "Import all packages of an upload directory", gives(200, repo.ImportResult{}, imports...)),
		tasked("POST", one+"/file/{dir}/{file}", tag, "importFile", "Import an uploaded file", gives(200, repo.ImportResult{}, imports...)),
		tasked("POST", one+"/include/{dir}", tag, "includeDir", "Include all .changes of an upload directory", gives(200, repo.ImportResult{}, include...)),
		tasked("POST", one+"/include/{dir}/{file}", tag, "includeFile", "Include an uploaded .changes", gives(200, repo.ImportResult{}, include...)),
		tasked("POST", one+"/copy/{src}/{file}", tag, "copyPackages", "Copy packages from another repository by a query", takes(reposCopyPackageParams{}, 200, repo.CopyResult{}, wantedQuery()...)),
		tasked("POST", one+"/import/{src}", tag, "importMirror", "Import packages of a mirror", takes(reposImportParams{}, 200, repo.CopyResult{}, wantedQuery()...)),
		tasked("POST", one+"/snapshots", tag, "snapshotRepo", "Make a snapshot of a repository", takes(snapshotsCreateFromRepositoryParams{}, 201, snapshot.View{})),
		op("GET", one+"/drop", tag, "showDrop", "Show the publications that are updated after an import from the drop box", gives(200, dropBox{})),
		tasked("PUT", one+"/drop", tag, "setDrop", "Set the publications that are updated after an import from the drop box", takes(dropBox{}, 200, repo.View{})),
		tasked("POST", one+"/drop", tag, "takeDrop", "Import the files of the drop box, as their arrival does", gives(200, drop.Taken{},
			openapi.Param{Name: "folder", About: "a folder of the repository in the drop box, whose files wait for a .changes", Default: "none: all files"})),
		tasked("DELETE", one+"/drop", tag, "clearDrop", "Publish nothing after an import from the drop box", gives(200, repo.View{})),
		op("GET", one+"/uploaders", tag, "showUploaders", "Show the uploaders and their rules", gives(200, repo.Uploaders{})),
		tasked("PUT", one+"/uploaders", tag, "setUploaders", "Set the uploaders and their rules", takes(repo.Uploaders{}, 200, repo.View{})),
		tasked("DELETE", one+"/uploaders", tag, "clearUploaders", "Remove the rules: anybody may upload", gives(200, repo.View{})),
	}
}

// packageQuery describes the parameters of a listing of packages.
func packageQuery(more ...openapi.Param) []openapi.Param {
	return slices.Concat(listingQuery, wantedQuery(), more, pageQuery())
}

// publishedQuery describes the parameters of the packages of a publication.
func publishedQuery() []openapi.Param {
	return append(pageQuery(), openapi.Param{Name: "q", About: "query that selects packages", Default: "none: all packages"}, openapi.Param{Name: "component", About: "only packages of this component", Default: "none: all components"}, details)
}

func fileOperations() []openapi.Operation {
	const tag, dir = "Files", "/api/files/{dir}"
	upload := op("POST", dir, tag, "uploadFiles", "Upload files, or request URLs for uploads", takes(openapi.Form{}, 200, []string{},
		openapi.Param{Name: "confirm", About: "add the files uploaded to their URLs to the directory", Values: []string{"1"}}))
	upload.Media = "multipart/form-data"
	one := op("PUT", dir+"/{file}", tag, "uploadFile", "Upload a file", takes(openapi.Binary{}, 200, []string{}))
	one.Media = "application/octet-stream"
	deliveries := tasked("POST", "/api/upload/{repo}", tag, "deliver", "Import the files of the body into a repository and publish it: both or neither", takes(openapi.Form{}, 200, deliver.Result{},
		openapi.Param{Name: "publish", About: "the publication to update: prefix/distribution, as in paths below /api/publish", Default: "none"},
		openapi.Param{Name: "file", About: "the name of the file, if the body is one file and no form", Default: "none"},
		forceReplace, openapi.Param{Name: "forceOverwrite", About: "replace published package files that are different", Values: []string{"1"}}))
	deliveries.Media = "multipart/form-data"
	return []openapi.Operation{
		deliveries,
		op("GET", "/api/files", tag, "listUploadDirs", "List the upload directories", gives(200, []string{})),
		upload, one,
		op("GET", dir, tag, "listUploads", "List the files of an upload directory", gives(200, []string{}, details)),
		op("DELETE", dir, tag, "deleteUploadDir", "Remove an upload directory", gives(200, empty{})),
		op("DELETE", dir+"/{file}", tag, "deleteUpload", "Remove an uploaded file", gives(200, empty{})),
		op("POST", partsPath, tag, "beginParts", "Begin or continue the upload of a large file in parts", takes(partsRequest{}, 200, partsPlan{})),
		op("POST", partsPath+"/urls", tag, "signParts", "Request URLs for parts of a file", takes(partsRequest{}, 200, []partDestination{})),
		op("POST", partsPath+"/complete", tag, "completeParts", "Join the parts and add the file to the directory", takes(partsRequest{}, 200, []string{})),
		op("POST", partsPath+"/abort", tag, "abortParts", "Remove the parts of a file", takes(partsRequest{}, 200, empty{})),
	}
}

func mirrorOperations() []openapi.Operation {
	const tag, one = "Mirrors", "/api/mirrors/{name}"
	return []openapi.Operation{
		op("GET", "/api/mirrors", tag, "listMirrors", "List the mirrors", gives(200, []listedMirror{})),
		op("POST", "/api/mirrors", tag, "createMirror", "Create a mirror", takes(mirrorCreateParams{}, 201, mirror.View{})),
		op("GET", one, tag, "showMirror", "Show a mirror", gives(200, mirror.View{})),
		op("POST", one, tag, "editMirror", "Change a mirror", takes(mirrorEditParams{}, 200, mirror.View{})),
		tasked("PUT", one, tag, "updateMirror", "Update a mirror", takes(mirrorUpdateParams{}, 204, nil)),
		tasked("DELETE", one, tag, "dropMirror", "Drop a mirror", gives(204, nil, force)),
		op("GET", one+"/packages", tag, "listMirrorPackages", "List the packages of a mirror", gives(200, []string{}, packageQuery()...)),
		tasked("POST", one+"/snapshots", tag, "snapshotMirror", "Make a snapshot of a mirror", takes(snapshotsCreateFromMirrorParams{}, 201, snapshot.View{})),
	}
}

func snapshotOperations() []openapi.Operation {
	const tag, one = "Snapshots", "/api/snapshots/{name}"
	flag := func(name, about string) openapi.Param {
		return openapi.Param{Name: name, About: about, Values: []string{"1"}}
	}
	return []openapi.Operation{
		op("GET", "/api/snapshots", tag, "listSnapshots", "List the snapshots", gives(200, []listedSnapshot{}, append(pageQuery(), openapi.Param{Name: "sort", About: "the order", Values: []string{"name", "time"}, Default: "name"})...)),
		tasked("POST", "/api/snapshots", tag, "createSnapshot", "Make a snapshot of other snapshots, of packages, or an empty one", takes(snapshotsCreateParams{}, 201, snapshot.View{})),
		tasked("DELETE", "/api/snapshots", tag, "dropSnapshots", "Drop the snapshots that match", gives(200, snapshot.Removal{},
			openapi.Param{Name: "pattern", About: "pattern of names: * matches any text, ? one character", Default: "none; it is required"}, openapi.Param{Name: "olderThan", About: "only snapshots older than this age, for example 30d", Default: "none: of any age"}, force, dryRun)),
		op("GET", one, tag, "showSnapshot", "Show a snapshot", gives(200, snapshot.View{})),
		tasked("PUT", one, tag, "editSnapshot", "Change name and description of a snapshot", takes(snapshotsUpdateParams{}, 200, snapshot.View{})),
		tasked("DELETE", one, tag, "dropSnapshot", "Drop a snapshot", gives(200, empty{}, force)),
		op("GET", one+"/packages", tag, "listSnapshotPackages", "List the packages of a snapshot", gives(200, []string{}, packageQuery(latest)...)),
		op("GET", one+"/diff/{withSnapshot}", tag, "diffSnapshots", "List how two snapshots differ", gives(200, []difference{}, diffQuery()...)),
		tasked("POST", one+"/merge", tag, "mergeSnapshots", "Make a snapshot of several others", takes(snapshotsMergeParams{}, 201, snapshot.View{}, flag("latest", "only the highest version of each package"), flag("no-remove", "keep all versions"), dryRun)),
		tasked("POST", one+"/pull", tag, "pullSnapshot", "Make a snapshot with packages and their dependencies from another snapshot", takes(snapshotsPullParams{}, 200, snapshot.View{},
			flag("all-matches", "all matching packages, not only the newest"), flag("dry-run", "show the changes and make none"), flag("no-deps", "without dependencies"), flag("no-remove", "keep other versions"), wantedQuery()[1])),
		tasked("POST", one+"/filter", tag, "filterSnapshot", "Make a snapshot of the packages that match queries", takes(snapshotsFilterParams{}, 201, snapshot.View{}, append(wantedQuery(), flag("withDeps", "with the dependencies of the matching packages"), dryRun)...)),
		op("GET", one+"/verify", tag, "verifySnapshot", "List the dependencies that nothing satisfies", gives(200, []string{},
			openapi.Param{Name: "with", About: "another snapshot that may satisfy dependencies; may be repeated", Default: "none"}, openapi.Param{Name: "architectures", About: "separated by commas", Default: "those of the packages"}, wantedQuery()[1])),
	}
}

func publishOperations() []openapi.Operation {
	const tag, one = "Publish", "/api/publish/{prefix}/{distribution}"
	sources := []publish.SourceView{}
	seen := openapi.Param{Name: "ifGeneration", About: "the Generation that a plan has told: refused with 409 if the publication has another one by now. Not in aptly", Default: "none: any"}
	skipCleanup := openapi.Param{Name: "SkipCleanup", About: "keep package files", Values: []string{"1"}}
	return []openapi.Operation{
		op("GET", "/api/publish", tag, "listPublications", "List the publications", gives(200, []publish.View{}, details)),
		tasked("POST", "/api/publish", tag, "publishAtRoot", "Publish repositories or snapshots", takes(publishedRepoCreateParams{}, 201, publish.View{}, dryRun)),
		tasked("POST", "/api/publish/{prefix}", tag, "publish", "Publish repositories or snapshots below a prefix", takes(publishedRepoCreateParams{}, 201, publish.View{}, dryRun)),
		op("GET", one, tag, "showPublication", "Show a publication", gives(200, publish.View{}, details)),
		op("GET", one+"/packages", tag, "listPublishedPackages", "List the packages that a publication has now", gives(200, []string{}, publishedQuery()...)),
		tasked("PUT", one, tag, "updateOrSwitch", "Publish the current packages of the repositories, or other snapshots", takes(publishedRepoUpdateSwitchParams{}, 200, publish.View{}, dryRun, seen)),
		tasked("DELETE", one, tag, "dropPublication", "Drop a publication", gives(200, empty{}, force, skipCleanup, dryRun, seen)),
		op("GET", one+"/sources", tag, "listSources", "List the sources of the next update", gives(200, sources)),
		tasked("POST", one+"/sources", tag, "addSource", "Add a component", takes(sourceParams{}, 201, sources)),
		tasked("PUT", one+"/sources", tag, "setSources", "Replace all components", takes([]sourceParams{}, 200, sources)),
		tasked("DELETE", one+"/sources", tag, "dropSources", "Discard the staged changes", gives(200, empty{})),
		tasked("PUT", one+"/sources/{component}", tag, "setSource", "Change a component", takes(sourceParams{}, 200, sources)),
		tasked("DELETE", one+"/sources/{component}", tag, "removeSource", "Remove a component", gives(200, sources)),
		tasked("POST", one+"/update", tag, "update", "Publish the staged changes", takes(publishedRepoUpdateSwitchParams{}, 200, publish.View{}, dryRun, seen)),
		op("GET", one+"/revisions", tag, "listRevisions", "List the former states of a publication", gives(200, []publish.RevisionView{}, details)),
		tasked("POST", one+"/rollback", tag, "rollback", "Publish a former state again", takes(rollbackParams{}, 200, publish.View{}, dryRun, seen)),
		tasked("POST", one+"/repair", tag, "repairPublication", "Restore the missing files of a published tree", gives(200, files.Report{}, dryRun)),
	}
}

func packageOperations() []openapi.Operation {
	return []openapi.Operation{
		op("GET", "/api/packages", "Packages", "listPackages", "List all packages", gives(200, []string{}, packageQuery(latest)...)),
		op("GET", "/api/packages/{key}", "Packages", "showPackage", "Show a package", gives(200, map[string]string{})),
		op("GET", "/api/packages/{key}/references", "Packages", "listReferences", "List the repositories, mirrors, snapshots and publications that have a package", gives(200, References{})),
	}
}

func statusOperations() []openapi.Operation {
	const status, tasks, one = "Status", "Tasks", "/api/tasks/{id}"
	graph := op("GET", "/api/graph.{ext}", status, "graph", "Draw the graph of all objects and their sources", gives(200, openapi.Binary{},
		openapi.Param{Name: "layout", About: "orientation", Values: []string{"horizontal", "vertical"}, Default: "horizontal"}))
	graph.Answers[0].Media = "image/svg+xml"
	metrics := op("GET", "/api/metrics", status, "metrics", "Metrics for Prometheus, where they are enabled", gives(200, text))
	metrics.Answers[0].Media = "text/plain"
	document := op("GET", "/api/openapi.json", status, "openapi", "This document", gives(200, openapi.Any{}))
	return []openapi.Operation{
		op("GET", "/api/version", status, "version", "Show the version", gives(200, struct{ Version string }{})),
		op("GET", "/api/ready", status, "ready", "Readiness; Warnings list configuration problems", gives(200, readiness{})),
		op("GET", "/api/healthy", status, "healthy", "Liveness of the process", gives(200, readiness{})),
		op("GET", "/api/storage", status, "storage", "Show the size of the storage, in MiB", gives(200, room{}, openapi.Param{Name: "by", About: "the bytes of each object by the last check. Not in aptly", Values: []string{"object"}})),
		op("GET", "/api/s3", status, "listS3", "List the S3 buckets to publish to", gives(200, []string{})),
		op("GET", "/api/gcs", status, "listGCS", "List the Google buckets to publish to", gives(200, []string{})),
		op("GET", "/api/jfrog", status, "listJFrog", "List the JFrog repositories to publish to", gives(200, []string{})),
		graph, metrics, document,
		tasked("POST", "/api/db/cleanup", "Database", "cleanup", "Delete unreferenced files and records. A dry run answers what would be deleted", gives(200, []gc.Found{}, dryRun)),
		tasked("POST", "/api/db/check", "Database", "check", "Check rows, lists, the pool and the public trees", gives(200, fsck.Report{},
			openapi.Param{Name: "deep", About: "read all files and compare their digests", Values: []string{"1"}}, openapi.Param{Name: "repair", About: "repair the things that follow from the rest", Values: []string{"1"}})),
		tasked("POST", "/api/db/repair", "Database", "repair", "Check the storage and restore missing files", gives(200, map[string]openapi.Any{}, dryRun)),
		op("GET", "/api/gpg/keys", "Keys", "listKeys", "List the trusted keys of a keyring", gives(200, struct{ Keys []keyring.View }{}, openapi.Param{Name: "keyring", About: "name of the keyring", Default: "trustedkeys.gpg"})),
		op("POST", "/api/gpg/key", "Keys", "addKey", "Trust a key", takes(gpgAddKeyParams{}, 200, text)),
		op("DELETE", "/api/gpg/key", "Keys", "deleteKey", "Remove a trusted key", takes(gpgDeleteKeyParams{}, 200, text)),
		op("GET", "/api/tasks", tasks, "listTasks", "List the tasks", gives(200, []taskView{}, taskQuery()...)),
		op("POST", "/api/tasks-clear", tasks, "clearTasks", "Remove the records of ended tasks", gives(200, empty{})),
		op("GET", "/api/tasks-wait", tasks, "waitForTasks", "Wait until all tasks have ended", gives(200, empty{})),
		op("GET", one, tasks, "showTask", "Show a task", gives(200, taskView{}, details)),
		op("GET", one+"/wait", tasks, "waitForTask", "Wait until a task has ended", gives(200, taskView{})),
		op("GET", one+"/output", tasks, "taskOutput", "Show the output of a task", gives(200, text, openapi.Param{Name: "from", About: "only the output from this byte on. Not in aptly", Default: "0"})),
		op("GET", one+"/detail", tasks, "taskDetail", "Show the progress of a task: its Phase while it runs, and counts of things done and to come", gives(200, openapi.Any{})),
		op("GET", one+"/return_value", tasks, "taskResult", "Show the result of a task", gives(200, returnValue{})),
		op("POST", one+"/cancel", tasks, "cancelTask", "Stop a task that has not committed its changes", gives(200, taskView{})),
		op("DELETE", one, tasks, "deleteTask", "Remove the record of an ended task", gives(200, taskView{})),
	}
}

// description returns the API's description. Its names are the names that generated
// clients of aptly use: api.<type> for parameters, deb.<type> for objects.
func (rt *Router) description(version string) openapi.API {
	type failure struct {
		Error string `json:"error"`
		Hint  string `json:"hint,omitempty"`
	}
	names := map[reflect.Type]string{
		reflect.TypeFor[repo.View]():          "deb.LocalRepo",
		reflect.TypeFor[mirror.View]():        "deb.RemoteRepo",
		reflect.TypeFor[snapshot.View]():      "deb.Snapshot",
		reflect.TypeFor[publish.View]():       "deb.PublishedRepo",
		reflect.TypeFor[publish.SourceView](): "api.sourceView",
		reflect.TypeFor[taskView]():           "task.Task",
		reflect.TypeFor[returnValue]():        "task.ProcessReturnValue",
		reflect.TypeFor[failure]():            "api.Error",
		reflect.TypeFor[empty]():              "",
	}
	return openapi.API{
		Title: "Aptly API", Version: version, Operations: rt.documented(operations()), Schemes: schemes(), Error: failure{}, Meanings: meanings, Defaults: defaults,
		Description: "Debian package repositories: local repositories, mirrors, snapshots and publications.",
		Name: func(t reflect.Type) string {
			if name, ok := names[t]; ok {
				return name
			}
			if strings.HasSuffix(t.Name(), "Params") {
				return "api." + t.Name()
			}
			return ""
		},
	}
}

// documentRoutes serves the description. The document is rendered at its first
// request, to keep the start of a function short.
func (s *Server) documentRoutes(rt *Router) {
	document := sync.OnceValues(func() ([]byte, error) { return rt.description(s.Version).Document() })
	forPeople := sync.OnceValues(func() ([]byte, error) { return rt.description(s.Version).Page("/docs/doc.json") })
	serve := func(contentType string, text func() ([]byte, error)) HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) error {
			data, err := text()
			if err != nil {
				return err
			}
			return writeBytes(w, contentType, data)
		}
	}
	moved := func(w http.ResponseWriter, r *http.Request) error {
		redirect(w, r, "/docs.html")
		return nil
	}
	rt.Handle("GET", "/api/openapi.json", public(), serve("application/json; charset=utf-8", document))
	rt.Handle("GET", "/docs/doc.json", public(), serve("application/json; charset=utf-8", document))
	rt.Handle("GET", "/docs.html", public(), func(w http.ResponseWriter, r *http.Request) error {
		page(w.Header(), openapi.Styles())
		return serve(w.Header().Get("Content-Type"), forPeople)(w, r)
	})
	rt.Handle("GET", "/docs", public(), moved)
	rt.Handle("GET", "/docs/", public(), moved)
	rt.Handle("GET", "/docs/index.html", public(), moved)
}
