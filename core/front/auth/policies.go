package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"aptless/core/engine/driver"
)

// scanPolicies reads all policies, by name.
func (s *Store) scanPolicies(ctx context.Context) ([]kept, error) {
	var list []kept
	for row, err := range s.Table.Scan(ctx, partPolicies, "") {
		if err != nil {
			return nil, err
		}
		k, err := decodePolicy(row)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

// Policies returns all policies, by name.
func (s *Store) Policies(ctx context.Context) ([]Policy, error) {
	all, err := s.scanPolicies(ctx)
	list := []Policy{}
	for _, k := range all {
		list = append(list, k.Policy)
	}
	return list, err
}

// policy reads a policy; an unknown one has the version Absent.
func (s *Store) policy(ctx context.Context, name string) (kept, error) {
	row, err := s.Table.Get(ctx, policyKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return kept{version: driver.Absent}, nil
	}
	if err != nil {
		return kept{}, err
	}
	return decodePolicy(row)
}

func noPolicy() error { return refuse(http.StatusNotFound, "no such policy") }

// Policy returns a policy.
func (s *Store) Policy(ctx context.Context, name string) (Policy, error) {
	k, err := s.policy(ctx, name)
	if err == nil && k.version == driver.Absent {
		err = noPolicy()
	}
	return k.Policy, err
}

// SetPolicy makes or replaces a policy, and revokes the short tokens of the former one.
// It keeps pinned claims and their values unless Pin is set. audience is the server's own
// address.
func (s *Store) SetPolicy(ctx context.Context, by *Principal, p Policy, audience string, also func() []driver.Op) (Policy, error) {
	pin := p.Pin
	for range attempts {
		all, err := s.scanPolicies(ctx)
		if err != nil {
			return p, err
		}
		next, version := p, driver.Absent
		next.Pin, next.Pinned, next.Changed, next.By = pin, nil, s.Now().UTC(), by.Label()
		issuers := map[string]bool{p.Issuer: true}
		for _, other := range all {
			if other.Name != p.Name {
				issuers[other.Issuer] = true
				continue
			}
			if version = other.version; pin == nil {
				next.Pin, next.Pinned = other.Pin, other.Pinned
			}
		}
		if err := next.complete(audience); err != nil {
			return p, err
		}
		if version == driver.Absent && len(all) >= maxPolicies || len(issuers) > maxIssuers {
			return p, refuse(http.StatusConflict, "there are at most %d policies, of %d issuers", maxPolicies, maxIssuers)
		}
		put, err := next.put(version)
		if err != nil {
			return p, err
		}
		_, err = s.Table.Write(ctx, append([]driver.Op{put}, also()...)...)
		forgetLatest(s, &s.policies)
		if err == nil {
			return next, s.revokeOf(ctx, by, p.Name)
		}
		if !errors.Is(err, driver.ErrConflict) {
			return p, err
		}
	}
	return p, driver.ErrConflict
}

// RemovePolicy removes a policy, and revokes its short tokens.
func (s *Store) RemovePolicy(ctx context.Context, by *Principal, name string, also func() []driver.Op) (Policy, error) {
	for range attempts {
		k, err := s.policy(ctx, name)
		if err != nil {
			return k.Policy, err
		}
		if k.version == driver.Absent {
			return k.Policy, errors.Join(s.revokeOf(ctx, by, name), noPolicy())
		}
		_, err = s.Table.Write(ctx, append([]driver.Op{{Do: driver.OpDelete, Key: policyKey(name), If: k.version}}, also()...)...)
		forgetLatest(s, &s.policies)
		if err == nil {
			return k.Policy, s.revokeOf(ctx, by, name)
		}
		if !errors.Is(err, driver.ErrConflict) {
			return k.Policy, err
		}
	}
	return Policy{}, driver.ErrConflict
}

// revokeOf revokes the live short tokens of a policy.
func (s *Store) revokeOf(ctx context.Context, by *Principal, policy string) error {
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		if t.Kind != Short || t.Policy != policy || t.Ended(s.Now()) != "" {
			continue
		}
		if _, err := s.Revoke(ctx, by, t.ID, nil); err != nil {
			return err
		}
	}
	return nil
}

// revokeVoid revokes short tokens whose policy is gone or has changed since. A process
// that has changed the policy may have died before it could.
func (s *Store) revokeVoid(ctx context.Context, live []stored) error {
	if len(live) == 0 {
		return nil
	}
	all, err := s.scanPolicies(ctx)
	if err != nil {
		return err
	}
	for _, t := range live {
		i := slices.IndexFunc(all, func(k kept) bool { return k.Name == t.Policy })
		if i >= 0 && !all[i].Changed.After(t.Created) {
			continue
		}
		if _, err := s.Revoke(ctx, &Principal{Kind: System}, t.ID, nil); err != nil {
			return err
		}
	}
	return nil
}

// knownPolicies returns the policies as memory has them, for Fresh.
func (s *Store) knownPolicies(ctx context.Context) ([]kept, error) {
	return recallLatest(s, &s.policies, s.Fresh, func() ([]kept, error) { return s.scanPolicies(ctx) })
}
