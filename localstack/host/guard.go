package host

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Services are the substitutes for the services that functions call.
type Services struct {
	DynamoDB, S3, SQS string // URLs
	Edge, Keys        http.Handler
}

// guard passes a function's calls to the services if the function's role and the policies
// of the buckets allow them. It also notes which messages the function has hidden.
type guard struct {
	role, buckets []Statement
	queues        map[string]string // ARNs by URL
	services      map[string]http.Handler

	mu     sync.Mutex
	hidden map[string]bool // receipts
	denied map[string]bool // "action of resource"
	used   map[string]bool // actions
}

// maxGuarded bounds a body that the guard reads, in bytes.
const maxGuarded = 64 << 20

// newGuard returns the guard of a role.
func newGuard(s Services, role, buckets []Statement, queues map[string]string) (*guard, error) {
	g := &guard{role: role, buckets: buckets, queues: queues, services: map[string]http.Handler{"edge": s.Edge, "keys": s.Keys},
		hidden: map[string]bool{}, denied: map[string]bool{}, used: map[string]bool{}}
	for name, address := range map[string]string{"dynamodb": s.DynamoDB, "s3": s.S3, "sqs": s.SQS} {
		to, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // the signature covers the header
		}}
		if name == "s3" {
			pass.ModifyResponse = g.hideMissing
		}
		g.services[name] = pass
	}
	return g, nil
}

// ServeHTTP passes a call on, or refuses it as its service does.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, calls, err := g.calls(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	allowed := true
	for _, c := range calls {
		g.used[c.Action] = true
		if !g.allows(c) {
			allowed, g.denied[c.Action+" of "+c.Resource] = false, true
		}
	}
	g.mu.Unlock()
	switch {
	case allowed:
		g.services[service].ServeHTTP(w, r)
	case service == "s3":
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
	default:
		refuseJSON(w, "AccessDeniedException")
	}
}

// allows reports whether role and buckets allow a call.
func (g *guard) allows(c Call) bool {
	own := slices.Concat(g.role, slices.DeleteFunc(slices.Clone(g.buckets), func(s Statement) bool { return !s.Deny }))
	return Allowed(own, "", c)
}

// calls returns the service of a request, and the calls that it makes.
func (g *guard) calls(r *http.Request) (string, []Call, error) {
	target := r.Header.Get("X-Amz-Target")
	service, operation, _ := strings.Cut(target, ".")
	switch {
	case strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-ECDSA-P256-SHA256 "):
		action := map[string]string{"GET ": "DescribeKeyValueStore", "GET /keys": "ListKeys", "POST /keys": "UpdateKeys"}[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/key-value-stores/"+KeyValuesARN)]
		return "edge", []Call{{"cloudfront-keyvaluestore:" + action, KeyValuesARN, nil}}, nil
	case target == "":
		calls, err := g.objectCalls(r)
		return "s3", calls, err
	}
	data, err := body(r)
	if err != nil {
		return "", nil, err
	}
	switch {
	case strings.HasPrefix(service, "DynamoDB_"):
		calls, err := tableCalls(operation, data)
		return "dynamodb", calls, err
	case service == "AmazonSQS":
		var in struct{ QueueUrl, ReceiptHandle string }
		err := json.Unmarshal(data, &in)
		if operation == "ChangeMessageVisibility" {
			g.mu.Lock()
			g.hidden[in.ReceiptHandle] = true
			g.mu.Unlock()
		}
		return "sqs", []Call{{"sqs:" + operation, g.queues[in.QueueUrl], nil}}, err
	}
	var in struct{ Name, SecretId string }
	if err := json.Unmarshal(data, &in); err != nil {
		return "", nil, err
	}
	if service == "secretsmanager" {
		return "keys", []Call{{"secretsmanager:" + operation, in.SecretId, nil}}, nil
	}
	return "keys", []Call{{"ssm:" + operation, "arn:aws:ssm:us-east-1:" + account + ":parameter/" + strings.TrimPrefix(in.Name, "/"), nil}}, nil
}

// body returns the body of a request and leaves it readable.
func body(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxGuarded))
	r.Body = io.NopCloser(bytes.NewReader(data))
	return data, err
}

// tableCalls returns the calls of a request to DynamoDB. A transaction is a call for each of
// its items.
func tableCalls(operation string, data []byte) ([]Call, error) {
	type item = struct{ TableName string }
	var in struct {
		TableName     string
		TransactItems []map[string]item
		RequestItems  map[string]json.RawMessage
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	call := func(operation, table string) Call {
		return Call{"dynamodb:" + operation, "arn:aws:dynamodb:us-east-1:" + account + ":table/" + table, nil}
	}
	var calls []Call
	for _, items := range in.TransactItems {
		for kind, i := range items {
			calls = append(calls, call(map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem", "ConditionCheck": "ConditionCheckItem"}[kind], i.TableName))
		}
	}
	for table := range in.RequestItems {
		calls = append(calls, call(operation, table))
	}
	if len(calls) == 0 {
		calls = []Call{call(operation, in.TableName)}
	}
	return calls, nil
}

// objectCalls returns the calls of a request to S3.
func (g *guard) objectCalls(r *http.Request) ([]Call, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	arn, q := "arn:aws:s3:::"+bucket, r.URL.Query()
	values := map[string]string{"aws:SecureTransport": "true", "s3:ObjectCreationOperation": "false"}
	if v := r.Header.Get("If-None-Match"); v != "" {
		values["s3:if-none-match"] = v
	}
	on := func(action string) []Call { return []Call{{"s3:" + action, arn + "/" + key, values}} }
	switch {
	case r.Method == http.MethodPost && q.Has("delete"):
		return deletions(r, arn, values)
	case key == "":
		return []Call{{"s3:ListBucket", arn, values}}, nil
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return on("ListMultipartUploadParts"), nil
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return on("GetObject"), nil
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return on("AbortMultipartUpload"), nil
	case r.Method == http.MethodDelete:
		return on("DeleteObject"), nil
	}
	if !q.Has("uploads") && !q.Has("partNumber") {
		values["s3:ObjectCreationOperation"] = "true"
	}
	calls := on("PutObject")
	if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
		from, err := url.PathUnescape(strings.TrimPrefix(source, "/"))
		if err != nil {
			return nil, err
		}
		calls = append(calls, Call{"s3:GetObject", "arn:aws:s3:::" + from, values})
	}
	return calls, nil
}

// deletions returns the calls of a request that deletes several objects.
func deletions(r *http.Request, arn string, values map[string]string) ([]Call, error) {
	data, err := body(r)
	if err != nil {
		return nil, err
	}
	var in struct {
		Object []struct{ Key string }
	}
	err = xml.Unmarshal(data, &in)
	var calls []Call
	for _, o := range in.Object {
		calls = append(calls, Call{"s3:DeleteObject", arn + "/" + o.Key, values})
	}
	return calls, err
}

// hideMissing answers 403 for a missing object to a role that may not list the bucket.
func (g *guard) hideMissing(r *http.Response) error {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.Request.URL.Path, "/"), "/")
	reads := r.Request.Method == http.MethodGet || r.Request.Method == http.MethodHead
	if r.StatusCode == http.StatusNotFound && reads && key != "" && !g.allows(Call{"s3:ListBucket", "arn:aws:s3:::" + bucket, map[string]string{"aws:SecureTransport": "true"}}) {
		r.StatusCode, r.Status = http.StatusForbidden, "403 Forbidden"
		g.mu.Lock()
		defer g.mu.Unlock()
		g.denied["s3:ListBucket of arn:aws:s3:::"+bucket] = true
	}
	return nil
}

// has reports whether the function has hidden a message.
func (g *guard) has(receipt string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hidden[receipt]
}

// seen returns the denied calls and the used actions, sorted.
func (g *guard) seen() (denied, used []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.denied)), slices.Sorted(maps.Keys(g.used))
}
