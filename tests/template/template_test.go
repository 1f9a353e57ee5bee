package template

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"aptless/infra/aws/lambda"
)

// TestCode holds that every program of functions except aptless is the code of a Lambda
// function.
func TestCode(t *testing.T) {
	run := map[string]bool{}
	for _, f := range functions(t) {
		run[text(&f.Properties, "CodeUri")] = true
	}
	folders, err := os.ReadDir("../../functions")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folders {
		if _, err := os.Stat("../../functions/" + d.Name() + "/main.go"); err != nil {
			continue // the folder has no program
		}
		if d.Name() != "aptless" && !run["dist/"+d.Name()+"/"] {
			t.Errorf("no function of the template runs functions/%s", d.Name())
		}
	}
}

// TestTimes holds the relations of times that keep a message from a second worker while
// the first one works.
func TestTimes(t *testing.T) {
	all, fed := parse(t), 0
	for name, f := range functions(t) {
		timeout := seconds(t, &f.Properties, "Timeout")
		event := task(t, name)
		if event == nil {
			continue
		}
		fed++
		queue := strings.TrimSuffix(text(event, "EventSourceArn"), ".Arn")
		q := all[queue]
		if q.Type != "AWS::SQS::Queue" {
			t.Fatalf("%s is fed by %q", name, queue)
		}
		// The queue's visibility applies until a worker hides its message, its first action. A
		// worker that dies before blocks its group for this time.
		if visibility := seconds(t, &q.Properties, "VisibilityTimeout"); visibility < timeout+time.Minute || visibility > 2*timeout {
			t.Errorf("%s may take %v, and its messages come again after %v", name, timeout, visibility)
		}
		if lambda.Hidden >= timeout {
			t.Errorf("%s takes %v at most and hides its message for %v at a time", name, timeout, lambda.Hidden)
		}
		if text(event, "BatchSize") != "1" || !slices.Contains(list(at(event, "FunctionResponseTypes")), "ReportBatchItemFailures") {
			t.Errorf("%s takes %s messages at a time, or cannot refuse one", name, text(event, "BatchSize"))
		}
	}
	if fed == 0 {
		t.Error("no function is fed by a queue")
	}
	if api := functions(t)["ApiFunction"]; seconds(t, &api.Properties, "Timeout") >= 30*time.Second {
		t.Error("the API may take longer than API Gateway waits for it")
	}
}

// TestPolicies holds that no statement allows everything, unless a comment in it has the
// reason.
func TestPolicies(t *testing.T) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if at(n, "Effect") != nil {
			seen++
			explained := slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.HeadComment != "" })
			for _, name := range []string{"Resource", "Action", "Principal"} {
				for _, value := range list(at(n, name)) {
					if (value == "*" || strings.HasSuffix(value, ":*")) && !explained {
						t.Errorf("line %d: %s %q without a reason", n.Line, name, value)
					}
				}
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	if seen < 20 {
		t.Errorf("%d statements were seen", seen)
	}
}

// TestKept holds the resources that a deleted or replaced stack leaves. The buckets are
// read only through CloudFront.
func TestKept(t *testing.T) {
	buckets := 0
	for name, r := range parse(t) {
		kept := slices.Contains([]string{"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}, r.Type)
		if kept && (r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain") {
			t.Errorf("%s goes with the stack", name)
		}
		if r.Type == "AWS::DynamoDB::Table" && (text(&r.Properties, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != "true" ||
			text(&r.Properties, "DeletionProtectionEnabled") != "true") {
			t.Errorf("%s can be deleted, or cannot be restored", name)
		}
		if r.Type != "AWS::S3::Bucket" {
			continue
		}
		buckets++
		for _, p := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if text(&r.Properties, "PublicAccessBlockConfiguration", p) != "true" {
				t.Errorf("%s: %s", name, p)
			}
		}
		rules := at(&r.Properties, "LifecycleConfiguration", "Rules")
		if rules == nil || !slices.ContainsFunc(rules.Content, func(n *yaml.Node) bool { return at(n, "AbortIncompleteMultipartUpload") != nil }) {
			t.Errorf("%s keeps the parts of uploads that were given up", name)
		}
	}
	if buckets != 3 {
		t.Errorf("%d buckets", buckets)
	}
}

// TestEdge holds that the template has the code of infra/edge, and runs the code's tests.
func TestEdge(t *testing.T) {
	const dir = "../../infra/edge/"
	shared := map[string]bool{}
	for name, code := range map[string]string{"Authentication": "auth.js", "PackageFiles": "pool.js", "PlusSigns": "plus.js"} {
		want, err := os.ReadFile(dir + code)
		if err != nil {
			t.Fatal(err)
		}
		f := parse(t)[name]
		if got := text(&f.Properties, "FunctionCode"); got != string(want) {
			t.Errorf("the code of %s is not infra/edge/%s", name, code)
		}
		if len(want) > 10<<10 {
			t.Errorf("%d bytes of code: CloudFront takes 10 KB", len(want))
		}
		if code == "plus.js" {
			continue
		}
		_, rest, _ := strings.Cut(string(want), "\nconst missing = ")
		both, _, found := strings.Cut(rest, "\n  return request;\n}\n")
		if !found {
			t.Errorf("%s has no function blob", code)
		}
		shared[both] = true
	}
	if len(shared) != 1 {
		t.Error("auth.js and pool.js find package files each in its own way")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the code of infra/edge is not run")
	}
	for _, test := range []string{"auth.test.mjs", "pool.test.mjs", "plus.test.mjs"} {
		if out, err := exec.Command(node, dir+test).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestLint runs cfn-lint on the template; `make tools` installs it.
func TestLint(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lint := filepath.Join(cache, "aptless", "cfn-lint", "bin", "cfn-lint")
	if _, err := os.Stat(lint); err != nil {
		t.Skip("cfn-lint is not installed: make tools")
	}
	if out, err := exec.Command(lint, file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCallersOfTheAPI holds that the template trusts no issuer of tokens. The function asks
// for tokens of its own, or API Gateway asks for AWS credentials.
func TestCallersOfTheAPI(t *testing.T) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Parameters yaml.Node `yaml:"Parameters"`
		Resources  yaml.Node `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if p := at(&doc.Parameters, "Authorizer"); text(p, "Default") != "TOKENS" || !slices.Equal(list(at(p, "AllowedValues")), []string{"TOKENS", "IAM"}) {
		t.Errorf("Authorizer is %s, of %q", text(p, "Default"), list(at(p, "AllowedValues")))
	}
	routes := 0
	for i := 0; i+1 < len(doc.Resources.Content); i += 2 {
		name, r := doc.Resources.Content[i].Value, doc.Resources.Content[i+1]
		switch text(r, "Type") {
		case "AWS::ApiGatewayV2::Authorizer":
			t.Errorf("%s is an authorizer", name)
		case "AWS::ApiGatewayV2::Route":
			routes++
			got, key := at(r, "Properties", "AuthorizationType"), text(r, "Properties", "RouteKey")
			pages := (key == "GET /{path+}" || key == "HEAD /{path+}") && got.Value == "NONE" // the function refuses paths of the API
			if !pages && (key != "ANY /api/{path+}" || !slices.Equal(list(got), []string{"UseIam", "AWS_IAM", "NONE"})) {
				t.Errorf("%s has the type %q", name, list(got))
			}
		}
	}
	if routes != 3 {
		t.Errorf("%d routes", routes)
	}
}

// TestStacksBesideEachOther: names of CloudFront are unique in an account, across its
// regions. So they contain the names of stack and region.
func TestStacksBesideEachOther(t *testing.T) {
	global := []string{"AWS::CloudFront::CachePolicy", "AWS::CloudFront::ResponseHeadersPolicy", "AWS::CloudFront::Function", "AWS::CloudFront::KeyValueStore", "AWS::CloudFront::OriginAccessControl"}
	seen := map[string]string{}
	for name, r := range parse(t) {
		var names []string
		walk(&r.Properties, func(key string, value *yaml.Node) {
			if (key == "Name" || strings.HasSuffix(key, "Name")) && value.Tag == "!Sub" {
				names = append(names, value.Value)
			}
		})
		if slices.Contains(global, r.Type) {
			if len(names) != 1 || !strings.HasPrefix(names[0], "${AWS::StackName}-${AWS::Region}") {
				t.Errorf("%s has the name %q in all regions", name, names)
			} else if other := seen[names[0]]; other != "" {
				t.Errorf("%s and %s have one name", name, other)
			} else {
				seen[names[0]] = name
			}
		}
		switch r.Type {
		case "AWS::Serverless::Function":
			for _, event := range entries(at(&r.Properties, "Events")) {
				if text(event, "Type") == "ScheduleV2" && text(event, "Properties", "OmitName") != "true" {
					t.Errorf("%s has a schedule with the same name in every stack", name)
				}
			}
		case "AWS::SQS::Queue":
			if text(&r.Properties, "QueueName") != "" {
				t.Errorf("%s has a fixed name", name)
			}
		case "AWS::S3::Bucket", "AWS::DynamoDB::Table":
			if text(&r.Properties, "BucketName")+text(&r.Properties, "TableName") != "" {
				t.Errorf("%s has a fixed name", name)
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("%d names", len(seen))
	}
}

// walk calls f for each entry of all mappings of a node.
func walk(n *yaml.Node, f func(key string, value *yaml.Node)) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			f(c.Value, n.Content[i+1])
		}
		walk(c, f)
	}
}

// entries returns the values of a mapping.
func entries(n *yaml.Node) []*yaml.Node {
	var found []*yaml.Node
	if n != nil {
		for i := 1; i < len(n.Content); i += 2 {
			found = append(found, n.Content[i])
		}
	}
	return found
}

// TestDeployNeedsGoAndSamOnly: no program of Debian.
func TestDeployNeedsGoAndSamOnly(t *testing.T) {
	data, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^deploy:([^#\n]*)`).FindSubmatch(data)
	if found == nil || strings.TrimSpace(string(found[1])) != "functions" {
		t.Errorf("deploy needs %q", found)
	}
}
