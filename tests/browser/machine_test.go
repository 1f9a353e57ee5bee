package browser

import (
	"strings"
	"testing"

	"aptless/tests/apt"
)

// machine is a machine that has copied a text of a page, and has run it.
func machine(t *testing.T, script string) *apt.Client {
	t.Helper()
	c := apt.New(t, apt.Options{})
	if err := c.Script(t.Context(), script).Err(); err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
	return c
}

// sees fails the test unless apt, after an update, would install a version of a package
// and downloads it.
func sees(t *testing.T, c *apt.Client, name, version string) {
	t.Helper()
	if err := c.Update(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if policy := c.Policy(t.Context(), name); policy.Code != 0 || !strings.Contains(policy.Output, "Candidate: "+version+"\n") {
		t.Errorf("apt does not see %s %s: %s", name, version, policy.Output)
	}
	if err := c.Download(t.Context(), name).Err(); err != nil {
		t.Error(err)
	}
}

// copied returns the text that the copy button of a page copies.
func (b *tab) copied(id string) string {
	b.t.Helper()
	ask[bool](b, `(() => {const d = document.getElementById(`+quote(id)+`).closest("details"); if (d) d.open = true; return true})()`)
	if !ask[bool](b, `!!document.querySelector('button[data-copy="`+id+`"]:not([hidden])')`) {
		b.t.Errorf("there is no button that copies %s", id)
	}
	return ask[string](b, `document.getElementById(`+quote(id)+`).textContent`)
}
