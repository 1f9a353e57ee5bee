package tests

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var writeTemplatePage = flag.Bool("write-template-page", false, "write docs/reference/template.md")

// TestTemplateParametersAreDocumented holds that docs/reference/template.md has the parameters
// of template.yaml, in their order.
func TestTemplateParametersAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Parameters yaml.Node `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(data, &template); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Parameters of the AWS template\n\nThis page is for people who deploy `template.yaml`: [AWS](../how-to/aws.md). A test makes it from the template.\n\n" +
		"| Parameter | Default | Values | Meaning |\n|---|---|---|---|\n")
	nodes := template.Parameters.Content
	if len(nodes) < 20 {
		t.Fatalf("%d nodes of parameters", len(nodes))
	}
	for i := 0; i+1 < len(nodes); i += 2 {
		var p struct {
			Type          string   `yaml:"Type"`
			Description   string   `yaml:"Description"`
			Default       *string  `yaml:"Default"`
			AllowedValues []string `yaml:"AllowedValues"`
			MinValue      string   `yaml:"MinValue"`
			MaxValue      string   `yaml:"MaxValue"`
		}
		if err := nodes[i+1].Decode(&p); err != nil || p.Description == "" {
			t.Fatalf("%s: %+v, %v", nodes[i].Value, p, err)
		}
		given, values := "none; it is required", p.Type
		if p.Default != nil {
			given = "`" + *p.Default + "`"
		}
		if given == "``" {
			given = "empty"
		}
		switch {
		case p.AllowedValues != nil:
			values = "`" + strings.Join(p.AllowedValues, "`, `") + "`"
		case p.MinValue != "" || p.MaxValue != "":
			values = strings.TrimSpace(p.MinValue + " to " + p.MaxValue)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", nodes[i].Value, given, values, strings.ReplaceAll(p.Description, "|", "\\|"))
	}
	const page = "../docs/reference/template.md"
	if *writeTemplatePage {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != b.String() {
		t.Errorf("%s differs from the template: go test ./tests -run TestTemplateParameters -write-template-page, %v", page, err)
	}
}
