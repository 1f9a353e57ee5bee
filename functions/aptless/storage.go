package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/infra/aws"
	"aptless/infra/embedded"
)

// server holds the open folders, buckets and keys of serve.
type server struct {
	log      *slog.Logger
	data     *folder
	folders  []*folder // in the order of their opening
	storages map[string]driver.Blobs
	keys     keyFile
	signer   pgp.Signer
	mode     *mode
	admin    string // path of the file with the first admin token; "" without
}

// open opens the folders and buckets. It reads the signing key, or makes it at the first
// start. If it fails, it removes the folders that it has made.
func open(ctx context.Context, opt settings, sockets listeners, log *slog.Logger) (_ *server, err error) {
	s := &server{log: log, keys: keyFile{path: filepath.Join(opt.data, keyName), passphraseFile: opt.passphraseFile, log: log}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.discard())
			s.close()
		}
	}()
	secret, missing, err := s.readKeys(opt.data)
	if err != nil {
		return nil, err
	}
	buckets, err := aws.ParseStorages(strings.Join(opt.buckets, " "))
	if err != nil {
		return nil, err
	}
	if s.storages, err = aws.OpenStorages(ctx, buckets); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(opt.storages)) {
		f, err := s.open(opt.storages[name], 0o755, embedded.Options{Fatal: func(err error) { fatal(log, err) }, Torn: torn(log)})
		if err != nil {
			return nil, fmt.Errorf("storage %s: %w", name, err)
		}
		s.storages["filesystem:"+name] = f.Blobs
	}
	if s.data, err = s.open(opt.data, 0o750, embeddedOptions(opt, log)); err != nil {
		return nil, err
	}
	if s.mode, err = opt.access.decide(ctx, s.data.Table, sockets.reached(), log); err != nil {
		return nil, err
	}
	if missing {
		if secret, err = s.firstKey(ctx); err != nil {
			return nil, err
		}
	}
	if s.mode.Closed && s.mode.Environment == "" {
		if s.admin, err = firstAdmin(ctx, s.data.Table, opt.data, log); err != nil {
			return nil, err
		}
	}
	if s.signer, err = pgp.NewSigner(secret...); err != nil {
		return nil, err
	}
	return s, markFormat(opt.data)
}

// readKeys reads the signing keys of a data folder that this program may open. missing
// reports that there is no file of keys.
func (s *server) readKeys(data string) (secret []*pgp.SecretKey, missing bool, err error) {
	if err := checkFormat(data); err != nil {
		return nil, false, err
	}
	secret, err = s.keys.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	return secret, false, err
}

// firstKey makes the signing key of a new data folder.
func (s *server) firstKey(ctx context.Context) ([]*pgp.SecretKey, error) {
	if err := s.neverSigned(ctx); err != nil {
		return nil, err
	}
	s.log.Info("making a signing key", "file", s.keys.path)
	return s.keys.make(ctx, defaultKey)
}

// neverSigned refuses a data folder that has publications but no key: clients trust the
// missing key.
func (s *server) neverSigned(ctx context.Context) error {
	records, err := (&publish.Store{Table: s.data.Table}).All(ctx)
	if err != nil || len(records) == 0 {
		return err
	}
	return fmt.Errorf(`the signing key %s is missing, and there are publications that clients know by it (%d, as %s/%s).
Put the key back from a backup, and start again.
If it is lost: "aptless key generate --data %s" makes another. Then start, update each publication (PUT /api/publish/…), and give every client the new key`,
		s.keys.path, len(records), records[0].Dist().Display(), records[0].Distribution, filepath.Dir(s.keys.path))
}

// folder is an open folder. made are the folders created for it, outermost first.
type folder struct {
	*embedded.Store
	path string
	made []string
}

// open makes and opens a folder.
func (s *server) open(path string, mode os.FileMode, opt embedded.Options) (*folder, error) {
	f := &folder{path: path}
	s.folders = append(s.folders, f)
	if err := f.make(path, mode); err != nil {
		return nil, err
	}
	var err error
	f.Store, err = embedded.Open(path, opt)
	return f, err
}

// make creates a folder and its missing parents, and records them.
func (f *folder) make(path string, mode os.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", path)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if above := filepath.Dir(path); above != path {
		if err := f.make(above, mode); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process created it
	}
	if err == nil {
		f.made = append(f.made, path)
	}
	return err
}

// discard removes the folders created by this start. It removes their content only if
// this process opened the folder, because no other process has it open then.
func (s *server) discard() error {
	var all []error
	for _, f := range slices.Backward(s.folders) {
		for i, path := range slices.Backward(f.made) {
			remove := os.Remove
			if i == len(f.made)-1 && f.Store != nil {
				remove = os.RemoveAll
			}
			if err := remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
				all = append(all, err)
			}
		}
		f.made = nil
	}
	return errors.Join(all...)
}

func (s *server) close() {
	for _, f := range slices.Backward(s.folders) {
		if f.Store != nil {
			f.Close()
		}
	}
	s.folders = nil
}

// space returns the size of a folder's file system.
func space(folder string) (api.Space, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return api.Space{}, err
	}
	return api.Space{Total: s.Blocks * uint64(s.Bsize), Free: s.Bavail * uint64(s.Bsize)}, nil
}
