package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// step is a command of aptly. {dir} is a folder with packages, and {rules} a file.
type step struct {
	words string
	code  int
}

// steps are all commands of aptly in an order in which they can run.
func steps() []step {
	return []step{
		{"repo create -comment=first -component=main -distribution=stable -uploaders-file={rules} r", 0},
		{"repo create q", 0}, {"repo add r {dir}", 0}, {"repo add -force-replace q {dir}", 0}, {"repo list", 0}, {"repo list -raw", 0}, {"repo show -with-packages r", 0},
		{"repo edit -comment=other r", 0}, {"repo edit -uploaders-file= r", 0}, {"repo search -with-deps -format={{.Package}} r aa", 0}, {"repo remove -dry-run r aa", 0}, {"repo remove q aa", 0},
		{"repo copy r q aa", 0}, {"repo move r q bb", 0}, {"repo include -accept-unsigned -no-remove-files -repo=r {changes}", 0}, {"repo create -distribution=copy tmp", 0}, {"repo rename tmp renamed", 0},
		{"mirror create -filter=hello -filter-with-deps -with-sources -with-udebs m https://archive.example.org/debian stable main", 0}, {"mirror list", 0}, {"mirror show m", 0},
		{"mirror edit -filter= m", 0}, {"mirror update -max-tries=3 m", 0}, {"mirror show -with-packages m", 0}, {"mirror search m hello", 0}, {"mirror rename m mm", 0},
		{"repo import mm r hello", 0}, {"snapshot create sm from mirror mm", 0}, {"snapshot create s1 from repo r", 0}, {"snapshot create s2 from repo q", 0}, {"snapshot create none empty", 0},
		{"repo create fromsnapshot from snapshot s1", 0}, {"snapshot list -sort=time", 0}, {"snapshot show -with-packages s1", 0}, {"snapshot verify s1 sm", 0}, {"snapshot diff -only-matching s1 s2", 0},
		{"snapshot pull -no-deps -architectures=amd64 s1 s2 s3 aa", 0}, {"snapshot merge -latest s4 s1 s2", 0}, {"snapshot filter -with-deps -architectures=amd64 s1 s5 aa", 0}, {"snapshot search s1 aa", 0}, {"snapshot rename s5 s6", 0}, {"snapshot drop s6", 0},
		{"publish repo -batch -keyring=x -label=l -origin=o r", 0}, {"publish repo -distribution=multi -component=a,b r q team", 0}, {"publish snapshot -distribution=frozen -skip-contents -notautomatic=yes s1", 0},
		{"publish list", 0}, {"publish show stable", 0}, {"publish update -force-overwrite stable", 0}, {"publish switch -skip-cleanup frozen s2", 0}, {"publish switch -component=main frozen . s1", 0},
		{"publish source add -prefix=team -component=c multi renamed", 0}, {"publish source update -prefix=team -component=a multi q", 0}, {"publish source list -prefix=team multi", 0},
		{"publish source remove -prefix=team -component=b multi", 0}, {"publish update multi team", 0}, {"publish source replace -prefix=team -component=main multi r", 0}, {"publish source drop -prefix=team multi", 0},
		{"publish drop -force-drop multi team", 0}, {"package search -format={{.Version}} aa", 0}, {"package show -with-files -with-references aa", 0}, {"graph -format=gv", 0},
		{"task run snapshot list, repo list", 0}, {"config show", 0}, {"version", 0}, {"publish drop frozen", 0}, {"snapshot drop -force s1", 0}, {"mirror drop -force mm", 0}, {"repo drop -force q", 0},
		{"db cleanup", 0}, {"db cleanup -dry-run", 0}, {"db recover", 0}, {"serve", 2}, {"api serve", 2},
	}
}

// fill replaces the files of a step.
func fill(t *testing.T, words string, files map[string]string) []string {
	t.Helper()
	parts := strings.Split(words, " ")
	for i, p := range parts {
		for name, path := range files {
			p = strings.ReplaceAll(p, name, path)
		}
		parts[i] = p
	}
	return parts
}

// masked are the parts of a request that differ from run to run.
var masked = []struct {
	pattern *regexp.Regexp
	text    string
}{{regexp.MustCompile(`push-[0-9a-f]+`), "DIR"}, {regexp.MustCompile(`/api/files/DIR/.+`), "/api/files/DIR/FILE"}, {regexp.MustCompile(`/api/packages/P[^/]+`), "/api/packages/KEY"}}

// shown writes the requests of a step; equal ones stand once.
func shown(requests []string) string {
	var lines []string
	for _, r := range requests {
		for _, m := range masked {
			r = m.pattern.ReplaceAllString(r, m.text)
		}
		if r = "`" + strings.ReplaceAll(r, "|", "%7C") + "`"; !slices.Contains(lines, r) {
			lines = append(lines, r)
		}
	}
	if len(lines) == 0 {
		return "–"
	}
	return strings.Join(lines, "<br>")
}

const begin = `# aptly's commands

The test ` + "`TestCommandsOfAptly`" + ` of functions/cli runs each command in this order and writes this page. Run it with ` + "`APTLESS_WRITE=1`" + ` after a change.

## Requests

Requests that look at tasks are left out. The last column is the exit code.

| command | requests | exit |
|---|---|---|
`

const middle = `
## Flags

A flag works unless its column says something else. Words with one dash or two are equal. Flags that aptly 1.5.0 does not have are in italics.

| command | works | no effect, with a note | refused, exit code 2 |
|---|---|---|---|
`

// TestCommandsOfAptly runs every command and holds docs/aptly-commands.md to the result.
// aptly, if it is installed, says which flags a command has: each must be known.
func TestCommandsOfAptly(t *testing.T) {
	b := newBench(t)
	b.Archive(t)
	b.requests()
	files := aptlyFiles(t)
	page, commands := begin, []string{}
	for _, s := range steps() {
		r := b.run(t.Context(), 0, append([]string{"aptly"}, fill(t, s.words, files)...)...)
		if r.code != s.code {
			t.Errorf("aptly %s: exit code %d, want %d\n%s%s", s.words, r.code, s.code, r.out, r.err)
		}
		page += fmt.Sprintf("| `%s` | %s | %d |\n", strings.ReplaceAll(s.words, "|", `\|`), shown(b.requests()), r.code)
		words := strings.Fields(s.words)
		name := strings.Join(words[:min(2, len(words))], " ")
		if words[0] == "graph" || words[0] == "version" || words[0] == "serve" {
			name = words[0]
		}
		if len(words) > 2 && words[1] == "source" {
			name = strings.Join(words[:3], " ")
		}
		if !slices.Contains(commands, name) && words[0] != "serve" && words[0] != "api" {
			commands = append(commands, name)
		}
	}
	page += middle
	for _, name := range commands {
		page += flagsRow(t, b, name)
	}
	page += differences()
	const path = "../../docs/aptly-commands.md"
	if os.Getenv("APTLESS_WRITE") != "" {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if _, aptly := exec.LookPath("aptly"); aptly != nil {
		t.Skip("aptly is not installed: its flags are not compared, nor the page")
	}
	if err != nil || string(have) != page {
		t.Errorf("docs/aptly-commands.md is not that of today's commands (%v): run this test with APTLESS_WRITE=1", err)
	}
}

// aptlyFiles writes the files of the steps.
func aptlyFiles(t *testing.T) map[string]string {
	dir := debs(t, "aa_1_amd64", "bb_2_all")
	rules := filepath.Join(t.TempDir(), "uploaders.json")
	changes := filepath.Join(t.TempDir(), "cc.changes")
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, []byte(`{"rules":[{"condition":"Priority (= important)","allow":["*"]},{"condition":"Name (% *)","allow":["*"]}]}`))
	deb := apptest.Deb("cc", "1", "all")
	write(filepath.Join(filepath.Dir(changes), "cc_1_all.deb"), deb)
	write(changes, changesOf(deb))
	return map[string]string{"{dir}": dir, "{rules}": rules, "{changes}": changes}
}

// flagsRow writes the flags of a command. The shell's completion lists them.
func flagsRow(t *testing.T, b *bench, name string) string {
	t.Helper()
	everywhere := flagsOf(t, b, "__complete", "version", "--")
	own := flagsOf(t, b, append(append([]string{"__complete"}, strings.Fields(name)...), "--")...)
	aptly := aptlyFlags(t, name)
	columns := [3][]string{}
	for flag, about := range own {
		if _, ok := everywhere[flag]; ok {
			continue
		}
		text := "`-" + flag + "`"
		if !slices.Contains(aptly, flag) {
			text = "*" + text + "*"
		}
		at := 0
		if strings.HasPrefix(about, "no effect") {
			at = 1
		} else if strings.HasPrefix(about, "not taken") {
			at = 2
		}
		columns[at] = append(columns[at], text)
	}
	for _, flag := range aptly {
		_, here := own[flag]
		_, all := everywhere[flag]
		if !here && !all && !global(flag) {
			t.Errorf("aptly %s has the flag -%s, which is not known here", name, flag)
		}
	}
	row := "| `" + name + "` |"
	for _, c := range columns {
		slices.Sort(c)
		row += " " + strings.Join(c, " ") + " |"
	}
	return row + "\n"
}

// global reports whether a flag is one of aptly's flags of all commands that are hidden.
func global(flag string) bool {
	return strings.HasPrefix(flag, "dep-") || flag == "db-open-attempts" || flag == "gpg-provider"
}

func flagsOf(t *testing.T, b *bench, words ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(b.must(t, words...)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--"); ok {
			name, about, _ := strings.Cut(name, "\t")
			found[strings.TrimSuffix(name, "=")] = about
		}
	}
	return found
}

var flagLine = regexp.MustCompile(`(?m)^\s+-([a-z0-9-]+)[=:]`)

// aptlyFlags returns the flags of a command of the installed aptly; nil for a command
// that it does not have.
func aptlyFlags(t *testing.T, name string) []string {
	t.Helper()
	out, _ := exec.Command("aptly", append([]string{"help"}, strings.Fields(name)...)...).CombinedOutput()
	var found []string
	for _, at := range flagLine.FindAllStringSubmatch(string(out), -1) {
		found = append(found, at[1])
	}
	return found
}
