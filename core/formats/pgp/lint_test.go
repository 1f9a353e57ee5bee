package pgp

import (
	"bytes"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestLint(t *testing.T) {
	ed := edSecret(t)
	life := func(d time.Duration) func(*packet.Signature) {
		return func(s *packet.Signature) { secs := uint32(d / time.Second); s.KeyLifetimeSecs = &secs }
	}
	weakRSA := must(generateRSA(1024, made))(t)
	shortRSA := must(generateRSA(2048, made))(t)
	newer := newFrame(tagPublicKey, append(publicBody(packet.PubKeyAlgoEd25519, made), bytes.Repeat([]byte{9}, 32)...))
	for name, tc := range map[string]struct {
		key   *Key
		codes string
		fatal bool
	}{
		"ed25519":       {ed.Key, "", false},
		"rsa3072":       {rsaSecret(t).Key, "", false},
		"subkey":        {addSubkey(t, ed, true, nothing).Key, "", false},
		"revoked":       {recertify(t, ed, made, func(s *packet.Signature) { s.SigType = packet.SigTypeKeyRevocation }).Key, ProblemRevoked, true},
		"expired":       {recertify(t, ed, made, life(time.Hour)).Key, ProblemExpired, true},
		"expires":       {recertify(t, ed, made, life(noon.Sub(made)+29*24*time.Hour)).Key, ProblemExpiresSoon, false},
		"expires later": {recertify(t, ed, made, life(noon.Sub(made)+31*24*time.Hour)).Key, "", false},
		"future":        {recertify(t, ed, noon.Add(time.Hour), nothing).Key, ProblemNotYetValid, true},
		"certifies":     {recertify(t, ed, made, func(s *packet.Signature) { s.FlagSign = false }).Key, ProblemNoSigning, true},
		"SHA-1":         {recertify(t, ed, made, func(s *packet.Signature) { s.Hash = crypto.SHA1 }).Key, ProblemSHA1Self, true},
		"SHA-1 subkey":  {addSubkey(t, ed, true, func(s *packet.Signature) { s.Hash = crypto.SHA1 }).Key, ProblemSHA1Self, true},
		"subkey ends":   {addSubkey(t, ed, true, life(time.Hour)).Key, ProblemExpired, true},
		"bare":          {must(parseKey([]part{{frame: ed.parts[0].frame}}))(t), ProblemNoSelf, true},
		"rsa1024":       {must(certify(t.Context(), &secret{priv: weakRSA}, "a", "", made))(t), ProblemRSATooShort, true},
		"rsa2048":       {must(certify(t.Context(), &secret{priv: shortRSA}, "a", "", made))(t), ProblemRSAShort, false},
		"newer packet":  {must(parseKey([]part{{frame: newer}}))(t), ProblemUnknownToGPGV + " " + ProblemNoSelf, true},
	} {
		var codes []string
		fatal := false
		for _, p := range Lint(tc.key, noon) {
			codes = append(codes, p.Code)
			fatal = fatal || p.Fatal
			if !strings.Contains(p.Text, tc.key.ID().String()) || !strings.HasSuffix(p.Text, ".") {
				t.Errorf("%s: %q", name, p.Text)
			}
		}
		if strings.Join(codes, " ") != tc.codes || fatal != tc.fatal {
			t.Errorf("%s: %v", name, Lint(tc.key, noon))
		}
	}
}
