package simulation

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// moduleRoot returns the folder of the module.
func moduleRoot() (string, error) { return filepath.Abs("../..") }

// TestMutantsFit holds that the source has the conditions that mutants remove.
func TestMutantsFit(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Changes() {
		if _, err := c.texts(root); err != nil {
			t.Error(err)
		}
		if len(c.Mutants) == 0 {
			t.Errorf("%s has no mutants", c.Name)
		}
	}
	if _, err := switched(root, Changes()); err != nil {
		t.Error(err)
	}
}

// TestUnreachedSitesAreThere holds that each reason is about call sites of the source.
func TestUnreachedSitesAreThere(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	sites, err := Sites(root)
	if err != nil {
		t.Fatal(err)
	}
	for begin := range unreached {
		if !slices.ContainsFunc(sites, func(s string) bool { return strings.HasPrefix(s, begin) }) {
			t.Errorf("no call site begins with %s", begin)
		}
	}
}
