package pgp

import (
	"bytes"
	"crypto"
	_ "crypto/sha1"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"pgregory.net/rapid"
)

// TestRoundTrip signs and verifies. A changed text is refused.
func TestRoundTrip(t *testing.T) {
	k := edSecret(t)
	trusted := ring(t, k)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SliceOf(rapid.SampledFrom([]byte("ab-\n\r \t:=B"))).Draw(rt, "text")
		signed := clearsign(t, string(text), noon, k)
		want := string((&clearText{lines: must(clearLines(text))(t)}).text())
		got, sigs, err := trusted.VerifyClearsigned(signed, noon)
		if err != nil || string(got) != want || len(sigs) != 1 || sigs[0] != (Signature{Key: k.ID(), Time: noon}) {
			rt.Fatalf("%q: %q, %v, %v", text, got, sigs, err)
		}
		stripped, isSigned, err := StripClearsign(signed)
		if err != nil || !isSigned || !bytes.Equal(stripped, got) {
			rt.Fatalf("stripped %q, %v, %v", stripped, isSigned, err)
		}
		if _, err := trusted.VerifyDetached(text, detach(t, string(text), noon, k), noon); err != nil {
			rt.Fatal(err)
		}
		i := rapid.IntRange(0, len(signed)-1).Draw(rt, "place")
		changed := bytes.Clone(signed)
		changed[i] ^= byte(1 << rapid.IntRange(0, 7).Draw(rt, "bit"))
		if got, _, err := trusted.VerifyClearsigned(changed, noon); err == nil && string(got) != want {
			rt.Fatalf("taken for %q: %q", got, changed)
		}
	})
}

// TestNoLineIsAnEmptyLine holds that both texts are read as one, since they have
// one signature.
func TestNoLineIsAnEmptyLine(t *testing.T) {
	k := edSecret(t)
	signed := clearsign(t, "", noon, k)
	less := bytes.Replace(signed, []byte("\n\n\n"), []byte("\n\n"), 1)
	if bytes.Equal(less, signed) {
		t.Fatalf("%q has no empty line", signed)
	}
	for _, data := range [][]byte{signed, less} {
		if got, _, err := ring(t, k).VerifyClearsigned(data, noon); err != nil || string(got) != "\n" {
			t.Errorf("%q: %q, %v", data, got, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	k, other := edSecret(t), edSecret(t)
	life := uint32(3600)
	sign := func(k *SecretKey, change func(*packet.Signature)) []byte {
		return forge(t, k, []byte(release), change).raw
	}
	md5 := sign(k, nothing)
	md5[bytes.IndexByte(md5, 4)+3] = 1
	good := sign(k, nothing)
	for name, tc := range map[string]struct {
		ring *Keyring
		sig  []byte
		now  time.Time
		want error
	}{
		"good":             {ring(t, k), good, noon, nil},
		"good, armored":    {ring(t, k), armor(nil, armorSignature, good), noon, nil},
		"good, two blocks": {ring(t, k, other), append(armor(nil, armorSignature, good), armor(nil, armorSignature, sign(other, nothing))...), noon, nil},
		// The next nine cases hold the rule of apt 2.6: one good signature, none
		// bad.
		"good, then unknown":  {ring(t, k), slices.Concat(good, sign(other, nothing)), noon, nil},
		"unknown, then good":  {ring(t, k), slices.Concat(sign(other, nothing), good), noon, nil},
		"good and bad":        {ring(t, k), slices.Concat(good, forge(t, k, []byte("x"), nothing).raw), noon, ErrBadSignature},
		"bad and good":        {ring(t, k, other), slices.Concat(forge(t, other, []byte("x"), nothing).raw, good), noon, ErrBadSignature},
		"good and weak":       {ring(t, k), slices.Concat(sign(k, func(s *packet.Signature) { s.Hash = crypto.SHA1 }), md5, good), noon, nil},
		"good and lapsed":     {ring(t, k), slices.Concat(sign(k, func(s *packet.Signature) { s.SigLifetimeSecs = &life }), sign(k, func(s *packet.Signature) { s.CreationTime = noon.Add(2 * time.Hour) })), noon.Add(2 * time.Hour), nil},
		"good and revoked":    {ring(t, k, recertify(t, other, made, func(s *packet.Signature) { s.SigType = packet.SigTypeKeyRevocation })), slices.Concat(sign(other, nothing), good), noon, nil},
		"good and version 3":  {ring(t, k), slices.Concat(newFrame(tagSignature, []byte{3, 5, 0, 0, 0, 0, 0}).raw, good), noon, nil},
		"none good":           {ring(t, k), slices.Concat(md5, sign(other, nothing)), noon, ErrWeakDigest},
		"unknown key":         {ring(t, other), good, noon, ErrUnknownKey},
		"empty ring":          {&Keyring{}, good, noon, ErrUnknownKey},
		"other text":          {ring(t, k), forge(t, k, []byte("x"), nothing).raw, noon, ErrBadSignature},
		"SHA-1":               {ring(t, k), sign(k, func(s *packet.Signature) { s.Hash = crypto.SHA1 }), noon, ErrWeakDigest},
		"MD5":                 {ring(t, k), md5, noon, ErrWeakDigest},
		"SHA-384":             {ring(t, k), sign(k, func(s *packet.Signature) { s.Hash = crypto.SHA384 }), noon, nil},
		"lapsed":              {ring(t, k), sign(k, func(s *packet.Signature) { s.SigLifetimeSecs = &life }), noon.Add(2 * time.Hour), ErrExpired},
		"not yet lapsed":      {ring(t, k), sign(k, func(s *packet.Signature) { s.SigLifetimeSecs = &life }), noon.Add(time.Minute), nil},
		"from the future":     {ring(t, k), good, noon.Add(-2 * time.Hour), ErrExpired},
		"clock a bit ahead":   {ring(t, k), good, noon.Add(-time.Minute), nil},
		"older than the key":  {ring(t, k), sign(k, func(s *packet.Signature) { s.CreationTime = made.Add(-time.Second) }), noon, ErrExpired},
		"certification":       {ring(t, k), sign(k, func(s *packet.Signature) { s.SigType = packet.SigTypePositiveCert }), noon, ErrMalformed},
		"critical notation":   {ring(t, k), sign(k, func(s *packet.Signature) { s.Notations = []*packet.Notation{{Name: "a@b", IsCritical: true}} }), noon, ErrUnsupported},
		"no issuer":           {ring(t, k), withoutIssuer(t, good), noon, ErrUnknownKey},
		"expired key":         {ring(t, recertify(t, k, made, func(s *packet.Signature) { s.KeyLifetimeSecs = &life })), good, noon, ErrExpired},
		"expired, any time":   {ring(t, recertify(t, k, made, func(s *packet.Signature) { s.KeyLifetimeSecs = &life })), good, time.Time{}, nil},
		"prolonged key":       {ring(t, recertify(t, k, made, func(s *packet.Signature) { s.KeyLifetimeSecs = &life }), recertify(t, k, made.Add(time.Minute), nothing)), good, noon, nil},
		"prolonged, reversed": {ring(t, recertify(t, k, made.Add(time.Minute), nothing), recertify(t, k, made, func(s *packet.Signature) { s.KeyLifetimeSecs = &life })), good, noon, nil},
		"revoked key":         {ring(t, k, recertify(t, k, made, func(s *packet.Signature) { s.SigType = packet.SigTypeKeyRevocation })), good, noon, ErrRevoked},
		"key of other use":    {ring(t, recertify(t, k, made, func(s *packet.Signature) { s.FlagSign = false })), good, noon, ErrNotSigning},
		"key by itself":       {must(NewKeyring(must(parseKey([]part{{frame: k.parts[0].frame}}))(t)))(t), good, noon, nil},
		"nothing":             {ring(t, k), nil, noon, ErrNoSignature},
		"text":                {ring(t, k), []byte("hello\n"), noon, ErrMalformed},
		"key":                 {ring(t, k), k.Binary(), noon, ErrMalformed},
		"cut short":           {ring(t, k), good[:len(good)-1], noon, ErrMalformed},
		"too many":            {ring(t, k), bytes.Repeat(good, maxSignatures+1), noon, ErrTooLarge},
		"as many as may be":   {ring(t, k), bytes.Repeat(good, maxSignatures), noon, nil},
		"too large":           {ring(t, k), make([]byte, maxMessage+1), noon, ErrTooLarge},
	} {
		sigs, err := tc.ring.VerifyDetached([]byte(release), tc.sig, tc.now)
		if !errors.Is(err, tc.want) || (err == nil) != (len(sigs) > 0) {
			t.Errorf("%s: %v, %v; want %v", name, sigs, err, tc.want)
		}
	}
}

// withoutIssuer returns the signature with its time as the only subpacket.
func withoutIssuer(t testing.TB, sig []byte) []byte {
	t.Helper()
	body := must(readFrame(sig))(t).body
	const first, size = 6, 6
	rest := first + int(body[4])<<8 + int(body[5])
	short := append([]byte{body[0], body[1], body[2], body[3], 0, size}, body[first:first+size]...)
	return newFrame(tagSignature, append(short, body[rest:]...)).raw
}

func TestErrorTexts(t *testing.T) {
	k, other := edSecret(t), edSecret(t)
	_, _, err := ring(t).VerifyClearsigned(clearsign(t, release, noon, k, other), noon)
	want := "signature by " + k.ID().String() + ": no public key; signature by " + other.ID().String() + ": no public key"
	var sigErr *SignatureError
	if err == nil || err.Error() != want || !errors.As(err, &sigErr) || sigErr.Key != k.ID() {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestSubkeys(t *testing.T) {
	k := addSubkey(t, edSecret(t), true, nothing)
	sigs := must(ring(t, k).VerifyDetached([]byte(release), detach(t, release, noon, k), noon))(t)
	if len(k.Subkeys()) != 1 || sigs[0].Subkey != k.Subkeys()[0] || sigs[0].Key != k.ID() || sigs[0].Signer() != sigs[0].Subkey {
		t.Errorf("%v", sigs)
	}
	if direct := forge(t, k, []byte(release), nothing).raw; must(ring(t, k).VerifyDetached([]byte(release), direct, noon))(t)[0].Signer() != k.ID() {
		t.Error("not by the primary key")
	}
	encrypts := addSubkey(t, edSecret(t), true, func(s *packet.Signature) { s.FlagSign, s.FlagEncryptStorage = false, true })
	if sigs := must(ring(t, encrypts).VerifyDetached([]byte(release), detach(t, release, noon, encrypts), noon))(t); sigs[0].Subkey != 0 {
		t.Error("signed by a subkey that is not for it")
	}
	if foreign := addSubkey(t, edSecret(t), false, nothing); len(foreign.Subkeys()) != 0 {
		t.Error("a subkey that the key has not bound was taken")
	}
}

func TestParseClear(t *testing.T) {
	k := edSecret(t)
	good := string(clearsign(t, "a\n\nb\n", noon, k))
	headers, body, _ := strings.Cut(good, "\n\n")
	text, sig, _ := strings.Cut(body, "-----BEGIN PGP SIGNATURE-----")
	sig = "-----BEGIN PGP SIGNATURE-----" + sig
	again := string(armor(nil, armorSignature, forge(t, k, []byte("a\r\n\r\nb"), func(s *packet.Signature) { s.SigType = packet.SigTypeText }).raw))
	for name, tc := range map[string]struct {
		data string
		want error
	}{
		"good":                {good, nil},
		"empty lines around":  {"\n \n" + good + "\n\t\n", nil},
		"CRLF":                {strings.ReplaceAll(good, "\n", "\r\n"), nil},
		"no last newline":     {strings.TrimSuffix(good, "\n"), nil},
		"no Hash":             {clearBegin + "\n\n" + body, nil},
		"two Hash":            {clearBegin + "\nHash: SHA256, SHA512\nHash: MD5\n\n" + body, nil},
		"signature block x 2": {good + again, nil},
		"needless escape":     {headers + "\n\n" + strings.Replace(text, "b", "- b", 1) + sig, nil},
		"trailing space":      {headers + "\n\n" + strings.Replace(text, "b", "b \t ", 1) + sig, nil},
		"text before":         {"Extra: 1\n" + good, ErrMalformed},
		"text behind":         {good + "Extra: 1\n", ErrMalformed},
		"two messages":        {good + good, ErrMalformed},
		"other header":        {clearBegin + "\nExtra: 1\n\n" + body, ErrMalformed},
		"not dash escaped":    {clearBegin + "\nNotDashEscaped: yes\n\n" + body, ErrMalformed},
		"text in header":      {clearBegin + "\nHash: SHA256\x0bExtra\n\n" + body, ErrMalformed},
		"blank is not empty":  {headers + "\n \nExtra: 1\n\n" + body, ErrMalformed},
		"unescaped dash":      {headers + "\n\n" + strings.Replace(text, "b", "-b", 1) + sig, ErrMalformed},
		"no signature":        {headers + "\n\n" + text, ErrMalformed},
		"only begin":          {clearBegin, ErrMalformed},
		"no empty line":       {clearBegin + "\nHash: SHA256\n", ErrMalformed},
		"empty signature":     {headers + "\n\n" + text + "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n", ErrNoSignature},
		"checksum":            {strings.Replace(good, "\n=", "\n=A", 1), ErrMalformed},
		"text changed":        {headers + "\n\n" + strings.Replace(text, "b", "c", 1) + sig, ErrBadSignature},
		"line added":          {headers + "\n\n" + text + "\n" + sig, ErrBadSignature},
		"detached only":       {sig, ErrMalformed},
		"unsigned":            {"a: 1\n", ErrNotClearsigned},
		"empty":               {"", ErrNotClearsigned},
		"too large":           {good + strings.Repeat("\n", maxMessage), ErrTooLarge},
	} {
		got, _, err := ring(t, k).VerifyClearsigned([]byte(tc.data), noon)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		want := "a\n\nb\n"
		if tc.want != nil {
			want = ""
		}
		if string(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, data := range []string{"", "a: 1\n", "Description: PGP\n"} {
		if got, signed, err := StripClearsign([]byte(data)); string(got) != data || signed || err != nil {
			t.Errorf("%q: %q, %v, %v", data, got, signed, err)
		}
	}
	if got, signed, err := StripClearsign([]byte("a\n" + good)); err == nil || got != nil || signed {
		t.Errorf("text before a block: %q, %v, %v", got, signed, err)
	}
}

func TestParseKeyring(t *testing.T) {
	a, b := edSecret(t), edSecret(t)
	future := newFrame(tagPublicKey, []byte{6, 0, 0, 0, 0, 27}).raw
	cut := a.Binary()
	for name, tc := range map[string]struct {
		data []byte
		keys int
		want error
	}{
		"binary":          {ring(t, a, b).Binary(), 2, nil},
		"armored":         {ring(t, a, b).Armor(), 2, nil},
		"two blocks":      {append(append([]byte("Two keys:\n"), a.Armor()...), append([]byte("and\n"), b.Armor()...)...), 2, nil},
		"twice":           {append(a.Binary(), a.Binary()...), 1, nil},
		"newer version":   {append(bytes.Clone(future), a.Binary()...), 1, nil},
		"only newer":      {future, 0, ErrUnsupported},
		"none":            {nil, 0, ErrNoKey},
		"text":            {[]byte("no key\n"), 0, ErrNoKey},
		"secret":          {must(a.SecretArmor(nil))(t), 0, ErrNoKey},
		"signature":       {detach(t, "x", noon, a), 0, ErrNoKey},
		"cut short":       {cut[:len(cut)-1], 0, ErrMalformed},
		"not from a key":  {cut[len(a.parts[0].raw):], 0, ErrMalformed},
		"piecemeal":       {[]byte{0xc6, 0xe1, 0, 0}, 0, ErrMalformed},
		"unknown length":  {[]byte{0x9b, 0, 0}, 0, ErrMalformed},
		"large packet":    {[]byte{0xc6, 0xff, 0xff, 0xff, 0xff, 0xff, 4}, 0, ErrTooLarge},
		"more in the key": {newFrame(tagPublicKey, append(bytes.Clone(a.parts[0].body), 0)).raw, 0, ErrMalformed},
		"too many parts":  {append(a.Binary(), bytes.Repeat(newFrame(tagUserID, []byte("x")).raw, maxParts)...), 0, ErrTooLarge},
		"too many sigs":   {append(a.Binary(), bytes.Repeat(a.parts[1].sigs[0].raw, maxSelfSigs)...), 0, ErrTooLarge},
		"too large":       {make([]byte, maxKeyring+1), 0, ErrTooLarge},
	} {
		r, err := ParseKeyring(tc.data)
		if !errors.Is(err, tc.want) || err == nil && len(r.Keys()) != tc.keys {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestUserIDs(t *testing.T) {
	k := edSecret(t)
	s := k.secrets[k.ID()]
	revocation := newSignature(s.priv, packet.SigTypeCertificationRevocation, made.Add(time.Minute))
	if err := revocation.SignUserId(k.UserIDs()[0], &s.priv.PublicKey, s.priv, signConfig(made)); err != nil {
		t.Fatal(err)
	}
	data := append(append(k.Binary(), must(serialize(revocation))(t).raw...), newFrame(tagUserID, []byte("unsigned")).raw...)
	got := must(ParseKeys(data))(t)[0]
	if ids := got.UserIDs(); len(ids) != 1 || ids[0] != "unsigned" {
		t.Errorf("%q", ids)
	}
	if !bytes.Equal(got.Binary(), data) {
		t.Error("not written as it was read")
	}
}

// TestDirectSignatureKeepsTheExpiry adds a newer direct-key signature without an expiry, as for
// naming a revoker. The key still expires.
func TestDirectSignatureKeepsTheExpiry(t *testing.T) {
	hour, minute := uint32(3600), uint32(60)
	k := recertify(t, edSecret(t), made, func(s *packet.Signature) { s.KeyLifetimeSecs = &hour })
	s := k.secrets[k.ID()]
	for _, tc := range []struct {
		life *uint32
		want time.Duration
	}{{nil, time.Hour}, {&minute, time.Minute}} {
		direct := newSignature(s.priv, packet.SigTypeDirectSignature, made.Add(time.Second))
		direct.KeyLifetimeSecs = tc.life
		if err := direct.SignDirectKeyBinding(&s.priv.PublicKey, s.priv, signConfig(made)); err != nil {
			t.Fatal(err)
		}
		parts := []part{{frame: k.parts[0].frame, sigs: []frame{must(serialize(direct))(t)}}, k.parts[1]}
		got := must(parseKey(parts))(t)
		if end, ok := got.Expires(); !ok || got.primary.direct == nil || end.Sub(made) != tc.want {
			t.Errorf("expires %v, %v; want %v after it was made", end, ok, tc.want)
		}
	}
}

// TestKeysAreSafeForConcurrentUse is for the race detector.
func TestKeysAreSafeForConcurrentUse(t *testing.T) {
	k := addSubkey(t, edSecret(t), true, nothing)
	trusted := ring(t, k)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := trusted.VerifyClearsigned(clearsign(t, release, noon, k), noon); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
