package aws

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"aptless/core/engine/driver"
)

// Storage is a further bucket to publish to.
type Storage struct {
	Bucket   string
	Prefix   string // prefix of all keys: "", or text with a final slash
	Region   string // "" selects the region of the default chain
	Endpoint string // URL of a service compatible with S3; "" is AWS
	Profile  string // profile of the SDK's shared files; "" selects the default chain
	Secret   string // place of the keys, as for Drivers.Secret; "" selects the default chain
}

// storageName matches names of storages. A colon would end the name in the prefix of a
// publication. Other excluded characters would change in a URL.
var storageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// maxStorageName bounds a name in bytes, because keys of rows contain it.
const maxStorageName = 40

// maxStoragePrefix bounds a prefix in bytes. A key of S3 has at most 1024 bytes, and the
// port uses 900.
const maxStoragePrefix = 100

var errStorage = fmt.Errorf("not name=s3://bucket/prefix, with region, endpoint, profile or secret after a question mark: %w", driver.ErrInvalid)

// ParseStorages parses storages, separated by blanks:
//
//	eu=s3://bucket/prefix?region=eu-central-1
//	lab=s3://bucket?endpoint=https://s3.example.org&profile=lab
//	r2=s3://bucket?endpoint=https://s3.example.org&secret=arn:aws:secretsmanager:…
//
// A secret is JSON: {"AccessKeyId": "…", "SecretAccessKey": "…"}.
func ParseStorages(text string) (map[string]Storage, error) {
	all := map[string]Storage{}
	for _, field := range strings.Fields(text) {
		name, s, err := parseStorage(field)
		if _, twice := all[name]; err == nil && twice {
			err = fmt.Errorf("twice: %w", driver.ErrInvalid)
		}
		if err != nil {
			return nil, fmt.Errorf("storage %.100q: %w", field, err)
		}
		all[name] = s
	}
	return all, nil
}

func parseStorage(field string) (name string, s Storage, err error) {
	name, address, _ := strings.Cut(field, "=")
	u, err := url.Parse(address)
	if err != nil || !storageName.MatchString(name) || len(name) > maxStorageName || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", Storage{}, errStorage
	}
	s.Bucket = u.Host
	if s.Prefix = strings.Trim(u.Path, "/"); s.Prefix != "" {
		if err := driver.CheckKey(s.Prefix); err != nil || len(s.Prefix) > maxStoragePrefix {
			return "", Storage{}, errStorage
		}
		s.Prefix += "/"
	}
	err = s.options(u.RawQuery)
	return name, s, err
}

// options parses the options of a storage.
func (s *Storage) options(query string) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return errStorage
	}
	known := map[string]*string{"region": &s.Region, "endpoint": &s.Endpoint, "profile": &s.Profile, "secret": &s.Secret}
	for option, values := range options {
		to := known[option]
		if to == nil || len(values) != 1 {
			return errStorage
		}
		*to = values[0]
	}
	if s.Profile != "" && s.Secret != "" {
		return errStorage
	}
	return nil
}

// OpenStorages connects storages without other drivers. The map's keys are the names that
// clients use, for example "s3:eu". A service that ignores conditional writes is refused.
func OpenStorages(ctx context.Context, all map[string]Storage) (map[string]driver.Blobs, error) {
	if len(all) == 0 { // the SDK's files and variables do not matter
		return map[string]driver.Blobs{}, nil
	}
	var d Drivers
	var err error
	if d.sdk, err = load(ctx, &d.requests); err != nil {
		return nil, err
	}
	open, err := d.openStorages(ctx, all)
	for name, s := range all {
		if err == nil && s.Endpoint != "" {
			err = checkConditions(ctx, open["s3:"+name])
		}
		if err != nil {
			return nil, fmt.Errorf("storage %s: %w", name, err)
		}
	}
	return open, err
}

// checkWithin bounds the time to check a service for conditional writes.
const checkWithin = 15 * time.Second

// errUnconditional means that a service could replace a newer Release file by an older one.
var errUnconditional = errors.New("the store does not look at If-None-Match and If-Match when an object is put")

// checkConditions tries conditional writes whose conditions do not hold. An unreachable
// service passes: the next publication has to reach it anyway.
func checkConditions(ctx context.Context, b driver.Blobs) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	key := "public/condition-" + rand.Text()
	_, err := b.Put(ctx, key, strings.NewReader("1"), driver.PutOptions{})
	if err != nil {
		return nil
	}
	_, absent := b.Put(ctx, key, strings.NewReader("2"), driver.PutOptions{IfAbsent: true})
	_, match := b.Put(ctx, key, strings.NewReader("3"), driver.PutOptions{IfMatch: `"00000000000000000000000000000000"`})
	if absent == nil || match == nil {
		err = errUnconditional
	}
	return errors.Join(err, b.Delete(ctx, key))
}

// ConnectStorages connects further storages, named as in app.Config.Storages. It sends no
// request. The first write checks a service that is not AWS for conditional writes.
func (d *Drivers) ConnectStorages(ctx context.Context, all map[string]Storage) (map[string]driver.Blobs, error) {
	open, err := d.openStorages(ctx, all)
	for name, s := range all {
		if err == nil && s.Endpoint != "" {
			open["s3:"+name] = &checkedLater{Blobs: open["s3:"+name], name: name}
		}
	}
	return open, err
}

// checkedLater is a storage that is checked for conditional writes before its first write.
type checkedLater struct {
	driver.Blobs
	name string

	mu      sync.Mutex
	checked bool
}

func (c *checkedLater) check(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked {
		return nil
	}
	if err := checkConditions(ctx, c.Blobs); err != nil {
		return fmt.Errorf("storage %s: %w", c.name, err)
	}
	c.checked = true
	return nil
}

// Put implements driver.Blobs.
func (c *checkedLater) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if err := c.check(ctx); err != nil {
		return driver.Info{}, err
	}
	return c.Blobs.Put(ctx, key, r, opt)
}

// Copy implements driver.Blobs.
func (c *checkedLater) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if err := c.check(ctx); err != nil {
		return driver.Info{}, err
	}
	return c.Blobs.Copy(ctx, dst, src, opt)
}

// keys returns the credentials in a secret. It reads the secret when they are needed first.
func (d *Drivers) keys(secret string) aws.CredentialsProvider {
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		data, err := d.Secret(ctx, secret)
		if err != nil {
			return aws.Credentials{}, err
		}
		var keys struct{ AccessKeyId, SecretAccessKey string }
		if err := json.Unmarshal(data, &keys); err != nil || keys.AccessKeyId == "" || keys.SecretAccessKey == "" {
			return aws.Credentials{}, fmt.Errorf("secret %s is no JSON with AccessKeyId and SecretAccessKey: %w", secret, driver.ErrInvalid)
		}
		return aws.Credentials{AccessKeyID: keys.AccessKeyId, SecretAccessKey: keys.SecretAccessKey, Source: "secret"}, nil
	}))
}

func (d *Drivers) openStorages(ctx context.Context, all map[string]Storage) (map[string]driver.Blobs, error) {
	open := map[string]driver.Blobs{}
	for name, s := range all {
		sdk, err := load(ctx, &d.requests, config.WithSharedConfigProfile(s.Profile), func(o *config.LoadOptions) error {
			if s.Region != "" {
				o.Region = s.Region
			}
			if s.Secret != "" {
				o.Credentials = d.keys(s.Secret)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("storage %s: %w", name, err)
		}
		open["s3:"+name] = &Blobs{buckets: map[string]string{"public": s.Bucket}, under: s.Prefix,
			client: s3.NewFromConfig(sdk, func(o *s3.Options) {
				o.BaseEndpoint = endpoint(s.Endpoint)
				o.UsePathStyle = s.Endpoint != ""
			})}
	}
	return open, nil
}
