package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// explained gives each command its examples, and the help the order of its parts. Wrong
// arguments of any command, and an unknown verb of any group, are a wrong use.
func explained(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), helpOf(c)) })
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Short, c.Long = "Show the help of a command", ""
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				of, rest, err := root.Find(args)
				if err != nil || of == nil || len(rest) > 0 && !of.Runnable() || len(rest) > 0 && of.HasSubCommands() {
					return fmt.Errorf("unknown help topic %q: aptless help lists the commands", strings.Join(args, " "))
				}
				return of.Help()
			}
		case "completion":
			c.Short, c.Long = "Print the completion of a shell", ""
			for _, shell := range c.Commands() {
				shell.Short, shell.Long = "Print the completion of "+shell.Name(), ""
			}
		}
	}
	names := map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		names[verb(root, c)] = true
		if !c.Runnable() { // a group of another package or of the library
			c.Use, c.Args = c.Name()+" VERB", cobra.ArbitraryArgs
			c.RunE = func(c *cobra.Command, args []string) error { return unknownVerb(c, args) }
		}
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error { return wrongUse(check(c, args)) }
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	exemplify(root, root, examplesOf(names))
}

// wrongUse makes an error of the arguments a wrong use.
func wrongUse(err error) error {
	var wrong *usage
	if err == nil || errors.As(err, &wrong) {
		return err
	}
	return usagef("%v", err)
}

// concealed takes a command out of the help. It runs.
func concealed(c *cobra.Command) *cobra.Command {
	c.Hidden = true
	return c
}

// exemplify sets the examples of a command and of those below it, and returns them.
func exemplify(root, c *cobra.Command, lines map[string][]string) []string {
	own := lines[verb(root, c)]
	var firsts, more []string // of the commands below
	for _, sub := range c.Commands() {
		below := exemplify(root, sub, lines)
		if sub.IsAvailableCommand() && len(below) > 0 {
			firsts, more = append(firsts, below[0]), append(more, below[1:]...)
		}
	}
	if c == root {
		own = []string{lines["push"][0], lines["help"][0]}
	}
	if len(own) == 0 && len(firsts) > 0 {
		own = append(firsts, more...)[:2]
	}
	var b strings.Builder
	for _, line := range own {
		fmt.Fprintf(&b, "  %s %s\n", root.Name(), line)
	}
	c.Example = b.String()
	return own
}

// verb returns the words of a command after the name of the program.
func verb(root, c *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), root.CommandPath()), " ")
}

// sentence is the first line of a help.
func sentence(c *cobra.Command) string { return strings.TrimSuffix(c.Short, ".") + "." }

// helpOf returns the help of a command: a sentence, two examples, the arguments, further
// text, the commands below it and the flags.
func helpOf(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\nUsage: %s\n", sentence(c), c.Example, c.UseLine())
	if len(c.Aliases) > 0 {
		fmt.Fprintf(&b, "Also: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.Long))
	}
	if c.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s %s\n", c.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if flags := c.LocalFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags.FlagUsages())
	}
	if flags := c.InheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\nFlags of all commands:\n%s", flags.FlagUsages())
	}
	return b.String()
}
