package publish_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestPublishSurvivesEveryFault interrupts the update of a publication, after a package was
// added and another removed, at every call of a port.
func TestPublishSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	verify := func(env *drivertest.Env) error {
		found, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable")
		if err != nil {
			return err
		}
		if got := fmt.Sprint(found["main/binary-amd64/Packages"]); got != "[bb=1 cc=1]" {
			return fmt.Errorf("packages %s", got)
		}
		if _, ok := env.Memory.Objects("public/pool/")["public/pool/main/a/aa/a_1_all.deb"]; ok {
			return fmt.Errorf("the file of a package that is gone is left")
		}
		return nil
	}
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all"), "b_1_amd64.deb": apptest.Deb("bb", "1", "amd64")}); err != nil {
				return err
			}
			for _, s := range [][3]string{{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/d", ""}, {"POST", "/api/publish", apptest.PublishBody}} {
				if err := p.Step(s[0], s[1], s[2]); err != nil {
					return err
				}
			}
			if err := p.Upload("d", map[string][]byte{"c_1_amd64.deb": apptest.Deb("cc", "1", "amd64")}); err != nil {
				return err
			}
			if err := p.Step("POST", "/api/repos/r/file/d", ""); err != nil {
				return err
			}
			data, err := p.Do("GET", "/api/repos/r/packages", "", nil)
			if err != nil {
				return err
			}
			var keys []string
			if err := json.Unmarshal(data, &keys); err != nil || len(keys) != 3 {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			env.Clock.Advance(time.Minute)
			return p.Step("DELETE", "/api/repos/r/packages", fmt.Sprintf(`{"PackageRefs":[%q]}`, keys[0]))
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.Step("PUT", "/api/publish/:./stable", "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			if verify(env) != nil { // it was not admitted: the client sends it again
				env.Clock.Advance(time.Minute)
				return p.Step("PUT", "/api/publish/:./stable", "{}")
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			if err := p.Ended(); err != nil {
				return err
			}
			return verify(env)
		},
	})
}

// TestDropLeavesNothing publishes two distributions of one prefix, and drops
// one and then the other. The first drop leaves the files that the second
// distribution uses. The second drop leaves nothing.
func TestDropLeavesNothing(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all")}); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][3]string{
		{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/d", ""}, {"POST", "/api/publish", apptest.PublishBody},
		{"POST", "/api/publish", strings.Replace(apptest.PublishBody, "stable", "stable/updates", 1)},
		{"DELETE", "/api/publish/:./stable", ""},
	} {
		if err := p.Step(s[0], s[1], s[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Ended(); err != nil {
		t.Fatal(err)
	}
	if found, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable/updates"); err != nil || len(found) != 1 {
		t.Errorf("the other distribution: %v, %v", found, err)
	}
	if err := p.Step("DELETE", "/api/repos/r", ""); err == nil || !strings.Contains(err.Error(), "unable to drop, local repo is published") {
		t.Errorf("drop of a published repository: %v", err)
	}
	if _, err := p.Do("POST", "/api/tasks-clear", "", nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Step("DELETE", "/api/publish/:./stable_updates", ""); err != nil {
		t.Fatal(err)
	}
	for key := range env.Memory.Objects("public/") {
		t.Errorf("%s is left", key)
	}
}
