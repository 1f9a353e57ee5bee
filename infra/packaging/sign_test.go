package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestReleaseIsSigned holds that the checksums are signed by the key of the variable, and that
// a run without a key leaves no former signature.
func TestReleaseIsSigned(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	gpg := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--passphrase", ""}, args...)...).Output()
		if err != nil {
			t.Fatal(args, err)
		}
		return out
	}
	gpg("--quick-generate-key", "release@example.org", "ed25519", "sign", "never")
	key := filepath.Join(home, "key.asc")
	if err := os.WriteFile(key, gpg("--armor", "--export-secret-keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-version", version, "-arch", "amd64", "-out", dir, "-parts", "provenance,sums,signature"}
	with := func(name string) string {
		if name == keyVariable {
			return key
		}
		return epoch(name)
	}
	if err := run(t.Context(), args, with); err != nil {
		t.Fatal(err)
	}
	gpg("--verify", filepath.Join(dir, signatureName), filepath.Join(dir, sumsName))
	var s statement
	text, err := os.ReadFile(filepath.Join(dir, provenanceName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil || len(s.Subject) != 1 || s.Subject[0].Name != "file" ||
		s.Subject[0].Digest["sha256"] != "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73" ||
		s.Predicate.BuildDefinition.ExternalParameters["version"] != version || len(s.Predicate.BuildDefinition.ResolvedDependencies) < 2 {
		t.Errorf("%v\n%s", err, text)
	}
	if err := run(t.Context(), args, epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, signatureName)); err == nil {
		t.Error("a former signature stays beside new checksums")
	}
}
