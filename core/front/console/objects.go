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
	return q.write(http.StatusOK, "repos", "Repositories", v)
}

// repoView is the data of the page of a repository.
type repoView struct {
	client.Repo
	Packages  packageList
	Published []client.Publication
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
	q.offer(&v.Actions, auth.RepoManage, name, action{pathTo("repos", name, "drop"), "Drop", true})
	return q.write(http.StatusOK, "repo", name, v)
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
	q.offer(&v.Actions, auth.MirrorUpdate, name, action{pathTo("mirrors", name, "update"), "Update", false})
	if !q.Reads && q.some(auth.SnapshotCreate) && !v.LastDownloadDate.IsZero() {
		v.Actions = append(v.Actions, action{pathTo("mirrors", name, "snapshot"), "Snapshot", false})
	}
	q.offer(&v.Actions, auth.MirrorManage, name, action{pathTo("mirrors", name, "edit"), "Change", false})
	q.offer(&v.Actions, auth.MirrorManage, name, action{pathTo("mirrors", name, "drop"), "Drop", true})
	return q.write(http.StatusOK, "mirror", name, v)
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
	return q.write(http.StatusOK, "snapshot", name, v)
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

// compareView is the data of a comparison of snapshots.
type compareView struct {
	Left, Right                    string
	Name                           string // part of the names of packages
	List                           []difference
	Total, Added, Removed, Changed string
	Next                           string
	Names                          []string
}

// difference is a package of a comparison.
type difference struct{ Name, Architecture, Left, Right, LeftPath, RightPath string }

func (q *request) compare() error {
	v := compareView{Left: q.query("left"), Right: q.query("right"), Name: q.query("name")}
	var err error
	if v.Names, err = q.snapshotNames(); err != nil {
		return err
	}
	if v.Left != "" && v.Right != "" {
		call := client.Diff(v.Left, v.Right).With("limit", pageSize).With("after", q.query("after")).With("name", v.Name)
		found, err := client.Send(q.ctx, q.api, call)
		if err != nil {
			return err
		}
		h := found.Header
		v.Total, v.Added, v.Removed, v.Changed, v.Next = grouped(h.Get("X-Total")), grouped(h.Get("X-Added")), grouped(h.Get("X-Removed")), grouped(h.Get("X-Changed")), q.page(h)
		for _, d := range found.Value[:min(len(found.Value), 1000)] {
			v.List = append(v.List, viewDifference(d))
		}
	}
	return q.write(http.StatusOK, "compare", "Compare", v)
}

// viewDifference returns a difference as a page shows it.
func viewDifference(d client.Difference) difference {
	var v difference
	side := func(key *string) (version, at string) {
		if key == nil {
			return "", ""
		}
		parts := strings.Fields(strings.TrimPrefix(*key, "P"))
		if len(parts) < 3 {
			return *key, ""
		}
		v.Architecture, v.Name = parts[0], parts[1]
		return parts[2], packagePath(*key)
	}
	v.Left, v.LeftPath = side(d.Left)
	v.Right, v.RightPath = side(d.Right)
	return v
}
