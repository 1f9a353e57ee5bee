package cli

import "strings"

// long writes the words of aptly's flags as those of pflag. A word with one dash and more
// than one letter is a long flag, for example -force-replace. takes has the flags that
// take a value: the word after such a flag is a value and stays.
func long(words []string, takes map[string]bool) []string {
	out := make([]string, 0, len(words))
	value := false // the word is the value of the flag before it
	for i, w := range words {
		if w == "--" && !value {
			return append(out, words[i:]...)
		}
		if value || !strings.HasPrefix(w, "-") || len(w) < 2 {
			out, value = append(out, w), false
			continue
		}
		name, _, given := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if w[1] != '-' && (len(name) > 1 || given && len(name) == 1) {
			w = "-" + w
			if len(name) == 1 { // -q=false
				w = w[1:]
			}
		}
		out, value = append(out, w), !given && takes[name]
	}
	return out
}

// list splits a text at commas, as aptly does for components: "a,,b" has an empty part.
func list(text string) []string {
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// near returns the names that are like a name: at most two letters differ, or one begins
// with the other. At most three.
func near(name string, names []string) []string {
	var found []string
	for _, n := range names {
		if n != name && len(found) < 3 && (distance(name, n) <= 2 || len(name) > 2 && strings.HasPrefix(n, name)) {
			found = append(found, n)
		}
	}
	return found
}

// distance is the number of letters to change, insert or remove between two texts.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}

// quote writes a text as a word of a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,=", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
