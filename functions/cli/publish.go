package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"aptless/core/client"
)

func (s *session) publishCommand() *cobra.Command {
	of := func(c *cobra.Command) *cobra.Command { return s.completed(c, ofPublications) }
	return group("publish", "Publications: the repositories that apt reads",
		s.completed(s.publishNew("repo", "local"), client.OfRepos), s.completed(s.publishNew("snapshot", "snapshot"), client.OfSnapshots),
		of(s.publishUpdate()), of(s.publishSwitch()), s.publishList(), of(s.publishShow()), of(s.publishDrop()), s.publishSource(),
		of(s.publishPlan()), of(s.publishHistory()), of(s.publishRollback()))
}

// publishing are the flags of a publication.
type publishing struct {
	component, distribution, layout, keyID string
	text                                   map[string]*string // by the name of the flag
	on                                     map[string]*bool
	force, skipSigning, dry                bool
	seen                                   string // --if-generation
	aliases                                []string
	notAutomatic, butUpgrades              string
	keyring, secretKeyring, pass, passFile string
	batch                                  bool
}

// common adds the flags of creations, updates and switches.
func (p *publishing) common(c *cobra.Command) {
	p.text, p.on = map[string]*string{}, map[string]*bool{}
	flags := c.Flags()
	for name, about := range map[string]string{"skip-contents": "publish no Contents", "skip-bz2": "publish no .bz2 of indexes",
		"skip-cleanup": "keep package files that nothing refers to any more", "acquire-by-hash": "indexes also by their digests; on unless =false",
		"multi-dist": "files below pool/distribution/"} {
		p.on[name] = flags.Bool(name, false, about)
	}
	for name, about := range map[string]string{"label": "Label of the Release file", "origin": "Origin of the Release file", "suite": "Suite of the Release file",
		"codename": "Codename of the Release file", "signed-by": "Signed-By of the Release file", "valid-for": "validity of the Release file, as 14d", "version": "Version of the Release file"} {
		p.text[name] = flags.String(name, "", about)
	}
	flags.StringSliceVar(&p.aliases, "alias", nil, "further names of the distribution, as stable")
	flags.BoolVar(&p.force, "force-overwrite", false, "replace package files in the pool that differ")
	flags.BoolVar(&p.skipSigning, "skip-signing", false, "do not sign the Release file")
	flags.StringVar(&p.keyID, "gpg-key", "", "keys of the server to sign with, separated by commas")
	flags.BoolVar(&p.dry, "dry-run", false, "show the changes and make none")
	p.keysOfTheServer(flags)
}

// keysOfTheServer adds aptly's flags of local keys, which have no effect.
func (p *publishing) keysOfTheServer(flags *pflag.FlagSet) {
	const none = "no effect: the signing keys are the server's"
	flags.StringVar(&p.keyring, "keyring", "", none)
	flags.StringVar(&p.secretKeyring, "secret-keyring", "", none)
	flags.StringVar(&p.pass, "passphrase", "", none)
	flags.StringVar(&p.passFile, "passphrase-file", "", none)
	flags.BoolVar(&p.batch, "batch", false, none)
}

// noteKeys says once that local keys have no effect.
func (s *session) noteKeys(p *publishing) {
	if p.keyring+p.secretKeyring+p.pass+p.passFile != "" {
		s.note("flags of local keys have no effect: the signing keys are the server's")
	}
}

// body returns the fields that the user gave.
func (p *publishing) body(changed func(string) bool) client.Publishing {
	b := client.Publishing{ForceOverwrite: p.force, NotAutomatic: p.notAutomatic, ButAutomaticUpgrades: p.butUpgrades, PoolLayout: p.layout,
		Signing: client.Signing{Skip: p.skipSigning, GpgKey: p.keyID}}
	for name, to := range map[string]**bool{"skip-contents": &b.SkipContents, "skip-bz2": &b.SkipBz2, "skip-cleanup": &b.SkipCleanup,
		"acquire-by-hash": &b.AcquireByHash, "multi-dist": &b.MultiDist} {
		if changed(name) {
			*to = p.on[name]
		}
	}
	for name, to := range map[string]**string{"label": &b.Label, "origin": &b.Origin, "suite": &b.Suite, "codename": &b.Codename,
		"signed-by": &b.SignedBy, "valid-for": &b.ValidFor, "version": &b.Version} {
		if changed(name) {
			*to = p.text[name]
		}
	}
	if changed("alias") {
		b.Aliases = &p.aliases
	}
	return b
}

// sources pairs components and names. Without components there is one name, whose
// component is the server's default.
func sources(component string, names []string) ([]client.Source, error) {
	components := strings.Split(component, ",")
	if len(components) != len(names) {
		return nil, usagef("%d components (%s) are given, and %d names", len(components), component, len(names))
	}
	var all []client.Source
	for i, name := range names {
		all = append(all, client.Source{Component: strings.TrimSpace(components[i]), Name: name})
	}
	return all, nil
}

// split separates the names of components from the prefix after them.
func split(component string, args []string) (names []string, prefix string, err error) {
	n := len(strings.Split(component, ","))
	switch len(args) {
	case n:
		return args, "", nil
	case n + 1:
		return args[:n], args[n], nil
	}
	return nil, "", usagef("%d components (%s) are given, so %d names are needed and at most a prefix follows", n, component, n)
}

// filled names the component main where several sources have none.
func filled(all []client.Source) []client.Source {
	for i := range all {
		if all[i].Component == "" && len(all) > 1 {
			all[i].Component = "main"
		}
	}
	return all
}

// publishNew makes the commands that publish repositories or snapshots.
func (s *session) publishNew(verb, kind string) *cobra.Command {
	var p publishing
	c := s.leaf(verb+" NAME... [[ENDPOINT:]PREFIX]", "Publish "+map[string]string{"repo": "repositories", "snapshot": "snapshots"}[verb]+", one for each component", count{1, -1}, nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		names, prefix, err := split(p.component, args)
		if err != nil {
			return err
		}
		all, err := sources(p.component, names)
		if err != nil {
			return err
		}
		s.noteKeys(&p)
		b := p.body(cmd.Flags().Changed)
		b.SourceKind, b.Sources, b.Distribution, b.Architectures = kind, filled(all), p.distribution, s.opts.architectures
		return s.publishes(cmd.Context(), client.Publish(prefix, b), p.dry, func(v client.Publication) {
			s.say("%s %s has been successfully published.\nFor the machines that read it: %s/aptless.sources", map[string]string{"local": "Local repo", "snapshot": "Snapshot"}[kind], strings.Join(names, ", "), addressOf(s.settings.URL, v.Prefix))
		})
	}
	p.common(c)
	c.Flags().StringVar(&p.component, "component", "", "components, separated by commas")
	c.Flags().StringVar(&p.distribution, "distribution", "", "name of the distribution; by default that of the source")
	c.Flags().StringVar(&p.notAutomatic, "notautomatic", "", "NotAutomatic of the Release file")
	c.Flags().StringVar(&p.butUpgrades, "butautomaticupgrades", "", "ButAutomaticUpgrades of the Release file")
	c.Flags().StringVar(&p.layout, "pool-layout", "", "debian, or hash: packages are served by their digests")
	return c
}

// publishes sends a call that publishes. With dry it prints the plan.
func (s *session) publishes(ctx context.Context, call client.Call[client.Publication], dry bool, said func(client.Publication)) error {
	if dry {
		return plan(ctx, s, call)
	}
	return show(ctx, s, call, func(v client.Publication) error {
		said(v)
		return nil
	})
}

// plan shows the changes that a call would make. An aptly would make them.
func plan[T any](ctx context.Context, s *session, call client.Call[T]) error {
	if err := s.needsAptless(ctx, "--dry-run"); err != nil {
		return err
	}
	return show(ctx, s, client.Planned(call), s.printPlan)
}

// seenFlag adds the flag by which a change is refused if the publication has changed.
func seenFlag(c *cobra.Command, seen *string) {
	c.Flags().StringVar(seen, "if-generation", "", "the generation that --dry-run has shown: the command fails if the publication has another one by now")
}

// placeOf reads DISTRIBUTION [[ENDPOINT:]PREFIX].
func placeOf(args []string) client.Place {
	p := client.Place{Distribution: args[0]}
	if len(args) > 1 {
		p.Prefix = args[1]
	}
	return p
}

// update returns the call of an update. aptly before 1.6 updates by PUT.
func (s *session) update(ctx context.Context, at client.Place, b client.Publishing) (client.Call[client.Publication], error) {
	c, err := s.connect()
	if err != nil {
		return client.Call[client.Publication]{}, err
	}
	aptless, err := c.Aptless(ctx)
	if aptless {
		return client.Update(at, b), err
	}
	return client.Switch(at, b), err
}

func (s *session) publishUpdate() *cobra.Command {
	var p publishing
	c := s.leaf("update DISTRIBUTION [[ENDPOINT:]PREFIX]", "Publish the current packages of the repositories", count{1, 2}, nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		s.noteKeys(&p)
		at, b := placeOf(args), p.body(cmd.Flags().Changed)
		call, err := s.update(cmd.Context(), at, b)
		if err != nil {
			return err
		}
		return s.publishes(cmd.Context(), call.With("ifGeneration", p.seen), p.dry, func(client.Publication) { s.say("Published repository %s has been updated successfully.", at) })
	}
	p.common(c)
	seenFlag(c, &p.seen)
	return c
}

func (s *session) publishSwitch() *cobra.Command {
	var p publishing
	c := s.leaf("switch DISTRIBUTION [[ENDPOINT:]PREFIX] SNAPSHOT...", "Publish other snapshots", count{2, -1}, nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		n := len(strings.Split(p.component, ","))
		at := client.Place{Distribution: args[0]}
		switch len(args) - 1 {
		case n:
		case n + 1:
			at.Prefix = args[1]
		default:
			return usagef("%d components (%s) are given, so %d snapshots are needed", n, p.component, n)
		}
		all, err := sources(p.component, args[len(args)-n:])
		if err != nil {
			return err
		}
		s.noteKeys(&p)
		b := p.body(cmd.Flags().Changed)
		if b.Snapshots, err = s.switched(cmd.Context(), at, all); err != nil {
			return err
		}
		return s.publishes(cmd.Context(), client.Switch(at, b).With("ifGeneration", p.seen), p.dry, func(client.Publication) {
			s.say("Published snapshot repository %s has been successfully switched to new source.", at)
		})
	}
	p.common(c)
	seenFlag(c, &p.seen)
	c.Flags().StringVar(&p.component, "component", "", "components, separated by commas")
	return c
}

// switched fills in the component of one snapshot: that of a publication with one.
func (s *session) switched(ctx context.Context, at client.Place, all []client.Source) ([]client.Source, error) {
	if len(all) != 1 || all[0].Component != "" {
		return filled(all), nil
	}
	p, err := s.publication(ctx, at)
	if err != nil {
		return nil, err
	}
	if len(p.Value.Sources) != 1 {
		return nil, usagef("%s has %d components: say --component", at, len(p.Value.Sources))
	}
	all[0].Component = p.Value.Sources[0].Component
	return all, nil
}

// publication reads a publication. aptly 1.5.0 tells it in its list only.
func (s *session) publication(ctx context.Context, at client.Place) (client.Answer[client.Publication], error) {
	c, err := s.connect()
	if err != nil {
		return client.Answer[client.Publication]{}, err
	}
	if aptless, err := c.Aptless(ctx); err != nil || aptless {
		if err != nil {
			return client.Answer[client.Publication]{}, err
		}
		return send(ctx, s, client.ShowPublication(at))
	}
	all, err := send(ctx, s, client.ListPublications())
	for _, p := range all.Value {
		if (client.Place{Prefix: prefixOf(p), Distribution: p.Distribution}).String() == at.String() {
			raw, err := json.Marshal(p)
			return client.Answer[client.Publication]{Value: p, Raw: raw}, err
		}
	}
	if err == nil {
		err = &client.Refusal{Method: "GET", Path: "/api/publish", Status: http.StatusNotFound, Text: "published repo with storage:prefix/distribution " + at.String() + " not found"}
	}
	return client.Answer[client.Publication]{}, err
}

// sourcesText writes sources as "component: name".
func sourcesText(all []client.Source) string {
	var parts []string
	for _, v := range all {
		parts = append(parts, v.Component+": "+v.Name)
	}
	return strings.Join(parts, ", ")
}

// prefixOf writes the prefix of a publication with its storage.
func prefixOf(p client.Publication) string {
	if p.Storage == "" {
		return p.Prefix
	}
	return p.Storage + ":" + p.Prefix
}

func (s *session) publishList() *cobra.Command {
	var l listed
	return l.flags(s.leaf("list", "List the publications", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ListPublications(), func(all []client.Publication) error {
			if l.raw {
				return s.printer.lines(namesOf(all, func(p client.Publication) string { return prefixOf(p) + " " + p.Distribution }))
			}
			var rows [][]cell
			for _, p := range all {
				rows = append(rows, []cell{word(prefixOf(p)), word(p.Distribution), words(p.Architectures), word(p.SourceKind), word(sourcesText(p.Sources))})
			}
			return s.printer.table([]string{"prefix", "distribution", "architectures", "kind", "sources"}, rows)
		})
	}))
}

func (s *session) publishShow() *cobra.Command {
	return s.leaf("show DISTRIBUTION [[ENDPOINT:]PREFIX]", "Show a publication", count{1, 2}, func(ctx context.Context, args []string) error {
		a, err := s.publication(ctx, placeOf(args))
		if err != nil {
			return err
		}
		return print(s, a, func(p client.Publication) error {
			return s.printer.fields([]field{{"Prefix", word(p.Prefix)}, {"Distribution", word(p.Distribution)}, {"Architectures", words(p.Architectures)},
				{"Sources", word(sourcesText(p.Sources))}, {"Kind", word(p.SourceKind)}, {"Storage", word(p.Storage)}, {"Origin", word(p.Origin)}, {"Label", word(p.Label)},
				{"Suite", word(p.Suite)}, {"Codename", word(p.Codename)}, {"Valid For", word(p.ValidFor)}, {"Aliases", words(p.Aliases)}})
		})
	})
}

func (s *session) publishDrop() *cobra.Command {
	var force, skip, dry bool
	var seen string
	c := s.leaf("drop DISTRIBUTION [[ENDPOINT:]PREFIX]", "Remove a publication and its files", count{1, 2}, func(ctx context.Context, args []string) error {
		call := client.DropPublication(placeOf(args)).Flag("force", force).Flag("SkipCleanup", skip).With("ifGeneration", seen)
		if dry {
			return plan(ctx, s, call)
		}
		if err := s.confirm("Remove the publication %s?", placeOf(args)); err != nil {
			return err
		}
		return change(ctx, s, call, "Published repository has been removed successfully.")
	})
	c.Flags().BoolVar(&force, "force-drop", false, "also if files cannot be removed")
	c.Flags().BoolVar(&skip, "skip-cleanup", false, "keep package files")
	c.Flags().BoolVar(&dry, "dry-run", false, "show the changes and make none")
	seenFlag(c, &seen)
	return c
}

// publishPlan shows an update before it is made.
func (s *session) publishPlan() *cobra.Command {
	return s.leaf("plan DISTRIBUTION [[ENDPOINT:]PREFIX]", "Show the changes of an update and make none", count{1, 2}, func(ctx context.Context, args []string) error {
		return plan(ctx, s, client.Update(placeOf(args), client.Publishing{}))
	})
}

func (s *session) publishHistory() *cobra.Command {
	return s.leaf("history DISTRIBUTION [[ENDPOINT:]PREFIX]", "List the former states of a publication", count{1, 2}, func(ctx context.Context, args []string) error {
		return show(ctx, s, client.ListRevisions(placeOf(args)), func(all []client.Revision) error {
			var rows [][]cell
			for _, r := range all {
				rows = append(rows, []cell{word(strconv.FormatInt(r.Generation, 10)), s.printer.at(r.Date), yes(r.Current), word(sourcesText(r.Sources)), known(r.Added), known(r.Removed)})
			}
			return s.printer.table([]string{"number", "date", "current", "sources", "added", "removed"}, rows)
		})
	})
}

// known is a number, or "" for one that is not known.
func known(n *int) cell {
	if n == nil {
		return word("")
	}
	return number(*n)
}

// chosen asks a person for the number of a former state.
func (s *session) chosen(ctx context.Context, at client.Place) (string, error) {
	if !s.asks() {
		return "", usagef("the number of the former state is missing: aptless publish history %s", quote(at.Distribution))
	}
	a, err := send(ctx, s, client.ListRevisions(at))
	if err != nil {
		return "", err
	}
	var last string
	for _, r := range a.Value {
		fmt.Fprintf(s.env.Err, "%d  %s  %s%s\n", r.Generation, s.printer.at(r.Date).person, clean(sourcesText(r.Sources)), map[bool]string{true: "  (now)"}[r.Current])
		if !r.Current && last == "" {
			last = strconv.FormatInt(r.Generation, 10)
		}
	}
	fmt.Fprintf(s.env.Err, "Which state is published again? [%s] ", last)
	line, err := s.readLine()
	if err != nil {
		return "", &silent{codeFailed}
	}
	return cmp.Or(line, last), nil
}

func (s *session) publishRollback() *cobra.Command {
	var p publishing
	c := s.leaf("rollback DISTRIBUTION [NUMBER [[ENDPOINT:]PREFIX]]", "Publish a former state again", count{1, 3}, nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			number, err := s.chosen(cmd.Context(), placeOf(args))
			if err != nil {
				return err
			}
			args = append(args, number)
		}
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return usagef("%q is no number of a former state: aptless publish history %s", args[1], quote(args[0]))
		}
		at := placeOf(append([]string{args[0]}, args[2:]...))
		call := client.RollBack(at, client.Rollback{Generation: n, ForceOverwrite: p.force, Signing: client.Signing{Skip: p.skipSigning, GpgKey: p.keyID}}).With("ifGeneration", p.seen)
		if p.dry {
			return plan(cmd.Context(), s, call)
		}
		if err := s.confirm("Publish the state %d of %s again?", n, at); err != nil {
			return err
		}
		return change(cmd.Context(), s, call, "%s is again as in its state %d.", at, n)
	}
	c.Flags().BoolVar(&p.force, "force-overwrite", false, "replace package files in the pool that differ")
	c.Flags().BoolVar(&p.skipSigning, "skip-signing", false, "do not sign the Release file")
	c.Flags().StringVar(&p.keyID, "gpg-key", "", "keys of the server to sign with, separated by commas")
	c.Flags().BoolVar(&p.dry, "dry-run", false, "show the changes and make none")
	seenFlag(c, &p.seen)
	return c
}

// addressOf returns the address of a prefix of a server.
func addressOf(url, prefix string) string {
	if prefix == "" || prefix == "." {
		return url
	}
	return strings.TrimSuffix(url, "/") + "/" + prefix
}
