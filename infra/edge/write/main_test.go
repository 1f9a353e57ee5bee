package main

import "testing"

func TestReplaceChangesOneBlock(t *testing.T) {
	const template = "Resources:\n  A:\n    Properties:\n      FunctionCode: |\n        old\n\n        old\n  B:\n    Type: x\n"
	const want = "Resources:\n  A:\n    Properties:\n      FunctionCode: |\n        new\n\n          new\n  B:\n    Type: x\n"
	got, err := replace(template, "A", "new\n\n  new\n")
	if err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if again, err := replace(got, "A", "new\n\n  new\n"); err != nil || again != got {
		t.Errorf("written again it differs: %v\n%s", err, again)
	}
	for _, resource := range []string{"B", "C"} {
		if got, err := replace(template, resource, "x\n"); err == nil {
			t.Errorf("%s has code:\n%s", resource, got)
		}
	}
	if got, err := replace("\n  B:\n    Type: x\n  A:\n      FunctionCode: |\n", "B", "x\n"); err == nil {
		t.Errorf("B got the code of A:\n%s", got)
	}
}
