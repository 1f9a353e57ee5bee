package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// Limits of indexes, in bytes. Debian's largest has 60,000,000.
const (
	maxUnpacked = 8 << 30
)

// Index names an index of an archive.
type Index struct {
	Path string // relative to Release, without the suffix of a compression
	Kind deb.Kind
	Arch string // of an installer
}

// Wanted selects parts of an archive.
type Wanted struct {
	Components, Architectures []string
	Sources, Udebs, Installer bool
}

// Indexes returns the wanted indexes in order of precedence. Example: a package
// in an earlier index wins over one in a later index.
func (a Archive) Indexes(w Wanted) []Index {
	if a.Flat() {
		all := []Index{{Path: "Packages", Kind: deb.Binary}}
		if w.Sources {
			all = append(all, Index{Path: "Sources", Kind: deb.Source})
		}
		return all
	}
	images := "images"
	if a.Distribution == "focal" {
		images = "legacy-images"
	}
	var all []Index
	for _, c := range w.Components {
		for _, arch := range w.Architectures {
			all = append(all, Index{Path: c + "/binary-" + arch + "/Packages", Kind: deb.Binary})
			if w.Udebs {
				all = append(all, Index{Path: c + "/debian-installer/binary-" + arch + "/Packages", Kind: deb.Udeb})
			}
			if w.Installer {
				all = append(all, Index{Path: c + "/installer-" + arch + "/current/" + images + "/SHA256SUMS", Kind: deb.Installer, Arch: arch})
			}
		}
		if w.Sources {
			all = append(all, Index{Path: c + "/source/Sources", Kind: deb.Source})
		}
	}
	return all
}

// Listed is a package in an index.
type Listed struct {
	Package *deb.Package
	Dir     string // of its files, relative to the archive's root and below it
	Whole   bool   // the last text that Reader.Known got is exactly this package's
}

// Reader reads the indexes of an archive.
type Reader struct {
	Asker
	Archive
	Release *Release

	// Unlisted allows an index that Release lists in no form. It is read
	// unchecked, so it is refused with a Trust.Ring. Listed indexes are always
	// checked.
	Unlisted bool

	// Unchecked accepts indexes with any content, for the option IgnoreChecksums.
	Unchecked bool

	// Known, if not nil, is called with the text of most stanzas before they are read. If
	// it returns true, the stanza is not yielded. It must not keep the text.
	Known func(kind deb.Kind, text []byte) bool

	// Trust.Ring verifies installer lists that Release does not list. With a nil
	// Ring they are not verified.
	Trust Trust
}

// Indexes returns the wanted indexes in order of precedence. It adds binary-all
// if Release announces packages for every architecture. Like apt, it drops an
// index that the fields of Release announce and its list lacks. It does so only if
// the list has another wanted index.
func (r *Reader) Indexes(w Wanted) []Index {
	if r.Flat() {
		return r.Archive.Indexes(w)
	}
	listed := func(x Index) bool { return x.Kind != deb.Installer && r.Release.lists(x.Path) }
	all, promised := r.indexes(w)
	if r.unlisted() || !slices.ContainsFunc(all, listed) {
		return all
	}
	return slices.DeleteFunc(all, func(x Index) bool {
		skipped := x.Kind != deb.Installer && promised[x.Path] && !listed(x)
		if skipped {
			r.say("@y[!]@| @!skipping index %s: Release does not list it@|", x.Path)
		}
		return skipped
	})
}

// indexes returns the wanted indexes. promised has the paths of the indexes whose
// component Release has.
func (r *Reader) indexes(w Wanted) (all []Index, promised map[string]bool) {
	promised = map[string]bool{}
	for _, component := range w.Components {
		one := w
		one.Components = []string{r.Release.componentDir(component)}
		indexes := r.Archive.Indexes(one)
		if r.Release.readsAll() && !slices.Contains(w.Architectures, deb.AllArch) {
			one.Architectures, one.Sources, one.Installer = []string{deb.AllArch}, false, false
			indexes = append(indexes, slices.DeleteFunc(r.Archive.Indexes(one), func(x Index) bool { return !r.Release.lists(x.Path) })...)
		}
		for _, x := range indexes {
			promised[x.Path] = r.Release.HasComponent(component)
		}
		all = append(all, indexes...)
	}
	return all, promised
}

// unlisted reports whether an unlisted index may be read.
func (r *Reader) unlisted() bool { return r.Unchecked || r.Unlisted && r.Trust.Ring == nil }

// StanzaError says that one stanza of an index describes no valid package.
type StanzaError struct {
	Index  string // path of the index, relative to Release
	Number int    // of the stanza, from 1
	Name   string // name and version, if the stanza has them
	Err    error
}

func (e *StanzaError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("without a name (stanza %d of %s): %v", e.Number, e.Index, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Name, e.Err)
}

// Unwrap returns the reason.
func (e *StanzaError) Unwrap() error { return e.Err }

// Packages yields the packages of an index. After a *StanzaError, which is about
// one stanza, others follow. Any other error ends the sequence, and the packages
// before it must be discarded.
func (r *Reader) Packages(ctx context.Context, x Index) iter.Seq2[Listed, error] {
	if x.Kind == deb.Installer {
		return r.installer(ctx, x)
	}
	return func(yield func(Listed, error) bool) {
		f, plain, err := r.open(ctx, x.Path)
		if err != nil {
			yield(Listed{}, err)
			return
		}
		defer f.Close()
		paragraphs := deb.NewParagraphReader(plain, deb.ModeControl)
		for n := 1; ; n++ {
			known, size := r.known(paragraphs, x.Kind)
			if known {
				continue
			}
			before := paragraphs.Read()
			p, err := paragraphs.Next()
			if err == io.EOF {
				// Bytes after the compressed stream are part of the checked file.
				if _, err = io.Copy(io.Discard, f); err == nil {
					err = plain.checkComplete(x.Path)
				}
				if err != nil {
					yield(Listed{}, err)
				}
				return
			}
			var found Listed
			switch {
			case errors.Is(err, deb.ErrSyntax):
				p = paragraphs.Skip()
			case err != nil:
				yield(Listed{}, fmt.Errorf("%s: %w", x.Path, err))
				return
			default:
				found, err = listed(p, x.Kind)
				found.Whole = size > 0 && paragraphs.Read()-before == size
			}
			if err != nil {
				err = &StanzaError{Index: x.Path, Number: n, Name: strings.TrimSpace(p.Get("Package") + " " + p.Get("Version")), Err: err}
			}
			if !yield(found, err) {
				return
			}
		}
	}
}

// known passes over the next stanza if Known knows it. size is that of the text that Known
// got, 0 if it got none.
func (r *Reader) known(paragraphs *deb.ParagraphReader, kind deb.Kind) (known bool, size int64) {
	if r.Known == nil {
		return false, 0
	}
	text := paragraphs.Text()
	if text == nil {
		return false, 0
	}
	if r.Known(kind, text) {
		paragraphs.Pass(text)
		return true, 0
	}
	return false, int64(len(text))
}

// listed returns the package of a stanza.
func listed(p deb.Paragraph, kind deb.Kind) (Listed, error) {
	pkg, dir, err := deb.PackageFromIndex(p, kind)
	if err != nil {
		return Listed{}, err
	}
	for _, f := range pkg.Files {
		name, err := FilePath(dir, f.Name)
		if err == nil && len(name) > MaxPath {
			err = fmt.Errorf("path %.100q: %w", name, ErrPath)
		}
		if err != nil {
			return Listed{}, err
		}
	}
	return Listed{Package: pkg, Dir: dir}, nil
}

// MaxPath bounds the path of a file relative to the archive's root, in bytes.
const MaxPath = 900

// unpacked is an index without its compression.
type unpacked struct {
	io.Reader
	want deb.File // the text as Release lists it; Name is "" if it is unlisted or unchecked
	read int64    // bytes
}

// Read ends where the listed text ends. An error of the decoder about later bytes
// is ignored, like such bytes are by apt.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	u.read += int64(n)
	if err != nil && u.want.Name != "" && u.read == u.want.Size {
		err = io.EOF
	}
	return n, err
}

// checkComplete returns an ErrMismatch if the text is shorter than listed. Example: junk
// between two compressed streams hides the second.
func (u *unpacked) checkComplete(name string) error {
	if u.want.Name != "" && u.read != u.want.Size {
		return &mismatch{fmt.Sprintf("%s unpacks to %d bytes, Release lists %d", name, u.read, u.want.Size)}
	}
	return nil
}

// open opens an index in the first form that the archive has. If Release lists
// any form, only listed forms count.
func (r *Reader) open(ctx context.Context, name string) (*File, *unpacked, error) {
	var last error
	others := r.Unchecked || r.unlisted() && !r.Release.lists(name)
	for _, suffix := range compressions {
		want, known := r.Release.Find(name + suffix)
		if !known && !others {
			continue
		}
		f, err := r.openIndex(ctx, name+suffix, want, known)
		if Missing(err) {
			last = err
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		limit := int64(maxUnpacked)
		text, ok := r.Release.Find(name)
		if ok && !r.Unchecked {
			limit = text.Size
		} else {
			text = deb.File{}
		}
		plain, err := deb.Decompress(f, suffix, max(f.size, want.Size), limit)
		if err != nil {
			f.Close()
			return nil, nil, fmt.Errorf("%s: %w", name+suffix, err)
		}
		return f, &unpacked{Reader: plain, want: text}, nil
	}
	switch {
	case last != nil:
	case r.Unlisted:
		last = fmt.Errorf("%s: %w", Shown(r.IndexURL(name)), errNotListed)
	default:
		last = fmt.Errorf("no candidates for %s found", Shown(r.IndexURL(name)))
	}
	return nil, nil, last
}

// errNotListed says that an index is not verifiable.
var errNotListed = errors.New("the signed Release file does not list it; IgnoreChecksums takes it without a check")

// openIndex opens a file that Release lists, by its digest if the archive serves
// that.
func (r *Reader) openIndex(ctx context.Context, name string, want deb.File, known bool) (*File, error) {
	check := known && !r.Unchecked
	limit := int64(maxIndex)
	if check {
		limit = max(want.Size, 1)
	}
	if check && r.Release.ByHash && want.SHA256 != "" {
		byHash := r.IndexURL(path.Dir(name) + "/by-hash/SHA256/" + want.SHA256)
		r.say("Downloading: %s", Shown(byHash))
		f, err := r.Open(ctx, byHash, want, true, limit)
		if !Missing(err) {
			return f, err
		}
	}
	address := r.IndexURL(name)
	r.say("Downloading: %s", Shown(address))
	return r.Open(ctx, address, want, check, limit)
}

// maxSums bounds the list of an installer's files, in bytes.
const maxSums = 8 << 20

// installer yields the pseudo package of an installer's files, if it exists.
func (r *Reader) installer(ctx context.Context, x Index) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		sums, err := r.installerSums(ctx, x)
		if err != nil || sums == nil {
			if err != nil {
				yield(Listed{}, err)
			}
			return
		}
		p, err := deb.ParseParagraph(string(sums), deb.ModeInstaller)
		if err != nil {
			yield(Listed{}, fmt.Errorf("%s: %w", x.Path, err))
			return
		}
		pkg, err := deb.InstallerPackage(p, x.Arch)
		if err != nil {
			yield(Listed{}, fmt.Errorf("%s: %v", x.Path, err))
			return
		}
		var bad []deb.File
		if pkg.Files, bad = deb.InstallerFiles(pkg.Files); len(bad) > 0 {
			r.say("@y[!]@| @!skipping %d installer files that cannot be beside their list, such as %.300s@|", len(bad), bad[0].Name)
		}
		dir := r.dir() + path.Dir(x.Path)
		for i, f := range pkg.Files {
			name, err := FilePath(dir, strings.TrimPrefix(f.Name, "./"))
			if err == nil {
				pkg.Files[i].Size, err = r.Size(ctx, r.FileURL(name))
			}
			if Missing(err) { // the download of the file reports it
				err = nil
			}
			if err != nil {
				yield(Listed{}, err)
				return
			}
		}
		yield(Listed{Package: pkg, Dir: dir}, nil)
	}
}

// installerSums returns the list of an installer's files, nil if it is absent.
func (r *Reader) installerSums(ctx context.Context, x Index) ([]byte, error) {
	if want, known := r.Release.Find(x.Path); known {
		f, err := r.openIndex(ctx, x.Path, want, true)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f, maxSums)
	}
	if r.Unchecked {
		return nil, nil
	}
	address := r.IndexURL(x.Path)
	sums, _, err := r.get(ctx, address, Seen{}, maxSums)
	if Missing(err) {
		return nil, nil
	}
	if err != nil || r.Trust.Ring == nil {
		return sums, err
	}
	signature, _, err := r.get(ctx, address+".gpg", Seen{}, maxSignature)
	if err != nil {
		return nil, err
	}
	if _, err := r.Trust.Ring.VerifyDetached(sums, signature, r.Trust.Now); err != nil {
		return nil, fmt.Errorf("%s: %w", Shown(address), pgp.Refused("detached signature", err))
	}
	return sums, nil
}

// readAll reads a file of at most limit bytes.
func readAll(f io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = ErrTooLarge
	}
	return data, err
}
