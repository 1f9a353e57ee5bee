// Command worker is the Lambda function behind the queues: it runs tasks. Deployed
// once for each queue, only that of publications may read the signing key.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/core/front/app"
	"aptless/functions/options"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
)

// slice is how long a delivery may take before the task goes on in another one.
const slice = 5 * time.Minute

func main() {
	if err := run(context.Background()); err != nil {
		slog.Error("function did not start", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c, err := aws.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	config, err := options.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	d, err := aws.Open(ctx, c)
	if err != nil {
		return err
	}
	signer, err := newSigner(ctx, d, os.Getenv("APTLESS_SIGNING_KEY"), os.Getenv("APTLESS_PUBLIC_KEY"))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	config.Storages, config.Log, config.Now = d.Storages, log, time.Now
	a, err := app.New(ctx, app.Drivers{Blobs: d.Blobs, Table: d.Table, Queue: d.Queue}, signer, config)
	if err != nil {
		return err
	}
	a.Dispatcher.Slice, a.Dispatcher.Lease = slice, c.Lease
	worker := &lambda.Worker{Handle: a.Dispatcher.Handle, Hide: d.Queue.Hide, Log: log, Lease: c.Lease}
	runtime.Start(worker.Deliver)
	return nil
}
