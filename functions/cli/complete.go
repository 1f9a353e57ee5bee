package cli

import (
	"context"
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
)

// completed has the shell complete the arguments of a command by names of the server.
func (s *session) completed(c *cobra.Command, kind string) *cobra.Command {
	c.ValidArgsFunction = func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), completing)
		defer cancel()
		s.prepare()
		c, err := s.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c.Watch = nil
		directive := cobra.ShellCompDirectiveNoFileComp
		if kind == client.OfRepos && (cmd.Name() == "add" || cmd.Name() == "include") {
			directive = cobra.ShellCompDirectiveDefault
		}
		var found []string
		for _, name := range serverNames(ctx, c, kind) {
			if strings.HasPrefix(name, begun) {
				found = append(found, name)
			}
		}
		return found, directive
	}
	return c
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
	case ofTasks:
		a, _ := client.Send(ctx, c, client.ListTasks())
		return namesOf(a.Value, func(t client.Task) string { return taskNumber(t.ID) })
	}
	return nil
}
