package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"
	"time"
)

// control has the files of the Debian package, and the templates of its control files.
//
//go:embed debian
var control embed.FS

// placed says where files of the folder debian are installed, and with which mode.
var placed = []struct {
	file, path string
	mode       os.FileMode
}{
	{"control", "DEBIAN/control", 0o644},
	{"conffiles", "DEBIAN/conffiles", 0o644},
	{"postinst", "DEBIAN/postinst", 0o755},
	{"prerm", "DEBIAN/prerm", 0o755},
	{"postrm", "DEBIAN/postrm", 0o755},
	{"aptless.toml", "etc/aptless/aptless.toml", 0o644},
	{"aptless.service", "usr/lib/systemd/system/aptless.service", 0o644},
	{"aptless.sysusers", "usr/lib/sysusers.d/aptless.conf", 0o644},
	{"copyright", "usr/share/doc/aptless/copyright", 0o644},
	{"lintian-overrides", "usr/share/lintian/overrides/aptless", 0o644},
}

// deb returns the path of the Debian package for an architecture.
func (r *release) deb(arch string) string {
	return filepath.Join(r.out, fmt.Sprintf("aptless_%s_%s.deb", r.version, arch))
}

// debs makes the Debian packages of the programs.
func (r *release) debs(ctx context.Context) error {
	for _, arch := range r.archs {
		if err := r.makeDeb(ctx, arch); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	return nil
}

func (r *release) makeDeb(ctx context.Context, arch string) error {
	root, err := os.MkdirTemp("", "aptless-deb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	program, err := os.ReadFile(r.program(arch))
	if err != nil {
		return err
	}
	if err := place(root, "usr/bin/aptless", program, 0o755); err != nil {
		return err
	}
	if err := r.placeGenerated(ctx, root); err != nil {
		return err
	}
	values := map[string]any{"Version": r.version, "Arch": arch, "Date": r.date.Format(time.RFC1123Z), "Year": r.date.Year()}
	if values["Size"], err = installedSize(root); err != nil {
		return err
	}
	for _, p := range placed {
		text, err := control.ReadFile("debian/" + p.file)
		if err != nil {
			return err
		}
		if text, err = fill(p.file, text, values); err != nil {
			return err
		}
		if err := place(root, p.path, text, p.mode); err != nil {
			return err
		}
	}
	build := command(ctx, "", "dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, r.deb(arch))
	build.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.date.Unix()))
	if err := r.touch(root); err != nil {
		return err
	}
	return build.Run()
}

// placeGenerated adds the changelog, and the manual pages and completions that the program
// of this machine writes.
func (r *release) placeGenerated(ctx context.Context, root string) error {
	changes, err := control.ReadFile("debian/changelog")
	if err != nil {
		return err
	}
	if changes, err = fill("changelog", changes, map[string]any{"Version": r.version, "Date": r.date.Format(time.RFC1123Z)}); err != nil {
		return err
	}
	packed, err := pack(changes)
	if err != nil {
		return err
	}
	if err := place(root, "usr/share/doc/aptless/changelog.gz", packed, 0o644); err != nil {
		return err
	}
	program := r.program(runtime.GOARCH)
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("the program of this machine writes the manual pages: %w", err)
	}
	return errors.Join(placeCompletions(ctx, program, root), placeManual(ctx, program, root))
}

// pack compresses a file without its name and time.
func pack(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// placeCompletions adds the completions of the shells.
func placeCompletions(ctx context.Context, program, root string) error {
	for shell, to := range map[string]string{
		"bash": "usr/share/bash-completion/completions/aptless",
		"zsh":  "usr/share/zsh/vendor-completions/_aptless",
		"fish": "usr/share/fish/vendor_completions.d/aptless.fish",
	} {
		var text bytes.Buffer
		cmd := command(ctx, "", program, "completion", shell)
		cmd.Stdout = &text
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("completion for %s: %w", shell, err)
		}
		if err := place(root, to, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// placeManual adds the manual pages.
func placeManual(ctx context.Context, program, root string) error {
	dir, err := os.MkdirTemp("", "aptless-man-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := command(ctx, "", program, "man", dir)
	cmd.Stdout = io.Discard
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("no manual page was written, %w", err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if text, err = pack(text); err != nil {
			return err
		}
		if err := place(root, "usr/share/man/man1/"+filepath.Base(page)+".gz", text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// fill fills a template whose marks are [[ and ]].
func fill(name string, text []byte, values map[string]any) ([]byte, error) {
	t, err := template.New(name).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, values)
	return b.Bytes(), err
}

// place writes a file below root, with its folders.
func place(root, name string, data []byte, mode os.FileMode) error {
	file := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode) // the umask may have taken bits
}

// touch sets the date of all files and folders, and the mode of folders.
func (r *release) touch(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if err := os.Chmod(name, 0o755); err != nil {
				return err
			}
		}
		return os.Chtimes(name, r.date, r.date)
	})
}

// installedSize is the size of the files in KiB, each rounded up (Debian policy 5.6.20).
func installedSize(root string) (int64, error) {
	var total int64
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(name, path.Join(root, "DEBIAN")) {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += (info.Size() + 1023) / 1024
		}
		return err
	})
	return total, err
}
