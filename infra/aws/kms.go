package aws

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// kmsPrefix is the prefix of KMS key IDs that are no ARNs.
const kmsPrefix = "kms:"

// IsKMS reports whether an ID names a key of KMS instead of a secret.
func IsKMS(id string) bool {
	a, err := arn.Parse(id)
	return strings.HasPrefix(id, kmsPrefix) || err == nil && a.Service == "kms"
}

// KMSKey is a crypto.Signer whose private key stays in KMS.
type KMSKey struct {
	client *kms.Client
	id     string
	public crypto.PublicKey
}

// OpenKMS is Drivers.KMS without other drivers. Region and credentials come from the AWS
// SDK's default chain.
func OpenKMS(ctx context.Context, id string) (*KMSKey, error) {
	sdk, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return openKMS(ctx, sdk, id)
}

// KMS returns a signing key of KMS: RSA, or ECDSA over P-256. It requests the public key.
// The key's usage is SIGN_VERIFY. id is its ARN, or "kms:" with an ID or alias. The caller
// needs the rights kms:GetPublicKey and kms:Sign.
func (d *Drivers) KMS(ctx context.Context, id string) (*KMSKey, error) {
	return openKMS(ctx, d.sdk, id)
}

func openKMS(ctx context.Context, sdk aws.Config, id string) (*KMSKey, error) {
	s := &KMSKey{client: kms.NewFromConfig(sdk), id: strings.TrimPrefix(id, kmsPrefix)}
	out, err := s.client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &s.id})
	if err != nil {
		return nil, fmt.Errorf("key %s of KMS: %w", s.id, err)
	}
	if out.KeyUsage != types.KeyUsageTypeSignVerify {
		return nil, fmt.Errorf("key %s of KMS is for %s: %w", s.id, out.KeyUsage, errUsage)
	}
	if s.public, err = x509.ParsePKIXPublicKey(out.PublicKey); err != nil {
		return nil, fmt.Errorf("key %s of KMS: %w", s.id, err)
	}
	return s, nil
}

// Public returns the public key.
func (s *KMSKey) Public() crypto.PublicKey { return s.public }

// Sign implements crypto.Signer. It always fails; callers use SignContext.
func (s *KMSKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.SignContext(context.Background(), digest, opts)
}

// SignContext signs a digest in KMS.
func (s *KMSKey) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := s.algorithm(opts)
	if err != nil {
		return nil, err
	}
	out, err := s.client.Sign(ctx, &kms.SignInput{KeyId: &s.id, Message: digest, MessageType: types.MessageTypeDigest, SigningAlgorithm: algorithm})
	if err != nil {
		return nil, fmt.Errorf("key %s of KMS: %w", s.id, err)
	}
	return out.Signature, nil
}

// errUsage means that the key's usage is not SIGN_VERIFY.
var errUsage = errors.New("not for SIGN_VERIFY")

// errAlgorithm means that KMS has no algorithm for a signature.
var errAlgorithm = errors.New("kind of signature is not supported by KMS")

// algorithm returns KMS's name of a signing algorithm.
func (s *KMSKey) algorithm(opts crypto.SignerOpts) (types.SigningAlgorithmSpec, error) {
	var names map[crypto.Hash]types.SigningAlgorithmSpec
	switch s.public.(type) {
	case *rsa.PublicKey:
		names = map[crypto.Hash]types.SigningAlgorithmSpec{
			crypto.SHA256: types.SigningAlgorithmSpecRsassaPkcs1V15Sha256,
			crypto.SHA384: types.SigningAlgorithmSpecRsassaPkcs1V15Sha384,
			crypto.SHA512: types.SigningAlgorithmSpecRsassaPkcs1V15Sha512,
		}
		if _, pss := opts.(*rsa.PSSOptions); pss {
			names = nil
		}
	case *ecdsa.PublicKey:
		names = map[crypto.Hash]types.SigningAlgorithmSpec{crypto.SHA256: types.SigningAlgorithmSpecEcdsaSha256}
	}
	if name, ok := names[opts.HashFunc()]; ok {
		return name, nil
	}
	return "", fmt.Errorf("%T with %v: %w", s.public, opts.HashFunc(), errAlgorithm)
}
