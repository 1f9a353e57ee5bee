package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the manual pages from the table of commands that the help has.
func (s *session) manCommand() *cobra.Command {
	c := s.leaf("man FOLDER", "Write the manual pages", one(), nil)
	c.RunE = func(cmd *cobra.Command, args []string) error { return s.man(cmd.Context(), cmd.Root(), args[0]) }
	return c
}

func (s *session) man(_ context.Context, root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	pages := map[string]string{"aptless": s.rootPage(root)}
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			pages["aptless-"+c.Name()] = s.page(root, c)
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	s.say("%d manual pages are written to %s", len(pages), dir)
	return nil
}

// roff escapes a text of mdoc. A line does not begin with a control character.
func roff(text string) string {
	text = strings.NewReplacer("\\", "\\e", "-", "\\-", "`", "\\(ga", "'", "\\(aq", "^", "\\(ha", "~", "\\(ti").Replace(text)
	if strings.HasPrefix(text, ".") {
		text = "\\&" + text
	}
	return text
}

// head begins a page.
func head(name, about string) string {
	return fmt.Sprintf(".Dd $Mdocdate$\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", strings.ToUpper(name), name, roff(strings.TrimSuffix(cmp.Or(about, name), ".")))
}

func (s *session) rootPage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(head("aptless", root.Short))
	b.WriteString(".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar subverb\n.Op Ar flags\n.Ar arguments\n.Sh DESCRIPTION\nFlags may stand anywhere.\nA flag has one dash or two.\n.Bl -tag -width Ds\n")
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&b, ".It Xr aptless-%s 1\n%s.\n", c.Name(), roff(c.Short))
		}
	}
	b.WriteString(".El\n.Sh OPTIONS\nThese flags are those of all commands.\n")
	b.WriteString(flagList(root.PersistentFlags()))
	b.WriteString(".Sh EXIT STATUS\n.Bl -tag -width Ds\n")
	for _, e := range ExitCodes() {
		fmt.Fprintf(&b, ".It %d\n%s\n", e.Code, roff(e.Meaning))
	}
	b.WriteString(".El\n")
	return b.String()
}

// page is the page of a verb with all commands below it.
func (s *session) page(root, c *cobra.Command) string {
	var b strings.Builder
	b.WriteString(head("aptless-"+c.Name(), c.Short))
	b.WriteString(".Sh DESCRIPTION\n")
	leaves := []*cobra.Command{c}
	if c.HasAvailableSubCommands() {
		leaves = below(c)
	}
	for _, leaf := range leaves {
		use := strings.TrimPrefix(leaf.Parent().CommandPath(), root.CommandPath())
		fmt.Fprintf(&b, ".Ss %s\n", roff(strings.TrimSpace(use+" "+leaf.Use)))
		about, _, _ := strings.Cut(leaf.Long, "\n\n")
		if about == "" {
			about = leaf.Short + "."
		}
		for line := range strings.SplitSeq(about, "\n") {
			for sentence := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSpace(line), ". ", ".\n"), "\n") {
				b.WriteString(roff(sentence) + "\n") // mdoc wants each sentence to begin a line
			}
		}
		fmt.Fprintf(&b, ".Bd -literal -offset indent\n%s.Ed\n", roff(strings.ReplaceAll(leaf.Example, "  "+root.Name()+" ", root.Name()+" ")))
		b.WriteString(flagList(leaf.LocalNonPersistentFlags()))
	}
	b.WriteString(".Sh SEE ALSO\n.Xr aptless 1\n")
	return b.String()
}

// below returns the commands that run, in the order of the help.
func below(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		switch {
		case !sub.IsAvailableCommand():
		case sub.HasAvailableSubCommands():
			all = append(all, below(sub)...)
		default:
			all = append(all, sub)
		}
	}
	return all
}

// flagList writes the flags of a set.
func flagList(set *pflag.FlagSet) string {
	var b strings.Builder
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		item := ".It Fl \\-" + roff(f.Name)
		if f.Shorthand != "" {
			item = ".It Fl " + f.Shorthand + " , Fl \\-" + roff(f.Name)
		}
		if f.Value.Type() != "bool" {
			item += " Ar " + roff(f.Value.Type())
		}
		fmt.Fprintf(&b, "%s\n%s\n", item, roff(f.Usage))
	})
	if b.Len() == 0 {
		return ""
	}
	return ".Bl -tag -width Ds\n" + b.String() + ".El\n"
}
