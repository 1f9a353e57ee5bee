package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"aptless/functions/cli"
	"aptless/functions/options"
)

var writeOptions = flag.Bool("write-options", false, "write docs/reference/options.md")

// optionsPage is the reference of the options of serve.
const optionsPage = "../../docs/reference/options.md"

// TestOptionsAreDocumented holds that the reference has each option of serve, with its default
// and its meaning. `go test ./functions/aptless -run TestOptionsAreDocumented -write-options`
// writes it.
func TestOptionsAreDocumented(t *testing.T) {
	want := reference()
	if *writeOptions {
		if err := os.WriteFile(optionsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(optionsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: the flag -write-options writes it", optionsPage)
	}
}

// reference returns the page of the options.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Options of the server

This page is for operators. It is made from the flags of ` + "`aptless serve`" + `. Each option is a flag, a key of the file of settings
without the dashes, and a variable. A flag precedes the variable, and the variable precedes the file. The functions on AWS have the
options with a star, as parameters of the template.

| Option | Variable | Default | Meaning |
|---|---|---|---|
`)
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options.Options).Flags(shared)
	serveCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		star, variable := "", "`"+options.Variable(f.Name)+"`"
		if shared.Lookup(f.Name) != nil {
			star = "*"
		}
		if f.Name == "config" {
			variable = "none"
		}
		value := strings.Trim(f.DefValue, "[]")
		if value == "" {
			value = "none"
		}
		fmt.Fprintf(&b, "| `--%s`%s | %s | %s | %s |\n", f.Name, star, variable, value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	return b.String()
}

// commandsPage is the reference of the command line.
const commandsPage = "../../docs/reference/cli.md"

// TestCommandLineIsDocumented holds that the reference has each command with its flags and
// examples, and the exit codes. The flag -write-options writes it.
func TestCommandLineIsDocumented(t *testing.T) {
	t.Setenv("APTLESS_URL", "")
	want := commandReference(tree(t))
	if *writeOptions {
		if err := os.WriteFile(commandsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(commandsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: the flag -write-options writes it", commandsPage)
	}
}

// commandReference returns the page of the command line.
func commandReference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Command line

This page is for users of the command line and for authors of scripts. It is made from the table of commands that ` + "`aptless help`" + ` shows.
[The command line](../cli.md) shows runs, and [aptly's commands](../aptly-commands.md) compares each flag of aptly.

A flag stands anywhere, with one dash or two. Data goes to stdout, and all else to stderr.
Started under the name ` + "`aptly`" + `, the program has aptly's exit codes: 0, 1 and 2.

## Exit codes

| Code | Meaning |
|---|---|
`)
	for _, e := range cli.ExitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", e.Code, e.Meaning)
	}
	b.WriteString("\n## Flags of all commands\n\n")
	flagTable(&b, root.PersistentFlags())
	each(root, func(c *cobra.Command) {
		if c == root {
			return
		}
		if !c.HasParent() || c.Parent() == root {
			fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.Name(), strings.TrimSuffix(c.Short, "."))
		}
		if c.HasAvailableSubCommands() && c.Flags().Lookup("event") == nil { // a group does nothing itself
			return
		}
		if c.Parent() != root {
			fmt.Fprintf(&b, "\n### %s\n\n%s.\n", strings.TrimPrefix(c.CommandPath(), "aptless "), strings.TrimSuffix(c.Short, "."))
		}
		fmt.Fprintf(&b, "\n    %s\n", strings.TrimSuffix(c.UseLine(), " [flags]"))
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.Long))
		}
		fmt.Fprintf(&b, "\nExamples:\n\n%s", strings.ReplaceAll(c.Example, "  aptless ", "    aptless "))
		if c.Name() == "serve" {
			b.WriteString("\nFlags: [options of the server](options.md).\n")
			return
		}
		if flags := ownFlags(root, c); visible(flags) {
			b.WriteString("\n")
			flagTable(&b, flags)
		}
	})
	return b.String()
}

// ownFlags returns the flags of a command that not all commands have.
func ownFlags(root, c *cobra.Command) *pflag.FlagSet {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.AddFlagSet(c.LocalNonPersistentFlags())
	for ; c != root; c = c.Parent() {
		own.AddFlagSet(c.PersistentFlags())
	}
	return own
}

// visible reports whether a set has a flag that the help shows, besides --help.
func visible(set *pflag.FlagSet) (found bool) {
	set.VisitAll(func(f *pflag.Flag) { found = found || !f.Hidden && f.Name != "help" })
	return found
}

func flagTable(b *strings.Builder, set *pflag.FlagSet) {
	b.WriteString("| Flag | Value | Default | Meaning |\n|---|---|---|---|\n")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, kind, value := "`--"+f.Name+"`", f.Value.Type(), strings.Trim(f.DefValue, "[]")
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if kind == "bool" {
			kind = ""
		}
		if value == "false" || value == "0" && kind == "int" || value == "0s" {
			value = ""
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, kind, value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}
