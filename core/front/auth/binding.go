package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// Binding gives grants to callers without a token. They have a certificate, or AWS
// credentials.
type Binding struct {
	Name   string
	Kind   Kind                // Cert or IAM
	Match  map[string][]string // of a certificate: uri, dns, cn; of AWS: arn
	Owner  string              // the name if empty
	Grants []Grant
	Set    time.Time
	By     string // label of the principal that set it
}

// Limits of bindings.
const (
	partBindings = "auth-binding"
	maxBindings  = 200
)

// Identity is one name of a caller without a token. Key is a key of Binding.Match.
type Identity struct{ Key, Value string }

// matchKeys are the keys of Binding.Match. A binding by an earlier one comes first.
var matchKeys = map[Kind][]string{Cert: {"uri", "dns", "cn"}, IAM: {"arn"}}

func (b *Binding) check() error {
	keys := matchKeys[b.Kind]
	if keys == nil {
		return fmt.Errorf("Kind is cert or iam")
	}
	if !namePattern.MatchString(b.Name) || !namePattern.MatchString(b.Owner) {
		return fmt.Errorf("a name and an Owner have 1 to 64 of the characters A-Z a-z 0-9 . _ -")
	}
	patterns := 0
	for key, list := range b.Match {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("Match of the kind %s has %s, not %.50q", b.Kind, strings.Join(keys, ", "), key)
		}
		for _, pattern := range list {
			if text := strings.TrimSuffix(pattern, All); pattern == "" || len(pattern) > maxPattern || strings.Contains(text, All) {
				return fmt.Errorf("%.50q in Match: a text of 1 to %d bytes, or the beginning of one and a star", pattern, maxPattern)
			}
			patterns++
		}
	}
	if patterns == 0 || patterns > maxPatterns {
		return fmt.Errorf("Match needs 1 to %d texts", maxPatterns)
	}
	return CheckGrants(API, b.Grants)
}

// weight returns how exactly a binding matches an identity: 0 is not at all. A whole
// text outweighs each beginning, and a long beginning a short one.
func (b *Binding) weight(id Identity) int {
	most := 0
	for _, pattern := range b.Match[id.Key] {
		if begin, star := strings.CutSuffix(pattern, All); star && strings.HasPrefix(id.Value, begin) {
			most = max(most, len(begin)+1)
		} else if pattern == id.Value {
			most = maxPattern + 2
		}
	}
	return most
}

// bind returns the binding of a caller with identities, and the identity that it is by.
// Identities are in the order of matchKeys, and bindings in the order of their names.
func bind(list []Binding, kind Kind, ids []Identity) (*Binding, Identity) {
	for _, key := range matchKeys[kind] {
		var best *Binding
		var by Identity
		most := 0
		for _, id := range ids {
			for i := range list {
				if w := list[i].weight(id); id.Key == key && list[i].Kind == kind && w > most {
					most, best, by = w, &list[i], id
				}
			}
		}
		if best != nil {
			return best, by
		}
	}
	return nil, Identity{}
}

// principal returns the caller that a binding is for. Its Digest is the binding's name.
func (b *Binding) principal(id Identity) *Principal {
	return &Principal{Kind: b.Kind, Name: id.Value, Owner: b.Owner, Grants: b.Grants, Digest: b.Name}
}

func bindingKey(name string) driver.Key { return driver.Key{Part: partBindings, Sort: name} }
