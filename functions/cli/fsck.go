package cli

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

func (s *session) fsckCommand() *cobra.Command {
	var deep, repair bool
	var data string
	c := s.leaf("fsck", "Check the storage: rows, lists, package files, published trees", count{0, 0}, func(ctx context.Context, _ []string) error {
		if data != "" {
			return s.fsckData(ctx, data, deep, repair)
		}
		return s.fsck(ctx, deep, repair)
	})
	c.Long = `Check rows, lists, the package pool and all published trees of a server. The exit code is 1 if something is damaged.
With --repair the server restores the things that follow from the rest. It deletes nothing. With --data no server has to run.`
	c.Flags().StringVar(&data, "data", "", "check this data folder of a server that is stopped")
	c.Flags().BoolVar(&deep, "deep", false, "read all files and compare their digests")
	c.Flags().BoolVar(&repair, "repair", false, "repair the things that follow from the rest")
	return c
}

// fsckData checks the data folder of a server that does not run.
func (s *session) fsckData(ctx context.Context, dir string, deep, repair bool) (err error) {
	if s.env.OpenData == nil {
		return usagef("--data is not in this program")
	}
	at, end, err := s.env.OpenData(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	s.use(&client.Client{URL: "http://localhost", HTTP: &http.Client{Transport: at}})
	return s.fsck(ctx, deep, repair)
}

// fsck checks the storage and prints the report.
func (s *session) fsck(ctx context.Context, deep, repair bool) error {
	a, err := send(ctx, s, client.CheckStorage(deep, repair))
	if err != nil {
		return err
	}
	if err := print(s, a, s.printCheck); err != nil {
		return err
	}
	if !a.Value.Sound {
		return &silent{codeFailed}
	}
	return nil
}

func (s *session) printCheck(r client.Check) error {
	var rows [][]cell
	for _, f := range r.Findings {
		rows = append(rows, []cell{word(f.Kind), word(f.Object), word(f.Of), yes(f.Repaired), word(f.Detail)})
	}
	if len(rows) > 0 {
		if err := s.printer.table([]string{"damage", "object", "of", "repaired", "detail"}, rows); err != nil {
			return err
		}
	}
	if u := r.Unreferenced; u.Records+u.Files > 0 {
		s.say("%d records and %d files (%s) that nothing refers to: aptless db cleanup", u.Records, u.Files, bytesText(u.Bytes))
	}
	if r.Sound {
		s.say("The storage is sound.")
	}
	return nil
}

func (s *session) printUnneeded(all []client.Unneeded) error {
	var rows [][]cell
	for _, u := range all {
		if u.Number > 0 {
			rows = append(rows, []cell{word(u.Area), number(u.Number), size(u.Bytes)})
		}
	}
	if len(rows) == 0 {
		s.say("Nothing would be deleted.")
		return nil
	}
	return s.printer.table([]string{"things", "number", "size"}, rows)
}

// printPlan shows the changes that a call on a publication would make.
func (s *session) printPlan(p client.Plan) error {
	var rows [][]cell
	for _, c := range p.Components {
		rows = append(rows, []cell{word(c.Component), word(c.Source), number(c.AddedNumber), number(c.RemovedNumber), words(limited(c.Added, 3)), words(limited(c.Removed, 3))})
	}
	if err := s.printer.table([]string{"component", "source", "added", "removed", "first added", "first removed"}, rows); err != nil {
		return err
	}
	return s.printer.fields([]field{{"Files written at most", number(p.Objects)}, {"Package files", size(p.Bytes)},
		{"Files removed at most", number(p.RemovedObjects)}, {"Removed package files", size(p.RemovedBytes)}, {"Generation", word(strconv.FormatInt(p.Generation, 10))}})
}

func (s *session) setupCommand() *cobra.Command {
	var variant string
	c := s.leaf("setup DISTRIBUTION[@PREFIX]", "Print the text by which a machine gets to use a publication", one(), func(ctx context.Context, args []string) error {
		return show(ctx, s, client.ShowSetup(pushing{publish: args}.targets()[0], variant), func(v client.Setup) error {
			for _, w := range v.Warnings {
				s.note("%s", w)
			}
			if v.File != "" {
				s.note("the text is the file %s", v.File)
			}
			return s.printer.text(v.Text)
		})
	})
	c.Long = `Print the text by which a machine gets to use a publication. The key of the server is in it.`
	c.Flags().StringVar(&variant, "for", "", "sources (default, for a shell), deb822 (the file), keyfile, list, containerfile, cloud-init, ansible or auth")
	return s.completed(c, ofPublications)
}
