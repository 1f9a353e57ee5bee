package upload

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
)

// MaxInParts bounds a file that clients put in parts, in bytes: 1 TiB.
const MaxInParts = 1 << 40

// Bounds of the parts of a file. A part is tried again as a whole, so it is small.
const (
	usualPart  = 64 << 20 // bytes
	roundParts = 1 << 20  // sizes of larger parts are multiples of it
)

// ErrParts says that parts of a file are missing or differ from the plan.
var ErrParts = errors.New("parts are missing")

// Plan is how a client cuts a file into parts.
type Plan struct {
	Size  int64         // of each part but the last, in bytes
	Count int           // of parts
	Done  []driver.Part // the parts that are in the store, ascending by number
}

// planOf returns the plan for a file of size bytes. It depends on the size only.
func planOf(size int64) Plan {
	part := max(usualPart, (size+driver.MaxParts-1)/driver.MaxParts)
	part = (part + roundParts - 1) / roundParts * roundParts
	return Plan{Size: part, Count: int(max(1, (size+part-1)/part))}
}

// part returns the size of a part by number. ErrInvalid: the plan has no such part.
func (p Plan) part(number int, size int64) (int64, error) {
	if number < 1 || number > p.Count {
		return 0, fmt.Errorf("part %d of %d: %w", number, p.Count, driver.ErrInvalid)
	}
	return min(p.Size, size-int64(number-1)*p.Size), nil
}

// BeginParts announces a file that a client puts in parts, or continues such a file of
// the same owner. The file has to be complete within 23 hours of its announcement. The
// error may be ErrForeign.
func (s *Store) BeginParts(ctx context.Context, direct driver.Direct, dir string, a Announced) (Plan, error) {
	if err := errors.Join(uploadKey(dir, a.Name).Check(), a.key(dir).Check()); err != nil {
		return Plan{}, err
	}
	if s.caller != nil {
		if err := s.claim(ctx, topOf(dir)); err != nil {
			return Plan{}, err
		}
	}
	plan := planOf(a.Size)
	n, err := s.begun(ctx, dir, a)
	if err == nil && s.Now().Sub(n.At) < announcedFor {
		plan.Done, err = direct.Parts(ctx, n.Blob, n.Parts)
		if err == nil || !errors.Is(err, driver.ErrNotFound) {
			return plan, err
		}
		_, err = s.Blobs.Stat(ctx, n.Blob) // a complete file waits for its confirmation
		if err == nil || !errors.Is(err, driver.ErrNotFound) {
			plan.Done = nil
			return plan, err
		}
	}
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return Plan{}, err
	}
	return plan, s.begin(ctx, direct, dir, a)
}

// begin begins an object and writes its announcement in place of an older one.
func (s *Store) begin(ctx context.Context, direct driver.Direct, dir string, a Announced) (err error) {
	n := announcement{Blob: pool.IncomingPrefix + rand.Text(), Size: a.Size, At: s.Now().UTC(), By: s.mark().By}
	if n.Parts, err = direct.BeginParts(ctx, n.Blob); err != nil {
		return err
	}
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	old := announcement{}
	row, err := s.Table.Get(ctx, a.key(dir))
	if err == nil {
		old, err = decodeAnnouncement(row)
	} else if errors.Is(err, driver.ErrNotFound) {
		err = nil
	}
	if err == nil {
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: a.key(dir), If: cmp.Or(old.version, driver.Absent), Data: data})
	}
	if errors.Is(err, driver.ErrConflict) { // another request has begun the same file: both use its object
		return direct.AbortParts(ctx, n.Blob, n.Parts)
	}
	if err == nil && old.Parts != "" && old.By == n.By {
		return direct.AbortParts(ctx, old.Blob, old.Parts)
	}
	return err
}

// begun returns the announcement of a file in parts. ErrNotFound: there is none, or it
// is of another size. ErrForeign: it is of another owner.
func (s *Store) begun(ctx context.Context, dir string, a Announced) (announcement, error) {
	row, err := s.Table.Get(ctx, a.key(dir))
	if err != nil {
		return announcement{}, err
	}
	n, err := decodeAnnouncement(row)
	if err != nil {
		return n, err
	}
	if sees, err := s.sees(ctx, dir, Mark{By: n.By}); err != nil || !sees {
		return n, cmp.Or(err, foreign(dir, a.Name))
	}
	if n.Parts == "" || n.Size != a.Size {
		return n, fmt.Errorf("parts of %s: %w", Path(dir, a.Name), driver.ErrNotFound)
	}
	return n, nil
}

// SignParts returns the requests by which a client puts parts. Sizes follow from the
// plan. ErrNotFound: the file is not begun. ErrInvalid: a number or digest is wrong.
func (s *Store) SignParts(ctx context.Context, direct driver.Direct, dir string, a Announced, parts []driver.Part) ([]driver.SignedPut, error) {
	n, err := s.begun(ctx, dir, a)
	if err != nil {
		return nil, err
	}
	plan, puts := planOf(a.Size), make([]driver.SignedPut, len(parts))
	for i, p := range parts {
		if p.Size, err = plan.part(p.Number, a.Size); err != nil {
			return nil, err
		}
		if puts[i], err = direct.SignPart(ctx, n.Blob, n.Parts, p, signedFor); err != nil {
			return nil, err
		}
	}
	return puts, nil
}

// ConfirmParts joins the parts of a file and confirms it, see Confirm. It reads no byte
// of it. A call that was cut off may be repeated. The error is ErrParts, with their
// numbers, if parts are missing.
func (s *Store) ConfirmParts(ctx context.Context, direct driver.Direct, dir string, a Announced) error {
	n, err := s.begun(ctx, dir, a)
	if errors.Is(err, driver.ErrNotFound) {
		return s.confirmed(ctx, dir, a)
	}
	if err != nil {
		return err
	}
	if s.Now().Sub(n.At) >= confirmFor {
		return fmt.Errorf("%s %w in time", Path(dir, a.Name), ErrNotPut)
	}
	_, err = s.Blobs.Stat(ctx, n.Blob)
	if errors.Is(err, driver.ErrNotFound) {
		err = s.join(ctx, direct, dir, a, n)
	}
	if err != nil {
		return err
	}
	return s.Confirm(ctx, dir, a)
}

// maxMissing bounds the missing parts that an error names.
const maxMissing = 20

// join completes the object of a begun file.
func (s *Store) join(ctx context.Context, direct driver.Direct, dir string, a Announced, n announcement) error {
	there, err := direct.Parts(ctx, n.Blob, n.Parts)
	if errors.Is(err, driver.ErrNotFound) {
		return nil // complete or aborted meanwhile: Confirm finds out
	}
	if err != nil {
		return err
	}
	plan, sizes := planOf(a.Size), map[int]int64{}
	for _, p := range there {
		sizes[p.Number] = p.Size
	}
	var missing []int
	for number := 1; number <= plan.Count && len(missing) < maxMissing; number++ {
		if size, err := plan.part(number, a.Size); err != nil || sizes[number] != size {
			missing = append(missing, number)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: %w: %d", Path(dir, a.Name), ErrParts, missing)
	}
	err = direct.CompleteParts(ctx, n.Blob, n.Parts, there)
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

// AbortParts removes the parts of a begun file and its announcement. A file that is not
// begun is no error.
func (s *Store) AbortParts(ctx context.Context, direct driver.Direct, dir string, a Announced) error {
	n, err := s.begun(ctx, dir, a)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// The row goes first: nothing confirms the file between the two.
	_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: a.key(dir), If: n.version})
	if errors.Is(err, driver.ErrConflict) {
		return nil // confirmed, or begun anew
	}
	if err != nil {
		return err
	}
	return errors.Join(direct.AbortParts(ctx, n.Blob, n.Parts), s.Blobs.Delete(ctx, n.Blob))
}
