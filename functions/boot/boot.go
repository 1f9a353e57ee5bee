package boot

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/auth"
	"aptless/core/front/pages"
	"aptless/functions/options"
	"aptless/infra/aws"
	"aptless/infra/aws/lambda"
)

// Function is a Lambda function. It makes its application at the first call that needs it.
type Function struct {
	Log *slog.Logger

	connect func(context.Context) (*ports, error)
	build   func(context.Context, *ports) (*app.App, error)

	now func() time.Time // for the age of the application

	mu    sync.Mutex // held while the application is made; guards the fields below
	ports *ports
	app   *app.App
	made  time.Time // of the last attempt to make app
}

// keysFor is the age of an application at which the next call makes another one. So a
// process finds keys that an operator has changed.
const keysFor = 15 * time.Minute

// ports are the drivers of a function.
type ports struct {
	app.Drivers
	hide  func(context.Context, driver.Message, time.Duration) error
	lease time.Duration

	aws    *aws.Drivers
	config aws.Config
}

// New returns a function configured by the environment variables that getenv returns.
// signing names the secret keys (see newSigner); "" is a function that does not sign. set
// completes the configuration and may be nil.
func New(getenv func(string) string, signing string, set func(*app.Config)) *Function {
	f := &Function{Log: slog.New(slog.NewJSONHandler(os.Stdout, nil)), now: time.Now}
	f.connect = func(ctx context.Context) (*ports, error) {
		c, err := aws.FromEnv(getenv)
		if err != nil {
			return nil, err
		}
		d, err := aws.Connect(ctx, c)
		if err != nil {
			return nil, err
		}
		drivers := app.Drivers{Blobs: d.Blobs, Table: d.Table, Queue: d.Queue}
		if arn := getenv("APTLESS_EDGE"); arn != "" {
			drivers.Edge = d.NewEdge(arn, getenv("APTLESS_EDGE_URL"))
		}
		return &ports{drivers, d.Queue.Hide, c.Lease, d, c}, nil
	}
	f.build = func(ctx context.Context, p *ports) (*app.App, error) {
		config, err := options.FromEnv(getenv)
		if err != nil {
			return nil, err
		}
		if config.Memory, err = memory(getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")); err != nil {
			return nil, err
		}
		if config.CleanupEvery, err = duration(getenv("APTLESS_CLEANUP_EVERY")); err != nil {
			return nil, err
		}
		if config.Storages, err = p.aws.ConnectStorages(ctx, p.config.Storages); err != nil {
			return nil, err
		}
		var signer pgp.Signer
		if signer, err = newSigner(ctx, p.aws, signing, getenv("APTLESS_PUBLIC_KEY")); err != nil {
			return nil, err
		}
		config.Log, config.Now = f.Log, time.Now
		config.Address, config.Elsewhere = getenv("APTLESS_ADDRESS"), true
		if config.Auth, err = access(getenv("APTLESS_AUTHORIZER"), getenv("APTLESS_IAM_DEFAULT_ROLE")); err != nil {
			return nil, err
		}
		config.Pages = &app.Pages{About: pages.About{Title: getenv("APTLESS_TITLE"), Text: getenv("APTLESS_ABOUT"), Contact: getenv("APTLESS_CONTACT")}}
		config.UnpackTime = unpackTime
		if set != nil {
			set(&config)
		}
		// The application outlives the call that makes it.
		a, err := app.New(context.WithoutCancel(ctx), p.Drivers, signer, config)
		if err != nil {
			return nil, err
		}
		a.Dispatcher.Lease = p.lease
		return a, nil
	}
	return f
}

// unpackTime is the time of a package for its paths. A function has ten minutes. They also
// suffice to read the rest of the largest package, and for a copy into the pool. A member
// of an ar archive has fewer than 10^10 bytes.
const unpackTime = 7 * time.Minute

// fresh is how long an instance remembers a token: so long after its revocation it may
// still be accepted.
const fresh = 30 * time.Second

// access returns which calls are answered. A function is always closed. role is of callers
// with AWS credentials and without a binding.
func access(authorizer, role string) (*app.Auth, error) {
	switch authorizer {
	case "", "TOKENS":
		return &app.Auth{Closed: true, Fresh: fresh}, nil
	case "IAM":
		a := &app.Auth{Closed: true, Fresh: fresh, Caller: lambda.Caller}
		switch role {
		case "", "admin":
			a.IAMRole = auth.Admin
		case "none":
		default:
			return nil, fmt.Errorf("APTLESS_IAM_DEFAULT_ROLE: %.50q is neither admin nor none", role)
		}
		return a, nil
	}
	return nil, fmt.Errorf("APTLESS_AUTHORIZER: %.50q is neither TOKENS nor IAM", authorizer)
}

// memory returns the memory budget of a function with size MB, and limits the heap. An
// eighth is left for the program and the system.
func memory(size string) (int64, error) {
	if size == "" {
		return app.DefaultMemory, nil
	}
	n, err := strconv.ParseInt(size, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE: %q is not a number of megabytes", size)
	}
	limit := n << 20 / 8 * 7
	debug.SetMemoryLimit(limit)
	return max(limit, app.MinMemory), nil
}

// duration parses APTLESS_CLEANUP_EVERY: at least an hour, or 0 or "" for never.
func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d != 0 && d < time.Hour {
		return 0, fmt.Errorf("APTLESS_CLEANUP_EVERY: %.50q is no time of an hour or more", text)
	}
	return d, nil
}

// open returns the application. It makes the application if there is none, or if its keys
// are old. If another one cannot be made, the former one goes on.
func (f *Function) open(ctx context.Context) (*app.App, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.app != nil && f.now().Sub(f.made) < keysFor {
		return f.app, nil
	}
	p, err := f.connected(ctx)
	if err != nil {
		return nil, err
	}
	made, err := f.build(ctx, p)
	f.made = f.now()
	if err != nil && f.app != nil {
		f.Log.Error("the keys were not read again", "error", err)
		return f.app, nil
	}
	if err == nil {
		f.app = made
	}
	return made, err
}

// connected returns the ports. The caller holds f.mu.
func (f *Function) connected(ctx context.Context) (_ *ports, err error) {
	if f.ports == nil {
		f.ports, err = f.connect(ctx)
	}
	return f.ports, err
}

// worker returns the receiver of a queue's messages. It needs only the ports, so messages
// are handled even if the application cannot be made.
func (f *Function) worker(ctx context.Context, slice time.Duration) (*lambda.Worker, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.connected(ctx)
	if err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		a, err := f.open(ctx)
		if err != nil {
			f.Log.Error("function cannot run tasks", "error", err)
			return unready(p, f.Log, err).Handle(ctx, m)
		}
		a.Dispatcher.Slice = slice
		return a.Dispatcher.Handle(ctx, m)
	}
	return &lambda.Worker{Handle: handle, Hide: p.hide, Log: f.Log, Lease: p.lease}, nil
}

// unready returns a dispatcher that writes the reason into tasks: the worker cannot start.
func unready(p *ports, log *slog.Logger, why error) *task.Dispatcher {
	store := &task.Store{Table: p.Table, Blobs: p.Blobs, Queue: p.Queue, Now: time.Now, Log: log}
	return task.Unready(store, p.lease, fmt.Errorf("the worker cannot start: %w", why))
}
