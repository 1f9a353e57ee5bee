package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// pages are the documents whose commands are run, each in a system of its own.
var pages = []string{"../../README.md", "../../docs/tutorial/*.md", "../../docs/how-to/*.md"}

// block is a code block of a page in a shell's language.
type block struct {
	line   int
	notRun string // the reason, "" if the block is run
	text   string
}

// blocks returns the shell blocks of a page. A block that begins with "```sh not run: " has
// the reason in that line.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	open, number := false, 0
	for line := range strings.Lines(string(data)) {
		number++
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case open && fence:
			open = false
		case open:
			all[len(all)-1].text += line
		case fence && (info == "sh" || strings.HasPrefix(info, "sh ")):
			reason := strings.TrimSpace(strings.TrimPrefix(info, "sh"))
			if reason != "" && !strings.HasPrefix(reason, "not run: ") {
				t.Errorf("%s:%d: a block is run, or says why not", page, number)
			}
			open, all = true, append(all, block{line: number, notRun: reason})
		case fence && info == "":
			t.Errorf("%s:%d: a block has no language", page, number)
			open = true
			all = append(all, block{notRun: "no language"})
		case fence:
			open = true
			all = append(all, block{line: number, notRun: "it is " + info})
		}
	}
	if open {
		t.Errorf("%s: a block has no end", page)
	}
	return all
}

// TestDocumentsRun runs the commands of the README, the tutorial and the how-tos as they
// stand, each page in a new system with its own network.
func TestDocumentsRun(t *testing.T) {
	r := shared(t)
	plain := system(t)
	prepare(t, r, plain)
	for _, pattern := range pages {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no page, %v", pattern, err)
		}
		for _, page := range found {
			t.Run(filepath.Base(page), func(t *testing.T) {
				script := scriptOf(blocks(t, page))
				if script == "" {
					return // each of its blocks says why it is not run
				}
				root := filepath.Join(t.TempDir(), "system")
				must(t, "cp", "-a", plain, root)
				runPage(t, root, script)
			})
		}
	}
}

// refused is a line that begins with "! ": its command has to fail.
var refused = regexp.MustCompile(`(?m)^! (.*)$`)

// scriptOf returns the script of a page, "" if nothing of it is run. Most pages begin with a
// server that is installed.
func scriptOf(all []block) string {
	var script strings.Builder
	for _, b := range all {
		if b.notRun == "" {
			fmt.Fprintf(&script, "echo '== line %d'\n%s", b.line, refused.ReplaceAllString(b.text, "if $1; then echo 'this is not refused'; exit 1; fi"))
		}
	}
	if script.Len() == 0 || strings.Contains(script.String(), "install -y ./aptless_") {
		return script.String()
	}
	return "apt-get install -y ./aptless_*.deb\n" + script.String()
}

// prepare adds to a system the files that the pages use: the Debian package, packages to
// publish, and replacements of systemctl and sudo.
func prepare(t *testing.T, r *release, root string) {
	t.Helper()
	home := filepath.Join(root, "root")
	must(t, "cp", r.deb(runtime.GOARCH), home)
	for _, version := range []string{"1.0", "2.0"} {
		hello(t, home, "hello", version)
		must(t, "mv", filepath.Join(home, "hello.deb"), filepath.Join(home, fmt.Sprintf("hello_%s_%s.deb", version, runtime.GOARCH)))
	}
	for name, text := range map[string]string{
		"usr/local/bin/sudo":   "#!/bin/sh\nexec \"$@\"\n",
		"etc/hosts":            "127.0.0.1 localhost deb.example.org\n::1 localhost\n",
		"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 0\n",
	} {
		if err := place(root, name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "install", "-D", "-m", "755", "testdata/systemctl", filepath.Join(root, "usr/bin/systemctl"))
	must(t, "install", "-d", filepath.Join(root, "run/systemd/system"))
}

// runPage runs a script as root of a system, in namespaces of its own.
func runPage(t *testing.T, root, script string) {
	t.Helper()
	const inside = `mount -t proc proc "$1/proc"; ip link set lo up
exec chroot "$1" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	bash -euo pipefail -c 'cd /root; . /root/page.sh'`
	if err := os.WriteFile(filepath.Join(root, "root/page.sh"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", inside, "sh", root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(root, "var/log/aptless.log"))
		t.Fatalf("%v\n%s\nlog\n%s", err, out, tail(log))
	}
}

// tail returns the last lines of a log.
func tail(log []byte) []byte {
	lines := bytes.SplitAfter(log, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-10):], nil)
}
