package localstack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"aptless/core/formats/pgp"
	"aptless/infra/aws"
	"aptless/localstack/host"
	"aptless/localstack/services"
)

// Options are the settings of Start.
type Options struct {
	Template string // path of template.yaml
	Code     string // folder of the programs: the output of "make functions"
	Data     string // folder of the signing key; Start makes a missing key
	Edge     string // path of infra/edge
	Address  string // URL of the published tree
	Queues   string // prefix of the names of queues

	// Lease and Every are for tests that need a dead worker to be noticed within seconds.
	// Lease is the lease of an attempt, Every the time between ticks. 0 selects the deployed
	// value.
	Lease, Every time.Duration

	Timeout       time.Duration // timeout of workers; 0 is the deployed value
	Answer        time.Duration // timeout of the other functions; 0 is the deployed value
	AllowUpstream string        // APTLESS_ALLOW_UPSTREAM: servers that are not public

	// Values are further parameters of the template, for example Authorizer. Users are the
	// holders of AWS credentials, for Authorizer=IAM.
	Values map[string]string
	Users  map[string]host.User

	// MayBeDenied declares that the functions' roles lack rights, in a test of that.
	MayBeDenied bool

	// KeysLater leaves the OpenPGP keys out, until PutKeys.
	KeysLater bool

	Functions io.Writer // receives the output of the functions
	Log       *slog.Logger
}

// Aptless is the deployed aptless on one machine.
type Aptless struct {
	Stack  *host.Stack
	API    http.Handler // the API, as API Gateway serves it
	Public http.Handler // the published tree, as CloudFront serves it, without caches

	distribution *host.Distribution
	keys         host.Keys
	silence      func() // ends the events of S3
}

// Stop ends all processes.
func (a *Aptless) Stop() {
	if a.silence != nil {
		a.silence()
	}
	a.Stack.Stop()
	if a.distribution != nil {
		a.distribution.Stop()
	}
}

// Start creates table, buckets and queues, and runs the functions of the template. The
// caller stops the stack, also after an error.
func Start(ctx context.Context, local *services.Local, d *aws.Drivers, o Options) (*Aptless, error) {
	a := &Aptless{Stack: &host.Stack{}}
	if err := d.Create(ctx, o.Queues); err != nil {
		return a, err
	}
	if err := makeKey(o.Data); err != nil {
		return a, err
	}
	env := credentials(local.Env())
	if o.Lease > 0 {
		env = append(env, "APTLESS_LEASE="+o.Lease.String())
	}
	store := &host.KeyValues{}
	values := map[string]string{
		"Table": local.Config.Table, "PrivateBucket": local.Config.PrivateBucket, "PublicBucket": local.Config.PublicBucket, "DropBucket": local.Config.DropBucket, "DropBucket.Arn": "arn:aws:s3:::" + local.Config.DropBucket,
		"AllowUpstream": o.AllowUpstream, "Address": o.Address, "EdgeKeys.Arn": host.KeyValuesARN,
		"Table.Arn":  "arn:aws:dynamodb:us-east-1:000000000000:table/" + local.Config.Table,
		"SigningKey": secretARN + "signing-key", "PublicKey": secretARN + "public-key",
	}
	maps.Copy(values, o.Values)
	if !o.KeysLater {
		if err := a.PutKeys(o.Data); err != nil {
			return a, err
		}
	}
	stack, err := host.Start(ctx, host.Options{
		Template: o.Template, Code: o.Code, Env: env, Queues: o.Queues, SQS: local.SQS(),
		Values:   values,
		Services: host.Services{DynamoDB: local.Config.DynamoDBURL, S3: local.Config.S3URL, SQS: local.Config.SQSURL, Edge: store, Keys: &a.keys},
		Every:    o.Every, Timeout: o.Timeout, Answer: o.Answer, Functions: o.Functions, Log: o.Log,
	})
	a.Stack = stack
	if err != nil {
		return a, err
	}
	a.silence = local.OnCreated(func(bucket, key string) { stack.Created(bucket, key) })
	f := stack.Function("ApiFunction")
	if f == nil {
		return a, errors.New("the template has no ApiFunction")
	}
	gateway := host.Gateway{Function: f}
	if stack.Signed {
		gateway.Users = map[string]host.User{}
		maps.Copy(gateway.Users, o.Users)
	}
	a.API = gateway
	if a.distribution, err = host.NewDistribution(stack.Template, o.Edge, o.Data); err != nil {
		return a, err
	}
	a.distribution.Blobs, a.distribution.API, a.distribution.Log = d.Blobs, gateway, o.Log
	a.distribution.Values = store
	a.Public = a.distribution
	return a, nil
}

// secretARN begins the ARNs of secrets.
const secretARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"

// PutKeys puts the keys of the folder data where an operator puts them: into parameters and
// into secrets.
func (a *Aptless) PutKeys(data string) error {
	for file, name := range map[string]string{secretKey: "signing-key", publicKey: "public-key"} {
		armor, err := os.ReadFile(filepath.Join(data, file))
		if err != nil {
			return err
		}
		a.keys.Set("/aptless/"+name, string(armor))
		a.keys.Set(secretARN+name, string(armor))
	}
	return nil
}

// AdminToken makes a token that may do everything, as an operator does with "aws lambda
// invoke". Its name is new: other tests may have made tokens in the table.
func (a *Aptless) AdminToken(ctx context.Context) (string, error) {
	call := fmt.Sprintf(`{"aptless":"create-admin-token","Name":"admin-%d"}`, time.Now().UnixNano())
	out, err := a.Stack.Function("ApiFunction").Invoke(ctx, []byte(call))
	if err != nil {
		return "", err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(out, &made); err != nil || made.Token == "" {
		return "", fmt.Errorf("no token in the answer of the function: %w", err)
	}
	return made.Token, nil
}

// credentials removes the names of resources from an environment. They are the template's.
func credentials(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "APTLESS_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// Names of the files of the signing key.
const (
	secretKey = "signing-key.asc"
	publicKey = "public-key.asc"
)

// makeKey makes a signing key unless there is one.
func makeKey(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, secretKey)); err == nil || !os.IsNotExist(err) {
		return err
	}
	key, err := pgp.Generate("aptless", "aptless@localhost", pgp.Ed25519, time.Now())
	if err != nil {
		return err
	}
	secret, err := key.SecretArmor(nil)
	if err != nil {
		return err
	}
	// The secret key is written last: if it exists, the public key exists too.
	for _, f := range []struct {
		name string
		data []byte
	}{{publicKey, key.Armor()}, {secretKey, secret}} {
		if err := os.WriteFile(filepath.Join(dir, f.name), bytes.TrimSpace(f.data), 0o600); err != nil {
			return fmt.Errorf("signing key: %w", err)
		}
	}
	return nil
}
