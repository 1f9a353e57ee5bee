package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
	"aptless/core/engine/calendar"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// CreateArgs describe a new mirror. ArchiveRoot may be ppa:user/project. A user
// and a password in it become Credentials. A nil field means the operator's
// default.
type CreateArgs struct {
	Name string
	Settings
	Sources, IgnoreSignatures *bool
	Keyrings                  []string
	Schedule                  string // "" for none
	AccessArgs
}

const createError = "unable to create mirror"

// Create creates a mirror of an archive whose Release file it fetches.
func (s *Store) Create(ctx context.Context, args CreateArgs) (Mirror, error) {
	m := Mirror{UUID: named.NewUUID(), Name: args.Name, Settings: args.Settings}
	if err := s.Rows().CheckName(args.Name); err != nil {
		return Mirror{}, err
	}
	if upstream.IsPPA(m.ArchiveRoot) {
		var err error
		if m.ArchiveRoot, m.Distribution, m.Components, err = s.Options.PPA.Expand(m.ArchiveRoot); err != nil {
			return Mirror{}, task.Fail(400, "%w", err)
		}
	}
	if m.DownloadSources = s.Options.DownloadSources; args.Sources != nil {
		m.DownloadSources = *args.Sources
	}
	if len(m.Architectures) == 0 {
		m.Architectures = slices.Clone(s.Options.Architectures)
	}
	err := m.normalise()
	var own secret
	if err == nil {
		err = own.change(&m, m.ArchiveRoot, args.AccessArgs)
	}
	if err == nil {
		err = m.setSchedule(args.Schedule, args.Keyrings, args.IgnoreSignatures)
	}
	if err != nil {
		return Mirror{}, task.Fail(400, createError+": %w", err)
	}
	if err := s.Rows().Free(ctx, m.Name); err != nil {
		return Mirror{}, taken(err)
	}
	ring, err := s.keyring(ctx, args.Keyrings, args.IgnoreSignatures)
	if err != nil {
		return Mirror{}, verifierError(400, err)
	}
	if err := s.fetchRelease(ctx, &m, own.accessOrNil(), ring); err != nil {
		return Mirror{}, fail(400, "unable to fetch mirror", err)
	}
	return s.add(ctx, m, own)
}

// add writes the rows of a new mirror.
func (s *Store) add(ctx context.Context, m Mirror, own secret) (Mirror, error) {
	ops, err := s.entryOps(m, calendar.Entry{Name: entryName(m.UUID)})
	if err == nil {
		ops = append(ops, own.ops(m)...)
		err = taken(s.Rows().Add(ctx, &m, ops...))
	}
	return m, named.Refuse[*named.TooLarge](err, 400, createError+": %w")
}

func taken(err error) error {
	return named.Refuse[*named.Taken](err, 500, "unable to add mirror: %w")
}

// normalise checks the settings. It rewrites ArchiveRoot and Distribution to the
// forms that rows have.
func (s *Settings) normalise() error {
	if _, err := parseFilter(s.Filter); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	flat := upstream.StartsFlat(s.Distribution)
	archive, err := upstream.ParseArchive(s.ArchiveRoot, s.Distribution)
	switch {
	case err != nil:
		return err
	case flat && len(s.Components) > 0:
		return upstream.ErrFlatComponents
	case s.KeepVersions < 0:
		return fmt.Errorf("KeepVersions is %d, it has to be 0 (all) or more", s.KeepVersions)
	case s.NoRelease && !flat:
		return errors.New("NoRelease is for flat repos, whose distribution ends with a slash")
	case flat && s.DownloadUdebs:
		return upstream.ErrFlatUdebs
	case flat && (s.DownloadAppStream || s.DownloadTranslations):
		return upstream.ErrFlatAppStream
	}
	s.ArchiveRoot, s.Distribution = archive.Root, archive.Distribution
	if flat {
		s.Components = nil
	}
	return nil
}

// parseFilter returns the query of a filter, nil for "".
func parseFilter(text string) (query.Query, error) {
	if text == "" {
		return nil, nil
	}
	return query.Parse(text)
}

// keyring returns the keys that may sign Release files. It returns nil if
// signatures are not checked.
func (s *Store) keyring(ctx context.Context, names []string, ignore *bool) (*pgp.Keyring, error) {
	off := s.Options.IgnoreSignatures
	if ignore != nil {
		off = *ignore
	}
	if off {
		return nil, nil
	}
	return s.Keyring(ctx, names)
}

func verifierError(code int, err error) error {
	return task.Fail(code, "unable to initialize GPG verifier: %w", err)
}

// upstreamAsker returns an Asker that fetches from the archive with the given
// access. A Store without a Fetcher refuses each request.
func (s *Store) upstreamAsker(access *upstream.Access, say func(string)) upstream.Asker {
	if s.Fetcher == nil {
		return upstream.Asker{Fetcher: noFetcher{}, Say: say}
	}
	return upstream.Asker{Fetcher: s.Fetcher, Access: access, Say: say}
}

// noFetcher is the Fetcher of a process without network access.
type noFetcher struct{}

func (noFetcher) Fetch(_ context.Context, r upstream.Request) (*upstream.Answer, error) {
	return nil, fmt.Errorf("%s: %w", upstream.Shown(r.URL), upstream.ErrForbidden)
}

// releaseTimeout bounds the wait of a request for the Release file. API Gateway
// gives up after 29 seconds.
const releaseTimeout = 25 * time.Second

// fetchRelease fetches the Release file of a mirror that is created or edited,
// and applies it to the mirror.
func (s *Store) fetchRelease(ctx context.Context, m *Mirror, access *upstream.Access, ring *pgp.Keyring) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if m.NoRelease {
		if ring != nil {
			return refuse(errNoRelease)
		}
		return m.applyRelease(upstream.NoRelease())
	}
	release, _, err := m.archive().FetchRelease(ctx, s.upstreamAsker(access, nil), upstream.Trust{Ring: ring, Now: s.Now()}, upstream.Seen{})
	if err == nil && ring != nil {
		err = release.BadValidUntil
	}
	if err != nil {
		return refuse(err)
	}
	return m.applyRelease(release)
}

var errNoRelease = errors.New("without a Release file nothing can be verified: NoRelease needs IgnoreSignatures")

// applyRelease copies the fields of a Release file into the mirror. A mirror
// without components or architectures gets those of the file. A mirror with its
// own is refused if the file lacks one.
func (m *Mirror) applyRelease(r *upstream.Release) error {
	flat := m.archive().Flat()
	if err := m.applyComponents(r, flat); err != nil {
		return err
	}
	if err := m.applyArchitectures(r, flat); err != nil {
		return err
	}
	m.Meta = r.Fields
	if err := m.check(); err != nil {
		return refuse(err)
	}
	return nil
}

// applyComponents sets or checks the components. A flat archive has none.
func (m *Mirror) applyComponents(r *upstream.Release, flat bool) error {
	if !flat && len(m.Components) == 0 {
		if m.Components = r.DefaultComponents(); len(m.Components) == 0 {
			return refuse(errors.New("no components found, please specify"))
		}
	} else if !flat && !m.SkipComponentCheck {
		for _, c := range m.Components {
			if !r.HasComponent(c) {
				return refuse(fmt.Errorf("component %s not available in repo %s, use -force-components to override", c, m.Title()))
			}
		}
	}
	return nil
}

func (m *Mirror) applyArchitectures(r *upstream.Release, flat bool) error {
	switch {
	case len(m.Architectures) == 0 && flat:
		m.Architectures = append([]string{}, r.Architectures...)
	case len(m.Architectures) == 0:
		m.Architectures = r.DefaultArchitectures(m.Components)
	case !m.SkipArchitectureCheck:
		for _, arch := range m.Architectures {
			if !r.HasArchitecture(arch) {
				return refuse(fmt.Errorf("architecture %s not available in repo %s, use -force-architectures to override", arch, m.Title()))
			}
		}
	}
	if len(m.Architectures) == 0 && !flat { // a flat index has packages of every architecture
		return refuse(errors.New("no architectures found, please specify"))
	}
	return nil
}
