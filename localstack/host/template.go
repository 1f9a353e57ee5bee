package host

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Template is the supported part of an AWS SAM template.
type Template struct {
	Functions map[string]Declared // by logical name
	Queues    map[string]DeclaredQueue

	policies []*yaml.Node // of buckets

	route  *yaml.Node // AuthorizationType of the API's route; nil without an API
	doc    document
	values map[string]string // values of parameters and resources
}

// Declared is a function of the template.
type Declared struct {
	Code    string // folder of the program, relative to the template
	Timeout time.Duration
	Queue   string        // logical name of its queue, or ""
	Batch   int           // largest number of messages in an event
	Most    int           // largest number of concurrent calls for the queue
	Every   time.Duration // time between scheduled calls; 0 without a schedule
	Memory  int           // MB

	env     map[string]*yaml.Node
	memory  *yaml.Node
	most    *yaml.Node
	policy  *yaml.Node // Policies
	created []pattern  // of EventBridge, for objects that were put
}

// DeclaredQueue is a queue of the template.
type DeclaredQueue struct {
	FIFO        bool
	Visibility  time.Duration // 0 is the default of SQS
	DeadLetters string        // logical name of the dead-letter queue, or ""
	Receives    int           // deliveries before a message goes there
}

type document struct {
	Parameters map[string]struct {
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Globals    yaml.Node            `yaml:"Globals"`
	Outputs    yaml.Node            `yaml:"Outputs"`
	Resources  map[string]struct {
		Type       string    `yaml:"Type"`
		Condition  string    `yaml:"Condition"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Resources"`
}

// account is the number of the account of ARNs.
const account = "000000000000"

// ReadTemplate reads a template.
func ReadTemplate(file string) (*Template, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t := &Template{Functions: map[string]Declared{}, Queues: map[string]DeclaredQueue{}, values: map[string]string{}}
	if err := yaml.Unmarshal(data, &t.doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	maps.Copy(t.values, map[string]string{
		"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": account, "AWS::StackName": "aptless", "AWS::URLSuffix": "amazonaws.com",
		"Cdn": "EDISTRIBUTION", "Cdn.DomainName": "d111111abcdef8.cloudfront.net",
	})
	for name, p := range t.doc.Parameters {
		t.values[name] = p.Default
	}
	for name, r := range t.doc.Resources {
		switch r.Type {
		case "AWS::Serverless::Function":
			f, err := t.function(&r.Properties)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, name, err)
			}
			t.Functions[name] = f
		case "AWS::SQS::Queue":
			q, err := queue(&r.Properties)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, name, err)
			}
			t.Queues[name] = q
		case "AWS::S3::BucketPolicy":
			t.policies = append(t.policies, at(&r.Properties, "PolicyDocument"))
		case "AWS::ApiGatewayV2::Route":
			if strings.HasPrefix(text(&r.Properties, "RouteKey"), "ANY /api/") {
				t.route = at(&r.Properties, "AuthorizationType")
			}
		}
	}
	for name, r := range t.doc.Resources {
		if r.Type != "AWS::Lambda::EventSourceMapping" {
			continue
		}
		f, ok := t.Functions[text(&r.Properties, "FunctionName")]
		if !ok {
			return nil, fmt.Errorf("%s: %s is of no function", file, name)
		}
		f.Queue, _, _ = strings.Cut(text(&r.Properties, "EventSourceArn"), ".")
		f.Batch = number(&r.Properties, f.Batch, "BatchSize")
		f.most = at(&r.Properties, "ScalingConfig", "MaximumConcurrency")
		t.Functions[text(&r.Properties, "FunctionName")] = f
	}
	return t, nil
}

// Settle evaluates the settings of a function that depend on parameters.
func (t *Template) Settle(f *Declared) error {
	for to, n := range map[*int]*yaml.Node{&f.Memory: f.memory, &f.Most: f.most} {
		if n == nil {
			continue
		}
		value, err := t.value(n)
		if err == nil {
			*to, err = strconv.Atoi(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Count returns the number of resources of a type whose conditions hold.
func (t *Template) Count(kind string) (n int, err error) {
	for _, r := range t.doc.Resources {
		if r.Type != kind {
			continue
		}
		holds := true
		if r.Condition != "" {
			if holds, err = t.holds(r.Condition); err != nil {
				return 0, err
			}
		}
		if holds {
			n++
		}
	}
	return n, nil
}

// Output evaluates an output of the template.
func (t *Template) Output(name string) (string, error) {
	n := at(&t.doc.Outputs, name, "Value")
	if n == nil {
		return "", fmt.Errorf("no output %s", name)
	}
	return t.value(n)
}

// Traced reports whether X-Ray traces the functions.
func (t *Template) Traced() bool { return text(&t.doc.Globals, "Function", "Tracing") == "Active" }

// Set sets the value of a parameter, or of a resource in Ref and GetAtt.
func (t *Template) Set(name, value string) { t.values[name] = value }

// AsksForSignatures reports whether the API's route asks for AWS credentials.
func (t *Template) AsksForSignatures() (bool, error) {
	if t.route == nil {
		return false, nil
	}
	kind, err := t.value(t.route)
	if err == nil && kind != "NONE" && kind != "AWS_IAM" {
		err = fmt.Errorf("authorization %s is not known here", kind)
	}
	return kind == "AWS_IAM", err
}

func queue(p *yaml.Node) (q DeclaredQueue, err error) {
	q.FIFO = text(p, "FifoQueue") == "true"
	if v := text(p, "VisibilityTimeout"); v != "" {
		if q.Visibility, err = seconds(v); err != nil {
			return q, err
		}
	}
	if q.DeadLetters, _, _ = strings.Cut(text(p, "RedrivePolicy", "deadLetterTargetArn"), "."); q.DeadLetters != "" {
		q.Receives, err = strconv.Atoi(text(p, "RedrivePolicy", "maxReceiveCount"))
	}
	return q, err
}

func (t *Template) function(p *yaml.Node) (Declared, error) {
	f := Declared{Code: text(p, "CodeUri"), Batch: 10, Most: 1000, env: map[string]*yaml.Node{}, memory: at(p, "MemorySize"), policy: at(p, "Policies")}
	var err error
	if f.Timeout, err = seconds(text(p, "Timeout")); err != nil {
		return f, err
	}
	for _, variables := range []*yaml.Node{at(&t.doc.Globals, "Function", "Environment", "Variables"), at(p, "Environment", "Variables")} {
		for name, value := range pairs(variables) {
			f.env[name] = value
		}
	}
	for _, event := range pairs(at(p, "Events")) {
		properties := at(event, "Properties")
		switch kind := text(event, "Type"); kind {
		case "ScheduleV2":
			if f.Every, err = rate(text(properties, "ScheduleExpression")); err != nil {
				return f, err
			}
		case "EventBridgeRule":
			detail := at(properties, "Pattern", "detail")
			f.created = append(f.created, pattern{bucket: at(detail, "bucket", "name"), key: at(detail, "object", "key")})
		default:
			return f, fmt.Errorf("events of type %q are not known", kind)
		}
	}
	return f, nil
}

// Env returns the environment of a function as "NAME=value".
func (t *Template) Env(f Declared) ([]string, error) {
	var env []string
	for name, node := range f.env {
		value, err := t.value(node)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		env = append(env, name+"="+value)
	}
	return env, nil
}

// at returns the node at a path of names, or nil.
func at(n *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		n = pairs(n)[name]
	}
	return n
}

// pairs returns the entries of a mapping.
func pairs(n *yaml.Node) map[string]*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	found := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		found[n.Content[i].Value] = n.Content[i+1]
	}
	return found
}

func text(n *yaml.Node, names ...string) string {
	if n = at(n, names...); n == nil {
		return ""
	}
	return n.Value
}

func number(n *yaml.Node, otherwise int, names ...string) int {
	if v, err := strconv.Atoi(text(n, names...)); err == nil && v > 0 {
		return v
	}
	return otherwise
}

func seconds(text string) (time.Duration, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is no number of seconds", text)
	}
	return time.Duration(n) * time.Second, nil
}

// rate parses a schedule expression such as "rate(1 minute)".
func rate(expression string) (time.Duration, error) {
	var n int
	var unit string
	if _, err := fmt.Sscanf(strings.TrimSuffix(expression, ")"), "rate(%d %s", &n, &unit); err == nil && n > 0 {
		switch strings.TrimSuffix(unit, "s") {
		case "minute":
			return time.Duration(n) * time.Minute, nil
		case "hour":
			return time.Duration(n) * time.Hour, nil
		}
	}
	return 0, fmt.Errorf("schedule %q is not known here", expression)
}
