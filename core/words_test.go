package core

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxWords is the length of a sentence of a comment or of a document.
const maxWords = 25

// plain lists the directories and documents whose sentences this test holds. A
// directory stands for the packages below it, too.
var plain = []string{
	"core",
	"docs/design.md",
	"docs/cost.md",
	"docs/benchmarks.md",
	"docs/dependencies.md",
	"docs/life-of-a-mirror-update.md",
	"docs/life-of-a-package.md",
	"docs/life-of-a-publication.md",
	"docs/glossary.md",
	"docs/guarantees.md",
	"docs/hostile.md",
	"docs/limits.md",
	"docs/states.md",
	"docs/map.md",
	"functions",
	"infra",
	"localstack",
	"README.md",
	"tests",
}

// unclear are words that stand for a thing with a name of its own, and the
// reason to write that name. Quoted text is not looked at.
var unclear = map[string]string{
	`who|whom|whoever`:                                     "name the client, the task, the process",
	`whatever|whichever`:                                   "say any, or name the thing",
	`nobody|somebody|anybody|everybody`:                    "name the client, the task, the process",
	`those (who|that|which)|the ones? (who|that|which|of)`: "repeat the noun",
	`so many`: "give each number a sentence",
}

// vague are words that comments do not have: a comment names the thing.
var vague = regexp.MustCompile(`(?i)\b(what|behind)\b`)

// spared are sentences that break a rule, with the reason. The key is the file
// and the beginning of the sentence: "core/x.go: The words of".
var spared = map[string]string{}

var (
	sentenceEnd = regexp.MustCompile(`[.!?]["'”)\]]*(\s+|$)`)
	listItem    = regexp.MustCompile(`^\s*([-*•]|\d+\.)\s`)
	wordLike    = regexp.MustCompile(`[\pL\pN]`)
	quoted      = regexp.MustCompile("\"[^\"]*\"|“[^”]*”|`[^`]*`")
)

var unclearWords = regexp.MustCompile(`(?i)\b(` + strings.Join(keys(unclear), "|") + `)\b`)

// sentences splits prose. A blank line, a list item, a heading and indented text
// end a sentence, too; indented text is code and has none.
func sentences(text string) []string {
	var all, open []string
	flush := func() {
		rest := strings.Join(open, " ")
		open = nil
		for end := sentenceEnd.FindStringIndex(rest); end != nil; end = sentenceEnd.FindStringIndex(rest) {
			all = append(all, strings.TrimSpace(rest[:end[1]]))
			rest = rest[end[1]:]
		}
		if rest != "" {
			all = append(all, rest)
		}
	}
	for line := range strings.Lines(text) {
		words := strings.TrimSpace(line)
		switch {
		case words == "" || strings.HasPrefix(line, "\t"):
			flush()
		case strings.HasPrefix(line, "#"), listItem.MatchString(line):
			flush()
			open = append(open, words)
			if strings.HasPrefix(line, "#") {
				flush()
			}
		default:
			open = append(open, words)
		}
	}
	flush()
	return all
}

// unclearWord returns an unclear word of a sentence and the advice about it.
func unclearWord(sentence string) (word, advice string) {
	word = unclearWords.FindString(quoted.ReplaceAllString(sentence, ""))
	for pattern, advice := range unclear {
		if word != "" && regexp.MustCompile(`(?i)^(`+pattern+`)$`).MatchString(word) {
			return word, advice
		}
	}
	return "", ""
}

func length(sentence string) int {
	n := 0
	for word := range strings.FieldsSeq(sentence) {
		if wordLike.MatchString(word) {
			n++
		}
	}
	return n
}

func TestSentencesEnd(t *testing.T) {
	for text, want := range map[string][]string{
		"One. Two (of it.) Three":     {"One.", "Two (of it.)", "Three"},
		"A .deb of 1.5.0\nis one":     {"A .deb of 1.5.0 is one"},
		"List:\n  - a\n    b\n  - c":  {"List:", "- a b", "- c"},
		"Text\n\n\tcode here\n\nmore": {"Text", "more"},
		"# Head\nText":                {"# Head", "Text"},
	} {
		if got := sentences(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUnclearWords(t *testing.T) {
	for sentence, want := range map[string]string{
		"Whoever deletes it waits":         "Whoever",
		"it keeps the one that was there":  "the one that",
		"the wholesale of \"who\" and one": "",
	} {
		if got, _ := unclearWord(sentence); got != want {
			t.Errorf("%q: %q, want %q", sentence, got, want)
		}
	}
}

// checkWords holds the sentences of a text in the file name.
func checkWords(t *testing.T, name, where, text string, used map[string]bool) {
	t.Helper()
	for _, s := range sentences(text) {
		long, word, advice := length(s), "", ""
		if word, advice = unclearWord(s); word == "" && strings.HasSuffix(name, ".go") {
			word, advice = vague.FindString(quoted.ReplaceAllString(s, "")), "name the thing; say after"
		}
		if long <= maxWords && word == "" {
			continue
		}
		if i := slices.IndexFunc(keys(spared), func(k string) bool { return strings.HasPrefix(name+": "+s, k) }); i >= 0 {
			used[keys(spared)[i]] = true
			continue
		}
		if long > maxWords {
			t.Errorf("%s: a sentence of %d words, more than %d: %s", where, long, maxWords, s)
		}
		if word != "" {
			t.Errorf("%s: %q (%s): %s", where, word, advice, s)
		}
	}
}

func keys(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// markdown removes from a document its code and makes each cell of a table a
// paragraph.
func markdown(text string) string {
	var prose strings.Builder
	for i, part := range strings.Split(text, "```") {
		if i%2 != 0 {
			continue
		}
		for line := range strings.Lines(part) {
			switch {
			case strings.HasPrefix(line, "|"):
				line = strings.ReplaceAll(line, "|", "\n\n")
			case strings.HasPrefix(line, "    "):
				line = "\n"
			}
			prose.WriteString(line)
		}
	}
	return prose.String()
}

// TestPlainEnglish holds the length of sentences and the choice of words in the
// comments and documents that plain lists.
func TestPlainEnglish(t *testing.T) {
	held, used := map[string]bool{}, map[string]bool{}
	hold := func(name string) bool {
		i := slices.IndexFunc(plain, func(p string) bool { return within(name, p) })
		if i >= 0 {
			held[plain[i]] = true
		}
		return i >= 0
	}
	for _, s := range sources(t) {
		if !hold(s.path) {
			t.Errorf("plain has no directory of %s", s.path)
		}
		for _, group := range s.file.Comments {
			checkWords(t, s.path, s.set.Position(group.Pos()).String(), group.Text(), used)
		}
	}
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(documents, "../README.md") {
		name := filepath.ToSlash(strings.TrimPrefix(file, ".."+string(filepath.Separator)))
		if !hold(name) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkWords(t, name, name, markdown(string(text)), used)
	}
	for _, p := range plain {
		if !held[p] {
			t.Errorf("%s has no file", p)
		}
	}
	for s := range spared {
		if !used[s] {
			t.Errorf("nothing needs the exception %q", s)
		}
	}
}
