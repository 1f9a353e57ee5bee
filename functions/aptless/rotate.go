package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"aptless/core/formats/pgp"
	"aptless/functions/cli"
)

// signingKeys changes the file of signing keys of a data folder. It implements
// cli.SigningKeys.
type signingKeys struct{}

func (signingKeys) file(dir, passphraseFile string) keyFile {
	return keyFile{path: filepath.Join(dir, keyName), passphraseFile: passphraseFile, log: slog.New(slog.DiscardHandler)}
}

// List implements cli.SigningKeys.
func (s signingKeys) List(dir, passphraseFile string) ([]cli.LocalKey, error) {
	keys, err := s.file(dir, passphraseFile).read()
	if err != nil {
		return nil, err
	}
	var all []cli.LocalKey
	for _, k := range keys {
		all = append(all, cli.LocalKey{Fingerprint: k.Fingerprint(), Created: k.Created(), Names: k.UserIDs()})
	}
	return all, nil
}

// Add implements cli.SigningKeys.
func (s signingKeys) Add(dir, passphraseFile string, want cli.WantedKey) (cli.LocalKey, error) {
	file := s.file(dir, passphraseFile)
	kind, ok := kinds[want.Type]
	if !ok {
		return cli.LocalKey{}, fmt.Errorf("--type %s: expected rsa4096, rsa3072 or ed25519", want.Type)
	}
	passphrase, err := file.passphrase()
	if err != nil {
		return cli.LocalKey{}, err
	}
	key, err := pgp.Generate(want.Name, want.Email, kind, time.Now())
	if err != nil {
		return cli.LocalKey{}, err
	}
	secret, err := key.SecretArmor(passphrase)
	if err != nil {
		return cli.LocalKey{}, err
	}
	return cli.LocalKey{Fingerprint: key.Fingerprint(), Created: key.Created(), Names: key.UserIDs()}, file.append(secret)
}

// endOfBlock ends each armoured block of a file of keys.
const endOfBlock = "-----END PGP PRIVATE KEY BLOCK-----\n"

// Retire implements cli.SigningKeys. Each key has a block of its own in the file.
func (s signingKeys) Retire(dir, passphraseFile, fingerprint string) (kept string, err error) {
	file := s.file(dir, passphraseFile)
	data, err := os.ReadFile(file.path)
	if err != nil {
		return "", err
	}
	var stay, gone []byte
	for block := range bytes.SplitAfterSeq(data, []byte(endOfBlock)) {
		if len(bytes.TrimSpace(block)) == 0 {
			continue
		}
		keys, err := pgp.ParseSecretKeys(block)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file.path, err)
		}
		isGone := func(k *pgp.SecretKey) bool { return k.Fingerprint() == fingerprint }
		switch {
		case !slices.ContainsFunc(keys, isGone):
			stay = append(stay, block...)
		case len(keys) > 1:
			return "", fmt.Errorf("%s has several keys in one armoured block: write each into a block of its own, as gpg --armor --export-secret-keys ID does", file.path)
		default:
			gone = append(gone, block...)
		}
	}
	if len(stay) == 0 || len(gone) == 0 {
		return "", fmt.Errorf("%s has no other key besides %s", file.path, fingerprint)
	}
	kept = file.path + "." + fingerprint[len(fingerprint)-16:] + ".retired"
	if err := replaceLike(kept, file.path, gone); err != nil { // a crash after this line leaves the key in both files
		return "", err
	}
	return kept, replace(file.path, stay)
}

// replace replaces a file by another content. A crash leaves the old or the new one.
func replace(path string, data []byte) error { return replaceLike(path, path, data) }

// replaceLike writes a file with the owner and the rights of the file like.
func replaceLike(path, like string, data []byte) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	temp, err := writeNew(path, data, func(f *os.File) error {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return err
			}
		}
		return f.Chmod(info.Mode().Perm())
	})
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeNew writes data to the new file path.new, which the caller renames or links to
// path. prepare sets its owner and rights. A file of an earlier try is removed.
func writeNew(path string, data []byte, prepare func(*os.File) error) (temp string, err error) {
	temp = path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if _, err = f.Write(data); err == nil {
		err = prepare(f)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(temp)
		return "", err
	}
	return temp, nil
}
