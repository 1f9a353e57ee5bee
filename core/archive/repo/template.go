package repo

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// nameTemplate is a template for a repository's name. Its data are the fields of
// a .changes.
type nameTemplate struct {
	literal bool // the text is a literal name
	t       *template.Template
}

// maxTemplate bounds the text of a template, in bytes.
const maxTemplate = 4 << 10

// errNotAllowed refuses templates with loops, other templates, or functions that
// join texts. They could run long or produce long names.
var errNotAllowed = errors.New("not allowed in the name of a repository")

// templateFunctions are the allowed functions. Their results are never longer
// than their arguments.
var templateFunctions = map[string]any{
	"and": true, "or": true, "not": true, "index": true, "slice": true, "len": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// parseTemplate parses a name or a template. As in aptly, a text with a single
// node is a name, even if the node is an action.
func parseTemplate(text string) (*nameTemplate, error) {
	if len(text) > maxTemplate || !utf8.ValidString(text) {
		return nil, badTemplate(fmt.Errorf("template: repo:1: %d bytes: %w", len(text), errNotAllowed))
	}
	tree := parse.New("repo")
	if _, err := tree.Parse(text, "", "", map[string]*parse.Tree{}, templateFunctions); err != nil {
		return nil, badTemplate(err)
	}
	if len(tree.Root.Nodes) == 1 {
		return &nameTemplate{literal: true}, nil
	}
	if err := checkNodes(tree.Root); err != nil {
		return nil, badTemplate(err)
	}
	t, err := template.New("repo").AddParseTree("repo", tree)
	if err != nil {
		return nil, badTemplate(err)
	}
	return &nameTemplate{t: t}, nil
}

// IsTemplate reports whether an inclusion takes a text for a template. Each .changes
// then names its repository.
func IsTemplate(text string) bool {
	t, err := parseTemplate(text)
	return err == nil && !t.literal
}

func badTemplate(err error) error { return task.Fail(400, "error parsing repo template: %w", err) }

// checkNodes refuses nodes other than texts, actions and conditions.
func checkNodes(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		var branch *parse.BranchNode
		switch n := n.(type) {
		case *parse.TextNode, *parse.ActionNode, *parse.CommentNode:
			continue
		case *parse.IfNode:
			branch = &n.BranchNode
		case *parse.WithNode:
			branch = &n.BranchNode
		default:
			return fmt.Errorf("template: repo:1: %.40s: %w", n, errNotAllowed)
		}
		for _, part := range []*parse.ListNode{branch.List, branch.ElseList} {
			if err := checkNodes(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// render returns the name for a .changes, cut after named.MaxName+1 bytes. No
// repository has a name of that length.
func (n *nameTemplate) render(p deb.Paragraph) (string, error) {
	fields := make(map[string]string, len(p))
	for _, f := range p {
		fields[f.Name] = f.Value
	}
	name := &limited{left: named.MaxName + 1}
	if err := n.t.Execute(name, fields); err != nil {
		return "", err
	}
	return name.String(), nil
}

// limited keeps the first left bytes.
type limited struct {
	strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n, _ := l.Builder.Write(p[:min(len(p), l.left)])
	l.left -= n
	return len(p), nil
}
