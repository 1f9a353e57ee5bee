package pool

import (
	"context"
	"errors"
	"io"

	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Contents is the result of reading a package file.
type Contents struct {
	Control []byte
	Paths   *deb.Paths
	NoPaths string // why the paths are unreadable; "" if they are readable

	// Warnings are reasons why dpkg refuses the package, and oddities: the warnings of
	// deb.ReadBinary, and NoPaths.
	Warnings []string
}

// Reserve waits for memory to unpack a package. The caller holds the lease until the
// package's record is compressed.
func (s *Store) Reserve(ctx context.Context) (*parallel.Lease, error) {
	return s.Memory.Acquire(ctx, deb.BinaryMemory)
}

// Unpack reads a package file to its end. It grows the lease if the package needs more
// memory than most. If the paths need more memory than the budget has, or more time than
// UnpackTime, it omits them. Errors are those of deb.ReadBinary, without *deb.ContentsError.
func (s *Store) Unpack(ctx context.Context, lease *parallel.Lease, r io.Reader, name string) (Contents, error) {
	growth := deb.Growth{Most: s.Memory.Growth(), Ask: func() error { return lease.Grow(ctx) }}
	if s.UnpackTime > 0 {
		end := s.Now().Add(s.UnpackTime)
		growth.Late = func() bool { return s.Now().After(end) }
	}
	var c Contents
	var err error
	c.Control, c.Paths, err = deb.ReadBinary(r, name, growth, func(text string) { c.Warnings = append(c.Warnings, text) })
	if unreadable := (*deb.ContentsError)(nil); errors.As(err, &unreadable) {
		c.NoPaths, err = unreadable.Error(), nil
		c.Warnings = append(c.Warnings, "Contents will not have its paths: "+c.NoPaths)
	}
	return c, err
}
