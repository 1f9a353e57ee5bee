package console

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/client"
	"aptless/core/front/auth"
)

func (q *request) repos() error {
	v, err := list(q, client.ListRepos())
	if err != nil {
		return err
	}
	if !q.Reads && q.some(auth.RepoManage) {
		v.Actions = append(v.Actions, action{Path: "/-/new/repo", Text: "New repository"})
	}
	if q.aptless && len(v.List) > 1 {
		v.Actions = append(v.Actions, action{Path: "/-/compare?of=repos", Text: "Compare two repositories"})
	}
	return q.write(http.StatusOK, "repos", "Repositories", v)
}

// repoView is the data of the page of a repository.
type repoView struct {
	client.Repo
	Packages  packageList
	Published []client.Publication
	Uploaders *client.UploaderRules // nil if all keys may upload
	Aptless   bool
	Actions   []action
}

func (q *request) repo() error {
	name := q.r.PathValue("name")
	found, err := client.Send(q.ctx, q.api, client.ShowRepo(name))
	if err != nil {
		return err
	}
	v := repoView{Repo: found.Value}
	if v.Packages, err = q.listPackages(client.ListFields(client.OfRepos, name)); err != nil {
		return err
	}
	if v.Published, err = q.publishedFrom("local", name); err != nil {
		return err
	}
	if v.Aptless = q.aptless; v.Aptless {
		rules, err := client.Send(q.ctx, q.api, client.ShowUploaders(name))
		if err != nil {
			return err
		}
		v.Uploaders = rules.Value
	}
	q.offer(&v.Actions, auth.RepoImport, name, action{pathTo("repos", name, "upload"), "Upload packages", false})
	if !q.Reads && q.some(auth.SnapshotCreate) {
		v.Actions = append(v.Actions, action{pathTo("repos", name, "snapshot"), "Snapshot", false})
	}
	if !q.Reads && q.some(auth.PublishManage) {
		v.Actions = append(v.Actions, action{pathTo("repos", name, "publish"), "Publish", false})
	}
	if !q.Reads && q.some(auth.RepoWrite) {
		v.Actions = append(v.Actions, action{pathTo("repos", name, "copy"), "Copy packages", false})
	}
	q.offer(&v.Actions, auth.RepoWrite, name, action{pathTo("repos", name, "remove"), "Remove packages", false})
	q.offer(&v.Actions, auth.RepoManage, name, action{pathTo("repos", name, "edit"), "Change", false})
	if q.aptless {
		q.offer(&v.Actions, auth.RepoManage, name, action{pathTo("repos", name, "uploaders"), "Uploaders", false})
	}
	q.offer(&v.Actions, auth.RepoManage, name, action{pathTo("repos", name, "drop"), "Drop", true})
	return q.write(v.Packages.status(), "repo", name, v)
}

// publishedFrom returns the publications that have a source of a kind.
func (q *request) publishedFrom(kind, name string) ([]client.Publication, error) {
	if !q.some(auth.PublishRead) {
		return nil, nil
	}
	found, err := client.Send(q.ctx, q.api, client.ListPublications())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found.Value, func(p client.Publication) bool {
		return p.SourceKind != kind || !slices.ContainsFunc(p.Sources, func(s client.Source) bool { return s.Name == name })
	}), nil
}

func (q *request) mirrors() error {
	v, err := list(q, client.ListMirrors())
	if err != nil {
		return err
	}
	if !q.Reads && q.some(auth.MirrorManage) {
		v.Actions = append(v.Actions, action{Path: "/-/new/mirror", Text: "New mirror"})
	}
	return q.write(http.StatusOK, "mirrors", "Mirrors", v)
}

// mirrorView is the data of the page of a mirror.
type mirrorView struct {
	client.Mirror
	Packages packageList
	Tasks    []client.Task // about the mirror, the newest first
	Failure  string        // of the last update; "" if it has not failed
	Actions  []action
}

func (q *request) mirror() error {
	name := q.r.PathValue("name")
	found, err := client.Send(q.ctx, q.api, client.ShowMirror(name))
	if err != nil {
		return err
	}
	v := mirrorView{Mirror: found.Value}
	if !v.LastDownloadDate.IsZero() {
		if v.Packages, err = q.listPackages(client.ListFields(client.OfMirrors, name)); err != nil {
			return err
		}
	}
	tasks, err := q.tasksOf("", "200")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if strings.HasSuffix(t.Name, " mirror "+name) && len(v.Tasks) < 5 {
			v.Tasks = append(v.Tasks, t)
		}
	}
	i := slices.IndexFunc(v.Tasks, func(t client.Task) bool { return t.State > client.Running && strings.HasPrefix(t.Name, "Update ") })
	if i >= 0 && v.Tasks[i].State == client.Failed {
		v.Failure = v.Tasks[i].Error
	}
	q.offer(&v.Actions, auth.MirrorUpdate, name, action{pathTo("mirrors", name, "update"), "Update", false})
	if !q.Reads && q.some(auth.SnapshotCreate) && !v.LastDownloadDate.IsZero() {
		v.Actions = append(v.Actions, action{pathTo("mirrors", name, "snapshot"), "Snapshot", false})
	}
	q.offer(&v.Actions, auth.MirrorManage, name, action{pathTo("mirrors", name, "edit"), "Change", false})
	q.offer(&v.Actions, auth.MirrorManage, name, action{pathTo("mirrors", name, "drop"), "Drop", true})
	return q.write(v.Packages.status(), "mirror", name, v)
}

func (q *request) snapshots() error {
	v, err := list(q, client.ListSnapshots())
	if err != nil {
		return err
	}
	if len(v.List) > 0 {
		v.Actions = append(v.Actions, action{Path: "/-/compare", Text: "Compare two snapshots"})
	}
	if !q.Reads && len(v.List) > 0 && q.some(auth.SnapshotCreate) {
		v.Actions = append(v.Actions, action{Path: "/-/new/merge", Text: "Merge snapshots"})
	}
	return q.write(http.StatusOK, "snapshots", "Snapshots", v)
}

// snapshotView is the data of the page of a snapshot.
type snapshotView struct {
	client.Snapshot
	Packages  packageList
	Published []client.Publication
	Others    []string // names of further snapshots, for a comparison
	Actions   []action
}

func (q *request) snapshot() error {
	name := q.r.PathValue("name")
	found, err := client.Send(q.ctx, q.api, client.ShowSnapshot(name))
	if err != nil {
		return err
	}
	v := snapshotView{Snapshot: found.Value}
	if v.Packages, err = q.listPackages(client.ListFields(client.OfSnapshots, name)); err != nil {
		return err
	}
	if v.Published, err = q.publishedFrom("snapshot", name); err != nil {
		return err
	}
	if v.Others, err = q.snapshotNames(); err != nil {
		return err
	}
	if !q.Reads && q.some(auth.PublishManage) {
		v.Actions = append(v.Actions, action{pathTo("snapshots", name, "publish"), "Publish", false})
	}
	if !q.Reads && q.some(auth.SnapshotCreate) {
		if q.aptless {
			v.Actions = append(v.Actions, action{pathTo("snapshots", name, "filter"), "Filter", false})
		}
		v.Actions = append(v.Actions, action{pathTo("snapshots", name, "pull"), "Pull packages", false})
	}
	q.offer(&v.Actions, auth.SnapshotManage, name, action{pathTo("snapshots", name, "edit"), "Rename", false})
	q.offer(&v.Actions, auth.SnapshotManage, name, action{pathTo("snapshots", name, "drop"), "Drop", true})
	return q.write(v.Packages.status(), "snapshot", name, v)
}

// repoNames returns the names of repositories for a choice, without one: at most 1,000.
func (q *request) repoNames(without string) ([]string, error) {
	call := client.ListRepos()
	if q.aptless {
		call = call.With("limit", "1000")
	}
	found, err := client.Send(q.ctx, q.api, call)
	var names []string
	for _, r := range found.Value {
		if r.Name != without {
			names = append(names, r.Name)
		}
	}
	return names, err
}

// snapshotNames returns the names of snapshots for a choice: at most 1,000.
func (q *request) snapshotNames() ([]string, error) {
	call := client.ListSnapshots()
	if q.aptless {
		call = call.With("limit", "1000")
	}
	found, err := client.Send(q.ctx, q.api, call)
	var names []string
	for _, s := range found.Value {
		names = append(names, s.Name)
	}
	return names, err
}
