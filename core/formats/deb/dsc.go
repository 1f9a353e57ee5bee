package deb

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MaxFiles is the largest number of files that a source package, a .changes or
// an installer may list.
const MaxFiles = 8192

// ErrSums says that a line in a list of files is unreadable.
var ErrSums = errors.New("unparseable hash sum line")

// SourcePackage returns the package that a .dsc describes. Its files are those of
// the .dsc, the .dsc itself, and given files with known digests. An ErrMismatch
// says that a given file differs from its entry.
func SourcePackage(p Paragraph, files ...File) (*Package, error) {
	pkg, err := sourcePackage(p, p.Get("Source"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := CheckFileName(f.Name); err != nil {
			return nil, err
		}
		for _, listed := range pkg.Files {
			if listed.Name != f.Name {
				continue
			}
			if err := listed.Agrees(f); err != nil {
				return nil, fmt.Errorf("%s is not the file that the .dsc names: %w", f.Name, err)
			}
		}
		pkg.SetFile(f)
	}
	return pkg, nil
}

func sourcePackage(p Paragraph, name string) (*Package, error) {
	pkg := &Package{Kind: Source}
	pkg.setFields(p)
	pkg.Name = name
	if err := pkg.check(); err != nil {
		return nil, err
	}
	var err error
	if pkg.Files, err = listedFiles(p); err != nil {
		return nil, err
	}
	return pkg, nil
}

// InstallerPackage returns the pseudo package of the files in a SHA256SUMS that
// was read with ModeInstaller. Sizes are 0.
func InstallerPackage(p Paragraph, arch string) (*Package, error) {
	if err := CheckArchitecture(arch); err != nil {
		return nil, err
	}
	sums := fileSums{byName: make(map[string]int)}
	for line := range strings.SplitSeq(p.Get(""), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		digest, ok := canonicalDigest(words[0], sha256Len)
		if len(words) < 2 || !ok {
			return nil, fmt.Errorf("%w: %.300q", ErrSums, line)
		}
		f, err := sums.file(words[len(words)-1], checkRelativePath)
		if err != nil {
			return nil, err
		}
		f.SHA256 = digest
	}
	return &Package{Kind: Installer, Name: "installer", Architecture: arch, Files: sums.sorted()}, nil
}

// InstallerFiles splits an installer's files. Good ones can be published beside
// their list. Bad ones collide with the list, its signature, a by-hash directory,
// or another file of the installer.
func InstallerFiles(files []File) (good, bad []File) {
	const isFile, isDir = 1, 2
	taken := map[string]int{"SHA256SUMS": isFile, "SHA256SUMS.gpg": isFile}
	for _, f := range files {
		name := path.Clean(f.Name)
		free := taken[name] == 0 && checkRelativePath(f.Name) == nil && !slices.Contains(strings.Split(name, "/"), "by-hash")
		for dir := path.Dir(name); dir != "." && free; dir = path.Dir(dir) {
			free = taken[dir] != isFile
		}
		if !free {
			bad = append(bad, f)
			continue
		}
		good, taken[name] = append(good, f), isFile
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			taken[dir] = isDir
		}
	}
	return good, bad
}

// checkRelativePath accepts paths of SHA256SUMS, such as "./netboot/mini.iso".
func checkRelativePath(name string) error {
	if len(name) > MaxFileNameLen {
		return fmt.Errorf("filename %.300s is %w", printable(name), ErrInvalid)
	}
	for c := range strings.SplitSeq(strings.TrimPrefix(name, "./"), "/") {
		if CheckFileName(c) != nil {
			return fmt.Errorf("filename %.300s is %w", printable(name), ErrInvalid)
		}
	}
	return nil
}

// SetFile replaces the file with the name of f, or adds f.
func (p *Package) SetFile(f File) {
	i, found := slices.BinarySearchFunc(p.Files, f.Name, func(f File, name string) int {
		return strings.Compare(f.Name, name)
	})
	if !found {
		p.Files = slices.Insert(p.Files, i, f)
	}
	p.Files[i] = f
}

// listedFiles merges the file lists of a .dsc, a .changes or a stanza of Sources
// by base name, ascending. Contradictory entries are ErrInvalid.
func listedFiles(p Paragraph) ([]File, error) {
	sums := fileSums{byName: make(map[string]int)}
	for _, list := range [...]struct {
		field  string
		length int
		digest func(*File) *string
	}{
		{"Files", md5Len, func(f *File) *string { return &f.MD5 }},
		{"Checksums-Sha1", sha1Len, func(f *File) *string { return &f.SHA1 }},
		{"Checksums-Sha256", sha256Len, func(f *File) *string { return &f.SHA256 }},
		{"Checksums-Sha512", sha512Len, func(f *File) *string { return &f.SHA512 }},
	} {
		for line := range strings.SplitSeq(p.Get(list.field), "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			// Digest, size, then in a .changes section and priority, then name.
			words := strings.Fields(line)
			digest, ok := canonicalDigest(words[0], list.length)
			if len(words) < 3 || !ok {
				return nil, fmt.Errorf("%w: %.300q", ErrSums, line)
			}
			size, err := strconv.ParseUint(words[1], 10, 63)
			if err != nil {
				return nil, fmt.Errorf("unable to parse size: %w", err)
			}
			f, err := sums.file(path.Base(words[len(words)-1]), CheckFileName)
			if err != nil {
				return nil, err
			}
			if known := *list.digest(f); known != "" && known != digest {
				return nil, fmt.Errorf("%w: %s has two digests in %s", ErrInvalid, f.Name, list.field)
			}
			if hasDigest(*f) && f.Size != int64(size) {
				return nil, fmt.Errorf("%w: %s is listed with %d and with %d bytes", ErrInvalid, f.Name, f.Size, size)
			}
			f.Size = int64(size)
			*list.digest(f) = digest
		}
	}
	return sums.sorted(), nil
}

func hasDigest(f File) bool { return f.MD5 != "" || f.SHA1 != "" || f.SHA256 != "" || f.SHA512 != "" }

// fileSums collects files by name.
type fileSums struct {
	files  []File
	byName map[string]int
}

// file returns the file with this name, and adds it if it is new. The pointer is
// valid until the next call.
func (s *fileSums) file(name string, check func(string) error) (*File, error) {
	i, ok := s.byName[name]
	if !ok {
		if err := check(name); err != nil {
			return nil, err
		}
		if i = len(s.files); i == MaxFiles {
			return nil, fmt.Errorf("more than %d files: %w", MaxFiles, ErrTooLarge)
		}
		s.files = append(s.files, File{Name: name})
		s.byName[name] = i
	}
	return &s.files[i], nil
}

func (s *fileSums) sorted() []File {
	slices.SortFunc(s.files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return s.files
}
