package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/functions/options"
	"aptless/infra/embedded"
)

// openData opens the data folder of a server that does not run, and returns a transport to
// its API within this process. A task runs if it is asked for, or if such a task has to
// wait for it. The calendar is not looked at.
func openData(ctx context.Context, dir string) (_ http.RoundTripper, end func() error, err error) {
	if _, err := os.Stat(filepath.Join(dir, "table.db")); err != nil {
		return nil, nil, fmt.Errorf("%s is no data folder: %w", dir, err)
	}
	if err := checkFormat(dir); err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	opt := settings{data: dir, workers: 2, memory: 512 << 20}
	store, err := embedded.Open(dir, embeddedOptions(opt, log))
	if errors.Is(err, embedded.ErrInUse) {
		return nil, nil, fmt.Errorf("a server runs on %s: stop it, or ask it by the same command without --data", dir)
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	config, err := options.FromEnv(os.Getenv) // as a server with the same environment
	if err != nil {
		return nil, nil, err
	}
	if config.Memory, err = limitMemory(opt.memory); err != nil {
		return nil, nil, err
	}
	config.Log, config.Now, config.Alone = log, time.Now, true
	signer, err := signerOf(dir)
	if err != nil {
		return nil, nil, err
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a, err := app.New(base, app.Drivers{Blobs: store.Blobs, Table: store.Table, Queue: store.Queue}, signer, config)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { store.Queue.Serve(base, a.Dispatcher.Handle) })
	return &api.Inside{Handler: a.Handler}, func() error {
		cancel()
		running.Wait()
		return store.Close()
	}, nil
}

// signerOf returns the signer of a data folder; nil if its keys are locked or gone. A check
// signs nothing.
func signerOf(dir string) (pgp.Signer, error) {
	keys, err := keyFile{path: filepath.Join(dir, keyName), log: slog.New(slog.DiscardHandler)}.read()
	if err != nil || len(keys) == 0 {
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		return nil, nil
	}
	return pgp.NewSigner(keys...)
}
