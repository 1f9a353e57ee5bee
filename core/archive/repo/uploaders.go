package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/query"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// Uploaders says which keys may upload which packages with a .changes. Without
// Uploaders, every key of the keyring may.
type Uploaders struct {
	Groups map[string][]string `json:"groups"` // key IDs and names of groups, by name
	Rules  []UploadersRule     `json:"rules"`  // the first rule that allows or denies decides; without one the upload is refused
}

// UploadersRule allows or denies keys. It applies to a .changes that matches its
// condition, a query. A key is an ID of 16 or 8 digits, a group or "*".
type UploadersRule struct {
	Condition string   `json:"condition"`
	Allow     []string `json:"allow"`
	Deny      []string `json:"deny"`
}

// MaxUploaders bounds the text of an Uploaders, in bytes. Rows of 2*maxTargets
// repositories fit into one transaction.
const MaxUploaders = 32 << 10

// ErrUploaders matches every error of ParseUploaders.
var ErrUploaders = errors.New("invalid uploaders")

// ParseUploaders parses aptly's uploaders.json: JSON with comments, from two
// slashes to the end of the line, and trailing commas.
func ParseUploaders(data []byte) (*Uploaders, error) {
	if len(data) > MaxUploaders {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrUploaders, MaxUploaders)
	}
	var u Uploaders
	dec := json.NewDecoder(bytes.NewReader(plainJSON(data)))
	if err := dec.Decode(&u); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUploaders, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something behind it", ErrUploaders)
	}
	for _, rule := range u.Rules {
		if _, err := query.Parse(rule.Condition); err != nil {
			return nil, fmt.Errorf("%w: condition %s: %w", ErrUploaders, rule.Condition, err)
		}
	}
	return &u, nil
}

// stringEnd returns the index of the closing quotation mark of the string at i,
// or of the last byte.
func stringEnd(data []byte, i int) int {
	end := i + 1
	for end < len(data) && data[end] != '"' {
		if data[end] == '\\' {
			end++
		}
		end++
	}
	return min(end, len(data)-1)
}

// plainJSON removes comments and trailing commas.
func plainJSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	comma := -1 // index in out of a comma followed by white space only
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '"':
			end := stringEnd(data, i)
			out, comma = append(out, data[i:end+1]...), -1
			i = end
			continue
		case c == '/' && i+1 < len(data) && data[i+1] == '/':
			for i < len(data) && data[i] != '\n' {
				i++
			}
			c = '\n'
		case c == ',':
			comma = len(out)
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
		out = append(out, c)
	}
	return out
}

// check refuses a release that its signers may not upload. An error is a fault of
// the rules.
func (u *Uploaders) check(r *release) error {
	if u == nil {
		return nil
	}
	reason, err := u.denial(r)
	if err != nil || reason == "" {
		return err
	}
	keys := "[]pgp.Key(nil)"
	if len(r.signers) > 0 {
		names := make([]string, len(r.signers))
		for i, id := range r.signers {
			names[i] = fmt.Sprintf("%q", id.String())
		}
		keys = "[]pgp.Key{" + strings.Join(names, ", ") + "}"
	}
	r.refusal = fmt.Sprintf("changes file skipped due to uploaders config: %s, keys %s: %s", path.Base(r.upload.Name), keys, reason)
	return nil
}

// denial returns the reason of a refusal, "" if the upload is allowed.
func (u *Uploaders) denial(r *release) (string, error) {
	for _, rule := range u.Rules {
		condition, err := query.Parse(rule.Condition)
		if err != nil {
			return "", task.Fail(500, "unable to import changes files: error parsing query %s: %w", rule.Condition, err)
		}
		if !condition.MatchFields(r.changes.Paragraph.Get) {
			continue
		}
		if u.names(rule.Deny, r.signers) {
			text, err := json.Marshal(rule)
			return "denied according to rule: " + string(text), err
		}
		if u.names(rule.Allow, r.signers) {
			return "", nil
		}
	}
	return "denied as no rule matches", nil
}

// names reports whether a list of keys and groups includes one of the signers.
func (u *Uploaders) names(list []string, signers []pgp.KeyID) bool {
	seen := map[string]bool{}
	for len(list) > 0 {
		name := list[0]
		list = list[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if group, ok := u.Groups[name]; ok {
			list = slices.Concat(group, list)
			continue
		}
		for _, id := range signers {
			full := id.String()
			if name == "*" || name == full || len(name) == 8 && strings.HasSuffix(full, name) {
				return true
			}
		}
	}
	return false
}
