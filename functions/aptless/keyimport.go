package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/formats/pgp"
)

// maxImport bounds a file of keys, in bytes.
const maxImport = 1 << 20

func exportKeyCommand() *cobra.Command {
	var secret bool
	file := keyFile{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var data string
	cmd := &cobra.Command{
		Use:   "export [ID...]",
		Short: "Print the signing keys of a data folder",
		Long: `Print the public keys of a data folder, armoured: those of all IDs or fingerprints, or of all keys. Clients of the
server fetch the same at /key.asc. With --secret the keys have their private parts: keep them secret.
Locked keys stay locked by the passphrase of --passphrase-file.`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			file.path = filepath.Join(data, keyName)
			text, err := file.export(ids, secret)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "data", "the data folder")
	cmd.Flags().BoolVar(&secret, "secret", false, "with the private parts")
	cmd.Flags().StringVar(&file.passphraseFile, "passphrase-file", "", "file with the passphrase that locks the keys, with --secret")
	return cmd
}

// export returns the keys that the references name, as armoured blocks; without references,
// all keys of the file.
func (f keyFile) export(refs []string, secret bool) ([]byte, error) {
	var passphrase []byte
	all, err := f.parsed()
	if secret && err == nil {
		if passphrase, err = f.passphrase(); err == nil {
			all, err = f.read()
		}
	}
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, ref := range refs {
		if !slices.ContainsFunc(all, func(k *pgp.SecretKey) bool { return k.Matches(ref) }) {
			return nil, fmt.Errorf("%s has no key %q", f.path, ref)
		}
	}
	for _, k := range all {
		if len(refs) > 0 && !slices.ContainsFunc(refs, func(ref string) bool { return k.Matches(ref) }) {
			continue
		}
		block := k.Armor()
		if secret {
			if block, err = k.SecretArmor(passphrase); err != nil {
				return nil, fmt.Errorf("key %s: %w", k.Fingerprint(), err)
			}
		}
		out = append(out, block...)
	}
	return out, nil
}

func importKeyCommand() *cobra.Command {
	var id, data string
	file := keyFile{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	cmd := &cobra.Command{
		Use:   "import [FILE | --gpg ID]",
		Short: "Add a signing key to a data folder",
		Long: `Add secret keys to a data folder: those of a file, of standard input (-), or of GnuPG by --gpg. A key that is there
already changes nothing. Before the first "aptless serve", the key is the only one; later it signs beside the others.
Keys that have a passphrase need --passphrase-file, and all keys of the folder have the same. Restart the server then.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || (len(args) == 1) == (id != "") {
				return errors.New("give one file, or --gpg ID")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file.path = filepath.Join(data, keyName)
			text, err := keysFrom(cmd, args, id)
			if err != nil {
				return err
			}
			added, err := file.add(text)
			if err != nil {
				return err
			}
			for _, k := range added {
				fmt.Fprintf(cmd.OutOrStdout(), "added %s %q\n", k.Fingerprint(), k.UserIDs())
				for _, p := range pgp.Lint(k.Key, time.Now()) {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", p.Code, p.Text)
				}
			}
			if len(added) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing new")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "data", "the data folder")
	cmd.Flags().StringVar(&id, "gpg", "", "ID, fingerprint or e-mail address of a secret key of GnuPG")
	cmd.Flags().StringVar(&file.passphraseFile, "passphrase-file", "", "file with the passphrase that locks the keys")
	return cmd
}

// keysFrom returns the secret keys of a file, of standard input or of GnuPG.
func keysFrom(cmd *cobra.Command, args []string, id string) ([]byte, error) {
	if id != "" {
		return fromGPG(cmd.Context(), cmd.ErrOrStderr(), id)
	}
	in := cmd.InOrStdin()
	if args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err == nil && len(text) > maxImport {
		err = fmt.Errorf("%s has more than %d bytes", args[0], maxImport)
	}
	return text, err
}

// fromGPG has GnuPG write secret keys. Its agent asks for a passphrase, and the keys stay
// locked by it.
func fromGPG(ctx context.Context, errs io.Writer, id string) ([]byte, error) {
	gpg := exec.CommandContext(ctx, "gpg", "--armor", "--export-secret-keys", "--", id)
	gpg.Stdin, gpg.Stderr = os.Stdin, errs
	text, err := gpg.Output()
	if err != nil {
		return nil, fmt.Errorf("gpg: %w", err)
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("GnuPG has no secret key %q: gpg --list-secret-keys shows them", id)
	}
	return text, nil
}

// parsed returns the keys of the file, locked or not.
func (f keyFile) parsed() ([]*pgp.SecretKey, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	keys, err := pgp.ParseSecretKeys(data)
	if err != nil {
		err = fmt.Errorf("signing key %s: %w", f.path, err)
	}
	return keys, err
}

// add adds the keys of a text that the file does not have, and returns them. Each gets an
// armoured block, which is locked if the file has a passphrase.
func (f keyFile) add(text []byte) (added []*pgp.SecretKey, err error) {
	present, err := f.parsed()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	isNew := errors.Is(err, fs.ErrNotExist)
	passphrase, err := f.passphrase()
	if err != nil {
		return nil, err
	}
	keys, err := pgp.ParseSecretKeys(text)
	if err != nil {
		return nil, fmt.Errorf("these are no secret keys: %w", err)
	}
	var blocks []byte
	for _, k := range keys {
		if slices.ContainsFunc(append(present, added...), func(p *pgp.SecretKey) bool { return p.Fingerprint() == k.Fingerprint() }) {
			continue
		}
		open, err := k.Unlock(passphrase)
		if errors.Is(err, pgp.ErrLocked) {
			return nil, fmt.Errorf("the key %s is locked: give its passphrase by --passphrase-file", k.ID())
		}
		var block []byte
		if err == nil {
			block, err = open.SecretArmor(passphrase)
		}
		if errors.Is(err, pgp.ErrNoSecret) && len(keys) == 1 && bytes.Contains(text, []byte(endOfBlock)) { // the primary key is elsewhere, and a subkey signs
			block, err = append(bytes.TrimSpace(text), '\n'), nil
		}
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.ID(), err)
		}
		blocks, added = append(blocks, block...), append(added, open)
	}
	switch {
	case len(added) == 0:
		return nil, nil
	case isNew:
		return added, f.write(blocks)
	}
	return added, f.append(blocks)
}

// append adds armoured blocks to the file.
func (f keyFile) append(blocks []byte) error {
	old, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(old, []byte("\n")) {
		old = append(old, '\n')
	}
	return replace(f.path, append(old, blocks...))
}
