// Command write makes infra/terraform/variables.tf from the parameters of template.yaml:
// "make terraform". Each parameter is a variable of the same default.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

func main() {
	data, err := os.ReadFile("template.yaml")
	if err == nil {
		var text string
		if text, err = variables(data); err == nil {
			err = os.WriteFile("infra/terraform/variables.tf", []byte(text), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

// parameter is a parameter of the template.
type parameter struct {
	Type, Default, Description, AllowedPattern string
	AllowedValues                              []string
}

// variables returns the variables of Terraform for the parameters of a template.
func variables(template []byte) (string, error) {
	var doc struct {
		Parameters yaml.Node `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal(template, &doc); err != nil {
		return "", err
	}
	var b, given strings.Builder
	longest := 0
	for i := 0; i < len(doc.Parameters.Content); i += 2 {
		longest = max(longest, len(doc.Parameters.Content[i].Value))
	}
	b.WriteString("# Written by \"make terraform\" from the parameters of template.yaml.\n")
	for i := 0; i+1 < len(doc.Parameters.Content); i += 2 {
		name := doc.Parameters.Content[i].Value
		var p parameter
		if err := decode(doc.Parameters.Content[i+1], &p); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		p.write(&b, name)
		value := "var." + snake(name)
		if p.list() {
			value = "join(\",\", " + value + ")"
		} else if p.Type == "Number" {
			value = "tostring(" + value + ")"
		}
		fmt.Fprintf(&given, "    %-*s = %s\n", longest, name, value)
	}
	return b.String() + "\nlocals {\n  parameters = {\n" + given.String() + "  }\n}\n", nil
}

// decode reads a parameter. Its values are texts, also numbers of YAML.
func decode(n *yaml.Node, p *parameter) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		switch n.Content[i].Value {
		case "Type":
			p.Type = value.Value
		case "Default":
			p.Default = value.Value
		case "Description":
			p.Description = value.Value
		case "AllowedPattern":
			p.AllowedPattern = value.Value
		case "AllowedValues":
			for _, v := range value.Content {
				p.AllowedValues = append(p.AllowedValues, v.Value)
			}
		case "MinValue", "MaxValue": // CloudFormation checks them
		default:
			return fmt.Errorf("line %d: %s is not known here", n.Line, n.Content[i].Value)
		}
	}
	return nil
}

func (p parameter) list() bool { return p.Type == "CommaDelimitedList" }

// write writes the variable of a parameter.
func (p parameter) write(b *strings.Builder, name string) {
	kind, value := "string", quote(p.Default)
	if p.list() {
		kind, value = "list(string)", "[]"
	} else if p.Type == "Number" {
		kind, value = "number", p.Default
	}
	fmt.Fprintf(b, "\nvariable %q {\n  type        = %s\n  default     = %s\n  description = %s\n", snake(name), kind, value, quote(p.Description))
	if len(p.AllowedValues) > 0 {
		var values []string
		for _, v := range p.AllowedValues {
			values = append(values, quote(v))
		}
		fmt.Fprintf(b, "  validation {\n    condition     = contains([%s], var.%s)\n    error_message = \"It is one of %s.\"\n  }\n",
			strings.Join(values, ", "), snake(name), strings.ReplaceAll(strings.Join(p.AllowedValues, " | "), `"`, ""))
	}
	b.WriteString("}\n")
}

// quote returns a text as a string of Terraform.
func quote(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(text))
}

// snake returns a name in the form of Terraform: ApiDomain is api_domain.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
