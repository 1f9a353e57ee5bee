package mirror

import (
	"context"
	"errors"
	"slices"

	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// EditArgs change a mirror. A nil field stays unchanged.
type EditArgs struct {
	Filter, ArchiveURL                                                *string
	FilterWithDeps, DownloadInstaller, DownloadSources, DownloadUdebs *bool
	DownloadTranslations, Strict                                      *bool
	KeepVersions                                                      *int
	Architectures                                                     []string
	Keyrings                                                          []string
	IgnoreSignatures                                                  *bool
	Schedule                                                          *string // "" removes it
	AccessArgs
}

const editError = "unable to edit"

// CheckEdit refuses the edit of a mirror that does not exist, or is being updated.
func (s *Store) CheckEdit(ctx context.Context, name string) error {
	m, err := s.ByName(ctx, name)
	if err != nil {
		return fail(404, editError, err)
	}
	return s.checkEditable(ctx, m)
}

func (s *Store) checkEditable(ctx context.Context, m Mirror) error {
	err := s.idle(ctx, m)
	if busy := (*ErrBusy)(nil); errors.As(err, &busy) {
		return task.Fail(409, editError+": %w", busy)
	}
	return err
}

// Edit changes a mirror in one write, conditioned on the version that it read. It
// starts again after a concurrent update, drop or edit.
func (s *Store) Edit(ctx context.Context, name string, args EditArgs) (Mirror, error) {
	m, err := s.Rows().Edit(ctx, name, func(m *Mirror) ([]driver.Op, error) {
		if err := s.checkEditable(ctx, *m); err != nil {
			return nil, err
		}
		own, err := s.secret(ctx, *m)
		if err != nil {
			return nil, err
		}
		if err := s.applyEdit(ctx, m, &own, args); err != nil {
			return nil, err
		}
		ops := own.ops(*m)
		if args.Schedule == nil {
			return ops, nil
		}
		planned, err := s.editEntry(ctx, *m)
		return append(ops, planned...), err
	})
	if refusal := (*task.Error)(nil); errors.As(err, &refusal) {
		return Mirror{}, err
	}
	err = named.Refuse[*named.TooLarge](err, 500, editError+": %w")
	return m, named.Refuse[*named.NotFound](err, 404, editError+": %w")
}

// set assigns a value unless it is nil.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// applyEdit applies the changes. It fetches the Release file if the URL or the
// architectures change.
func (s *Store) applyEdit(ctx context.Context, m *Mirror, own *secret, args EditArgs) error {
	if args.Filter != nil {
		if _, err := parseFilter(*args.Filter); err != nil {
			return task.Fail(400, editError+": %w", err)
		}
		m.Filter = *args.Filter
	}
	set(&m.FilterWithDeps, args.FilterWithDeps)
	set(&m.DownloadInstaller, args.DownloadInstaller)
	set(&m.DownloadSources, args.DownloadSources)
	set(&m.DownloadUdebs, args.DownloadUdebs)
	set(&m.DownloadTranslations, args.DownloadTranslations)
	set(&m.Strict, args.Strict)
	if args.KeepVersions != nil {
		if *args.KeepVersions < 0 {
			return task.Fail(400, editError+": KeepVersions is %d, it has to be 0 (all) or more", *args.KeepVersions)
		}
		m.KeepVersions = *args.KeepVersions
	}
	if args.Schedule != nil {
		if err := m.setSchedule(*args.Schedule, args.Keyrings, args.IgnoreSignatures); err != nil {
			return task.Fail(400, editError+": %w", err)
		}
	}
	if m.archive().Flat() && m.DownloadUdebs {
		return task.Fail(400, editError+": flat mirrors don't support udebs")
	}
	fetch, err := m.relocate(own, args)
	if err != nil {
		return err
	}
	if args.Architectures != nil {
		now := slices.Compact(slices.Sorted(slices.Values(args.Architectures)))
		if !slices.Equal(now, slices.Compact(slices.Sorted(slices.Values(m.Architectures)))) {
			m.Architectures, fetch = now, true
		}
	}
	if err := m.check(); err != nil {
		return task.Fail(400, editError+": %w", err)
	}
	if !fetch {
		return nil
	}
	ring, err := s.keyring(ctx, args.Keyrings, args.IgnoreSignatures)
	if err != nil {
		return verifierError(500, err)
	}
	return fail(500, editError, s.fetchRelease(ctx, m, own.accessOrNil(), ring))
}

// relocate applies the URL and the secrets of an edit. It reports whether the URL
// changes. New secrets alone need no new Release file, since the archive stays
// the same.
func (m *Mirror) relocate(own *secret, args EditArgs) (moved bool, err error) {
	root := m.ArchiveRoot
	if args.ArchiveURL != nil && *args.ArchiveURL != root && *args.ArchiveURL != upstream.Shown(root) {
		if root, err = upstream.ParseRoot(*args.ArchiveURL); err != nil {
			return false, task.Fail(500, editError+": %w", err)
		}
	}
	before, _, _ := upstream.SplitUser(m.ArchiveRoot)
	if err := own.change(m, root, args.AccessArgs); err != nil {
		return false, task.Fail(400, editError+": %w", err)
	}
	if moved = m.ArchiveRoot != before; moved {
		m.Last = state{}
	}
	return moved, nil
}
