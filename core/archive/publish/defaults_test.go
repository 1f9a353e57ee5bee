package publish_test

import (
	"testing"

	"aptless/core/engine/driver/drivertest"
)

// TestSkipDefaults holds that a creation takes its options from the request,
// else from the configuration. The publication keeps them when the
// configuration changes.
func TestSkipDefaults(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	tests := map[string]struct {
		configured bool
		said       *bool
		skips      bool
	}{
		"nothing":             {},
		"configured":          {true, nil, true},
		"configured and said": {true, &yes, true},
		"said":                {false, &yes, true},
		"said otherwise":      {true, &no, false},
	}
	for name, tt := range tests {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		r.publish.SkipContents, r.publish.SkipBz2 = tt.configured, tt.configured
		args := from("stable", "r")
		args.Options.SkipContents, args.Options.SkipBz2 = tt.said, tt.said
		must(t, r.put("r", hello), r.create(args))
		r.publish.SkipContents, r.publish.SkipBz2 = !tt.configured, !tt.configured
		must(t, r.put("r", hello, common), r.update(at("stable")))
		for _, path := range []string{"main/binary-amd64/Packages.bz2", "main/Contents-amd64.gz"} {
			_, err := env.Blobs.Stat(t.Context(), "public/dists/stable/"+path)
			if there := err == nil; there == tt.skips {
				t.Errorf("%s: %s is there: %v, %v", name, path, there, err)
			}
		}
	}
}
