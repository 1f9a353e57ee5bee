package main

import (
	"context"
	"os"

	"aptless/core/pgp"
	"aptless/infra/aws"
)

// signer has the secret keys where they may be read, and else the public ones.
func signer(ctx context.Context, d *aws.Drivers) (pgp.Signer, error) {
	if id := os.Getenv("APTLESS_SIGNING_KEY"); id != "" {
		data, err := d.Secret(ctx, id)
		if err != nil {
			return nil, err
		}
		keys, err := pgp.ParseSecretKeys(data)
		if err != nil {
			return nil, err
		}
		return pgp.NewSigner(keys...)
	}
	data, err := d.Secret(ctx, os.Getenv("APTLESS_PUBLIC_KEY"))
	if err != nil {
		return nil, err
	}
	return pgp.PublicOnly(data)
}
