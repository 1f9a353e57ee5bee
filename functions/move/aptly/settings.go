package aptly

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"aptless/core/archive/keyring"
	"aptless/core/archive/transfer"
	"aptless/core/formats/pgp"
)

// Limits of files beside the root, in bytes.
const (
	maxConfig = 1 << 20
	maxKeys   = 16 << 20 // of trusted keys
)

// Options of a conversion.
type Options struct {
	Root    string // with db and pool
	Config  string // aptly.conf, for endpoints; "" for none
	Keyring string // file of trusted keys as gpg exports them; "" for none
	Hard    bool   // hard links to package files in place of symbolic links
	Shallow bool   // compare sizes of files only, no digests
	Now     time.Time
	Say     func(phase string, done, total int) // nil for none
}

// Report is the result of a conversion.
type Report struct {
	transfer.Manifest
	Problems []string // damage: each record and file that does not move
	Notes    []string // settings that do not move, and steps to take
	// Folders are the folders of the published trees by storage: "" is that of aptly.
	Folders map[string]string
}

// settings are the options of a conversion, and its report.
type settings struct {
	Options
	report Report
}

// maxProblems bounds a report.
const maxProblems = 10_000

// problem notes damage.
func (c *settings) problem(format string, args ...any) {
	if len(c.report.Problems) < maxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

func (c *settings) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}

// config reads the endpoints of aptly.conf.
func (c *settings) config() error {
	c.report.Folders = map[string]string{"": filepath.Join(c.Root, "public")}
	if c.Config == "" {
		return nil
	}
	file, err := os.Open(c.Config)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxConfig))
	if err != nil {
		return err
	}
	var conf struct {
		FileSystemPublishEndpoints map[string]struct{ RootDir string }
		S3PublishEndpoints         map[string]struct{ Bucket, Region, Prefix string }
		SwiftPublishEndpoints      map[string]any
		AzurePublishEndpoints      map[string]any
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return fmt.Errorf("%s: %w", c.Config, err)
	}
	for _, name := range slices.Sorted(maps.Keys(conf.FileSystemPublishEndpoints)) {
		dir := conf.FileSystemPublishEndpoints[name].RootDir
		c.report.Folders["filesystem:"+name] = filepath.Join(dir, "public")
		if _, err := os.Stat(filepath.Join(dir, "public")); errors.Is(err, fs.ErrNotExist) {
			c.report.Folders["filesystem:"+name] = dir
		}
		c.note("the endpoint filesystem:%s is a --storage of the server, with a folder of its own: aptly's is %s", name, dir)
	}
	for _, name := range slices.Sorted(maps.Keys(conf.S3PublishEndpoints)) {
		c.note("the endpoint s3:%s (bucket %s, prefix %q) is a --storage of the server", name, conf.S3PublishEndpoints[name].Bucket, conf.S3PublishEndpoints[name].Prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(conf.SwiftPublishEndpoints)) {
		c.note("the endpoint swift:%s does not move: aptless has no Swift", name)
	}
	for _, name := range slices.Sorted(maps.Keys(conf.AzurePublishEndpoints)) {
		c.note("the endpoint azure:%s does not move: aptless has no Azure", name)
	}
	return nil
}

// ring reads the trusted keys.
func (c *settings) ring() ([]transfer.Object, error) {
	if c.Keyring == "" {
		return nil, nil
	}
	file, err := os.Open(c.Keyring)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxKeys))
	if err != nil {
		return nil, err
	}
	keys, err := pgp.ParseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (gpg writes such a file: gpg --no-default-keyring --keyring trustedkeys.gpg --export)", c.Keyring, err)
	}
	ring := &transfer.Ring{Name: keyring.Default}
	sorted := slices.SortedFunc(slices.Values(keys.Keys()), func(a, b *pgp.Key) int { return cmp.Compare(a.Fingerprint(), b.Fingerprint()) })
	for _, k := range sorted {
		ring.Keys = append(ring.Keys, k.Binary()...)
	}
	return []transfer.Object{{Ring: ring}}, nil
}
