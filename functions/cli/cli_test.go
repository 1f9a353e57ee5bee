package cli_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/functions/cli"
)

// bench is a server, and the world of command lines that use it.
type bench struct {
	*apptest.Process
	memory *drivertest.Memory
	url    string
	env    map[string]string
	home   string
	in     string
	sign   func(ctx context.Context, region string) (func(*http.Request) error, error) // by AWS credentials

	admitted func() // is called at a look at a task; nil for nothing

	mu  sync.Mutex
	log []string // requests that are no looks at tasks
}

// newBench starts a server in memory.
func newBench(t *testing.T, set ...func(*app.Config)) *bench {
	t.Helper()
	return newBenchOn(t, drivertest.NewMemory(time.Now), set...)
}

// newBenchOn starts a server on a memory.
func newBenchOn(t *testing.T, m *drivertest.Memory, set ...func(*app.Config)) *bench {
	t.Helper()
	b := &bench{memory: m, env: map[string]string{}, home: t.TempDir()}
	b.Process = apptest.New(t, apptest.On(m), append([]func(*app.Config){func(c *app.Config) { c.Version = "1.6.3+aptless" }}, set...)...)
	b.Process.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, b.Dispatcher.Handle, 4) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/tasks/") && r.URL.Path != "/api/version" {
			q := r.URL.Query()
			q.Del("_async")
			line := r.Method + " " + r.URL.EscapedPath()
			if len(q) > 0 {
				line += "?" + q.Encode()
			}
			b.mu.Lock()
			b.log = append(b.log, line)
			b.mu.Unlock()
		}
		if b.admitted != nil && strings.HasPrefix(r.URL.Path, "/api/tasks/") {
			b.admitted()
		}
		b.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	b.env["APTLESS_URL"] = s.URL
	return b
}

// requests returns the requests since the last call.
func (b *bench) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log
	b.log = nil
	return log
}

// result is the end of a command line.
type result struct {
	out, err string
	code     int
}

// run runs a command line; words begin with the name of the program. width is that of the
// terminal on all streams, and 0 for pipes.
func (b *bench) run(ctx context.Context, width int, words ...string) result {
	var out, err bytes.Buffer
	code := cli.Main(ctx, cli.Env{In: strings.NewReader(b.in), Out: &out, Err: &err, Getenv: func(name string) string { return b.env[name] }, Home: b.home,
		Now: time.Now, SignAWS: b.sign, Version: "1.6.3+aptless", Terminal: func(any) (int, bool) { return width, width > 0 }}, words, func() []*cobra.Command { return []*cobra.Command{{Use: "key"}} })
	return result{out.String(), err.String(), code}
}

func (b *bench) aptless(t *testing.T, words ...string) result {
	return b.run(t.Context(), 0, append([]string{"aptless"}, words...)...)
}

// must runs a command line that has to succeed, and returns its output.
func (b *bench) must(t *testing.T, words ...string) string {
	t.Helper()
	r := b.aptless(t, words...)
	if r.code != 0 {
		t.Fatalf("aptless %s: exit code %d\n%s%s", strings.Join(words, " "), r.code, r.out, r.err)
	}
	return r.out
}

// debs writes packages to a folder.
func debs(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		parts := strings.Split(name, "_")
		if err := os.WriteFile(filepath.Join(dir, name+".deb"), apptest.Deb(parts[0], parts[1], parts[2]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFromPackageToPublication is the way of a first user, with aptly's words.
func TestFromPackageToPublication(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64", "bb_2_all")
	b.must(t, "repo", "create", "-comment=first one", "-distribution", "stable", "r")
	b.must(t, "repo", "add", "r", dir)
	if got := b.must(t, "repo", "search", "r", "Name (% a*)"); got != "aa_1_amd64\n" {
		t.Errorf("search: %q", got)
	}
	if got := b.must(t, "repo", "list"); got != "r\t2\tstable\tmain\tfirst one\n" {
		t.Errorf("list: %q", got)
	}
	b.must(t, "snapshot", "create", "s1", "from", "repo", "r")
	b.must(t, "publish", "repo", "r", "team")
	b.must(t, "publish", "snapshot", "-distribution=frozen", "s1")
	if got := b.must(t, "publish", "list", "-raw"); got != ". frozen\nteam stable\n" {
		t.Errorf("publications: %q", got)
	}
	b.must(t, "repo", "remove", "r", "bb")
	b.must(t, "publish", "update", "stable", "team")
	b.must(t, "snapshot", "create", "s2", "from", "repo", "r")
	b.must(t, "publish", "switch", "frozen", "s2")
	if got := b.must(t, "snapshot", "diff", "s1", "s2"); got != "-\tbb_2_all\t-\n" {
		t.Errorf("difference: %q", got)
	}
	for _, tree := range []string{"/dists/frozen", "/team/dists/stable"} {
		if index := b.File(t, tree+"/main/binary-amd64/Packages"); !strings.Contains(index, "Package: aa\n") || strings.Contains(index, "Package: bb\n") {
			t.Errorf("%s:\n%s", tree, index)
		}
	}
}

// TestExitCodes has a command for each code, and for the code under the name aptly. aptly
// 1.5.0 ends with 0 where a query matches nothing; see TestScriptsOfAptlyRun.
func TestExitCodes(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "repo", "create", "r")
	b.must(t, "repo", "add", "r", dir)
	b.must(t, "snapshot", "create", "s", "from", "repo", "r")
	broken := filepath.Join(t.TempDir(), "x_1_all.deb")
	if err := os.WriteFile(broken, []byte("!<arch>\nno package"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		words       string
		code, alias int
	}{
		{"repo list", 0, 0}, {"repo add r " + broken, 1, 1}, {"repo search r none", 1, 1},
		{"repo nonsense", 2, 2}, {"nonsense", 2, 2}, {"repo", 2, 2}, {"repo create", 2, 2}, {"repo list --nonsense", 2, 2}, {"repo add r /none", 2, 1},
		{"repo include --keyring=x r", 2, 2}, {"-dep-follow-suggests repo search -with-deps r aa", 0, 0}, {"repo list --progress=x", 2, 2}, {"api serve", 2, 2},
		{"repo show none", 3, 1}, {"snapshot show none", 3, 1}, {"mirror show none", 3, 1}, {"publish show none", 3, 1}, {"task show 99", 3, 1}, {"repo remove r none", 3, 0},
		{"repo create r", 5, 1}, {"repo drop r", 5, 1}, {"repo list --url=http://127.0.0.1:1", 6, 1}, {"repo list --url=ftp://x", 2, 2},
	} {
		for program, code := range map[string]int{"aptless": tc.code, "aptly": tc.alias} {
			if r := b.run(t.Context(), 0, append([]string{program}, strings.Fields(tc.words)...)...); r.code != code {
				t.Errorf("%s %s: exit code %d, want %d\n%s", program, tc.words, r.code, code, r.err)
			}
		}
	}
}

// TestRefusedCredentialsHaveACode: 4, and a hint to sign in.
func TestRefusedCredentialsHaveACode(t *testing.T) {
	b := newBench(t, func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: strings.Repeat("0", 64)} })
	if r := b.aptless(t, "repo", "list"); r.code != 4 || !strings.Contains(r.err, "\n  aptless login\n") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	b.env["APTLESS_TOKEN"] = "aptless_secret_of_mine"
	if r := b.aptless(t, "repo", "list", "-v"); r.code != 4 || strings.Contains(r.err+r.out, "secret_of_mine") || !strings.Contains(r.err, "GET /api/repos 401") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// TestErrorsHaveThreeLines: the command, the server's reason, and a command to go on with.
func TestErrorsHaveThreeLines(t *testing.T) {
	b := newBench(t)
	b.must(t, "repo", "create", "r")
	for words, want := range map[string]string{
		"repo create r":  "aptless repo create r failed\n  local repo with name r already exists\n  aptless repo show r\n",
		"repo show none": "aptless repo show none failed\n  local repo with name none not found\n  aptless repo list\n",
		"repo lst":       "aptless: aptless repo has no verb \"lst\": is it list?\n",
	} {
		if r := b.aptless(t, strings.Fields(words)...); r.err != want {
			t.Errorf("%s:\n%s\nwant\n%s", words, r.err, want)
		}
	}
	r := b.aptless(t, "repo", "show", "none", "--json")
	if want := `{"error":"aptless repo show none failed","detail":"local repo with name none not found","hint":"aptless repo list","status":404}` + "\n"; r.err != want {
		t.Errorf("as JSON: %s", r.err)
	}
}

// TestTerminalsAndPipes: one command on both. No escape byte reaches a pipe.
func TestTerminalsAndPipes(t *testing.T) {
	b := newBench(t)
	b.must(t, "repo", "create", "-comment", "a \x1b[31mred\nname", "r")
	pipe, terminal := b.run(t.Context(), 0, "aptless", "repo", "list"), b.run(t.Context(), 40, "aptless", "repo", "list")
	if want := "r\t0\t\tmain\ta \\x1b[31mred\\x0aname\n"; pipe.out != want || pipe.err != "" {
		t.Errorf("pipe: %q %q, want %q", pipe.out, pipe.err, want)
	}
	lines := strings.Split(terminal.out, "\n")
	if !strings.HasPrefix(lines[0], "NAME  PACKAGES  DISTRIBUTION") || strings.ContainsRune(terminal.out, '\x1b') {
		t.Errorf("terminal: %q", terminal.out)
	}
	for _, line := range lines {
		if len(line) > 40 {
			t.Errorf("a line of %d columns on a terminal of 40: %q", len(line), line)
		}
	}
	if got := b.must(t, "repo", "list", "--json"); !strings.HasPrefix(got, "[\n  {\n    \"Name\": \"r\",") {
		t.Errorf("JSON: %q", got)
	}
}

// TestProfiles: the order of the settings, tokens in readable files, and aptly's -config.
func TestProfiles(t *testing.T) {
	b := newBench(t)
	b.must(t, "repo", "create", "here")
	write := func(mode os.FileMode, text string) {
		if err := os.MkdirAll(filepath.Join(b.home, "aptless"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(b.home, "aptless", "config.toml")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	delete(b.env, "APTLESS_URL")
	profile := "default = \"prod\"\n[profile.prod]\nurl = \"" + b.url + "\"\naptly_config = \"/etc/aptly-prod.conf\"\n[profile.other]\nurl = \"http://127.0.0.1:1\"\n"
	write(0o644, profile)
	if got := b.must(t, "repo", "list", "-raw"); got != "here\n" {
		t.Errorf("default profile: %q", got)
	}
	if r := b.aptless(t, "repo", "list", "--profile=other"); r.code != 6 {
		t.Errorf("another profile: exit code %d", r.code)
	}
	if got := b.must(t, "repo", "list", "-raw", "-config=/etc/aptly-prod.conf"); got != "here\n" {
		t.Errorf("aptly's configuration: %q", got)
	}
	b.env["APTLESS_PROFILE"] = "other"
	if got := b.must(t, "repo", "list", "-raw", "--url", b.url); got != "here\n" {
		t.Errorf("--url comes before profiles: %q", got)
	}
	delete(b.env, "APTLESS_PROFILE")
	write(0o644, profile+"token = \"t0psecret\"\n")
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "chmod 600") || strings.Contains(r.err, "t0psecret") {
		t.Errorf("a token that others can read: exit code %d, %s", r.code, r.err)
	}
	write(0o600, profile+"token = \"t0psecret\"\n")
	if got := b.must(t, "config", "show", "--profile=other"); strings.Contains(got, "t0psecret") || !strings.Contains(got, "Token from\tprofile other\n") {
		t.Errorf("settings: %s", got)
	}
	if got := b.must(t, "config", "show", "--profile=other", "--url", b.url); !strings.Contains(got, "Token\tnone\n") {
		t.Errorf("the token of a profile goes to another server: %s", got)
	}
	write(0o600, "nonsense = 1\n")
	if r := b.aptless(t, "repo", "list"); r.code != 2 || !strings.Contains(r.err, "nonsense") {
		t.Errorf("an unknown key: exit code %d, %s", r.code, r.err)
	}
}

// TestTimeoutTellsTheTask: the code is 7, the task goes on, and the hint follows it.
func TestTimeoutTellsTheTask(t *testing.T) {
	b := newBench(t)
	if r := b.aptless(t, "repo", "create", "r", "--timeout=1ns"); r.code != 7 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := b.run(ctx, 0, "aptless", "repo", "create", "q"); r.code != 130 {
		t.Errorf("interrupted: exit code %d\n%s", r.code, r.err)
	}
}

// TestInterruptTellsTheTask: the code is 130, and the printed command follows the task to
// its end.
func TestInterruptTellsTheTask(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.admitted = cancel
	r := b.run(ctx, 0, "aptless", "repo", "create", "r")
	b.admitted = nil
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	words := strings.Fields(lines[len(lines)-1])
	if r.code != 130 || len(words) != 4 || words[1] != "task" || words[2] != "wait" {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	b.must(t, words[1:]...)
	b.must(t, "repo", "show", "r")
}

// TestNoWaitPrintsTheTask: its number on stdout, by which it is waited for.
func TestNoWaitPrintsTheTask(t *testing.T) {
	b := newBench(t)
	id := strings.TrimSpace(b.must(t, "repo", "create", "r", "--no-wait"))
	b.must(t, "task", "wait", id)
	if got := b.must(t, "task", "show", id); !strings.Contains(got, "State\tsucceeded\n") {
		t.Errorf("task %s: %s", id, got)
	}
	b.must(t, "repo", "show", "r")
}

// TestTaskRunStopsAtTheFirstFailure: later commands are listed as skipped.
func TestTaskRunStopsAtTheFirstFailure(t *testing.T) {
	b := newBench(t)
	r := b.run(t.Context(), 0, "aptly", "task", "run", "repo", "create", "a,", "repo", "show", "none,", "repo", "create", "b")
	if r.code != 1 || !strings.Contains(r.out, "3) [Skipped]: repo create b") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if got := b.must(t, "repo", "list", "-raw"); got != "a\n" {
		t.Errorf("repositories: %q", got)
	}
	file := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(file, []byte("# comment\nrepo create -comment=\"two words\" c\n\nsnapshot create e empty\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.must(t, "task", "run", "-filename="+file)
	if got := b.must(t, "repo", "show", "c"); !strings.Contains(got, "Comment\ttwo words\n") {
		t.Errorf("repository c: %s", got)
	}
}

// TestCompletionHasNamesOfTheServer, and is silent if there is no server.
func TestCompletionHasNamesOfTheServer(t *testing.T) {
	b := newBench(t)
	b.must(t, "repo", "create", "alpha")
	b.must(t, "repo", "create", "beta")
	if got := b.must(t, "__complete", "repo", "show", "al"); !strings.HasPrefix(got, "alpha\n:") {
		t.Errorf("completion: %q", got)
	}
	b.env["APTLESS_URL"] = "http://127.0.0.1:1"
	if got := b.must(t, "__complete", "repo", "show", "al"); !strings.HasPrefix(got, ":") {
		t.Errorf("completion without a server: %q", got)
	}
}

// contextOf returns a context that a test ends.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// TestReadersGetThePrefix holds that the address for readers has the prefix of the publication.
func TestReadersGetThePrefix(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "repo", "create", "-distribution", "stable", "r")
	b.must(t, "repo", "add", "r", dir)
	for prefix, want := range map[string]string{".": "/aptless.sources", "team/x": "/team/x/aptless.sources"} {
		if got := b.aptless(t, "publish", "repo", "r", prefix); got.code != 0 || !strings.Contains(got.err, b.url+want+"\n") {
			t.Errorf("%s: %+v", prefix, got)
		}
	}
}
