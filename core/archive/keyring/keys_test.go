package keyring_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestKeysAreImportedListedAndDeleted imports keys by armor and from a key
// server.
func TestKeysAreImportedListedAndDeleted(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		key := apptest.Signer(t).PublicKeys()[0]
		s.Want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":null}`)
		armor := apptest.JSON(string(key.Armor()))
		s.Want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":`+armor+`,"Keyring":"/etc/team.gpg"}`, 200, `"gpg: key `+key.ID().String()+`: public key…`)
		s.Want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":null}`)
		s.Want(t, "GET", "/api/gpg/keys?keyring=/etc/team.gpg", "", 200, fmt.Sprintf(`{"Keys":[{"KeyID":"%s","Fingerprint":"%s","Validity":"-","UserIDs":["Test \u003ctest@example.org\u003e"],"CreatedAt":"%d"}]}`,
			key.ID(), key.Fingerprint(), apptest.SigningTime.Unix()))
		s.Want(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":"`+key.Fingerprint()+`","Keyring":"etc/team.gpg"}`, 200, `""`)
		s.Want(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":"DEADBEEF"}`, 400, `{"error":"failed to delete key: gpg: key \"DEADBEEF\" not found: Not found…`)
		s.Refused(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":" "}`, 400, "GpgKeyID is required")
		s.Refused(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":1}`, 400, "json: cannot unmarshal number into Go struct field gpgDeleteKeyParams.GpgKeyID of type string")
		s.Want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":"x"}`, 400, `"gpg: no valid OpenPGP data found.…`)
		s.Refused(t, "POST", "/api/gpg/key", `{}`, 400, "GpgKeyArmor or GpgKeyID is required")
		s.Want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":`+armor+`,"GpgKeyID":"X"}`, 400, `"gpg: conflicting commands\n"`)
		s.Want(t, "POST", "/api/gpg/key", `{"GpgKeyID":"DEADBEEF"}`, 400, `"gpg: keyserver receive failed: https://keys.openpgp.org/…`)
	})
	p, err := apptest.Start(t.Context(), drivertest.NewEnv(), apptest.Signer(t)) // without network access
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do("POST", "/api/gpg/key", "application/json", []byte(`{"GpgKeyID":"DEADBEEF"}`)); err == nil || !strings.Contains(err.Error(), "key servers are not configured") {
		t.Errorf("without key servers: %v", err)
	}
}

// TestReceiveKeys imports from a key server.
func TestReceiveKeys(t *testing.T) {
	key := apptest.Signer(t).PublicKeys()[0]
	env := drivertest.NewEnv()
	a, err := app.New(t.Context(), app.Drivers{Blobs: env.Blobs, Table: env.Table, Queue: env.Queue}, apptest.Signer(t), app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: env.Clock.Now,
		Upstream: upstreamtest.Serve("http://keyserver.example:80/", upstreamtest.Tree{"pks/lookup?op=get&options=mr&search=0x" + key.ID().String(): key.Armor()})})
	if err != nil {
		t.Fatal(err)
	}
	s := &apptest.Process{App: a}
	s.Want(t, "POST", "/api/gpg/key", `{"Keyserver":"hkp://keyserver.example:80","GpgKeyID":"`+key.ID().String()+`"}`, 200, `"gpg: key…`)
	s.Want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":[{"KeyID":"`+key.ID().String()+`"…`)
	s.Want(t, "POST", "/api/gpg/key", `{"Keyserver":"hkp://keyserver.example:80","GpgKeyID":"DEADBEEF"}`, 400, `"gpg: keyserver receive failed: HTTP code 404 while fetching http://keyserver.example:80/pks/lookup?…`)
}
