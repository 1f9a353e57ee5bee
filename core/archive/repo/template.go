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

// nameTemplate is a template of a repository's name, whose data are the fields
// of a .changes.
type nameTemplate struct {
	literal bool // the text is a name as it stands
	t       *template.Template
}

// maxTemplate bounds the text of a template, in bytes.
const maxTemplate = 4 << 10

// errNotAllowed says that a template has something that could make it run long
// or grow large: loops, other templates, and functions that put text together.
var errNotAllowed = errors.New("not allowed in the name of a repository")

// templateFunctions are those that a template may call. What they return is
// never longer than what they are given.
var templateFunctions = map[string]any{
	"and": true, "or": true, "not": true, "index": true, "slice": true, "len": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// parseTemplate reads the name of a repository that may be a template. One that
// is a single piece is a name, also if that piece is an action.
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

func badTemplate(err error) error { return task.Fail(400, "error parsing repo template: %w", err) }

// checkNodes refuses what is not text, an action or a condition.
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

// render returns the name for a .changes. It is too long to be that of a
// repository if it is longer than one may be.
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

// limited keeps the beginning of what is written.
type limited struct {
	strings.Builder
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n, _ := l.Builder.Write(p[:min(len(p), l.left)])
	l.left -= n
	return len(p), nil
}
