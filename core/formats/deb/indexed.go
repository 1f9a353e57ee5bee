package deb

import (
	"fmt"
	"path"
	"strconv"
)

// PackageFromIndex returns the package that a stanza of Packages (kind Binary or
// Udeb) or Sources (kind Source) describes. dir is the directory of its files,
// relative to the archive's root. It is unchecked input and may be "../..".
func PackageFromIndex(p Paragraph, kind Kind) (pkg *Package, dir string, err error) {
	if kind == Source {
		if pkg, err = sourcePackage(p, p.Get("Package")); err != nil {
			return nil, "", err
		}
		return pkg, p.Get("Directory"), nil
	}
	f, dir, err := indexedFile(p)
	if err != nil {
		return nil, "", err
	}
	if pkg, err = BinaryPackage(p, kind, f); err != nil {
		return nil, "", err
	}
	return pkg, dir, nil
}

// indexedFile returns the file of a stanza of Packages. A missing or malformed
// size is 0, as in aptly.
func indexedFile(p Paragraph) (f File, dir string, err error) {
	var filename string
	sums := [...]struct {
		digest *string
		field  string
		length int
	}{
		{&f.MD5, "MD5Sum", md5Len},
		{&f.SHA1, "SHA1", sha1Len},
		{&f.SHA256, "SHA256", sha256Len},
		{&f.SHA512, "SHA512", sha512Len},
	}
	for i := range p {
		switch p[i].Name {
		case "Filename":
			filename = p[i].Value
		case "Size":
			if n, err := strconv.ParseInt(p[i].Value, 10, 64); err == nil && n > 0 {
				f.Size = n
			}
		default:
			for _, s := range sums {
				if s.field != p[i].Name {
					continue
				}
				var ok bool
				if *s.digest, ok = canonicalDigest(p[i].Value, s.length); !ok {
					return File{}, "", fmt.Errorf("%w %s %.200q", ErrInvalid, s.field, p[i].Value)
				}
			}
		}
	}
	f.Name = path.Base(filename)
	return f, path.Dir(filename), nil
}
