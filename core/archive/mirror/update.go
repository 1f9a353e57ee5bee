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
	UUID, Was        string // set by CheckUpdate; Was is the name in the request
	Name             string // the new name; "" keeps the present one
	Keyrings         []string
	IgnoreSignatures *bool
	IgnoreChecksums  bool  // take files that differ from the indexes
	IgnoreValidUntil bool  // accept Release files that have expired, or are older than the last one
	LatestOnly       bool  // keep the highest version of each name and architecture
	Strict           *bool // fail if a file cannot be taken; nil means the mirror's setting
}

const updateError = "unable to update"

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

// cursor is the checkpoint of an update.
type cursor struct {
	Now        state             // becomes Mirror.Last on success; its Fingerprint is that of the settings used here
	Staged     lists.Ref         // the new packages, with the digests that the indexes say
	Queue      lists.Ref         // the files to fetch
	After      []byte            // the key in Queue up to which files are done
	Mismatches []mismatchObjects `json:"Odd,omitempty"` // objects that list files which differ from their index
	Failed     []string          // errors of downloads, at most maxFailures
	More       int               // the number of further errors
	Partial    Partial           // the packages and files that the archive lacks

	Fetched bool // the queue is done
	Detail  progress
}

// progress is the detail of an update's task that clients see.
type progress struct {
	TotalDownloadSize         int64
	RemainingDownloadSize     int64
	TotalNumberOfPackages     int
	RemainingNumberOfPackages int
	Partial                   // as far as is known
}

// update is one attempt at an update.
type update struct {
	*Store
	attempt     *task.Attempt
	args        UpdateArgs
	mirror      Mirror           // as read at the beginning of the attempt
	access      *upstream.Access // of its archive
	trust       upstream.Trust
	fingerprint string
	cursor      cursor
	probed      bool // this attempt made the queue, so the pool had none of its files
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
		if err := u.fetch(ctx); err != nil {
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

// failure turns an error of the archive into a refusal. If the attempt is over it
// returns the cause of that.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return task.Fail(500, updateError+": %w", err)
}

// loggingAsker returns an Asker that writes each request to the task's output.
func (u *update) loggingAsker() upstream.Asker {
	return u.Store.upstreamAsker(u.access, func(line string) { u.attempt.Printf("%s\n", line) })
}

// release fetches the Release file and begins a new cursor. It returns nil if the
// file is the one in seen.
func (u *update) release(ctx context.Context, seen upstream.Seen) (*upstream.Release, error) {
	if u.mirror.NoRelease {
		if u.trust.Ring != nil {
			return nil, failure(ctx, errNoRelease)
		}
		u.cursor = cursor{Now: state{Fingerprint: u.fingerprint}}
		return upstream.NoRelease(), nil
	}
	last := u.mirror.Last
	release, now, err := u.mirror.archive().FetchRelease(ctx, u.loggingAsker(), u.trust, seen)
	if err != nil {
		return nil, failure(ctx, err)
	}
	u.cursor = cursor{Now: state{Fingerprint: u.fingerprint, Seen: now, Date: last.Date, ValidUntil: last.ValidUntil}}
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
// during the reading.
const maxReadings = 3

// begin fetches the Release file and the indexes, and saves the first checkpoint.
// It returns done if the archive has not changed since the last update.
func (u *update) begin(ctx context.Context) (done bool, err error) {
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
	u.cursor.Now.Incomplete = u.cursor.Partial.incomplete()
	shown := u.cursor.Detail
	shown.Partial = u.cursor.Partial
	u.attempt.Detail(shown)
	return u.commit(ctx, m)
}

// fetch saves rows and its cursor every saveEvery, after saveAfter files, or when the
// rows have maxRowBytes. So a worker that keeps being killed still makes progress.
// It shows progress after showAfter files.
const (
	saveEvery   = 5 * time.Second
	saveAfter   = 512
	maxRowBytes = 8 << 20
	showAfter   = 64
)

// After maxFailures failed files in a row no further file is tried. At most
// maxFailures failures are named. maxFailure bounds an error's text, in bytes.
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
