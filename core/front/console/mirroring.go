package console

import (
	"net/url"
	"strings"

	"aptless/core/client"
)

// mirrorFields are the fields of a mirror. Without a mirror they are those of a new one.
func (q *request) mirrorFields(m *client.Mirror) []field {
	var fields, last []field
	if m == nil {
		m = &client.Mirror{Components: []string{"main"}, Architectures: []string{"amd64"}}
		last = []field{{Name: "unsigned", Label: "Do not verify the signature of the archive", Check: true}}
		fields = []field{{Name: "name", Label: "Name", Required: true}, {Name: "distribution", Label: "Distribution", Required: true, Hint: "As in dists of the archive: bookworm, or ./ for a flat one."}}
	}
	fields = append(fields, field{Name: "url", Label: "Address of the archive", Value: m.ArchiveRoot, Required: true, Hint: "The folder above dists, as https://deb.debian.org/debian."},
		field{Name: "components", Label: "Components", Value: strings.Join(m.Components, ", "), Hint: "Separated by commas. Without any, all of the archive."},
		field{Name: "architectures", Label: "Architectures", Value: strings.Join(m.Architectures, ", "), Hint: "Separated by commas. Without any, all of the archive."},
		field{Name: "filter", Label: "Filter", Value: m.Filter, Hint: "A query: only packages that match are taken, as Priority (required) | nginx."},
		field{Name: "deps", Label: "With the dependencies of the packages that match", Check: true, Value: ticked(m.FilterWithDeps)},
		field{Name: "sources", Label: "Source packages, too", Check: true, Value: ticked(m.DownloadSources)},
		field{Name: "udebs", Label: "Packages of the installer, too", Check: true, Value: ticked(m.DownloadUdebs)})
	if q.aptless {
		fields = append(fields, field{Name: "schedule", Label: "Schedule", Value: m.Schedule, Hint: "When the server updates it by itself, as a line of cron: 0 3 * * * is each night at three. Empty is never."})
	}
	return append(fields, last...)
}

// mirrorSettings reads the fields of a mirror.
func (q *request) mirrorSettings(v url.Values) client.MirrorSettings {
	filter, schedule := v.Get("filter"), v.Get("schedule")
	s := client.MirrorSettings{Name: v.Get("name"), Distribution: v.Get("distribution"), ArchiveURL: v.Get("url"), Filter: &filter, Components: words(v.Get("components")), Architectures: words(v.Get("architectures")),
		FilterWithDeps: set(v, "deps"), DownloadSources: set(v, "sources"), DownloadUdebs: set(v, "udebs"), IgnoreSignatures: ignored(v)}
	if q.aptless {
		s.Schedule = &schedule
	}
	return s
}

// orAll names the elements of a list. An empty one stands for all.
func orAll(list []string) string {
	if len(list) == 0 {
		return "all"
	}
	return strings.Join(list, ", ")
}

// mirrorPlan returns the lines of the plan of a mirror.
func mirrorPlan(s client.MirrorSettings) []string {
	list := []string{"Takes from " + s.ArchiveURL + ": components " + orAll(s.Components) + ", architectures " + orAll(s.Architectures) + "."}
	if *s.Filter != "" {
		list = append(list, "Only packages that match: "+*s.Filter)
	}
	return append(list, "The server reads the Release of the archive now. Packages come with an update.")
}

// newMirror makes a mirror.
func newMirror() act {
	return act{
		form: func(q *request) (form, error) {
			return form{Title: "New mirror", Submit: "Create the mirror", Back: "/-/mirrors", Command: "aptless mirror create NAME URL DISTRIBUTION COMPONENT",
				Text: "A mirror copies an archive, or a part of it. The server must trust the key of the archive: see Keys.", Fields: q.mirrorFields(nil)}, nil
		},
		plan: func(q *request, v url.Values) (plan, error) {
			p := plan{Lines: append([]string{"Creates the mirror " + v.Get("name") + " of " + v.Get("distribution") + "."}, mirrorPlan(q.mirrorSettings(v))...)}
			return free(q, p, "a mirror "+v.Get("name"), client.ShowMirror(v.Get("name")))
		},
		run: func(q *request, v url.Values) (string, error) {
			return start(q, client.CreateMirror(q.mirrorSettings(v)), pathTo("mirrors", v.Get("name")))
		},
	}
}

// editMirror changes the settings of a mirror.
func editMirror() act {
	return act{
		form: func(q *request) (form, error) {
			name := q.r.PathValue("name")
			found, err := client.Send(q.ctx, q.api, client.ShowMirror(name))
			return form{Title: "Change the mirror " + name, Submit: "Change the mirror", Back: pathTo("mirrors", name), Command: "aptless mirror edit " + name,
				Text: "The packages change with the next update.", Fields: q.mirrorFields(&found.Value)}, err
		},
		plan: func(q *request, v url.Values) (plan, error) {
			return on(q, plan{Lines: mirrorPlan(q.mirrorSettings(v))}, client.ShowMirror(q.r.PathValue("name")))
		},
		run: func(q *request, v url.Values) (string, error) {
			name := q.r.PathValue("name")
			return start(q, client.EditMirror(name, q.mirrorSettings(v)), pathTo("mirrors", name))
		},
	}
}
