package options

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"aptless/core/archive/mirror"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/query"
	"aptless/core/archive/upload"
	"aptless/core/front/app"
	"aptless/infra/upstream"
)

// Options are the settings that both deployments share.
type Options struct {
	Async         bool
	Dependencies  query.Options
	Compressions  []string
	Digests       []string // of indexes: see index.ParseDigests
	GzipLevel     int
	SkipContents  bool
	Outage        time.Duration
	SkipBz2       bool
	AllowUpstream []string
	DownloadLimit int64 // KiB a second
	MaxUpload     int64 // MiB
	Mirrors       mirror.Options
}

// Flags adds a flag for each option and sets the defaults.
func (o *Options) Flags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.Async, "async", false, "answer changing requests at once with their task, unless they have _async=false")
	d := &o.Dependencies
	flags.StringSliceVar(&d.Architectures, "architectures", nil, "architectures of dependency resolution and of new mirrors; by default the architectures of the packages and of the archive")
	flags.BoolVar(&d.FollowRecommends, "follow-recommends", false, "dependencies include recommended packages")
	flags.BoolVar(&d.FollowSuggests, "follow-suggests", false, "dependencies include suggested packages")
	flags.BoolVar(&d.FollowSource, "follow-source", false, "dependencies include source packages")
	flags.BoolVar(&d.FollowAllVariants, "follow-all-variants", false, "dependencies include all alternatives and every package that satisfies them")
	flags.StringSliceVar(&o.Compressions, "compress", nil, "compress published indexes as xz, zst or both, besides gz and bz2")
	flags.StringSliceVar(&o.Digests, "digests", []string{"md5", "sha256"}, "digests of indexes that Release files list, of md5, sha1, sha256 and sha512. sha256 must be among them. Each other one costs time and a copy of each index: an update of 10,000 packages takes 0.085 s with sha256, 0.1 s with md5 too, 0.12 s with all four")
	flags.IntVar(&o.GzipLevel, "gzip-level", index.DefaultGzipLevel, "level of .gz files of indexes, 1 to 9. A change renders all indexes anew. Level 1 makes them 2 percent larger and saves no time. Level 9 makes them 1 percent smaller, and a first publication takes 1.4 times as long")
	flags.BoolVar(&o.SkipContents, "skip-contents", false, "publish no Contents, unless a publication is created with SkipContents=false")
	flags.DurationVar(&o.Outage, "outage", 15*time.Minute, "time for which a task is retried while the storage fails")
	flags.BoolVar(&o.SkipBz2, "skip-bz2", false, "publish no .bz2 of indexes, unless a publication is created with SkipBz2=false. It saves a sixth of the CPU time of a first publication, a quarter of an update, and a seventh of the size of indexes")
	flags.StringArrayVar(&o.AllowUpstream, "allow-upstream", nil, "network, address or host that is not public but may be used for mirrors and key servers, for example 10.1.0.0/16 or deb.example.org; may be repeated")
	flags.Int64Var(&o.DownloadLimit, "download-limit", 0, "limit of all downloads from other servers, in KiB a second; 0 is unlimited")
	flags.Int64Var(&o.MaxUpload, "max-upload", upload.DefaultMaxSize>>20, "limit of an uploaded file, in MiB")
	m := &o.Mirrors
	flags.BoolVar(&m.DownloadSources, "mirror-sources", false, "new mirrors download source packages, unless their creation sets DownloadSources")
	flags.BoolVar(&m.IgnoreSignatures, "mirror-unverified", false, "signatures of mirrored archives are not verified, unless a request sets IgnoreSignatures")
	flags.IntVar(&m.Parallel, "mirror-parallel", 8, "files that an update of a mirror downloads at the same time")
	flags.StringVar(&m.PPA.Codename, "ppa-codename", "", "distribution of mirrors of ppa:user/project, for example noble; such mirrors need it")
	flags.StringVar(&m.PPA.Distributor, "ppa-distributor", "ubuntu", "distributor of mirrors of ppa:user/project")
	flags.StringVar(&m.PPA.BaseURL, "ppa-url", "http://ppa.launchpad.net", "URL of the archives of ppa:user/project")
}

// Variable returns the name of the variable for a flag.
func Variable(flag string) string {
	return "APTLESS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// FromEnv returns the configuration of the environment. getenv is a function like
// os.Getenv.
func FromEnv(getenv func(string) string) (app.Config, error) {
	o, err := parse(getenv)
	if err != nil {
		return app.Config{}, err
	}
	return o.Config()
}

// parse reads options from the environment.
func parse(getenv func(string) string) (Options, error) {
	var o Options
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Flags(flags)
	return o, Apply(flags, getenv)
}

// Apply sets each flag that is not set yet to the value of its variable, if the variable
// has one. It leaves out the flags of the names in but. Errors name the variable.
func Apply(flags *pflag.FlagSet, getenv func(string) string, but ...string) error {
	var problems []error
	flags.VisitAll(func(f *pflag.Flag) {
		value := strings.TrimSpace(getenv(Variable(f.Name)))
		if value == "" || f.Changed || slices.Contains(but, f.Name) {
			return
		}
		var err error
		if list, ok := f.Value.(pflag.SliceValue); ok {
			f.Changed = true
			err = list.Replace(fields(value))
		} else {
			err = flags.Set(f.Name, value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %q is not valid: %w", Variable(f.Name), value, err))
		}
	})
	return errors.Join(problems...)
}

// fields splits a list at blanks and commas.
func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// Bounds of the options.
const (
	minOutage   = time.Minute
	maxOutage   = 24 * time.Hour
	maxParallel = 64      // connections of one mirror at a time
	maxLimit    = 1 << 40 // KiB a second; the number of bytes fits into an int64
	maxUpload   = 1 << 20 // MiB; no storage has larger files
)

var (
	archPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`) // Debian policy 5.6.8 and 11.1
	namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_~-]*$`)
)

// check refuses invalid values. Errors name the flag.
func (o Options) check() error {
	for _, arch := range o.Dependencies.Architectures {
		if !archPattern.MatchString(arch) {
			return fmt.Errorf("architectures: %q is not the name of an architecture", arch)
		}
	}
	if err := index.CheckCompressions(o.Compressions); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if _, err := index.ParseDigests(o.Digests); err != nil {
		return fmt.Errorf("digests: %w", err)
	}
	if err := index.CheckGzipLevel(o.GzipLevel); err != nil || o.GzipLevel == 0 {
		return fmt.Errorf("gzip-level: %d is not a level from 1 to 9", o.GzipLevel)
	}
	if o.Outage < minOutage || o.Outage > maxOutage {
		return fmt.Errorf("outage: %v is not between %v and %v", o.Outage, minOutage, maxOutage)
	}
	if o.DownloadLimit < 0 || o.DownloadLimit > maxLimit {
		return fmt.Errorf("download-limit: %d KiB a second are no limit", o.DownloadLimit)
	}
	if o.MaxUpload < 1 || o.MaxUpload > maxUpload {
		return fmt.Errorf("max-upload: %d is not a number of MiB from 1 to %d", o.MaxUpload, maxUpload)
	}
	return o.checkMirrors()
}

func (o Options) checkMirrors() error {
	if o.Mirrors.Parallel < 1 || o.Mirrors.Parallel > maxParallel {
		return fmt.Errorf("mirror-parallel: %d is not a number from 1 to %d", o.Mirrors.Parallel, maxParallel)
	}
	ppa := o.Mirrors.PPA
	if ppa.Codename != "" && !namePattern.MatchString(ppa.Codename) {
		return fmt.Errorf("ppa-codename: %q is not the name of a distribution", ppa.Codename)
	}
	if !namePattern.MatchString(ppa.Distributor) {
		return fmt.Errorf("ppa-distributor: %q is not the name of a distributor", ppa.Distributor)
	}
	if u, err := url.Parse(ppa.BaseURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("ppa-url: %q is not an address that begins with http:// or https://", ppa.BaseURL)
	}
	return nil
}

// Config checks the options and returns their configuration. The caller sets the fields
// that depend on the deployment.
func (o Options) Config() (app.Config, error) {
	if err := o.check(); err != nil {
		return app.Config{}, err
	}
	servers, err := upstream.New(upstream.Options{Allow: o.AllowUpstream, Limit: o.DownloadLimit << 10})
	if err != nil {
		return app.Config{}, fmt.Errorf("allow-upstream: %w", err)
	}
	return app.Config{
		Version: app.Version, Async: o.Async, Dependencies: o.Dependencies,
		Compressions: o.Compressions, Digests: o.Digests, GzipLevel: o.GzipLevel, SkipContents: o.SkipContents, SkipBz2: o.SkipBz2, Outage: o.Outage, MaxUpload: o.MaxUpload << 20,
		Upstream: servers, Mirrors: o.Mirrors,
	}, nil
}
