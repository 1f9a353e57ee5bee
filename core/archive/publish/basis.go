package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// basis is all on which the files of a publication depend, but for their date and the
// files of operators. Equal bases make equal files.
type basis struct {
	Form     string // index.Form
	Header   index.Header
	Suffixes []string // of compressed indexes
	Contents bool
	Layout   paths.Layout
	Aliases  []string
	Lists    map[string]basisList
	Extra    map[string]map[string]string // SHA-256 of AppStream files, by component and path
	Signed   bool
	Signers  string // see files.Signers
	Date     time.Time
}

// basisList is index.Published without the place of the list, which a collection changes.
type basisList struct {
	Digest  lists.Digest
	PoolDir string
}

// basisOf returns the digest of the basis of a publication.
func (s *Store) basisOf(p *Publication, extra map[string]map[string]string, signed bool, signers string) (string, error) {
	st := s.stager(p, "")
	b := basis{Form: fmt.Sprint(index.Form, " ", st.GzipLevel), Header: st.Header, Suffixes: st.Suffixes(!p.SkipBz2), Contents: s.withContents(p), Layout: p.PoolLayout, Aliases: p.Aliases,
		Lists: map[string]basisList{}, Extra: map[string]map[string]string{}, Signed: signed, Signers: signers, Date: s.SourceDate}
	for c, list := range p.published() {
		b.Lists[c] = basisList{list.List.Digest, list.PoolDir}
	}
	for c, files := range extra {
		if len(files) > 0 {
			b.Extra[c] = files
		}
	}
	data, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// unchanged reports whether an update would publish the files that the tree has. Its
// sources and settings are as in the row, and the Release is not due. Such an update
// writes nothing. Each component costs the read of a row, and a listing of the files of
// operators. A lost manifest or InRelease is a change.
func (s *Store) unchanged(ctx context.Context, get source.Getter, p Publication, args UpdateArgs, want map[string]Component) (bool, error) {
	if !p.settled() || p.Date.Sub(s.Now()) > maxAhead || p.ValidFor > 0 && !s.Now().Before(p.due()) {
		return false, nil
	}
	if args.ResetDate || args.Signing != (Signing{p.Unsigned, p.Keys}) || len(p.Left) > 0 && !args.SkipCleanup {
		return false, nil
	}
	next := p
	next.Settings = args.Options.apply(p.Settings)
	if same, err := equalJSON(p.Settings, next.Settings); !same {
		return false, err
	}
	if same, err := s.sameBasis(ctx, get, p, args, want); !same {
		return false, err
	}
	releases := p.Dist().Releases(p.Distribution)
	release := releases[0] // InRelease
	if p.Unsigned {
		release = releases[len(releases)-1]
	}
	for _, key := range []string{p.Manifest, release} {
		if _, err := s.Blobs.Stat(ctx, key); errors.Is(err, driver.ErrNotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	skeleton, err := s.files().SkeletonState(ctx, p.Dist(), p.components())
	return skeleton == p.Skeleton, err
}

// settled reports whether the tree has the committed manifest and nothing is staged.
func (p *Publication) settled() bool {
	return p.Applied && !p.Dropping && p.Basis != "" && p.Settings.Staged == nil
}

// sameBasis reports whether the components that are wanted are those of the row, and
// have the basis of the row.
func (s *Store) sameBasis(ctx context.Context, get source.Getter, p Publication, args UpdateArgs, want map[string]Component) (bool, error) {
	if len(want) != len(p.Components) {
		return false, nil
	}
	next, extra := p, map[string]map[string]string{}
	next.Components = map[string]Component{}
	for _, c := range p.components() {
		has := p.Components[c]
		src, err := s.Sources.ByUUID(ctx, get, p.Kind.of(), want[c].UUID, want[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			return false, nil // which is refused
		}
		if err != nil || src.UUID != has.UUID || src.Name != has.Name {
			return false, err
		}
		next.Components[c], extra[c] = Component{src.UUID, src.Name, src.List}, src.Files
	}
	signer, err := s.signer(args.Signing)
	if err != nil {
		return false, err
	}
	now, err := s.basisOf(&next, extra, signer != nil, files.Signers(signer))
	return now == p.Basis, err
}

// equalJSON reports whether two values have one form in a row.
func equalJSON(a, b any) (bool, error) {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return string(x) == string(y), errors.Join(errX, errY)
}

// upToDate is the answer to an update that would change nothing. An earlier attempt may
// have staged a change that has been taken back since. Its objects and their row are
// removed.
func (s *Store) upToDate(ctx context.Context, a *task.Attempt, p Publication) (task.Result, error) {
	if a.Token() > 1 {
		if err := s.undo(ctx, a, p.Name); err != nil {
			return task.Result{}, err
		}
	}
	a.Printf("Nothing has changed since the publication of %s.\n", p.Date.UTC().Format(time.RFC1123))
	v, err := s.view(ctx, p)
	return task.Result{Code: 200, Value: v}, err
}
