package host

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// noValue is the reference that removes its property or item.
const noValue = "AWS::NoValue"

// absent reports whether a node is a reference to nothing.
func absent(n *yaml.Node) bool { return n.Tag == "!Ref" && n.Value == noValue }

// chosen returns the branch of nested Ifs that holds, or the node itself.
func (t *Template) chosen(n *yaml.Node) (*yaml.Node, error) {
	for n != nil && n.Tag == "!If" && len(n.Content) == 3 {
		holds, err := t.holds(n.Content[0].Value)
		if err != nil {
			return nil, err
		}
		if holds {
			n = n.Content[1]
		} else {
			n = n.Content[2]
		}
	}
	return n, nil
}

// value evaluates a node: a literal, Ref, GetAtt, Join, Sub or If.
func (t *Template) value(n *yaml.Node) (string, error) {
	n, err := t.chosen(n)
	if err != nil {
		return "", err
	}
	switch {
	case n.Kind == yaml.ScalarNode && (n.Tag == "!Ref" || n.Tag == "!GetAtt"):
		return t.named(n, n.Value)
	case n.Kind == yaml.ScalarNode && n.Tag == "!Sub":
		return t.substituted(n, n.Value, nil)
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Tag == "!Sub" && len(n.Content) == 2:
		return t.substituted(n, n.Content[0].Value, pairs(n.Content[1]))
	case n.Tag == "!Join" && len(n.Content) == 2:
		// A list parameter's default has its items joined by commas.
		list, err := t.value(n.Content[1])
		return strings.ReplaceAll(list, ",", n.Content[0].Value), err
	}
	return "", fmt.Errorf("line %d: %s is not known here", n.Line, n.Tag)
}

func (t *Template) named(n *yaml.Node, name string) (string, error) {
	value, ok := t.values[name]
	if !ok {
		return "", fmt.Errorf("line %d: %s %s is not known here", n.Line, n.Tag, name)
	}
	return value, nil
}

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

// substituted replaces the variables of a text: own ones, or names of the template.
func (t *Template) substituted(n *yaml.Node, text string, own map[string]*yaml.Node) (string, error) {
	var failed error
	out := variable.ReplaceAllStringFunc(text, func(v string) string {
		name := v[2 : len(v)-1]
		var value string
		var err error
		if o := own[name]; o != nil {
			value, err = t.value(o)
		} else {
			value, err = t.named(n, name)
		}
		if err != nil {
			failed = err
		}
		return value
	})
	return out, failed
}

// list evaluates a sequence, or a single value. A list parameter is its items. Items that
// are references to nothing are left out.
func (t *Template) list(n *yaml.Node) ([]string, error) {
	n, err := t.chosen(n)
	if err != nil || n == nil || absent(n) {
		return nil, err
	}
	if n.Kind != yaml.SequenceNode || n.Tag == "!Sub" || n.Tag == "!Join" {
		value, err := t.value(n)
		if n.Tag == "!Ref" {
			return strings.Split(value, ","), err
		}
		return []string{value}, err
	}
	var all []string
	for _, c := range n.Content {
		items, err := t.list(c)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// holds evaluates a condition by its name.
func (t *Template) holds(name string) (bool, error) {
	node, ok := t.doc.Conditions[name]
	if !ok {
		return false, fmt.Errorf("no condition %s", name)
	}
	return t.test(&node)
}

// test evaluates a condition: Equals, Not, And, or another condition.
func (t *Template) test(n *yaml.Node) (bool, error) {
	switch {
	case n.Tag == "!Condition":
		return t.holds(n.Value)
	case n.Tag == "!Not" && len(n.Content) == 1:
		holds, err := t.test(n.Content[0])
		return !holds, err
	case n.Tag == "!And":
		for _, c := range n.Content {
			if holds, err := t.test(c); err != nil || !holds {
				return false, err
			}
		}
		return true, nil
	case n.Tag == "!Equals" && len(n.Content) == 2:
		a, err := t.value(n.Content[0])
		if err != nil {
			return false, err
		}
		b, err := t.value(n.Content[1])
		return a == b, err
	}
	return false, fmt.Errorf("line %d: %s is not known here", n.Line, n.Tag)
}
