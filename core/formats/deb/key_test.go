package deb

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

var (
	helloFile = File{
		Name: "hello_1.0_amd64.deb", Size: 4,
		MD5:    "8d777f385d3dfec8815d20f7496026dc",
		SHA1:   "a17c9aaa61e80a1bf71d0d850af4e5baa9800bbd",
		SHA256: "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7",
	}
	dscFile = File{
		Name: "a_1.dsc", Size: 1,
		MD5:    "9dd4e461268c8034f5c8564e155c67a6",
		SHA1:   "11f6ad8ec52a2984abaafd7c3b516503785c2072",
		SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
	}
)

func TestFilesHash(t *testing.T) {
	withoutSHA1 := helloFile
	withoutSHA1.SHA1 = ""
	withSHA512 := helloFile
	withSHA512.SHA512 = "00"
	tests := []struct {
		name  string
		files []File
		want  string
	}{
		{"none", nil, "cbf29ce484222325"},
		{"one", []File{helloFile}, "2da37e7a4b9f4d07"},
		{"SHA512 does not count", []File{withSHA512}, "2da37e7a4b9f4d07"},
		{"without SHA1", []File{withoutSHA1}, "673eae142b8598b2"},
		{"two", []File{dscFile, helloFile}, "62837e6b95933a9f"},
		{"two, the other way", []File{helloFile, dscFile}, "62837e6b95933a9f"},
		{"alien-arena", []File{{
			Name: "alien-arena-common_7.40-2_i386.deb", Size: 187518,
			MD5:    "1e8cba92c41420aa7baa8a5718d67122",
			SHA1:   "46955e48cad27410a83740a21d766ce362364024",
			SHA256: "eb4afb9885cba6dc70cccd05b910b2dbccc02c5900578be5e99f0d3dbf9d76a5",
		}}, "c8901eedd79ac51b"},
		{"abc", []File{{
			Name: "a_1_all.deb", Size: 3,
			MD5:    "900150983cd24fb0d6963f7d28e17f72",
			SHA1:   "a9993e364706816aba3e25717850c26c9cd0d89d",
			SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		}}, "b1b416622694428c"},
	}
	for _, test := range tests {
		var p Package
		for _, f := range test.files {
			p.SetFile(f)
		}
		if got := p.filesHashText(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestKeys(t *testing.T) {
	p := &Package{Name: "hello", Version: "1:1.0", Architecture: "amd64", Files: []File{helloFile}}
	if got, want := p.Key(), "Pamd64 hello 1:1.0 2da37e7a4b9f4d07"; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
	if got, want := p.ShortKey(), "Pamd64 hello 1:1.0"; got != want {
		t.Errorf("short key %q, want %q", got, want)
	}
	if got, want := p.String(), "hello_1:1.0_amd64"; got != want {
		t.Errorf("display form %q, want %q", got, want)
	}
	installer := &Package{Kind: Installer, Name: "installer", Architecture: "amd64"}
	if got, want := installer.Key(), "Pamd64 installer  cbf29ce484222325"; got != want {
		t.Errorf("installer's key %q, want %q", got, want)
	}
}

func TestParseKey(t *testing.T) {
	tests := []struct {
		in   string
		want Key
	}{
		{"Pamd64 hello 2.10-3 1f0c2a9b77d3e845", Key{"amd64", "hello", "2.10-3", "1f0c2a9b77d3e845"}},
		{"Pi386 foo 1.0-1 f2d0ebd67299e73", Key{"i386", "foo", "1.0-1", "f2d0ebd67299e73"}},
		{"Psource hello 1:2 0000abcd", Key{"source", "hello", "1:2", "0000abcd"}},
		{"Pamd64 installer  aa57f0ea663efa59", Key{"amd64", "installer", "", "aa57f0ea663efa59"}},
	}
	for _, test := range tests {
		got, err := ParseKey(test.in)
		if err != nil || got != test.want {
			t.Errorf("ParseKey(%q) = %+v, %v, want %+v", test.in, got, err, test.want)
		}
		if got.String() != test.in {
			t.Errorf("%q is written as %q", test.in, got)
		}
	}
	for _, in := range []string{
		"", "P", "P  ", "P   ", "P a 1 12345678", "Pall  1 12345678", "Pall a 1", "Pall a 1 ", "Pall a 1 1234567",
		"Pall a 1 012345678", "Pall a 1 12345678901234567", "Pall a 1 1234567G", "Pall a 1 ABCDEF01",
		"Xall a 1 12345678", "Pall a 1 12345678 ", "Pall a  1 12345678", "all a 1 12345678",
	} {
		if k, err := ParseKey(in); !errors.Is(err, ErrKey) {
			t.Errorf("ParseKey(%q) = %+v, %v, want ErrKey", in, k, err)
		}
	}
}

// TestKeyOfPackageParses also has hashes that begin with zeros.
func TestKeyOfPackageParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPackage(t)
		k, err := ParseKey(p.Key())
		want := Key{p.Architecture, p.Name, p.Version, p.filesHashText()}
		if err != nil || k != want || k.String() != p.Key() || k.Short() != p.ShortKey() {
			t.Fatalf("key %q parses as %+v, %v", p.Key(), k, err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("Pamd64 hello 2.10-3 1f0c2a9b77d3e845")
	f.Add("Pamd64 installer  aa57f0ea663efa59")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && k.String() != s {
			t.Fatalf("%q is written as %q", s, k)
		}
	})
}

func TestEqual(t *testing.T) {
	base := Package{Name: "a1", Version: "1", Architecture: "all", Source: "s1", Files: []File{helloFile}}
	same := base
	same.Kind = Udeb
	same.Extra = map[string]string{"Section": "x"}
	same.Depends = []string{"b"}
	if !base.Equal(&same) {
		t.Error("packages differ by what is no part of their identity")
	}
	for name, change := range map[string]func(*Package){
		"name":                func(p *Package) { p.Name = "a2" },
		"version":             func(p *Package) { p.Version = "1-0" },
		"architecture":        func(p *Package) { p.Architecture = "i386" },
		"source architecture": func(p *Package) { p.SourceArchitecture = "any" },
		"source":              func(p *Package) { p.Source = "" },
		"kind":                func(p *Package) { p.Kind = Source },
		"files":               func(p *Package) { p.Files = []File{dscFile} },
	} {
		other := base
		change(&other)
		if base.Equal(&other) || other.Equal(&base) {
			t.Errorf("packages are equal with another %s", name)
		}
	}
}
