package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// previewed returns the plan of a call that makes a snapshot, by its dry run.
func previewed(q *request, p plan, call client.Call[client.Snapshot], text string) (plan, error) {
	if !q.aptless {
		p.Lines = append(p.Lines, text, "This server cannot say before how many packages it has.")
		return p, nil
	}
	dry := client.Call[client.Preview]{Method: call.Method, Path: call.Path, Query: call.Query, Body: call.Body, Task: true}.Flag("dryRun", true)
	found, err := client.Send(q.ctx, q.api, dry)
	if err != nil {
		return plan{}, err
	}
	p.Lines = append(p.Lines, text, "Packages: "+layout.Count(found.Value.Kept)+".")
	return p, nil
}

// mergeSnapshots makes a snapshot of several others.
func mergeSnapshots() act {
	call := func(v url.Values) client.Call[client.Snapshot] {
		return client.Merge(v.Get("snapshot"), words(v.Get("sources"))).Flag("latest", v.Get("latest") != "")
	}
	return act{
		form: func(q *request) (form, error) {
			names, err := q.snapshotNames()
			return form{Title: "Merge snapshots", Submit: "Make the snapshot", Back: "/-/snapshots", Command: "aptless snapshot merge NAME SOURCE SOURCE", Fields: []field{
				{Name: "snapshot", Label: "Name of the new snapshot", Required: true},
				{Name: "sources", Label: "Snapshots to merge", Required: true, Long: true, Known: names, Hint: "One in each line. Of packages of the same name and architecture, that of the last snapshot stays."},
				{Name: "latest", Label: "The highest version of each package, whichever snapshot has it", Check: true}}}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			names := words(v.Get("sources"))
			p, err := freeSnapshot(q, plan{}, v.Get("snapshot"))
			for _, name := range names[:min(len(names), maxPlanLines)] {
				if err == nil {
					p, err = on(q, p, client.ShowSnapshot(name))
				}
			}
			if err != nil {
				return p, err
			}
			return previewed(q, p, call(v), "Merges "+strings.Join(names, ", ")+" into the new snapshot "+v.Get("snapshot")+".")
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, call(v), pathTo("snapshots", v.Get("snapshot")))
		},
	}
}

// filterSnapshot makes a snapshot of the packages that match.
func filterSnapshot() act {
	call := func(q *request, v url.Values) client.Call[client.Snapshot] {
		return client.Filter(q.r.PathValue("name"), v.Get("snapshot"), lines(v.Get("queries"))).Flag("withDeps", v.Get("deps") != "")
	}
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			return form{Title: "Filter " + name, Submit: "Make the snapshot", Back: pathTo("snapshots", name), Command: "aptless snapshot filter " + name + " NAME QUERY", Fields: []field{
				{Name: "snapshot", Label: "Name of the new snapshot", Required: true, Value: name + "-filtered"},
				{Name: "queries", Label: "Packages", Required: true, Long: true, Hint: "A query in each line, as nginx or Section (net). A package is taken if one matches."},
				{Name: "deps", Label: "With their dependencies", Check: true}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p, err := freeSnapshot(q, plan{}, v.Get("snapshot"))
			if err == nil {
				p, err = on(q, p, client.ShowSnapshot(q.r.PathValue("name")))
			}
			if err != nil {
				return p, err
			}
			return previewed(q, p, call(q, v), "Makes the snapshot "+v.Get("snapshot")+" of packages of "+q.r.PathValue("name")+".")
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, call(q, v), pathTo("snapshots", v.Get("snapshot")))
		},
	}
}

// pullSnapshot makes a snapshot of one, with packages of another one.
func pullSnapshot() act {
	call := func(q *request, v url.Values) client.Call[client.Snapshot] {
		pull := client.Pull{Source: v.Get("source"), Destination: v.Get("snapshot"), Queries: lines(v.Get("queries")), Architectures: words(v.Get("architectures"))}
		return client.PullInto(q.r.PathValue("name"), pull).Flag("no-deps", v.Get("alone") != "").Flag("no-remove", v.Get("beside") != "")
	}
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			names, err := q.snapshotNames()
			return form{Title: "Pull packages into " + name, Submit: "Make the snapshot", Back: pathTo("snapshots", name), Command: "aptless snapshot pull " + name + " SOURCE NAME QUERY",
				Text: "Makes a new snapshot: " + name + " with packages of another snapshot.", Fields: []field{
					{Name: "source", Label: "Pull from", Required: true, Options: names},
					{Name: "snapshot", Label: "Name of the new snapshot", Required: true, Value: name + "-pulled"},
					{Name: "queries", Label: "Packages", Required: true, Long: true, Hint: "A query in each line, as nginx (>= 1.24)."},
					{Name: "architectures", Label: "Architectures", Hint: "Separated by commas. Without any, those of the packages."},
					{Name: "alone", Label: "Without dependencies that are missing", Check: true},
					{Name: "beside", Label: "Keep other versions of the same packages", Check: true}}}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			text := "Makes the snapshot " + v.Get("snapshot") + " of " + q.r.PathValue("name") + " and of packages of " + v.Get("source") + "."
			p, err := freeSnapshot(q, plan{}, v.Get("snapshot"))
			for _, name := range []string{q.r.PathValue("name"), v.Get("source")} {
				if err == nil {
					p, err = on(q, p, client.ShowSnapshot(name))
				}
			}
			if err != nil {
				return p, err
			}
			return pulled(q, p, call(q, v).Flag("dry-run", true), text)
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, call(q, v), pathTo("snapshots", v.Get("snapshot")))
		},
	}
}

// pulled returns the plan of a pull, by its dry run.
func pulled(q *request, p plan, call client.Call[client.Snapshot], text string) (plan, error) {
	if !q.aptless {
		p.Lines = []string{text, "This server cannot say before which packages are pulled."}
		return p, nil
	}
	type changes struct {
		Added   []string `json:"added_packages"`
		Removed []string `json:"removed_packages"`
	}
	found, err := client.Send(q.ctx, q.api, client.Call[changes]{Method: call.Method, Path: call.Path, Query: call.Query, Body: call.Body, Task: true})
	return listing(p, prefixed("Adds ", found.Value.Added), prefixed("Removes ", found.Value.Removed), nil, text), err
}

// prefixed puts a word before each element of a list.
func prefixed(word string, list []string) (all []string) {
	for _, one := range list {
		all = append(all, word+one)
	}
	return all
}

// listing returns a plan of packages that are added and removed.
func listing(p plan, added, removed, warnings []string, text string) plan {
	p.Lines = append(p.Lines, text, fmt.Sprintf("Added: %s. Removed: %s.", layout.Count(len(added)), layout.Count(len(removed))))
	for _, list := range [][]string{added, removed, warnings} {
		p.Lines = append(p.Lines, list[:min(len(list), maxPlanLines)]...)
		if more := len(list) - maxPlanLines; more > 0 {
			p.Lines = append(p.Lines, "and "+layout.Count(more)+" more")
			p.basis = append(p.basis, list[maxPlanLines:]...)
		}
	}
	return p
}

// maxPlanLines bounds the packages in a plan that is made of lines.
const maxPlanLines = 200

// reported returns the plan of a change of a repository, by its dry run.
func reported(q *request, call client.Call[client.Report], text string) (plan, error) {
	if !q.aptless {
		p := plan{Lines: []string{text, "This server cannot say before which packages match."}}
		p, _, err := onList(q, p, client.OfRepos, q.r.PathValue("name"))
		return p, err
	}
	found, err := client.Send(q.ctx, q.api, call)
	if err != nil {
		return plan{}, err
	}
	r := found.Value.Report
	warnings := slices.DeleteFunc(r.Warnings, func(text string) bool { return strings.Contains(text, "as dry run has been requested") })
	return listing(plan{}, r.Added, r.Removed, warnings, text), nil
}

// copyPackages copies or moves packages to another repository.
func copyPackages() act {
	call := func(q *request, v url.Values, dry bool) client.Call[client.Report] {
		copying := client.Copy
		if v.Get("move") != "" {
			copying = client.Move
		}
		return copying(v.Get("to"), q.r.PathValue("name"), v.Get("query"), v.Get("deps") != "", dry)
	}
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			names, err := q.repoNames(name)
			f := form{Title: "Copy packages of " + name, Submit: "Copy the packages", Back: pathTo("repos", name), Command: "aptless repo copy " + name + " REPOSITORY QUERY", Fields: []field{
				{Name: "query", Label: "Packages", Required: true, Hint: "A query, as hello, or Name (% lib*), $Architecture (amd64)."},
				{Name: "to", Label: "To the repository", Required: true, Known: names},
				{Name: "deps", Label: "With their dependencies", Check: true}}}
			if q.aptless {
				f.Fields = append(f.Fields, field{Name: "move", Label: "Move: remove them from " + name, Check: true})
			}
			return f, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			verb := "Copies"
			if v.Get("move") != "" {
				verb = "Moves"
			}
			return reported(q, call(q, v, true), verb+" packages of "+q.r.PathValue("name")+" to "+v.Get("to")+".")
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, call(q, v, false), pathTo("repos", v.Get("to")))
		},
	}
}

// removePackages removes packages from a repository.
func removePackages() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			return form{Title: "Remove packages of " + name, Submit: "Remove the packages", Danger: true, Back: pathTo("repos", name), Command: "aptless repo remove " + name + " QUERY",
				Text:   "Publications keep them until their next update.",
				Fields: []field{{Name: "query", Label: "Packages", Required: true, Hint: "A query, as hello (<< 2.0)."}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			return reported(q, client.RemoveMatching(q.r.PathValue("name"), v.Get("query")).Flag("dryRun", true), "Removes packages of "+q.r.PathValue("name")+".")
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.RemoveMatching(q.r.PathValue("name"), v.Get("query")), pathTo("repos", q.r.PathValue("name")))
		},
	}
}

// stageSources changes the sources of a publication for its next update.
func stageSources() act {
	parse := func(text string) (list []client.Source) {
		for _, line := range lines(text) {
			component, name, _ := strings.Cut(line, ":")
			list = append(list, client.Source{Component: strings.TrimSpace(component), Name: strings.TrimSpace(name)})
		}
		return list
	}
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			f := form{Title: "Sources of " + p.String(), Submit: "Stage the sources", Back: placePath(p), Command: "aptless publish source replace " + p.Distribution + " SOURCE",
				Text: "The publication has them after its next update. Until then nothing changes for machines."}
			found, err := q.shown(p)
			if err != nil {
				return f, err
			}
			now := found.Sources
			if staged, err := client.Send(q.ctx, q.api, client.ListSources(p)); err == nil && len(staged.Value) > 0 {
				now = staged.Value
			}
			var text []string
			for _, s := range now {
				text = append(text, s.Component+": "+s.Name)
			}
			f.Fields = []field{{Name: "sources", Label: "Components", Required: true, Long: true, Value: strings.Join(text, "\n"), Hint: "In each line a component, a colon, and its " + map[string]string{"local": "repository", "snapshot": "snapshot"}[found.SourceKind] + "."}}
			return f, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			var p plan
			for _, s := range parse(v.Get("sources")) {
				if s.Component == "" || s.Name == "" {
					return p, &client.Refusal{Status: http.StatusBadRequest, Text: "A line has a component, a colon and a name, as main: tools."}
				}
				p.Lines = append(p.Lines, "Component "+s.Component+" from "+s.Name+".")
			}
			return onSources(q, p)
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.SetSources(q.place(), parse(v.Get("sources"))), placePath(q.place()))
		},
	}
}

// onSources returns a plan that depends on a publication and its staged sources.
func onSources(q *request, p plan) (plan, error) {
	found, err := q.shown(q.place())
	if err != nil {
		return p, err
	}
	p.basis = append(p.basis, fmt.Sprint(found.Generation, found.Sources))
	p, err = on(q, p, client.ListSources(q.place()))
	if client.StatusOf(err) == http.StatusNotFound {
		err = nil // no source is staged
	}
	return p, err
}

// discardSources forgets the staged sources of a publication.
func discardSources() act {
	return act{
		form: func(q *request) (form, error) {
			p := q.place()
			return form{Title: "Discard the staged sources of " + p.String(), Submit: "Discard them", Danger: true, Back: placePath(p), Command: "aptless publish source drop " + p.Distribution}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			return onSources(q, plan{Lines: []string{"The next update publishes the sources that the publication has now."}})
		},
		run: func(q *request, _ url.Values) (string, error) {
			return start(q, client.DiscardSources(q.place()), placePath(q.place()))
		},
	}
}

// trustKey adds keys to the default ring.
func trustKey() act {
	return act{
		form: func(*request) (form, error) {
			return form{Title: "Trust a key", Submit: "Trust the key", Back: "/-/keys", Command: "aptless key trusted add FILE", Text: "Mirrors and uploads that the key has signed are accepted from then on.", Fields: []field{
				{Name: "armor", Label: "Public key", Long: true, Required: true, Hint: "The whole block, from BEGIN PGP PUBLIC KEY BLOCK to its END."}}}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			return onRing(q, plan{Lines: []string{fmt.Sprintf("Adds the keys of the block (%s) to the default ring. Compare their fingerprints after this.", layout.Bytes(int64(len(v.Get("armor")))))}})
		},
		run: func(q *request, v url.Values) (string, error) {
			_, err := client.Send(q.ctx, q.api, client.TrustKey("", v.Get("armor"), "", ""))
			return "/-/keys", err
		},
	}
}

// onRing returns a plan that depends on the default ring. An aptly does not list its keys.
func onRing(q *request, p plan) (plan, error) {
	if !q.aptless {
		return p, nil
	}
	return on(q, p, client.ListTrustedKeys(""))
}

// distrustKey removes a key from the default ring.
func distrustKey() act {
	return act{
		form: func(q *request) (form, error) {
			id := q.r.PathValue("id")
			return form{Title: "Trust the key no more", Submit: "Remove the key", Danger: true, Back: "/-/keys", Command: "aptless key trusted drop " + id}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			return onRing(q, plan{Lines: []string{"Removes " + q.r.PathValue("id") + " from the default ring. Mirrors and uploads that only this key has signed are refused from then on."}})
		},
		run: func(q *request, _ url.Values) (string, error) {
			_, err := client.Send(q.ctx, q.api, client.DistrustKey("", q.r.PathValue("id")))
			return "/-/keys", err
		},
	}
}

// becomes adds the change of a setting to a plan.
func (p *plan) becomes(setting, before, after string) {
	if before != after {
		p.Lines = append(p.Lines, setting+": “"+before+"” becomes “"+after+"”.")
	}
}

// editRepo changes the settings of a repository.
func editRepo() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			found, err := client.Send(q.ctx, q.api, client.ShowRepo(name))
			r := found.Value
			return form{Title: "Change the repository " + name, Submit: "Change the repository", Back: pathTo("repos", name), Command: "aptless repo edit " + name, Fields: []field{
				{Name: "comment", Label: "Comment", Value: r.Comment}, {Name: "distribution", Label: "Default distribution", Value: r.DefaultDistribution},
				{Name: "component", Label: "Default component", Value: r.DefaultComponent}}}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			found, err := client.Send(q.ctx, q.api, client.ShowRepo(q.r.PathValue("name")))
			r := found.Value
			p := plan{basis: []string{string(found.Raw)}, Lines: []string{"Changes the settings of " + q.r.PathValue("name") + ". Its packages and its publications stay."}}
			p.becomes("Comment", r.Comment, v.Get("comment"))
			p.becomes("Default distribution", r.DefaultDistribution, v.Get("distribution"))
			p.becomes("Default component", r.DefaultComponent, v.Get("component"))
			return p, err
		},
		run: func(q *request, v url.Values) (string, error) {
			name := q.r.PathValue("name")
			comment, distribution, component := v.Get("comment"), v.Get("distribution"), v.Get("component")
			return start(q, client.EditRepo(name, client.RepoEdit{Comment: &comment, DefaultDistribution: &distribution, DefaultComponent: &component}), pathTo("repos", name))
		},
	}
}

// editUploaders changes the rules on uploads with a .changes.
func editUploaders() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			found, err := client.Send(q.ctx, q.api, client.ShowUploaders(name))
			var text bytes.Buffer
			if found.Value != nil && err == nil {
				err = json.Indent(&text, found.Raw, "", "  ")
			}
			return form{Title: "Uploaders of " + name, Submit: "Change the uploaders", Back: pathTo("repos", name), Command: "aptless repo edit -uploaders-file=FILE " + name,
				Text:   "The rules apply to uploads with a .changes file. The first rule that allows or denies the key of the signature decides.",
				Fields: []field{{Name: "rules", Label: "Rules", Long: true, Value: text.String(), Hint: "aptly's uploaders.json: groups, and rules with condition, allow and deny. Empty lets each trusted key upload."}}}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p := plan{Lines: []string{"Each trusted key may upload to " + q.r.PathValue("name") + "."}}
			if text := v.Get("rules"); text != "" {
				var rules client.UploaderRules
				if err := json.Unmarshal([]byte(text), &rules); err != nil {
					return p, &client.Refusal{Status: http.StatusBadRequest, Text: "The rules are no JSON: " + err.Error()}
				}
				p.Lines = []string{fmt.Sprintf("Uploads follow these rules: %d. Without a rule that allows its key, an upload is refused.", len(rules.Rules))}
				for _, r := range rules.Rules[:min(len(rules.Rules), maxPlanLines)] {
					p.Lines = append(p.Lines, r.Condition+": allows "+orNone(r.Allow)+", denies "+orNone(r.Deny))
				}
			}
			return on(q, p, client.ShowUploaders(q.r.PathValue("name")))
		},
		run: func(q *request, v url.Values) (string, error) {
			name := q.r.PathValue("name")
			if v.Get("rules") == "" {
				return start(q, client.ClearUploaders(name), pathTo("repos", name))
			}
			return start(q, client.SetUploaders(name, json.RawMessage(v.Get("rules"))), pathTo("repos", name))
		},
	}
}

// orNone names the elements of a list.
func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// editSnapshot changes name and description of a snapshot.
func editSnapshot() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			found, err := client.Send(q.ctx, q.api, client.ShowSnapshot(name))
			return form{Title: "Rename " + name, Submit: "Change the snapshot", Back: pathTo("snapshots", name), Command: "aptless snapshot rename " + name + " NAME", Fields: []field{
				{Name: "snapshot", Label: "Name", Required: true, Value: name}, {Name: "description", Label: "Description", Value: found.Value.Description}}}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			name := q.r.PathValue("name")
			p, err := on(q, plan{Lines: []string{name + " is " + v.Get("snapshot") + " then. Its packages and its publications stay."}}, client.ShowSnapshot(name))
			if err == nil && v.Get("snapshot") != name {
				p, err = freeSnapshot(q, p, v.Get("snapshot"))
			}
			return p, err
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.EditSnapshot(q.r.PathValue("name"), v.Get("snapshot"), v.Get("description")), pathTo("snapshots", v.Get("snapshot")))
		},
	}
}

// clearTasks removes the records of ended tasks.
func clearTasks() act {
	return act{
		form: func(*request) (form, error) {
			return form{Title: "Clear the tasks", Submit: "Remove the records", Back: "/-/tasks", Command: "aptless task clear"}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			p := plan{Lines: []string{"Removes the records of all tasks that have ended, with their output. The audit keeps its records."}}
			for _, state := range []int{client.Succeeded, client.Failed} {
				ended, err := q.tasksOf(fmt.Sprint(state), "200")
				if err != nil {
					return p, err
				}
				for _, t := range ended {
					p.basis = append(p.basis, fmt.Sprint(t.ID))
				}
			}
			return p, nil
		},
		run: func(q *request, _ url.Values) (string, error) {
			_, err := client.Send(q.ctx, q.api, client.ClearTasks())
			return "/-/tasks", err
		},
	}
}
