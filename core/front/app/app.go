package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/archive/deliver"
	"aptless/core/archive/drop"
	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/origin"
	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/query"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/source"
	"aptless/core/archive/transfer"
	"aptless/core/archive/upload"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc"
)

// Drivers are the ports to storage, table and queue.
type Drivers struct {
	Blobs driver.Blobs
	Table driver.Table
	Queue driver.Queue
	Edge  driver.Edge // where another program serves the published files; nil where Handler does
}

// trees mounts the further storages into blobs. It returns the result and the names of
// the storages.
func trees(blobs driver.Blobs, storages map[string]driver.Blobs) (driver.Blobs, []string) {
	names := slices.Sorted(maps.Keys(storages))
	var mounted []driver.Mounted
	for _, name := range names {
		mounted = append(mounted, driver.Mounted{Blobs: storages[name], At: paths.StorageRoot(name) + "/", Keys: "public/"})
	}
	return driver.Mount(blobs, mounted...), names
}

// Version is the answer of /api/version: the version of aptly's API, then aptless's own.
const Version = "1.6.3+aptless0.1"

// dropAtOnce is publish.Store.DropAtOnce: the removal of 500 files takes about 50 ms.
const dropAtOnce = 500

// Config holds the settings that an operator may change.
type Config struct {
	Version      string        // the answer of /api/version
	Async        bool          // the default of _async: answer with the task
	Wait         time.Duration // bounds the wait of a request for its task; 0 is unbounded
	Dependencies query.Options // settings of dependency resolution
	Memory       int64         // the memory budget of the process in bytes; 0 is DefaultMemory
	Cache        int64         // bytes of list chunks kept in memory; 0 is a sixteenth of Memory
	Log          *slog.Logger
	Now          func() time.Time
	Compressions []string // additional forms of published indexes: "xz", "zst"
	MaxUpload    int64    // the limit of an uploaded file in bytes; 0 is upload.DefaultMaxSize
	Digests      []string // that Release files list: see index.ParseDigests
	GzipLevel    int      // of .gz files of indexes, 1 to 9; 0 is 6
	SpoolLimit   int      // bytes of an index in memory while it is written; 0 is 64 MiB
	SkipContents bool     // the default of new publications; so is SkipBz2
	SkipBz2      bool
	Upstream     upstream.Fetcher                           // sends requests to other servers; nil disables them
	Sleep        func(context.Context, time.Duration) error // sleeps on the clock of Now; nil sleeps in real time
	Draw         api.Draw                                   // runs the program dot; nil if it is not installed

	// CleanupEvery is the time between collections of unreferenced files that ticks begin; 0
	// is never.
	CleanupEvery time.Duration

	// UnpackTime bounds the time to read the paths of a package for Contents. A package that
	// takes longer is stored without them, with a warning; 0 is no bound.
	UnpackTime time.Duration

	// Ahead declares that the process calls RenderAhead. Collections then list the rendered
	// indexes, at the cost of a request.
	Ahead bool

	Freezer api.Freezer               // makes copies of the data folder; nil where there is none
	Space   func() (api.Space, error) // returns the size of the storage; nil if it is unbounded
	Metrics *prometheus.Registry      // receives the metrics of the API; nil disables them

	// Random returns a random number from 0 to n-1 for pauses; nil is math/rand/v2. A
	// simulation repeats its runs by it.
	Random func(n int64) int64

	// Alone declares that no other process uses the storage. Tasks of an earlier process
	// then resume without waiting for its leases.
	Alone bool
	// Outage bounds the time for which a task is retried while the storage fails; 0 is
	// 15 minutes.
	Outage time.Duration

	// Storages are further places to publish to, by the names that clients use:
	// "filesystem:www", "s3:eu". Only keys below "public/" are written to them.
	Storages map[string]driver.Blobs

	Mirrors mirror.Options // nil Architectures default to Dependencies.Architectures

	// SourceDate is the Date of every Release file; zero stands for the current time.
	SourceDate time.Time

	// Auth says which requests Handler answers; nil is all of them.
	Auth *Auth

	// Address is the URL of Handler. Release files then have the field Snapshots, by
	// which apt finds former states.
	Address string
	// Elsewhere declares that another program serves the published files at Address.
	Elsewhere bool

	Pages *Pages // settings of the pages for readers; nil is none of them
}

// Limits of a request to a key server. A client waits for the request.
const (
	keyTimeout = 20 * time.Second
	maxKeys    = 16 << 20 // bytes
)

// New composes an App. Signer signs publications and may be nil. base is the context
// of work that outlives its request.
func New(base context.Context, d Drivers, signer pgp.Signer, c Config) (*App, error) {
	memory := divide(c.Memory, c.Cache)
	c.setDefaults()
	if err := index.CheckCompressions(c.Compressions); err != nil {
		return nil, err
	}
	digests, err := index.ParseDigests(c.Digests)
	if err = errors.Join(err, index.CheckGzipLevel(c.GzipLevel)); err != nil {
		return nil, err
	}
	d.Table = driver.Ordered(d.Table, slices.Collect(maps.Values(c.Storages))...)
	epoch := &gc.Epoch{Table: d.Table}
	lists := pkglist.Store{Chunks: &lists.Store{Blobs: d.Blobs, Cache: memory.cache, Ahead: memory.ahead, Epoch: epoch.Number}}
	files := &pool.Store{Table: d.Table, Blobs: d.Blobs, Epoch: epoch, Memory: memory.items, UnpackTime: c.UnpackTime, Now: c.Now}
	uploads := &upload.Store{Table: d.Table, Blobs: d.Blobs, Pool: files, Now: c.Now, MaxSize: c.MaxUpload}
	guarding, keyrings := protect(d, c), &keyring.Store{Table: d.Table, Now: c.Now, Fetch: fetchKeys(c.Upstream)}
	repos := &repo.Store{Table: d.Table, Lists: lists, Pool: files, Memory: memory.tasks, Uploads: uploads, Now: c.Now, Keyring: keyrings.Keyring, Dependencies: c.Dependencies}
	mirrors := &mirror.Store{
		Table: d.Table, Lists: lists, Pool: files, Now: c.Now, Fetcher: c.Upstream, Keyring: keyrings.Keyring, Options: c.Mirrors, Dependencies: c.Dependencies,
	}
	snapshots := &snapshot.Store{Table: d.Table, Lists: lists, Pool: files, Repos: repos, Mirrors: mirrors, Now: c.Now, Dependencies: c.Dependencies}
	repos.Snapshots, repos.Mirrors, repos.May, repos.Origins, repos.By = snapshots, mirrors, guarding.may, &origin.Store{Table: d.Table}, guarding.originBy
	public, storages := trees(d.Blobs, c.Storages)
	publications := &publish.Store{
		Table: d.Table, Blobs: public, Storages: storages, Lists: lists, Sources: source.Finders{source.Repo: repos, source.Snapshot: snapshots}, Signer: signer,
		PoolKey: pool.FileKey, Paths: pathsIn(files), Tasks: memory.tasks, Parts: memory.items, Compressions: c.Compressions, Digests: digests, GzipLevel: c.GzipLevel, SpoolLimit: c.SpoolLimit, SkipContents: c.SkipContents, SkipBz2: c.SkipBz2, DropAtOnce: dropAtOnce, Alone: c.Alone, Now: c.Now, Sleep: c.Sleep, SourceDate: c.SourceDate,
	}
	if c.Address != "" {
		publications.Snapshots = strings.TrimSuffix(c.Address, "/") + "/snapshots"
	}
	deliveries := &deliver.Store{Repos: repos, Publications: publications, Uploads: uploads}
	drops := dropBox(&drop.Store{Table: d.Table, Blobs: d.Blobs, Repos: repos, Uploads: uploads, Deliveries: deliveries, Now: c.Now})
	transfers := &transfer.Store{Table: d.Table, Blobs: d.Blobs, Lists: lists, Pool: files, Uploads: uploads, Repos: repos, Mirrors: mirrors, Snapshots: snapshots, Publications: publications, Keyrings: keyrings, Now: c.Now, May: guarding.may}
	tasks := guarding.watch(&task.Store{Table: d.Table, Blobs: d.Blobs, Queue: d.Queue, Now: c.Now, Log: c.Log, Epoch: epoch, Random: c.Random})
	mirrors.Tasks, drops.Tasks = tasks, tasks
	collector := &gc.Collector{
		Table: d.Table, Blobs: d.Blobs, Lists: lists.Chunks, Tasks: tasks, Epoch: epoch, Now: c.Now, Budget: memory.items,
		Sources: []gc.Source{
			{Part: "repo", Roots: repos.Roots},
			{Part: "mirror", Roots: mirrors.Roots},
			{Part: "snapshot", Roots: snapshots.Roots},
			{Part: "publish", Roots: publications.Roots}, {Part: publish.RemovalPart, Roots: publications.Roots},
			{Part: publish.StagingPart, Roots: publications.StagingRoots}, {Part: publish.InventoryPart, Roots: publications.InventoryRoots},
			{Part: transfer.ExportPart, Roots: transfers.ExportRoots}, {Part: transfer.WaitingPart, Roots: transfers.WaitingRoots}, {Part: publish.LatePart, Roots: publications.LateRoots},
		},
		Areas: slices.Concat(repos.Origins.Areas(), files.Areas(), []gc.Area{gc.ListArea(lists.Chunks), publications.Area()}, aheadAreas(c, publications), uploads.Areas(), transfers.Areas()),
		Refs:  packageNames, FileName: pool.FilePin,
	}
	for _, src := range collector.Sources {
		epoch.Heads = append(epoch.Heads, src.Part)
	}
	repairs := api.Repairs{api.PoolRepairer(files), {Name: "Publications", Repair: publications.RepairAll}}
	checker, listings := checkerOf(collector, files, publications), &api.Listings{Present: guarding.sender, Memory: memory.tasks}
	dispatcher, err := task.NewDispatcher(tasks, slices.Concat(repos.Kinds(), mirrors.Kinds(), snapshots.Kinds(), publications.Kinds(), deliveries.Kinds(), drops.Kinds(), transfers.Kinds(), collector.Kinds(), checker.Kinds(), []task.Kind{repairs.Kind(), listings.Kind()}))
	if err != nil {
		return nil, err
	}
	scheduled := &cleanups{table: d.Table, every: c.CleanupEvery, spec: collector.Check, now: c.Now}
	a := &App{Dispatcher: dispatcher, tasks: tasks, publications: publications, repos: repos, mirrors: mirrors, drops: drops, protection: guarding, cleanups: scheduled, planners: map[string]task.Planner{mirror.UpdateEntry: mirrors.Plan, publish.ExpiryKind: publications.PlanRefresh, publish.RecheckKind: publications.PlanRecheck, drop.EntryKind: drops.Plan, cleanupKind: scheduled.plan}, signatures: signatures{public, signer}, now: c.Now}
	dispatcher.Alone, dispatcher.Outage, dispatcher.Allow, dispatcher.Unsettled, checker.Events = c.Alone, cmp.Or(c.Outage, dispatcher.Outage), guarding.allow, publications.Unsettled, eventsOf(a.planners)
	direct, _ := d.Blobs.(driver.Direct)
	objects := drawing{publications, lists, []func(context.Context) ([]source.Source, error){mirrors.Sources, repos.Sources, snapshots.Sources}}
	server := &api.Server{
		Direct: direct, Guard: guarding.guard(), Tokens: guarding.tokens, Audit: guarding.audit, Nodes: objects.nodes, References: objects.references, Locations: objects.locations, Setup: a.setup, Draw: c.Draw, Space: c.Space, Freezer: c.Freezer,
		Version: c.Version, Address: c.Address, Async: c.Async, Wait: c.Wait, Log: c.Log, Dependencies: c.Dependencies, Base: base,
		Tasks: tasks, Pool: files, Uploads: uploads, Repos: repos, Origins: repos.Origins, Snapshots: snapshots, Mirrors: mirrors, Publish: publications, Collector: collector, Repairs: repairs, Listings: listings, Bodies: memory.bodies, Checker: checker, Keyrings: keyrings, Deliveries: deliveries, Drops: drops, Transfers: transfers, Problems: a.Problems,
		Tree: &api.Tree{
			Blobs: public, Storages: storages, AsOf: publications.AsOf, Log: c.Log,
			Key:     func(context.Context) ([]byte, error) { return armored(a.signatures.keys()), nil },
			Sources: a.sourcesText,
		},
	}
	if c.Elsewhere {
		server.Tree.Public = c.Address
	}
	if c.Metrics != nil {
		server.Metrics = api.NewMetrics(c.Metrics, c.Version)
	}
	return a, a.serve(server, c.Pages)
}

// aheadAreas returns the area of the indexes that are rendered ahead, if the process does
// that.
func aheadAreas(c Config, publications *publish.Store) []gc.Area {
	if !c.Ahead {
		return nil
	}
	return []gc.Area{publications.AheadArea()}
}

// pathsIn returns the function by which publications read the paths of a package.
func pathsIn(files *pool.Store) func(context.Context, string) (index.Paths, error) {
	return func(ctx context.Context, key string) (index.Paths, error) { return files.Paths(ctx, key) }
}

// packageNames returns the names of the pool objects that a package of a list refers to.
func packageNames(r lists.Record) ([]string, error) {
	p, err := pkglist.Decode(r)
	if err != nil {
		return nil, err
	}
	return pool.Names(p), nil
}

// fetchKeys returns the function that requests keys from key servers, or nil if there
// is no Fetcher.
func fetchKeys(f upstream.Fetcher) func(context.Context, string) ([]byte, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, url string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, keyTimeout)
		defer cancel()
		return upstream.Get(ctx, f, url, maxKeys)
	}
}

// setDefaults sets functions that are nil, and the architectures of mirrors.
func (c *Config) setDefaults() {
	if c.Sleep == nil {
		c.Sleep = parallel.Sleep
	}
	if c.Draw == nil {
		c.Draw = drawNothing
	}
	if c.Mirrors.Architectures == nil {
		c.Mirrors.Architectures = c.Dependencies.Architectures
	}
}

// protect returns the protection that c asks for.
func protect(d Drivers, c Config) *protection {
	issuers := &oidc.Verifier{Now: c.Now}
	if c.Upstream != nil {
		issuers.Fetch = func(ctx context.Context, url string, limit int64) ([]byte, error) {
			return upstream.GetHere(ctx, c.Upstream, url, limit)
		}
	}
	p := &protection{Auth: c.Auth, log: c.Log, now: c.Now, tokens: &auth.Store{Table: d.Table, Edge: d.Edge, Now: c.Now, Issuers: issuers}, audit: &audit.Store{Table: d.Table, Now: c.Now, Log: c.Log}}
	if a := c.Auth; a != nil {
		p.tokens.Environment, p.tokens.Fresh, p.audit.Keep = a.Environment, a.Fresh, a.Keep
	}
	return p
}
