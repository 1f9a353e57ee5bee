package aws

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestProgramForRealAccountsWorks runs the tests against AWS on this machine. They cannot
// prove here how AWS behaves, but that they work: they pass, count and clean up.
func TestProgramForRealAccountsWorks(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	cmd := exec.Command("go", "test", "-tags", "awsreal", "-count=1", "-v", "-run", "TestCopiesRace|TestWake|TestJourney", "aptless/tests/awsreal")
	cmd.Env = append(append(os.Environ(), p.local.Env()...), "APTLESS_URL="+p.api.URL, "APTLESS_REPOSITORY="+p.public.URL, "APTLESS_TOKEN="+p.token)
	out, err := cmd.CombinedOutput()
	if text := string(out); err != nil || strings.Count(text, "--- PASS") != 3 || !strings.Contains(text, "dollars at list price") || strings.Contains(text, "are left") || strings.Contains(text, "not counted") {
		t.Errorf("%v\n%s", err, text)
	}
}
