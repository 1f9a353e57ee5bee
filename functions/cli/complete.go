package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// completing bounds the time of a completion: a shell waits for it.
const completing = time.Second

// Kinds of names that are completed, besides client.OfRepos and others.
const (
	ofPublications = "publish"
	ofTasks        = "tasks"
	ofPrefixes     = "prefixes"
	ofComponents   = "components"
	ofNothing      = ""
)

// further are the kinds of the arguments after the first one, by the verbs of the command.
// The last one stands for all that follow. A command that is not listed has one kind for
// all of its arguments.
var further = map[string][]string{
	"repo add": {ofNothing}, "repo include": {ofNothing}, "repo rename": {ofNothing}, "repo remove": {ofNothing}, "repo search": {ofNothing}, "repo show": {ofNothing},
	"repo copy": {client.OfRepos, ofNothing}, "repo move": {client.OfRepos, ofNothing}, "repo import": {client.OfRepos, ofNothing},
	"mirror rename": {ofNothing}, "mirror search": {ofNothing}, "snapshot rename": {ofNothing}, "snapshot search": {ofNothing}, "snapshot filter": {ofNothing},
	"publish update": {ofPrefixes}, "publish show": {ofPrefixes}, "publish drop": {ofPrefixes}, "publish plan": {ofPrefixes}, "publish history": {ofPrefixes},
	"publish rollback": {ofNothing, ofPrefixes}, "publish switch": {ofPrefixes, client.OfSnapshots}, "publish repo": {client.OfRepos}, "publish snapshot": {client.OfSnapshots},
}

// kindAt returns the kind of an argument of a command. n is its position, 0 for the first.
func kindAt(cmd *cobra.Command, first string, n int) string {
	path := strings.Fields(cmd.CommandPath())
	kinds, ok := further[strings.Join(path[min(1, len(path)):], " ")]
	switch {
	case n == 0:
		return first
	case !ok:
		return first
	}
	return kinds[min(n, len(kinds))-1]
}

// completed has the shell complete the arguments of a command by names of the server.
func (s *session) completed(c *cobra.Command, kind string) *cobra.Command {
	c.ValidArgsFunction = func(cmd *cobra.Command, before []string, begun string) ([]string, cobra.ShellCompDirective) {
		directive := cobra.ShellCompDirectiveNoFileComp
		if cmd.Name() == "add" && len(before) > 0 || cmd.Name() == "include" || cmd.Name() == "push" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return s.begunBy(kindAt(cmd, kind, len(before)), begun), directive
	}
	return c
}

// begunBy returns the names of a kind that begin with a text; none after an error.
func (s *session) begunBy(kind, begun string) (found []string) {
	ctx, cancel := context.WithTimeout(context.Background(), completing)
	defer cancel()
	s.prepare()
	c, err := s.connect()
	if err != nil {
		return nil
	}
	c.Watch = nil
	for _, name := range serverNames(ctx, c, kind) {
		if strings.HasPrefix(name, begun) {
			found = append(found, name)
		}
	}
	return found
}

// flagNames has the shell complete the values of flags: profiles, and names of the server.
func (s *session) flagNames(root *cobra.Command) {
	kinds := map[string]string{"repo": client.OfRepos, "publish": ofPublications, "component": ofComponents, "prefix": ofPrefixes}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for flag, kind := range kinds {
			if c.Flags().Lookup(flag) != nil && c.Flags().Lookup(flag).Value.Type() != "bool" {
				_ = c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
					return s.begunBy(kind, begun), cobra.ShellCompDirectiveNoFileComp
				})
			}
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(root)
	_ = root.RegisterFlagCompletionFunc("profile", func(_ *cobra.Command, _ []string, begun string) (found []string, _ cobra.ShellCompDirective) {
		path, named := s.env.configFile(s.opts)
		all, err := readProfiles(path, named)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for name := range all.Profile {
			if strings.HasPrefix(name, begun) {
				found = append(found, name)
			}
		}
		slices.Sort(found)
		return found, cobra.ShellCompDirectiveNoFileComp
	})
}

// serverNames returns the names of a kind of objects; none after an error.
func serverNames(ctx context.Context, c *client.Client, kind string) (names []string) {
	switch kind {
	case client.OfRepos:
		a, _ := client.Send(ctx, c, client.ListRepos())
		return namesOf(a.Value, func(r client.Repo) string { return r.Name })
	case client.OfMirrors:
		a, _ := client.Send(ctx, c, client.ListMirrors())
		return namesOf(a.Value, func(m client.Mirror) string { return m.Name })
	case client.OfSnapshots:
		a, _ := client.Send(ctx, c, client.ListSnapshots())
		return namesOf(a.Value, func(v client.Snapshot) string { return v.Name })
	case ofPublications:
		a, _ := client.Send(ctx, c, client.ListPublications())
		return namesOf(a.Value, func(p client.Publication) string { return p.Distribution })
	case ofPrefixes, ofComponents:
		a, _ := client.Send(ctx, c, client.ListPublications())
		for _, p := range a.Value {
			names = append(names, prefixOf(p))
			if kind == ofComponents {
				names = names[:len(names)-1]
				for _, v := range p.Sources {
					names = append(names, v.Component)
				}
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	case ofTasks:
		a, _ := client.Send(ctx, c, client.ListTasks())
		return namesOf(a.Value, func(t client.Task) string { return taskNumber(t.ID) })
	}
	return nil
}
