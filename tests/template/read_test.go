package template

import (
	"os"
	"strconv"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const file = "../../template.yaml"

// resource is the tested part of a resource.
type resource struct {
	Type                string    `yaml:"Type"`
	Condition           string    `yaml:"Condition"`
	DeletionPolicy      string    `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string    `yaml:"UpdateReplacePolicy"`
	Properties          yaml.Node `yaml:"Properties"`
}

// parse returns the resources of the template.
func parse(t *testing.T) map[string]resource {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Resources map[string]resource `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Resources) < 20 {
		t.Fatalf("the template has %d resources", len(doc.Resources))
	}
	return doc.Resources
}

// at returns the node below the names, or nil.
func at(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		i := 0
		for ; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				break
			}
		}
		if n.Kind != yaml.MappingNode || i+1 >= len(n.Content) {
			return nil
		}
		n = n.Content[i+1]
	}
	return n
}

func text(n *yaml.Node, names ...string) string {
	if n = at(n, names...); n == nil {
		return ""
	}
	return n.Value
}

// list returns the values of a sequence, or the value of a scalar.
func list(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []string{n.Value}
	}
	var values []string
	for _, c := range n.Content {
		values = append(values, c.Value)
	}
	return values
}

func seconds(t *testing.T, n *yaml.Node, name string) time.Duration {
	t.Helper()
	s, err := strconv.Atoi(text(n, name))
	if err != nil || s <= 0 {
		t.Fatalf("%s is %q", name, text(n, name))
	}
	return time.Duration(s) * time.Second
}

// functions returns the functions of the template by their name.
func functions(t *testing.T) map[string]resource {
	t.Helper()
	found := map[string]resource{}
	for name, r := range parse(t) {
		if r.Type == "AWS::Serverless::Function" {
			found[name] = r
		}
	}
	return found
}

// task returns the mapping of a queue to a function, or nil.
func task(t *testing.T, function string) *yaml.Node {
	t.Helper()
	for _, r := range parse(t) {
		if r.Type == "AWS::Lambda::EventSourceMapping" && text(&r.Properties, "FunctionName") == function {
			return &r.Properties
		}
	}
	return nil
}
