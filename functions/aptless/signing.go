package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"aptless/core/formats/pgp"
)

// keyName is the name of the file with the signing keys in the data folder.
const keyName = "signing-key.asc"

// newKey describes a signing key to be made.
type newKey struct {
	name, email string
	kind        pgp.Algorithm
}

// defaultKey is the key of a first start. aptly's documentation uses RSA, and every apt
// verifies it.
var defaultKey = newKey{"aptless", "aptless@localhost", pgp.RSA4096}

// keyFile is the file with the signing keys, and the optional file with their passphrase.
type keyFile struct {
	path, passphraseFile string
	log                  *slog.Logger
}

// passphrase returns the first line of the passphrase file.
func (f keyFile) passphrase() ([]byte, error) {
	if f.passphraseFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(f.passphraseFile)
	if err != nil {
		return nil, fmt.Errorf("passphrase: %v", err) // %v hides fs.ErrNotExist, which means a missing key to callers
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return nil, fmt.Errorf("passphrase: the first line of %s is empty", f.passphraseFile)
	}
	f.secretFile(f.passphraseFile)
	return line, nil
}

// read returns the unlocked keys. The error is fs.ErrNotExist if there is no key file.
func (f keyFile) read() ([]*pgp.SecretKey, error) {
	passphrase, err := f.passphrase()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	f.secretFile(f.path)
	keys, err := pgp.ParseSecretKeys(data)
	if err != nil {
		if public, notPublic := pgp.ParseKeys(data); notPublic == nil {
			id := public[0].ID()
			return nil, fmt.Errorf("%s has a public key, and signing needs the secret one: gpg --armor --export-secret-keys %s", f.path, id)
		}
		return nil, fmt.Errorf("signing key %s: %w", f.path, err)
	}
	for i, k := range keys {
		keys[i], err = k.Unlock(passphrase)
		switch {
		case errors.Is(err, pgp.ErrLocked):
			return nil, fmt.Errorf("the signing key %s in %s is locked: give its passphrase by --passphrase-file", k.ID(), f.path)
		case errors.Is(err, pgp.ErrPassphrase):
			return nil, fmt.Errorf("the signing key %s in %s is not unlocked by the passphrase in %s", k.ID(), f.path, f.passphraseFile)
		case err != nil:
			return nil, fmt.Errorf("signing key %s: %w", f.path, err)
		}
	}
	return keys, nil
}

// secretFile warns if every user of the machine can read the file.
func (f keyFile) secretFile(path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		f.log.Warn("every user of this machine can read a secret: chmod 600 "+path, "file", path, "mode", info.Mode().Perm().String())
	}
}

// make makes a key and writes it to the file, which must not exist.
func (f keyFile) make(ctx context.Context, want newKey) ([]*pgp.SecretKey, error) {
	passphrase, err := f.passphrase()
	if err != nil {
		return nil, err
	}
	key, err := pgp.Generate(want.name, want.email, want.kind, time.Now())
	if err != nil {
		return nil, err
	}
	secret, err := key.SecretArmor(passphrase)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err // the signal to stop arrived meanwhile
	}
	if err := f.write(secret); err != nil {
		return nil, err
	}
	return []*pgp.SecretKey{key}, nil
}

// write writes a secret to the file, which must not exist. The file appears with its
// whole content: a crash leaves at most the file with the suffix .new.
func (f keyFile) write(secret []byte) error {
	temp, err := writeNew(f.path, secret, func(*os.File) error { return nil })
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, f.path); err != nil { // unlike a rename, a link never replaces a key
		return err
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
