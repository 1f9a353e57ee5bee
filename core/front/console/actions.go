package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// newRepo makes a repository.
func newRepo() act {
	return act{
		form: func(*request) (form, error) {
			return form{Title: "New repository", Submit: "Create the repository", Back: "/-/repos", Command: "aptless repo create NAME", Fields: []field{
				{Name: "name", Label: "Name", Required: true}, {Name: "comment", Label: "Comment"},
				{Name: "distribution", Label: "Default distribution", Hint: "The distribution of publications that name none, as stable."},
				{Name: "component", Label: "Default component", Value: "main"}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p := plan{Lines: []string{"Creates the empty repository " + v.Get("name") + "."}}
			return free(q, p, "a repository "+v.Get("name"), client.ShowRepo(v.Get("name")))
		},
		run: func(q *request, v url.Values) (string, error) {
			_, err := client.Send(q.ctx, q.api, client.CreateRepo(client.RepoSettings{Name: v.Get("name"), Comment: v.Get("comment"),
				DefaultDistribution: v.Get("distribution"), DefaultComponent: v.Get("component")}))
			return pathTo("repos", v.Get("name")), err
		},
	}
}

// takeSnapshot makes a snapshot of a repository or a mirror.
func takeSnapshot(kind string) act {
	back := func(q *request) string { return pathTo(kind, q.r.PathValue("name")) }
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			return form{Title: "Snapshot of " + name, Submit: "Make the snapshot", Back: back(q), Text: "A snapshot is a list of packages that never changes. It can be published.",
				Command: "aptless snapshot create NAME from " + strings.TrimSuffix(kind, "s") + " " + name,
				Fields:  []field{{Name: "snapshot", Label: "Name", Required: true, Value: name + "-" + q.Now().UTC().Format("2006-01-02")}, {Name: "description", Label: "Description"}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p, total, err := onList(q, plan{}, kind, q.r.PathValue("name"))
			if err != nil {
				return plan{}, err
			}
			p.Lines = []string{fmt.Sprintf("Makes the snapshot %s with the packages of %s as they are now: %s.", v.Get("snapshot"), q.r.PathValue("name"), grouped(total))}
			return freeSnapshot(q, p, v.Get("snapshot"))
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.SnapshotOf(kind, q.r.PathValue("name"), v.Get("snapshot"), v.Get("description")), pathTo("snapshots", v.Get("snapshot")))
		},
	}
}

// dropObject removes a repository, a mirror or a snapshot.
func dropObject(kind string) act {
	noun := strings.TrimSuffix(kind, "s")
	if kind == client.OfRepos {
		noun = "repository"
	}
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			return form{Title: "Drop the " + noun + " " + name, Submit: "Drop the " + noun, Danger: true, Confirm: name, Back: pathTo(kind, name),
				Command: "aptless " + strings.TrimSuffix(kind, "s") + " drop " + name}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			name := q.r.PathValue("name")
			p := plan{Lines: []string{"Removes the " + noun + " " + name + ". Its packages stay where other objects have them."}}
			for _, source := range []string{"local", "snapshot"} {
				if kind == client.OfRepos && source != "local" || kind == client.OfSnapshots && source != "snapshot" || kind == client.OfMirrors {
					continue
				}
				in, err := q.publishedFrom(source, name)
				if err != nil {
					return p, err
				}
				for _, one := range in {
					p.Lines = append(p.Lines, "It is published as "+one.Place().String()+": the server refuses to drop it.")
				}
			}
			switch kind {
			case client.OfMirrors:
				return on(q, p, client.ShowMirror(name))
			case client.OfSnapshots:
				return on(q, p, client.ShowSnapshot(name))
			}
			p, total, err := onList(q, p, kind, name)
			p.Lines = append(p.Lines, "Packages in it: "+grouped(total)+".")
			return p, err
		},
		run: func(q *request, _ url.Values) (string, error) {
			name := q.r.PathValue("name")
			call := map[string]func(string) client.Call[client.Nothing]{client.OfRepos: client.DropRepo, client.OfMirrors: client.DropMirror, client.OfSnapshots: client.DropSnapshot}[kind]
			return start(q, call(name), "/-/"+kind)
		},
	}
}

// updateMirror fetches the archive of a mirror.
func updateMirror() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			return form{Title: "Update the mirror " + name, Submit: "Update the mirror", Fields: []field{{Name: "unsigned", Label: "Do not verify the signature of the archive", Check: true}}, Back: pathTo("mirrors", name), Command: "aptless mirror update " + name,
				Text: "Reads the Release and the indexes of the archive, and fetches the files that are missing here."}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			found, err := client.Send(q.ctx, q.api, client.ShowMirror(q.r.PathValue("name")))
			if err != nil {
				return plan{}, err
			}
			m := found.Value
			last := "It was never updated, so all files come."
			if !m.LastDownloadDate.IsZero() {
				last = "Its last update was on " + layout.Date(m.LastDownloadDate) + ". Only changes come."
			}
			p := plan{basis: []string{string(found.Raw)}, Lines: []string{"Asks " + m.ArchiveRoot + " for " + m.Distribution + ", components " + orAll(m.Components) + ".", last,
				"The size is known once the indexes are read: the page of the task shows it."}}
			if v.Get("unsigned") != "" {
				p.Lines = append(p.Lines, "The signature of the archive is not verified: anybody on the way can change what comes.")
			}
			return p, nil
		},
		run: func(q *request, v url.Values) (string, error) {
			name := q.r.PathValue("name")
			return start(q, client.UpdateMirror(name, client.MirrorUpdate{IgnoreSignatures: ignored(v)}), pathTo("mirrors", name))
		},
	}
}

// publishObject publishes a repository or a snapshot.
func publishObject(kind string) act {
	source := map[string]string{client.OfRepos: "local", client.OfSnapshots: "snapshot"}[kind]
	call := func(q *request, v url.Values) client.Call[client.Publication] {
		body := client.Publishing{SourceKind: source, Distribution: v.Get("distribution"), Sources: []client.Source{{Component: v.Get("component"), Name: q.r.PathValue("name")}}}
		body.Architectures = strings.FieldsFunc(v.Get("architectures"), func(r rune) bool { return r == ',' || r == ' ' })
		if origin := v.Get("origin"); origin != "" {
			body.Origin = &origin
		}
		if label := v.Get("label"); label != "" {
			body.Label = &label
		}
		return client.Publish(v.Get("prefix"), body)
	}
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			f := form{Title: "Publish " + name, Submit: "Publish", Back: pathTo(kind, name), Command: "aptless publish " + strings.TrimSuffix(kind, "s") + " -distribution=DIST " + name, Fields: []field{
				{Name: "distribution", Label: "Distribution", Required: true, Hint: "The name that machines use, as stable or bookworm."},
				{Name: "prefix", Label: "Prefix", Value: ".", Hint: "A folder before dists. A dot is the root of the repository."},
				{Name: "component", Label: "Component", Value: "main"},
				{Name: "architectures", Label: "Architectures", Hint: "Separated by commas. Without any, those of the packages."},
				{Name: "origin", Label: "Origin"}, {Name: "label", Label: "Label"}}}
			if kind == client.OfRepos {
				found, err := client.Send(q.ctx, q.api, client.ShowRepo(name))
				if err != nil {
					return f, err
				}
				f.Fields[0].Value = found.Value.DefaultDistribution
				if found.Value.DefaultComponent != "" {
					f.Fields[2].Value = found.Value.DefaultComponent
				}
			}
			return f, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p, err := planned(q, call(q, v), "Publishes "+q.r.PathValue("name")+" as "+client.Place{Prefix: v.Get("prefix"), Distribution: v.Get("distribution")}.String()+".")
			if err == nil {
				p, _, err = onList(q, p, kind, q.r.PathValue("name"))
			}
			return p, err
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, call(q, v), placePath(client.Place{Prefix: v.Get("prefix"), Distribution: v.Get("distribution")}))
		},
	}
}

// sources returns the names of the sources of a plan of a publication.
func (p plan) sources() (names []string) {
	if p.Changes != nil {
		for _, c := range p.Changes.Components {
			names = append(names, c.Source)
		}
	}
	return names
}

// updatePublication publishes the current packages of the repositories.
func updatePublication() act {
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			return form{Title: "Update " + p.String(), Submit: "Publish now", Back: placePath(p), Command: "aptless publish update " + p.Distribution + " " + p.Prefix,
				Text: "Publishes the packages that the repositories have now. Origin and Label stay, and the date is new."}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			p, err := planned(q, client.Update(q.place(), client.Publishing{}))
			if err != nil {
				return p, err
			}
			for _, c := range p.sources() {
				p, _, err = onList(q, p, client.OfRepos, c)
				if err != nil && client.StatusOf(err) != http.StatusNotFound { // the server refuses a source that is gone
					return p, err
				}
			}
			return p, nil
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.Seen(client.Update(q.place(), client.Publishing{}), v.Get("generation")), placePath(q.place()))
		},
	}
}

// switchPublication publishes other snapshots.
func switchPublication() act {
	call := func(q *request, v url.Values) (client.Call[client.Publication], error) {
		found, err := q.shown(q.place())
		var body client.Publishing
		for _, s := range found.Sources {
			body.Snapshots = append(body.Snapshots, client.Source{Component: s.Component, Name: v.Get("snapshot-" + s.Component)})
		}
		return client.Switch(q.place(), body), err
	}
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			f := form{Title: "Switch " + p.String(), Submit: "Publish the snapshots", Back: placePath(p), Command: "aptless publish switch " + p.Distribution + " " + p.Prefix + " SNAPSHOT"}
			found, err := q.shown(p)
			if err != nil {
				return f, err
			}
			names, err := q.snapshotNames()
			for _, s := range found.Sources {
				one := field{Name: "snapshot-" + s.Component, Label: "Snapshot for " + s.Component, Value: s.Name, Options: names, Required: true}
				if !slices.Contains(names, s.Name) && err == nil {
					_, gone := client.Send(q.ctx, q.api, client.ShowSnapshot(s.Name))
					if one.Options = append([]string{s.Name}, names...); client.StatusOf(gone) == http.StatusNotFound {
						one.Value, one.Options = "", names
						one.Hint = "Its snapshot " + s.Name + " was dropped or renamed: choose another one."
					}
				}
				f.Fields = append(f.Fields, one)
			}
			return f, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			c, err := call(q, v)
			if err != nil {
				return plan{}, err
			}
			return planned(q, c)
		},
		run: func(q *request, v url.Values) (string, error) {
			c, err := call(q, v)
			if err != nil {
				return "", err
			}
			return start(q, client.Seen(c, v.Get("generation")), placePath(q.place()))
		},
	}
}

// rollBack publishes a former state.
func rollBack() act {
	call := func(q *request, v url.Values) client.Call[client.Publication] {
		var r client.Rollback
		_, _ = fmt.Sscan(v.Get("to"), &r.Generation) // the server refuses 0
		return client.RollBack(q.place(), r)
	}
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			return form{Title: "Go back to a former state of " + p.String(), Submit: "Publish the former state", Back: placePath(p),
				Command: "aptless publish rollback " + p.Distribution + " GENERATION", Text: "The packages are those of the former state. The date is new, so apt takes it.",
				Fields: []field{{Name: "to", Label: "Revision", Required: true}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) { return planned(q, call(q, v)) },
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.Seen(call(q, v), v.Get("generation")), placePath(q.place()))
		},
	}
}

// dropPublication removes a publication.
func dropPublication() act {
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			return form{Title: "Drop the publication " + p.String(), Submit: "Drop the publication", Danger: true, Confirm: p.String(), Back: placePath(p),
				Text: "Machines that use it get an error at their next update.", Command: "aptless publish drop " + p.Distribution + " " + p.Prefix}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) { return planned(q, client.DropPublication(q.place())) },
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.Seen(client.DropPublication(q.place()), v.Get("generation")), "/-/publications")
		},
	}
}

// cleanUp deletes objects without a reference.
func cleanUp() act {
	return act{
		form: func(*request) (form, error) {
			return form{Title: "Clean up the storage", Submit: "Delete what nothing refers to", Back: "/-/storage", Command: "aptless db cleanup",
				Text: "Deletes package files and records that no repository, mirror, snapshot or publication has. Young objects stay."}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) { return unneeded(q) },
		run:  func(q *request, _ url.Values) (string, error) { return start(q, client.Cleanup(), "/-/storage") },
	}
}

// cancel stops a task that has not committed.
func (q *request) cancel() error {
	if _, err := q.values(); err != nil {
		return err
	}
	var id int64
	if _, err := fmt.Sscan(q.r.PathValue("id"), &id); err != nil {
		return &client.Refusal{Status: http.StatusNotFound, Text: "A task has a number."}
	}
	if _, err := client.Send(q.ctx, q.api, client.CancelTask(id)); err != nil {
		return err
	}
	q.redirect(fmt.Sprintf("/-/tasks/%d", id))
	return nil
}
