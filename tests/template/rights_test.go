package template

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"aptless/localstack/host"
)

// read returns the template with values of parameters, and with names of its resources.
func read(t *testing.T, values map[string]string) *host.Template {
	t.Helper()
	tp, err := host.ReadTemplate(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Table": "table", "Table.Arn": "arn:aws:dynamodb:us-east-1:000000000000:table/table", "PrivateBucket": "private", "PublicBucket": "public", "DropBucket": "drop", "DropBucket.Arn": "arn:aws:s3:::drop",
		"DefaultQueue.Arn": "default", "PublishQueue.Arn": "publish", "SigningKey": "secret-signing", "PublicKey": "secret-public", "EdgeKeys.Arn": "edge",
	} {
		tp.Set(name, value)
	}
	for name, value := range values {
		tp.Set(name, value)
	}
	return tp
}

// allowed returns the functions that may make a call.
func allowed(t *testing.T, tp *host.Template, c host.Call) []string {
	t.Helper()
	var names []string
	for name, f := range tp.Functions {
		role, err := tp.Role(f)
		if err != nil {
			t.Fatal(err)
		}
		if host.Allowed(role, "", c) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestRights holds the functions that may make a call. A function that parses files of
// clients and archives has no right to sign, to delete package files or to publish.
func TestRights(t *testing.T) {
	parameters, secrets := read(t, map[string]string{"PrivateDownloads": "yes"}), read(t, map[string]string{"Keys": "SECRETS"})
	kms := read(t, map[string]string{"Keys": "SECRETS", "SigningKmsKeys": "kms-1,kms-2", "StorageArns": "arn:aws:s3:::b,arn:aws:s3:::b/*", "StorageSecretArns": "storage-secret"})
	existing := read(t, map[string]string{"ExistingTable": "old", "ExistingPrivateBucket": "old-private", "ExistingPublicBucket": "old-public"})
	const key = "arn:aws:ssm:us-east-1:000000000000:parameter/aptless/"
	all := []string{"ApiFunction", "PublishFunction", "ScheduleFunction", "WorkerFunction"}
	for _, c := range []struct {
		template         *host.Template
		action, resource string
		want             []string
	}{
		{parameters, "ssm:GetParameter", key + "signing-key", []string{"PublishFunction"}},
		{parameters, "ssm:GetParameter", key + "public-key", all},
		{parameters, "ssm:GetParameter", key + "other", nil},
		{secrets, "secretsmanager:GetSecretValue", "secret-signing", []string{"PublishFunction"}},
		{secrets, "secretsmanager:GetSecretValue", "secret-public", all},
		{secrets, "ssm:GetParameter", key + "signing-key", nil},
		{kms, "secretsmanager:GetSecretValue", "secret-signing", nil},
		{kms, "kms:Sign", "kms-2", []string{"PublishFunction"}},
		{kms, "s3:PutObject", "arn:aws:s3:::b/x", []string{"PublishFunction"}},
		{kms, "secretsmanager:GetSecretValue", "storage-secret", []string{"PublishFunction"}},
		{parameters, "kms:Sign", "kms-2", nil},
		{parameters, "s3:DeleteObject", "arn:aws:s3:::private/pool/ab/abcd", []string{"PublishFunction"}},
		{parameters, "s3:DeleteObject", "arn:aws:s3:::private/chunks/x", []string{"PublishFunction"}},
		{parameters, "s3:PutObject", "arn:aws:s3:::private/pool/ab/abcd", []string{"PublishFunction", "WorkerFunction"}},
		{parameters, "s3:PutObject", "arn:aws:s3:::public/dists/x", []string{"PublishFunction"}},
		{parameters, "s3:DeleteObject", "arn:aws:s3:::public/dists/x", []string{"PublishFunction"}},
		{parameters, "cloudfront-keyvaluestore:UpdateKeys", "edge", []string{"ApiFunction", "ScheduleFunction"}},
		{secrets, "cloudfront-keyvaluestore:UpdateKeys", "edge", nil},
		{parameters, "sqs:ReceiveMessage", "default", []string{"WorkerFunction"}},
		{parameters, "sqs:ReceiveMessage", "publish", []string{"PublishFunction"}},
		{parameters, "sqs:SendMessage", "default", all},
		{parameters, "s3:GetObject", "arn:aws:s3:::drop/drop/r/x_1_all.deb", []string{"PublishFunction", "WorkerFunction"}},
		{parameters, "s3:DeleteObject", "arn:aws:s3:::drop/drop/r/x_1_all.deb", []string{"PublishFunction", "WorkerFunction"}},
		{parameters, "s3:PutObject", "arn:aws:s3:::private/answers/x", []string{"ApiFunction", "PublishFunction", "WorkerFunction"}},
		{parameters, "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:000000000000:table/table", all},
		{parameters, "dynamodb:DeleteTable", "arn:aws:dynamodb:us-east-1:000000000000:table/table", nil},
		{existing, "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:000000000000:table/old", all},
		{existing, "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:000000000000:table/table", nil},
		{existing, "s3:GetObject", "arn:aws:s3:::old-private/pool/ab/abcd", all},
		{existing, "s3:PutObject", "arn:aws:s3:::old-public/dists/x", []string{"PublishFunction"}},
		{existing, "s3:GetObject", "arn:aws:s3:::private/pool/ab/abcd", nil},
	} {
		if got := allowed(t, c.template, host.Call{Action: c.action, Resource: c.resource}); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: %v, want %v", c.action, c.resource, got, c.want)
		}
	}
	for name, f := range functions(t) {
		if text(&f.Properties, "Role") != "" {
			t.Errorf("%s shares a role", name)
		}
		for _, event := range entries(at(&f.Properties, "Events")) {
			if text(event, "Type") == "SQS" {
				t.Errorf("SAM gives %s the messages of all queues of the account", name)
			}
		}
	}
}

// TestBucketsRefuse holds the refusals for every principal: connections without TLS, and a
// second object of an immutable name.
func TestBucketsRefuse(t *testing.T) {
	policies, err := read(t, nil).BucketPolicies()
	if err != nil {
		t.Fatal(err)
	}
	all := append(policies, host.Statement{Actions: []string{"s3:*"}, Resources: []string{"*"}})
	plain := map[string]string{"aws:SecureTransport": "false", "s3:if-none-match": "*", "s3:ObjectCreationOperation": "true"}
	creation := map[string]string{"aws:SecureTransport": "true", "s3:ObjectCreationOperation": "true"}
	part := map[string]string{"aws:SecureTransport": "true", "s3:ObjectCreationOperation": "false"}
	once := maps.Clone(creation)
	once["s3:if-none-match"] = "*"
	for _, c := range []struct {
		action, resource string
		values           map[string]string
		want             bool
	}{
		{"s3:GetObject", "arn:aws:s3:::private/chunks/x", plain, false}, {"s3:GetObject", "arn:aws:s3:::public/x", plain, false},
		{"s3:ListBucket", "arn:aws:s3:::public", plain, false},
		{"s3:PutObject", "arn:aws:s3:::private/pool/ab/abcd", creation, false}, {"s3:PutObject", "arn:aws:s3:::private/pool/ab/abcd", once, true},
		{"s3:PutObject", "arn:aws:s3:::private/pool/ab/abcd", part, true}, {"s3:PutObject", "arn:aws:s3:::private/tasks/1", creation, true},
		{"s3:PutObject", "arn:aws:s3:::public/dists/stable/InRelease", creation, true},
		{"s3:PutObject", "arn:aws:s3:::public/dists/stable/main/binary-amd64/by-hash/SHA256/ab", creation, true}, // a repair replaces it
	} {
		if got := host.Allowed(all, "", host.Call{Action: c.action, Resource: c.resource, Values: c.values}); got != c.want {
			t.Errorf("%s of %s with %v: %v", c.action, c.resource, c.values, got)
		}
	}
}

// TestQueues holds that every queue is FIFO, has the dead-letter queue, and feeds exactly one
// function. Each class of work reaches a queue whose function has the rights for it.
func TestQueues(t *testing.T) {
	all := parse(t)
	readers, dead := map[string]int{}, map[string]bool{}
	for name := range functions(t) {
		if event := task(t, name); event != nil {
			readers[strings.TrimSuffix(text(event, "EventSourceArn"), ".Arn")]++
		}
	}
	for _, r := range all {
		if to := text(&r.Properties, "RedrivePolicy", "deadLetterTargetArn"); r.Type == "AWS::SQS::Queue" && to != "" {
			dead[strings.TrimSuffix(to, ".Arn")] = true
		}
	}
	queues := 0
	for name, r := range all {
		if r.Type != "AWS::SQS::Queue" {
			continue
		}
		queues++
		want := 1
		if dead[name] {
			want = 0
		} else if text(&r.Properties, "RedrivePolicy", "maxReceiveCount") == "" ||
			text(&r.Properties, "DeduplicationScope") != "messageGroup" || text(&r.Properties, "FifoThroughputLimit") != "perMessageGroupId" {
			t.Errorf("%s has no dead-letter queue, or no order for each message group", name)
		}
		if text(&r.Properties, "FifoQueue") != "true" || readers[name] != want {
			t.Errorf("%s: FIFO %q, %d readers", name, text(&r.Properties, "FifoQueue"), readers[name])
		}
	}
	if queues != 3 || len(dead) != 1 {
		t.Errorf("%d queues, %d of them for dead letters: each polled queue costs 0.32 dollars a month", queues, len(dead))
	}
}

// TestAlarms holds that alarms exist only with a topic, and the metrics they watch.
func TestAlarms(t *testing.T) {
	watched := map[string]bool{}
	for name, r := range parse(t) {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		if r.Condition != "HasTopic" || !slices.Equal(list(at(&r.Properties, "AlarmActions")), []string{"AlarmTopic"}) {
			t.Errorf("%s tells nobody", name)
		}
		watched[text(&r.Properties, "MetricName")] = true
	}
	want := []string{"5xx", "ApproximateNumberOfMessagesVisible", "Failures", "Invocations", "WriteThrottleEvents"}
	if got := slices.Sorted(maps.Keys(watched)); !slices.Equal(got, want) {
		t.Errorf("alarms of %q, want %q", got, want)
	}
}
