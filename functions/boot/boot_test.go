package boot

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
	"aptless/infra/aws"
)

// fixture is a function on memory. Its application cannot be made while broken is set.
type fixture struct {
	*Function
	memory *drivertest.Memory
	broken error
	hidden []time.Duration // the delays of hidden messages, in order
	built  int             // number of attempts to make the application
}

func newFixture(t *testing.T) *fixture {
	m := drivertest.NewMemory(time.Now)
	f := &fixture{Function: &Function{Log: slog.New(slog.DiscardHandler), now: time.Now}, memory: m}
	f.connect = func(context.Context) (*ports, error) {
		hide := func(_ context.Context, _ driver.Message, d time.Duration) error {
			f.hidden = append(f.hidden, d)
			return nil
		}
		return &ports{Drivers: apptest.On(m), hide: hide, lease: time.Minute}, nil
	}
	f.build = func(_ context.Context, p *ports) (*app.App, error) {
		if f.built++; len(f.hidden) == 0 && f.broken != nil {
			t.Error("the application was made before the message was hidden")
		}
		if f.broken != nil {
			return nil, f.broken
		}
		return app.New(t.Context(), p.Drivers, apptest.Signer(t), app.Config{Version: "test", Async: true, Log: f.Log, Now: time.Now})
	}
	return f
}

// deliver delivers the message of a task.
func (f *fixture) deliver(t *testing.T, id int64) (again bool) {
	t.Helper()
	out, err := f.Worker(time.Minute)(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m", Body: strconv.FormatInt(id, 10), ReceiptHandle: "r",
		Attributes: map[string]string{"MessageGroupId": "g", "MessageDeduplicationId": "d"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.BatchItemFailures) > 0
}

// admit lets another process admit a simple task.
func (f *fixture) admit(t *testing.T) (*task.Store, int64) {
	t.Helper()
	p := apptest.New(t, apptest.On(f.memory), func(c *app.Config) { c.Async = true })
	var answer struct{ ID int64 }
	p.Must(t, "POST", "/api/db/cleanup", "", &answer)
	return &task.Store{Table: f.memory.Table, Blobs: f.memory.Blobs, Queue: f.memory.Queue, Now: time.Now, Log: f.Log}, answer.ID
}

// TestWorkerThatCannotStartSaysSoInTheTask also holds that such a worker hides its message
// first. The message comes again soon, and its task runs once the cause is gone.
func TestWorkerThatCannotStartSaysSoInTheTask(t *testing.T) {
	f := newFixture(t)
	tasks, id := f.admit(t)
	f.broken = errors.New("secret signing: AccessDenied")
	for range 10 { // exceeds the budget of deaths
		f.hidden = nil
		if !f.deliver(t, id) {
			t.Fatal("the message was removed")
		}
		if last := f.hidden[len(f.hidden)-1]; len(f.hidden) < 2 || last > time.Minute {
			t.Errorf("hidden for %v", f.hidden)
		}
	}
	got, err := tasks.Get(t.Context(), id)
	if err != nil || got.State.Ended() || got.Error != "the worker cannot start: secret signing: AccessDenied" || !got.Failing.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	f.broken = nil
	for n := 0; f.deliver(t, id); n++ {
		if n == 100 {
			t.Fatal("the task does not end")
		}
	}
	if got, err := tasks.Get(t.Context(), id); err != nil || got.State != task.Succeeded || f.built != 11 {
		t.Errorf("%v after the application was made %d times: %s, %v", got.State, f.built, got.Error, err)
	}
}

func TestAPIThatCannotStartAnswers(t *testing.T) {
	f := newFixture(t)
	f.hidden = []time.Duration{0} // API Gateway sends no messages
	f.broken = errors.New("secret keys: not there")
	ask := func() (int, string) {
		var event events.APIGatewayV2HTTPRequest
		event.RawPath, event.RequestContext.HTTP.Method, event.RequestContext.HTTP.Path = "/api/version", http.MethodGet, "/api/version"
		out, err := f.API(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		return out.StatusCode, out.Body
	}
	if code, body := ask(); code != 503 || !strings.Contains(body, "its log says why") || strings.Contains(body, "secret") {
		t.Errorf("%d %s", code, body)
	}
	if err := f.Schedule(t.Context(), nil); !errors.Is(err, f.broken) {
		t.Error(err)
	}
	f.broken = nil
	if code, body := ask(); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if err := f.Schedule(t.Context(), nil); err != nil || f.built != 3 {
		t.Errorf("made %d times, %v", f.built, err)
	}
}

// TestChangedKeysAreFound: a quarter of an hour after an operator has changed the keys, each
// process uses them. While they cannot be read, it goes on with the former ones.
func TestChangedKeysAreFound(t *testing.T) {
	f := newFixture(t)
	f.hidden = []time.Duration{0}
	now := time.Now()
	f.now = func() time.Time { return now }
	open := func() *app.App {
		t.Helper()
		a, err := f.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := open()
	now = now.Add(keysFor - time.Second)
	if open() != first {
		t.Error("the keys are read before their time")
	}
	now, f.broken = now.Add(time.Second), errors.New("parameter: throttled")
	if open() != first {
		t.Error("the former keys do not go on")
	}
	now, f.broken = now.Add(keysFor), nil
	if open() == first {
		t.Error("the changed keys are not read")
	}
}

// TestTimeBetweenCollections: an hour is the shortest one.
func TestTimeBetweenCollections(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "0s": 0, "168h": 168 * time.Hour, "1h": time.Hour} {
		if got, err := duration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "-1h", "59m", "7"} {
		if _, err := duration(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestFunctionWithoutStorageFails(t *testing.T) {
	f := New(func(string) string { return "" }, "", nil)
	f.Log = slog.New(slog.DiscardHandler)
	if _, err := f.Worker(time.Minute)(t.Context(), events.SQSEvent{}); err == nil || !strings.Contains(err.Error(), "APTLESS_") {
		t.Error(err)
	}
	if err := f.Schedule(t.Context(), nil); err == nil {
		t.Error("a tick without storage succeeds")
	}
}

func TestMemoryOfAFunction(t *testing.T) {
	for size, want := range map[string]int64{"": app.DefaultMemory, "1769": 1769 << 20 / 8 * 7, "128": app.MinMemory} {
		if got, err := memory(size); err != nil || got != want {
			t.Errorf("%s: %d, %v", size, got, err)
		}
	}
	for _, size := range []string{"x", "-1", "0", "1769MB"} {
		if _, err := memory(size); err == nil {
			t.Errorf("%s is taken", size)
		}
	}
}

// TestOneOffCallMakesAnAdminToken, with which requests are answered, and without which
// they are not.
func TestOneOffCallMakesAnAdminToken(t *testing.T) {
	f := newFixture(t)
	f.build = func(_ context.Context, p *ports) (*app.App, error) {
		closed, err := access("", "")
		if err != nil {
			return nil, err
		}
		return app.New(t.Context(), p.Drivers, apptest.Signer(t), app.Config{Version: "test", Async: true, Log: f.Log, Now: time.Now, Auth: closed})
	}
	out, err := f.Call(t.Context(), []byte(`{"aptless":"create-admin-token","Name":"first"}`))
	if err != nil {
		t.Fatal(err)
	}
	made := out.(createdToken)
	for authorization, want := range map[string]int{"": 401, "Bearer " + made.Token: 200, "Bearer x": 401} {
		if code := ask(t, f, map[string]string{"authorization": authorization}, nil); code != want {
			t.Errorf("%q: %d", authorization, code)
		}
	}
	if _, err := f.Call(t.Context(), []byte(`{"aptless":"drop-everything"}`)); err == nil {
		t.Error("another call is answered")
	}
	if _, err := f.Call(t.Context(), []byte(`{"aptless":"create-admin-token","Name":"first"}`)); err == nil {
		t.Error("a name is taken twice")
	}
	// An HTTP request cannot make the call: its text is inside of the body.
	inside, err := json.Marshal(map[string]any{"body": `{"aptless":"create-admin-token","Name":"x"}`, "rawPath": "/api/repos", "requestContext": map[string]any{"http": map[string]string{"method": "POST"}}})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := f.Call(t.Context(), inside); err != nil || out.(events.APIGatewayV2HTTPResponse).StatusCode != 401 {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestCallersOfIAMAreThoseOfTheEvent: the claims of headers and bodies have no effect.
func TestCallersOfIAMAreThoseOfTheEvent(t *testing.T) {
	f, role := newFixture(t), ""
	f.build = func(_ context.Context, p *ports) (*app.App, error) {
		iam, err := access("IAM", role)
		if err != nil {
			return nil, err
		}
		return app.New(t.Context(), p.Drivers, apptest.Signer(t), app.Config{Version: "test", Async: true, Log: f.Log, Now: time.Now, Auth: iam})
	}
	const arn = "arn:aws:iam::123456789012:user/ci"
	claims := map[string]string{"x-forwarded-for": "127.0.0.1", "authorizer": arn, "x-amzn-iam": arn, "requestcontext": `{"authorizer":{"iam":{"userArn":"` + arn + `"}}}`}
	if code := ask(t, f, claims, nil); code != 401 {
		t.Errorf("claimed by headers: %d", code)
	}
	iam := &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: arn}}
	if code := ask(t, f, nil, iam); code != 200 {
		t.Errorf("verified by API Gateway: %d", code)
	}
	for role, want := range map[string]auth.Role{"": auth.Admin, "admin": auth.Admin, "none": ""} {
		if got, err := access("IAM", role); err != nil || got.IAMRole != want {
			t.Errorf("role %q: %+v, %v", role, got, err)
		}
	}
	for _, bad := range [][2]string{{"JWT", ""}, {"IAM", "publisher"}} {
		if _, err := access(bad[0], bad[1]); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// ask sends a request for the version.
func ask(t *testing.T, f *fixture, headers map[string]string, authorizer *events.APIGatewayV2HTTPRequestContextAuthorizerDescription) int {
	t.Helper()
	event := events.APIGatewayV2HTTPRequest{RawPath: "/api/version", Headers: map[string]string{}}
	for name, value := range headers {
		if value != "" {
			event.Headers[name] = value
		}
	}
	event.RequestContext.HTTP.Method, event.RequestContext.Authorizer = http.MethodGet, authorizer
	raw, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.Call(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return out.(events.APIGatewayV2HTTPResponse).StatusCode
}

// TestFunctionsHaveTimeForEachPackage: a function leaves out the paths of a package that
// takes too long. Ten minutes suffice for these and for the rest of the largest package, at
// 75 MB/s.
func TestFunctionsHaveTimeForEachPackage(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.asc")
	if err := os.WriteFile(key, apptest.Signer(t).PublicKeys()[0].Armor(), 0o600); err != nil {
		t.Fatal(err)
	}
	var got time.Duration
	f := New(func(name string) string { return map[string]string{"APTLESS_PUBLIC_KEY": "file:" + key}[name] }, "", func(c *app.Config) { got = c.UnpackTime })
	f.Log = slog.New(slog.DiscardHandler)
	if _, err := f.build(t.Context(), &ports{Drivers: apptest.On(drivertest.NewMemory(time.Now)), aws: &aws.Drivers{}}); err != nil {
		t.Fatal(err)
	}
	const largest, rate = 9_999_999_999, 75_000_000 // bytes of a member of an ar archive; bytes in a second
	if rest := 10*time.Minute - got; got < 5*time.Minute || rest < largest/rate*time.Second+30*time.Second {
		t.Errorf("%v to unpack, %v for the rest", got, rest)
	}
}
