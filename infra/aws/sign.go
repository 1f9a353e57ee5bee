package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Signer signs requests to API Gateway with AWS credentials, by Signature Version 4.
type Signer struct {
	credentials aws.CredentialsProvider
	region      string
	signer      *v4.Signer
}

// NewSigner returns a signer with the credentials of the AWS SDK's default chain.
func NewSigner(ctx context.Context) (*Signer, error) {
	sdk, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	if sdk.Credentials == nil {
		return nil, errors.New("there are no AWS credentials")
	}
	return &Signer{sdk.Credentials, sdk.Region, v4.NewSigner()}, nil
}

// In returns the signer with another region for addresses that do not tell theirs. ""
// changes nothing.
func (s *Signer) In(region string) *Signer {
	if region == "" {
		return s
	}
	return &Signer{s.credentials, region, s.signer}
}

// regionOf returns the region in the host of an API, otherwise that of the configuration.
func (s *Signer) regionOf(host string) (string, error) {
	labels := strings.Split(host, ".")
	if len(labels) > 3 && labels[1] == "execute-api" {
		return labels[2], nil
	}
	if s.region == "" {
		return "", fmt.Errorf("the region of %s is not known: set AWS_REGION", host)
	}
	return s.region, nil
}

// Sign signs a request. Its body is one that can be read again (http.Request.GetBody).
func (s *Signer) Sign(req *http.Request) error {
	region, err := s.regionOf(req.URL.Hostname())
	if err != nil {
		return err
	}
	hash := sha256.New()
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return errors.New("a body that is read once cannot be signed")
		}
		body, err := req.GetBody()
		if err != nil {
			return err
		}
		defer body.Close()
		if _, err := io.Copy(hash, body); err != nil {
			return err
		}
	}
	keys, err := s.credentials.Retrieve(req.Context())
	if err != nil {
		return fmt.Errorf("AWS credentials: %w", err)
	}
	return s.signer.SignHTTP(req.Context(), keys, req, hex.EncodeToString(hash.Sum(nil)), "execute-api", region, time.Now())
}
