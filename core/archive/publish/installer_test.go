package publish_test

import (
	"cmp"
	"context"
	"io"
	"maps"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
)

// The same file of two versions of an installer.
var (
	kernel      = pack{"./netboot/linux", "", "installer amd64", "a kernel"}
	newerKernel = pack{"./netboot/linux", "", "installer amd64", "a newer kernel"}
)

// TestInstallerStays moves the package files to another directory of the pool
// and back. The files of an installer stay: they are not in the pool.
func TestInstallerStays(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, kernel), r.create(from("stable", "r")))
	const key = "public/dists/stable/main/installer-amd64/current/images/netboot/linux"
	for _, multi := range []bool{true, false} {
		args := at("stable")
		args.Options.MultiDist = &multi
		must(t, r.update(args))
		if got := env.Memory.Objects(key)[key]; got != "a kernel" {
			t.Errorf("MultiDist %t: the kernel is %q", multi, got)
		}
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	}
	must(t, r.drop(at("stable")))
	has(t, env, nil)
}

// TestSweepInstaller interrupts the publication of an installer, its
// replacement in place while the pool moves, its removal, and the drop.
func TestSweepInstaller(t *testing.T) {
	t.Parallel()
	first := func(r *rig) error { return r.put("r", hello, kernel) }
	create := func(r *rig) error { return r.create(from("stable", "r")) }
	update := func(r *rig) error { return r.update(at("stable")) }
	then := func(packs ...pack) func(*rig) error {
		return func(r *rig) error { return cmp.Or(first(r), create(r), r.put("r", packs...)) }
	}
	on := true
	moved := at("stable")
	moved.Options.MultiDist = &on
	sweep(t, first, create)
	sweep(t, then(hello, newerKernel), update)
	sweep(t, then(hello, newerKernel), func(r *rig) error { return r.update(moved) })
	sweep(t, then(hello), update)
	sweep(t, then(hello, kernel), func(r *rig) error { return r.drop(at("stable")) })
}

// images is where the installer of a rig's publication is.
const images = "public/dists/stable/main/installer-amd64/current/images/"

// keyed is a frame that has keys.
type keyed struct {
	frame
	keys []*pgp.Key
}

func (k keyed) PublicKeys() []*pgp.Key { return k.keys }

// TestInstallerSignature holds that the list of an installer is signed anew if
// the list or the keys have changed, and not else.
func TestInstallerSignature(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	var last string
	signed := func(what string, anew bool) {
		t.Helper()
		env.Clock.Advance(time.Minute)
		must(t, r.update(at("stable")))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		now := env.Memory.Objects(images)[images+"SHA256SUMS.gpg"]
		if (now != last) != anew || now == "" {
			t.Errorf("%s: signed by %q, before by %q", what, now, last)
		}
		last = now
	}
	key, err := pgp.Generate("a", "a@example.org", pgp.Ed25519, env.Clock.Now())
	must(t, err, r.put("r", hello, kernel), r.create(from("stable", "r")))
	signed("created", true)
	signed("nothing new", false)
	must(t, r.put("r", hello, newerKernel))
	signed("a newer kernel", true)
	r.publish.Signer = keyed{keys: []*pgp.Key{key.Key}}
	signed("with a key", true)
	signed("with the same key", false)
	for _, byHash := range []bool{false, true} {
		args := at("stable")
		args.Options.ByHash = &byHash
		must(t, r.update(args))
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	args := at("stable")
	args.SkipSigning = true
	must(t, r.update(args))
	if objects := env.Memory.Objects(images); objects[images+"SHA256SUMS.gpg"] != "" || objects[images+"SHA256SUMS"] == "" {
		t.Errorf("unsigned there are %v", maps.Keys(objects))
	}
	signed("signed again", true)
}

// TestInstallerTakesNoName holds that files of an installer never take the name
// of a signed file. An empty list is published instead, and goes with the
// installer.
func TestInstallerTakesNoName(t *testing.T) {
	t.Parallel()
	empty := hashed("", "")
	for _, name := range []string{"./SHA256SUMS", "./SHA256SUMS.gpg", "SHA256SUMS", "./by-hash/SHA256/" + empty.SHA256, "./SHA256SUMS/x", "../../../../Release"} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		hostile := pack{name, "", "installer amd64", "hostile"}
		must(t, r.put("r", hello, hostile), r.create(from("stable", "r")))
		if list, ok := env.Memory.Objects(images)[images+"SHA256SUMS"]; list != "" || !ok {
			t.Errorf("%s: the list is %q", name, list)
		}
		for key, data := range env.Memory.Objects("public/") {
			if data == "hostile" {
				t.Errorf("%s is published as %s", name, key)
			}
		}
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		must(t, r.put("r", hello), r.update(at("stable")))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		must(t, r.drop(at("stable")))
		has(t, env, nil)
	}
}

// TestInstallerFollowsRecord holds that the files of an installer stay those of
// its list as long as an update may fail. They change after the indexes and
// before their list.
func TestInstallerFollowsRecord(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	list := hashed("", "a kernel").SHA256 + "  ./netboot/linux\n"
	was := map[string]string{images + "netboot/linux": "a kernel", images + "SHA256SUMS": list}
	var updating atomic.Bool
	var looked sync.Map
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		if !updating.Load() || method != "put" || strings.HasPrefix(key, "private/chunks/") {
			return false // the inventory is written after the apply, too
		}
		now := env.Memory.Objects(images)
		switch name := path.Base(key); {
		case name == "SHA256SUMS" && now[images+"netboot/linux"] != "a newer kernel":
			t.Errorf("%s is put beside the file before", key)
		case strings.HasPrefix(key, "public/") && (strings.Contains(name, "Release") || strings.HasPrefix(name, "SHA256SUMS")):
			looked.Store(name, true)
		default:
			looked.Store(name, true)
			for key, want := range was {
				if now[key] != want {
					t.Errorf("when %s is put, %s is %q", name, key, now[key])
				}
			}
		}
		return false
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, kernel), r.create(from("stable", "r")), r.put("r", newer, newerKernel))
	r.publish.Signer = expired{}
	if err := r.update(at("stable")); err == nil {
		t.Fatal("an update is signed by a key that has expired")
	}
	if now := env.Memory.Objects(images); now[images+"netboot/linux"] != "a kernel" || now[images+"SHA256SUMS"] != list {
		t.Errorf("after an update that failed: %v", now)
	}
	r.publish.Signer = frame{}
	updating.Store(true)
	must(t, r.update(at("stable")))
	updating.Store(false)
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	for _, name := range []string{"manifest.json", "Packages", "SHA256SUMS"} {
		if _, ok := looked.Load(name); !ok {
			t.Errorf("%s was not put", name)
		}
	}
}

// expired is a signer whose key is of no use any more.
type expired struct{ frame }

func (expired) DetachSign(context.Context, io.Writer, []byte, time.Time) error { return pgp.ErrExpired }
