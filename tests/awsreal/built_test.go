//go:build !awsreal

package awsreal

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestWithoutCredentials holds that the tests against AWS compile and pass vet. Without
// credentials they fail with the reason, and skip nothing.
func TestWithoutCredentials(t *testing.T) {
	if out, err := exec.Command("go", "vet", "-tags", "awsreal", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("go", "test", "-tags", "awsreal", "-count=1", ".")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	none := t.TempDir() + "/none"
	cmd.Env = append(cmd.Env, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no AWS credentials") {
		t.Errorf("%v\n%s", err, out)
	}
}
