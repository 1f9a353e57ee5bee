// Command report summarises the output of `go test -json`. It prints the packages, the
// output of failed tests, the skipped tests with reasons, and the sums. It fails if a test
// failed, if none passed, or if a skipped test is not in the list of allowed skips.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // package of a failed build
	Test       string
	Output     string
}

// maxOutput bounds the stored output of one test, in bytes.
const maxOutput = 1 << 20

func main() {
	allowed := flag.String("allowed", "", "file with the tests that may be skipped, one a line: package, test, reason")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *allowed); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, allowedFile string) error {
	allowed := map[string]string{}
	if allowedFile != "" {
		b, err := os.ReadFile(allowedFile)
		if err != nil {
			return err
		}
		if allowed, err = parseAllowed(string(b)); err != nil {
			return fmt.Errorf("%s: %w", allowedFile, err)
		}
	}
	return report(in, out, allowed)
}

// parseAllowed returns the reasons by "package test".
func parseAllowed(text string) (map[string]string, error) {
	allowed := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 3 {
			return nil, fmt.Errorf("%q: want package, test and reason", line)
		}
		allowed[words[0]+" "+words[1]] = strings.Join(words[2:], " ")
	}
	return allowed, nil
}

// outcome is the state of a run.
type outcome struct {
	output  map[string]*strings.Builder // by package and test
	passed  int
	failed  int             // tests, and packages that failed by themselves
	blamed  map[string]bool // packages with a failed test
	skipped []string        // "package test"
}

// report prints packages as they end, then the sums. Subtests count as tests.
func report(in io.Reader, out io.Writer, allowed map[string]string) error {
	o := outcome{output: map[string]*strings.Builder{}, blamed: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text()) // output of the go command itself
			continue
		}
		o.take(e, out)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var forbidden int
	slices.Sort(o.skipped)
	for _, name := range o.skipped {
		reason, ok := allowed[name]
		if !ok {
			forbidden++
			reason = "NOT ALLOWED"
		}
		fmt.Fprintf(out, "skipped: %s: %s\n", name, reason)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", o.passed, o.failed, len(o.skipped))
	switch {
	case o.failed > 0:
		return errors.New("tests failed")
	case forbidden > 0:
		return errors.New("tests were skipped that are not in the list of allowed skips")
	case o.passed == 0:
		return errors.New("no test ran")
	}
	return nil
}

func (o *outcome) take(e event, out io.Writer) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		b := o.output[name]
		if b == nil {
			b = new(strings.Builder)
			o.output[name] = b
		}
		if b.Len() < maxOutput {
			b.WriteString(e.Output)
		}
	case "pass", "skip", "fail":
		o.end(e, name, out)
	}
}

// end handles the end of a test, or of a package if e.Test is empty.
func (o *outcome) end(e event, name string, out io.Writer) {
	text := ""
	if b := o.output[name]; b != nil {
		text = b.String()
		delete(o.output, name)
	}
	if e.Test == "" {
		fmt.Fprint(out, summary(text, e.Action == "fail"))
		if e.Action == "fail" && !o.blamed[e.Package] {
			o.failed++ // the package did not build, or died outside a test
		}
		return
	}
	switch e.Action {
	case "pass":
		o.passed++
	case "fail":
		o.failed++
		o.blamed[e.Package] = true
		fmt.Fprint(out, text)
	case "skip":
		o.skipped = append(o.skipped, name)
		fmt.Fprint(out, text)
	}
}

// summary returns the part of a package's own output to print. It is all of the output of a
// failed package, and the last line otherwise.
func summary(text string, failed bool) string {
	if failed {
		return text
	}
	var last string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ok") || strings.HasPrefix(line, "?") || strings.Contains(line, "[no test files]") {
			last = line
		}
	}
	return last
}
