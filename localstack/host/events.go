package host

import (
	"encoding/json"
	"strings"

	"gopkg.in/yaml.v3"
)

// pattern is a rule of EventBridge for objects that were put: lists of names of buckets,
// and of prefixes of keys.
type pattern struct{ bucket, key *yaml.Node }

// matches reports whether an object is one of the rule.
func (p pattern) matches(t *Template, bucket, key string) (bool, error) {
	if p.bucket == nil || p.key == nil {
		return false, nil
	}
	inBucket, inKey := false, false
	for _, n := range p.bucket.Content {
		name, err := t.value(n)
		if err != nil {
			return false, err
		}
		inBucket = inBucket || name == bucket
	}
	for _, n := range p.key.Content {
		prefix := at(n, "prefix")
		inKey = inKey || prefix != nil && strings.HasPrefix(key, prefix.Value)
	}
	return inBucket && inKey, nil
}

// Created sends the event of a new object to the functions that have a rule for it, as
// EventBridge does. It repeats an event once if the function fails.
func (s *Stack) Created(bucket, key string) {
	for name, declared := range s.Template.Functions {
		for _, rule := range declared.created {
			ok, err := rule.matches(s.Template, bucket, key)
			if err != nil {
				s.log.Warn("the rule of an event cannot be evaluated", "function", name, "error", err)
			}
			if !ok {
				continue
			}
			event := map[string]any{"version": "0", "source": "aws.s3", "detail-type": "Object Created", "account": "000000000000", "region": "us-east-1",
				"detail": map[string]any{"bucket": map[string]string{"name": bucket}, "object": map[string]string{"key": key},
					"requester": "000000000000", "source-ip-address": "192.0.2.1", "reason": "PutObject"}}
			payload, err := json.Marshal(event)
			for range 2 {
				if err == nil {
					_, err = s.functions[name].Invoke(s.ctx, payload)
				}
				if err == nil || s.ctx.Err() != nil {
					break
				}
				s.log.Warn("an event was not taken", "function", name, "error", err)
				err = nil
			}
		}
	}
}
