package aws

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Secret reads a secret by its place:
//
//	file:/etc/key.asc        a file
//	parameter:/stack/key     a parameter of Systems Manager, decrypted
//	name, arn:aws:…          a secret of Secrets Manager
func (d *Drivers) Secret(ctx context.Context, id string) ([]byte, error) {
	if path, ok := strings.CutPrefix(id, "file:"); ok {
		return os.ReadFile(path)
	}
	if name, ok := strings.CutPrefix(id, "parameter:"); ok {
		out, err := ssm.NewFromConfig(d.sdk).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		return []byte(aws.ToString(out.Parameter.Value)), nil
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
