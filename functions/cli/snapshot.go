package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func (s *session) snapshotCommand() *cobra.Command {
	of := func(c *cobra.Command) *cobra.Command { return s.completed(c, client.OfSnapshots) }
	return group("snapshot", "Snapshots: lists of packages that never change",
		s.snapshotCreate(), s.snapshotList(), of(s.snapshotShow()), of(s.snapshotEdit()), of(s.snapshotRename()), of(s.snapshotDrop()), of(s.snapshotVerify()),
		of(s.snapshotDiff()), of(s.snapshotPull()), of(s.snapshotMerge()), of(s.snapshotFilter()), of(s.searchCommand(client.OfSnapshots, "SNAPSHOT")))
}

func (s *session) snapshotCreate() *cobra.Command {
	var description string
	const use = "create NAME from mirror MIRROR | from repo REPO | from snapshot SNAPSHOT... | empty"
	c := s.leaf(use, "Create a snapshot", count{2, -1}, func(ctx context.Context, args []string) error {
		var call client.Call[client.Snapshot]
		name, rest := args[0], args[1:]
		switch {
		case len(rest) == 1 && rest[0] == "empty":
			call = client.CreateSnapshot(client.SnapshotSettings{Name: name, Description: description})
		case len(rest) == 3 && rest[0] == "from" && rest[1] == "mirror":
			call = client.SnapshotOf(client.OfMirrors, rest[2], name, description)
		case len(rest) == 3 && rest[0] == "from" && rest[1] == "repo":
			call = client.SnapshotOf(client.OfRepos, rest[2], name, description)
		case len(rest) >= 3 && rest[0] == "from" && rest[1] == "snapshot":
			call = client.CreateSnapshot(client.SnapshotSettings{Name: name, Description: description, SourceSnapshots: rest[2:]})
		default:
			return usagef("the command is: snapshot %s", use)
		}
		return change(ctx, s, call, "Snapshot %s successfully created.\nYou can run 'aptly publish snapshot %s' to publish snapshot as Debian repository.", name, quote(name))
	})
	c.Flags().StringVar(&description, "description", "", "a text that describes the snapshot")
	return c
}

func (s *session) snapshotList() *cobra.Command {
	var l listed
	var sort string
	c := l.flags(s.leaf("list", "List the snapshots", count{0, 0}, func(ctx context.Context, _ []string) error {
		return show(ctx, s, client.ListSnapshots().With("sort", sort), func(all []client.Snapshot) error {
			if l.raw {
				return s.printer.lines(namesOf(all, func(v client.Snapshot) string { return v.Name }))
			}
			var rows [][]cell
			for _, v := range all {
				rows = append(rows, []cell{word(v.Name), number(v.NumPackages), s.printer.at(v.CreatedAt), word(v.SourceKind), word(v.Description)})
			}
			return s.printer.table([]string{"name", "packages", "created", "source", "description"}, rows)
		})
	}))
	c.Flags().StringVar(&sort, "sort", "name", "order: name or time")
	return c
}

func (s *session) snapshotShow() *cobra.Command {
	var with bool
	c := s.leaf("show NAME", "Show a snapshot", one(), func(ctx context.Context, args []string) error {
		return showWith(ctx, s, client.ShowSnapshot(args[0]), wanted{with, client.OfSnapshots, args[0]}, func(v client.Snapshot, keys []string) error {
			if err := s.printer.fields([]field{{"Name", word(v.Name)}, {"Created At", s.printer.at(v.CreatedAt)},
				{"Description", word(v.Description)}, {"Source", word(v.SourceKind)}}); err != nil {
				return err
			}
			return s.printPackages(with, keys)
		})
	})
	c.Flags().BoolVar(&with, "with-packages", false, "with the list of packages")
	return c
}

func (s *session) snapshotEdit() *cobra.Command {
	var description string
	c := s.leaf("edit NAME", "Change the description of a snapshot", one(), func(ctx context.Context, args []string) error {
		return change(ctx, s, client.EditSnapshot(args[0], "", description), "Snapshot %s has been changed.", args[0])
	})
	c.Flags().StringVar(&description, "description", "", "a text that describes the snapshot")
	return c
}

func (s *session) snapshotRename() *cobra.Command {
	return s.leaf("rename OLD NEW", "Rename a snapshot", count{2, 2}, func(ctx context.Context, args []string) error {
		if err := otherName("snapshot", args[0], args[1]); err != nil {
			return err
		}
		return change(ctx, s, client.EditSnapshot(args[0], args[1], ""), "Snapshot %s -> %s has been successfully renamed.", args[0], args[1])
	})
}

func (s *session) snapshotDrop() *cobra.Command {
	var force bool
	c := s.leaf("drop NAME", "Drop a snapshot", one(), func(ctx context.Context, args []string) error {
		if err := s.confirm("Drop the snapshot %s?", args[0]); err != nil {
			return err
		}
		return change(ctx, s, client.DropSnapshot(args[0]).Flag("force", force), "Snapshot `%s` has been dropped.", args[0])
	})
	c.Flags().BoolVar(&force, "force", false, "also if other snapshots were made of it")
	return c
}

func (s *session) snapshotVerify() *cobra.Command {
	return s.leaf("verify NAME [SOURCE...]", "List the dependencies that nothing satisfies", count{1, -1}, func(ctx context.Context, args []string) error {
		call, err := following(ctx, s, client.Verify(args[0]).With("architectures", strings.Join(s.opts.architectures, ",")))
		if err != nil {
			return err
		}
		for _, other := range args[1:] {
			call = call.With("with", other)
		}
		return show(ctx, s, call, func(missing []string) error {
			if len(missing) == 0 {
				s.say("All dependencies are satisfied.")
				return nil
			}
			s.say("Missing dependencies (%d):", len(missing))
			return s.printer.lines(missing)
		})
	})
}

func (s *session) snapshotDiff() *cobra.Command {
	var matching, summary bool
	c := s.leaf("diff LEFT RIGHT", "Compare two snapshots", count{2, 2}, func(ctx context.Context, args []string) error {
		return show(ctx, s, client.Diff(args[0], args[1]).Flag("onlyMatching", matching), func(all []client.Difference) error {
			var rows [][]cell
			counts := map[string]int{}
			for _, d := range all {
				mark, left, right := "!", "-", "-"
				if d.Left != nil {
					left = short(*d.Left)
				}
				if d.Right != nil {
					right = short(*d.Right)
				}
				if d.Left == nil {
					mark = "+"
				} else if d.Right == nil {
					mark = "-"
				}
				counts[mark]++
				rows = append(rows, []cell{word(mark), word(left), word(right)})
			}
			switch {
			case summary:
				return s.printer.fields([]field{{"Added", number(counts["+"])}, {"Removed", number(counts["-"])}, {"Changed", number(counts["!"])}})
			case len(rows) == 0:
				s.say("Snapshots are identical.")
				return nil
			}
			return s.printer.table([]string{"", args[0], args[1]}, rows)
		})
	})
	c.Flags().BoolVar(&matching, "only-matching", false, "only packages that both have in different versions")
	c.Flags().BoolVar(&summary, "summary", false, "counts only")
	return c
}

func (s *session) snapshotPull() *cobra.Command {
	var all, dry, noDeps, noRemove bool
	c := s.leaf("pull NAME SOURCE DESTINATION QUERY...", "Make a snapshot with packages of another one", count{4, -1}, func(ctx context.Context, args []string) error {
		queries, err := s.queries(args[3:])
		if err != nil {
			return err
		}
		call := client.PullInto(args[0], client.Pull{Source: args[1], Destination: args[2], Queries: queries, Architectures: s.opts.architectures}).
			Flag("all-matches", all).Flag("dry-run", dry).Flag("no-deps", noDeps).Flag("no-remove", noRemove)
		if call, err = following(ctx, s, call); err != nil {
			return err
		}
		return show(ctx, s, call, func(client.Snapshot) error {
			if dry {
				s.say("Not creating snapshot, as dry run was requested.")
				return nil
			}
			s.say("Snapshot %s successfully created.\nYou can run 'aptly publish snapshot %s' to publish snapshot as Debian repository.", args[2], quote(args[2]))
			return nil
		})
	})
	c.Flags().BoolVar(&all, "all-matches", false, "all matching packages, not only the newest")
	c.Flags().BoolVar(&dry, "dry-run", false, "change nothing")
	c.Flags().BoolVar(&noDeps, "no-deps", false, "without dependencies")
	c.Flags().BoolVar(&noRemove, "no-remove", false, "keep other versions")
	return c
}

// maxSources is the number of snapshots that the server merges at a time.
const maxSources = 45

func (s *session) snapshotMerge() *cobra.Command {
	var latest, noRemove, dry bool
	c := s.leaf("merge DESTINATION SOURCE...", "Make a snapshot of several others", count{2, -1}, func(ctx context.Context, args []string) error {
		if len(args)-1 > maxSources {
			return usagef("%d sources are given, of at most %d: merge some of them first, then the results", len(args)-1, maxSources)
		}
		if latest && noRemove {
			return errors.New("-no-remove and -latest cannot be specified together")
		}
		call := client.Merge(args[0], args[1:]).Flag("latest", latest).Flag("no-remove", noRemove)
		if dry {
			return s.preview(ctx, call)
		}
		return change(ctx, s, call,
			"Snapshot %s successfully created.\nYou can run 'aptly publish snapshot %s' to publish snapshot as Debian repository.", args[0], quote(args[0]))
	})
	c.Flags().BoolVar(&latest, "latest", false, "only the highest version of each package")
	c.Flags().BoolVar(&noRemove, "no-remove", false, "keep all versions")
	c.Flags().BoolVar(&dry, "dry-run", false, "count the packages and make no snapshot")
	return c
}

func (s *session) snapshotFilter() *cobra.Command {
	var deps, dry bool
	c := s.leaf("filter SOURCE DESTINATION QUERY...", "Make a snapshot of the packages that match", count{3, -1}, func(ctx context.Context, args []string) error {
		queries, err := s.queries(args[2:])
		if err != nil {
			return err
		}
		call, err := resolving(ctx, s, client.Filter(args[0], args[1], queries).Flag("withDeps", deps), deps)
		if err != nil {
			return err
		}
		if dry {
			return s.preview(ctx, call)
		}
		return change(ctx, s, call,
			"Snapshot %s successfully filtered.\nYou can run 'aptly publish snapshot %s' to publish snapshot as Debian repository.", args[1], quote(args[1]))
	})
	c.Flags().BoolVar(&deps, "with-deps", false, "with the dependencies of the matching packages")
	c.Flags().BoolVar(&dry, "dry-run", false, "count the packages and make no snapshot")
	return c
}

// preview counts the packages of the snapshot that a call would make.
func (s *session) preview(ctx context.Context, call client.Call[client.Snapshot]) error {
	if err := s.needsAptless(ctx, "--dry-run"); err != nil {
		return err
	}
	plan := client.Call[client.Preview]{Method: call.Method, Path: call.Path, Query: call.Query, Body: call.Body, Task: true}.Flag("dryRun", true)
	return show(ctx, s, plan, func(p client.Preview) error {
		return s.printer.fields([]field{{"Packages of the sources", number(p.Packages)}, {"Packages of the snapshot", number(p.Kept)}})
	})
}
