// Command write writes the code of infra/edge into template.yaml, where
// CloudFront takes it from: `make template`.
package main

import (
	"fmt"
	"os"
	"strings"
)

// resources are the functions of the template, and the files with their code.
var resources = [][2]string{{"Authentication", "infra/edge/auth.js"}, {"PackageFiles", "infra/edge/pool.js"}}

func main() {
	if err := run("template.yaml"); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func run(template string) error {
	data, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	text := string(data)
	for _, r := range resources {
		code, err := os.ReadFile(r[1])
		if err != nil {
			return err
		}
		if text, err = replace(text, r[0], string(code)); err != nil {
			return fmt.Errorf("%s: %w", template, err)
		}
	}
	return os.WriteFile(template, []byte(text), 0o644)
}

// Lines of a resource of the template, and of its code.
const (
	property = "      FunctionCode: |\n"
	indent   = "        "
)

// replace returns the template with other code for a resource. The code is the
// block of lines after the property that are empty or indented.
func replace(template, resource, code string) (string, error) {
	head, rest, ok := strings.Cut(template, "\n  "+resource+":\n")
	own, rest, found := strings.Cut(rest, property)
	if !ok || !found {
		return "", fmt.Errorf("no FunctionCode of %s", resource)
	}
	for line := range strings.Lines(own) {
		if !strings.HasPrefix(line, "    ") { // the next resource
			return "", fmt.Errorf("no FunctionCode of %s", resource)
		}
	}
	for line := range strings.Lines(rest) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, indent) {
			break
		}
		rest = rest[len(line):]
	}
	var block strings.Builder
	for line := range strings.Lines(code) {
		if line != "\n" {
			block.WriteString(indent)
		}
		block.WriteString(line)
	}
	return head + "\n  " + resource + ":\n" + own + property + block.String() + rest, nil
}
