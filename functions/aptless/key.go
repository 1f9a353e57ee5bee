package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/formats/pgp"
	"aptless/infra/aws"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Signing keys of a server, and the keys that it trusts"}
	cmd.AddCommand(newKeyCommand(), exportKeyCommand(), importKeyCommand(), kmsKeyCommand())
	return cmd
}

// kinds are the values of --type.
var kinds = map[string]pgp.Algorithm{"rsa4096": pgp.RSA4096, "rsa3072": pgp.RSA3072, "ed25519": pgp.Ed25519}

func newKeyCommand() *cobra.Command {
	var data, kind string
	want, file := defaultKey, keyFile{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	cmd := &cobra.Command{
		Use:     "generate",
		Aliases: []string{"new"},
		Short:   "Make a signing key in a data folder that has none",
		Long: `Make a signing key in a data folder that has none, as the first "aptless serve" does. Use it for a server
whose key is lost. Then start the server, update each publication (PUT /api/publish/…), and give the public
key to every client: /key.asc and /aptless.sources have it. The command prints the public key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var ok bool
			if want.kind, ok = kinds[kind]; !ok {
				return fmt.Errorf("--type %s: expected rsa4096, rsa3072 or ed25519", kind)
			}
			file.path = filepath.Join(data, keyName)
			keys, err := file.make(cmd.Context(), want)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already: it is not replaced", file.path)
			}
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(keys[0].Armor())
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "data", "the data folder")
	cmd.Flags().StringVar(&kind, "type", "rsa4096", "rsa4096, rsa3072 or ed25519")
	cmd.Flags().StringVar(&want.name, "name", want.name, "name of the user ID")
	cmd.Flags().StringVar(&want.email, "email", want.email, "e-mail address of the user ID")
	cmd.Flags().StringVar(&file.passphraseFile, "passphrase-file", "", "file with the passphrase that locks the key")
	return cmd
}

func kmsKeyCommand() *cobra.Command {
	var name, email, created string
	cmd := &cobra.Command{
		Use:   "kms ID",
		Short: "Print the OpenPGP public key of a signing key in AWS KMS",
		Long: `Print the OpenPGP public key of a signing key in AWS KMS. ID is an ARN, or "kms:" with an ID or alias.
The key's type is RSA_3072, RSA_4096 or ECC_NIST_P256. The fingerprint depends only on the key and on
the time of creation. The AWS SDK's configuration selects region and credentials. The command needs
the rights kms:GetPublicKey and kms:Sign.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := time.Parse(time.RFC3339, created)
			if err != nil {
				return fmt.Errorf("time of creation: %w", err)
			}
			if name == "" || email == "" {
				return errors.New("a key needs a name and an e-mail address")
			}
			signer, err := aws.OpenKMS(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			k, err := pgp.FromCryptoSigner(cmd.Context(), signer, name, email, at)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(k.Armor())
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the user ID")
	cmd.Flags().StringVar(&email, "email", "", "e-mail address of the user ID")
	cmd.Flags().StringVar(&created, "created", "2026-01-01T00:00:00Z", "time of creation")
	return cmd
}
