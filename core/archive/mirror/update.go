package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/archive/source"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// UpdateArgs are the arguments of an update.
type UpdateArgs struct {
	UUID, Was        string // set by CheckUpdate; Was is the name it was addressed by
	Name             string // that it gets; "" leaves it
	Keyrings         []string
	IgnoreSignatures *bool
	IgnoreChecksums  bool  // take files that are not as the indexes say
	IgnoreValidUntil bool  // take Release files that have expired, or are older than the last
	LatestOnly       bool  // keep the highest version of each name and architecture
	Strict           *bool // fail if anything cannot be taken; nil is what the mirror says
}

const updateError = "unable to update"

// CheckUpdate makes the task that brings a mirror up to date.
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
	if _, err := s.ring(ctx, args.Keyrings, args.IgnoreSignatures); err != nil {
		return task.Spec{}, verifierError(400, err)
	}
	return task.Spec{Kind: "mirror.update", Name: "Update mirror " + args.Name, Resources: []string{source.Mirror.Resource(m.UUID)},
		Locks: []lock.Want{s.Rows().Lock(m.UUID, lock.Exclusive)}, Args: args}, nil
}

// renameError gives *named.Taken the text that clients know.
func renameError(err error) error {
	if taken := (*named.Taken)(nil); errors.As(err, &taken) {
		return task.Fail(409, "unable to rename: mirror %s already exists", taken.Name)
	}
	return err
}

// cursor is the checkpoint of an update.
type cursor struct {
	Now        state             // what will be remembered if it succeeds; its Fingerprint says for what settings all this was found
	Staged     lists.Ref         // the packages that the mirror is to have, with the digests that are known before the files are
	Queue      lists.Ref         // the files that are to be fetched
	After      []byte            // the key in Queue up to which they were
	Mismatches []mismatchObjects `json:"Odd,omitempty"` // objects with the files that differ from their index
	Failed     []string          // why files could not be fetched
	More       int               // files that could not either
	Partial    Partial           // what the archive does not have as it says

	Fetched bool // all that can be
	Detail  progress
}

// progress is what clients see of an update.
type progress struct {
	TotalDownloadSize         int64
	RemainingDownloadSize     int64
	TotalNumberOfPackages     int
	RemainingNumberOfPackages int
	Partial                   // what was not taken, as far as is known
}

// update is an attempt at an update.
type update struct {
	*Store
	attempt     *task.Attempt
	args        UpdateArgs
	mirror      Mirror           // as read when the attempt began
	access      *upstream.Access // of its archive
	trust       upstream.Trust
	fingerprint string
	at          cursor
	probed      bool // the pool had no file of the queue when this attempt began
}

func (s *Store) update(ctx context.Context, a *task.Attempt, args UpdateArgs) (task.Result, error) {
	m, err := s.read(ctx, a, args.UUID, args.Was, updateError+": %w")
	if err != nil {
		return task.Result{}, err
	}
	ring, err := s.ring(ctx, args.Keyrings, args.IgnoreSignatures)
	if err != nil {
		return task.Result{}, err
	}
	own, err := s.secret(ctx, m)
	if err != nil {
		return task.Result{}, err
	}
	u := &update{Store: s, attempt: a, args: args, mirror: m, access: own.shown(), trust: upstream.Trust{Ring: ring, Now: s.Now()}}
	u.fingerprint = u.fingerprintOf(m.Settings, ring)
	if _, err := a.Cursor(&u.at); err != nil {
		return task.Result{}, err
	}
	if u.at.Now.Fingerprint != u.fingerprint { // it begins, or the mirror was edited meanwhile
		if done, err := u.begin(ctx); err != nil || done {
			return task.Result{Code: 204}, err
		}
	}
	if !u.at.Fetched {
		if err := u.fetch(ctx); err != nil {
			return task.Result{}, err
		}
	}
	if err := u.finish(ctx); err != nil {
		return task.Result{}, err
	}
	return u.report(), nil
}

// fingerprintOf returns a digest of all that decides what is taken of an archive.
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
		panic(err) // texts and switches
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// failure ends the task with an error of the archive, and the attempt with one
// that only says that the attempt is over.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return task.Fail(500, updateError+": %w", err)
}

// asker returns what fetches and says so in the task's output.
func (u *update) asker() upstream.Asker {
	return u.Store.asker(u.access, func(line string) { u.attempt.Printf("%s\n", line) })
}

// release fetches the Release file, and notes what is to be remembered of it. It
// is nil if it is the one that was seen.
func (u *update) release(ctx context.Context, seen upstream.Seen) (*upstream.Release, error) {
	if u.mirror.NoRelease {
		if u.trust.Ring != nil {
			return nil, failure(ctx, errNoRelease)
		}
		u.at = cursor{Now: state{Fingerprint: u.fingerprint}}
		return upstream.NoRelease(), nil
	}
	last := u.mirror.Last
	release, now, err := u.mirror.archive().FetchRelease(ctx, u.asker(), u.trust, seen)
	if err != nil {
		return nil, failure(ctx, err)
	}
	u.at = cursor{Now: state{Fingerprint: u.fingerprint, Seen: now, Date: last.Date, ValidUntil: last.ValidUntil}}
	checked := release
	if release == nil {
		_, bad := upstream.ParseDate("Valid-Until", u.mirror.Meta)
		checked = &upstream.Release{Date: last.Date, ValidUntil: last.ValidUntil, BadValidUntil: bad, Fields: u.mirror.Meta}
	} else {
		u.at.Now.ValidUntil = release.ValidUntil
		if !release.Date.IsZero() { // a file without a date does not end the check of those after it
			u.at.Now.Date = release.Date
		}
	}
	if u.trust.Ring != nil && !u.args.IgnoreValidUntil {
		if err := checked.CheckTime(u.Now(), last.Date); err != nil {
			return nil, failure(ctx, err)
		}
	}
	return release, nil
}

// maxEditions is how often the indexes are read anew because the archive has
// changed while they were.
const maxEditions = 3

// begin fetches the Release file and the indexes, and saves what is to be done.
// If nothing has changed since the last update it is done.
func (u *update) begin(ctx context.Context) (done bool, err error) {
	before := u.mirror
	seen := upstream.Seen{}
	if before.Updated() && before.Last.Fingerprint == u.fingerprint && !before.Last.Lacks {
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
		if err := u.mirror.adopt(release); err != nil {
			return false, fail(500, updateError, err)
		}
		err := u.stage(ctx, release)
		if err == nil {
			break
		}
		if edition == maxEditions || !errors.Is(err, upstream.ErrMismatch) && !upstream.Missing(err) {
			return false, err
		}
		newer, newerErr := u.release(ctx, u.at.Now.Seen)
		if newerErr != nil || newer == nil { // the archive is not what it says
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
	// The components and architectures of the Release file may have become the
	// mirror's: from here on they prove.
	u.fingerprint = u.fingerprintOf(m.Settings, u.trust.Ring)
	u.at.Now.Fingerprint = u.fingerprint
	u.mirror = m
	u.attempt.Detail(u.at.Detail)
	return false, u.attempt.Save(ctx, u.at)
}

// rename gives the mirror the name that was asked for.
func (u *update) rename(ctx context.Context, m *Mirror) error {
	if u.args.Name == u.args.Was || u.args.Name == m.Name {
		return nil
	}
	return renameError(u.Rows().Rename(ctx, u.attempt, m, u.args.Name))
}

// commit writes the row of a mirror that is up to date.
func (u *update) commit(ctx context.Context, m Mirror) error {
	if err := u.rename(ctx, &m); err != nil {
		return err
	}
	m.Last, m.LastDownloadDate, m.Updating = u.at.Now, u.Now().UTC(), 0
	return fail(500, updateError, u.Rows().Save(u.attempt, &m))
}

// finish moves the mirror to its new list.
func (u *update) finish(ctx context.Context) error {
	m, err := u.read(ctx, u.attempt, u.args.UUID, u.args.Was, updateError+": %w")
	if err != nil {
		return err
	}
	if u.fingerprintOf(m.Settings, u.trust.Ring) != u.fingerprint {
		// It was edited while no attempt was alive: what was fetched is in the
		// pool, what was found does not count.
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
	u.at.Now.Lacks = u.at.Partial.lacks()
	shown := u.at.Detail
	shown.Partial = u.at.Partial
	u.attempt.Detail(shown)
	return u.commit(ctx, m)
}

// The cursor is saved every saveEvery, or after saveAfter files, so that a worker
// that keeps being killed still makes progress.
const (
	saveEvery = 5 * time.Second
	saveAfter = 100
)

// After maxFailures failed files in a row no further file is tried. maxFailures is
// also how many of them are named. maxFailure bounds an error's text, in characters.
const (
	maxFailures = 50
	maxFailure  = 300
)

func clip(text string) string {
	if len(text) > maxFailure {
		return fmt.Sprintf("%.*s…", maxFailure, text)
	}
	return text
}
