package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
)

// TestKeys signs with the keys that a request names.
func TestKeys(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	env.Clock.Advance(time.Hour)
	generate := func(name string, made time.Time) *pgp.SecretKey {
		key, err := pgp.Generate(name, name+"@example.org", pgp.Ed25519, made)
		must(t, err)
		return key
	}
	now := env.Clock.Now()
	old, next := generate("Old", now.Add(-time.Hour)), generate("Next", now.Add(-time.Minute))
	both, err := pgp.NewSigner(old, next)
	must(t, err, r.put("r", hello))
	r.publish.Signer = both
	ring, err := pgp.NewKeyring(old.Key, next.Key)
	must(t, err)
	// verified says which keys the InRelease has signatures of.
	verified := func() string {
		data := env.Memory.Objects("public/dists/stable/InRelease")["public/dists/stable/InRelease"]
		_, sigs, err := ring.VerifyClearsigned([]byte(data), env.Clock.Now().Add(time.Hour))
		must(t, err)
		switch {
		case len(sigs) == 2 && sigs[0].Key == old.ID() && sigs[1].Key == next.ID():
			return "both "
		case len(sigs) == 1 && sigs[0].Key == old.ID():
			return "old "
		case len(sigs) == 1 && sigs[0].Key == next.ID():
			return "next "
		}
		return fmt.Sprint(sigs)
	}
	must(t, r.create(from("stable", "r")))
	if got := verified(); got != "both " {
		t.Errorf("without a name: %q", got)
	}
	for keys, want := range map[string]string{"old": "old", "Next": "next", old.Fingerprint() + ", Next": "both", next.ID().String(): "next"} {
		args := at("stable")
		args.Keys = keys
		must(t, r.update(args))
		if got := verified(); !strings.Contains(got, want+" ") {
			t.Errorf("%s: %q, want %s", keys, got, want)
		}
	}
	args := at("stable")
	args.Keys = "nobody"
	_, err = r.checkUpdate(t.Context(), args)
	refused(t, "update", err, 500, "unable to initialize GPG signer: couldn't find key for key reference nobody")
	args.SkipSigning = true
	must(t, r.update(args))
}

// TestUnfitKey refuses to begin a publication with a key that apt refuses.
func TestUnfitKey(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	key, err := pgp.Generate("Later", "", pgp.Ed25519, env.Clock.Now().Add(1000*time.Hour))
	must(t, err, r.put("r", hello))
	r.publish.Signer, err = pgp.NewSigner(key)
	must(t, err)
	_, err = r.checkCreate(t.Context(), ":.", from("stable", "r"))
	refused(t, "key", err, 400, fmt.Sprintf("unable to initialize GPG signer: The key %s is not valid yet. "+
		"Sign with a key of RSA with 3072 bits or more, or of Ed25519, or publish with Signing.Skip", key.ID()))
	args := from("stable", "r")
	args.SkipSigning = true
	must(t, r.create(args))
	if err := r.update(at("stable")); err == nil || !strings.Contains(err.Error(), "unable to update: unable to detached sign file: ") {
		t.Errorf("update: %v", err)
	}
	r.publish.Signer = nil
	_, err = r.checkUpdate(t.Context(), at("stable"))
	refused(t, "no key", err, 500, "unable to initialize GPG signer: "+pgp.ErrNoDefaultKey.Error())
}

// TestPartNeedsTheKeyOfItsPublication: a delivery into a publication that the server
// cannot sign any more is refused before anything is stored.
func TestPartNeedsTheKeyOfItsPublication(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	get := func(ctx context.Context, key driver.Key, v any) error {
		row, err := env.Table.Get(ctx, key)
		if err != nil {
			return err
		}
		return json.Unmarshal(row.Data, v)
	}
	name := at("stable").Name
	locks, _, err := r.publish.CheckPart(t.Context(), get, name, "uuid-r", "r")
	if err != nil || len(locks) == 0 {
		t.Fatal(locks, err)
	}
	r.publish.Signer = nil
	_, _, err = r.publish.CheckPart(t.Context(), get, name, "uuid-r", "r")
	refused(t, "no key", err, 500, "unable to initialize GPG signer: "+pgp.ErrNoDefaultKey.Error())
}

// distant is a signer that cannot be reached for a while.
type distant struct {
	frame
	failures *int
}

func (d distant) DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error {
	if *d.failures--; *d.failures >= 0 {
		return errors.New("no route to host")
	}
	return d.frame.DetachSign(ctx, w, data, at)
}

// TestDistantSigner has a signer fail for a reason that passes.
func TestDistantSigner(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	failures := 2
	r.publish.Signer = distant{failures: &failures}
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
}
