package query

import (
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"

	"aptless/core/formats/deb"
)

// op is a kind of comparison.
type op uint8

const (
	opNone    op = iota // no condition
	opVersion           // as versions, by condition.rel
	opGlob
	opRegexp
)

// condition is the condition after the name of a field or a package.
type condition struct {
	op     op
	rel    deb.Op // with opVersion
	value  string
	regexp *regexp.Regexp // with opRegexp
}

// holds reports whether a value meets the condition. opNone holds for any value.
func (c *condition) holds(value string) bool {
	switch c.op {
	case opVersion:
		return c.rel.Holds(value, c.value)
	case opGlob:
		ok, err := path.Match(c.value, value)
		return ok && err == nil
	case opRegexp:
		return c.regexp.MatchString(value)
	default:
		return true
	}
}

// equals reports whether the condition is "=".
func (c *condition) equals() bool { return c.op == opVersion && c.rel == deb.Equal }

// String returns the condition in the syntax of queries.
func (c *condition) String() string {
	switch c.op {
	case opVersion:
		return " (" + c.rel.String() + " " + quoted(c.value) + ")"
	case opGlob:
		return " (% " + quoted(c.value) + ")"
	case opRegexp:
		return " (~ " + quoted(c.value) + ")"
	default:
		return ""
	}
}

// maxPattern bounds a shell pattern or regular expression, in bytes. Parsing a
// class such as \pL takes a thousand times its length in memory.
const maxPattern = 16 << 10

// maxRegexps bounds the compiled size of a query's regular expressions, in
// instructions. The time of a match is proportional to it.
const maxRegexps = 20_000

// compile compiles a regular expression with at most limit instructions.
func compile(pattern string, limit int) (*regexp.Regexp, int, error) {
	if len(pattern) > maxPattern {
		return nil, 0, tooLarge(pattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, 0, fmt.Errorf("regexp compile failed: %w", err)
	}
	size := sizeOf(parsed)
	if size > limit {
		return nil, 0, tooLarge(pattern)
	}
	compiled, err := regexp.Compile(withoutEnds(parsed).String())
	if err != nil {
		return nil, 0, fmt.Errorf("regexp compile failed: %w", err)
	}
	return compiled, size, nil
}

// withoutEnds returns an expression that is found in the same texts. It lacks the parts at
// both ends that may be empty. Example: "locales" for ".*locales.*", which is found
// without a look at the rest of the text.
func withoutEnds(re *syntax.Regexp) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	mayBeEmpty := func(sub *syntax.Regexp) bool { return sub.Op == syntax.OpStar || sub.Op == syntax.OpQuest }
	subs := re.Sub
	for len(subs) > 1 && mayBeEmpty(subs[0]) {
		subs = subs[1:]
	}
	for len(subs) > 1 && mayBeEmpty(subs[len(subs)-1]) {
		subs = subs[:len(subs)-1]
	}
	if len(subs) == 1 {
		return subs[0]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Flags: re.Flags, Sub: subs}
}

func tooLarge(pattern string) error {
	return fmt.Errorf("regexp compile failed: %w",
		&syntax.Error{Code: syntax.ErrLarge, Expr: fmt.Sprintf("%.50s", pattern)})
}

// sizeOf estimates the instructions of an expression. syntax.Parse bounds its
// depth and its repetitions.
func sizeOf(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(1, re.Min, re.Max)
	}
	return size
}
