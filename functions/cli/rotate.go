package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
)

// LocalKey is a signing key in the data folder of a server on this machine.
type LocalKey struct {
	Fingerprint string // upper-case hex
	Created     time.Time
	Names       []string // user IDs
}

// WantedKey describes a key to be made. Type is as in "key generate".
type WantedKey struct{ Name, Email, Type string }

// SigningKeys changes the file of signing keys of a data folder.
type SigningKeys interface {
	// List returns the keys. passphraseFile is "" for keys that are not locked.
	List(dir, passphraseFile string) ([]LocalKey, error)
	// Add makes a key and adds it.
	Add(dir, passphraseFile string, want WantedKey) (LocalKey, error)
	// Retire removes a key, and returns the file that keeps it.
	Retire(dir, passphraseFile, fingerprint string) (kept string, err error)
}

// rotationName is the name of the file with a rotation in the data folder.
const rotationName = "key-rotation.json"

// rotation is an exchange of the signing key, from its first step to its end.
type rotation struct {
	Old   []string  // fingerprints
	New   string    // fingerprint; "" before the key is made
	Added time.Time // when the new key got into the file
}

// rotating are the flags of a rotation.
type rotating struct {
	data, pass string
	wait       time.Duration
	want       WantedKey
}

// month is the time that clients have to fetch the new key, unless a flag says so.
const month = 30 * 24 * time.Hour

func (s *session) keyRotate() *cobra.Command {
	var r rotating
	c := s.leaf("rotate", "Exchange the signing key: run it again until it says that it is done", count{0, 0}, func(ctx context.Context, _ []string) error {
		return s.rotate(ctx, r)
	})
	c.Long = `Exchange the signing key of a server on this machine. Each run does the next step and says the one after it; a run too many changes nothing.

1. A second key is made. After a restart of the server both keys sign.
2. All publications are signed by both keys, and Signed-By lists both where it is set. Clients fetch the new key.
3. After the time of --wait the old key leaves the file. A copy of it stays beside.
4. After another restart the publications are signed by the new key only.`
	flags := c.Flags()
	flags.StringVar(&r.data, "data", "data", "the data folder of the server")
	flags.StringVar(&r.pass, "passphrase-file", "", "file with the passphrase that locks the keys")
	flags.DurationVar(&r.wait, "wait", month, "time that clients have to fetch the new key")
	flags.StringVar(&r.want.Name, "name", "", "name of the new key's user ID; by default that of the old one")
	flags.StringVar(&r.want.Email, "email", "", "e-mail address of the new key's user ID; by default that of the old one")
	flags.StringVar(&r.want.Type, "type", "rsa4096", "type of the new key: rsa4096, rsa3072 or ed25519")
	return c
}

func (s *session) rotate(ctx context.Context, r rotating) error {
	if s.env.Keys == nil {
		return usagef("key rotate is not in this program")
	}
	keys, err := s.env.Keys.List(r.data, r.pass)
	if err != nil {
		return err
	}
	var prints []string
	for _, k := range keys {
		prints = append(prints, k.Fingerprint)
	}
	path := filepath.Join(r.data, rotationName)
	now, begun, err := readRotation(path)
	if err != nil {
		return err
	}
	if begun && now.New == "" { // the first step was interrupted
		if i := slices.IndexFunc(prints, func(p string) bool { return !slices.Contains(now.Old, p) }); i >= 0 {
			now.New = prints[i]
			return s.added(path, now)
		}
	}
	switch {
	case !begun || now.New == "":
		return s.addKey(path, r, keys)
	case !slices.Contains(prints, now.New): // the file was put back, or the step before has failed
		s.note("the new key %s is not in the file of keys: the rotation begins again", now.New)
		return s.addKey(path, r, keys)
	case len(keys) > 1:
		return s.bothKeys(ctx, r, now, prints)
	}
	return s.onlyNew(ctx, path, now, prints)
}

func readRotation(path string) (now rotation, begun bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return now, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &now)
	}
	return now, err == nil, err
}

// addKey makes the second key.
func (s *session) addKey(path string, r rotating, keys []LocalKey) error {
	now := rotation{Added: s.env.Now().UTC()}
	for _, k := range keys {
		now.Old = append(now.Old, k.Fingerprint)
		if len(k.Names) > 0 && r.want.Name == "" && r.want.Email == "" {
			name, rest, _ := strings.Cut(k.Names[0], " <")
			r.want.Name, r.want.Email = name, strings.TrimSuffix(rest, ">")
		}
	}
	if err := writeRotation(path, now); err != nil {
		return err
	}
	made, err := s.env.Keys.Add(r.data, r.pass, r.want)
	if err != nil {
		return err
	}
	now.New = made.Fingerprint
	return s.added(path, now)
}

func writeRotation(path string, now rotation) error {
	data, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// added ends the first step.
func (s *session) added(path string, now rotation) error {
	if err := writeRotation(path, now); err != nil {
		return err
	}
	s.say("step 1 of 4: the key %s is added to the %d before it\nnext: restart the server, so that both keys sign, then run this command again\n  systemctl restart aptless", now.New, len(now.Old))
	return nil
}

// serverSigns reports whether the server signs by exactly these keys.
func (s *session) serverSigns(ctx context.Context, prints []string) (bool, error) {
	a, err := send(ctx, s, client.ListSigningKeys())
	var have []string
	for _, k := range a.Value {
		have = append(have, k.Fingerprint)
	}
	slices.Sort(have)
	want := slices.Sorted(slices.Values(prints))
	return slices.Equal(have, want), err
}

// restartFirst says that the server has the keys of the last step.
func (s *session) restartFirst() error {
	s.say("the server signs by other keys than those of its file\nnext: restart it, then run this command again\n  systemctl restart aptless")
	return &silent{codeFailed}
}

// bothKeys has both keys sign, and retires the old ones once the wait is over.
func (s *session) bothKeys(ctx context.Context, r rotating, now rotation, prints []string) error {
	if same, err := s.serverSigns(ctx, prints); err != nil || !same {
		if err != nil {
			return err
		}
		return s.restartFirst()
	}
	if err := s.signAll(ctx, now.Old, prints); err != nil {
		return err
	}
	due := now.Added.Add(r.wait)
	if left := due.Sub(s.env.Now()); left > 0 {
		s.say("step 2 of 4: all publications are signed by both keys\nnext: have each client fetch %s/aptless.sources or %s/key.asc, which have both keys\nthen, from %s on (%s), run this command again", s.settings.URL, s.settings.URL,
			due.Format(time.RFC3339), ago(-left))
		return nil
	}
	for _, old := range now.Old {
		kept, err := s.env.Keys.Retire(r.data, r.pass, old)
		if err != nil {
			return err
		}
		s.say("the key %s is retired; %s keeps it", old, kept)
	}
	s.say("step 3 of 4: the new key is alone in the file\nnext: restart the server, then run this command again\n  systemctl restart aptless")
	return nil
}

// onlyNew ends the rotation.
func (s *session) onlyNew(ctx context.Context, path string, now rotation, prints []string) error {
	if same, err := s.serverSigns(ctx, prints); err != nil || !same {
		if err != nil {
			return err
		}
		return s.restartFirst()
	}
	if err := s.signAll(ctx, now.Old, prints); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	s.say("step 4 of 4: done, all publications are signed by %s only", now.New)
	return nil
}

// signAll publishes each publication again, so that the keys of the server sign it. A
// Signed-By that lists one of the old keys lists the present ones then. One that nothing
// changes is not written.
func (s *session) signAll(ctx context.Context, old, present []string) error {
	all, err := send(ctx, s, client.ListPublicationDetails())
	if err != nil {
		return err
	}
	for _, p := range all.Value {
		b := client.Publishing{}
		if slices.ContainsFunc(old, func(print string) bool { return strings.Contains(p.SignedBy, print) }) {
			text := strings.Join(present, ",")
			b.SignedBy = &text
		}
		if _, err := send(ctx, s, client.Update(p.Place(), b)); err != nil {
			return err
		}
		s.say("signed %s", p.Place())
	}
	return nil
}
