package main

import (
	"os"
	"path/filepath"
	"slices"
)

// reprepro measures the command line of reprepro.
type reprepro struct {
	bin, root string
	w         *workload
	results   *results
}

// maxFiles bounds the names on one command line.
const maxFiles = 5000

// command measures commands of reprepro as one operation. A name of "" measures nothing.
func (r *reprepro) command(name string, commands ...[]string) error {
	var sum figures
	for _, args := range commands {
		f, err := run(r.w.env(), r.root, append([]string{r.bin, "-b", r.root, "--silent"}, args...)...)
		if err != nil {
			if name != "" {
				r.results.add("reprepro", name, figures{}, err)
			}
			return err
		}
		sum.wall, sum.cpu, sum.peak = sum.wall+f.wall, sum.cpu+f.cpu, max(sum.peak, f.peak)
	}
	if name != "" {
		r.results.add("reprepro", name, sum, nil)
	}
	return nil
}

// configure writes the configuration of one distribution.
func (r *reprepro) configure(more string) error {
	if err := os.MkdirAll(filepath.Join(r.root, "conf"), 0o777); err != nil {
		return err
	}
	text := "Codename: stable\nSuite: stable\nArchitectures: amd64 arm64\nComponents: main\nSignWith: " + r.w.key + "\n" + more
	return os.WriteFile(filepath.Join(r.root, "conf", "distributions"), []byte(text), 0o666)
}

// runRepository measures the life of a repository, with or without Contents.
func (r *reprepro) runRepository(contents bool) error {
	all, err := r.w.files("all")
	if err != nil {
		return err
	}
	more, err := r.w.files("more")
	if err != nil {
		return err
	}
	fields, suffix := "", ""
	if contents {
		fields, suffix = "Contents: .gz\n", ", Contents"
	}
	if err := r.configure(fields); err != nil {
		return err
	}
	imports := [][]string{}
	for part := range slices.Chunk(all, maxFiles) {
		imports = append(imports, append([]string{"--export=never", "includedeb", "stable"}, part...))
	}
	name := "import by one call"
	if contents {
		name = ""
	}
	if err := r.command(name, imports...); err != nil {
		return err
	}
	if err := r.command("first publication"+suffix, []string{"export", "stable"}); err != nil {
		return err
	}
	for i := range repeats {
		if err := r.command("one more"+suffix, []string{"includedeb", "stable", more[i]}); err != nil {
			return err
		}
	}
	if contents {
		return nil
	}
	for _, step := range []struct {
		name string
		args []string
	}{
		{"snapshot", []string{"gensnapshot", "stable", "s1"}},
		{"query by name", []string{"list", "stable", packageName(r.w.n / 2)}},
		{"query, name by regular expression", []string{"listmatched", "stable", "*render*"}},
		{"all packages", []string{"list", "stable"}},
	} {
		if err := r.command(step.name, step.args); err != nil {
			return err
		}
	}
	// A snapshot keeps the files, so it goes first.
	if err := r.command("", []string{"unreferencesnapshot", "stable", "s1"}); err != nil {
		return err
	}
	return r.command("drop, all gone", []string{"removematched", "stable", "*"})
}

// runMirror measures updates from an archive, without their publication.
func (r *reprepro) runMirror() error {
	u := r.w.serve()
	defer u.Close()
	if err := r.configure("Update: upstream\n"); err != nil {
		return err
	}
	updates := "Name: upstream\nMethod: " + u.URL + "\nSuite: stable\nComponents: main\nArchitectures: amd64 arm64\nVerifyRelease: " + r.w.key[max(0, len(r.w.key)-16):] + "\n"
	if err := os.WriteFile(filepath.Join(r.root, "conf", "updates"), []byte(updates), 0o666); err != nil {
		return err
	}
	for _, step := range []string{"mirror, first update", "mirror, nothing changed", "mirror, 1 % changed"} {
		if step == "mirror, 1 % changed" {
			u.tree.Store(&r.w.after)
		}
		if err := r.command(step, []string{"--export=never", "update", "stable"}); err != nil {
			return err
		}
	}
	return nil
}
