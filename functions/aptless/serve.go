package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/functions/options"
	"aptless/infra/aws"
	"aptless/infra/embedded"
)

// settings are the flags of serve.
type settings struct {
	listen, data string
	workers      int
	json         bool
	verbose      bool
	metrics      bool
	storages     map[string]string
	buckets      []string
	address      string
	shared       options.Options
}

// openStorages opens the folders and buckets that are published to besides the
// data folder.
func openStorages(ctx context.Context, folders map[string]string, buckets []string) (storages map[string]driver.Blobs, closeAll func(), err error) {
	s3, err := aws.ParseStorages(strings.Join(buckets, " "))
	if err != nil {
		return nil, nil, err
	}
	if storages, err = aws.OpenStorages(ctx, s3); err != nil {
		return nil, nil, err
	}
	var open []*embedded.Store
	closeAll = func() {
		for _, store := range open {
			store.Close()
		}
	}
	for name, folder := range folders {
		err := os.MkdirAll(folder, 0o755)
		var store *embedded.Store
		if err == nil {
			store, err = embedded.Open(folder, embedded.Options{})
		}
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("storage %s: %w", name, err)
		}
		open = append(open, store)
		storages["filesystem:"+name] = store.Blobs
	}
	return storages, closeAll, nil
}

// grace is how long requests and tasks may go on after the signal to stop.
const grace = 30 * time.Second

func serveCommand() *cobra.Command {
	var opt settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and the published repositories from a folder on this machine",
		Long: `Serve the API below /api and the published repositories at the root of the same address,
with all data in one folder. There is no authentication: listen on loopback, or put a proxy in front.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), opt) },
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flags.StringVar(&opt.data, "data", "data", "folder for everything that is kept")
	flags.IntVar(&opt.workers, "workers", 8, "tasks that run at the same time")
	flags.StringToStringVar(&opt.storages, "storage", nil, "further folder to publish to, as name=folder: filesystem:<name> in the API, below /repos/<name>/ here, and below public in the folder")
	flags.StringArrayVar(&opt.buckets, "s3-storage", nil, "bucket of S3 or of what speaks it to publish to, as name=s3://bucket/prefix?region=eu-central-1 or ?endpoint=https://s3.example.org&profile=lab, with the credentials of the AWS SDK: s3:<name> in the API; may be repeated")
	flags.StringVar(&opt.address, "address", "", "address at which clients reach this server, for links in Release files, as https://deb.example.org")
	opt.shared.Flags(flags)
	flags.BoolVar(&opt.metrics, "metrics", false, "answer /api/metrics, for Prometheus")
	flags.BoolVar(&opt.json, "log-json", false, "write the log as JSON lines")
	flags.BoolVar(&opt.verbose, "verbose", false, "log every request")
	return cmd
}

func serve(ctx context.Context, opt settings) error {
	log := logger(opt)
	config, err := opt.shared.Config()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(opt.data, 0o750); err != nil {
		return err
	}
	store, err := embedded.Open(opt.data, embedded.Options{
		Workers: opt.workers, Grace: grace,
		Failed: func(m driver.Message, err error) { log.Warn("task will be tried again", "task", m.Body, "error", err) },
	})
	if err != nil {
		return err
	}
	defer store.Close()
	signer, err := signingKey(filepath.Join(opt.data, "signing-key.asc"), log)
	if err != nil {
		return err
	}
	storages, closeStorages, err := openStorages(ctx, opt.storages, opt.buckets)
	if err != nil {
		return err
	}
	defer closeStorages()
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	config.Log, config.Now = log, time.Now
	config.Storages, config.Address, config.Draw, config.Metrics = storages, opt.address, newDot().draw, registry(opt)
	config.Space = func() (api.Space, error) { return space(opt.data) }
	a, err := app.New(base, app.Drivers{Blobs: store.Blobs, Table: store.Table, Queue: store.Queue}, signer, config)
	if err != nil {
		return err
	}
	if err := a.Dispatcher.Resend(ctx, true); err != nil {
		return fmt.Errorf("tasks of the last run: %w", err)
	}
	listener, err := net.Listen("tcp", opt.listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: a.Handler, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	var running sync.WaitGroup
	working, stopWorking := context.WithCancel(base)
	running.Go(func() { store.Queue.Serve(working, a.Dispatcher.Handle) })
	running.Go(func() { tick(working, a, log) })
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	greet(listener.Addr().String(), opt.data)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	log.Info("stopping")
	// Requests end first: those that wait for a task need the workers.
	shut, cancelShut := context.WithTimeout(base, grace)
	defer cancelShut()
	if shutErr := server.Shutdown(shut); shutErr != nil {
		log.Warn("requests were broken off", "error", shutErr)
		server.Close()
	}
	stopWorking()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// registry returns the metrics of the process, nil without.
func registry(opt settings) *prometheus.Registry {
	if !opt.metrics {
		return nil
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// space returns how much room the file system of a folder has.
func space(folder string) (api.Space, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return api.Space{}, err
	}
	return api.Space{Total: s.Blocks * uint64(s.Bsize), Free: s.Bavail * uint64(s.Bsize)}, nil
}

func logger(opt settings) *slog.Logger {
	level := slog.LevelInfo
	if opt.verbose {
		level = slog.LevelDebug
	}
	handler := slog.Handler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if opt.json {
		handler = slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})
	}
	return slog.New(handler)
}

// tick calls the application's tick every minute.
func tick(ctx context.Context, a *app.App, log *slog.Logger) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := a.Tick(ctx); err != nil && ctx.Err() == nil {
				log.Warn("tick failed", "error", err)
			}
		}
	}
}

// signingKey reads the key that signs publications, or makes it at the first start.
func signingKey(path string, log *slog.Logger) (pgp.Signer, error) {
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		log.Info("making a signing key", "file", path)
		return newKey(path)
	}
	if err != nil {
		return nil, err
	}
	keys, err := pgp.ParseSecretKeys(secret)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	return pgp.NewSigner(keys...)
}

func newKey(path string) (pgp.Signer, error) {
	key, err := pgp.Generate("aptless", "aptless@localhost", pgp.RSA4096, time.Now())
	if err != nil {
		return nil, err
	}
	secret, err := key.SecretArmor(nil)
	if err != nil {
		return nil, err
	}
	// Only a whole key gets the name: a crash leaves at most the other file.
	if err := os.WriteFile(path+".new", secret, 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	return pgp.NewSigner(key)
}

// greet prints how to get from a .deb to apt install.
func greet(addr, data string) {
	url := "http://" + addr
	fmt.Printf(`aptless is serving on %[1]s, with its data in %[2]s

From a .deb to apt install:

  curl -F file=@hello.deb %[1]s/api/files/incoming
  curl -X POST -H 'Content-Type: application/json' -d '{"Name":"demo","DefaultDistribution":"stable"}' %[1]s/api/repos &&
    curl -X POST %[1]s/api/repos/demo/file/incoming &&
    curl -X POST -H 'Content-Type: application/json' -d '{"SourceKind":"local","Sources":[{"Name":"demo"}]}' %[1]s/api/publish
  curl %[1]s/aptless.sources | sudo tee /etc/apt/sources.list.d/aptless.sources && sudo apt update && sudo apt install hello

`, url, data)
}
