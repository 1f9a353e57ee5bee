package aws

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
	"aptless/localstack/services"
)

// stored is the folder of the objects of the substitutes.
var stored string

// local is the running substitute for AWS; why says why there is none.
var local, why = (*services.Local)(nil), error(nil)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	data, err := os.MkdirTemp("", "aptless-aws-")
	if err != nil {
		panic(err)
	}
	stored = data
	var parts string
	if parts, why = services.Parts(ctx, "../../localstack"); why == nil {
		local, why = services.Start(ctx, parts, data)
	}
	if why == nil {
		for _, v := range local.Env() {
			if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
				os.Setenv(name, value)
			}
		}
	}
	code := m.Run()
	if local != nil {
		local.Stop()
	}
	os.RemoveAll(data)
	os.RemoveAll(built)
	os.Exit(code)
}

var opened atomic.Int64

// alone returns the substitutes with the names of a table and buckets of the test's own. So
// no test waits for tasks of another one, and several run at the same time.
func alone(t *testing.T) *services.Local {
	t.Helper()
	if why != nil {
		if os.Getenv("CI") != "" { // the Makefile sets it for targets that need the substitutes
			t.Fatalf("the substitutes for AWS do not run (make parts gets them): %v", why)
		}
		t.Skip(why)
	}
	l, n := *local, opened.Add(1)
	for _, name := range []*string{&l.Config.Table, &l.Config.PrivateBucket, &l.Config.PublicBucket, &l.Config.DropBucket} {
		*name = fmt.Sprintf("%s-%d", *name, n)
	}
	return &l
}

// open connects drivers with their own queues, table and buckets.
func open(t *testing.T) *aws.Drivers {
	t.Helper()
	return connect(t, alone(t))
}

// connect connects drivers with their own queues, and puts their addresses into l.
func connect(t *testing.T, l *services.Local) *aws.Drivers {
	t.Helper()
	l.Config.Queues = map[string]string{}
	d, err := aws.Open(t.Context(), l.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), fmt.Sprintf("test%d", opened.Add(1)), "default"); err != nil {
		t.Fatal(err)
	}
	return d
}

// worker is the handler of a function for its queue.
func worker(d *aws.Drivers, h driver.Handler) aws.Deliver {
	return (&lambda.Worker{Handle: h, Hide: d.Queue.Hide, Log: slog.New(slog.DiscardHandler)}).Deliver
}

// TestDrivers runs the suite of all drivers.
func TestDrivers(t *testing.T) {
	t.Parallel()
	l := alone(t)
	drivertest.Run(t, func(t *testing.T) drivertest.Set {
		d := connect(t, l)
		return drivertest.Set{NotLazy: true, Blobs: d.Blobs, Table: d.Table, Queue: d.Queue, Serve: func(ctx context.Context, h driver.Handler) {
			d.Queue.Serve(ctx, 8, worker(d, h), func(error) {})
		}}
	})
}
