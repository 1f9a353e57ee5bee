package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// Limits of Release files.
const (
	maxRelease   = 16 << 20 // bytes; Debian's have 150,000
	maxSignature = 1 << 20  // bytes of Release.gpg
	maxListed    = 100000   // listed files
)

// Release is a Release file.
type Release struct {
	Fields        map[string]string   // all fields except the lists of files
	Files         map[string]deb.File // the listed files, by path relative to Release
	Architectures []string            // ascending, without "source"; nil if the field is absent
	Components    []string            // as written, without the prefix of an archive such as "stretch/updates"
	Date          time.Time           // zero if the field is absent or unreadable
	ValidUntil    time.Time           // zero if the field is absent or unreadable
	ByHash        bool                // indexes are also served by digest (Acquire-By-Hash)

	// BadDate and BadValidUntil are the errors of unreadable fields. apt 2.6 warns
	// of the first and refuses the second.
	BadDate, BadValidUntil error

	available available // the indexes among Files
}

// ParseRelease parses a Release file of the archive's distribution.
func (a Archive) ParseRelease(text []byte) (*Release, error) {
	p, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		return nil, err
	}
	r := &Release{Fields: map[string]string{}, Files: map[string]deb.File{}}
	for _, f := range p {
		if pick := digestOf(f.Name); pick != nil {
			if err := r.list(f.Value, pick); err != nil {
				return nil, err
			}
			continue
		}
		r.Fields[f.Name] = f.Value
	}
	if archs, ok := r.Fields["Architectures"]; ok {
		r.Architectures = strings.Fields(archs)
		slices.Sort(r.Architectures)
		r.Architectures = slices.DeleteFunc(r.Architectures, func(arch string) bool { return arch == deb.SourceArch })
	}
	if !a.Flat() {
		r.Components = strings.Fields(r.Fields["Components"])
		if strings.Contains(a.Distribution, "/") {
			prefix := path.Base(a.Distribution) + "/"
			for i, c := range r.Components {
				r.Components[i] = strings.TrimPrefix(c, prefix)
			}
		}
	}
	r.Date, r.BadDate = ParseDate("Date", r.Fields)
	r.ValidUntil, r.BadValidUntil = ParseDate("Valid-Until", r.Fields)
	r.available = availableIn(r.Files)
	r.ByHash = r.Fields["Acquire-By-Hash"] == "yes"
	return r, nil
}

// NoRelease stands for the Release file of an archive without one. It has no
// fields and lists no files.
func NoRelease() *Release { return &Release{Fields: map[string]string{}} }

// digestOf returns a selector of the digest that a field of Release lists, nil
// for other fields.
func digestOf(field string) func(*deb.File) *string {
	switch field {
	case "MD5Sum":
		return func(f *deb.File) *string { return &f.MD5 }
	case "SHA1":
		return func(f *deb.File) *string { return &f.SHA1 }
	case "SHA256":
		return func(f *deb.File) *string { return &f.SHA256 }
	case "SHA512":
		return func(f *deb.File) *string { return &f.SHA512 }
	}
	return nil
}

// list parses the lines of a list of files.
func (r *Release) list(lines string, digest func(*deb.File) *string) error {
	for line := range strings.SplitSeq(lines, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return fmt.Errorf("unparseable hash sum line: %.300q", line)
		}
		size, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("unable to parse size: %.300q", words[1])
		}
		name := words[2]
		f, known := r.Files[name]
		if known && f.Size != size {
			return fmt.Errorf("unable to parse size: %s is listed with %d and with %d bytes", name, f.Size, size)
		}
		if f.Name, f.Size = name, size; !known && len(r.Files) == maxListed {
			return fmt.Errorf("more than %d files in Release: %w", maxListed, ErrTooLarge)
		}
		*digest(&f) = strings.ToLower(words[0])
		r.Files[name] = f
	}
	return nil
}

// Find returns the listed file with the longest name that path ends with.
func (r *Release) Find(path string) (deb.File, bool) {
	for rest := path; ; {
		if f, ok := r.Files[rest]; ok {
			return f, true
		}
		var more bool
		if _, rest, more = strings.Cut(rest, "/"); !more {
			return deb.File{}, false
		}
	}
}

// Below returns the files that Release lists below a directory, by path.
func (r *Release) Below(dir string) []deb.File {
	var found []deb.File
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		if strings.HasPrefix(name, dir) {
			found = append(found, r.Files[name])
		}
	}
	return found
}

// Seen identifies a Release file that was fetched before.
type Seen struct {
	Name           string `json:",omitempty"` // InRelease or Release; "" for none
	ETag, Modified string `json:",omitempty"`
	SHA256         string `json:",omitempty"` // of the file as served
}

// Trust says how Release files are verified.
type Trust struct {
	Ring *pgp.Keyring // nil skips signatures
	Now  time.Time    // time at which keys must be valid; zero skips the check, as gpgv does
}

// Asker is the client side of requests to an archive.
type Asker struct {
	Fetcher Fetcher
	Access  *Access           // of the archive; nil if it needs none
	Say     func(line string) // gets a line per request; may be nil
}

func (k Asker) say(format string, args ...any) {
	if k.Say != nil {
		k.Say(fmt.Sprintf(format, args...))
	}
}

// get fetches a small file.
func (k Asker) get(ctx context.Context, address string, seen Seen, limit int64) ([]byte, *Answer, error) {
	k.say("Downloading: %s", Shown(address))
	answer, err := k.Fetcher.Fetch(ctx, Request{URL: address, Access: k.Access, ETag: seen.ETag, Modified: seen.Modified, Limit: limit})
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", Shown(address), err)
	}
	return data, answer, nil
}

// FetchRelease fetches and verifies the Release file. It returns nil if the file
// is the one in seen; it then costs one request.
func (a Archive) FetchRelease(ctx context.Context, k Asker, trust Trust, seen Seen) (*Release, Seen, error) {
	fetch := a.fetchUnsigned
	if trust.Ring != nil {
		fetch = func(ctx context.Context, k Asker, seen Seen) ([]byte, Seen, error) {
			return a.fetchSigned(ctx, k, trust, seen)
		}
	}
	text, now, err := fetch(ctx, k, seen)
	if err != nil || text == nil {
		return nil, now, err
	}
	r, err := a.ParseRelease(text)
	if err != nil {
		return nil, now, err
	}
	for _, bad := range []error{r.BadDate, r.BadValidUntil} {
		if bad != nil {
			k.say("@y[!]@| @!%v@|", bad)
		}
	}
	if named, other := a.conflict(r); other {
		k.say("@y[!]@| @!conflicting distribution: Release is of %s, and not of %s@|", named, a.Distribution)
	}
	return r, now, nil
}

// conflict reports whether Release names itself by Suite and Codename, and neither is the
// archive's distribution. Then another server may have put a Release in the place of the
// requested one. apt 2.6 warns of it, too, since third-party archives have such names.
func (a Archive) conflict(r *Release) (named string, other bool) {
	// "stretch/updates" has the Codename stretch; apt compares the part before the slash.
	distribution, _, _ := strings.Cut(a.Distribution, "/")
	suite, codename := r.Fields["Suite"], r.Fields["Codename"]
	if a.Flat() || suite == "" && codename == "" || slices.Contains([]string{a.Distribution, distribution}, suite) || slices.Contains([]string{a.Distribution, distribution}, codename) {
		return "", false
	}
	return strings.TrimSpace(suite + " " + codename), true
}

// fetchUnsigned returns the text of Release, or that of InRelease without
// verifying it. The text is nil if the file is the one in seen.
func (a Archive) fetchUnsigned(ctx context.Context, k Asker, seen Seen) ([]byte, Seen, error) {
	text, now, err := a.fetch(ctx, k, "Release", seen)
	if err == nil || ctx.Err() != nil {
		return text, now, err
	}
	text, now, err = a.fetch(ctx, k, "InRelease", seen)
	if err != nil || text == nil {
		return nil, now, err
	}
	plain, _, err := pgp.StripClearsign(text)
	return plain, now, err
}

// fetchSigned returns the verified text of InRelease. If InRelease is absent or
// refused, it returns that of Release with Release.gpg. The text is nil if the
// file is the one in seen. If Release is absent too, the error gives the reason
// against InRelease.
func (a Archive) fetchSigned(ctx context.Context, k Asker, trust Trust, seen Seen) ([]byte, Seen, error) {
	text, now, refused := a.fetch(ctx, k, "InRelease", seen)
	if refused == nil && text == nil {
		return nil, now, nil
	}
	if refused == nil {
		plain, _, err := trust.Ring.VerifyClearsigned(text, trust.Now)
		if err == nil {
			return plain, now, nil
		}
		refused = fmt.Errorf("%s: %w", Shown(a.IndexURL("InRelease")), pgp.Refused("clearsigned file", err))
	}
	if ctx.Err() != nil {
		return nil, Seen{}, ctx.Err()
	}
	instead := func(err error) error {
		if Missing(err) && !Missing(refused) {
			return refused
		}
		return err
	}
	text, now, err := a.fetch(ctx, k, "Release", seen)
	if err != nil || text == nil {
		return nil, now, instead(err)
	}
	signature, _, err := k.get(ctx, a.IndexURL("Release.gpg"), Seen{}, maxSignature)
	if err != nil {
		return nil, Seen{}, instead(err)
	}
	if _, err := trust.Ring.VerifyDetached(text, signature, trust.Now); err != nil {
		return nil, Seen{}, pgp.Refused("detached signature", err)
	}
	return text, now, nil
}

// fetch fetches InRelease or Release. The text is nil if the file is the one in
// seen.
func (a Archive) fetch(ctx context.Context, k Asker, name string, seen Seen) ([]byte, Seen, error) {
	if seen.Name != name {
		seen = Seen{}
	}
	data, answer, err := k.get(ctx, a.IndexURL(name), seen, maxRelease)
	if err != nil {
		return nil, Seen{}, err
	}
	if answer.NotModified {
		return nil, seen, nil
	}
	sum := sha256.Sum256(data)
	now := Seen{Name: name, ETag: answer.ETag, Modified: answer.Modified, SHA256: hex.EncodeToString(sum[:])}
	if now.SHA256 == seen.SHA256 {
		return nil, now, nil
	}
	if len(data) == 0 {
		return nil, Seen{}, fmt.Errorf("%s: empty", Shown(a.IndexURL(name)))
	}
	return data, now, nil
}

// Errors of outdated Release files.
var (
	// ErrExpired says that Valid-Until has passed.
	ErrExpired = errors.New("release file expired")
	// ErrReplayed says that a newer file was accepted before.
	ErrReplayed = errors.New("release file is older than the one that was seen before")
)

// CheckTime returns ErrExpired after Valid-Until, ErrReplayed if Date is before
// last, and BadValidUntil if set. last is the Date of an accepted file. A file
// without Date passes as never replayed.
func (r *Release) CheckTime(now, last time.Time) error {
	if r.BadValidUntil != nil {
		return r.BadValidUntil
	}
	if !r.ValidUntil.IsZero() && now.After(r.ValidUntil) {
		return fmt.Errorf("%w: it was valid until %s", ErrExpired, r.Fields["Valid-Until"])
	}
	if !r.Date.IsZero() && r.Date.Before(last) {
		return fmt.Errorf("%w: %s", ErrReplayed, r.Fields["Date"])
	}
	return nil
}
