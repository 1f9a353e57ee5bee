package deb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// versionTable has dpkg's results, and the results for text that dpkg refuses.
var versionTable = []struct {
	a, b string
	want int
}{
	{"1.0", "1.0", 0},
	{"1.0", "1.0-0", 0},
	{"0:1", "1", 0},
	{"1:1", "2", 1},
	{"1.01", "1.1", 0},
	{"", "0", 0},
	{"1.0~rc1", "1.0", -1},
	{"1.0~~", "1.0~", -1},
	{"1.0~~a", "1.0~", -1},
	{"1.0a", "1.0+", -1},
	{"1.0+b1", "1.0", 1},
	{"5.2.0.3", "5.2.0.283", -1},
	{"main", "Main", 1},
	{"4.3.5a", "4.3.5-rc3-1", -1},
	{"2-1-1", "2-1.1", 1},
	{"1.", "1.0", 0},
	{"1-a", "1-a0", 0},
	{"1", "1~", 1},
	{"1-1~", "1", 1},
	{"1-~", "1", -1},
	{"1.0-1", "1.0-1+b1", -1},
	{"9223372036854775807", "9223372036854775808", -1},
	{"1.18446744073709551616", "1.18446744073709551617", -1},
	{"1.100000000000000000000000000000", "1.0100000000000000000000000000000", 0},
	{"10:1", "9:1", 1},
	{"a:1", "b:1", -1},
	{"1:2:3", "1:2:4", -1},
	{"1 ", "1", 1},
	{"1\xff", "1\xc3", 1},
	{"1\x7f", "1|", 1},
	{"1|", "1{", 1},
	{"1{", "1@", 1},
	{"1@", "1/", 1},
	{"1/", "1z", 1},
}

func TestCompareVersions(t *testing.T) {
	for _, test := range versionTable {
		if got := sign(CompareVersions(test.a, test.b)); got != test.want {
			t.Errorf("CompareVersions(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := sign(CompareVersions(test.b, test.a)); got != -test.want {
			t.Errorf("CompareVersions(%q, %q) = %d, want %d", test.b, test.a, got, -test.want)
		}
		if got := sign(bytes.Compare(VersionSortKey(nil, test.a), VersionSortKey(nil, test.b))); got != test.want {
			t.Errorf("sort keys of %q and %q compare %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestCompareVersionsDoesNotAllocate(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		CompareVersions("2:1.20.3~rc1+dfsg-00012345678901234567890", "2:1.20.3~rc1+dfsg-12345678901234567890")
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// dpkg decides, if it accepts both.
func TestCompareVersionsAsDpkg(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("no dpkg")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	type pair struct{ a, b string }
	var pairs []pair
	for range 300 {
		a := randomVersion(rnd)
		b := randomVersion(rnd)
		if rnd.IntN(2) == 0 {
			b = mutateVersion(rnd, a)
		}
		pairs = append(pairs, pair{a, b})
	}
	for _, test := range versionTable {
		if CheckVersion(test.a) == nil && CheckVersion(test.b) == nil && isDigit(test.a[0]) && isDigit(test.b[0]) {
			pairs = append(pairs, pair{test.a, test.b})
		}
	}
	const script = `while read -r a b; do
	if dpkg --compare-versions "$a" lt "$b"; then echo -1
	elif dpkg --compare-versions "$a" eq "$b"; then echo 0
	else echo 1; fi
done`
	var in strings.Builder
	for _, p := range pairs {
		fmt.Fprintln(&in, p.a, p.b)
	}
	cmd := exec.Command(sh, "-c", script)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(pairs) {
		t.Fatalf("%d answers for %d pairs", len(answers), len(pairs))
	}
	for i, p := range pairs {
		if got := fmt.Sprint(sign(CompareVersions(p.a, p.b))); got != answers[i] {
			t.Errorf("CompareVersions(%q, %q) = %s, dpkg says %s", p.a, p.b, got, answers[i])
		}
	}
}

// randomVersion returns a version that dpkg accepts. It has few distinct
// characters, so equal parts are frequent.
func randomVersion(rnd *rand.Rand) string {
	letters := func(set string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(set[rnd.IntN(len(set))])
		}
		return b.String()
	}
	v := letters("0129", 1) + letters("0019.+~aZ-", rnd.IntN(7)) + letters("01a", 1)
	if rnd.IntN(4) == 0 {
		v = letters("012", 1) + ":" + v
	}
	if rnd.IntN(2) == 0 {
		v += "-" + letters("019.+~aZ", 1+rnd.IntN(4))
	}
	return v
}

func mutateVersion(rnd *rand.Rand, v string) string {
	i := strings.IndexByte(v, ':') + 1
	i += 1 + rnd.IntN(len(v)-i)
	return v[:i] + []string{"0", "1", "~", "a", "+", "."}[rnd.IntN(6)] + v[i:]
}

// versionText draws text similar to versions, and sometimes any text.
func versionText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`([0-2]:)?[0-2]{0,2}([.~+a-]{0,2}[0-1]{0,3}){0,4}(-[0-1a~.]{0,3})?`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(230, 300), func(n int) string { return "1." + strings.Repeat("9", n) }),
	)
}

func TestVersionSortKeyHasOrderOfCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := versionText().Draw(t, "a"), versionText().Draw(t, "b"), versionText().Draw(t, "c")
		checkSortKeys(t, a, b)
		if CompareVersions(a, b) <= 0 && CompareVersions(b, c) <= 0 && CompareVersions(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q, but %[1]q > %[3]q", a, b, c)
		}
	})
}

func checkSortKeys(t interface{ Fatalf(string, ...any) }, a, b string) {
	ka, kb := VersionSortKey(nil, a), VersionSortKey(nil, b)
	want := sign(CompareVersions(a, b))
	if got := sign(bytes.Compare(ka, kb)); got != want {
		t.Fatalf("keys of %q and %q compare %d, want %d:\n% x\n% x", a, b, got, want, ka, kb)
	}
	if back := sign(CompareVersions(b, a)); back != -want {
		t.Fatalf("CompareVersions(%q, %q) = %d, the other way %d", a, b, want, back)
	}
	if want != 0 && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
		t.Fatalf("the key of %q or of %q begins the other: % x, % x", a, b, ka, kb)
	}
}

func FuzzVersionSortKey(f *testing.F) {
	for _, test := range versionTable {
		f.Add(test.a, test.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) { checkSortKeys(t, a, b) })
}

func TestVersionSortKeyOfLongNumbers(t *testing.T) {
	var last []byte
	for _, digits := range []int{1, 239, 240, 241, 255, 256, 257, 65535, 65536, 70000} {
		key := VersionSortKey(nil, strings.Repeat("9", digits))
		if bytes.Compare(last, key) >= 0 {
			t.Errorf("the key of %d digits is not above the one before", digits)
		}
		last = key
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}

func BenchmarkCompareVersions(b *testing.B) {
	for b.Loop() {
		CompareVersions("1:2.36-9+deb12u10", "1:2.36-9+deb12u9")
	}
}

func BenchmarkVersionSortKey(b *testing.B) {
	key := make([]byte, 0, 128)
	for b.Loop() {
		key = VersionSortKey(key[:0], "1:2.36-9+deb12u10")
	}
}
