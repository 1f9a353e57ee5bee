package simulation

import (
	"fmt"
	"go/format"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// killer is a run that fails without a condition, and passes with it.
type killer struct {
	seed      uint64
	tried     int    // runs of a search up to this one; every seed of the focus is tried, from 1
	violation string // in short
}

// killer returns the known killer of a change. Its seed is 0 if none is known.
func (c Change) killer() killer { return killers[c.Name] }

// mostTried bounds the runs of a search.
const mostTried = 200

// longestText bounds the text of a violation in the table, in bytes.
const longestText = 110

var (
	uuids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}`)
	digests = regexp.MustCompile(`[0-9a-f]{40,}`)
	markup  = strings.NewReplacer("|", "/", "<", "(", ">", ")", "`", "'", "*", "", "_", "-", "\t", " ", "what", "that")
)

// inShort returns a violation as a cell of a table: its first words, without long numbers.
func inShort(violation string) string {
	line, _, _ := strings.Cut(violation, "\n")
	line = markup.Replace(digests.ReplaceAllString(uuids.ReplaceAllString(line, "UUID"), "DIGEST"))
	if len(line) > longestText {
		line = line[:longestText]
		line = line[:max(0, strings.LastIndexByte(line, ' '))] + " …"
	}
	return strings.ToValidUTF8(strings.TrimSpace(line), "")
}

// row returns the row of a change in a table.
func (c Change) row(k killer) string {
	focus := c.focus()
	if focus == "" {
		focus = "all"
	}
	if k.seed == 0 {
		how := "none"
		if by := c.backed(); by != "" {
			how = "backed: " + by
		}
		return fmt.Sprintf("| %s | %s | none | %d | %s |\n", upper(c.Name), focus, mostTried, how)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %s |\n", upper(c.Name), focus, k.seed, k.tried, k.violation)
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// tableHead begins the table of changes.
const tableHead = "| Condition that is removed | Focus | Seed that fails | Runs of a search up to it | First violation, or the condition that backs it |\n|---|---|---|---|---|\n"

// killingTable returns the table of all changes, as docs/guarantees.md has it.
func killingTable(all map[string]killer) string {
	var b strings.Builder
	b.WriteString(tableHead)
	for _, c := range Changes() {
		b.WriteString(c.row(all[c.Name]))
	}
	return b.String()
}

// withTable returns a page with another table of all changes.
func withTable(page, table string) (string, error) {
	i := strings.Index(page, tableHead)
	if i < 0 {
		return "", fmt.Errorf("the page has no table that begins with %s", tableHead)
	}
	end := i + len(tableHead)
	for strings.HasPrefix(page[end:], "|") {
		end += strings.IndexByte(page[end:], '\n') + 1
	}
	return page[:i] + table + page[end:], nil
}

// guarantees is the page with the table of all changes.
func guarantees(root string) string { return filepath.Join(root, "docs", "guarantees.md") }

// writeKillers writes the killers into their file and into the page.
func writeKillers(root string, all map[string]killer) error {
	var b strings.Builder
	b.WriteString("package simulation\n\n// killers are runs that fail without a condition. `make mutants WRITE=1` searches them, and\n// writes this file and the table of docs/guarantees.md.\nvar killers = map[string]killer{\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		k := all[name]
		fmt.Fprintf(&b, "%q: {%d, %d, %q},\n", name, k.seed, k.tried, k.violation)
	}
	b.WriteString("}\n")
	text, err := format.Source([]byte(b.String()))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "tests", "simulation", "killers.go"), text, 0o644); err != nil {
		return err
	}
	page, err := os.ReadFile(guarantees(root))
	if err != nil {
		return err
	}
	whole, err := withTable(string(page), killingTable(all))
	if err != nil {
		return err
	}
	return os.WriteFile(guarantees(root), []byte(whole), 0o644)
}
