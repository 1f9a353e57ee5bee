package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/front/app"
)

// TestHints has an error for each row of the table of hints, with the line that helps. A
// hint that is a command runs: it is no wrong use. One that adds a flag makes the command
// succeed.
func TestHints(t *testing.T) {
	b, dir, other := newBench(t), debs(t, "aa_1_amd64"), debs(t, "aa_1_amd64")
	file := filepath.Join(other, "aa_1_amd64.deb")
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.must(t, "repo", "create", "tools")
	b.must(t, "repo", "add", "tools", dir)
	b.must(t, "repo", "create", "others")
	b.must(t, "repo", "add", "others", other)
	b.must(t, "repo", "create", "-distribution=empty", "empty")
	b.must(t, "snapshot", "create", "snap", "from", "repo", "tools")
	b.must(t, "publish", "repo", "-distribution=stable", "tools", "team")
	b.must(t, "publish", "snapshot", "-distribution=frozen", "snap")
	for _, tc := range [][2]string{
		{"repo create tools", "aptless repo show tools"},
		{"snapshot create snap empty", "aptless snapshot show snap"},
		{"publish repo -distribution=stable tools team", "aptless publish update DISTRIBUTION [PREFIX], or aptless publish list"},
		{"repo drop tools", "aptless publish drop stable team    # published: team/stable"},
		{"snapshot drop snap", "aptless publish drop frozen .    # published: ./frozen"},
		{"publish repo -distribution=other others team", "add --force-overwrite, or create the publication with --pool-layout=hash"},
		{"publish repo tools", "add --distribution=NAME"},
		{"publish repo empty", "add --architectures=amd64"},
		{"repo show tols", "aptless repo show tools"},
		{"snapshot show snip", "aptless snapshot show snap"},
		{"repo show nothinglike", "aptless repo list"},
		{"publish show nothing", "aptless publish list"},
		{"task show 999", "aptless task list"},
		{"publish snapshot -distribution=new snip", "aptless publish snapshot -distribution=new snap"},
		{"publish drop nothing", "aptless publish list"},
		{"push --repo tols " + dir, "aptless push --repo tools " + dir},
		{"push --repo nothinglike " + dir, "aptless repo list    # or add --create, to make it"},
		{"push --repo tools --publish nothing " + dir, "aptless publish list    # or add --create, to make it"},
		{"publish rollback frozen 9", "aptless publish history DISTRIBUTION [PREFIX] lists the revisions"},
		{"publish switch stable team snap", "it publishes a repository: aptless publish update DISTRIBUTION [PREFIX]; a snapshot needs another distribution"},
		{"mirror create m deb.debian.org/debian stable", "write the address with http:// or https://"},
		{"mirror create m http://127.0.0.1:9/debian stable", "start the server with --allow-upstream=HOST"},
	} {
		words, hint := tc[0], tc[1]
		r := b.aptless(t, strings.Fields(words)...)
		lines := strings.Split(strings.TrimSpace(r.err), "\n")
		if got := strings.TrimSpace(lines[len(lines)-1]); r.code == 0 || got != hint {
			t.Errorf("%s: exit code %d, hint %q, want %q\n%s", words, r.code, got, hint, r.err)
		}
		if flag, adds := strings.CutPrefix(hint, "add "); adds { // the same command with the flag succeeds
			flag, _, _ = strings.Cut(flag, ",")
			if r := b.aptless(t, append(strings.Fields(words), flag, "--dry-run")...); r.code != 0 {
				t.Errorf("%s %s: exit code %d\n%s", words, flag, r.code, r.err)
			}
		}
		command, _, _ := strings.Cut(hint, "    #")
		if !strings.HasPrefix(command, "aptless ") || strings.Contains(command, "[") {
			continue
		}
		run := strings.Fields(command)[1:]
		if strings.Contains(command, "publish drop") {
			run = append(run, "--dry-run")
		}
		if r := b.aptless(t, run...); r.code == 2 {
			t.Errorf("%s: exit code 2\n%s", command, r.err)
		}
	}
}

// TestHintsOfOtherServers: a proxy refuses large bodies, a server is older than the client,
// and apt refuses a key.
func TestHintsOfOtherServers(t *testing.T) {
	b := newBench(t)
	status, body := 0, ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/version" {
			io.WriteString(w, `{"Version":"1.6.0+aptless0.0"}`)
			return
		}
		w.Header().Set("X-Request-Id", "req-7")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	defer s.Close()
	b.env["APTLESS_URL"] = s.URL
	for _, tc := range []struct {
		status     int
		body, want string
		code       int
	}{
		{413, "<html>", "a proxy or --max-upload of the server limits the size of a file", 1},
		{404, `{"error":"404 page not found"}`, "the server is older than this client", 1},
		{500, `{"error":"key 1234 is refused by apt: it is weak"}`, "aptless key lint", 1},
		{403, `{"error":"not allowed"}`, "aptless whoami", 4},
		{429, `{"error":"too many tasks"}`, "aptless task list", 1},
	} {
		status, body = tc.status, tc.body
		if r := b.aptless(t, "-v", "repo", "show", "x"); r.code != tc.code || !strings.Contains(r.err, tc.want) || tc.status != 404 && !strings.Contains(r.err, "\n  request req-7 at 20") {
			t.Errorf("%d: exit code %d\n%s", tc.status, r.code, r.err)
		}
	}
}

// TestColors: they are on a terminal only, not with NO_COLOR, and --color decides before
// all. Data on stdout has none.
func TestColors(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "repo", "create", "r")
	escape := "\x1b["
	for _, tc := range []struct {
		env   string
		width int
		words string
		want  bool
	}{
		{"", 80, "repo show none", true}, {"", 0, "repo show none", false}, {"NO_COLOR", 80, "repo show none", false}, {"NO_COLOR", 80, "repo add r " + dir, false},
		{"", 0, "repo show none --color=always", true}, {"", 80, "repo show none --color=never", false}, {"NO_COLOR", 80, "repo show none --color=always", true}, {"", 0, "repo add r " + dir, false},
	} {
		if tc.env != "" {
			b.env[tc.env] = "1"
		}
		r := b.run(t.Context(), tc.width, append([]string{"aptless"}, strings.Fields(tc.words)...)...)
		delete(b.env, tc.env)
		if got := strings.Contains(r.err, escape); got != tc.want || strings.Contains(r.out, escape) {
			t.Errorf("%+v: %q", tc, r.err)
		}
	}
	if r := b.aptless(t, "repo", "list", "--color=pink"); r.code != 2 {
		t.Errorf("exit code %d", r.code)
	}
}

// TestCompletionOfEachKind: the position of an argument decides the names, and profiles and
// components complete flags.
func TestCompletionOfEachKind(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "push", "--repo", "tools", "--create", "--publish", "stable@team", dir)
	b.must(t, "snapshot", "create", "snap", "from", "repo", "tools")
	b.profile(t, "url = \""+b.url+"\"\n")
	b.env["APTLESS_URL"] = b.url
	for words, want := range map[string]string{
		"repo show ": "tools", "snapshot show ": "snap", "publish update ": "stable", "publish update stable ": "team", "publish switch stable team ": "snap",
		"repo copy tools ": "tools", "repo copy tools tools ": "", "repo list --profile ": "p", "publish source remove --component ": "main", "push --repo ": "tools", "publish repo --component ": "main",
	} {
		parts := strings.Split(words, " ")
		got := b.must(t, append([]string{"__complete"}, parts...)...)
		names := strings.Split(got[:strings.LastIndex(got, ":")], "\n")
		if want == "" && len(names) > 1 || want != "" && !slices.Contains(names, want) {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}

// TestCompletionOfManyNames: 10,000 names come within the second that a completion has, and
// a server that does not answer costs no more than that. The scripts of the shells load.
func TestCompletionOfManyNames(t *testing.T) {
	b := newBench(t)
	silent := make(chan struct{})
	hang := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hang {
			select {
			case <-silent:
			case <-r.Context().Done():
			}
			return
		}
		var list []string
		for i := range 10000 {
			list = append(list, fmt.Sprintf(`{"Name":"repository-%05d"}`, i))
		}
		io.WriteString(w, "["+strings.Join(list, ",")+"]")
	}))
	defer s.Close()
	defer close(silent)
	b.env["APTLESS_URL"] = s.URL
	if got := b.must(t, "__complete", "repo", "show", "repo"); strings.Count(got, "repository-") != 10000 {
		t.Errorf("%d names", strings.Count(got, "repository-"))
	}
	hang = true
	ended := make(chan string)
	go func() { ended <- b.aptless(t, "__complete", "repo", "show", "repo").out }()
	select {
	case got := <-ended:
		if !strings.HasPrefix(got, ":") {
			t.Errorf("names without a server: %q", got)
		}
	case <-time.After(10 * time.Second): // the bound is a second, and this machine may be busy
		t.Error("a completion waits for a silent server")
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := b.must(t, "completion", shell)
		if !strings.Contains(script, "aptless") {
			t.Errorf("%s: %q", shell, script)
		}
		if program, err := exec.LookPath(shell); err == nil {
			check := exec.Command(program, "-n")
			check.Stdin = strings.NewReader(script)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", shell, err, out)
			}
		}
	}
}

// TestInterruptOfAMirrorUpdate: the exit code is 130, and the printed command follows the
// task to its end.
func TestInterruptOfAMirrorUpdate(t *testing.T) {
	b := newBench(t)
	b.Archive(t)
	b.must(t, "mirror", "create", "m", "https://archive.example.org/debian", "stable", "main")
	ctx, cancel := contextOf(t)
	b.admitted = cancel
	r := b.run(ctx, 0, "aptless", "mirror", "update", "m")
	b.admitted = nil
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	words := strings.Fields(lines[len(lines)-1])
	if r.code != 130 || len(words) != 4 || words[1] != "task" || words[2] != "wait" {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	b.must(t, words[1:]...)
	if got := b.must(t, "mirror", "show", "-with-packages", "m"); strings.Contains(got, "Number of packages\t0\n") {
		t.Errorf("the update has not ended: %s", got)
	}
}

// TestInterruptOfAnUpload: the last line is the whole command, by which the upload goes on.
func TestInterruptOfAnUpload(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	b.must(t, "repo", "create", "r")
	ctx, cancel := contextOf(t)
	b.before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/files/") || r.Method == http.MethodPut {
			cancel()
		}
		next.ServeHTTP(w, r)
	})
	r := b.run(ctx, 0, "aptless", "repo", "add", "r", dir)
	if want := "  aptless repo add r " + dir + "\n"; r.code != 130 || !strings.HasSuffix(r.err, want) {
		t.Errorf("exit code %d, want %q\n%s", r.code, want, r.err)
	}
}

// TestRollbackAsksForTheState: a person at a terminal sees the former states and chooses.
func TestRollbackAsksForTheState(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64", "bb_1_amd64")
	b.must(t, "push", "--repo", "r", "--create", "--publish", "stable", filepath.Join(dir, "aa_1_amd64.deb"))
	b.must(t, "push", "--repo", "r", "--publish", "stable", filepath.Join(dir, "bb_1_amd64.deb"))
	if got := b.must(t, "publish", "history", "stable"); !regexp.MustCompile(`^2\t\S+\tyes\tmain: r\t1\t0\n1\t\S+\tno\tmain: r\t1\t0\n$`).MatchString(got) {
		t.Errorf("history: %q", got)
	}
	if r := b.aptless(t, "publish", "rollback", "stable"); r.code != 2 {
		t.Errorf("in a pipe: exit code %d", r.code)
	}
	b.in = "1\n"
	r := b.run(t.Context(), 80, "aptless", "publish", "rollback", "stable")
	b.in = ""
	if !strings.Contains(r.err, "Which state is published again? [1]") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// TestNamesOfFilesAreCheckedFirst: nothing is sent for a name that no server takes.
func TestNamesOfFilesAreCheckedFirst(t *testing.T) {
	b, dir := newBench(t), debs(t, "aa_1_amd64")
	if err := os.Rename(filepath.Join(dir, "aa_1_amd64.deb"), filepath.Join(dir, ".aa\n_1.deb")); err != nil {
		t.Fatal(err)
	}
	b.requests()
	if r := b.aptless(t, "files", "upload", "d", dir); r.code != 2 || len(b.requests()) > 0 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// TestPackagesShowNoControlBytes: a field of a package cannot change the terminal.
func TestPackagesShowNoControlBytes(t *testing.T) {
	b := newBench(t, func(*app.Config) {})
	b.before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/api/packages" {
			io.WriteString(w, `[{"Package":"x","Description":" one\u001b[31m\n two"}]`)
			return
		}
		next.ServeHTTP(w, r)
	})
	if got := b.must(t, "package", "show", "x"); got != "Package: x\nDescription: one\\x1b[31m\n two\n\n" {
		t.Errorf("%q", got)
	}
}

// TestWhoamiShowsGrants: the role of each grant, and the names to which it applies.
func TestWhoamiShowsGrants(t *testing.T) {
	b := newBench(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"Kind":"api","Name":"ci","Grants":[{"Role":"publisher","Repos":["a","b"],"Publish":[".//stable"]},{"Can":["metrics.read"]}]}`)
	}))
	defer s.Close()
	b.env["APTLESS_URL"] = s.URL
	r := b.aptless(t, "whoami")
	for _, want := range []string{"Name\tci\n", "Grant\tpublisher Publish=.//stable Repos=a,b\n", "Grant\tCan=metrics.read\n"} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("no %q in %q, exit code %d\n%s", want, r.out, r.code, r.err)
		}
	}
}
