package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// noSigner begins the errors of requests that cannot be signed.
const noSigner = "unable to initialize GPG signer"

// signer returns what signs a publication: all keys of the server, or those that
// the request names. It is nil if nothing is to be signed.
func (s *Store) signer(how Signing) (pgp.Signer, error) {
	if how.SkipSigning {
		return nil, nil
	}
	if s.Signer == nil {
		return nil, task.Fail(500, "%s: %w", noSigner, pgp.ErrNoDefaultKey)
	}
	if strings.Trim(how.Keys, ", ") == "" {
		return s.Signer, nil
	}
	chooser, ok := s.Signer.(pgp.Chooser)
	if !ok {
		return nil, task.Fail(500, "%s: %w %s", noSigner, pgp.ErrNoSuchKey, how.Keys)
	}
	signer, err := chooser.Choose(how.Keys)
	if err != nil {
		return nil, task.Fail(500, "%s: %w", noSigner, err)
	}
	return signer, nil
}

// checkSigner refuses to begin a publication with keys that some apt in use
// refuses.
func (s *Store) checkSigner(how Signing) error {
	signer, err := s.signer(how)
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

// maxAhead is how far the date of a Release may lie ahead of the clock.
const maxAhead = time.Minute

// nextDate returns the date of a Release that follows one of a date: now, but
// at least a second later, since apt takes an equal second for "not modified". It
// refuses a date that lies ahead of the clock, as after a publication that was
// made while the clock was wrong: apt refuses it, too. reset lets the date go back.
func (s *Store) nextDate(last time.Time, reset bool) (time.Time, error) {
	now := s.Now().UTC().Truncate(time.Second)
	next := last.Add(time.Second)
	switch {
	case !now.Before(next):
		return now, nil
	case next.Sub(now) <= maxAhead:
		return next, nil
	case reset:
		return now, nil
	}
	return next, task.Fail(500, "the last Release has the date %s, which lies ahead of the clock: correct the clock, or update with ResetDate to let the date go back",
		last.UTC().Format(time.RFC1123))
}

// shownDate returns the date that the Release of a manifest shows.
func (s *Store) shownDate(m *tree.Manifest) time.Time {
	if s.SourceDate.IsZero() {
		return m.Date
	}
	return s.SourceDate
}

// signedAt returns the time of signatures: the date that the Release shows. It is not
// ahead of the clock, as that date may be, and not before each key was made: readers may
// refuse such signatures.
func (s *Store) signedAt(m *tree.Manifest, signer pgp.Signer) time.Time {
	at := s.shownDate(m)
	if now := s.Now().UTC().Truncate(time.Second); s.SourceDate.IsZero() && now.Before(at) {
		at = now
	}
	for _, k := range signer.PublicKeys() {
		if made := k.Created(); at.Before(made) && !s.SourceDate.IsZero() {
			at = made
		}
	}
	return at
}

// sign stages, for each name of the publication, its Release and, unless the
// signer is nil, the signatures of it.
func (s *Store) sign(ctx context.Context, st *index.Stager, m *tree.Manifest, signer pgp.Signer) error {
	for _, name := range m.Names(st.Dist.Name) {
		folder := m.ReleaseFolder(st.Dist, name)
		text := st.Header.Release(st.Dist, name, index.Dates{Shown: s.shownDate(m), Made: m.Date}, m.ListedIn(st.Dist, name))
		if err := st.Put(ctx, folder+"/Release", text); err != nil {
			return err
		}
		if signer == nil {
			continue
		}
		if err := s.signRelease(ctx, st, signer, folder, text, s.signedAt(m, signer)); err != nil {
			return err
		}
	}
	return nil
}

// signRelease stages Release.gpg and InRelease.
func (s *Store) signRelease(ctx context.Context, st *index.Stager, signer pgp.Signer, folder string, text []byte, at time.Time) error {
	var detached, clear bytes.Buffer
	if err := signer.DetachSign(ctx, &detached, text, at); err != nil {
		return unsigned(fmt.Errorf("unable to detached sign file: %w", err))
	}
	if err := signer.Clearsign(ctx, &clear, text, at); err != nil {
		return unsigned(fmt.Errorf("unable to clearsign file: %w", err))
	}
	if err := st.Put(ctx, folder+"/Release.gpg", detached.Bytes()); err != nil {
		return err
	}
	return st.Put(ctx, folder+"/InRelease", clear.Bytes())
}

// unsigned makes an error final if the key is to blame. Other errors, of a
// signer that is reached over a network, may pass.
func unsigned(err error) error {
	if slices.ContainsFunc([]error{pgp.ErrExpired, pgp.ErrRevoked, pgp.ErrNotSigning, pgp.ErrLocked, pgp.ErrNoSecret, pgp.ErrTooLarge},
		func(reason error) bool { return errors.Is(err, reason) }) {
		return &task.Error{Code: 500, Err: err}
	}
	return err
}
