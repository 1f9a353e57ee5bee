package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func (s *session) repoCommand() *cobra.Command {
	return group("repo", "Local repositories: packages that you upload",
		s.repoCreate(), s.repoList(), s.repoShow(), s.repoEdit(), s.repoRename(), s.repoDrop(),
		s.repoAdd(), s.repoInclude(), s.repoImport(), s.repoCopy("copy", false), s.repoCopy("move", true), s.repoRemove(),
		s.completed(s.searchCommand(client.OfRepos, "REPO"), client.OfRepos))
}

func (s *session) repoCreate() *cobra.Command {
	var r client.RepoSettings
	var uploaders string
	c := s.leaf("create NAME [from snapshot SNAPSHOT]", "Create a repository", count{1, 4}, func(ctx context.Context, args []string) error {
		r.Name = args[0]
		switch {
		case len(args) == 4 && args[1] == "from" && args[2] == "snapshot":
			r.FromSnapshot = args[3]
		case len(args) != 1:
			return usagef("the command is: repo create NAME [from snapshot SNAPSHOT]")
		}
		rules, err := readRules(uploaders)
		if err != nil {
			return err
		}
		if err := change(ctx, s, client.CreateRepo(r), "Local repo [%s] successfully added.\nYou can run 'aptly repo add %s ...' to add packages to repository.", r.Name, quote(r.Name)); err != nil || rules == nil {
			return err
		}
		_, err = send(ctx, s, client.SetUploaders(r.Name, rules))
		return err
	})
	c.Flags().StringVar(&r.Comment, "comment", "", "a text that describes the repository")
	c.Flags().StringVar(&r.DefaultDistribution, "distribution", "", "distribution of its publications by default")
	c.Flags().StringVar(&r.DefaultComponent, "component", "main", "component of its publications by default")
	c.Flags().StringVar(&uploaders, "uploaders-file", "", "file with the rules for uploads of .changes")
	return c
}

// readRules reads aptly's uploaders.json. "" gives nil.
func readRules(name string) (json.RawMessage, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil || !json.Valid(data) {
		return nil, usagef("--uploaders-file %s is no JSON: %v", name, err)
	}
	return data, nil
}

// listing are the flags raw and json of lists.
type listed struct{ raw bool }

func (l *listed) flags(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&l.raw, "raw", false, "names only, one a line")
	return c
}

func (s *session) repoList() *cobra.Command {
	var l listed
	return l.flags(s.leaf("list", "List the repositories", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ListRepos(), func(all []client.Repo) error {
			slices.SortFunc(all, func(a, b client.Repo) int { return strings.Compare(a.Name, b.Name) })
			if l.raw {
				return s.printer.lines(namesOf(all, func(r client.Repo) string { return r.Name }))
			}
			var rows [][]cell
			for _, r := range all {
				rows = append(rows, []cell{word(r.Name), number(r.NumPackages), word(r.DefaultDistribution), word(r.DefaultComponent), word(r.Comment)})
			}
			return s.printer.table([]string{"name", "packages", "distribution", "component", "comment"}, rows)
		})
	}))
}

func namesOf[T any](all []T, name func(T) string) []string {
	out := []string{}
	for _, v := range all {
		out = append(out, name(v))
	}
	return out
}

func (s *session) repoShow() *cobra.Command {
	var with bool
	c := s.leaf("show NAME", "Show a repository", one(), func(ctx context.Context, args []string) error {
		return showWith(ctx, s, client.ShowRepo(args[0]), wanted{with, client.OfRepos, args[0]}, func(r client.Repo, keys []string) error {
			if err := s.printer.fields([]field{{"Name", word(r.Name)}, {"Comment", word(r.Comment)}, {"Default Distribution", word(r.DefaultDistribution)},
				{"Default Component", word(r.DefaultComponent)}}); err != nil {
				return err
			}
			return s.printPackages(with, keys)
		})
	})
	c.Flags().BoolVar(&with, "with-packages", false, "with the list of packages")
	return s.completed(c, client.OfRepos)
}

// wanted says whether the packages of an object are shown with it.
type wanted struct {
	packages   bool
	kind, name string
}

// showWith prints an object, and the keys of its packages if they are wanted. As JSON
// they are the field Packages.
func showWith[T any](ctx context.Context, s *session, call client.Call[T], w wanted, f func(T, []string) error) error {
	a, err := send(ctx, s, call)
	var keys client.Answer[[]string]
	if err == nil && w.packages {
		keys, err = send(ctx, s, client.ListKeys(w.kind, w.name))
	}
	if err != nil {
		return err
	}
	if !s.opts.json {
		return f(a.Value, keys.Value)
	}
	raw := a.Raw
	if object, ok := bytes.CutSuffix(bytes.TrimSpace(raw), []byte("}")); ok && w.packages {
		names, err := json.Marshal(shorts(keys.Value))
		if err != nil {
			return err
		}
		raw = fmt.Appendf(nil, `%s,"Packages":%s}`, object, names)
	}
	return s.printer.json(raw)
}

func (s *session) printPackages(wanted bool, keys []string) error {
	if !wanted {
		return nil
	}
	if err := s.printer.fields([]field{{"Number of packages", number(len(keys))}}); err != nil {
		return err
	}
	var lines []string
	for _, k := range shorts(keys) {
		lines = append(lines, "  "+k)
	}
	return s.printer.lines(append([]string{"Packages:"}, lines...))
}

func (s *session) repoEdit() *cobra.Command {
	var comment, distribution, component, uploaders string
	c := s.leaf("edit NAME", "Change a repository", one(), nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, given := cmd.Context(), cmd.Flags().Changed
		e := client.RepoEdit{}
		for name, to := range map[string]struct{ from, to any }{"comment": {&comment, &e.Comment}, "distribution": {&distribution, &e.DefaultDistribution}, "component": {&component, &e.DefaultComponent}} {
			if given(name) {
				*to.to.(**string) = to.from.(*string)
			}
		}
		if given("uploaders-file") {
			rules, err := readRules(uploaders)
			if err != nil {
				return err
			}
			call := client.SetUploaders(args[0], rules)
			if uploaders == "" {
				call = client.ClearUploaders(args[0])
			}
			if _, err := send(ctx, s, call); err != nil {
				return err
			}
		}
		return change(ctx, s, client.EditRepo(args[0], e), "Local repo [%s] successfully updated.", args[0])
	}
	c.Flags().StringVar(&comment, "comment", "", "a text that describes the repository")
	c.Flags().StringVar(&distribution, "distribution", "", "distribution of its publications by default")
	c.Flags().StringVar(&component, "component", "", "component of its publications by default")
	c.Flags().StringVar(&uploaders, "uploaders-file", "", "file with the rules for uploads of .changes; an empty name removes the rules")
	return s.completed(c, client.OfRepos)
}

func (s *session) repoRename() *cobra.Command {
	return s.completed(s.leaf("rename OLD NEW", "Rename a repository", count{2, 2}, func(ctx context.Context, args []string) error {
		if err := otherName("local repo", args[0], args[1]); err != nil {
			return err
		}
		return change(ctx, s, client.EditRepo(args[0], client.RepoEdit{Name: &args[1]}), "Local repo %s -> %s has been successfully renamed.", args[0], args[1])
	}), client.OfRepos)
}

func (s *session) repoDrop() *cobra.Command {
	var force bool
	c := s.leaf("drop NAME", "Drop a repository", one(), func(ctx context.Context, args []string) error {
		if err := s.confirm("Drop the repository %s?", args[0]); err != nil {
			return err
		}
		return change(ctx, s, client.DropRepo(args[0]).Flag("force", force), "Local repo `%s` has been removed.", args[0])
	})
	c.Flags().BoolVar(&force, "force", false, "also if snapshots were made of it")
	return s.completed(c, client.OfRepos)
}

// report prints the result of an import, and fails if a file has failed.
func (s *session) report(r client.Report) error {
	for _, l := range []struct {
		mark  string
		texts []string
	}{{"[!]", r.Report.Warnings}, {"[-]", r.Report.Removed}, {"[+]", r.Report.Added}} {
		for _, t := range l.texts {
			s.say("%s %s", l.mark, t)
		}
	}
	for _, f := range r.FailedFiles {
		fmt.Fprintf(s.env.Err, "[!] Some files were skipped due to errors: %s\n", clean(f))
	}
	if len(r.FailedFiles) > 0 {
		return &silent{codeFailed}
	}
	return s.complete()
}

// complete fails if a file was left out.
func (s *session) complete() error {
	if len(s.skipped) == 0 {
		return nil
	}
	return errors.New("some files failed to be added")
}

// removeLocal removes the files that the server took.
func removeLocal(files []localFile, failed []string) error {
	for _, f := range files {
		if slices.ContainsFunc(failed, func(name string) bool { return filepath.Base(name) == f.name }) {
			continue
		}
		if err := os.Remove(f.path); err != nil {
			return err
		}
	}
	return nil
}

// importing uploads files and runs a call on their directory.
func (s *session) importing(ctx context.Context, repo string, args []string, remove bool, call func(dir string) client.Call[client.Report]) error {
	files, err := s.collect(args)
	if err != nil {
		return err
	}
	if len(files) == 0 && !strings.Contains(repo, "{{") { // nothing is sent, and the repository has to exist
		if _, err := send(ctx, s, client.ShowRepo(repo)); err != nil {
			return err
		}
	}
	if len(files) == 0 {
		return s.complete()
	}
	dir := directory(repo, files)
	sent, err := s.upload(ctx, dir, files)
	if err != nil {
		return err
	}
	s.reporter.files = len(files)
	return show(ctx, s, call(dir), func(r client.Report) error {
		if remove {
			if err := removeLocal(files, r.FailedFiles); err != nil {
				return err
			}
		}
		failed := s.report(r)
		if !s.alias {
			s.say("%d files sent (%s), %d added, %d failed", sent.Sent, bytesText(sent.Bytes), len(r.Report.Added), len(r.FailedFiles))
		}
		return failed
	})
}

func (s *session) repoAdd() *cobra.Command {
	var force, remove bool
	c := s.leaf("add NAME FILE|FOLDER...", "Add package files to a repository", count{2, -1}, func(ctx context.Context, args []string) error {
		return s.importing(ctx, args[0], s.packagesOf(args[1:]), remove, func(dir string) client.Call[client.Report] {
			return client.Import(args[0], dir).Flag("forceReplace", force)
		})
	})
	c.Flags().BoolVar(&force, "force-replace", false, "replace packages of the same name, version and architecture")
	c.Flags().BoolVar(&remove, "remove-files", false, "remove the local files that were imported")
	return s.completed(c, client.OfRepos)
}

func (s *session) repoInclude() *cobra.Command {
	var repo, keyring, uploaders string
	var unsigned, force, ignore, keep bool
	c := s.leaf("include FILE.changes|FOLDER...", "Include .changes and the files that they list", count{1, -1}, func(ctx context.Context, args []string) error {
		if keyring != "" || uploaders != "" {
			return usagef("--keyring and --uploaders-file belong to the server: aptless key trusted add, aptless repo edit --uploaders-file")
		}
		return s.importing(ctx, repo, args, !keep, func(dir string) client.Call[client.Report] {
			return client.Include(repo, dir).Flag("forceReplace", force).Flag("acceptUnsigned", unsigned).Flag("ignoreSignature", ignore)
		})
	})
	c.Flags().StringVar(&repo, "repo", "{{.Distribution}}", "the repository, or a template with fields of the .changes")
	c.Flags().StringVar(&keyring, "keyring", "", "not taken: the server has the keyrings")
	c.Flags().StringVar(&uploaders, "uploaders-file", "", "not taken: the repository has the rules")
	c.Flags().BoolVar(&unsigned, "accept-unsigned", false, "accept .changes without a signature")
	c.Flags().BoolVar(&force, "force-replace", false, "replace packages of the same name, version and architecture")
	c.Flags().BoolVar(&ignore, "ignore-signatures", false, "do not verify signatures")
	c.Flags().BoolVar(&keep, "no-remove-files", false, "keep the local files that were imported")
	return c
}

func (s *session) repoImport() *cobra.Command {
	var dry, deps bool
	c := s.leaf("import MIRROR REPO QUERY...", "Import packages from a mirror", count{3, -1}, func(ctx context.Context, args []string) error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		if aptless, err := c.Aptless(ctx); err != nil || aptless {
			if err != nil {
				return err
			}
			queries, err := s.queries(args[2:])
			if err != nil {
				return err
			}
			call, err := resolving(ctx, s, client.ImportMirror(args[1], args[0], queries, deps, dry), deps)
			if err != nil {
				return err
			}
			return show(ctx, s, call, s.report)
		}
		keys, err := s.matching(ctx, client.OfMirrors, args[0], args[2:], deps)
		if err != nil {
			return err
		}
		for _, k := range shorts(keys) {
			s.say("[o] %s imported", k)
		}
		if dry {
			s.say("Changes not saved, as dry run has been requested.")
			return nil
		}
		return change(ctx, s, client.AddPackages(args[1], keys), "%d packages are imported.", len(keys))
	})
	c.Flags().BoolVar(&dry, "dry-run", false, "show the packages and change nothing")
	c.Flags().BoolVar(&deps, "with-deps", false, "with the dependencies of the matching packages")
	return s.completed(c, client.OfMirrors)
}

// matching returns the keys of the packages that match one of the queries.
func (s *session) matching(ctx context.Context, kind, name string, queries []string, deps bool) ([]string, error) {
	texts, err := s.queries(queries)
	if err != nil {
		return nil, err
	}
	for i, q := range texts {
		texts[i] = "(" + q + ")"
	}
	call, err := resolving(ctx, s, client.ListKeys(kind, name).With("q", strings.Join(texts, " | ")).Flag("withDeps", deps), deps)
	if err != nil {
		return nil, err
	}
	a, err := send(ctx, s, call)
	if err == nil && len(a.Value) == 0 {
		return nil, &client.Refusal{Status: 404, Path: client.ListKeys(kind, name).Path, Text: "no package of " + name + " matches"}
	}
	return a.Value, err
}

// nothingMatches are texts of refusals of a query that no package matches.
var nothingMatches = regexp.MustCompile(`^no package found for filter|^no package of .* matches$`)

// mayMatchNone makes a query that no package matches a note under the name aptly, whose
// commands go on then.
func (s *session) mayMatchNone(err error) error {
	var refused *client.Refusal
	if s.alias && errors.As(err, &refused) && nothingMatches.MatchString(refused.Text) {
		s.note("%s", refused.Text)
		return nil
	}
	return err
}

// otherName refuses to rename a thing to the name that it has, as aptly's commands do.
func otherName(noun, old, name string) error {
	if old == name {
		return &client.Refusal{Status: 409, Text: "unable to rename: " + noun + " " + name + " already exists"}
	}
	return nil
}

// repoCopy makes the command copy, or move. At an aptly a move copies, then removes from
// the source.
func (s *session) repoCopy(verb string, move bool) *cobra.Command {
	var dry, deps bool
	c := s.leaf(verb+" FROM TO QUERY...", strings.ToUpper(verb[:1])+verb[1:]+" packages from one repository to another", count{3, -1}, func(ctx context.Context, args []string) error {
		var moved []string
		copying := client.Copy
		c, err := s.connect()
		if err != nil {
			return err
		}
		atOnce, err := c.Aptless(ctx)
		if err != nil {
			return err
		}
		if move && atOnce {
			copying = client.Move
		} else if move {
			s.note("this server has no move: the packages are copied, then removed from %s", args[0])
		}
		for _, value := range args[2:] {
			query, err := s.text(value)
			if err != nil {
				return err
			}
			if move && !dry && !atOnce {
				keys, err := s.matching(ctx, client.OfRepos, args[0], []string{query}, deps)
				if err != nil {
					return err
				}
				moved = append(moved, keys...)
			}
			call, err := resolving(ctx, s, copying(args[1], args[0], query, deps, dry), deps)
			if err != nil {
				return err
			}
			if err := s.mayMatchNone(show(ctx, s, call, s.report)); err != nil {
				return err
			}
		}
		if len(moved) == 0 {
			return nil
		}
		return change(ctx, s, client.RemovePackages(args[0], moved), "%d packages are removed from %s.", len(moved), args[0])
	})
	c.Flags().BoolVar(&dry, "dry-run", false, "show the packages and change nothing")
	c.Flags().BoolVar(&deps, "with-deps", false, "with the dependencies of the matching packages")
	return s.completed(c, client.OfRepos)
}

func (s *session) repoRemove() *cobra.Command {
	var dry bool
	c := s.leaf("remove NAME QUERY...", "Remove packages from a repository", count{2, -1}, func(ctx context.Context, args []string) error {
		keys, err := s.matching(ctx, client.OfRepos, args[0], args[1:], false)
		if err != nil {
			return s.mayMatchNone(err)
		}
		for _, k := range shorts(keys) {
			s.say("[-] %s removed", k)
		}
		if dry {
			s.say("Changes not saved, as dry run has been requested.")
			return nil
		}
		_, err = send(ctx, s, client.RemovePackages(args[0], keys))
		return err
	})
	c.Flags().BoolVar(&dry, "dry-run", false, "show the packages and change nothing")
	return s.completed(c, client.OfRepos)
}
