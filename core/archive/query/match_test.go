package query

import (
	"testing"

	"aptless/core/formats/deb"
)

func match(t *testing.T, text string, p *deb.Package) bool {
	t.Helper()
	q, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q.Match(p)
}

func TestQueriesMatchPackages(t *testing.T) {
	binary := &deb.Package{Name: "lib01", Version: "1:2.0~rc1-1", Architecture: "amd64", Source: "srcpkg (1.9)",
		Depends: []string{"a (>= 1) | b", "c:any"}, Provides: []string{"virtual", "api (= 3)", "old (<< 5)", "lib01 (= 9)"},
		Extra: map[string]string{"Priority": "required", "Description": " short\n long\n", "X-Custom-Field": "x", "Tag": "a/b"},
		Files: []deb.File{{Name: "f.deb", Size: 1}}}
	all := &deb.Package{Name: "doc", Version: "1.0", Architecture: "all"}
	source := &deb.Package{Kind: deb.Source, Name: "src", Version: "1", Architecture: "source", SourceArchitecture: "any all",
		BuildDepends: []string{"debhelper"}, Extra: map[string]string{"Binary": "x"}}
	udeb := &deb.Package{Kind: deb.Udeb, Name: "u", Version: "1", Architecture: "amd64"}
	installer := &deb.Package{Kind: deb.Installer, Name: "installer", Architecture: "amd64"}
	for _, tc := range []struct {
		p       *deb.Package
		yes, no []string
	}{
		{binary, []string{
			"lib01", "lib01 (1:2.0~rc1-1)", "lib01_1:2.0~rc1-1_amd64", "lib01 {amd64}", "lib01 (<< 1:2.0)", "lib01 (= 9)", "lib01 (% 1:*)", "lib01 (~rc)",
			"virtual", "virtual (= 1:2.0~rc1-1)", "virtual (>= 1)", "api (= 3)", "api (>= 2) {amd64}",
			"$Source (srcpkg)", "$SourceVersion (1.9)", "$Version (<< 1:2.0)", "$Version (= 9)", "$Version", "Version (<< 1:2.0)",
			"Tag", "Description (~ long)", "Description (~ '^ short')", "Name (% lib*)", "Name (lib1)", "Name (lib01)", "Source (% srcpkg*)",
			"Architecture (amd64)", "$Architecture (amd64)", "$Architecture (~ ^amd)", "$PackageType (deb)", "Depends (% a*c:any)",
			"Depends (~ 'a \\(>= 1\\) \\| b, c:any')", "Priority (required)", "X-Custom-Field (x)", "Installed-Size (<= 100)", "!Nothing", "Provides",
			"lib01, virtual", "nothing | api", "!nothing, !(nothing | other)", "Tag (% a/*)", "Tag (% [^b]/b)", `Tag (% \a/b)`,
		}, []string{
			"lib1", "lib01 (= 2)", "lib01 {i386}", "lib01 {all}", "lib01_1:2.0~rc1-1_i386", "lib01_2_amd64", "old", "old (<< 5)", "api (= 4)", "api (>> 3)",
			"Package (lib01)", "Source (srcpkg)", "Filename (~ .)", "Filename", "Size", "MD5sum", "Key", "FilesHash", "$Unknown", "x-custom-field", "X-custom-field",
			"Version (= 9)", "$Version (= 8)", "Description (~ ^short)", "Name (~ ^LIB)", "Tag (% *)", "Tag (% [)", "Architecture (all)", "$PackageType (udeb)", "*",
			"c", "foo:any", "lib01, nothing", "!lib01", "Build-Depends",
		}},
		{all, []string{"doc {amd64}", "doc {anything}", "doc {all}", "$Architecture (amd64)", "$Architecture (all)", "$Architecture", "Architecture (all)",
			"$Source (doc)", "$SourceVersion (1.0)", "doc_1.0_all", "!Source"},
			[]string{"doc {source}", "$Architecture (source)", "Architecture (amd64)", "doc_1.0_amd64", "$Architecture (% amd64)", "Source"}},
		{source, []string{"src", "src {source}", "src_1_source", "Architecture (% any*)", "$Architecture (source)", "$PackageType (source)", "Build-Depends (debhelper)", "Binary (x)"},
			[]string{"src {amd64}", "src_1_any", "Architecture (source)", "$Architecture (amd64)", "$Source", "$SourceVersion", "$Source (src)", "$PackageType (deb)"}},
		{udeb, []string{"$PackageType (udeb)"}, []string{"$PackageType (deb)"}},
		{installer, []string{"$PackageType (deb)", "installer", "installer__amd64", "installer (= '')", "!Version"}, []string{"Version", "installer (>= 1)"}},
	} {
		for _, text := range tc.yes {
			if !match(t, text, tc.p) {
				t.Errorf("%s does not match %v", text, tc.p)
			}
		}
		for _, text := range tc.no {
			if match(t, text, tc.p) {
				t.Errorf("%s matches %v", text, tc.p)
			}
		}
	}
}

func TestQueriesMatchFields(t *testing.T) {
	get := func(name string) string {
		return map[string]string{"Source": "kernel", "Distribution": "unstable", "Version": "1.0"}[name]
	}
	for text, want := range map[string]bool{
		"Source (kernel)": true, "Distribution (unstable)": true, "Distribution (stable)": false, "Version (>= 0.9)": true,
		"Version": true, "Binary": false, "kernel": false, "kernel {amd64}": false, "kernel_1.0_source": false,
		"$Version (1.0)": false, "$Version": false, "$Architecture (amd64)": false, "$Architecture (% *)": true, "!kernel": true,
		"Source (kernel), Distribution (stable)": false, "Source (kernel) | Distribution (stable)": true,
		"Distribution (~ ^un), !Binary": true,
	} {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.MatchFields(get); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
