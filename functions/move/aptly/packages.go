package aptly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aptless/core/formats/deb"
)

// packageOf reads a package: the records P<key>, and of aptly since 0.4 xD, xE, xF.
func (d *database) packageOf(ref string) (*deb.Package, []pooled, error) {
	data, err := d.get(ref)
	if err != nil {
		return nil, nil, err
	}
	var relations, extra fields
	var files any
	if len(data) > 2 && data[0] == 0xc1 && data[1] == 1 {
		data = data[2:]
		if relations, err = d.part("xD", ref); err != nil {
			return nil, nil, err
		}
		if extra, err = d.part("xE", ref); err != nil {
			return nil, nil, err
		}
		raw, err := d.get("xF" + ref)
		if err == nil {
			files, err = decode(raw)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("files: %w", err)
		}
	}
	f, err := record(data)
	if err != nil {
		return nil, nil, err
	}
	if relations == nil {
		relations, extra, files = f, f.of("Extra"), f["Files"]
	}
	list, _ := files.([]any)
	var pool []pooled
	for _, v := range list {
		m, _ := v.(map[string]any)
		pool = append(pool, pooledFile(m))
	}
	if len(pool) == 0 || len(pool) > deb.MaxFiles {
		return nil, nil, fmt.Errorf("%d files: %w", len(pool), errValue)
	}
	p, err := build(f, relations, extra, pool)
	return p, pool, err
}

// part reads a further record of a package.
func (d *database) part(prefix, ref string) (fields, error) {
	raw, err := d.get(prefix + ref)
	if errors.Is(err, errAbsent) {
		return fields{}, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := record(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", prefix, err)
	}
	return f, nil
}

// pooled is a file of a package, and its place in aptly's pool.
type pooled struct {
	deb.File
	path string // below pool; "" before aptly 1.1
}

func pooledFile(m fields) pooled {
	sums := m.of("Checksums")
	return pooled{deb.File{Name: m.text("Filename"), Size: sums.number("Size"), MD5: sums.text("MD5"), SHA1: sums.text("SHA1"), SHA256: sums.text("SHA256"),
		SHA512: sums.text("SHA512")}, m.text("PoolPath")}
}

// relationFields are the fields of aptly's record by the names of control fields.
var relationFields = []struct{ record, control string }{
	{"Provides", "Provides"}, {"Depends", "Depends"}, {"PreDepends", "Pre-Depends"}, {"Suggests", "Suggests"}, {"Recommends", "Recommends"},
	{"BuildDepends", "Build-Depends"}, {"BuildDependsInDep", "Build-Depends-Indep"},
}

// build makes the package of its fields.
func build(f, relations, extra fields, pool []pooled) (*deb.Package, error) {
	files := make([]deb.File, len(pool))
	for i := range pool {
		files[i] = pool[i].File
	}
	if f.flag("IsInstaller") {
		slices.SortFunc(files, func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) })
		if err := deb.CheckArchitecture(f.text("Architecture")); err != nil {
			return nil, err
		}
		return &deb.Package{Kind: deb.Installer, Name: "installer", Architecture: f.text("Architecture"), Files: files}, nil
	}
	var p deb.Paragraph
	add := func(name, value string) {
		if value != "" {
			p.Set(name, value)
		}
	}
	for name := range extra {
		add(deb.CanonicalName(name), extra.text(name))
	}
	for _, r := range relationFields {
		items := relations.texts(r.record)
		if r.record == "Provides" && items == nil {
			items = f.texts(r.record)
		}
		add(r.control, strings.Join(items, ", "))
	}
	add("Version", f.text("Version"))
	if f.flag("IsSource") {
		add("Source", f.text("Name"))
		add("Architecture", f.text("SourceArchitecture"))
		return deb.SourcePackage(p, files...)
	}
	add("Package", f.text("Name"))
	add("Architecture", f.text("Architecture"))
	add("Source", f.text("Source"))
	kind := deb.Binary
	if f.flag("IsUdeb") {
		kind = deb.Udeb
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("a binary package of %d files: %w", len(files), errValue)
	}
	return deb.BinaryPackage(p, kind, files[0])
}

// find returns the path of a file in aptly's pool.
func (f pooled) find(root string) (string, error) {
	var places []string
	if f.path != "" {
		places = append(places, f.path)
	}
	if len(f.SHA256) == 64 {
		places = append(places, f.SHA256[:2]+"/"+f.SHA256[2:4]+"/"+f.SHA256[4:32]+"_"+filepath.Base(f.Name))
	}
	if len(f.MD5) == 32 {
		places = append(places, f.MD5[:2]+"/"+f.MD5[2:4]+"/"+filepath.Base(f.Name))
	}
	for _, place := range places {
		if !filepath.IsLocal(place) {
			return "", fmt.Errorf("file %s has the place %.100q", f.Name, place)
		}
		path := filepath.Join(root, "pool", place)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("file %s is missing: %s", f.Name, strings.Join(places, ", "))
}

// check compares the file with its record: its size, and with deep its digests. It
// returns the file with its SHA-256.
func (f pooled) check(ctx context.Context, path string, deep bool) (deb.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return f.File, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return f.File, err
	}
	want := f.File
	if want.Size == 0 {
		want.Size = info.Size()
	}
	if info.Size() != want.Size {
		return want, fmt.Errorf("file %s has %d bytes in place of %d", f.Name, info.Size(), want.Size)
	}
	if !deep && want.SHA256 != "" {
		return f.File, nil
	}
	hash := deb.NewHasher()
	if _, err := io.Copy(hash, reader{ctx, file}); err != nil {
		return want, err
	}
	got := hash.File(f.Name)
	if err := want.Agrees(got); err != nil {
		return want, fmt.Errorf("file %s is damaged: %w", f.Name, err)
	}
	done := f.File
	done.SHA256 = got.SHA256
	return done, nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
