package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Archive is a distribution of an archive on another server.
type Archive struct {
	Root         string // URL, ends with a slash; may have a user and a password
	Distribution string // "bookworm", "stretch/updates"; "./", "./dir/" or "" for flat archives
}

// Errors of ParseArchive. The texts are aptly's.
var (
	ErrFlatComponents = errors.New("components aren't supported for flat repos")
	ErrFlatUdebs      = errors.New("debian-installer udebs aren't supported for flat repos")
	ErrFlatAppStream  = errors.New("AppStream (DEP-11) metadata isn't supported for flat repos")
)

// maxURL bounds the URL of an archive, in bytes.
const maxURL = 2000

// ParseRoot parses the URL of an archive and returns its root.
func ParseRoot(address string) (string, error) {
	u, err := url.Parse(address)
	var wrong *url.Error
	switch {
	case errors.As(err, &wrong) && strings.Contains(address, "@"):
		// The error of url.Parse would contain the password.
		return "", errors.New("parse URL of archive: URL with a user cannot be parsed")
	case err != nil:
		return "", err
	case len(address) > maxURL:
		return "", fmt.Errorf("URL of archive is longer than %d bytes", maxURL)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("unsupported protocol scheme %q", u.Scheme)
	case u.Hostname() == "" || strings.ContainsAny(address, "?#"):
		return "", fmt.Errorf("%q is not the URL of an archive", Shown(address))
	}
	if !strings.HasSuffix(address, "/") {
		address += "/"
	}
	return address, nil
}

// ParseArchive returns the archive of a new mirror. The distribution of a flat
// archive gets the form that marks it as flat.
func ParseArchive(address, distribution string) (Archive, error) {
	root, err := ParseRoot(address)
	if err != nil {
		return Archive{}, err
	}
	if strings.HasSuffix(distribution, "/") && !strings.HasPrefix(distribution, ".") {
		distribution = "./" + distribution
	}
	for c := range strings.SplitSeq(distribution, "/") {
		if c == ".." {
			return Archive{}, fmt.Errorf("distribution %q leads out of the archive", distribution)
		}
	}
	return Archive{Root: root, Distribution: distribution}, nil
}

// StartsFlat reports whether a new mirror's distribution means a flat archive.
// Components, udebs and AppStream files are refused then.
func StartsFlat(distribution string) bool {
	return strings.HasSuffix(distribution, "/") || strings.HasPrefix(distribution, ".")
}

// Flat reports whether the archive has no components: its indexes are in one
// directory.
func (a Archive) Flat() bool {
	return a.Distribution == "" || strings.HasPrefix(a.Distribution, ".") && strings.HasSuffix(a.Distribution, "/")
}

// dir returns the directory of Release, relative to the root. It is "" or ends
// with a slash.
func (a Archive) dir() string {
	if !a.Flat() {
		return "dists/" + a.Distribution + "/"
	}
	if d := path.Clean(a.Distribution); d != "." && d != "/" {
		return strings.TrimPrefix(d, "/") + "/"
	}
	return ""
}

// IndexURL returns the URL of a file that Release lists, or of Release.
func (a Archive) IndexURL(name string) string { return a.Root + escape(a.dir()+name) }

// FileURL returns the URL of a package's file by its path relative to the root.
func (a Archive) FileURL(name string) string { return a.Root + escape(name) }

// escape escapes a path for a URL. It escapes plus signs too, which S3 would read
// as blanks.
func escape(name string) string {
	words := strings.Split(name, "/")
	for i := range words {
		words[i] = strings.ReplaceAll(url.PathEscape(words[i]), "+", "%2b")
	}
	return strings.Join(words, "/")
}

// ErrPath says that a path from upstream leaves the archive.
var ErrPath = errors.New("path leads out of the archive")

// FilePath joins a directory and a file name from upstream. The result is
// relative to the root. The error is ErrPath unless it is below the root.
func FilePath(dir, name string) (string, error) {
	for _, c := range []byte(dir) {
		if c < ' ' || c == 0x7f || c == '\\' {
			return "", fmt.Errorf("directory %.200q: %w", dir, ErrPath)
		}
	}
	p := path.Join(".", dir, name) // relative, also if both begin with a slash
	if p == ".." || strings.HasPrefix(p, "../") || p == "." {
		return "", fmt.Errorf("%.200q: %w", dir+"/"+name, ErrPath)
	}
	return p, nil
}

// PPA configures personal package archives of Launchpad.
type PPA struct {
	BaseURL     string // "" is http://ppa.launchpad.net
	Distributor string // "" is ubuntu
	Codename    string // of the distribution, such as "noble"; required
}

var ppaPattern = regexp.MustCompile(`^ppa:([^/]+)/(.+)$`)

// IsPPA reports whether the URL of an archive names a PPA.
func IsPPA(address string) bool { return strings.HasPrefix(address, "ppa:") }

// Expand returns URL, distribution and components of ppa:user/project.
func (p PPA) Expand(address string) (archive, distribution string, components []string, err error) {
	m := ppaPattern.FindStringSubmatch(address)
	if m == nil {
		return "", "", nil, fmt.Errorf("unable to parse ppa URL: %s", address)
	}
	if p.Codename == "" {
		return "", "", nil, errors.New("unable to figure out Codename: it is not configured, please set config option ppaCodename (aptless serve --ppa-codename)")
	}
	base, distributor := p.BaseURL, p.Distributor
	if base == "" {
		base = "http://ppa.launchpad.net"
	}
	if distributor == "" {
		distributor = "ubuntu"
	}
	return strings.TrimSuffix(base, "/") + "/" + escape(m[1]) + "/" + escape(m[2]) + "/" + distributor, p.Codename, []string{"main"}, nil
}
