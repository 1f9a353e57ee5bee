package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aptless/functions/move"
)

// mover returns the mover between a folder and the server.
func (s *session) mover(dir string) (*move.Mover, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	folder, err := s.folder(dir)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return &move.Mover{Client: c, Folder: folder, Parallel: s.opts.parallel, Now: s.env.Now, Say: s.reporter.step}, nil
}

// folder opens a transfer folder.
func (s *session) folder(dir string) (*move.Folder, error) {
	f, err := move.OpenFolder(dir)
	if err == nil {
		f.Step = s.env.Step
	}
	return f, err
}

func (s *session) exportCommand() *cobra.Command {
	var only []string
	var keep int
	c := s.leaf("export DIR", "Write all objects of the server and their packages to a folder", count{1, 1}, func(ctx context.Context, args []string) error {
		m, err := s.mover(args[0])
		if err != nil {
			return err
		}
		if keep < 0 {
			return usagef("--keep=%d: a number of exports", keep)
		}
		m.Only, m.Keep = only, keep
		done, err := m.Export(ctx)
		s.reporter.close()
		if err != nil {
			return err
		}
		if s.opts.json {
			return s.value(done)
		}
		if !done.Moment {
			s.note("the server was changed all the time: each object is whole, and not all are of one moment")
		}
		s.say("%s: %s, %d package files, of which %d are new (%s).", args[0], countsText(done.Counts), done.Files, done.Fetched, bytesText(done.Read))
		if done.Removed > 0 {
			s.say("%d files of forgotten exports were removed.", done.Removed)
		}
		return nil
	})
	c.Long = `Write repositories, mirrors, snapshots and publications with their packages to a transfer folder.
The server goes on meanwhile. A further export to the folder fetches new packages only. Secrets are not exported.
The folder is imported by aptless import.`
	c.Flags().StringArrayVar(&only, "only", nil, "a part: KIND/NAME, in which a star is any text, as repo/tools or publication/./stable; may be repeated")
	c.Flags().IntVar(&keep, "keep", 0, "the number of newest exports to keep; files of older ones only are removed; 0 removes nothing")
	return c
}

func (s *session) importCommand() *cobra.Command {
	var opt move.ImportOptions
	c := s.leaf("import DIR", "Bring the objects of a transfer folder to the server", count{1, 1}, func(ctx context.Context, args []string) error {
		return s.importFolder(ctx, args[0], opt)
	})
	c.Long = `Bring the objects of a transfer folder to the server. Packages that the server has are not sent.
Nothing is changed if another object has a name already. Publications are signed anew. Repeating the command changes nothing.
An object that was changed on the server since its last import is left alone.`
	s.importFlags(c, &opt)
	c.Flags().StringVar(&opt.Manifest, "manifest", "", "an export that export --keep has kept: manifest-TIME.json; the last one without it")
	c.Flags().StringArrayVar(&opt.As, "as", nil, "NAME=NEW or KIND/NAME=NEW: import a copy with another name; may be repeated")
	return c
}

// importFlags adds the flags of an import.
func (s *session) importFlags(c *cobra.Command, opt *move.ImportOptions) {
	c.Flags().Int64Var(&s.opts.limit, "limit", 0, "KiB that are sent in a second at most; 0 is no limit")
	c.Flags().BoolVar(&opt.DryRun, "dry-run", false, "tell the outcome, and change nothing")
	c.Flags().BoolVar(&opt.Overwrite, "overwrite", false, "replace also objects that were changed on the server")
	c.Flags().BoolVar(&opt.Empty, "empty", false, "only if the server has no objects")
	c.Flags().Bool("merge", true, "beside the objects of the server: the default")
	c.MarkFlagsMutuallyExclusive("empty", "merge")
}

// importFolder imports a folder and prints the report.
func (s *session) importFolder(ctx context.Context, dir string, opt move.ImportOptions) error {
	m, err := s.mover(dir)
	if err != nil {
		return err
	}
	if err := choose(m.Folder, opt.Manifest); err != nil {
		return err
	}
	opt.Send = func(ctx context.Context, to string, files []move.Upload) error {
		list := make([]localFile, len(files))
		for i, f := range files {
			list[i] = localFile{f.Path, f.Name, f.SHA256, f.Size}
		}
		_, err := s.upload(ctx, to, list)
		return err
	}
	began := s.env.Now()
	done, err := m.Import(ctx, opt)
	s.reporter.close()
	if s.opts.json && done.Objects != nil {
		if printErr := s.value(done); printErr != nil {
			return printErr
		}
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(done.Objects)) {
		s.say("%s: %s", kind, countsText(done.Objects[kind]))
	}
	for _, name := range done.Kept {
		s.note("%s was changed on the server since its import, and is left alone (--overwrite replaces it)", name)
	}
	for _, name := range done.Clashes {
		s.note("another object has the name of %s", name)
	}
	for _, name := range slices.Sorted(maps.Keys(done.Failed)) {
		s.note("%s: %s", name, done.Failed[name])
	}
	if err == nil && opt.DryRun {
		s.say("Nothing was changed.")
		if len(done.Clashes) > 0 {
			return &silent{codeConflict}
		}
	} else if err == nil {
		s.say("%d package files were sent, %d publications made. The import took %v.", done.Sent, len(done.Published), s.since(began))
	}
	return err
}

// choose has the folder be read by a kept manifest; "" is the last one.
func choose(folder *move.Folder, manifest string) error {
	names, err := folder.Manifests()
	if err != nil {
		return err
	}
	if manifest != "" && !slices.Contains(names, manifest) {
		return usagef("--manifest=%s: the folder has %q", manifest, names)
	}
	folder.Manifest = manifest
	return nil
}

// since is the time since then, to the tenth of a second.
func (s *session) since(began time.Time) time.Duration {
	return s.env.Now().Sub(began).Round(100 * time.Millisecond)
}

// value prints a value of the command's own as JSON.
func (s *session) value(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.printer.json(raw)
}

// countsText writes numbers by name: "2 repo, 1 snapshot".
func countsText(counts map[string]int) string {
	text := ""
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", counts[kind], kind)
	}
	if text == "" {
		return "nothing"
	}
	return text
}

// step shows the progress of a part of a copy, where there are no bars of its own. total
// 0 is not known.
func (r *reporter) step(name string, done, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.how {
	case events:
		r.emit(event{Event: "phase", Name: name, Done: int64(done), Total: int64(total)})
	case plain, live:
		text := fmt.Sprintf("%d", done)
		if total > 0 {
			text = fmt.Sprintf("%d of %d", done, total)
		}
		if r.how == live && r.writer != nil {
			return // bars of uploads are shown
		}
		r.plain(name, name, text)
	}
}
