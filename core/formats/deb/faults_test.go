package deb_test

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"aptless/core/formats/deb"
)

// TestControlFilesThatDpkgRefuses reads packages that dpkg --unpack of 1.21.22
// refuses without --force. A warning says the reason.
func TestControlFilesThatDpkgRefuses(t *testing.T) {
	const good = "Package: foo\nVersion: 1.0\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: a test\n"
	with := func(field string) string { return good + field + "\n" }
	all := func(field string) string { return strings.Replace(with(field), "amd64", "all", 1) }
	version := func(v string) string { return strings.Replace(good, "1.0", v, 1) }
	for control, want := range map[string]string{ // a part of the warning; "" if none
		good:                                   "",
		good + " long\n \n more\n":             "a line of the field Description is blank",
		good + " long\n\t\n more\n":            "a line of the field Description is blank",
		good + " long\n .\n more\n":            "",
		good + " long\n\n\n":                   "",
		"\n" + good:                            "",
		strings.ReplaceAll(good, "\n", "\r\n"): "",
		with("Version: 2.0"):                   "the field Version is there twice",
		with("version: 2.0"):                   "the field Version is there twice",
		with("Depends: a\nDepends: b"):         "the field Depends is there twice",
		with("X-Foo: a\nX-Foo: b"):             "the field X-Foo is there twice",
		strings.TrimSuffix(good, "\n"):         "does not end with a line feed",
		good + "\n" + good:                     "several paragraphs",
		with("X Y: z"):                         "has a blank in it",
		with("-X: z"):                          "begins with a hyphen",
		with("Foo : z"):                        "",
		with("Status: install ok installed"):   "the field Status is not one of a package",
		with("Config-Version: 1"):              "the field Config-Version is not one of a package",
		with("Triggers-Pending: x"):            "the field Triggers-Pending is not one of a package",
		with("Triggers-Awaited: x"):            "the field Triggers-Awaited is not one of a package",
		with("Foo:"):                           "the last field, Foo, has no value",
		with("Depends: "):                      "the last field, Depends, has no value",
		with("Source:\r"):                      "the last field, Source, has no value",
		with("Foo:\n"):                         "",
		with("Foo:\n ."):                       "",
		with("Foo:\nBar: x"):                   "",
		all("Multi-Arch: same"):                `field Multi-Arch: "same" is not for the architecture all`,
		all("Multi-Arch: SAME"):                "is not for the architecture all",
		all("Multi-Arch: foreign"):             "",
		with("Multi-Arch: same"):               "",
		with("Essential: maybe"):               `field Essential: "maybe" is not one of yes, no`,
		with("Essential: yes"):                 "",
		with("Multi-Arch: perhaps"):            `field Multi-Arch: "perhaps" is not one of`,
		with("Multi-Arch: foreign"):            "",
		version("v1.0"):                        `field Version: "v1.0" does not begin with a digit`,
		version("1:v1.0"):                      "does not begin with a digit",
		version("1_0"):                         `field Version: "1_0" has an underscore`,
		version("1.0-a_b"):                     "has an underscore",
		version("1:2:3"):                       "",
		version("1.0~"):                        "",
		with("Depends: a b"):                   `field Depends: "a b" is no relation`,
		with("Depends: a |"):                   "field Depends: a package name is missing",
		with("Depends: |a"):                    "a package name is missing",
		with("Depends: a,,b"):                  "a package name is missing",
		with("Depends: a,"):                    "a package name is missing",
		with("Depends: a (>= 1"):               "is no relation",
		with("Depends: a (>= v1)"):             `"a (>= v1)" is no relation`,
		with("Depends: a (= 1_0)"):             "is no relation",
		with("Breaks: a (<< b:1)"):             "is no relation",
		with("Depends: a (>= 1:)"):             "is no relation",
		with("Depends: a (>= 1 2)"):            "is no relation",
		with("Depends: a:b:c"):                 "is no relation",
		with("Depends: a (>= 1:2~rc1-3+b1)"):   "",
		with("Depends: a [amd64]"):             "is no relation",
		with("Depends: a <!x>"):                "is no relation",
		with("Depends: a (== 1)"):              "is no relation",
		with("Depends: ${shlibs:Depends}"):     "is no relation",
		with("Depends: (a)"):                   "is no relation",
		with("Pre-Depends: a;b"):               "field Pre-Depends: \"a;b\" is no relation",
		with("Depends: a (1), b (>= 1), c(<< 1), d (>=1), e:any, A_b | f (> 1)"): "",
		with("Conflicts: a | b"):                    `field Conflicts: "a | b" has alternatives`,
		with("Provides: a | b"):                     "has alternatives",
		with("Provides: a (= 1), b"):                "",
		with("Source: foo (1.0)"):                   "",
		with("Source: Foo"):                         "",
		with("Source: f"):                           "",
		with("Source: https://example.org/foo.git"): `field Source: "https://example.org/foo.git" names no source package`,
		with("Source: Some Product"):                "names no source package",
		with("Source: team/foo"):                    "names no source package",
	} {
		in := arArchive(member{"control.tar", tarArchiveOf(t, control)}, dataMember(t))
		var warnings []string
		_, _, err := deb.ReadBinary(strings.NewReader(in), "P", deb.Growth{}, func(text string) { warnings = append(warnings, text) })
		said := strings.Join(warnings, "; ")
		if err != nil || want == "" && said != "" || want != "" && (!strings.Contains(said, want) || len(warnings) != 1) {
			t.Errorf("%q: warned %q, %v, want %q", control, said, err, want)
		}
	}
	flood := good + strings.Repeat("X-Foo: a\n", 1000)
	n := 0
	if _, _, err := deb.ReadBinary(strings.NewReader(arArchive(member{"control.tar", tarArchiveOf(t, flood)}, dataMember(t))), "P", deb.Growth{}, func(string) { n++ }); err != nil || n != 10 {
		t.Errorf("%d warnings, %v", n, err)
	}
}

// tarArchiveOf returns a control.tar with the given control file.
func tarArchiveOf(t *testing.T, control string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "./control", Size: int64(len(control))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(control)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
