package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"aptless/functions/cli"
)

// tree returns the commands of the program, as a run has them.
func tree(t *testing.T) *cobra.Command {
	t.Helper()
	var all []*cobra.Command
	code := cli.Main(t.Context(), cli.Env{In: strings.NewReader(""), Out: &strings.Builder{}, Err: &strings.Builder{}, Getenv: func(string) string { return "" }, Now: time.Now,
		Keys: signingKeys{}, OpenData: openData, Terminal: func(any) (int, bool) { return 0, false }}, []string{"aptless", "help"}, func() []*cobra.Command {
		all = commands()
		return all
	})
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return all[0].Root()
}

// each calls a function with each command that the help shows, and those below it.
func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			each(sub, do)
		}
	}
}

// shellWords splits a line as a shell does, up to a pipe or a redirection.
func shellWords(t *testing.T, line string) (all []string) {
	t.Helper()
	for _, w := range regexp.MustCompile(`(?:[^\s']|'[^']*')+`).FindAllString(line, -1) {
		if w == "|" || w == ">" || w == "<" {
			break
		}
		if strings.Count(w, "'")%2 != 0 || strings.ContainsAny(regexp.MustCompile(`'[^']*'`).ReplaceAllString(w, ""), "*?$()&;\"\\") {
			t.Errorf("a shell changes %s in: %s", w, line)
		}
		all = append(all, strings.ReplaceAll(w, "'", ""))
	}
	return all
}

// TestHelpBeginsWithASentenceAndTwoExamples: so does the help of each command. An example
// names the command or one below it, and has flags and arguments that the command takes.
// Too many arguments are a wrong use.
func TestHelpBeginsWithASentenceAndTwoExamples(t *testing.T) {
	seen := 0
	each(tree(t), func(c *cobra.Command) {
		seen++
		lines := strings.Split(strings.TrimSuffix(c.Example, "\n"), "\n")
		out, code := line(t, time.Now(), append(strings.Fields(c.CommandPath())[1:], "--help")...)
		want := strings.TrimSuffix(c.Short, ".") + ".\n\n" + c.Example + "\nUsage: aptless"
		if code != 0 || !strings.HasPrefix(out, want) || len(lines) != 2 || lines[0] == lines[1] {
			t.Errorf("%s: %d examples, exit code %d\n%s", c.CommandPath(), len(lines), code, out)
			return
		}
		if err := c.ValidateArgs(strings.Fields(strings.Repeat("x ", 99))); err != nil {
			if out, code := line(t, time.Now(), append(strings.Fields(c.CommandPath())[1:], strings.Fields(strings.Repeat("x ", 99))...)...); code != 2 {
				t.Errorf("%s with 99 arguments: exit code %d\n%s", c.CommandPath(), code, out)
			}
		}
		for _, line := range lines {
			checkExample(t, c, line)
		}
	})
	if seen < 120 {
		t.Errorf("%d commands", seen)
	}
}

// checkExample holds that a line is a right use of a command, or of one below it.
func checkExample(t *testing.T, of *cobra.Command, line string) {
	t.Helper()
	given := shellWords(t, line)
	root := tree(t)
	c, rest, err := root.Find(given[1:])
	if err != nil || given[0] != "aptless" || !strings.HasPrefix(c.CommandPath()+" ", of.CommandPath()+" ") || !c.Runnable() || c.HasSubCommands() && c.CommandPath() != of.CommandPath() {
		t.Errorf("%s is no example of %s: %v", line, of.CommandPath(), err)
		return
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%s: %v", line, err)
		return
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%s: %v", line, err)
	}
	if c.Name() == "help" {
		if about, left, err := root.Find(c.Flags().Args()); err != nil || len(left) > 0 || about == root {
			t.Errorf("%s: there is no such command: %v", line, err)
		}
	}
}
