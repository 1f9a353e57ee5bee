package query

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"aptless/core/formats/deb"
)

// ErrSyntax matches every error of Parse.
var ErrSyntax = errors.New("parsing failed")

// Limits of a query.
const (
	MaxText  = 256 << 10 // bytes
	MaxDepth = 200       // nesting of parentheses and negations
	MaxTerms = 20_000
)

// Parse parses a query. The texts of its errors are aptly's.
func Parse(text string) (Query, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%w: query longer than %d bytes", ErrSyntax, MaxText)
	}
	p := parser{rest: text}
	p.next()
	q, err := p.alternatives(0)
	if err == nil && p.token.kind != end {
		err = p.unexpected("end of query")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return q, nil
}

// parser is a recursive descent parser with one token of lookahead.
type parser struct {
	rest    string
	token   token
	terms   int
	regexps int // size of the regular expressions so far
}

func (p *parser) next() { p.token, p.rest = lex(p.rest) }

func (p *parser) unexpected(expected string) error {
	return fmt.Errorf("unexpected token %s: expecting %s", p.token, expected)
}

// take consumes the operator op, which must be next.
func (p *parser) take(op string) error {
	if !p.token.is(op) {
		return p.unexpected("'" + op + "'")
	}
	p.next()
	return nil
}

// alternatives parses alternatives between '|'.
func (p *parser) alternatives(depth int) (Query, error) {
	return p.list("|", depth, p.conditions, func(parts []Query) Query { return anyOf(parts) })
}

// conditions parses conditions between ','.
func (p *parser) conditions(depth int) (Query, error) {
	return p.list(",", depth, p.unary, func(parts []Query) Query { return allOf(parts) })
}

// list parses one or more parts with op between them.
func (p *parser) list(op string, depth int, part func(int) (Query, error), join func([]Query) Query) (Query, error) {
	first, err := part(depth)
	if err != nil || !p.token.is(op) {
		return first, err
	}
	parts := []Query{first}
	for p.token.is(op) {
		p.next()
		q, err := part(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, q)
	}
	return join(parts), nil
}

func (p *parser) unary(depth int) (Query, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested more than %d deep", MaxDepth)
	}
	switch {
	case p.token.is("!"):
		p.next()
		q, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		return not{q}, nil
	case p.token.is("("):
		p.next()
		q, err := p.alternatives(depth + 1)
		if err != nil {
			return nil, err
		}
		return q, p.take(")")
	}
	return p.term()
}

// term parses a field, a package or a dependency.
func (p *parser) term() (Query, error) {
	if p.token.kind != word {
		return nil, p.unexpected("field or package name")
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, fmt.Errorf("more than %d terms", MaxTerms)
	}
	name := p.token.text
	p.next()
	c, err := p.condition()
	if err != nil {
		return nil, err
	}
	switch {
	case isField(name):
		return &field{name, c, c.prefix()}, nil
	case c.op == opNone && strings.Count(name, "_") >= 2:
		first, last := strings.IndexByte(name, '_'), strings.LastIndexByte(name, '_')
		return &exact{name[:first], name[first+1 : last], name[last+1:]}, nil
	}
	d := &dependency{name: name, cond: c}
	if p.token.is("{") {
		p.next()
		if d.arch, err = p.word("architecture"); err != nil {
			return nil, err
		}
		d.hasArch = true
		err = p.take("}")
	}
	return d, err
}

// isField reports whether a term that begins with name is a field.
func isField(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return first == '$' || unicode.IsUpper(first) && !strings.Contains(name, "_")
}

// word parses a word. expected names it in errors.
func (p *parser) word(expected string) (string, error) {
	if p.token.kind != word {
		return "", p.unexpected(expected)
	}
	text := p.token.text
	p.next()
	return text, nil
}

// condition parses "(op value)", if present.
func (p *parser) condition() (condition, error) {
	if !p.token.is("(") {
		return condition{}, nil
	}
	p.next()
	var c condition
	var written string
	if p.token.kind == operator {
		written = p.token.text
	}
	switch written {
	case "%":
		c.op = opGlob
		p.next()
	case "~":
		c.op = opRegexp
		p.next()
	case "", "<", "<=", "<<", "=", ">", ">=", ">>":
		c.op = opVersion
		c.rel, _ = deb.ParseOp(written)
		if written != "" {
			p.next()
		}
	}
	var err error
	if c.value, err = p.word("value"); err != nil {
		return condition{}, err
	}
	if err = p.take(")"); err != nil {
		return condition{}, err
	}
	switch c.op {
	case opGlob:
		if len(c.value) > maxPattern {
			err = fmt.Errorf("pattern longer than %d bytes", maxPattern)
		}
	case opRegexp:
		var size int
		c.regexp, size, err = compile(c.value, maxRegexps-p.regexps)
		p.regexps += size
	}
	return c, err
}
