package main

import (
	"github.com/spf13/pflag"

	"aptless/core/mirror"
)

// mirrorFlags are the flags of serve about mirrors.
func mirrorFlags(flags *pflag.FlagSet, o *mirror.Options) {
	flags.BoolVar(&o.DownloadSources, "mirror-sources", false, "mirrors have source packages too, unless their creation says otherwise")
	flags.BoolVar(&o.IgnoreSignatures, "mirror-unverified", false, "signatures of mirrored archives are not looked at, unless a request says otherwise")
	flags.IntVar(&o.Parallel, "mirror-parallel", 4, "files that an update of a mirror fetches at the same time")
	flags.StringVar(&o.PPA.Codename, "ppa-codename", "", "distribution of mirrors of ppa:user/project, as noble; without it there are none")
	flags.StringVar(&o.PPA.Distributor, "ppa-distributor", "ubuntu", "distributor of mirrors of ppa:user/project")
	flags.StringVar(&o.PPA.BaseURL, "ppa-url", "http://ppa.launchpad.net", "where the archives of ppa:user/project are")
}
