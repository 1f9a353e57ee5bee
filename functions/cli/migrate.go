package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"aptless/functions/move"
	"aptless/functions/move/aptly"
)

func (s *session) migrateCommand() *cobra.Command {
	return group("migrate", "Move in from another program", s.migrateAptlyCommand(), s.migrateAptCommand(), s.migrateVerifyCommand())
}

// migration has the flags of migrate aptly.
type migration struct {
	move.ImportOptions
	aptly.Options
	work     string
	verify   string
	noVerify bool
	uploads  bool
	sample   int
}

func (s *session) migrateAptlyCommand() *cobra.Command {
	var m migration
	c := s.leaf("aptly ROOT", "Move all objects of an aptly to the server, from aptly's root folder", count{1, 1}, func(ctx context.Context, args []string) error {
		return s.migrateAptly(ctx, args[0], m)
	})
	c.Long = `Move repositories, mirrors, snapshots and publications of an aptly to the server, with packages and UUIDs.
aptly's root folder is only read, also while aptly runs. Run the command while aptly is up, stop aptly, and run it again:
the second run brings only changes. Damaged records and files are named, and the rest moves.
Publications are signed by the server's keys. aptless key import --gpg KEY --data FOLDER brings the key of aptly.`
	s.importFlags(c, &m.ImportOptions)
	c.Flags().StringVar(&m.Config, "conf", "", "aptly.conf, for the places of publications")
	c.Flags().StringVar(&m.Keyring, "keyring", "", "file of trusted keys, as gpg --export writes it")
	c.Flags().StringVar(&m.work, "work", "", "folder for the state between two runs; in the user's cache without it")
	c.Flags().StringVar(&m.verify, "verify", "digest", "compare each package file by its digest, or by its size")
	c.Flags().BoolVar(&m.Hard, "link", false, "have hard links to package files in the state between two runs, so that it outlives aptly's pool")
	c.Flags().BoolVar(&m.uploads, "with-uploads", false, "send aptly's upload area, too")
	c.Flags().BoolVar(&m.noVerify, "no-compare", false, "do not compare the published trees at the end")
	c.Flags().IntVar(&m.sample, "sample", 200, "package files of each publication whose size is compared at the end; 0 is all")
	return c
}

func (s *session) migrateAptly(ctx context.Context, root string, m migration) error {
	folder, err := m.open(root, s.folder)
	if err != nil {
		return usagef("%v", err)
	}
	work, began := folder.Dir, s.env.Now()
	m.Root, m.Shallow, m.Now, m.Say = root, m.verify == "size" || m.DryRun, s.env.Now(), s.reporter.step
	report, err := aptly.Convert(ctx, m.Options, folder)
	if err != nil {
		return err
	}
	s.say("%s: %s, %d package files (%s). State between runs: %s", root, countsText(report.Counts), report.Files, bytesText(report.Bytes), work)
	for _, p := range report.Problems {
		s.note("does not move: %s", p)
	}
	for _, n := range report.Notes {
		s.note("%s", n)
	}
	if err := s.importFolder(ctx, work, m.ImportOptions); err != nil {
		return err
	}
	if m.uploads && !m.DryRun {
		if err := s.sendUploads(ctx, root); err != nil {
			return err
		}
	}
	differ := 0
	if !m.DryRun && !m.noVerify {
		if differ, err = s.compareTrees(ctx, folder, report.Folders, m.sample); err != nil {
			return err
		}
	}
	s.say("The migration took %v.", s.since(began))
	if len(report.Problems) > 0 || differ > 0 {
		return &silent{codeFailed}
	}
	return nil
}

// sendUploads sends the files of aptly's upload area to directories of the same names.
func (s *session) sendUploads(ctx context.Context, root string) error {
	area := filepath.Join(root, "upload")
	entries, err := os.ReadDir(area)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		names, err := os.ReadDir(filepath.Join(area, e.Name()))
		if err != nil {
			return err
		}
		var files []localFile
		for _, name := range names {
			if !name.Type().IsRegular() {
				s.note("the upload area has %s, which is no file of an upload directory", filepath.Join(e.Name(), name.Name()))
				continue
			}
			f, err := readLocal(filepath.Join(area, e.Name(), name.Name()))
			if err != nil {
				s.note("does not move: %v", err)
				continue
			}
			files = append(files, f)
		}
		if len(files) == 0 {
			continue
		}
		done, err := s.upload(ctx, e.Name(), files)
		if err != nil {
			return fmt.Errorf("upload directory %s: %w", e.Name(), err)
		}
		s.say("upload directory %s: %d files, of which %d were sent", e.Name(), done.Files, done.Sent)
	}
	return nil
}

// open checks the arguments, and opens the folder between two runs.
func (m *migration) open(root string, open func(string) (*move.Folder, error)) (*move.Folder, error) {
	if m.verify != "digest" && m.verify != "size" {
		return nil, fmt.Errorf("--verify=%s: digest or size", m.verify)
	}
	if info, err := os.Stat(filepath.Join(root, "db")); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s has no folder db: it is no root of aptly", root)
	}
	work, err := workFolder(m.work, root)
	if err != nil {
		return nil, err
	}
	return open(work)
}

// workFolder returns the folder of a migration of a root.
func workFolder(given, root string) (string, error) {
	if given != "" {
		return given, nil
	}
	full, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("--work is needed: %w", err)
	}
	sum := sha256.Sum256([]byte(full))
	return filepath.Join(cache, "aptless", "migrate-"+hex.EncodeToString(sum[:6])), nil
}

// compareTrees compares the published trees of aptly and of the server, and returns the
// number of differences.
func (s *session) compareTrees(ctx context.Context, folder *move.Folder, folders map[string]string, sample int) (int, error) {
	_, objects, err := folder.Read()
	if err != nil {
		return 0, err
	}
	differ := 0
	for _, o := range objects {
		p := o.Publication
		if p == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(folders[p.Storage], p.Prefix, "dists", p.Distribution)); folders[p.Storage] == "" || p.Storage != "" || err != nil {
			s.note("%s is not compared: its tree is elsewhere", o.Name())
			continue
		}
		found, err := move.Comparison{Old: move.FolderTree(folders[p.Storage]), New: s.publishedTree(), Prefix: p.Prefix, Distribution: p.Distribution, Sample: sample}.Run(ctx)
		if err != nil {
			return differ, fmt.Errorf("%s: %w", o.Name(), err)
		}
		for _, d := range found {
			s.note("%s", d)
		}
		differ += len(found)
	}
	if differ == 0 {
		s.say("The published trees are equal, but for dates, digests and signatures.")
	}
	return differ, nil
}

// publishedTree is the published tree of the server.
func (s *session) publishedTree() move.Tree {
	return move.WebTree{URL: s.client.URL, HTTP: s.client.HTTP}
}

func (s *session) migrateVerifyCommand() *cobra.Command {
	var old, fresh string
	var sample int
	c := s.leaf("verify --old URL|DIR --new URL|DIR [PREFIX/]DISTRIBUTION...", "Compare publications of two servers", count{1, -1}, func(ctx context.Context, args []string) error {
		if old == "" || fresh == "" {
			return usagef("--old and --new are needed")
		}
		c, err := s.connect()
		if err != nil {
			return err
		}
		open := func(at string) move.Tree {
			if strings.Contains(at, "://") {
				return move.WebTree{URL: at, HTTP: c.HTTP}
			}
			return move.FolderTree(at)
		}
		differ := 0
		for _, arg := range args {
			prefix, distribution := ".", arg
			if i := strings.LastIndexByte(arg, '/'); i >= 0 {
				prefix, distribution = arg[:i], arg[i+1:]
			}
			found, err := move.Comparison{Old: open(old), New: open(fresh), Prefix: prefix, Distribution: distribution, Sample: sample}.Run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", arg, err)
			}
			if err := s.printer.lines(found); err != nil {
				return err
			}
			differ += len(found)
		}
		if differ > 0 {
			return &silent{codeFailed}
		}
		s.say("The publications are equal, but for dates, digests and signatures.")
		return nil
	})
	c.Flags().StringVar(&old, "old", "", "address or folder of the old tree")
	c.Flags().StringVar(&fresh, "new", "", "address or folder of the new tree")
	c.Flags().IntVar(&sample, "sample", 0, "package files whose size is compared; 0 is all")
	return c
}
