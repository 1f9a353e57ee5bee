package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// signatureName is the detached OpenPGP signature of the checksums.
const signatureName = sumsName + ".asc"

// keyVariable names the file with the secret key that signs the checksums.
const keyVariable = "APTLESS_RELEASE_KEY"

// signature signs the checksums by the key of the variable. Without one a former signature is
// removed, and the run says that the release is not signed.
func (r *release) signature(ctx context.Context) error {
	path := filepath.Join(r.out, signatureName)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if r.key == "" {
		fmt.Fprintf(os.Stderr, "WARNING: %s is NOT SIGNED: set %s to the file of a secret OpenPGP key\n", sumsName, keyVariable)
		return nil
	}
	home, err := os.MkdirTemp("", "aptless-gpg-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	gpg := []string{"--homedir", home, "--batch", "--quiet"}
	if err := command(ctx, "", "gpg", append(gpg, "--import", r.key)...).Run(); err != nil {
		return fmt.Errorf("%s: %w", keyVariable, err)
	}
	return command(ctx, "", "gpg", append(gpg, "--armor", "--detach-sign", "--output", path, filepath.Join(r.out, sumsName))...).Run()
}
