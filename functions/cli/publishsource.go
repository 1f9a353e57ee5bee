package cli

import (
	"context"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// publishSource makes the commands of staged sources: the next update publishes them.
func (s *session) publishSource() *cobra.Command {
	of := func(c *cobra.Command) *cobra.Command { return s.completed(c, ofPublications) }
	return group("source", "Change the components that the next update publishes",
		of(s.sourceChange("add", "Add a component", client.AddSource)), of(s.sourceChange("update", "Change the source of a component", client.SetSource)),
		of(s.sourceRemove()), of(s.sourceList()), of(s.sourceReplace()), of(s.sourceDrop()))
}

// prefixFlag adds aptly's flag for the prefix of these commands.
func prefixFlag(c *cobra.Command, prefix *string) *cobra.Command {
	c.Flags().StringVar(prefix, "prefix", ".", "prefix of the publication, or ENDPOINT:PREFIX")
	return c
}

func (s *session) printSources(all []client.Source) error {
	var rows [][]cell
	for _, v := range all {
		rows = append(rows, []cell{word(v.Component), word(v.Name)})
	}
	return s.printer.table([]string{"component", "source"}, rows)
}

func (s *session) sourceChange(verb, short string, call func(client.Place, client.Source) client.Call[client.Nothing]) *cobra.Command {
	var component, prefix string
	c := s.leaf(verb+" DISTRIBUTION SOURCE...", short, count{2, -1}, func(ctx context.Context, args []string) error {
		all, err := sources(component, args[1:])
		if err != nil {
			return err
		}
		at := client.Place{Prefix: prefix, Distribution: args[0]}
		for _, one := range all {
			if one.Component == "" {
				one.Component = "main"
			}
			if _, err := send(ctx, s, call(at, one)); err != nil {
				return err
			}
		}
		return s.staged(ctx, at)
	})
	c.Flags().StringVar(&component, "component", "", "components, separated by commas")
	return prefixFlag(c, &prefix)
}

// staged prints the staged sources after a change.
func (s *session) staged(ctx context.Context, at client.Place) error {
	s.say("You can run 'aptly publish update %s %s' to update the content of the published repository.", at.Distribution, at.Prefix)
	return show(ctx, s, client.ListSources(at), s.printSources)
}

func (s *session) sourceRemove() *cobra.Command {
	var component, prefix string
	c := s.leaf("remove DISTRIBUTION", "Remove components", one(), func(ctx context.Context, args []string) error {
		at := client.Place{Prefix: prefix, Distribution: args[0]}
		names := list(component)
		if len(names) == 0 {
			return usagef("the components are missing: --component=NAME,…")
		}
		for _, name := range names {
			if _, err := send(ctx, s, client.RemoveSource(at, name)); err != nil {
				return err
			}
		}
		return s.staged(ctx, at)
	})
	c.Flags().StringVar(&component, "component", "", "components, separated by commas")
	return prefixFlag(c, &prefix)
}

func (s *session) sourceList() *cobra.Command {
	var prefix string
	return prefixFlag(s.leaf("list DISTRIBUTION", "List the sources of the next update", one(), func(ctx context.Context, args []string) error {
		return show(ctx, s, client.ListSources(client.Place{Prefix: prefix, Distribution: args[0]}), s.printSources)
	}), &prefix)
}

func (s *session) sourceReplace() *cobra.Command {
	var component, prefix string
	c := s.leaf("replace DISTRIBUTION SOURCE...", "Replace all components", count{2, -1}, func(ctx context.Context, args []string) error {
		all, err := sources(component, args[1:])
		if err != nil {
			return err
		}
		if len(all) == 1 && all[0].Component == "" {
			all[0].Component = "main"
		}
		at := client.Place{Prefix: prefix, Distribution: args[0]}
		if _, err := send(ctx, s, client.SetSources(at, filled(all))); err != nil {
			return err
		}
		return s.staged(ctx, at)
	})
	c.Flags().StringVar(&component, "component", "", "components, separated by commas")
	return prefixFlag(c, &prefix)
}

func (s *session) sourceDrop() *cobra.Command {
	var prefix string
	return prefixFlag(s.leaf("drop DISTRIBUTION", "Discard the changes of the components", one(), func(ctx context.Context, args []string) error {
		return change(ctx, s, client.DiscardSources(client.Place{Prefix: prefix, Distribution: args[0]}), "Source changes have been removed successfully.")
	}), &prefix)
}
