package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is the number of the image's user and group.
const user = 65532

// imagePath returns the path of the archive with the OCI layout.
func (r *release) imagePath() string {
	return filepath.Join(r.out, "aptless-"+r.version+".oci.tar")
}

// image makes the container image for all architectures.
func (r *release) image(context.Context) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range r.archs {
		img, err := r.imageFor(arch)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	dir, err := os.MkdirTemp("", "aptless-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	f, err := os.Create(r.imagePath())
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tarFolder(f, r.date, dir); err != nil {
		return err
	}
	return f.Close()
}

// imageFor returns the image for an architecture: one layer and its settings.
func (r *release) imageFor(arch string) (v1.Image, error) {
	program, err := os.ReadFile(r.program(arch))
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(r.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	if err := writeTar(&content, r.date, imageFiles(program, licence)); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "aptless"}})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, r.settings(img, arch))
}

// imageFiles are the files of the image.
func imageFiles(program, licence []byte) []entry {
	return []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\naptless:x:65532:\n")},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/sbin/nologin\naptless:x:65532:65532:aptless:/var/lib/aptless:/sbin/nologin\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: authorities()},
		{name: "tmp/", mode: 0o1777},
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/aptless", mode: 0o755, data: program},
		{name: "usr/share/", mode: 0o755},
		{name: "usr/share/doc/", mode: 0o755},
		{name: "usr/share/doc/aptless/", mode: 0o755},
		{name: "usr/share/doc/aptless/LICENSE", mode: 0o644, data: licence},
		{name: "var/", mode: 0o755},
		{name: "var/lib/", mode: 0o755},
		{name: "var/lib/aptless/", mode: 0o750, owner: user},
	}
}

// authorities are the certificates of the authorities that browsers trust, as PEM.
// Authorities with a limit of time are left out: PEM cannot say it.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // a form that this version of Go does not know verifies nothing
		}
		fmt.Fprintf(&b, "# %s\n", cert.Subject)
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return b.Bytes()
}

// settings are the settings of the image. The server asks for tokens: every host may reach a
// published port. TLS is of a proxy in front.
func (r *release) settings(img v1.Image, arch string) *v1.ConfigFile {
	config, err := img.ConfigFile()
	if err != nil {
		config = new(v1.ConfigFile)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created, config.Author = "linux", arch, v1.Time{Time: r.date}, "aptless"
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", user, user), WorkingDir: "/var/lib/aptless",
		Entrypoint:   []string{"/usr/bin/aptless"},
		Cmd:          []string{"serve", "--listen", "0.0.0.0:8080", "--data", "/var/lib/aptless", "--auth", "--plain-http", "--log-json"},
		Env:          []string{"PATH=/usr/bin", "HOME=/var/lib/aptless"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Volumes:      map[string]struct{}{"/var/lib/aptless": {}},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/usr/bin/aptless", "healthcheck"}, Interval: 30 * time.Second, Timeout: 6 * time.Second, Retries: 3},
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "aptless",
			"org.opencontainers.image.description": "Debian package repositories with aptly's REST API",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.licenses":    "MIT",
			"org.opencontainers.image.created":     r.date.Format(time.RFC3339),
		},
	}
	config.History = slices.Clone(config.History)
	return config
}
