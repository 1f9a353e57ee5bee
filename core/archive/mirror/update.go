package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"aptless/core/archive/source"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// CheckUpdate makes the task that updates a mirror.
func (s *Store) CheckUpdate(ctx context.Context, name string, args UpdateArgs) (task.Spec, error) {
	m, err := s.ByName(ctx, name)
	if errors.Is(err, driver.ErrNotFound) {
		return task.Spec{}, task.Fail(404, "%w", err)
	}
	if err != nil {
		return task.Spec{}, err
	}
	args.UUID, args.Was = m.UUID, name
	if args.Name == "" {
		args.Name = name
	}
	if args.Name != name {
		if err := s.Rows().CheckName(args.Name); err != nil {
			return task.Spec{}, err
		}
		if err := s.Rows().Free(ctx, args.Name); err != nil {
			return task.Spec{}, renameError(err)
		}
	}
	if _, err := s.keyring(ctx, args.Keyrings, args.IgnoreSignatures); err != nil {
		return task.Spec{}, verifierError(400, err)
	}
	return task.Spec{Kind: "mirror.update", Name: "Update mirror " + args.Name, Resources: []string{source.Mirror.Resource(m.UUID)},
		Locks: []lock.Want{s.Rows().Lock(m.UUID, lock.Exclusive)}, Args: args}, nil
}

// renameError gives *named.Taken the text of aptly's API.
func renameError(err error) error {
	if taken := (*named.Taken)(nil); errors.As(err, &taken) {
		return task.Fail(409, "unable to rename: mirror %s already exists", taken.Name)
	}
	return err
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	m, err := s.read(ctx, a, args.UUID, args.Was, updateError+": %w")
	if err != nil {
		return task.Result{}, err
	}
	ring, err := s.keyring(ctx, args.Keyrings, args.IgnoreSignatures)
	if err != nil {
		return task.Result{}, err
	}
	own, err := s.secret(ctx, m)
	if err != nil {
		return task.Result{}, err
	}
	u := &update{Store: s, attempt: a, args: args, mirror: m, access: own.accessOrNil(), trust: upstream.Trust{Ring: ring, Now: s.Now()}}
	u.fingerprint = u.fingerprintOf(m.Settings, ring)
	if _, err := a.Cursor(&u.cursor); err != nil {
		return task.Result{}, err
	}
	if u.cursor.Now.Fingerprint != u.fingerprint { // the update begins, or the mirror was edited since the checkpoint
		if done, err := u.begin(ctx); err != nil || done {
			return task.Result{Code: 204}, err
		}
	}
	if !u.cursor.Fetched {
		a.Phase("files")
		if err := u.fetch(ctx, u.moved); err != nil {
			return task.Result{}, err
		}
	}
	if err := u.finish(ctx); err != nil {
		return task.Result{}, err
	}
	return u.report(), nil
}

// fingerprintOf returns a digest of everything that decides which packages are
// taken.
func (u *update) fingerprintOf(s Settings, ring *pgp.Keyring) string {
	var keys []byte
	if ring != nil {
		keys = ring.Binary()
	}
	follow := u.Dependencies
	follow.Report = nil
	data, err := json.Marshal([]any{s, keys, ring != nil, u.args.IgnoreChecksums, u.args.LatestOnly,
		follow.FollowRecommends, follow.FollowSuggests, follow.FollowSource, follow.FollowAllVariants})
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// release fetches the Release file and begins a new cursor. It returns nil if the
// file is the one in seen.
func (u *update) release(ctx context.Context, seen upstream.Seen) (*upstream.Release, error) {
	if u.mirror.NoRelease {
		if u.trust.Ring != nil {
			return nil, failure(ctx, errNoRelease)
		}
		u.cursor = cursor{Now: state{Fingerprint: u.fingerprint}, Readings: u.cursor.Readings}
		return upstream.NoRelease(), nil
	}
	last := u.mirror.Last
	release, now, err := u.mirror.archive().FetchRelease(ctx, u.loggingAsker(), u.trust, seen)
	if err != nil {
		return nil, failure(ctx, err)
	}
	u.cursor = cursor{Now: state{Fingerprint: u.fingerprint, Seen: now, Date: last.Date, ValidUntil: last.ValidUntil, Texts: last.Texts}, Readings: u.cursor.Readings}
	checked := release
	if release == nil {
		_, bad := upstream.ParseDate("Valid-Until", u.mirror.Meta)
		checked = &upstream.Release{Date: last.Date, ValidUntil: last.ValidUntil, BadValidUntil: bad, Fields: u.mirror.Meta}
	} else {
		u.cursor.Now.ValidUntil = release.ValidUntil
		if !release.Date.IsZero() { // without a date, the last known date is kept for the next check
			u.cursor.Now.Date = release.Date
		}
	}
	if u.trust.Ring != nil && !u.args.IgnoreValidUntil {
		if err := checked.CheckTime(u.Now(), last.Date); err != nil {
			return nil, failure(ctx, err)
		}
	}
	return release, nil
}

// maxReadings bounds how often the indexes are read because the archive changes
// during the reading. Files that are missing afterwards allow as many readings again.
const maxReadings = 3

// moved reports whether the archive has a newer Release than the one whose files are
// fetched. It is asked when files are missing. The update then begins again, so that
// its packages are those of one Release. Example: a worker dies while it fetches foo 1.
// When the next one goes on, foo 2 has taken its place.
func (u *update) moved(ctx context.Context) (bool, error) {
	if u.mirror.NoRelease || u.cursor.Readings+1 >= maxReadings {
		return false, nil
	}
	release, _, err := u.mirror.archive().FetchRelease(ctx, u.loggingAsker(), u.trust, u.cursor.Now.Seen)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil || release == nil || !release.Date.IsZero() && !release.Date.After(u.cursor.Now.Date) {
		return false, nil // without a newer Release the files stay missing
	}
	u.attempt.Printf("The archive has changed, and lacks files of its former Release: its indexes are read again...\n")
	return true, u.attempt.Save(ctx, cursor{Readings: u.cursor.Readings + 1})
}

// begin fetches the Release file and the indexes, and saves the first checkpoint.
// It returns done if the archive has not changed since the last update.
func (u *update) begin(ctx context.Context) (done bool, err error) {
	u.attempt.Phase("Release")
	before := u.mirror
	seen := upstream.Seen{}
	if before.Updated() && before.Last.Fingerprint == u.fingerprint && !before.Last.Incomplete {
		seen = before.Last.Seen
	}
	release, err := u.release(ctx, seen)
	if err != nil {
		return false, err
	}
	if release == nil {
		u.attempt.Detail(progress{})
		return true, u.commit(ctx, before)
	}
	for edition := 1; ; edition++ {
		u.mirror = before
		if err := u.mirror.applyRelease(release); err != nil {
			return false, fail(500, updateError, err)
		}
		u.attempt.Phase("indexes")
		err := u.stage(ctx, release)
		if err == nil {
			break
		}
		if edition == maxReadings || !errors.Is(err, upstream.ErrMismatch) && !upstream.Missing(err) {
			return false, err
		}
		newer, newerErr := u.release(ctx, u.cursor.Now.Seen)
		if newerErr != nil || newer == nil { // Release is the same, so the archive contradicts itself
			return false, err
		}
		release = newer
	}
	m := u.mirror
	if err := u.rename(ctx, &m); err != nil {
		return false, err
	}
	m.Updating = u.attempt.ID()
	if err := u.Rows().Save(u.attempt, &m); err != nil {
		return false, fail(500, updateError, err)
	}
	// applyRelease may have set components and architectures. The fingerprint of
	// later attempts includes them.
	u.fingerprint = u.fingerprintOf(m.Settings, u.trust.Ring)
	u.cursor.Now.Fingerprint = u.fingerprint
	u.mirror = m
	u.attempt.Detail(u.cursor.Detail)
	return false, u.attempt.Save(ctx, u.cursor)
}

// rename gives the mirror the name in the request.
func (u *update) rename(ctx context.Context, m *Mirror) error {
	if u.args.Name == u.args.Was || u.args.Name == m.Name {
		return nil
	}
	return renameError(u.Rows().Rename(ctx, u.attempt, m, u.args.Name))
}

// commit writes the row of an updated mirror.
func (u *update) commit(ctx context.Context, m Mirror) error {
	if err := u.rename(ctx, &m); err != nil {
		return err
	}
	m.Last, m.LastDownloadDate, m.Updating = u.cursor.Now, u.Now().UTC(), 0
	return fail(500, updateError, u.Rows().Save(u.attempt, &m))
}

// finish completes the new list and commits it.
func (u *update) finish(ctx context.Context) error {
	u.attempt.Phase("list")
	m, err := u.read(ctx, u.attempt, u.args.UUID, u.args.Was, updateError+": %w")
	if err != nil {
		return err
	}
	if u.fingerprintOf(m.Settings, u.trust.Ring) != u.fingerprint {
		// An edit came between two attempts. The files fetched so far stay in the
		// pool; the plan starts again.
		if err := u.attempt.Save(ctx, cursor{}); err != nil {
			return err
		}
		return task.ErrContinue
	}
	if m.List, err = u.completeList(ctx, m); err != nil {
		return err
	}
	if m.AppStreamFiles, err = u.appStream(ctx); err != nil {
		return err
	}
	u.cursor.Now.Incomplete, u.cursor.Now.Texts = u.cursor.Partial.incomplete(), textsRef{}
	if u.cursor.Texts != (lists.Ref{}) && !u.cursor.Now.Incomplete { // else the list lacks packages of the texts
		u.cursor.Now.Texts = textsRef{u.cursor.Texts, m.List.Digest, textsForm}
	}
	shown := u.cursor.Detail
	shown.Partial = u.cursor.Partial
	u.attempt.Detail(shown)
	return u.commit(ctx, m)
}

// report writes the missing and damaged packages to output, warnings and detail.
// It returns the result of the task.
func (u *update) report() task.Result {
	p := u.cursor.Partial
	for _, line := range p.Damaged {
		u.attempt.Printf("@y[!]@| @!damaged, taken as listed: %s@|\n", line)
	}
	if p.DamagedPackages > 0 {
		u.attempt.Warn("%d packages are as listed and cannot be unpacked, the first is %s", p.DamagedPackages, p.Damaged[0])
	}
	if !p.Partial {
		return task.Result{Code: 204}
	}
	for _, list := range [][]string{p.Reasons, p.Missing} {
		for _, line := range list {
			u.attempt.Printf("@y[!]@| @!missing: %s@|\n", line)
		}
	}
	if shown := len(p.Reasons) + len(p.Missing); shown < p.MissingFiles+p.MissingPackages {
		u.attempt.Printf("@y[!]@| @!and %d more@|\n", p.MissingFiles+p.MissingPackages-shown)
	}
	u.attempt.Warn("the update is partial: %s", p.summary())
	return task.Result{Code: 200, Value: p}
}
