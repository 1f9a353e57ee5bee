package template

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"aptless/functions/options"
)

// parameter returns the name of the parameter for a flag.
func parameter(flag string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(flag, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// TestOptions holds that every shared option is a parameter with the same default. No
// function gets a variable that it does not know.
func TestOptions(t *testing.T) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Parameters yaml.Node `yaml:"Parameters"`
		Globals    yaml.Node `yaml:"Globals"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	variables := at(&doc.Globals, "Function", "Environment", "Variables")
	known := map[string]bool{"AWS_MAX_ATTEMPTS": true}
	for _, name := range []string{"TABLE", "PRIVATE_BUCKET", "PUBLIC_BUCKET", "DROP_BUCKET", "QUEUE", "QUEUE_PUBLISH", "QUEUE_MIRROR", "QUEUE_CLEANUP", "PUBLIC_KEY", "STORAGES"} {
		known["APTLESS_"+name] = true // variables of infra/aws
	}
	known["APTLESS_AUTHORIZER"], known["APTLESS_IAM_DEFAULT_ROLE"], known["APTLESS_ADDRESS"] = true, true, true // of functions/boot
	var o options.Options
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Flags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		variable, name := options.Variable(f.Name), parameter(f.Name)
		known[variable] = true
		if v := at(variables, variable); v == nil || v.Tag != "!Ref" || v.Value != name {
			t.Errorf("%s is not the parameter %s", variable, name)
		}
		want := f.DefValue
		if _, ok := f.Value.(pflag.SliceValue); ok {
			want = strings.Trim(want, "[]")
		}
		p := at(&doc.Parameters, name)
		if p == nil || at(p, "Default") == nil || text(p, "Default") != want || text(p, "Description") == "" {
			t.Errorf("the parameter %s has not the default %q, or no description", name, want)
		}
	})
	for i := 0; i < len(variables.Content); i += 2 {
		if name := variables.Content[i].Value; !known[name] {
			t.Errorf("no function knows %s", name)
		}
	}
	// The functions accept every value that the template allows.
	for i := 0; i+1 < len(doc.Parameters.Content); i += 2 {
		for _, value := range list(at(doc.Parameters.Content[i+1], "AllowedValues")) {
			name := doc.Parameters.Content[i].Value
			if _, err := options.FromEnv(func(v string) string {
				if n := at(variables, v); n != nil && n.Value == name {
					return value
				}
				return ""
			}); err != nil {
				t.Errorf("%s=%q is refused: %v", name, value, err)
			}
		}
	}
}
