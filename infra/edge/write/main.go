// Command write copies the code of infra/edge into template.yaml, from which CloudFront
// takes it: `make template`.
package main

import (
	"fmt"
	"os"
	"strings"
)

// resources maps resources of the template to the files with their code.
var resources = [][2]string{{"Authentication", "infra/edge/auth.js"}, {"PackageFiles", "infra/edge/pool.js"}, {"PlusSigns", "infra/edge/plus.js"}}

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

// Patterns of lines: a resource of the template, and the property with its code.
const (
	property = "      FunctionCode: |\n"
	indent   = "        "
)

// replace returns the template with other code for a resource. The code is the block of
// empty or indented lines after the property.
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
