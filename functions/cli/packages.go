package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// short writes a package key as aptly does: "name_version_architecture".
func short(key string) string {
	parts := strings.Fields(key)
	if len(parts) < 3 || !strings.HasPrefix(parts[0], "P") {
		return key
	}
	return parts[1] + "_" + parts[2] + "_" + parts[0][1:]
}

// shorts writes keys in their order.
func shorts(keys []string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = short(k)
	}
	return out
}

// searching are the flags of a search.
type searching struct {
	format           string
	withDeps, latest bool
	limit            int
}

func (f *searching) flags(c *cobra.Command, within bool) *cobra.Command {
	c.Flags().StringVar(&f.format, "format", "", "a template for each package, for example '{{.Package}} {{.Version}}'")
	c.Flags().IntVar(&f.limit, "limit", 0, "the greatest number of packages; 0 is all")
	if within {
		c.Flags().BoolVar(&f.withDeps, "with-deps", false, "with the dependencies of the matching packages")
		c.Flags().BoolVar(&f.latest, "latest", false, "only the highest version of each package")
	}
	return c
}

// searchCommand makes the command search of a kind of objects.
func (s *session) searchCommand(kind, noun string) *cobra.Command {
	var f searching
	return f.flags(s.leaf("search "+noun+" [QUERY]", "List the packages that match a query", count{1, 2}, func(ctx context.Context, args []string) error {
		return s.search(ctx, client.ListKeys(kind, args[0]), f, args[1:])
	}), true)
}

// search prints packages. Like aptly, it fails if none is found.
func (s *session) search(ctx context.Context, call client.Call[[]string], f searching, args []string) error {
	query := ""
	if len(args) > 0 {
		var err error
		if query, err = s.text(args[0]); err != nil {
			return err
		}
	}
	call = call.With("q", query).Flag("withDeps", f.withDeps && query != "").Flag("maximumVersion", f.latest)
	if f.limit > 0 && !f.withDeps && !f.latest {
		call = call.With("limit", fmt.Sprint(min(f.limit, 1000)))
	}
	if s.opts.json || f.format != "" {
		return s.searchDetails(ctx, client.Call[[]map[string]string]{Method: call.Method, Path: call.Path, Query: call.Query}.With("format", "details"), f)
	}
	a, err := send(ctx, s, call)
	if err != nil {
		return err
	}
	keys := limited(a.Value, f.limit)
	if len(keys) == 0 {
		s.say("no packages found")
		return &silent{codeFailed}
	}
	return s.printer.lines(shorts(keys))
}

func limited[T any](all []T, limit int) []T {
	if limit > 0 && len(all) > limit {
		return all[:limit]
	}
	return all
}

func (s *session) searchDetails(ctx context.Context, call client.Call[[]map[string]string], f searching) error {
	a, err := send(ctx, s, call)
	if err != nil {
		return err
	}
	all := limited(a.Value, f.limit)
	if s.opts.json {
		raw, err := json.Marshal(all)
		if err != nil {
			return err
		}
		return s.printer.json(raw)
	}
	t, err := template.New("format").Parse(f.format)
	if err != nil {
		return usagef("--format: %v", err)
	}
	for _, p := range all {
		if err := t.Execute(s.env.Out, p); err != nil {
			return usagef("--format: %v", err)
		}
		fmt.Fprintln(s.env.Out)
	}
	if len(all) == 0 {
		return &silent{codeFailed}
	}
	return nil
}

func (s *session) packageCommand() *cobra.Command {
	var f searching
	find := f.flags(s.leaf("search [QUERY]", "List the packages of the server that match a query", count{0, 1}, func(ctx context.Context, args []string) error {
		return s.search(ctx, client.AllKeys(), f, args)
	}), false)
	var files, references bool
	show := s.leaf("show QUERY", "Show the packages that match a query", count{1, 1}, func(ctx context.Context, args []string) error {
		query, err := s.text(args[0])
		if err != nil {
			return err
		}
		return s.showPackages(ctx, query, files, references)
	})
	show.Flags().BoolVar(&files, "with-files", false, "with the files of each package")
	show.Flags().BoolVar(&references, "with-references", false, "with the repositories, mirrors and snapshots that have it")
	return group("package", "Search and show packages", find, show)
}

// first are the fields that a stanza begins with.
var first = []string{"Package", "Priority", "Section", "Installed-Size", "Maintainer", "Architecture", "Source", "Version"}

// cleanLine escapes the control characters of a line besides tabs.
func cleanLine(line string) string {
	parts := strings.Split(line, "\t")
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	return strings.Join(parts, "\t")
}

// ownFields are fields of the API that are no control fields.
var ownFields = []string{"Key", "ShortKey", "FilesHash"}

// stanza writes a package as a control file.
func stanza(p map[string]string) string {
	var b strings.Builder
	rest := slices.Sorted(maps.Keys(p))
	for _, name := range append(slices.Clone(first), rest...) {
		value, ok := p[name]
		if !ok || slices.Contains(ownFields, name) || slices.Contains(first, name) && slices.Index(rest, name) >= 0 && strings.Contains("\n"+b.String(), "\n"+name+":") {
			continue
		}
		lines := strings.Split(strings.TrimPrefix(value, " "), "\n")
		for i, line := range lines {
			lines[i] = cleanLine(line)
		}
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(lines, "\n"))
	}
	return b.String()
}

func (s *session) showPackages(ctx context.Context, query string, files, references bool) error {
	return show(ctx, s, client.AllFields().With("q", query), func(all []map[string]string) error {
		for _, p := range all {
			fmt.Fprintln(s.env.Out, stanza(p))
			if err := s.showPlaces(ctx, p["Key"], files, references); err != nil {
				return err
			}
		}
		if len(all) == 0 && !s.alias {
			s.say("no packages found")
		}
		return nil
	})
}

// showPlaces prints the files of a package and the objects that have it.
func (s *session) showPlaces(ctx context.Context, key string, files, references bool) error {
	if files {
		a, err := send(ctx, s, client.ListPackageFiles(key))
		if err != nil {
			return err
		}
		fmt.Fprintln(s.env.Out, "Files in the pool:")
		for _, f := range a.Value.Files {
			fmt.Fprintf(s.env.Out, "  %s %d bytes, SHA-256 %s\n", clean(f.Name), f.Size, f.SHA256)
		}
		for i, f := range a.Value.Published {
			if i == 0 {
				fmt.Fprintln(s.env.Out, "Published files:")
			}
			fmt.Fprintf(s.env.Out, "  %s\n", clean(cmp.Or(f.URL, f.Storage+":"+f.Prefix+"/"+f.Path)))
		}
	}
	if references {
		a, err := send(ctx, s, client.ListReferences(key))
		if err != nil {
			return err
		}
		fmt.Fprintln(s.env.Out, "References to package:")
		for _, l := range []struct {
			noun  string
			names []string
		}{{"mirror", a.Value.Mirrors}, {"local repo", a.Value.Repos}, {"snapshot", a.Value.Snapshots}} {
			for _, n := range l.names {
				fmt.Fprintf(s.env.Out, "  %s [%s]\n", l.noun, clean(n))
			}
		}
		for _, p := range a.Value.Publications {
			fmt.Fprintf(s.env.Out, "  published [%s]\n", clean(p.Path))
		}
	}
	return nil
}

// one is the count of a command with one argument.
func one() count { return count{1, 1} }
