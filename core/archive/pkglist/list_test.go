package pkglist

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// counting counts reads and writes of objects.
type counting struct {
	driver.Blobs
	reads, puts atomic.Int64
}

func (c *counting) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	c.reads.Add(1)
	return c.Blobs.Open(ctx, key, rng)
}

func (c *counting) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	c.puts.Add(1)
	return c.Blobs.Put(ctx, key, r, opt)
}

// take returns the counts since the last take and resets them.
func (c *counting) take() (reads, puts int64) { return c.reads.Swap(0), c.puts.Swap(0) }

// tester is the common part of testing.T, testing.B and rapid.T.
type tester interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

func newStore() (Store, *counting) {
	blobs := &counting{Blobs: drivertest.NewMemory(time.Now).Blobs}
	return Store{&lists.Store{Blobs: blobs, Epoch: func() int64 { return 1 }}}, blobs
}

// pkg returns the package of "name version arch files section". Files and section are
// optional; they vary the files and the control fields.
func pkg(spec string) *deb.Package {
	f := append(strings.Fields(spec), "", "")
	p := &deb.Package{Name: f[0], Version: f[1], Architecture: f[2]}
	if p.Architecture == deb.SourceArch {
		p.Kind = deb.Source
	}
	p.Files = []deb.File{{Name: f[0] + ".deb", Size: int64(len(f[3])), MD5: fmt.Sprintf("%032x", f[3])}}
	if f[4] != "" {
		p.Extra = map[string]string{"Section": f[4]}
	}
	return p
}

func newList(t tester, s Store, packages ...*deb.Package) *List {
	t.Helper()
	l, err := s.Open(t.Context(), Ref{})
	if err != nil {
		t.Fatal(err)
	}
	e := l.Edit()
	for _, p := range packages {
		if err := e.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if l, err = e.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func listOf(t tester, s Store, specs ...string) *List {
	t.Helper()
	var packages []*deb.Package
	for _, spec := range specs {
		packages = append(packages, pkg(spec))
	}
	return newList(t, s, packages...)
}

func collect[T any](t tester, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// text shows packages as "name version arch files section".
func text(packages ...*deb.Package) (lines []string) {
	for _, p := range packages {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(
			p.Name, " ", p.Version, " ", p.Architecture, " ", strings.Repeat("x", int(p.Files[0].Size)), " ", p.Extra["Section"])))
	}
	return lines
}

// compareIndex compares packages in index order, without record keys.
func compareIndex(p, q *deb.Package) int {
	c := cmp.Or(
		cmp.Compare(p.Name, q.Name),
		-cmp.Compare(deb.CompareVersions(p.Version, q.Version), 0),
		cmp.Compare(p.Architecture, q.Architecture),
	)
	if c == 0 {
		c = cmp.Compare(p.Key(), q.Key())
	}
	return c
}

func keysOf(packages []*deb.Package) []string {
	keys := make([]string, len(packages))
	for i, p := range packages {
		keys[i] = p.Key()
	}
	return keys
}

func TestIndexOrder(t *testing.T) {
	s, _ := newStore()
	want := []string{
		"a 1:0 i386", "a 10 all", "a 9 all", "a 1.0 amd64", "a 1.0-0 amd64", "a 1.00 amd64", "a 1.0 i386", "a 1.0~rc1 all",
		"a+ 1 all", "a-b 1 all", "a.b 1 all", "ab 1 all", "b 1 source", "b 0 all",
	}
	shuffled := slices.Clone(want)
	slices.Sort(shuffled)
	l := listOf(t, s, shuffled...)
	if got := text(collect(t, l.All(t.Context()))...); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	packages := collect(t, l.All(t.Context()))
	if !slices.IsSortedFunc(packages, compareIndex) {
		t.Error("not in index order")
	}
	keys := keysOf(packages)
	slices.Sort(keys)
	for _, limit := range []int{0, 3, 1000} {
		if got := collect(t, l.keys(t.Context(), nil, limit)); !slices.Equal(got, keys) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	if got := keysOf(collect(t, MapInKeyOrder(t.Context(), l.Whole(), itself))); !slices.Equal(got, keys) {
		t.Errorf("%q", got)
	}
	if got := text(collect(t, l.ByName(t.Context(), "a-b"))...); !slices.Equal(got, []string{"a-b 1 all"}) {
		t.Errorf("%q", got)
	}
	if got := collect(t, l.ByName(t.Context(), "a")); len(got) != 8 {
		t.Errorf("%q", text(got...))
	}
}

func TestCounts(t *testing.T) {
	s, _ := newStore()
	udeb := pkg("u 1 amd64")
	udeb.Kind = deb.Udeb
	installer := &deb.Package{Kind: deb.Installer, Name: "installer", Architecture: "i386", Files: []deb.File{{Name: "./a"}}}
	l := newList(t, s, pkg("a 1 amd64"), pkg("a 2 amd64"), pkg("b 1 all"), pkg("b 1 source"), udeb, installer)
	l, err := s.Open(t.Context(), l.Ref())
	if err != nil {
		t.Fatal(err)
	}
	want := []Count{
		{"all", deb.Binary, 1}, {"amd64", deb.Binary, 2}, {"amd64", deb.Udeb, 1},
		{"i386", deb.Installer, 1}, {"source", deb.Source, 1},
	}
	if !slices.Equal(l.Counts(), want) || l.Count() != 6 {
		t.Errorf("%v", l.Counts())
	}
	if got := l.Architectures(false); !slices.Equal(got, []string{"amd64", "i386"}) {
		t.Error(got)
	}
	if got := l.Architectures(true); !slices.Equal(got, []string{"amd64", "i386", "source"}) {
		t.Error(got)
	}
	key, err := deb.ParseKey(installer.Key())
	if err != nil {
		t.Fatal(err)
	}
	if p, found, err := l.Get(t.Context(), key); err != nil || !found || p.Name != "installer" {
		t.Error(p, found, err)
	}
	if n := len(slices.Collect(l.Objects())); n != 1+len(l.Chunks()) {
		t.Errorf("%d objects", n)
	}
}

func TestGet(t *testing.T) {
	s, blobs := newStore()
	p := pkg("a 1.0 amd64 x")
	l := newList(t, s, p, pkg("a 1.0-0 amd64 xx"), pkg("b 1 all"))
	full, err := deb.ParseKey(p.Key())
	if err != nil {
		t.Fatal(err)
	}
	other := full
	other.FilesHash = "0123456789abcdef"
	for _, tc := range []struct {
		key  deb.Key
		want string
	}{
		{full, "a 1.0 amd64 x"},
		{deb.Key{Name: "a", Version: "1.0", Architecture: "amd64"}, "a 1.0 amd64 x"},
		{deb.Key{Name: "a", Version: "1.0-0", Architecture: "amd64"}, "a 1.0-0 amd64 xx"},
		{other, ""},
		{deb.Key{Name: "a", Version: "1.00", Architecture: "amd64"}, ""},
		{deb.Key{Name: "a b", Version: "1", Architecture: "all"}, ""},
		{deb.Key{}, ""},
	} {
		blobs.take()
		p, found, err := l.Get(t.Context(), tc.key)
		if err != nil || found != (tc.want != "") || found && text(p)[0] != tc.want {
			t.Errorf("%+v: %v, %v, %v", tc.key, p, found, err)
		}
		if reads, _ := blobs.take(); reads > 1 {
			t.Errorf("%d reads", reads)
		}
	}
}

// TestFindStored holds that the records of the wanted packages come once each, as the
// packages are encoded.
func TestFindStored(t *testing.T) {
	s, blobs := newStore()
	var specs []string
	for i := range 2000 {
		specs = append(specs, fmt.Sprintf("p%04d 1.0 amd64 %s net", i, strings.Repeat("x", i%7)))
	}
	l := listOf(t, s, specs...)
	var keys [][]byte
	var want []*deb.Package
	for _, spec := range []string{"p0000 1.0 amd64", "p0000 1.0 amd64", "p0003 1.1 amd64", specs[1000], "p1999 1.0 all", specs[1999], "q 1.0 all"} {
		key, err := IndexKey(pkg(spec))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	for _, i := range []int{0, 1000, 1999} {
		want = append(want, pkg(specs[i]))
	}
	slices.SortFunc(keys, bytes.Compare)
	blobs.take()
	found := collect(t, l.FindStored(t.Context(), keys))
	if len(found) != len(want) {
		t.Fatalf("%d packages, want %d", len(found), len(want))
	}
	for i, p := range want {
		_, files, err := found[i].CutFiles()
		if err != nil || !slices.Equal(files, p.Files) || !bytes.Equal(found[i].Record, deb.AppendPackage(nil, p)) {
			t.Errorf("%v: files %v, %v", p, files, err)
		}
	}
	if reads, _ := blobs.take(); reads > 4 {
		t.Errorf("%d chunks were read", reads)
	}
	if _, _, err := (Stored{Record: []byte("x")}).CutFiles(); !errors.Is(err, lists.ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
}

func TestEdit(t *testing.T) {
	s, blobs := newStore()
	short := deb.Key{Name: "a", Version: "1", Architecture: "all"}
	base := listOf(t, s, "a 1 all x old", "b 1 all x")
	full := func(spec string) deb.Key {
		k, err := deb.ParseKey(pkg(spec).Key())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, tc := range map[string]struct {
		steps []any // a string is added, a deb.Key removed
		want  []string
		fails bool // if onConflict is nil
	}{
		"new":                       {[]any{"c 1 all"}, []string{"a 1 all x old", "b 1 all x", "c 1 all"}, false},
		"same":                      {[]any{"a 1 all x old"}, []string{"a 1 all x old", "b 1 all x"}, false},
		"other fields":              {[]any{"a 1 all x new"}, []string{"a 1 all x new", "b 1 all x"}, false},
		"conflict":                  {[]any{"a 1 all y"}, []string{"a 1 all x old", "b 1 all x"}, true},
		"equal version, other text": {[]any{"a 1-0 all y"}, []string{"a 1 all x old", "a 1-0 all x", "b 1 all x"}, false},
		"conflict within":           {[]any{"c 1 all x", "c 1 all xx", "c 1 all x s"}, []string{"a 1 all x old", "b 1 all x", "c 1 all x s"}, true},
		"remove":                    {[]any{short}, []string{"b 1 all x"}, false},
		"remove by key":             {[]any{full("a 1 all x")}, []string{"b 1 all x"}, false},
		"remove another":            {[]any{full("a 1 all xx"), full("z 1 all")}, []string{"a 1 all x old", "b 1 all x"}, false},
		"remove nonsense":           {[]any{deb.Key{Name: "a 1", Architecture: "all"}}, []string{"a 1 all x old", "b 1 all x"}, false},
		"replace":                   {[]any{short, "a 1 all xx"}, []string{"a 1 all xx", "b 1 all x"}, false},
		"add and remove":            {[]any{"c 1 all", full("c 1 all")}, []string{"a 1 all x old", "b 1 all x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := base.Edit()
			for _, s := range tc.steps {
				switch s := s.(type) {
				case string:
					if err := e.Add(pkg(s)); err != nil {
						t.Fatal(err)
					}
				case deb.Key:
					e.Remove(s)
				}
			}
			blobs.take()
			l, err := e.Apply(t.Context(), nil)
			var conflict *ConflictError
			if errors.As(err, &conflict) != tc.fails || err != nil && !tc.fails {
				t.Fatal(err)
			}
			unchanged := slices.Equal(tc.want, []string{"a 1 all x old", "b 1 all x"})
			if _, puts := blobs.take(); (puts == 0) != (unchanged || tc.fails) || !tc.fails && unchanged != (l == base) {
				t.Errorf("%d puts", puts)
			}
			conflicts := 0
			l, err = e.Apply(t.Context(), func(c *ConflictError) error {
				conflicts++
				if want := "package already exists and is different: " + c.Added.String(); c.Error() != want || c.Existing.Equal(c.Added) {
					t.Errorf("%v", c)
				}
				return nil
			})
			if err != nil || (conflicts > 0) != tc.fails {
				t.Fatalf("%d conflicts, %v", conflicts, err)
			}
			want := slices.Clone(tc.want)
			for i := range want {
				want[i] = text(pkg(want[i]))[0]
			}
			if got := text(collect(t, l.All(t.Context()))...); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	for _, spec := range []string{"a\x01 1 all", "a 1\x00 all", "a 1 a\x00", strings.Repeat("a", 201) + " 1 all", "a 1 " + strings.Repeat("a", 61)} {
		if err := base.Edit().Add(pkg(spec)); !errors.Is(err, deb.ErrInvalid) {
			t.Errorf("%.20q: %v", spec, err)
		}
	}
}
