package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"aptless/core/formats/pgp"
	"aptless/functions/move"
)

// fromApt has the flags of migrate apt.
type fromApt struct {
	move.ImportOptions
	dists            []string
	prefix, as, work string
	keyring          string
	unverified       bool
	sample           int
}

func (s *session) migrateAptCommand() *cobra.Command {
	var m fromApt
	c := s.leaf("apt URL|DIR|s3://BUCKET --dist D...", "Move an APT repository to the server: of reprepro, deb-s3, apt-ftparchive and others", count{1, 1}, func(ctx context.Context, args []string) error {
		return s.migrateApt(ctx, args[0], m)
	})
	c.Long = `Move an APT repository to the server. Each component becomes a repository, and each distribution a publication of it,
with the names and the fields of Release. The argument is the folder above dists, its address, or its bucket: s3://bucket/prefix?region=eu-central-1 for example.
Indexes are compared with Release, and package files with the indexes. Repeating the command brings what is new.`
	s.importFlags(c, &m.ImportOptions)
	c.Flags().StringSliceVar(&m.dists, "dist", nil, "distributions; a flat one ends with a slash, as ./")
	c.Flags().StringVar(&m.prefix, "prefix", ".", "prefix of the publications")
	c.Flags().StringVar(&m.as, "as", "", "name of the publication of a flat distribution")
	c.Flags().StringVar(&m.keyring, "keyring", "", "file of the keys that sign the archive")
	c.Flags().BoolVar(&m.unverified, "unverified", false, "do not verify the signature of Release")
	c.Flags().StringVar(&m.work, "work", "", "folder for the state between two runs; in the user's cache without it")
	c.Flags().IntVar(&m.sample, "sample", 200, "package files of each publication whose size is compared at the end; 0 is all")
	return c
}

// maxRing bounds a file of keys, in bytes.
const maxRing = 16 << 20

// ring reads the keys of an archive; nil if it is not verified.
func (m *fromApt) ring() (*pgp.Keyring, error) {
	if m.unverified {
		return nil, nil
	}
	if m.keyring == "" {
		return nil, fmt.Errorf("--keyring names the keys that sign the archive; --unverified takes it as it is")
	}
	f, err := os.Open(m.keyring)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRing))
	if err != nil {
		return nil, err
	}
	ring, err := pgp.ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.keyring, err)
	}
	return ring, nil
}

// archive returns the archive of the argument.
func (m *fromApt) archive(ctx context.Context, from string, bucket func(context.Context, string) (move.Tree, error)) (move.Archive, error) {
	a := move.Archive{From: strings.TrimSuffix(from, "/"), Distributions: m.dists, Prefix: strings.Trim(m.prefix, "/"), As: m.as}
	if a.Prefix == "" {
		a.Prefix = "."
	}
	if len(m.dists) == 0 {
		return a, fmt.Errorf("--dist names the distributions to move")
	}
	if strings.HasPrefix(from, "s3://") {
		if bucket == nil {
			return a, fmt.Errorf("this program reads no buckets: name the bucket's https address")
		}
		tree, err := bucket(ctx, from)
		if err != nil {
			return a, err
		}
		a.Tree = tree
	} else if strings.Contains(from, "://") {
		a.Tree = move.WebTree{URL: a.From, HTTP: http.DefaultClient}
	} else {
		full, err := filepath.Abs(from)
		if err != nil {
			return a, err
		}
		a.From, a.Tree = full, move.FolderTree(full)
	}
	var err error
	a.Ring, err = m.ring()
	return a, err
}

func (s *session) migrateApt(ctx context.Context, from string, m fromApt) error {
	a, err := m.archive(ctx, from, s.env.OpenBucket)
	if err != nil {
		return usagef("%v", err)
	}
	work, err := workFolder(m.work, a.From)
	if err != nil {
		return usagef("%v", err)
	}
	folder, err := s.folder(work)
	if err != nil {
		return usagef("%v", err)
	}
	a.Now, a.Say = s.env.Now, s.reporter.step
	manifest, problems, err := a.Convert(ctx, folder)
	if err != nil {
		return err
	}
	s.say("%s: %s, %d package files (%s). State between runs: %s", from, countsText(manifest.Counts), manifest.Files, bytesText(manifest.Bytes), work)
	for _, p := range problems {
		s.note("does not move: %s", p)
	}
	if err := s.importFolder(ctx, work, m.ImportOptions); err != nil {
		return err
	}
	differ := 0
	if !m.DryRun {
		if differ, err = s.compareArchive(ctx, a, m.sample); err != nil {
			return err
		}
	}
	if len(problems) > 0 || differ > 0 {
		return &silent{codeFailed}
	}
	return nil
}

// compareArchive compares the distributions of an archive with those of the server, and
// returns the number of differences.
func (s *session) compareArchive(ctx context.Context, a move.Archive, sample int) (int, error) {
	differ := 0
	for _, d := range a.Distributions {
		if d == "." || strings.HasSuffix(d, "/") {
			continue // the old tree has another form
		}
		fresh := move.WebTree{URL: s.client.URL + "/" + strings.TrimPrefix(a.Prefix, "."), HTTP: s.client.HTTP}
		found, err := move.Comparison{Old: a.Tree, New: fresh, Prefix: ".", Distribution: d, Sample: sample, OtherPaths: true}.Run(ctx)
		if err != nil {
			return differ, fmt.Errorf("%s: %w", d, err)
		}
		for _, diff := range found {
			s.note("%s", diff)
		}
		differ += len(found)
	}
	if differ == 0 {
		s.say("The published indexes are equal, but for dates, digests, paths and signatures.")
	}
	return differ, nil
}
