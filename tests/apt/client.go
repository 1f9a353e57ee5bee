package apt

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Options select the repository that a Client reads.
type Options struct {
	URL        string   // URL of the directory above dists; "" gives the machine no repository: see Script
	Suite      string   // the distribution
	Components []string // default: main
	Arch       string   // default: amd64
	SignedBy   []byte   // the key, armored or binary; nil trusts the repository without a signature
	ByHash     *bool    // nil follows the Release file
	Deb822     bool     // use a .sources file instead of a line of sources.list
	Sources    bool     // read source packages too
	Contents   bool     // fetch Contents too, for FindFile
	Snapshot   bool     // allow former states: see Update
	Compressed string   // the only compression of indexes to fetch and keep: gz, bz2, xz, zst; default: apt's choice
}

// Client is the apt of one machine. It is not safe for concurrent use.
type Client struct {
	system string // root of the Debian system with the apt; "" is this machine
	root   string // folder of apt's data, within system
	work   string // folder of downloads, within system
}

// System names the environment variable with the root folder of a Debian system. If it
// is set, clients run that system's apt by chroot(8), which needs root.
const System = "APTLESS_APT_SYSTEM"

// Result is the result of one run of a program.
type Result struct {
	Args   []string
	Code   int    // exit status
	Output string // standard output and error, interleaved
}

// Err is nil if the program succeeded. Otherwise it contains the output.
func (r Result) Err() error {
	if r.Code == 0 {
		return nil
	}
	return fmt.Errorf("%s: exit status %d\n%s", strings.Join(r.Args, " "), r.Code, r.Output)
}

// New makes a machine that has one repository and no installed package. It skips the test
// if apt is not installed.
func New(t testing.TB, opt Options) *Client {
	t.Helper()
	c := place(t, opt)
	for _, dir := range []string{"lists/partial", "archives/partial", "parts", "empty", "work", "tmp"} {
		if err := os.MkdirAll(filepath.Join(c.system, c.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if opt.Arch == "" {
		opt.Arch = "amd64"
	}
	files := map[string]string{"status": "", "apt.conf": c.config(opt)}
	if opt.SignedBy != nil {
		key, err := dearmor(opt.SignedBy)
		if err != nil {
			t.Fatal(err)
		}
		files["key.gpg"] = string(key)
	}
	switch {
	case opt.URL == "":
	case opt.Deb822:
		files["parts/test.sources"] = c.sourcesFile(opt)
	default:
		files["parts/test.list"] = c.sourcesList(opt)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.system, c.root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// place returns the system and a new folder in it.
func place(t testing.TB, opt Options) *Client {
	t.Helper()
	system := os.Getenv(System)
	if system == "" || opt.Contents { // a base system has no apt-file
		need(t, "apt-get", "apt-cache", "gpgv")
		if opt.Contents {
			need(t, "apt-file")
		}
		root := t.TempDir()
		return &Client{root: root, work: filepath.Join(root, "work")}
	}
	dir, err := os.MkdirTemp(filepath.Join(system, "tmp"), "apt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	root := "/tmp/" + filepath.Base(dir)
	return &Client{system: system, root: root, work: root + "/work"}
}

// need skips the test if a program is missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("there is no %s here: %v", p, err)
		}
	}
}

// config is read before the host's configuration and turns that off.
func (c *Client) config(opt Options) string {
	settings := [][2]string{
		{"Dir::State", c.root},
		{"Dir::State::lists", c.root + "/lists"},
		{"Dir::State::status", c.root + "/status"},
		{"Dir::Cache", c.root},
		{"Dir::Cache::archives", c.root + "/archives"},
		{"Dir::Log", c.root},
		{"Dir::Etc", c.root + "/empty"},
		{"Dir::Etc::main", "/dev/null"},
		{"Dir::Etc::parts", c.root + "/empty"},
		{"Dir::Etc::sourcelist", "/dev/null"},
		{"Dir::Etc::sourceparts", c.root + "/parts"},
		{"Dir::Etc::trusted", "/dev/null"},
		{"Dir::Etc::trustedparts", c.root + "/empty"},
		{"Dir::Etc::preferencesparts", c.root + "/empty"},
		{"APT::Architecture", opt.Arch},
		{"APT::Architectures", opt.Arch},
		{"APT::Sandbox::User", "root"},
		{"Acquire::Languages", "none"},
		{"Acquire::Retries", "0"},
		{"Acquire::http::Proxy", "DIRECT"},
		{"Acquire::https::Proxy", "DIRECT"},
		{"Acquire::http::Timeout", "30"},
		{"APT::Install-Recommends", "false"},
		{"Debug::NoLocking", "true"},
	}
	if opt.Contents { // the configuration of Debian's package apt-file
		const target = "Acquire::IndexTargets::deb::Contents-deb::"
		settings = append(settings, [][2]string{
			{target + "MetaKey", "$(COMPONENT)/Contents-$(ARCHITECTURE)"},
			{target + "ShortDescription", "Contents-$(ARCHITECTURE)"},
			{target + "Description", "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)"},
			{target + "KeepCompressed", "true"},
			{"apt-file::Index-Names", "deb"},
		}...)
	}
	if opt.Compressed != "" {
		const target = "Acquire::IndexTargets::deb::Packages::"
		settings = append(settings, [2]string{target + "CompressionTypes", opt.Compressed},
			[2]string{target + "KeepCompressed", "true"}, [2]string{target + "KeepCompressedAs", opt.Compressed})
	}
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "%s %q;\n", s[0], s[1])
	}
	return b.String()
}

func (opt Options) components() string {
	if len(opt.Components) == 0 {
		return "main"
	}
	return strings.Join(opt.Components, " ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (c *Client) sourcesList(opt Options) string {
	options := "arch=" + opt.Arch
	if opt.SignedBy != nil {
		options += " signed-by=" + c.root + "/key.gpg"
	} else {
		options += " trusted=yes"
	}
	if opt.ByHash != nil {
		options += " by-hash=" + yesNo(*opt.ByHash)
	}
	if opt.Snapshot {
		options += " snapshot=enable"
	}
	line := fmt.Sprintf(" [%s] %s %s %s\n", options, opt.URL, opt.Suite, opt.components())
	text := "deb" + line
	if opt.Sources {
		text += "deb-src" + line
	}
	return text
}

func (c *Client) sourcesFile(opt Options) string {
	types := "deb"
	if opt.Sources {
		types = "deb deb-src"
	}
	text := fmt.Sprintf("Types: %s\nURIs: %s\nSuites: %s\nComponents: %s\nArchitectures: %s\n",
		types, opt.URL, opt.Suite, opt.components(), opt.Arch)
	if opt.SignedBy != nil {
		text += "Signed-By: " + c.root + "/key.gpg\n"
	} else {
		text += "Trusted: yes\n"
	}
	if opt.ByHash != nil {
		text += "By-Hash: " + yesNo(*opt.ByHash) + "\n"
	}
	return text
}

// Update fetches the lists. A warning counts as an error, because apt only warns of an
// index that it could not fetch. A client with Snapshot accepts the options
// "--snapshot" and a time.
func (c *Client) Update(ctx context.Context, options ...string) Result {
	return c.run(ctx, "apt-get", append([]string{"-o", "APT::Update::Error-Mode=any", "update"}, options...)...)
}

// Script runs a shell script for administrators, as a page gives it to people. Its folders
// below /etc/apt are those of this machine, and it runs without sudo.
func (c *Client) Script(ctx context.Context, text string) Result {
	text = strings.NewReplacer("sudo ", "", "/etc/apt/sources.list.d", c.root+"/parts", "/etc/apt/keyrings", c.root+"/keyrings").Replace(text)
	return c.run(ctx, "sh", "-e", "-c", text)
}

// Authorize adds an entry of apt_auth.conf(5), which apt alone may read.
func (c *Client) Authorize(t testing.TB, entry string) {
	t.Helper()
	dir := filepath.Join(c.system, c.root, "empty", "auth.conf.d")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "aptless.conf"), []byte(entry+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// Forget removes the fetched lists.
func (c *Client) Forget(t testing.TB) {
	t.Helper()
	lists := filepath.Join(c.system, c.root, "lists")
	if err := errors.Join(os.RemoveAll(lists), os.MkdirAll(filepath.Join(lists, "partial"), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// Knows reports whether apt has a command line option.
func (c *Client) Knows(ctx context.Context, option string) bool {
	return c.run(ctx, "apt-get", option, "20200101T000000Z", "--version").Code == 0
}

// Download fetches packages without their dependencies; see Files.
func (c *Client) Download(ctx context.Context, packages ...string) Result {
	return c.run(ctx, "apt-get", append([]string{"download"}, packages...)...)
}

// Install resolves dependencies and fetches all packages without unpacking them; see
// Archives.
func (c *Client) Install(ctx context.Context, packages ...string) Result {
	return c.run(ctx, "apt-get", append([]string{"install", "-y", "--download-only"}, packages...)...)
}

// Source fetches the files of a source package without unpacking; see Files.
func (c *Client) Source(ctx context.Context, pkg string) Result {
	return c.run(ctx, "apt-get", "source", "--download-only", pkg)
}

// Policy returns the known versions and the candidate of each package.
func (c *Client) Policy(ctx context.Context, packages ...string) Result {
	return c.run(ctx, "apt-cache", append([]string{"policy"}, packages...)...)
}

// FindFile returns the packages with a file whose path contains the words, as apt-file
// finds them.
func (c *Client) FindFile(ctx context.Context, words string) Result {
	return c.run(ctx, "apt-file", "find", words)
}

// Lists returns the fetched lists by file name.
func (c *Client) Lists(t testing.TB) map[string][]byte {
	t.Helper()
	return readFiles(t, filepath.Join(c.system, c.root, "lists"))
}

// Files returns the files fetched by Download and Source, by name.
func (c *Client) Files(t testing.TB) map[string][]byte {
	t.Helper()
	return readFiles(t, filepath.Join(c.system, c.work))
}

// Archives returns the packages fetched by Install, by file name.
func (c *Client) Archives(t testing.TB) map[string][]byte {
	t.Helper()
	return readFiles(t, filepath.Join(c.system, c.root, "archives"))
}

func readFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == "lock" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = b
	}
	return files
}

func (c *Client) run(ctx context.Context, program string, args ...string) Result {
	env := []string{"APT_CONFIG=" + c.root + "/apt.conf", "HOME=" + c.root, "TMPDIR=" + c.root + "/tmp"}
	if c.system != "" {
		return run(ctx, "", env, "chroot", append([]string{c.system, "env", "-C", c.work, program}, args...)...)
	}
	return run(ctx, c.work, env, program, args...)
}

// run runs a program with no environment but PATH. So the host's proxy and language have
// no effect.
func run(ctx context.Context, dir string, env []string, program string, args ...string) Result {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}, env...)
	out, err := cmd.CombinedOutput()
	r := Result{Args: append([]string{program}, args...), Output: string(out)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Code = exit.ExitCode() // -1 if it was killed
	case err != nil:
		r.Code, r.Output = -1, r.Output+err.Error()
	}
	return r
}

// GPGV runs gpgv with one key, armored or binary, as its keyring.
func GPGV(ctx context.Context, t testing.TB, key []byte, args ...string) Result {
	t.Helper()
	need(t, "gpgv")
	binary, err := dearmor(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ring := filepath.Join(dir, "key.gpg")
	if err := os.WriteFile(ring, binary, 0o644); err != nil {
		t.Fatal(err)
	}
	return run(ctx, "", []string{"HOME=" + dir}, "gpgv", append([]string{"--homedir", dir, "--keyring", ring}, args...)...)
}

// GPGVBytes returns checks for Tree: of a clearsigned file, and of a detached signature.
func GPGVBytes(t testing.TB, key []byte) (inRelease func(context.Context, []byte) error, release func(ctx context.Context, text, sig []byte) error) {
	write := func(name string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inRelease = func(ctx context.Context, b []byte) error {
		return GPGV(ctx, t, key, write("InRelease", b)).Err()
	}
	release = func(ctx context.Context, text, sig []byte) error {
		return GPGV(ctx, t, key, write("Release.gpg", sig), write("Release", text)).Err()
	}
	return inRelease, release
}

// dearmor decodes ASCII armor (RFC 4880 6.2) and ignores its checksum. It returns other
// data unchanged.
func dearmor(key []byte) ([]byte, error) {
	text := strings.ReplaceAll(string(key), "\r\n", "\n")
	_, text, armored := strings.Cut(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
	if !armored {
		return key, nil
	}
	_, body, ok := strings.Cut(text, "\n\n") // headers end at an empty line
	if rest, found := strings.CutPrefix(text, "\n"); found {
		body, ok = rest, true
	}
	body, _, ended := strings.Cut(body, "-----END")
	if !ok || !ended {
		return nil, errors.New("armor without an end")
	}
	var b strings.Builder
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "=") {
			b.WriteString(line)
		}
	}
	binary, err := base64.StdEncoding.DecodeString(b.String())
	if err != nil {
		return nil, fmt.Errorf("armor: %w", err)
	}
	return binary, nil
}
