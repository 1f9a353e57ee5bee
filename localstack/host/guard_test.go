package host

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestGuard holds the calls that a role needs for a request, of each protocol. A request
// passes with all of them, and with all but one it does not.
func TestGuard(t *testing.T) {
	passed := 0
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed++ }))
	defer service.Close()
	const table, queue = "arn:aws:dynamodb:us-east-1:000000000000:table/t", "arn:aws:sqs:q"
	type header = map[string]string
	for name, c := range map[string]struct {
		method, path, body string
		header             header
		want               []Call
	}{
		"get row": {"POST", "/", `{"TableName":"t"}`, header{"X-Amz-Target": "DynamoDB_20120810.GetItem"}, []Call{{"dynamodb:GetItem", table, nil}}},
		"transaction": {"POST", "/", `{"TransactItems":[{"Put":{"TableName":"t"}},{"ConditionCheck":{"TableName":"t"}}]}`,
			header{"X-Amz-Target": "DynamoDB_20120810.TransactWriteItems"}, []Call{{"dynamodb:PutItem", table, nil}, {"dynamodb:ConditionCheckItem", table, nil}}},
		"batch":     {"POST", "/", `{"RequestItems":{"t":[]}}`, header{"X-Amz-Target": "DynamoDB_20120810.BatchWriteItem"}, []Call{{"dynamodb:BatchWriteItem", table, nil}}},
		"message":   {"POST", "/", `{"QueueUrl":"http://q"}`, header{"X-Amz-Target": "AmazonSQS.SendMessage"}, []Call{{"sqs:SendMessage", queue, nil}}},
		"parameter": {"POST", "/", `{"Name":"/s/key"}`, header{"X-Amz-Target": "AmazonSSM.GetParameter"}, []Call{{"ssm:GetParameter", "arn:aws:ssm:us-east-1:000000000000:parameter/s/key", nil}}},
		"secret":    {"POST", "/", `{"SecretId":"arn:s"}`, header{"X-Amz-Target": "secretsmanager.GetSecretValue"}, []Call{{"secretsmanager:GetSecretValue", "arn:s", nil}}},
		"object":    {"GET", "/b/a/k", "", nil, []Call{{"s3:GetObject", "arn:aws:s3:::b/a/k", nil}}},
		"list":      {"GET", "/b?list-type=2", "", nil, []Call{{"s3:ListBucket", "arn:aws:s3:::b", nil}}},
		"put":       {"PUT", "/b/k", "x", nil, []Call{{"s3:PutObject", "arn:aws:s3:::b/k", nil}}},
		"part":      {"PUT", "/b/k?partNumber=1&uploadId=u", "x", nil, []Call{{"s3:PutObject", "arn:aws:s3:::b/k", nil}}},
		"parts":     {"GET", "/b/k?uploadId=u", "", nil, []Call{{"s3:ListMultipartUploadParts", "arn:aws:s3:::b/k", nil}}},
		"abort":     {"DELETE", "/b/k?uploadId=u", "", nil, []Call{{"s3:AbortMultipartUpload", "arn:aws:s3:::b/k", nil}}},
		"copy":      {"PUT", "/b/k", "", header{"X-Amz-Copy-Source": "c/g%2B%2B"}, []Call{{"s3:PutObject", "arn:aws:s3:::b/k", nil}, {"s3:GetObject", "arn:aws:s3:::c/g++", nil}}},
		"deletions": {"POST", "/b?delete", `<Delete><Object><Key>k</Key></Object><Object><Key>l</Key></Object></Delete>`, nil,
			[]Call{{"s3:DeleteObject", "arn:aws:s3:::b/k", nil}, {"s3:DeleteObject", "arn:aws:s3:::b/l", nil}}},
		"edge": {"POST", "/key-value-stores/" + KeyValuesARN + "/keys", "{}", header{"Authorization": "AWS4-ECDSA-P256-SHA256 x"}, []Call{{"cloudfront-keyvaluestore:UpdateKeys", KeyValuesARN, nil}}},
	} {
		ask := func(role []Statement) int {
			g, err := newGuard(Services{service.URL, service.URL, service.URL, service.Config.Handler, service.Config.Handler}, role, nil, map[string]string{"http://q": queue})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			passed = 0
			g.ServeHTTP(w, r)
			io.Copy(io.Discard, w.Body)
			denied, used := g.seen()
			if (passed == 1) != (len(denied) == 0) || len(used) == 0 || passed == 0 && w.Code < 400 {
				t.Errorf("%s: %d passed with %d, denied %q", name, passed, w.Code, denied)
			}
			return passed
		}
		var role []Statement
		for _, call := range c.want {
			role = append(role, Statement{Actions: []string{call.Action}, Resources: []string{call.Resource}})
		}
		if ask(role) != 1 {
			t.Errorf("%s: refused with all rights", name)
		}
		for i := range role {
			if ask(slices.Delete(slices.Clone(role), i, i+1)) != 0 {
				t.Errorf("%s: passed without %s", name, role[i].Actions)
			}
		}
	}
}

// TestPolicies holds how statements decide: a refusal wins, patterns have wildcards, and a
// condition that does not hold leaves its statement out.
func TestPolicies(t *testing.T) {
	tls := map[string]string{"aws:SecureTransport": "true"}
	get := Statement{Actions: []string{"s3:Get*"}, Resources: []string{"arn:aws:s3:::b/*/x*z"}}
	deny := Statement{Deny: true, Principal: "*", Actions: []string{"s3:*"}, Resources: []string{"*"}, conditions: []condition{{"Bool", "aws:SecureTransport", "false"}}}
	for _, c := range []struct {
		call Call
		want bool
	}{
		{Call{"s3:GetObject", "arn:aws:s3:::b/a/xyz", tls}, true},
		{Call{"s3:GetObject", "arn:aws:s3:::b/a/xz", tls}, true},
		{Call{"s3:GetObject", "arn:aws:s3:::b/a/xy", tls}, false},
		{Call{"s3:PutObject", "arn:aws:s3:::b/a/xz", tls}, false},
		{Call{"s3:GetObject", "arn:aws:s3:::b/a/xz", map[string]string{"aws:SecureTransport": "false"}}, false},
	} {
		if got := Allowed([]Statement{get, deny}, "", c.call); got != c.want {
			t.Errorf("%+v: %v", c.call, got)
		}
	}
	if Allowed([]Statement{{Principal: "cloudfront.amazonaws.com", Actions: get.Actions, Resources: get.Resources}}, "", Call{"s3:GetObject", "arn:aws:s3:::b/a/xz", tls}) {
		t.Error("a service's right is that of a role")
	}
}
