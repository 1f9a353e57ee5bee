package publish_test

import (
	"cmp"
	"testing"

	"aptless/core/driver/drivertest"
)

// The same file of two versions of an installer.
var (
	kernel      = pack{"./netboot/linux", "", "installer amd64", "a kernel"}
	newerKernel = pack{"./netboot/linux", "", "installer amd64", "a newer kernel"}
)

// TestInstallerStays moves the package files to another directory of the pool
// and back: those of an installer are not in the pool.
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
