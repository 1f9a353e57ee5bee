package query

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind uint8

const (
	end      kind = iota // end of the text
	word                 // text is the word, without its quotes
	operator             // text is one of ( ) { } | , ! < <= << > >= >> = % ~
	broken               // a quoted word without a closing quote
)

type token struct {
	kind kind
	text string
}

// String returns the token as in error texts.
func (t token) String() string {
	switch t.kind {
	case end:
		return "<EOL>"
	case word:
		return strconv.Quote(t.text)
	case broken:
		return "error: unexpected eof in quoted string"
	default:
		return t.text
	}
}

// is reports whether t is the operator op.
func (t token) is(op string) bool { return t.kind == operator && t.text == op }

const (
	operators = "(){}|,!<>=%~" // each begins a token
	wordEnds  = ")|,!{}"       // each ends an unquoted word
)

// lex cuts the first token off text.
func lex(text string) (t token, rest string) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	if text == "" {
		return token{}, ""
	}
	switch c := text[0]; {
	case c == '\'' || c == '"':
		return lexQuoted(text[1:], c)
	case strings.IndexByte(operators, c) >= 0:
		n := 1
		if len(text) > 1 && (c == '<' || c == '>') && (text[1] == c || text[1] == '=') {
			n = 2
		}
		return token{operator, text[:n]}, text[n:]
	}
	n := strings.IndexFunc(text, endsWord)
	if n < 0 {
		n = len(text)
	}
	return token{word, text[:n]}, text[n:]
}

func endsWord(r rune) bool {
	return unicode.IsSpace(r) || r < utf8.RuneSelf && strings.IndexByte(wordEnds, byte(r)) >= 0
}

// lexQuoted cuts off the text before the closing quote. A backslash escapes the
// next byte.
func lexQuoted(text string, quote byte) (t token, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case quote:
			return token{word, b.String()}, text[i+1:]
		case '\\':
			if i++; i == len(text) {
				return token{kind: broken}, ""
			}
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return token{kind: broken}, ""
}

// quoted returns a word in the syntax of queries, without quotes if possible.
func quoted(s string) string {
	if t, rest := lex(s); t.kind == word && t.text == s && rest == "" {
		return s
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
