package host

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Statement is a statement of a policy, with its values.
type Statement struct {
	Sid       string
	Deny      bool
	Principal string // of a bucket's policy: "*", a service, or "" in a role's policy
	Actions   []string
	Resources []string

	conditions []condition
}

// condition is a test of a value of the request.
type condition struct{ operator, key, value string }

// Role returns the statements of a function's policies.
func (t *Template) Role(f Declared) ([]Statement, error) {
	if f.policy == nil {
		return nil, nil
	}
	return t.statements(f.policy.Content...)
}

// BucketPolicies returns the statements of the policies of buckets.
func (t *Template) BucketPolicies() ([]Statement, error) { return t.statements(t.policies...) }

func (t *Template) statements(documents ...*yaml.Node) ([]Statement, error) {
	var all []Statement
	for _, d := range documents {
		list := at(d, "Statement")
		if list == nil {
			return nil, fmt.Errorf("line %d: a policy that is not written here", d.Line)
		}
		for _, n := range list.Content {
			n, err := t.chosen(n)
			if err != nil {
				return nil, err
			}
			if absent(n) {
				continue
			}
			s, err := t.statement(n)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n.Line, err)
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func (t *Template) statement(n *yaml.Node) (s Statement, err error) {
	s.Sid, s.Deny = text(n, "Sid"), text(n, "Effect") == "Deny"
	if p := at(n, "Principal"); p != nil {
		if s.Principal = p.Value; p.Kind == yaml.MappingNode {
			s.Principal = text(p, "Service")
		}
	}
	if s.Actions, err = t.list(at(n, "Action")); err != nil {
		return s, err
	}
	if s.Resources, err = t.list(at(n, "Resource")); err != nil {
		return s, err
	}
	for operator, keys := range pairs(at(n, "Condition")) {
		for key, v := range pairs(keys) {
			value, err := t.value(v)
			if err != nil {
				return s, err
			}
			s.conditions = append(s.conditions, condition{operator, key, value})
		}
	}
	return s, nil
}

// Call is a call of a service, as its authorization sees it.
type Call struct {
	Action, Resource string
	Values           map[string]string // condition keys, for example "s3:if-none-match"
}

// Allowed reports whether statements allow a call of a principal: "" is the role itself.
// A statement that denies it decides.
func Allowed(statements []Statement, principal string, c Call) bool {
	allowed := false
	for _, s := range statements {
		if s.Principal != principal && s.Principal != "*" || !s.covers(c) {
			continue
		}
		if s.Deny {
			return false
		}
		allowed = true
	}
	return allowed
}

// covers reports whether a statement is about a call.
func (s Statement) covers(c Call) bool {
	if !slices.ContainsFunc(s.Actions, func(a string) bool { return like(a, c.Action) }) ||
		!slices.ContainsFunc(s.Resources, func(r string) bool { return like(r, c.Resource) }) {
		return false
	}
	for _, test := range s.conditions {
		value, there := c.Values[test.key]
		holds := false
		switch test.operator {
		case "Bool", "StringEquals":
			holds = there && value == test.value
		case "Null":
			holds = there == (test.value == "false")
		}
		if !holds {
			return false
		}
	}
	return true
}

// like reports whether a pattern of IAM matches; * is any text.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, ok := strings.CutPrefix(text, parts[0])
	if len(parts) == 1 || !ok {
		return ok && text == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, parts[last])
}
