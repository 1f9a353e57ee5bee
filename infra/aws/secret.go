package aws

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Secret reads a secret of Secrets Manager by its name or ARN. "file:" with a path is a
// file, for deployments without Secrets Manager.
func (d *Drivers) Secret(ctx context.Context, id string) ([]byte, error) {
	if path, ok := strings.CutPrefix(id, "file:"); ok {
		return os.ReadFile(path)
	}
	out, err := secretsmanager.NewFromConfig(d.sdk).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", id, err)
	}
	if out.SecretString != nil {
		return []byte(aws.ToString(out.SecretString)), nil
	}
	return out.SecretBinary, nil
}
