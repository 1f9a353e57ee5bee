package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aptless/core/formats/pgp"
	"aptless/infra/aws"
)

// newSigner returns a signer with all keys that signing names, separated by blanks: names
// of secrets, and ARNs of KMS keys. public names the secret with the public keys; it must
// contain the public key of each KMS key. If signing is "", the signer has only the
// public keys.
func newSigner(ctx context.Context, d *aws.Drivers, signing, public string) (pgp.Signer, error) {
	ids := strings.Fields(signing)
	if len(ids) == 0 {
		data, err := d.Secret(ctx, public)
		if err != nil {
			return nil, err
		}
		return pgp.PublicOnly(data)
	}
	var keys []*pgp.SecretKey
	for _, id := range ids {
		if aws.IsKMS(id) {
			k, err := kmsKey(ctx, d, id, public)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
			continue
		}
		data, err := d.Secret(ctx, id)
		if err != nil {
			return nil, err
		}
		found, err := pgp.ParseSecretKeys(data)
		if err != nil {
			return nil, fmt.Errorf("secret %s: %w", id, err)
		}
		keys = append(keys, found...)
	}
	return pgp.NewSigner(keys...)
}

// kmsKey returns a signing key of KMS, joined with its OpenPGP public key.
func kmsKey(ctx context.Context, d *aws.Drivers, id, public string) (*pgp.SecretKey, error) {
	data, err := d.Secret(ctx, public)
	if err != nil {
		return nil, err
	}
	certs, err := pgp.ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", public, err)
	}
	signer, err := d.KMS(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, cert := range certs {
		k, err := cert.WithSigner(signer)
		if err == nil {
			return k, nil
		}
		if !errors.Is(err, pgp.ErrNoSecret) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no public key in secret %s belongs to %s: %w", public, id, pgp.ErrNoSecret)
}
