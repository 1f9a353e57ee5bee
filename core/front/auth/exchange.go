package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/auth/oidc"
)

// partJTI begins the partitions of ID tokens that were exchanged, one for each day of
// their expiry.
const partJTI = "auth-jti-"

func jtiKey(t oidc.Token) driver.Key {
	return driver.Key{Part: partJTI + t.Expires.UTC().Format(time.DateOnly), Sort: t.ID}
}

// Exchange exchanges an ID token, once, for a short token. policy names the policy; "" is
// the only one that matches. A refusal is an *Error with a Reason for the audit record,
// and counts as a failure of the source.
func (s *Store) Exchange(ctx context.Context, idToken, policy, source string, also Also) (Made, error) {
	if wait := s.failures.wait(source, s.Now()); wait > 0 {
		return Made{}, &Error{Status: http.StatusTooManyRequests, Text: "too many failed attempts", Retry: wait, Reason: "too many failed attempts"}
	}
	made, err := s.exchange(ctx, idToken, policy, also)
	var refused *Error
	if errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden) {
		s.failures.failed(source, s.Now())
	}
	return made, err
}

func notValid(reason string) error {
	return &Error{Status: http.StatusUnauthorized, Text: "the ID token is not valid", Reason: reason}
}

func (s *Store) exchange(ctx context.Context, idToken, policy string, also Also) (Made, error) {
	all, err := s.knownPolicies(ctx)
	if err != nil {
		return Made{}, unchecked()
	}
	t, err := s.Issuers.Verify(ctx, idToken, func(issuer string) (audiences []string) {
		for _, k := range all {
			if k.Issuer == issuer {
				audiences = append(audiences, k.Audience)
			}
		}
		return audiences
	})
	var invalid *oidc.Invalid
	if errors.As(err, &invalid) {
		return Made{}, notValid(invalid.Reason)
	}
	if errors.Is(err, oidc.ErrKeys) {
		return Made{}, &Error{Status: http.StatusServiceUnavailable, Text: oidc.ErrKeys.Error(), Retry: 10 * time.Second}
	}
	if err != nil {
		return Made{}, err
	}
	name, err := choose(all, t, policy)
	if err != nil {
		return Made{}, err
	}
	if err := s.roomForShort(ctx); err != nil {
		return Made{}, err
	}
	return s.makeShort(ctx, t, name, also)
}

// choose returns the name of the policy that matches a token.
func choose(all []kept, t oidc.Token, wanted string) (string, error) {
	var names []string
	for i := range all {
		k := &all[i]
		if k.accepts(t) && (wanted == "" || wanted == k.Name) {
			names = append(names, k.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", noMatch(t)
	case 1:
		return names[0], nil
	}
	slices.Sort(names)
	return "", refuse(http.StatusBadRequest, "more than one policy matches: name one of %s", strings.Join(names, ", "))
}

func noMatch(t oidc.Token) error {
	return &Error{Status: http.StatusForbidden, Text: "no trust policy matches this token", Reason: "no trust policy matches", Claims: t.Claims}
}

func (k *kept) accepts(t oidc.Token) bool {
	return k.Issuer == t.Issuer && k.Audience == t.Audience && k.matches(t.Claims)
}

// makeShort stores a short token together with the mark that its ID token was used. The
// transaction requires the policy to be as it was read.
func (s *Store) makeShort(ctx context.Context, t oidc.Token, policy string, also Also) (Made, error) {
	secret := NewSecret(Short)
	digest := Digest(secret)
	for range attempts {
		k, err := s.policy(ctx, policy)
		if err != nil {
			return Made{}, err
		}
		if k.version == driver.Absent || !k.accepts(t) {
			forgetLatest(s, &s.policies)
			return Made{}, noMatch(t)
		}
		now := s.Now().UTC()
		life, _ := time.ParseDuration(k.TTL) // complete has checked it
		token := Token{ID: IDOf(digest), Kind: Short, Name: policy, Owner: k.owner(t.Claims), Grants: k.Grants, Created: now, By: "policy " + policy,
			Expires: now.Add(life), Policy: policy, Claims: k.recorded(t.Claims)}
		put, err := putToken(&token, digest, driver.Absent)
		if err != nil {
			return Made{}, err
		}
		ops := append(s.edgeToken(&token, digest), put, driver.Op{Do: driver.OpPut, Key: jtiKey(t), If: driver.Absent, Data: []byte("{}")})
		if next, changed := k.pinning(t.Claims); changed {
			pin, err := next.put(k.version)
			if err != nil {
				return Made{}, err
			}
			ops = append(ops, pin)
			forgetLatest(s, &s.policies)
		} else {
			ops = append(ops, driver.Op{Do: driver.OpCheck, Key: policyKey(policy), If: k.version})
		}
		_, err = s.Table.Write(ctx, append(ops, also.ops(token)...)...)
		s.forget(digest)
		if err == nil {
			return Made{token, secret}, nil
		}
		var conflict *driver.ConflictError
		if !errors.As(err, &conflict) {
			return Made{}, err
		}
		if slices.Contains(conflict.Keys, jtiKey(t)) {
			return Made{}, notValid("it was exchanged before")
		}
	}
	return Made{}, driver.ErrConflict
}

// roomForShort refuses an exchange if there are maxLive short tokens. It counts them at
// most once a minute, and adds the later ones.
func (s *Store) roomForShort(ctx context.Context) error {
	s.mu.Lock()
	known := !s.shortAt.IsZero() && s.Now().Sub(s.shortAt) < time.Minute
	s.short++
	most := s.short > maxLive
	s.mu.Unlock()
	if known && !most {
		return nil
	}
	live := 0
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		if t.Kind == Short && t.Ended(s.Now()) == "" {
			live++
		}
	}
	s.mu.Lock()
	s.short, s.shortAt = live+1, s.Now()
	s.mu.Unlock()
	if live >= maxLive {
		return refuse(http.StatusConflict, "there are %d live tokens of the kind %s, which is the most", live, Short)
	}
	return nil
}
