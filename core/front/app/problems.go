package app

import (
	"fmt"
	"time"

	"aptless/core/formats/pgp"
)

// problems returns warnings about signing keys that a supported apt refuses or will
// soon refuse. Each warning names the remedy.
func problems(signer pgp.Signer, now time.Time) []string {
	if signer == nil {
		return nil
	}
	var texts []string
	for _, k := range signer.PublicKeys() {
		for _, p := range pgp.Lint(k, now) {
			text := p.Text
			if p.Fatal {
				text = fmt.Sprintf("%s Nothing is published with it: put a key of RSA with 3072 bits or more, or of Ed25519, in its place.", text)
			}
			texts = append(texts, text)
		}
	}
	return texts
}

// Problems returns warnings for the operator: signing keys that apt refuses or will
// soon refuse.
func (a *App) Problems() []string { return problems(a.signatures.signer, a.now()) }
