package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/formats/pgp"
	"aptless/infra/aws"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make the keys that sign publications"}
	cmd.AddCommand(kmsKeyCommand())
	return cmd
}

func kmsKeyCommand() *cobra.Command {
	var name, email, created string
	cmd := &cobra.Command{
		Use:   "kms ID",
		Short: "Print the OpenPGP public key of a signing key that stays in AWS KMS",
		Long: `Print the OpenPGP public key of a key that stays in AWS KMS: its ARN, or "kms:" and an ID or alias.
The key is for signing: RSA_3072, RSA_4096 or ECC_NIST_P256. Its fingerprint depends on the key and on
the time of creation only. Region and credentials are those of the AWS SDK; the rights
kms:GetPublicKey and kms:Sign are needed.`,
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
	cmd.Flags().StringVar(&name, "name", "", "name of whoever signs")
	cmd.Flags().StringVar(&email, "email", "", "e-mail address")
	cmd.Flags().StringVar(&created, "created", "2026-01-01T00:00:00Z", "time of creation")
	return cmd
}
