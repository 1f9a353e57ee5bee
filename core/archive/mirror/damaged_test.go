package mirror_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aptless/core/archive/mirror"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestDamagedPackagesAreReported mirrors a package that is as listed but cannot
// be unpacked. It is taken. Output, warnings and detail name it. That holds for files
// that are held in memory, and for larger ones.
func TestDamagedPackagesAreReported(t *testing.T) {
	for _, size := range []int{10, 300 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { reportsDamaged(t, strings.Repeat("x", size)) })
	}
}

// reportsDamaged mirrors packages, damaged ones among them, with a file of this content.
func reportsDamaged(t *testing.T, content string) {
	s := inMemory(t)
	spec := s.Archive(t)
	var stanzas []string
	files := map[string][]byte{}
	for _, name := range []string{"cut", "text", "whole"} {
		p := debtest.Spec{Package: name, Compression: "none", Files: map[string]string{"usr/share/" + name: content}}
		path := "pool/" + debtest.FileName(p)
		data := debtest.Deb(p)
		switch name {
		case "cut":
			data = data[:len(data)-1200]
		case "text":
			data = []byte("<html>not found</html>" + content)
		}
		files[path] = data
		stanzas = append(stanzas, fmt.Sprintf("Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: m\nDescription: d\nFilename: %s\nSize: %d\nSHA256: %x\n\n",
			name, path, len(data), sha256.Sum256(data)))
	}
	lists(s, spec, stanzas, files)
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	var task struct {
		ID       int64
		Warnings []string
	}
	s.Must(t, "PUT", "/api/mirrors/m?_async=1", "{}", &task)
	s.Must(t, "GET", "/api/tasks-wait", "", nil)
	path := "/api/tasks/" + apptest.JSON(task.ID)
	s.Must(t, "GET", path, "", &task)
	var output string
	s.Must(t, "GET", path+"/output", "", &output)
	_, text := s.Ask(t, "GET", path+"/detail", "")
	var p mirror.Partial
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if p.DamagedPackages != 2 || len(p.Damaged) != 2 || p.Partial {
		t.Errorf("detail %s", text)
	}
	if warnings := strings.Join(task.Warnings, "; "); !strings.HasPrefix(warnings, "2 packages are as listed and cannot be unpacked, the first is ") {
		t.Errorf("warnings %q", warnings)
	}
	for _, name := range []string{"cut_1.0_all: ", "text_1.0_all: "} {
		if !strings.Contains(output, "damaged, taken as listed: "+name) {
			t.Errorf("output %s", output)
		}
	}
	if got := len(s.Keys(t, "/api/mirrors/m")); got != 3 {
		t.Errorf("%d packages", got)
	}
}
