package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"aptless/infra/aws"
)

// Credentials of versitygw; the other services accept any.
const (
	accessKey = "aptless"
	secretKey = "aptless-local"
	region    = "us-east-1"
)

// startWithin bounds the time until a service answers. A machine that does much other
// work takes minutes to start the Java programs.
const startWithin = 5 * time.Minute

// starts bounds the tries to start the services. Another program may take a free port
// before the service does, which then ends.
const starts = 3

// Local is a running set of services.
type Local struct {
	Config aws.Config // configuration of the drivers; Create makes the queues

	processes []*process
	front     *http.Server
}

// Env returns the environment of a process that uses the services.
func (l *Local) Env() []string {
	env := []string{
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_REGION=" + region,
		"APTLESS_TABLE=" + l.Config.Table, "APTLESS_PRIVATE_BUCKET=" + l.Config.PrivateBucket, "APTLESS_PUBLIC_BUCKET=" + l.Config.PublicBucket, "APTLESS_DROP_BUCKET=" + l.Config.DropBucket,
		"APTLESS_DYNAMODB_URL=" + l.Config.DynamoDBURL, "APTLESS_S3_URL=" + l.Config.S3URL, "APTLESS_SQS_URL=" + l.Config.SQSURL,
	}
	for class, url := range l.Config.Queues {
		name := "APTLESS_QUEUE_" + strings.ToUpper(class)
		if class == "default" {
			name = "APTLESS_QUEUE"
		}
		env = append(env, name+"="+url)
	}
	return env
}

// OnCreated has f be called with the bucket and the key of each object that is put, as S3
// sends events. The returned function ends it.
func (l *Local) OnCreated(f func(bucket, key string)) (stop func()) {
	return l.front.Handler.(*front).created.add(f)
}

// SQS returns a client of the queues.
func (l *Local) SQS() *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: &l.Config.SQSURL, Region: region, Credentials: credentials()})
}

func credentials() sdk.CredentialsProvider {
	return sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
	})
}

// process is a running service.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// errEnded is the error of a service that ends before it answers.
var errEnded = errors.New("the service has ended")

// Start starts the services that install.sh has put into the folder parts. Their files
// and logs are in data.
func Start(ctx context.Context, parts, data string) (l *Local, err error) {
	for range starts {
		if l, err = start(ctx, parts, data); !errors.Is(err, errEnded) {
			break
		}
	}
	return l, err
}

// start is one try of Start.
func start(ctx context.Context, parts, data string) (l *Local, err error) {
	l = &Local{Config: aws.Config{Table: "aptless", PrivateBucket: "aptless-private", PublicBucket: "aptless-public", DropBucket: "aptless-drop", Queues: map[string]string{}}}
	defer func() {
		if err != nil {
			l.Stop()
		}
	}()
	ports, err := freePorts(4)
	if err != nil {
		return l, err
	}
	if err := os.MkdirAll(filepath.Join(data, "s3"), 0o750); err != nil {
		return l, err
	}
	jars := filepath.Join(parts, "jars")
	elasticmq := filepath.Join(data, "elasticmq.conf")
	if err := os.WriteFile(elasticmq, fmt.Appendf(nil, elasticmqConfig, ports[1]), 0o600); err != nil {
		return l, err
	}
	for _, command := range [][]string{
		{"java", "-Xmx512m", "-Djava.library.path=" + jars, "-cp", jars + "/*", "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
			"-inMemory", "-sharedDb", "-port", fmt.Sprint(ports[0])},
		{"java", "-Xmx256m", "-Dconfig.file=" + elasticmq, "-cp", jars + "/*", "org.elasticmq.server.Main"},
		{filepath.Join(parts, "versitygw"), "--access", accessKey, "--secret", secretKey, "--port", fmt.Sprintf("127.0.0.1:%d", ports[2]),
			"posix", filepath.Join(data, "s3")},
	} {
		if err := l.run(data, command); err != nil {
			return l, err
		}
	}
	gateway := fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	if l.front, err = newFront(fmt.Sprintf("127.0.0.1:%d", ports[3]), gateway); err != nil {
		return l, err
	}
	l.Config.DynamoDBURL = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	l.Config.SQSURL = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	l.Config.S3URL = "http://" + l.front.Addr
	for i, url := range []string{l.Config.DynamoDBURL, l.Config.SQSURL, gateway} {
		if err := l.processes[i].answers(ctx, url); err != nil {
			return l, err
		}
	}
	return l, nil
}

// Parts runs install.sh in the folder localstack and returns the folder of the parts.
func Parts(ctx context.Context, localstack string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(localstack, "install.sh")).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

const elasticmqConfig = `include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = %[1]d, context-path = "" }
rest-sqs { enabled = true, bind-port = %[1]d, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
`

// run starts a process. Its output goes to a file in data.
func (l *Local) run(data string, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	log, err := os.Create(filepath.Join(data, fmt.Sprintf("%d-%s.log", len(l.processes), filepath.Base(command[0]))))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, data
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd, make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	l.processes = append(l.processes, p)
	return nil
}

// Stop ends the services.
func (l *Local) Stop() {
	if l.front != nil {
		l.front.Close()
	}
	for _, p := range l.processes {
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// freePorts returns unused ports of the loopback address.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// answers waits until the service answers HTTP at its address with any status.
func (p *process) answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s: %w", url, errEnded)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer", url), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
