package differential

import (
	"maps"
	"strings"
	"sync"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

// specs are the uploaded binary packages, by file name.
func specs() map[string]debtest.Spec {
	field := func(name, value string) map[string]string { return map[string]string{name: value} }
	files := func(name string) map[string]string { return map[string]string{"usr/share/doc/" + name: name} }
	return map[string]debtest.Spec{
		"hello_1.0_amd64.deb":      {Package: "hello", Version: "1.0", Architecture: "amd64", Files: files("hello")},
		"hello_2.0_amd64.deb":      {Package: "hello", Version: "2.0", Architecture: "amd64", Files: files("hello")},
		"hello_1.0_i386.deb":       {Package: "hello", Version: "1.0", Architecture: "i386", Files: files("hello")},
		"hello-data_1.0_all.deb":   {Package: "hello-data", Version: "1.0", Fields: field("Section", "contrib/doc"), Files: files("data")},
		"app_1.0_amd64.deb":        {Package: "app", Version: "1.0", Architecture: "amd64", Fields: field("Depends", "hello (>= 1.0), hello-data"), Files: files("app")},
		"app_2.0_amd64.deb":        {Package: "app", Version: "2.0", Architecture: "amd64", Fields: field("Depends", "nothing | virtual, hello-data"), Files: files("app")},
		"provider_1.0_amd64.deb":   {Package: "provider", Version: "1.0", Architecture: "amd64", Fields: field("Provides", "virtual (= 3)"), Files: files("provider")},
		"other_1.0+b1_amd64.deb":   {Package: "other", Version: "1:1.0+b1", Architecture: "amd64", Fields: field("Source", "elsewhere (0.9)"), Files: files("other")},
		"kernel_1.0_amd64.udeb":    {Package: "kernel", Version: "1.0", Architecture: "amd64", Udeb: true, Files: files("kernel")},
		"conflict_1.0_amd64.deb":   {Package: "hello", Version: "1.0", Architecture: "amd64", Files: files("another hello")},
		"library_1.0~rc1_i386.deb": {Package: "libx", Version: "1.0~rc1", Architecture: "i386", Fields: field("Multi-Arch", "same"), Files: files("libx")},
	}
}

// source is the uploaded source package.
func source() debtest.SourceSpec { return debtest.SourceSpec{Source: "hello", Version: "1.0-1"} }

// fixture returns a file by its name. The content of an unknown file is its name.
func fixture(name string) []byte {
	if spec, ok := specs()[name]; ok {
		return debtest.Deb(spec)
	}
	if data, ok := debtest.Source(source())[name]; ok {
		return data
	}
	return []byte(name)
}

// fixtureKeys returns the keys of the packages by the names of their files.
var fixtureKeys = sync.OnceValue(func() map[string]string {
	keys := map[string]string{}
	hashed := func(name string, data []byte) deb.File {
		h := deb.NewHasher()
		h.Write(data)
		return h.File(name)
	}
	for name, spec := range specs() {
		p, err := deb.ParseParagraph(debtest.Control(spec), deb.ModeControl)
		if err != nil {
			panic(err)
		}
		kind := deb.Binary
		if spec.Udeb {
			kind = deb.Udeb
		}
		pkg, err := deb.BinaryPackage(p, kind, hashed(name, debtest.Deb(spec)))
		if err != nil {
			panic(err)
		}
		keys[strings.TrimSuffix(strings.TrimSuffix(name, ".deb"), ".udeb")] = pkg.Key()
	}
	files := debtest.Source(source())
	var listed []deb.File
	for name := range maps.Keys(files) {
		listed = append(listed, hashed(name, files[name]))
	}
	p, err := deb.ParseParagraph(string(files[debtest.DscName(source())]), deb.ModeControl)
	if err != nil {
		panic(err)
	}
	pkg, err := deb.SourcePackage(p, listed...)
	if err != nil {
		panic(err)
	}
	keys["source"] = pkg.Key()
	return keys
})
