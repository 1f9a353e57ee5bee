// Command schedule is the Lambda function that EventBridge calls every minute: it
// sends what was not sent, and admits what is due.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/functions/options"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
)

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
	keys, err := d.Secret(ctx, os.Getenv("APTLESS_PUBLIC_KEY"))
	if err != nil {
		return err
	}
	signer, err := pgp.PublicOnly(keys)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	config.Storages, config.Log, config.Now = d.Storages, log, time.Now
	a, err := app.New(ctx, app.Drivers{Blobs: d.Blobs, Table: d.Table, Queue: d.Queue}, signer, config)
	if err != nil {
		return err
	}
	a.Dispatcher.Lease = c.Lease
	runtime.Start(lambda.Schedule(a.Tick))
	return nil
}
