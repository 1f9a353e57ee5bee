package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"aptless/core/client"
	"aptless/functions/move"
	"aptless/infra/embedded"
)

// Files of a data folder beside the storage.
const (
	keyFile    = "signing-key.asc"
	formatFile = "format"
)

// backup has the flags of the command backup.
type backup struct {
	data     string
	keep     int
	withKeys bool
}

func (s *session) backupCommand() *cobra.Command {
	var b backup
	c := s.leaf("backup DIR", "Copy the data folder of a server on this machine, while it runs", count{1, 1}, func(ctx context.Context, args []string) error {
		return s.backup(ctx, args[0], b)
	})
	c.Long = `Copy the data folder of aptless serve to a new folder below DIR, as it is at one moment. The server goes on.
A file that the last backup has is linked, so a further backup takes the space of the changes.
A backup has the secrets of mirrors and the digests of tokens. Without --with-keys it has no signing key.
For a server that does not run give --data.`
	c.Flags().StringVar(&b.data, "data", "", "data folder of a server that does not run")
	c.Flags().IntVar(&b.keep, "keep", 0, "number of backups that stay; 0 is all")
	c.Flags().BoolVar(&b.withKeys, "with-keys", false, "with the signing key")
	return c
}

func (s *session) backup(ctx context.Context, dir string, b backup) (err error) {
	frozen, end, err := s.freeze(ctx, b.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if _, err := os.Stat(frozen.Path); errors.Is(err, fs.ErrNotExist) {
		return usagef("%s is not on this machine: run the command on the machine of the server", frozen.Path)
	} else if err != nil {
		return err
	}
	further := map[string]string{}
	names := []string{formatFile}
	if b.withKeys {
		names = append(names, keyFile)
	}
	for _, name := range names {
		path := filepath.Join(frozen.Data, name)
		if _, err := os.Stat(path); err == nil {
			further[name] = path
		} else if name == keyFile {
			return err
		}
	}
	done, err := move.MakeBackup(ctx, frozen.Path, dir, b.keep, further, s.env.Now())
	if err != nil {
		return err
	}
	if s.opts.json {
		return s.value(done)
	}
	s.say("%s: %d files (%s), of which %d are new (%s)", filepath.Join(dir, done.Name), done.Files, bytesText(done.Bytes), done.Fresh, bytesText(done.Read))
	for _, name := range done.Removed {
		s.say("removed: %s", filepath.Join(dir, name))
	}
	if !b.withKeys {
		s.note("the backup has no signing key: keep %s elsewhere, or give --with-keys", filepath.Join(frozen.Data, keyFile))
	}
	return nil
}

// freeze makes a copy of the data folder: by the server, or of the folder data. end
// removes it.
func (s *session) freeze(ctx context.Context, data string) (client.Frozen, func() error, error) {
	if data == "" {
		c, err := s.connect()
		if err != nil {
			return client.Frozen{}, nil, err
		}
		a, err := client.Send(ctx, c, client.FreezeData())
		return a.Value, func() error {
			_, err := client.Send(context.WithoutCancel(ctx), c, client.ThawData(a.Value.ID))
			return err
		}, err
	}
	if _, err := os.Stat(filepath.Join(data, "table.db")); err != nil {
		return client.Frozen{}, nil, usagef("%v", err)
	}
	store, err := embedded.Open(data, embedded.Options{})
	if errors.Is(err, embedded.ErrInUse) {
		return client.Frozen{}, nil, usagef("a server has %s open: give --url in place of --data", data)
	}
	if err != nil {
		return client.Frozen{}, nil, err
	}
	f, err := store.Freeze(ctx)
	if err != nil {
		return client.Frozen{}, nil, errors.Join(err, store.Close())
	}
	return client.Frozen{Path: f.Dir, Data: data}, func() error { return errors.Join(f.Close(), store.Close()) }, nil
}

func (s *session) restoreCommand() *cobra.Command {
	var data string
	c := s.leaf("restore DIR --data FOLDER", "Make a data folder of a backup", count{1, 1}, func(ctx context.Context, args []string) error {
		if data == "" {
			return usagef("--data is needed: the data folder to make")
		}
		done, err := move.RestoreBackup(ctx, args[0], data)
		if err != nil {
			return err
		}
		s.say("%s: %d files (%s) of the backup %s. Each was verified.", data, done.Files, bytesText(done.Bytes), done.Name)
		if _, err := os.Stat(filepath.Join(data, keyFile)); errors.Is(err, fs.ErrNotExist) {
			s.note("put the signing key to %s before the server starts", filepath.Join(data, keyFile))
		}
		return nil
	})
	c.Long = `Make a data folder of a backup: DIR is a folder of backups, of which the last counts, or one backup.
The data folder has to be missing or empty. Each file is compared with its digest.`
	c.Flags().StringVar(&data, "data", "", "the data folder to make")
	return c
}
