package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
)

var made = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

func newKey(t testing.TB, name string) *pgp.Key {
	t.Helper()
	secret, err := pgp.Generate(name, "a@example.org", pgp.Ed25519, made)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKeys()[0]
}

func newStore() *Store {
	return &Store{Table: drivertest.NewMemory(time.Now).Table, Now: time.Now}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if refusal := (*Refusal)(nil); !errors.As(err, &refusal) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want a refusal with %q", err, want)
	}
}

func TestImportListDelete(t *testing.T) {
	s, ctx := newStore(), t.Context()
	a, b := newKey(t, "Ann: A"), newKey(t, "Bob")
	said, err := s.Import(ctx, "", append(a.Armor(), b.Armor()...))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("gpg: key %s: public key \"Ann\\x3a A <a@example.org>\" imported\ngpg: key %s: public key \"Bob <a@example.org>\" imported\n"+
		"gpg: Total number processed: 2\ngpg:               imported: 2\n", a.ID(), b.ID())
	if said != want {
		t.Errorf("import says\n%s, want\n%s", said, want)
	}
	if said, err = s.Import(ctx, Default, a.Binary()); err != nil || !strings.Contains(said, "not changed") || !strings.HasSuffix(said, "unchanged: 1\n") {
		t.Errorf("second import: %s, %v", said, err)
	}
	views, err := s.List(ctx, "/"+Default)
	if err != nil || len(views) != 2 {
		t.Fatal(views, err)
	}
	i := slices.IndexFunc(views, func(v View) bool { return v.KeyID == a.ID().String() })
	if got, want := fmt.Sprint(views[i]), fmt.Sprint(View{a.ID().String(), a.Fingerprint(), "-", []string{`Ann\x3a A <a@example.org>`}, fmt.Sprint(made.Unix())}); got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
	if views, err := s.List(ctx, "other"); views != nil || err != nil {
		t.Errorf("another ring: %v, %v", views, err)
	}
	for _, ref := range []string{"", "Bob", "DEADBEEF", a.ID().String()[1:], a.Fingerprint() + "00"} {
		refused(t, s.Delete(ctx, "", ref), "not found")
	}
	if err := s.Delete(ctx, "", "0x"+strings.ToLower(b.ID().String()[8:])); err != nil {
		t.Error(err)
	}
	refused(t, s.Delete(ctx, "", b.Fingerprint()), "not found")
	ring, err := s.Keyring(ctx, nil)
	if err != nil || len(ring.Keys()) != 1 || ring.Keys()[0].Fingerprint() != a.Fingerprint() {
		t.Errorf("ring %v, %v", ring, err)
	}
}

// TestSeveralRingsVerifyTogether verifies by the keys of several rings.
func TestSeveralRingsVerifyTogether(t *testing.T) {
	s, ctx := newStore(), t.Context()
	secret, err := pgp.Generate("Signer", "s@example.org", pgp.Ed25519, made)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	var signed strings.Builder
	if err := signer.Clearsign(ctx, &signed, []byte("text\n"), made.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(ctx, "team/a.gpg", signer.PublicKeys()[0].Armor()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(ctx, "b", newKey(t, "B").Armor()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		names []string
		want  error
	}{
		{nil, pgp.ErrUnknownKey}, {[]string{"b", "none"}, pgp.ErrUnknownKey},
		{[]string{"b", "/team/a.gpg"}, nil}, {[]string{"x/../team//a.gpg"}, nil},
	} {
		ring, err := s.Keyring(ctx, tc.names)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ring.VerifyClearsigned([]byte(signed.String()), time.Now()); !errors.Is(err, tc.want) {
			t.Errorf("%v: %v, want %v", tc.names, err, tc.want)
		}
	}
	_, err = s.Keyring(ctx, make([]string, maxRings+1))
	refused(t, err, "more than")
}

func TestRefusedImports(t *testing.T) {
	s, ctx := newStore(), t.Context()
	for name, tc := range map[string]struct{ ring, data, want string }{
		"nothing":   {"", "", "no valid OpenPGP data found"},
		"no key":    {"", "hello", "no valid OpenPGP data found"},
		"truncated": {"", string(newKey(t, "A").Armor()[:200]), "no valid OpenPGP data found"},
		"too large": {"", strings.Repeat("x", maxBytes+1), "bytes of keys are more than"},
		"name":      {strings.Repeat("x", maxName+1), string(newKey(t, "A").Armor()), "invalid keyring name"},
		"no name":   {"..", string(newKey(t, "A").Armor()), "invalid keyring name"},
		"not UTF-8": {"\xff", string(newKey(t, "A").Armor()), "invalid keyring name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Import(ctx, tc.ring, []byte(tc.data))
			refused(t, err, tc.want)
		})
	}
}

// TestConcurrentImports imports and deletes keys concurrently. Every key without
// a deletion is there in the end.
func TestConcurrentImports(t *testing.T) {
	s, ctx := newStore(), t.Context()
	keys := make([]*pgp.Key, 6)
	for i := range keys {
		keys[i] = newKey(t, fmt.Sprint("K", i))
	}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			data := append(keys[i%6].Armor(), keys[(i+1)%6].Armor()...)
			if _, err := s.Import(ctx, "", data); err != nil {
				t.Error(err)
			}
			if refusal := (*Refusal)(nil); i%6 == 0 {
				if err := s.Delete(ctx, "", keys[0].Fingerprint()); err != nil && !errors.As(err, &refusal) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	ring, err := s.Keyring(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys[1:] {
		if len(ring.Find(k.Fingerprint())) != 1 {
			t.Errorf("key %s is missing", k.ID())
		}
	}
}

func TestReceive(t *testing.T) {
	s, ctx := newStore(), t.Context()
	a, b := newKey(t, "A"), newKey(t, "B")
	id := a.ID().String()
	var asked []string
	var answer []byte
	var failure error
	s.Fetch = func(_ context.Context, url string) ([]byte, error) {
		asked = append(asked, url)
		return answer, failure
	}
	answer = append(b.Armor(), a.Armor()...)
	for server, want := range map[string]string{
		"":                            "https://keys.openpgp.org/pks/lookup?op=get&options=mr&search=0x",
		"hkp://keyserver.example:80":  "http://keyserver.example:80/pks/lookup?op=get&options=mr&search=0x",
		"keyserver.example":           "http://keyserver.example:11371/pks/lookup?op=get&options=mr&search=0x",
		"hkps://keyserver.example":    "https://keyserver.example/pks/lookup?op=get&options=mr&search=0x",
		"https://keyserver.example/x": "https://keyserver.example/pks/lookup?op=get&options=mr&search=0x",
	} {
		asked = nil
		if _, err := s.Receive(ctx, "", server, "\n0x"+strings.ToLower(id)); err != nil || len(asked) != 1 || asked[0] != want+id {
			t.Errorf("%s: asked %v, %v", server, asked, err)
		}
	}
	if ring, err := s.Keyring(ctx, nil); err != nil || len(ring.Keys()) != 1 || ring.Keys()[0].ID() != a.ID() {
		t.Errorf("a key that was not asked for is taken: %v", err)
	}
	for _, server := range []string{"ldap://x", "file:///etc/passwd", "http://u:p@x", "http://", ":80"} {
		_, err := s.Receive(ctx, "", server, id)
		refused(t, err, "keyserver")
	}
	_, err := s.Receive(ctx, "", "", "not/an/id")
	refused(t, err, "not a key ID")
	_, err = s.Receive(ctx, "", "", strings.Repeat(id+" ", maxIDs+1))
	refused(t, err, "more than")
	answer = b.Armor()
	_, err = s.Receive(ctx, "", "", id)
	refused(t, err, "No data")
	failure = errors.New("404")
	_, err = s.Receive(ctx, "", "", id)
	refused(t, err, "keyserver receive failed: 404")
	s.Fetch = nil
	_, err = s.Receive(ctx, "", "", id)
	refused(t, err, "not configured")
}

// TestFullRingRefusesKeys fills a ring with rows up to its limit of keys.
func TestFullRingRefusesKeys(t *testing.T) {
	k, other := newKey(t, "A"), newKey(t, "B")
	ring := make([]stored, maxKeys)
	for i := range ring {
		ring[i] = stored{k, "1"}
	}
	if _, err := plan("r", ring, []*pgp.Key{other}, make([]change, 1)); err != nil {
		t.Error(err) // all of them are one key
	}
	ring = make([]stored, maxBytes/len(k.Binary()))
	for i := range ring {
		ring[i] = stored{k, "1"}
	}
	_, err := plan("r", ring, []*pgp.Key{other}, make([]change, 1))
	refused(t, err, "is full")
}

func TestStorageErrorsAreReturned(t *testing.T) {
	k := newKey(t, "A")
	drivertest.Sweep(t, drivertest.Journey{
		Run: func(ctx context.Context, env *drivertest.Env) error {
			s := &Store{Table: env.Table, Now: env.Clock.Now}
			_, err := s.Import(ctx, "r", k.Armor())
			return err
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			s := &Store{Table: env.Table, Now: env.Clock.Now}
			_, err := s.Import(ctx, "r", k.Armor())
			return err
		},
		Verify: func(env *drivertest.Env, ran error) error {
			if refusal := (*Refusal)(nil); errors.As(ran, &refusal) {
				return fmt.Errorf("an error of the storage is answered as %w", ran)
			}
			rows := env.Memory.Rows("keyring/")
			if len(rows) != 1 || rows["keyring/r/"+k.Fingerprint()] != string(k.Binary()) {
				return fmt.Errorf("rows are %d", len(rows))
			}
			return nil
		},
	})
}

func TestDamagedRow(t *testing.T) {
	s, ctx := newStore(), t.Context()
	if err := s.Table.Put(ctx, driver.Row{Key: driver.Key{Part: part("r"), Sort: "X"}, Data: []byte("junk")}); err != nil {
		t.Fatal(err)
	}
	refusal := (*Refusal)(nil)
	if _, err := s.Keyring(ctx, []string{"r"}); err == nil || errors.As(err, &refusal) {
		t.Errorf("damaged ring: %v", err)
	}
}

// FuzzNames has any names of rings and keys.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "/", "../x", "a//b/", "hkp://h", "http://[::1]:80", "0xDEADBEEF!", "A:\\\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := CleanName(s); err == nil {
			if again, err := CleanName(name); err != nil || again != name {
				t.Errorf("name %q of %q becomes %q, %v", name, s, again, err)
			}
			if err := (driver.Key{Part: part(name), Sort: "x"}).Check(); err != nil {
				t.Error(err)
			}
		}
		if u, err := lookupURL(s, "DEADBEEF"); err == nil && !strings.HasPrefix(u, "http") {
			t.Errorf("server %q is asked at %q", s, u)
		}
		if id, ok := parseID(s); ok && len(id)%8 != 0 {
			t.Errorf("%q is the ID %q", s, id)
		}
		if e := Escape(s); strings.ContainsFunc(e, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' }) {
			t.Errorf("%q is escaped as %q", s, e)
		}
	})
}
