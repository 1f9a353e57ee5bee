package template

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// document returns the sections of the template.
func document(t *testing.T) *yaml.Node {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

// TestRetention holds how long the private bucket keeps former versions. Most are kept as
// long as the table can be restored, but uploads and outputs of tasks for a day only.
func TestRetention(t *testing.T) {
	bucket := parse(t)["PrivateBucket"]
	days := map[string]string{}
	for _, rule := range at(&bucket.Properties, "LifecycleConfiguration", "Rules").Content {
		if n := text(rule, "NoncurrentVersionExpiration", "NoncurrentDays"); n != "" && text(rule, "Status") == "Enabled" {
			days[text(rule, "Prefix")] = n
		}
	}
	general := days[""]
	delete(days, "")
	if general != "30" || days["incoming/"] != "1" || days["tasks/"] != "1" || slices.ContainsFunc(slices.Collect(maps.Values(days)), func(n string) bool { return n != "1" }) {
		t.Errorf("days of former versions: %s, by prefix: %v", general, days)
	}
	schedule := functions(t)["ScheduleFunction"]
	if at(&schedule.Properties, "Environment", "Variables", "APTLESS_CLEANUP_EVERY").Value != "CleanupEvery" || text(document(t), "Parameters", "CleanupEvery", "Default") == "0s" {
		t.Error("the collector is not begun by itself")
	}
}

// TestSmallAccounts holds that an operator can bound the API's share of the quota of
// concurrent executions, and that waiting calls are cheap.
func TestSmallAccounts(t *testing.T) {
	api := functions(t)["ApiFunction"]
	if got := list(at(&api.Properties, "ReservedConcurrentExecutions")); !slices.Equal(got, []string{"HasApiConcurrency", "ApiConcurrency", "AWS::NoValue"}) {
		t.Errorf("reserved: %q", got)
	}
	if got := text(document(t), "Parameters", "ApiMemory", "Default"); got != "512" {
		t.Errorf("the API waits with %s MB", got)
	}
	for name, want := range map[string]string{"DefaultMessages": "WorkerConcurrency", "PublishMessages": "PublishConcurrency"} {
		r := parse(t)[name]
		if got := text(&r.Properties, "ScalingConfig", "MaximumConcurrency"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestCallersAreLogged: the access log has the caller of a call with AWS credentials. The
// audit log of the function has the token.
func TestCallersAreLogged(t *testing.T) {
	stage := parse(t)["Stage"]
	var line map[string]string
	if err := json.Unmarshal([]byte(text(&stage.Properties, "AccessLogSettings", "Format")), &line); err != nil || line["caller"] != "$context.identity.userArn" || line["error"] == "" {
		t.Errorf("%v, %v", line, err)
	}
}

// TestOwnNames holds the names that clients see: those of CloudFront and API Gateway, own
// ones, and the address in front of another proxy.
func TestOwnNames(t *testing.T) {
	own := map[string]string{"Domain": "deb.example.org", "Certificate": "arn:c", "ApiDomain": "api.example.org", "ApiCertificate": "arn:a", "Suite": "bookworm"}
	for _, c := range []struct {
		values             map[string]string
		api, tree, sources string
	}{
		{nil, "https://api.execute-api", "https://d111111abcdef8.cloudfront.net", "URIs: https://d111111abcdef8.cloudfront.net/\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyrings/aptless.asc\n"},
		{own, "https://api.example.org", "https://deb.example.org", "Types: deb\nURIs: https://deb.example.org/\nSuites: bookworm\n"},
		{map[string]string{"Address": "http://mirror.example.org/debian"}, "https://api.execute-api", "http://mirror.example.org/debian", "URIs: http://mirror.example.org/debian/\n"},
	} {
		tp := read(t, c.values)
		tp.Set("Api.ApiEndpoint", "https://api.execute-api")
		for name, want := range map[string]string{"ApiUrl": c.api, "RepositoryUrl": c.tree, "Sources": c.sources, "KeyCommand": c.tree + "/key.asc"} {
			got, err := tp.Output(name)
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("%v: %s is %q, %v, want %q", c.values, name, got, err, want)
			}
		}
	}
	for name, conditions := range map[string][2]string{"DomainHasCertificate": {"Domain", "Certificate"}, "ApiDomainHasCertificate": {"ApiDomain", "ApiCertificate"}} {
		rule := at(document(t), "Rules", name)
		if rule == nil || !strings.HasPrefix(text(rule.Content[3].Content[0], "AssertDescription"), conditions[0]+" needs "+conditions[1]) {
			t.Errorf("%s: a name without its certificate is taken", name)
		}
	}
	cdn, all := parse(t)["Cdn"], parse(t)
	if got := list(at(&cdn.Properties, "DistributionConfig", "Aliases")); got[0] != "HasDomain" {
		t.Errorf("aliases: %q", got)
	}
	for _, name := range []string{"DomainRecordA", "DomainRecordAAAA", "ApiRecord"} {
		if r := all[name]; r.Type != "AWS::Route53::RecordSet" || !strings.HasSuffix(r.Condition, "Record") {
			t.Errorf("%s is %s with %q", name, r.Type, r.Condition)
		}
	}
}

// TestDashboard holds that the dashboard is JSON, exists on demand only, and shows
// publications, failures, the age of tasks, throttles and the drivers of cost.
func TestDashboard(t *testing.T) {
	r := parse(t)["Overview"]
	body := at(&r.Properties, "DashboardBody")
	if r.Condition != "HasDashboard" || text(document(t), "Parameters", "Dashboard", "Default") != "no" {
		t.Error("a dashboard costs 3 dollars a month without demand")
	}
	plain := regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(body.Content[0].Value, "x")
	var shown struct {
		Widgets []struct{ Properties struct{ Title string } }
	}
	if err := json.Unmarshal([]byte(plain), &shown); err != nil || len(shown.Widgets) < 10 {
		t.Fatalf("%d widgets, %v", len(shown.Widgets), err)
	}
	for _, part := range []string{"task (succeeded|failed", "task failed", "ApproximateAgeOfOldestMessage", "Throttles", "WriteThrottleEvents", "Duration", "ConsumedWriteCapacityUnits", "BucketSizeBytes", "BytesDownloaded"} {
		if !strings.Contains(plain, part) {
			t.Errorf("the dashboard does not show %s", part)
		}
	}
}
