package client

import (
	"encoding/json"
	"strconv"
)

// Nothing is the answer of a call without one.
type Nothing = json.RawMessage

func get[T any](path string) Call[T] { return Call[T]{Method: "GET", Path: path} }

func tasked[T any](method, path string, body any) Call[T] {
	return Call[T]{Method: method, Path: path, Body: body, Task: true}
}

// task returns the path of a task.
func task(id int64, more ...string) string {
	return at(append([]string{"tasks", strconv.FormatInt(id, 10)}, more...)...)
}

// ShowVersion asks for the version of the server.
func ShowVersion() Call[Version] { return get[Version](at("version")) }

// ShowStatus asks for counts, and for all that may need an operator. aptly has none.
func ShowStatus() Call[Status] { return get[Status](at("status")) }

// ListRepos asks for all repositories.
func ListRepos() Call[[]Repo] { return get[[]Repo](at("repos")) }

// ShowRepo asks for a repository.
func ShowRepo(name string) Call[Repo] { return get[Repo](at("repos", name)) }

// CreateRepo makes a repository.
func CreateRepo(s RepoSettings) Call[Repo] { return tasked[Repo]("POST", at("repos"), s) }

// EditRepo changes a repository.
func EditRepo(name string, e RepoEdit) Call[Repo] { return tasked[Repo]("PUT", at("repos", name), e) }

// DropRepo removes a repository. The parameter force drops one with snapshots.
func DropRepo(name string) Call[Nothing] { return tasked[Nothing]("DELETE", at("repos", name), nil) }

// SetUploaders replaces the rules of a repository; rules are aptly's uploaders.json.
func SetUploaders(name string, rules json.RawMessage) Call[Nothing] {
	return tasked[Nothing]("PUT", at("repos", name, "uploaders"), rules)
}

// ClearUploaders removes the rules of a repository.
func ClearUploaders(name string) Call[Nothing] {
	return tasked[Nothing]("DELETE", at("repos", name, "uploaders"), nil)
}

// refs is a body of package keys.
type refs struct{ PackageRefs []string }

// AddPackages adds packages by key.
func AddPackages(repo string, keys []string) Call[Repo] {
	return tasked[Repo]("POST", at("repos", repo, "packages"), refs{keys})
}

// RemovePackages removes packages by key.
func RemovePackages(repo string, keys []string) Call[Repo] {
	return tasked[Repo]("DELETE", at("repos", repo, "packages"), refs{keys})
}

// Import imports an upload directory into a repository.
func Import(repo, dir string) Call[Report] {
	return tasked[Report]("POST", at("repos", repo, "file", dir), nil)
}

// Include includes the .changes of an upload directory.
func Include(repo, dir string) Call[Report] {
	return tasked[Report]("POST", at("repos", repo, "include", dir), nil)
}

// RemoveMatching removes the packages of a query. aptly cannot.
func RemoveMatching(repo, query string) Call[Report] {
	return tasked[Report]("DELETE", at("repos", repo, "packages"), nil).With("q", query)
}

// ImportMirror adds the packages of a mirror that match one of the queries. aptly cannot.
func ImportMirror(repo, mirror string, queries []string, withDeps, dryRun bool) Call[Report] {
	return tasked[Report]("POST", at("repos", repo, "import", mirror), struct {
		Queries  []string
		WithDeps bool `json:"with-deps"`
		DryRun   bool `json:"dry-run"`
	}{queries, withDeps, dryRun})
}

// Move copies the packages of a query and removes them from their repository: both or
// neither. aptly ignores the word and copies.
func Move(to, from, query string, withDeps, dryRun bool) Call[Report] {
	return tasked[Report]("POST", at("repos", to, "copy", from, query), struct {
		WithDeps bool `json:"with-deps"`
		DryRun   bool `json:"dry-run"`
		Move     bool `json:"move"`
	}{withDeps, dryRun, true})
}

// Copy copies the packages of a query from one repository to another.
func Copy(to, from, query string, withDeps, dryRun bool) Call[Report] {
	return tasked[Report]("POST", at("repos", to, "copy", from, query), struct {
		WithDeps bool `json:"with-deps"`
		DryRun   bool `json:"dry-run"`
	}{withDeps, dryRun})
}

// Kinds of objects that have packages, as their paths have them.
const (
	OfRepos     = "repos"
	OfMirrors   = "mirrors"
	OfSnapshots = "snapshots"
)

// ListKeys asks for the keys of the packages of an object; kind is one of the constants.
func ListKeys(kind, name string) Call[[]string] { return get[[]string](at(kind, name, "packages")) }

// ListFields asks for whole packages.
func ListFields(kind, name string) Call[[]map[string]string] {
	return get[[]map[string]string](at(kind, name, "packages")).With("format", "details")
}

// AllKeys asks for the keys of all packages.
func AllKeys() Call[[]string] { return get[[]string](at("packages")) }

// AllFields asks for all packages.
func AllFields() Call[[]map[string]string] {
	return get[[]map[string]string](at("packages")).With("format", "details")
}

// ShowPackage asks for the fields of a package.
func ShowPackage(key string) Call[map[string]string] {
	return get[map[string]string](at("packages", key))
}

// ListReferences asks for the objects that have a package.
func ListReferences(key string) Call[References] {
	return get[References](at("packages", key, "references"))
}

// ListPackageFiles asks for the files of a package.
func ListPackageFiles(key string) Call[Files] { return get[Files](at("packages", key, "files")) }

// ListMirrors asks for all mirrors.
func ListMirrors() Call[[]Mirror] { return get[[]Mirror](at("mirrors")) }

// ShowMirror asks for a mirror.
func ShowMirror(name string) Call[Mirror] { return get[Mirror](at("mirrors", name)) }

// CreateMirror makes a mirror.
func CreateMirror(s MirrorSettings) Call[Mirror] {
	return Call[Mirror]{Method: "POST", Path: at("mirrors"), Body: s}
}

// EditMirror changes a mirror.
func EditMirror(name string, s MirrorSettings) Call[Mirror] {
	return Call[Mirror]{Method: "POST", Path: at("mirrors", name), Body: s}
}

// UpdateMirror fetches a mirror's archive.
func UpdateMirror(name string, u MirrorUpdate) Call[Nothing] {
	return tasked[Nothing]("PUT", at("mirrors", name), u)
}

// DropMirror removes a mirror.
func DropMirror(name string) Call[Nothing] {
	return tasked[Nothing]("DELETE", at("mirrors", name), nil)
}

// ListSnapshots asks for all snapshots.
func ListSnapshots() Call[[]Snapshot] { return get[[]Snapshot](at("snapshots")) }

// ShowSnapshot asks for a snapshot.
func ShowSnapshot(name string) Call[Snapshot] { return get[Snapshot](at("snapshots", name)) }

// CreateSnapshot makes a snapshot of other snapshots and packages, or an empty one.
func CreateSnapshot(s SnapshotSettings) Call[Snapshot] {
	return tasked[Snapshot]("POST", at("snapshots"), s)
}

// SnapshotOf makes a snapshot of a repository or a mirror; kind is OfRepos or OfMirrors.
func SnapshotOf(kind, source, name, description string) Call[Snapshot] {
	return tasked[Snapshot]("POST", at(kind, source, "snapshots"), SnapshotSettings{Name: name, Description: description})
}

// EditSnapshot changes name and description; "" keeps one.
func EditSnapshot(name, newName, description string) Call[Snapshot] {
	return tasked[Snapshot]("PUT", at("snapshots", name), struct {
		Name, Description string `json:",omitempty"`
	}{newName, description})
}

// DropSnapshot removes a snapshot.
func DropSnapshot(name string) Call[Nothing] {
	return tasked[Nothing]("DELETE", at("snapshots", name), nil)
}

// Diff compares two snapshots.
func Diff(left, right string) Call[[]Difference] {
	return get[[]Difference](at("snapshots", left, "diff", right))
}

// Merge makes a snapshot of several others.
func Merge(name string, sources []string) Call[Snapshot] {
	return tasked[Snapshot]("POST", at("snapshots", name, "merge"), struct{ Sources []string }{sources})
}

// PullInto makes a snapshot of one and of packages of another one.
func PullInto(name string, p Pull) Call[Snapshot] {
	return tasked[Snapshot]("POST", at("snapshots", name, "pull"), p)
}

// Filter makes a snapshot of the packages that match queries.
func Filter(name, destination string, queries []string) Call[Snapshot] {
	return tasked[Snapshot]("POST", at("snapshots", name, "filter"), struct {
		Destination string
		Queries     []string
	}{destination, queries})
}

// Verify asks for the dependencies that nothing satisfies.
func Verify(name string) Call[[]string] { return get[[]string](at("snapshots", name, "verify")) }

// ListPublications asks for all publications.
func ListPublications() Call[[]Publication] { return get[[]Publication](at("publish")) }

// ShowPublication asks for a publication.
func ShowPublication(p Place) Call[Publication] { return get[Publication](p.path()) }

// Publish makes a publication below a prefix.
func Publish(prefix string, b Publishing) Call[Publication] {
	return tasked[Publication]("POST", at("publish", segment(prefix)), b)
}

// Switch publishes other snapshots. Without snapshots it is the update that aptly had
// before 1.6.
func Switch(p Place, b Publishing) Call[Publication] {
	return tasked[Publication]("PUT", p.path(), b)
}

// Update publishes the staged sources, or the current packages of the repositories.
func Update(p Place, b Publishing) Call[Publication] {
	return tasked[Publication]("POST", p.path("update"), b)
}

// DropPublication removes a publication.
func DropPublication(p Place) Call[Nothing] { return tasked[Nothing]("DELETE", p.path(), nil) }

// ListSources asks for the sources of the next update.
func ListSources(p Place) Call[[]Source] { return get[[]Source](p.path("sources")) }

// AddSource stages a further component.
func AddSource(p Place, s Source) Call[Nothing] {
	return tasked[Nothing]("POST", p.path("sources"), s)
}

// SetSource stages another source of a component.
func SetSource(p Place, s Source) Call[Nothing] {
	return tasked[Nothing]("PUT", p.path("sources", segment(s.Component)), s)
}

// RemoveSource stages the removal of a component.
func RemoveSource(p Place, component string) Call[Nothing] {
	return tasked[Nothing]("DELETE", p.path("sources", segment(component)), nil)
}

// SetSources stages all sources.
func SetSources(p Place, s []Source) Call[Nothing] {
	return tasked[Nothing]("PUT", p.path("sources"), s)
}

// DiscardSources forgets the staged sources.
func DiscardSources(p Place) Call[Nothing] { return tasked[Nothing]("DELETE", p.path("sources"), nil) }

// ListRevisions asks for the former states of a publication. aptly has none.
func ListRevisions(p Place) Call[[]Revision] {
	return get[[]Revision](p.path("revisions")).With("format", "details")
}

// RollBack publishes a former state.
func RollBack(p Place, r Rollback) Call[Publication] {
	return tasked[Publication]("POST", p.path("rollback"), r)
}

// ListTasks asks for the tasks.
func ListTasks() Call[[]Task] { return get[[]Task](at("tasks")).With("format", "details") }

// ShowTask asks for a task.
func ShowTask(id int64) Call[Task] { return get[Task](task(id)).With("format", "details") }

// TaskDetail asks for the progress of a task.
func TaskDetail(id int64) Call[Nothing] { return get[Nothing](task(id, "detail")) }

// TaskOutput asks for the output of a task.
func TaskOutput(id int64) Call[string] { return get[string](task(id, "output")) }

// TaskResult asks for the result of a task.
func TaskResult(id int64) Call[TaskValue] { return get[TaskValue](task(id, "return_value")) }

// DeleteTask removes the record of an ended task.
func DeleteTask(id int64) Call[Nothing] {
	return Call[Nothing]{Method: "DELETE", Path: task(id), Safe: true}
}

// CancelTask stops a task that has not committed.
func CancelTask(id int64) Call[Task] { return Call[Task]{Method: "POST", Path: task(id, "cancel")} }

// ClearTasks removes the records of all ended tasks.
func ClearTasks() Call[Nothing] {
	return Call[Nothing]{Method: "POST", Path: at("tasks-clear"), Safe: true}
}

// Cleanup deletes the files and records that nothing refers to.
func Cleanup() Call[Nothing] { return tasked[Nothing]("POST", at("db", "cleanup"), nil) }

// PlanCleanup counts the files and records that a cleanup deletes. aptly cannot.
func PlanCleanup() Call[[]Unneeded] {
	return tasked[[]Unneeded]("POST", at("db", "cleanup"), nil).With("dryRun", "1")
}

// CheckStorage checks rows, lists, the pool and the public trees. aptly cannot.
func CheckStorage(deep, repair bool) Call[Check] {
	return tasked[Check]("POST", at("db", "check"), nil).Flag("deep", deep).Flag("repair", repair)
}

// Repair checks the storage and restores missing files. With dryRun=1 it only checks.
func Repair() Call[Nothing] { return tasked[Nothing]("POST", at("db", "repair"), nil) }

// ListUploadDirs asks for the upload directories.
func ListUploadDirs() Call[[]string] { return get[[]string](at("files")) }

// ListUploads asks for the names of the files of an upload directory.
func ListUploads(dir string) Call[[]string] { return get[[]string](at("files", dir)) }

// ListUploadDetails asks for sizes and digests of the files of an upload directory.
func ListUploadDetails(dir string) Call[[]File] {
	return get[[]File](at("files", dir)).With("format", "details")
}

// DropUploads removes an upload directory.
func DropUploads(dir string) Call[Nothing] {
	return Call[Nothing]{Method: "DELETE", Path: at("files", dir), Safe: true}
}

// ListSigningKeys asks for the public keys of the server. aptly has none.
func ListSigningKeys() Call[[]SigningKey] { return get[[]SigningKey](at("signing-keys")) }

// ListTrustedKeys asks for the keys of a ring of the server; "" is its default.
func ListTrustedKeys(ring string) Call[TrustedKeys] {
	return get[TrustedKeys](at("gpg", "keys")).With("keyring", ring)
}

// TrustKey adds keys to a ring: an armoured block, or IDs at a key server.
func TrustKey(ring, armor, server, ids string) Call[string] {
	return Call[string]{Method: "POST", Path: at("gpg", "key"), Body: map[string]string{
		"Keyring": ring, "GpgKeyArmor": armor, "Keyserver": server, "GpgKeyID": ids}, Safe: true}
}

// DistrustKey removes a key from a ring.
func DistrustKey(ring, id string) Call[string] {
	return Call[string]{Method: "DELETE", Path: at("gpg", "key"), Body: map[string]string{"Keyring": ring, "GpgKeyID": id}}
}

// Graph asks for the graph of all objects. The answer is no JSON: use Fetch.
func Graph(format, layout string) Call[Nothing] {
	return get[Nothing](at("graph."+format)).With("layout", layout)
}
