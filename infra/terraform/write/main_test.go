package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestVariables holds that infra/terraform has every parameter of template.yaml, with its
// default, and that it puts the code of every function into the template.
func TestVariables(t *testing.T) {
	template, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := variables(template)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../variables.tf")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("infra/terraform/variables.tf differs from template.yaml: make terraform")
	}
	spaces := regexp.MustCompile(` +`)
	for _, part := range []string{"variable \"authorizer\" {\n  type        = string\n  default     = \"TOKENS\"", " StorageArns = join(\",\", var.storage_arns)", " MaxUpload = tostring(var.max_upload)"} {
		if !strings.Contains(spaces.ReplaceAllString(want, " "), spaces.ReplaceAllString(part, " ")) {
			t.Errorf("no %q in %s", part, want)
		}
	}
	module, err := os.ReadFile("../main.tf")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, uri := range regexp.MustCompile(`CodeUri: (dist/\w+/)`).FindAllSubmatch(template, -1) {
		codes[string(uri[1])] = true
	}
	for uri := range codes {
		if !strings.Contains(string(module), `"CodeUri: `+uri+`", "CodeUri: s3://`) {
			t.Errorf("the module leaves %s in the template", uri)
		}
	}
	if len(codes) != 3 {
		t.Errorf("functions of %v", codes)
	}
}
