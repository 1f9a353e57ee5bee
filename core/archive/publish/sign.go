package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// noSigner begins the errors of requests that cannot be signed.
const noSigner = "unable to initialize GPG signer"

// signer returns what signs a publication: all keys of the server, or those
// that the request names. It is nil if nothing is to be signed.
func (s *Store) signer(args Args) (pgp.Signer, error) {
	if args.SkipSigning {
		return nil, nil
	}
	if s.Signer == nil {
		return nil, task.Fail(500, "%s: %w", noSigner, pgp.ErrNoDefaultKey)
	}
	if strings.Trim(args.Keys, ", ") == "" {
		return s.Signer, nil
	}
	chooser, ok := s.Signer.(pgp.Chooser)
	if !ok {
		return nil, task.Fail(500, "%s: %w %s", noSigner, pgp.ErrNoSuchKey, args.Keys)
	}
	signer, err := chooser.Choose(args.Keys)
	if err != nil {
		return nil, task.Fail(500, "%s: %w", noSigner, err)
	}
	return signer, nil
}

// checkSigner refuses to begin a publication with keys that some apt in use
// refuses.
func (s *Store) checkSigner(args Args) error {
	signer, err := s.signer(args)
	if err != nil || signer == nil {
		return err
	}
	for _, k := range signer.PublicKeys() {
		for _, p := range pgp.Lint(k, s.Now()) {
			if p.Fatal {
				return task.Fail(400, "%s: %s Sign with a key of RSA with 3072 bits or more, or of Ed25519, or publish with Signing.Skip", noSigner, p.Text)
			}
		}
	}
	return nil
}

// sign makes the Release and, unless the signer is nil, its signatures.
func (st *stager) sign(ctx context.Context, m *manifest, signer pgp.Signer, verb string) error {
	m.Date = st.store.Now().UTC().Truncate(time.Second)
	if next := st.record.Date.Add(time.Second); m.Date.Before(next) {
		m.Date = next
	}
	m.Signed = signer != nil
	for _, tree := range m.trees(st.record) {
		if err := st.signTree(ctx, m, tree, signer, verb); err != nil {
			return err
		}
	}
	return nil
}

// shownDate returns the date that a Release shows.
func (s *Store) shownDate(m *manifest) time.Time {
	if s.SourceDate.IsZero() {
		return m.Date
	}
	return s.SourceDate
}

// signedAt returns the time of signatures: the date that the Release shows, but
// not before each key was made, since no reader takes such a signature.
func (s *Store) signedAt(m *manifest, signer pgp.Signer) time.Time {
	at := s.shownDate(m)
	for _, k := range signer.PublicKeys() {
		if made := k.Created(); at.Before(made) && !s.SourceDate.IsZero() {
			at = made
		}
	}
	return at
}

// signTree is sign for the tree of one of the publication's names.
func (st *stager) signTree(ctx context.Context, m *manifest, tree string, signer pgp.Signer, verb string) error {
	r, folder := st.record, m.releaseFolder(st.record, tree)
	var files []listed
	for _, f := range r.in(tree, m.listed()) {
		files = append(files, listed{f.Path, f.object})
	}
	text := r.release(tree, st.store.shownDate(m), m.Date, files)
	if err := st.put(ctx, folder+"/Release", text); err != nil || signer == nil {
		return err
	}
	at := st.store.signedAt(m, signer)
	var detached, clear bytes.Buffer
	if err := signer.DetachSign(ctx, &detached, text, at); err != nil {
		return unsigned(verb+": unable to detached sign file", err)
	}
	if err := signer.Clearsign(ctx, &clear, text, at); err != nil {
		return unsigned(verb+": unable to clearsign file", err)
	}
	if err := st.put(ctx, folder+"/Release.gpg", detached.Bytes()); err != nil {
		return err
	}
	return st.put(ctx, folder+"/InRelease", clear.Bytes())
}

// unsigned ends the task if the key is to blame. Other errors, of a signer that
// is reached over a network, may pass.
func unsigned(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if slices.ContainsFunc([]error{pgp.ErrExpired, pgp.ErrRevoked, pgp.ErrNotSigning, pgp.ErrLocked, pgp.ErrNoSecret, pgp.ErrTooLarge},
		func(reason error) bool { return errors.Is(err, reason) }) {
		return &task.Error{Code: 500, Err: err}
	}
	return err
}
