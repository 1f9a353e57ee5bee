package template

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"aptless/localstack/host"
)

// matches reports whether CloudFront applies a path pattern to a path. Neither has a leading
// slash, and * is any text.
func matches(pattern, path string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), `\*`)
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(strings.TrimPrefix(path, "/"))
}

// TestOrigins holds the origin of each path in CloudFront. From the private bucket only
// package files may be read.
func TestOrigins(t *testing.T) {
	all := parse(t)
	r := all["Cdn"]
	config := at(&r.Properties, "DistributionConfig")
	buckets := map[string]string{}
	for _, o := range at(config, "Origins").Content {
		name := at(o, "DomainName")
		if buckets[text(o, "Id")] = name.Value; name.Kind == yaml.SequenceNode {
			buckets[text(o, "Id")] = at(name.Content[1], "Bucket").Content[1].Value
		}
		if text(o, "OriginAccessControlId") == "" && text(o, "Id") != "api" {
			t.Errorf("line %d: an origin that anybody may read", o.Line)
		}
	}
	digest := strings.Repeat("ab", 32)
	for path, want := range map[string]string{
		"/pool/sha256/ab/" + digest + "/x_1_all.deb": "PrivateBucket", "/team/x/pool/sha256/ab/" + digest + "/x_1_all.deb": "PrivateBucket",
		"/pool/source/" + digest + "/x_1.dsc": "PublicBucket", "/pool/main/x/x/x_1_all.deb": "PublicBucket", "/team/pool/main/x/x/x_1_all.deb": "PublicBucket",
		"/dists/stable/InRelease": "PublicBucket", "/dists/stable/main/binary-amd64/by-hash/SHA256/" + digest: "PublicBucket", "/pool/ab/" + digest: "PublicBucket",
		"/key.asc": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}", "/team/aptless.sources": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}",
		"/snapshots/20260101T000000Z/dists/stable/InRelease": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}", "/docs/doc.json": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}",
		"/": "PublicBucket", "/-/search": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}", "/team/dists/": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}", "/index.html": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}", "/tasks/1": "PublicBucket", "/xpool/sha256/ab/x": "PublicBucket",
	} {
		behaviour := at(config, "DefaultCacheBehavior")
		for _, b := range slices.Backward(at(config, "CacheBehaviors").Content) {
			if matches(text(b, "PathPattern"), path) {
				behaviour = b
			}
		}
		if got := buckets[text(behaviour, "TargetOriginId")]; got != want {
			t.Errorf("%s is read from %s, and not from %s", path, got, want)
		}
		kept := strings.HasSuffix(path, ".deb") || strings.Contains(path, digest)
		if text(config, "DefaultRootObject") == "" {
			t.Error("the root of the distribution lists the bucket")
		}
		if got := text(behaviour, "CachePolicyId"); kept != (got == "ImmutableNames") {
			t.Errorf("%s is cached by %s", path, got)
		}
	}
	for _, b := range at(config, "CacheBehaviors").Content {
		if buckets[text(b, "TargetOriginId")] != "PrivateBucket" {
			continue
		}
		var functions []string
		for _, f := range at(b, "FunctionAssociations").Content {
			functions = append(functions, list(at(f, "FunctionARN"))...)
		}
		if !slices.Equal(functions, []string{"UsePrivate", "Authentication.FunctionARN", "PackageFiles.FunctionARN"}) {
			t.Errorf("%s is read through %v", text(b, "PathPattern"), functions)
		}
	}
	policies, err := read(t, nil).BucketPolicies()
	if err != nil {
		t.Fatal(err)
	}
	cdn := map[string]string{"aws:SecureTransport": "true", "AWS:SourceArn": "arn:aws:cloudfront::000000000000:distribution/EDISTRIBUTION"}
	other := map[string]string{"aws:SecureTransport": "true", "AWS:SourceArn": "arn:aws:cloudfront::000000000000:distribution/EOTHER"}
	for _, c := range []struct {
		action, resource string
		values           map[string]string
		want             bool
	}{
		{"s3:GetObject", "arn:aws:s3:::private/pool/ab/abcd", cdn, true},
		{"s3:GetObject", "arn:aws:s3:::private/pool/ab/abcd", other, false},
		{"s3:GetObject", "arn:aws:s3:::private/chunks/ab", cdn, false},
		{"s3:ListBucket", "arn:aws:s3:::private", cdn, false},
		{"s3:GetObject", "arn:aws:s3:::public/dists/stable/InRelease", cdn, true},
		{"s3:GetObject", "arn:aws:s3:::public/dists/stable/InRelease", other, false},
		{"s3:ListBucket", "arn:aws:s3:::public", cdn, true},
		{"s3:PutObject", "arn:aws:s3:::public/x", cdn, false},
	} {
		if got := host.Allowed(policies, "cloudfront.amazonaws.com", host.Call{Action: c.action, Resource: c.resource, Values: c.values}); got != c.want {
			t.Errorf("CloudFront may %s of %s: %v", c.action, c.resource, got)
		}
	}
}

// TestEachPathPassesItsFunction: every behaviour asks for tokens where prefixes are private,
// and otherwise writes plus signs as S3 reads them. Private files are for no shared cache.
func TestEachPathPassesItsFunction(t *testing.T) {
	all := parse(t)
	cdn := all["Cdn"]
	config := at(&cdn.Properties, "DistributionConfig")
	behaviours := append([]*yaml.Node{at(config, "DefaultCacheBehavior")}, at(config, "CacheBehaviors").Content...)
	for _, b := range behaviours {
		open := "PlusSigns.FunctionARN"
		if text(b, "TargetOriginId") == "packages" {
			open = "PackageFiles.FunctionARN"
		}
		functions := at(b, "FunctionAssociations")
		if functions == nil || len(functions.Content) != 1 || text(functions.Content[0], "EventType") != "viewer-request" ||
			!slices.Equal(list(at(functions.Content[0], "FunctionARN")), []string{"UsePrivate", "Authentication.FunctionARN", open}) {
			t.Errorf("line %d: the behaviour of %q has other functions", b.Line, text(b, "PathPattern"))
		}
		if got := list(at(b, "ResponseHeadersPolicyId")); !slices.Equal(got, []string{"UsePrivate", "PrivateHeaders", "Headers"}) {
			t.Errorf("line %d: headers of %q", b.Line, got)
		}
		if got := list(at(b, "ViewerProtocolPolicy")); !slices.Equal(got, []string{"UsePrivate", "https-only", "allow-all"}) {
			t.Errorf("line %d: tokens go by %q", b.Line, got)
		}
	}
	policy := all["PrivateHeaders"]
	items := at(&policy.Properties, "ResponseHeadersPolicyConfig", "CustomHeadersConfig", "Items")
	if items == nil || text(items.Content[0], "Header") != "Cache-Control" || text(items.Content[0], "Value") != "private" || text(items.Content[0], "Override") != "true" {
		t.Error("private files may be kept by shared caches")
	}
}

// TestHTTPSIsForTheOwnNameOnly: Strict-Transport-Security (RFC 6797) is harmless for names
// that also answer HTTP. It binds no other name of a domain, and is on no list of browsers.
// Each path that answers HTTP answers HTTPS, too.
func TestHTTPSIsForTheOwnNameOnly(t *testing.T) {
	all, policies := parse(t), 0
	for name, r := range all {
		if r.Type != "AWS::CloudFront::ResponseHeadersPolicy" {
			continue
		}
		sts := at(&r.Properties, "ResponseHeadersPolicyConfig", "SecurityHeadersConfig", "StrictTransportSecurity")
		if sts == nil || text(sts, "AccessControlMaxAgeSec") == "" {
			t.Errorf("%s does not ask for HTTPS", name)
			continue
		}
		policies++
		for _, field := range []string{"IncludeSubdomains", "Preload"} {
			if value := text(sts, field); value != "" && value != "false" {
				t.Errorf("%s binds other names: %s: %s", name, field, value)
			}
		}
	}
	if policies < 2 {
		t.Errorf("%d policies", policies)
	}
	cdn := all["Cdn"]
	config := at(&cdn.Properties, "DistributionConfig")
	for _, b := range append([]*yaml.Node{at(config, "DefaultCacheBehavior")}, at(config, "CacheBehaviors").Content...) {
		for _, value := range list(at(b, "ViewerProtocolPolicy"))[1:] {
			if value != "https-only" && value != "allow-all" {
				t.Errorf("line %d: %s", b.Line, value)
			}
		}
	}
}

// TestStoreComesBeforeItsFunction: CloudFormation makes the store of tokens before the
// function that reads it, as GetAtt orders them, and makes both or neither.
func TestStoreComesBeforeItsFunction(t *testing.T) {
	all, found := parse(t), 0
	for name, r := range all {
		if r.Type != "AWS::CloudFront::Function" {
			continue
		}
		stores := at(&r.Properties, "FunctionConfig", "KeyValueStoreAssociations")
		if stores == nil {
			continue
		}
		for _, s := range stores.Content {
			arn := at(s, "KeyValueStoreARN")
			store, attribute, _ := strings.Cut(arn.Value, ".")
			other := all[store]
			if arn.Tag != "!GetAtt" || attribute != "Arn" || other.Type != "AWS::CloudFront::KeyValueStore" || other.Condition != r.Condition {
				t.Errorf("%s reads the store %s %s", name, arn.Tag, arn.Value)
			}
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d stores", found)
	}
}
