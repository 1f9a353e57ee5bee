package auth

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/auth/oidc"
)

// Policy is a trust policy: which ID tokens are exchanged for a short token.
type Policy struct {
	Name     string              `json:",omitempty"`
	Issuer   string              // an address of https, compared byte for byte
	Audience string              // the server's own address if empty
	Claims   map[string][]string // patterns; each claim matches one of its patterns
	Pin      []string            // claims that keep the value of the first exchange; nil is the default
	Pinned   map[string]string   `json:",omitempty"` // their values
	Owner    string              `json:",omitempty"` // of short tokens; "" is one for each repository
	TTL      string              // life of a short token, as 15m
	Grants   []Grant
	Changed  time.Time `json:",omitzero"` // short tokens from before are void
	By       string    `json:",omitempty"`
}

// Limits of policies.
const (
	maxPolicies  = 200
	maxIssuers   = 20
	maxClaims    = 20 // of a policy
	maxAddress   = 200
	defaultTTL   = "15m"
	maxTTL       = time.Hour
	partPolicies = "auth-policy"
)

// kept is a policy with the version of its row.
type kept struct {
	Policy
	version string
}

func decodePolicy(row driver.Row) (k kept, err error) {
	if err := json.Unmarshal(row.Data, &k.Policy); err != nil {
		return k, fmt.Errorf("row %s: %w", row.Key, err)
	}
	k.version = row.Version
	return k, nil
}

// provider is a CI system whose claims are known.
type provider int

const (
	otherProvider provider = iota
	github
	gitlab
)

// Claims that name the project of a job. subject is not one of a provider.
const (
	repository = "repository"
	project    = "project_path"
	subject    = "sub"
)

// provider returns the CI system of a policy, by its issuer or by its claims.
func (p *Policy) provider() provider {
	switch {
	case strings.HasPrefix(p.Issuer, "https://token.actions.githubusercontent.com"), p.asks(repository, "repository_id", "repository_owner", "repository_owner_id"):
		return github
	case p.Issuer == "https://gitlab.com", p.asks(project, "project_id", "namespace_id", "namespace_path"):
		return gitlab
	}
	return otherProvider
}

// asks reports whether the policy has a pattern of one of the claims.
func (p *Policy) asks(claims ...string) bool {
	return slices.ContainsFunc(claims, func(c string) bool { return p.Claims[c] != nil })
}

func badRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, format, args...)
}

// complete sets the defaults of a policy, and refuses a policy that is invalid. audience
// is the server's own address.
func (p *Policy) complete(audience string) error {
	if p.Audience == "" {
		p.Audience = audience
	}
	if p.TTL == "" {
		p.TTL = defaultTTL
	}
	switch {
	case !namePattern.MatchString(p.Name) || p.Owner != "" && !namePattern.MatchString(p.Owner):
		return badRequest("names and Owner have 1 to 64 of the characters A-Z a-z 0-9 . _ -")
	case len(p.Issuer) > maxAddress || oidc.CheckURL(p.Issuer) != nil:
		return badRequest("Issuer: %.200q is no address of https without user, query and fragment", p.Issuer)
	case p.Audience == "":
		return badRequest("Audience is needed")
	case len(p.Audience) > maxAddress:
		return badRequest("Audience has at most %d bytes", maxAddress)
	}
	if d, err := time.ParseDuration(p.TTL); err != nil || d < time.Minute || d > maxTTL {
		return badRequest("invalid TTL %.50q: 1m to 60m", p.TTL)
	}
	if err := p.checkClaims(); err != nil {
		return err
	}
	if err := p.checkGrants(); err != nil {
		return err
	}
	return p.completePin()
}

// completePin sets the default of the pinned claims.
func (p *Policy) completePin() error {
	if p.Pin == nil {
		p.Pin = p.defaultPin()
	}
	if len(p.Pin) > maxClaims || slices.ContainsFunc(p.Pin, func(c string) bool { return c == "" || len(c) > maxAddress }) {
		return badRequest("Pin has at most %d claims", maxClaims)
	}
	return nil
}

func (p *Policy) checkClaims() error {
	if len(p.Claims) == 0 || len(p.Claims) > maxClaims {
		return badRequest("a policy has patterns of 1 to %d Claims", maxClaims)
	}
	count := 0
	for _, claim := range slices.Sorted(maps.Keys(p.Claims)) {
		if claim == "" || len(claim) > maxAddress || len(p.Claims[claim]) == 0 {
			return badRequest("the claim %.50q has no pattern", claim)
		}
		for _, pattern := range p.Claims[claim] {
			count++
			if err := checkPattern(pattern); err != nil {
				return badRequest("%v", err)
			}
			head, _, star := strings.Cut(pattern, "*")
			if star && !strings.ContainsAny(head, "/:") && slices.Contains([]string{repository, project, subject}, claim) {
				return badRequest("the pattern %s of %s matches names of any owner: it needs a / or : before the star", pattern, claim)
			}
		}
	}
	if count > maxPatterns {
		return badRequest("a policy has at most %d patterns", maxPatterns)
	}
	if p.provider() != otherProvider && !p.asks(repository, "repository_id", "repository_owner_id", project, "project_id", "namespace_id") {
		return badRequest("Claims need one of repository, repository_id, repository_owner_id, project_path, project_id, namespace_id")
	}
	return nil
}

// ungranted are the permissions that no policy grants.
func ungranted() []Permission {
	return []Permission{AuthManage, AuditRead, GPGManage, GPGRead, DBManage}
}

func (p *Policy) checkGrants() error {
	if err := CheckGrants(Short, p.Grants); err != nil {
		return badRequest("%v", err)
	}
	for _, can := range ungranted() {
		if covered(p.Grants, Need{Can: can}) {
			return badRequest("a policy does not grant %s", can)
		}
	}
	return nil
}

// defaultPin returns the claims that are pinned unless the policy says so. They stay
// when a name is given up and taken by another owner.
func (p *Policy) defaultPin() []string {
	owner, one, name := "repository_owner_id", "repository_id", repository
	switch p.provider() {
	case otherProvider:
		return []string{}
	case gitlab:
		owner, one, name = "namespace_id", "project_id", project
	}
	patterns := p.Claims[name]
	if patterns == nil || slices.ContainsFunc(patterns, func(s string) bool { return strings.Contains(s, "*") }) {
		return []string{owner}
	}
	return []string{owner, one}
}

// Warnings returns remarks on a policy that lets more pass than may be meant.
func (p *Policy) Warnings() []string {
	list := []string{}
	if !p.asks("environment", "ref") {
		list = append(list, "neither environment nor ref is asked for: any branch of the repository gets a token")
	}
	if p.provider() == gitlab && !p.asks("ref_protected") {
		list = append(list, "ref_protected is not asked for: everybody who may push a branch gets a token")
	}
	if p.asks(subject) {
		list = append(list, "sub is used: its form varies, so prefer claims of their own")
	}
	return list
}

// text returns a claim as text; false if it is missing, null, a list or an object.
func text(claim any) (string, bool) {
	switch v := claim.(type) {
	case string:
		return v, true
	case bool:
		return fmt.Sprint(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// matches reports whether the claims of an ID token match a policy.
func (p *Policy) matches(claims map[string]any) bool {
	for claim, patterns := range p.Claims {
		value, ok := text(claims[claim])
		if !ok {
			return false
		}
		fold := claim == repository || claim == "environment"
		if fold {
			value = strings.ToLower(value)
		}
		if !slices.ContainsFunc(patterns, func(pattern string) bool {
			if fold {
				pattern = strings.ToLower(pattern)
			}
			return match(pattern, value)
		}) {
			return false
		}
	}
	return !p.foreign(claims) && p.keeps(claims)
}

// foreign reports whether a job runs for a change that others propose. A policy that
// names the claim takes such jobs.
func (p *Policy) foreign(claims map[string]any) bool {
	event, source := claims["event_name"], claims["pipeline_source"]
	return !p.asks("event_name") && (event == "pull_request" || event == "pull_request_target") ||
		!p.asks("pipeline_source") && source == "merge_request_event"
}

// keeps reports whether the claims have the values that are pinned. A pinned claim has
// to be in each token.
func (p *Policy) keeps(claims map[string]any) bool {
	for _, claim := range p.Pin {
		value, ok := text(claims[claim])
		if pinned, there := p.Pinned[claim]; !ok || there && pinned != value {
			return false
		}
	}
	return true
}

// pinning returns the policy with the values of its pinned claims, and whether one of
// them is new.
func (p *Policy) pinning(claims map[string]any) (Policy, bool) {
	next, changed := *p, false
	next.Pinned = maps.Clone(p.Pinned)
	for _, claim := range p.Pin {
		if _, there := p.Pinned[claim]; there {
			continue
		}
		if next.Pinned == nil {
			next.Pinned = map[string]string{}
		}
		next.Pinned[claim], _ = text(claims[claim])
		changed = true
	}
	return next, changed
}

// owner returns the owner of a short token.
func (p *Policy) owner(claims map[string]any) string {
	if p.Owner != "" {
		return p.Owner
	}
	for _, claim := range []string{repository, project, subject} {
		if value, ok := text(claims[claim]); ok {
			return p.Name + ":" + clip(value)
		}
	}
	return p.Name + ":"
}

// Limits of the claims that a token's row keeps, in bytes.
const (
	maxClaim     = 512
	maxClaimsSum = 2 << 10
)

func clip(s string) string {
	if len(s) > maxClaim {
		return strings.ToValidUTF8(s[:maxClaim], "")
	}
	return s
}

// recorded returns the claims that say where a job comes from. No claim with an e-mail
// address is among the defaults.
func (p *Policy) recorded(claims map[string]any) map[string]any {
	var list []string
	switch p.provider() {
	case github:
		list = []string{repository, "repository_id", "repository_owner_id", "ref", "sha", "workflow_ref", "job_workflow_ref", "environment", "event_name",
			"run_id", "run_attempt", "actor", "runner_environment"}
	case gitlab:
		list = []string{project, "project_id", "namespace_id", "ref", "ref_type", "ref_protected", "sha", "pipeline_id", "job_id", "pipeline_source",
			"environment", "ci_config_ref_uri", "user_login"}
	default:
		list = append([]string{subject}, slices.Sorted(maps.Keys(p.Claims))...)
	}
	kept, size := map[string]any{}, 0
	for _, claim := range list {
		value, ok := text(claims[claim])
		if value = Redact(clip(value)); !ok || size+len(claim)+len(value) > maxClaimsSum || strings.Contains(claim, "email") {
			continue
		}
		kept[claim], size = value, size+len(claim)+len(value)
	}
	return kept
}

func policyKey(name string) driver.Key { return driver.Key{Part: partPolicies, Sort: name} }

// put returns the operation that stores a policy.
func (p *Policy) put(version string) (driver.Op, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return driver.Op{}, err
	}
	if len(data) > maxRow {
		return driver.Op{}, badRequest("the policy's row has %d bytes, of at most %d", len(data), maxRow)
	}
	return driver.Op{Do: driver.OpPut, Key: policyKey(p.Name), If: version, Data: data}, nil
}
