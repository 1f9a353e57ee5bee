package template

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// translated returns the template as SAM translates it for CloudFormation. "make
// tools" installs the translator.
func translated(t *testing.T) map[string]map[string]any {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(cache, "aptless", "sam-translator", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("the translator of SAM is not installed: make tools")
	}
	cmd := exec.Command(python, "translate.py", file)
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=us-east-1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var doc struct{ Resources map[string]map[string]any }
	if err := json.Unmarshal(out, &doc); err != nil || len(doc.Resources) < 40 {
		t.Fatalf("%d resources, %v", len(doc.Resources), err)
	}
	return doc.Resources
}

// identities are the properties that name a resource on AWS, by type. A type without one
// gets a name of CloudFormation, or its name is in the API's.
var identities = map[string][]string{
	"AWS::Lambda::Function": {"FunctionName"}, "AWS::IAM::Role": {"RoleName"}, "AWS::SQS::Queue": {"QueueName"}, "AWS::DynamoDB::Table": {"TableName"},
	"AWS::S3::Bucket": {"BucketName"}, "AWS::Scheduler::Schedule": {"Name"}, "AWS::Logs::LogGroup": {"LogGroupName"}, "AWS::SecretsManager::Secret": {"Name"},
	"AWS::CloudWatch::Alarm": {"AlarmName"}, "AWS::CloudWatch::Dashboard": {"DashboardName"}, "AWS::CloudFront::CachePolicy": {"CachePolicyConfig", "Name"},
	"AWS::CloudFront::ResponseHeadersPolicy": {"ResponseHeadersPolicyConfig", "Name"}, "AWS::CloudFront::OriginAccessControl": {"OriginAccessControlConfig", "Name"},
	"AWS::CloudFront::Function": {"Name"}, "AWS::CloudFront::KeyValueStore": {"Name"}, "AWS::ApiGatewayV2::Api": {"Name"}, "AWS::IAM::Policy": {"PolicyName"},
}

// TestTranslatedStacksHaveNoCommonName: of two stacks, or of one stack name in two regions, no
// resource has the name of another one of its type. The names are those after the translation.
func TestTranslatedStacksHaveNoCommonName(t *testing.T) {
	resources := translated(t)
	global := []string{"AWS::CloudFront", "AWS::IAM"} // one namespace for all regions
	seen := map[string]string{}
	for _, stack := range []struct{ name, region string }{{"staging", "us-east-1"}, {"prod", "us-east-1"}, {"prod", "eu-central-1"}} {
		for _, id := range slices.Sorted(maps.Keys(resources)) {
			r := resources[id]
			kind, _ := r["Type"].(string)
			var value any = r["Properties"]
			for _, step := range identities[kind] {
				properties, _ := value.(map[string]any)
				value = properties[step]
			}
			if value == nil || identities[kind] == nil {
				continue
			}
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.NewReplacer("${AWS::StackName}", stack.name, "${AWS::Region}", stack.region, `{"Ref":"AWS::StackName"}`, stack.name).Replace(string(data))
			place := stack.region
			if slices.ContainsFunc(global, func(g string) bool { return strings.HasPrefix(kind, g) }) {
				place = ""
			}
			key, own := kind+" "+name+" "+place, id+" of "+stack.name+" in "+stack.region
			if other := seen[key]; other != "" {
				t.Errorf("%s and %s have the name %s", own, other, name)
			}
			seen[key] = own
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d names", len(seen))
	}
}
