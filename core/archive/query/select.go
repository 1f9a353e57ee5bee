package query

import (
	"context"
	"fmt"
	"iter"
	"regexp/syntax"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/deb"
)

// selectTime bounds the time in which Select compares packages with a query. A regular
// expression of the largest size takes a tenth of a second for one description.
const selectTime = 2 * time.Minute

// ErrSlow is the error of a Select whose comparisons take too long. Another try takes
// as long.
var ErrSlow = fmt.Errorf("the query takes longer than %v: use simpler regular expressions", selectTime)

// Select returns the packages of a list for which q is true. It reads only the
// chunks that may have matches. The error is ErrSlow after two minutes of comparing.
func Select(ctx context.Context, list *pkglist.List, q Query) (*pkglist.Subset, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var spent atomic.Int64 // by all workers together
	return list.Matching(ctx, q.may, Needs(q), func(p *deb.Package) bool {
		begun := time.Now()
		found := q.Match(p)
		if time.Duration(spent.Add(int64(time.Since(begun)))) >= selectTime {
			end(ErrSlow)
		}
		return found
	})
}

// Stream yields the packages of a list for which q is true, in index order. It reads only
// the chunks that may have matches, and ends as soon as its caller does.
func Stream(ctx context.Context, list *pkglist.List, q Query) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for p, err := range list.Some(ctx, q.may) {
			if err == nil && !q.Match(p.Package) {
				if err = context.Cause(ctx); err == nil {
					continue
				}
			}
			if !yield(p.Package, err) || err != nil {
				return
			}
		}
	}
}

// Needs returns the parts of a package that Match of a query looks at.
func Needs(q Query) *deb.Part {
	part := new(deb.Part)
	q.needs(part)
	return part
}

// Prefix returns the beginning that the names of all packages for which q is true have.
// "" is any.
func Prefix(q Query) (prefix string) {
	switch q := q.(type) {
	case allOf:
		for _, part := range q {
			if p := Prefix(part); len(p) > len(prefix) {
				prefix = p
			}
		}
	case *exact:
		return q.name
	case *field:
		if q.name == "Name" {
			return q.prefix
		}
	}
	return prefix
}

func (q allOf) needs(part *deb.Part) {
	for _, one := range q {
		one.needs(part)
	}
}

func (q anyOf) needs(part *deb.Part)    { allOf(q).needs(part) }
func (q not) needs(part *deb.Part)      { q.part.needs(part) }
func (q *exact) needs(*deb.Part)        {}
func (q *dependency) needs(p *deb.Part) { p.Needs("Provides") }

func (q *field) needs(part *deb.Part) {
	part.Needs(q.name)
	if q.name == "$Version" { // also of provided names
		part.Needs("Provides")
	}
}

func (q allOf) may(c *pkglist.Chunk) bool {
	for _, part := range q {
		if !part.may(c) {
			return false
		}
	}
	return true
}

func (q anyOf) may(c *pkglist.Chunk) bool {
	for _, part := range q {
		if part.may(c) {
			return true
		}
	}
	return false
}

func (q not) may(*pkglist.Chunk) bool { return true }

func (q *exact) may(c *pkglist.Chunk) bool {
	return c.MayHave(q.name, true) &&
		slices.ContainsFunc(c.Counts, func(n pkglist.Count) bool { return n.Architecture == q.arch })
}

func (q *dependency) may(c *pkglist.Chunk) bool {
	return (c.MayHave(q.name, true) || c.MayProvide(q.name)) && (!q.hasArch || mayServe(c, q.arch))
}

// mayServe reports whether a chunk may have packages for an architecture.
func mayServe(c *pkglist.Chunk, arch string) bool {
	return slices.ContainsFunc(c.Counts, func(n pkglist.Count) bool { return deb.MatchArchitecture(n.Architecture, arch) })
}

func (q *field) may(c *pkglist.Chunk) bool {
	switch {
	case q.name == "Name":
		return c.MayHave(q.prefix, false)
	case q.name == "$Architecture" && q.cond.equals():
		return mayServe(c, q.cond.value)
	case q.name == "$Architecture", q.name == "Architecture", q.name == "$PackageType":
		return slices.ContainsFunc(c.Counts, func(n pkglist.Count) bool {
			p := deb.Package{Kind: n.Kind, Architecture: n.Architecture}
			// The index does not have the Architecture field of sources.
			return n.Kind == deb.Source && q.name == "Architecture" || q.holds(p.Field(q.name))
		})
	}
	return true
}

// prefix returns the common prefix of all package names that meet the condition.
func (c *condition) prefix() string {
	switch {
	case c.equals() && !strings.Contains(c.value, ":"):
		// Versions that compare equal are identical up to the first digit. The text
		// after the last hyphen is compared separately.
		upstream := c.value
		if i := strings.LastIndexByte(upstream, '-'); i >= 0 {
			upstream = upstream[:i]
		}
		return upToAny(upstream, "0123456789")
	case c.op == opGlob:
		return upToAny(c.value, `*?[\`)
	case c.op == opRegexp:
		return anchored(c.regexp.String())
	}
	return ""
}

func upToAny(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

// anchored returns the literal prefix of a regular expression that begins with
// '^'.
func anchored(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || len(re.Sub) < 2 || re.Sub[0].Op != syntax.OpBeginText ||
		re.Sub[1].Op != syntax.OpLiteral || re.Sub[1].Flags&syntax.FoldCase != 0 {
		return ""
	}
	return string(re.Sub[1].Rune)
}
