package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"aptless/core/engine/driver"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/functions/options"
	"aptless/infra/embedded"
)

// settings are the flags of serve.
type settings struct {
	config         string
	listen         []string
	data           string
	workers        int
	json           bool
	verbose        bool
	metrics        bool
	storages       map[string]string
	buckets        []string
	address        string
	dropFolder     string
	passphraseFile string
	memory         options.Bytes
	shared         options.Options
	access         access
	pages          pageSettings
	out, err       io.Writer // the greeting is written to out, the log to err
}

// maxHeader bounds the header of a request, in bytes.
const maxHeader = 32 << 10

// grace bounds the time that running requests and tasks have after the signal to stop.
const grace = 30 * time.Second

func serveCommand() *cobra.Command {
	var opt settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and the published repositories from a folder on this machine",
		Long: `Serve the API below /api and the published repositories at the root of the same address,
with all data in one folder. Without --auth there is no authentication, and only this host is answered.

If the variable SOURCE_DATE_EPOCH is set, it is the date of all Release files, in seconds since 1970.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opt.out, opt.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if err := configure(cmd.Flags(), opt.config, os.Getenv); err != nil {
				return err
			}
			return serve(cmd.Context(), opt)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.config, "config", "", "file with settings, as TOML: each key is the name of a flag. A variable APTLESS_<FLAG>, as APTLESS_LISTEN, precedes the file, and a flag both")
	flags.StringArrayVar(&opt.listen, "listen", []string{"127.0.0.1:8080"}, "address to listen on, host:port or unix:///path/of/socket; may be repeated. Sockets passed by systemd (LISTEN_FDS) replace it. Beside another address, a Unix socket has no TLS")
	flags.StringVar(&opt.data, "data", "data", "folder for all data")
	flags.StringVar(&opt.passphraseFile, "passphrase-file", "", "file with the passphrase of the signing key; a new key is locked with it")
	flags.IntVar(&opt.workers, "workers", 8, "tasks that run at the same time")
	opt.memory = app.DefaultMemory
	flags.Var(&opt.memory, "memory", "memory budget of the process, for example 2GiB; at least 256MiB. Tasks wait before they exceed it. GOMEMLIMIT takes precedence for the garbage collector")
	flags.StringToStringVar(&opt.storages, "storage", nil, "further folder to publish to, name=folder. The API calls it filesystem:<name>, its files are served below /repos/<name>/ and stored below public in the folder")
	flags.StringArrayVar(&opt.buckets, "s3-storage", nil, "bucket to publish to, on S3 or a compatible service: name=s3://bucket/prefix?region=eu-central-1, or ?endpoint=https://s3.example.org&profile=lab. The API calls it s3:<name>. Credentials are found as by the AWS SDK. May be repeated")
	flags.StringVar(&opt.address, "address", "", "URL of this server for clients, for links in Release files, for example https://deb.example.org")
	flags.StringVar(&opt.dropFolder, "drop-folder", "", "folder in which programs of this machine put package files: DIR/<repo>/x.deb is imported, and published where the repository says so. A refused file goes to DIR/.failed with its reason")
	opt.shared.Flags(flags)
	opt.access.flags(flags)
	opt.pages.flags(flags)
	flags.BoolVar(&opt.metrics, "metrics", false, "serve /api/metrics for Prometheus")
	flags.BoolVar(&opt.json, "log-json", false, "write the log as JSON lines")
	flags.BoolVar(&opt.verbose, "verbose", false, "log requests for probes and metrics too")
	return cmd
}

// spoolLimit is app.Config.SpoolLimit: to store a file twice is a link here.
const spoolLimit = 2 << 20

// serve checks its settings and listens before it makes or opens a folder. A failed start
// leaves no folder and no key.
func serve(ctx context.Context, opt settings) error {
	log := logger(opt)
	config, err := opt.shared.Config()
	if err != nil {
		return err
	}
	config.SpoolLimit = spoolLimit
	if config.Memory, err = limitMemory(opt.memory); err != nil {
		return err
	}
	if config.SourceDate, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return err
	}
	if err := opt.access.check(); err != nil {
		return err
	}
	if err := opt.pages.check(); err != nil {
		return err
	}
	if err := checkAddress(opt.address); err != nil {
		return err
	}
	if err := checkDropFolder(opt.dropFolder, opt.data); err != nil {
		return err
	}
	sockets, err := listen(opt.listen...)
	if err != nil {
		return err
	}
	defer sockets.close()
	config.Log, config.Now, config.Alone = log, time.Now, true
	config.Ahead = true
	config.Address, config.Draw, config.Metrics = opt.address, newDot().draw, registry(opt)
	config.Pages = opt.pages.readers()
	config.Space = func() (api.Space, error) { return space(opt.data) }
	s, err := open(ctx, opt, sockets, log)
	if err == nil {
		defer s.close()
		config.Storages, config.Auth = s.storages, &s.mode.Auth
		config.Freezer = &freezer{store: s.data.Store, data: opt.data}
		err = s.run(ctx, sockets, config, opt)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		log.Info("stopped before it served")
		return nil
	}
	return err
}

// checkAddress refuses an address that is no URL of a server. Clients read it in Release
// files. The address may be empty and may have a path, for example https://example.org/apt/.
func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(address, "?# ") {
		return nil
	}
	return fmt.Errorf("--address %q: an address is a URL without user, query and fragment, as https://deb.example.org", address)
}

// limitMemory sets the soft memory limit of the Go runtime, unless GOMEMLIMIT is set, and
// when the garbage collector runs, unless GOGC is set.
func limitMemory(memory options.Bytes) (int64, error) {
	if memory < app.MinMemory {
		least := options.Bytes(app.MinMemory)
		return 0, fmt.Errorf("memory: %s are less than %s", &memory, &least)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memory))
	}
	paceCollector()
	return int64(memory), nil
}

// Bounds of connections.
const (
	headerWithin = 10 * time.Second
	idleWithin   = 2 * time.Minute // between two requests; apt keeps connections open
)

// httpServer returns the server of a handler.
func (s *server) httpServer(h http.Handler) *http.Server {
	return &http.Server{Handler: moving(h), ReadHeaderTimeout: headerWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
}

// run serves until ctx is done.
func (s *server) run(ctx context.Context, sockets listeners, config app.Config, opt settings) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	a, err := app.New(base, app.Drivers{Blobs: s.data.Blobs, Table: s.data.Table, Queue: s.data.Queue}, s.signer, config)
	if err != nil {
		return errors.Join(err, s.discard())
	}
	if err := a.Dispatcher.Resend(ctx, true); err != nil {
		return errors.Join(fmt.Errorf("tasks of the last run: %w", err), s.discard())
	}
	for _, problem := range a.Problems() {
		s.log.Warn(problem)
	}
	handler, err := opt.pages.around(a, s.log)
	if err != nil {
		return errors.Join(err, s.discard())
	}
	server := s.httpServer(handler)
	var running sync.WaitGroup
	working, stopWorking := context.WithCancel(base)
	resting := newIdle(a.Dispatcher.Handle, a.RenderAhead, s.log)
	running.Go(func() { s.data.Queue.Serve(working, resting.Handle) })
	running.Go(func() { resting.serve(working) })
	running.Go(func() { tick(working, a, s.log) })
	running.Go(func() { s.compare(working, a) })
	if opt.dropFolder != "" {
		f, err := s.dropFolder(a, config, opt)
		if err != nil {
			stopWorking()
			running.Wait()
			return err
		}
		defer f.Close()
		running.Go(func() { f.Serve(working) })
	}
	failed := make(chan error, len(sockets))
	s.listen(working, server, sockets, opt.access.connections, failed)
	s.greet(sockets[0].Addr(), opt)
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("stopping: running requests and tasks may end", "within", grace)
	// Requests end before workers: a waiting request needs the workers.
	shut, cancelShut := context.WithTimeout(base, grace)
	defer cancelShut()
	if shutErr := server.Shutdown(shut); shutErr != nil {
		s.log.Warn("requests were interrupted", "error", shutErr)
		server.Close()
	}
	stopWorking()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// compare warns of published trees that are signed only by keys the server does not have.
func (s *server) compare(ctx context.Context, a *app.App) {
	others, err := a.SignedByOthers(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("signatures of published trees were not compared with the signing key", "error", err)
		}
		return
	}
	if len(others) > 0 {
		s.log.Warn("publications are signed by another key than the server has: put the former key back, or update each publication (PUT /api/publish/…) and give the new key to its clients",
			"publications", others, "key", s.keys.path)
	}
}

// registry returns the metrics of the process, or nil without --metrics.
func registry(opt settings) *prometheus.Registry {
	if !opt.metrics {
		return nil
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
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

// embeddedOptions returns the options of the data folder.
func embeddedOptions(opt settings, log *slog.Logger) embedded.Options {
	return embedded.Options{
		Workers: opt.workers, Grace: grace, Fatal: func(err error) { fatal(log, err) }, Torn: torn(log),
		Failed: func(m driver.Message, err error) { log.Warn("task will be tried again", "task", m.Body, "error", err) },
	}
}

// fatal ends the process after the kernel has failed to write data that other calls rely
// on. The kernel does not report that again. The next process begins with the state of
// the disk.
func fatal(log *slog.Logger, err error) {
	log.Error("the storage has failed, and the process ends", "error", err)
	os.Exit(1)
}

// torn returns a function that logs the keys of objects that a power failure has torn.
func torn(log *slog.Logger) func(string) {
	return func(key string) {
		log.Warn("a power failure has torn an object that nothing names: it is removed", "object", key)
	}
}
