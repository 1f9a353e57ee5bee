package cli

import (
	"context"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func (s *session) mirrorCommand() *cobra.Command {
	of := func(c *cobra.Command) *cobra.Command { return s.completed(c, client.OfMirrors) }
	return group("mirror", "Mirrors of other archives",
		s.mirrorCreate(), s.mirrorList(), of(s.mirrorShow()), of(s.mirrorEdit()), of(s.mirrorRename()), of(s.mirrorUpdate()), of(s.mirrorDrop()),
		of(s.searchCommand(client.OfMirrors, "MIRROR")))
}

// mirrorFlags are the flags of create and edit.
type mirrorFlags struct {
	filter, archive, schedule                         string
	keyrings                                          []string
	filterDeps, ignore, installer, sources, udebs     bool
	appstream, forceArchs, forceComponents, translate bool
	tries                                             int
}

func (f *mirrorFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.filter, "filter", "", "query of the packages to take")
	flags.BoolVar(&f.filterDeps, "filter-with-deps", false, "with the dependencies of the packages to take")
	flags.BoolVar(&f.ignore, "ignore-signatures", false, "do not verify the archive's signature")
	flags.StringArrayVar(&f.keyrings, "keyring", nil, "a keyring of the server, by its name; may be repeated")
	flags.BoolVar(&f.installer, "with-installer", false, "take the files of the installer")
	flags.BoolVar(&f.sources, "with-sources", false, "take source packages")
	flags.BoolVar(&f.udebs, "with-udebs", false, "take .udeb packages")
	flags.BoolVar(&f.translate, "translations", false, "take translations of descriptions")
	flags.StringVar(&f.schedule, "schedule", "", "time of automatic updates: an interval as 6h, or cron in UTC")
}

// body returns the settings that the user gave.
func (f *mirrorFlags) body(changed func(string) bool) client.MirrorSettings {
	m := client.MirrorSettings{Keyrings: f.keyrings}
	for name, p := range map[string]struct {
		to   **bool
		from *bool
	}{"filter-with-deps": {&m.FilterWithDeps, &f.filterDeps}, "ignore-signatures": {&m.IgnoreSignatures, &f.ignore}, "with-installer": {&m.DownloadInstaller, &f.installer},
		"with-sources": {&m.DownloadSources, &f.sources}, "with-udebs": {&m.DownloadUdebs, &f.udebs}, "translations": {&m.DownloadTranslations, &f.translate},
		"with-appstream": {&m.DownloadAppStream, &f.appstream}} {
		if changed(name) {
			*p.to = p.from
		}
	}
	if changed("filter") {
		m.Filter = &f.filter
	}
	if changed("schedule") {
		m.Schedule = &f.schedule
	}
	return m
}

func (s *session) mirrorCreate() *cobra.Command {
	var f mirrorFlags
	c := s.leaf("create NAME URL|ppa:USER/PROJECT [DISTRIBUTION [COMPONENT...]]", "Create a mirror", count{2, -1}, nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("max-tries") {
			s.note("--max-tries has no effect: the server tries again by itself")
		}
		m := f.body(cmd.Flags().Changed)
		m.Name, m.ArchiveURL, m.Architectures = args[0], args[1], s.opts.architectures
		m.SkipArchitectureCheck, m.SkipComponentCheck = f.forceArchs, f.forceComponents
		if len(args) > 2 {
			m.Distribution, m.Components = args[2], args[3:]
		}
		var err error
		if m.Filter != nil {
			if *m.Filter, err = s.text(*m.Filter); err != nil {
				return err
			}
		}
		return change(cmd.Context(), s, client.CreateMirror(m), "Mirror [%s] successfully added.\nYou can run 'aptly mirror update %s' to download repository contents.", m.Name, quote(m.Name))
	}
	f.add(c)
	c.Flags().BoolVar(&f.appstream, "with-appstream", false, "take the metadata of AppStream")
	c.Flags().BoolVar(&f.forceArchs, "force-architectures", false, "do not check that the archive has the architectures")
	c.Flags().BoolVar(&f.forceComponents, "force-components", false, "do not check that the archive has the components")
	c.Flags().IntVar(&f.tries, "max-tries", 1, "no effect: the server tries again by itself")
	return c
}

func (s *session) mirrorList() *cobra.Command {
	var l listed
	return l.flags(s.leaf("list", "List the mirrors", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ListMirrors(), func(all []client.Mirror) error {
			if l.raw {
				return s.printer.lines(namesOf(all, func(m client.Mirror) string { return m.Name }))
			}
			var rows [][]cell
			for _, m := range all {
				rows = append(rows, []cell{word(m.Name), number(m.NumPackages), s.printer.at(m.LastDownloadDate), word(m.ArchiveRoot), word(m.Distribution), words(m.Components)})
			}
			return s.printer.table([]string{"name", "packages", "updated", "archive", "distribution", "components"}, rows)
		})
	}))
}

func (s *session) mirrorShow() *cobra.Command {
	var with bool
	c := s.leaf("show NAME", "Show a mirror", one(), func(ctx context.Context, args []string) error {
		return showWith(ctx, s, client.ShowMirror(args[0]), wanted{with, client.OfMirrors, args[0]}, func(m client.Mirror, keys []string) error {
			all := []field{{"Name", word(m.Name)}, {"Archive Root URL", word(m.ArchiveRoot)}, {"Distribution", word(m.Distribution)},
				{"Components", words(m.Components)}, {"Architectures", words(m.Architectures)}, {"Download Sources", yes(m.DownloadSources)},
				{"Download .udebs", yes(m.DownloadUdebs)}, {"Last update", s.printer.at(m.LastDownloadDate)}}
			if m.Filter != "" {
				all = append(all, field{"Filter", word(m.Filter)}, field{"Filter With Deps", yes(m.FilterWithDeps)})
			}
			if m.Schedule != "" {
				all = append(all, field{"Schedule", word(m.Schedule)})
			}
			if err := s.printer.fields(all); err != nil {
				return err
			}
			return s.printPackages(with, keys)
		})
	})
	c.Flags().BoolVar(&with, "with-packages", false, "with the list of packages")
	return c
}

func (s *session) mirrorEdit() *cobra.Command {
	var f mirrorFlags
	c := s.leaf("edit NAME", "Change a mirror", one(), nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		m := f.body(cmd.Flags().Changed)
		m.ArchiveURL, m.Architectures = f.archive, s.opts.architectures
		var err error
		if m.Filter != nil {
			if *m.Filter, err = s.text(*m.Filter); err != nil {
				return err
			}
		}
		return change(cmd.Context(), s, client.EditMirror(args[0], m), "Mirror [%s] successfully updated.", args[0])
	}
	f.add(c)
	c.Flags().BoolVar(&f.appstream, "with-appstream", false, "take the metadata of AppStream")
	c.Flags().StringVar(&f.archive, "archive-url", "", "another address of the archive")
	return c
}

func (s *session) mirrorRename() *cobra.Command {
	return s.leaf("rename OLD NEW", "Rename a mirror; that fetches its archive, too", count{2, 2}, func(ctx context.Context, args []string) error {
		if err := otherName("mirror", args[0], args[1]); err != nil {
			return err
		}
		return change(ctx, s, client.UpdateMirror(args[0], client.MirrorUpdate{Name: args[1]}), "Mirror %s -> %s has been successfully renamed.", args[0], args[1])
	})
}

func (s *session) mirrorUpdate() *cobra.Command {
	var u client.MirrorUpdate
	var ignore bool
	var limit, tries int
	var downloader string
	c := s.leaf("update NAME", "Fetch the packages of a mirror's archive", one(), nil)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("ignore-signatures") {
			u.IgnoreSignatures = &ignore
		}
		for _, name := range []string{"download-limit", "downloader", "max-tries"} {
			if cmd.Flags().Changed(name) {
				s.note("--%s has no effect: it is a setting of the server", name)
			}
		}
		return change(cmd.Context(), s, client.UpdateMirror(args[0], u), "Mirror `%s` has been successfully updated.", args[0])
	}
	flags := c.Flags()
	flags.BoolVar(&ignore, "ignore-signatures", false, "do not verify the archive's signature")
	flags.BoolVar(&u.IgnoreChecksums, "ignore-checksums", false, "take files whose digests are not those of the index")
	flags.BoolVar(&u.LatestOnly, "latest", false, "only the newest version of each package")
	flags.BoolVar(&u.ForceUpdate, "force", false, "no effect: an update never waits for a dead one")
	flags.BoolVar(&u.SkipExistingPackages, "skip-existing-packages", false, "no effect: packages that are there are never fetched again")
	flags.StringArrayVar(&u.Keyrings, "keyring", nil, "a keyring of the server, by its name; may be repeated")
	flags.IntVar(&limit, "download-limit", 0, "no effect: serve --download-limit sets it")
	flags.IntVar(&tries, "max-tries", 1, "no effect: the server tries again by itself")
	flags.StringVar(&downloader, "downloader", "default", "no effect: the server has one")
	return c
}

func (s *session) mirrorDrop() *cobra.Command {
	var force bool
	c := s.leaf("drop NAME", "Drop a mirror", one(), func(ctx context.Context, args []string) error {
		if err := s.confirm("Drop the mirror %s?", args[0]); err != nil {
			return err
		}
		return change(ctx, s, client.DropMirror(args[0]).Flag("force", force), "Mirror `%s` has been removed.", args[0])
	})
	c.Flags().BoolVar(&force, "force", false, "also if snapshots were made of it")
	return c
}
