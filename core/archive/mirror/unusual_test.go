package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app/apptest"
)

// fieldArchive describes an archive and its mirror.
type fieldArchive struct {
	fields  map[string]string // of Release; "" removes one
	rename  string            // the folder of the component main
	all     []debtest.Spec    // packages that only binary-all of main lists
	allUdeb []debtest.Spec    // the same for debian-installer
	archs   []string          // "amd64" if nil
	flat    bool
	ignored bool   // IgnoreSignatures
	create  string // further JSON fields of the creation
	want    string // the packages of the mirror, or the beginning of an error
}

// binaryAll adds an index binary-all to a spec.
func binaryAll(spec *upstreamtest.Spec, files map[string][]byte, dir string, packages []debtest.Spec) {
	if packages == nil {
		return
	}
	var text []byte
	for _, p := range packages {
		path := "pool/" + debtest.FileName(p)
		files[path] = debtest.Deb(p)
		text = append(text, stanza(p, path, "{sha256}\n")...)
	}
	if spec.Extra == nil {
		spec.Extra = map[string][]byte{}
	}
	spec.Extra[dir+"/binary-all/Packages"] = text
	spec.Extra[dir+"/binary-all/Packages.gz"] = upstreamtest.Compress(text, ".gz")
}

// TestMirrorsTakeArchivesThatAptTakes mirrors unusual archives from public
// reports. apt 2.6.2 reads them, some with a warning.
func TestMirrorsTakeArchivesThatAptTakes(t *testing.T) {
	const both = "doc_1.0_all foo_1.0_amd64"
	doc, foo := []debtest.Spec{{Package: "doc"}}, "foo_1.0_amd64"
	udebs := []debtest.Spec{{Package: "doc-udeb", Udeb: true}}
	for name, c := range map[string]fieldArchive{
		"binary-all besides":            {fields: map[string]string{"Architectures": "all amd64"}, all: doc, create: `"Architectures":["amd64"]`, want: both},
		"binary-all, none named":        {fields: map[string]string{"Architectures": "all amd64"}, all: doc, want: both},
		"binary-all, not supported":     {fields: map[string]string{"Architectures": "all amd64", "No-Support-for-Architecture-all": "Packages"}, all: doc, create: `"Architectures":["amd64"]`, want: foo},
		"binary-all, no Architectures":  {fields: map[string]string{"Architectures": ""}, all: doc, create: `"Architectures":["amd64"]`, want: both},
		"binary-all, not announced":     {all: doc, create: `"Architectures":["amd64"]`, want: foo},
		"binary-all of udebs":           {fields: map[string]string{"Architectures": "all amd64"}, allUdeb: udebs, create: `"Architectures":["amd64"],"DownloadUdebs":true`, want: "doc-udeb_1.0_all " + foo},
		"binary-all of udebs, not told": {fields: map[string]string{"Architectures": "all amd64"}, allUdeb: udebs, create: `"Architectures":["amd64"]`, want: foo},
		"only all":                      {fields: map[string]string{"Architectures": "all"}, archs: []string{}, all: doc, create: `"Architectures":["amd64"]`, want: "doc_1.0_all"},
		"all and another":               {fields: map[string]string{"Architectures": "all arm64"}, archs: []string{"arm64"}, all: doc, create: `"Architectures":["amd64"]`, want: "doc_1.0_all"},
		"another and no index of all":   {fields: map[string]string{"Architectures": "all arm64"}, archs: []string{"arm64"}, create: `"Architectures":["amd64"]`, want: "unable to fetch mirror: architecture amd64 not available in repo "},
		"all for the listed ones only":  {fields: map[string]string{"Architectures": "all arm64", "No-Support-for-Architecture-all": "Packages"}, archs: []string{"arm64"}, all: doc, create: `"Architectures":["amd64"]`, want: "unable to fetch mirror: architecture amd64 not available in repo "},
		"only all, none named":          {fields: map[string]string{"Architectures": "all"}, archs: []string{}, all: doc, want: "doc_1.0_all"},

		"Components with a prefix":       {fields: map[string]string{"Components": "updates/main updates/contrib"}, create: `"Components":["main"]`, want: foo},
		"Components with a prefix, none": {fields: map[string]string{"Components": "updates/main updates/contrib"}, want: foo},
		"the prefix is named":            {fields: map[string]string{"Components": "updates/main updates/contrib"}, create: `"Components":["updates/main"]`, want: foo},
		"folder of another name":         {fields: map[string]string{"Components": "mongodb"}, rename: "10gen", create: `"Components":["10gen"]`, want: foo},
		"folder of another name, none":   {fields: map[string]string{"Components": "mongodb"}, rename: "10gen", want: foo},
		"a component that is not there":  {create: `"Components":["contrib"]`, want: "unable to fetch mirror: component contrib not available in repo "},

		"no Components":            {fields: map[string]string{"Components": ""}, create: `"Components":["main"],"Architectures":["amd64"]`, want: foo},
		"no Components, none":      {fields: map[string]string{"Components": ""}, want: foo},
		"singular":                 {fields: map[string]string{"Components": "", "Component": "main", "Architectures": "", "Architecture": "amd64"}, create: `"Components":["main"],"Architectures":["amd64"]`, want: foo},
		"singular, none":           {fields: map[string]string{"Components": "", "Component": "main", "Architectures": "", "Architecture": "amd64"}, want: foo},
		"noarch":                   {fields: map[string]string{"Architectures": "noarch"}, create: `"Architectures":["amd64"]`, want: foo},
		"noarch, none":             {fields: map[string]string{"Architectures": "noarch"}, want: foo},
		"architectures not there":  {fields: map[string]string{"Architectures": "all amd64 arm64"}, want: foo},
		"one of two is not there":  {fields: map[string]string{"Architectures": "amd64 arm64"}, create: `"Architectures":["amd64","arm64"]`, want: foo},
		"a component is not there": {fields: map[string]string{"Components": "main contrib"}, create: `"Components":["main","contrib"]`, want: foo},
		"nor with its prefix":      {fields: map[string]string{"Components": "updates/main updates/contrib"}, create: `"Components":["main","contrib"]`, want: foo},
		"nothing of it is there":   {fields: map[string]string{"Components": "main contrib"}, create: `"Components":["contrib"]`, want: "unable to update: no candidates for "},
		"no sources, though asked": {create: `"DownloadSources":true`, want: foo},
		"flat, no Architectures":   {fields: map[string]string{"Architectures": ""}, flat: true, want: foo},
		"flat, with a filter":      {fields: map[string]string{"Architectures": ""}, flat: true, create: `"Filter":"foo","FilterWithDeps":true`, want: foo},

		"Date is none":                {fields: map[string]string{"Date": "Thu., 01 Jan 2026 00:00:00 GMT"}, want: foo},
		"Date of ISO 8601":            {fields: map[string]string{"Date": "2026-01-01 00:00:00 UTC"}, want: foo},
		"Date of asctime":             {fields: map[string]string{"Date": "Thu Jan  1 00:00:00 2026"}, want: foo},
		"Valid-Until is none":         {fields: map[string]string{"Valid-Until": "never"}, want: "unable to fetch mirror: unable to parse Valid-Until: "},
		"Valid-Until, ignored":        {fields: map[string]string{"Valid-Until": "never"}, ignored: true, want: foo},
		"Valid-Until of another zone": {fields: map[string]string{"Valid-Until": "Thu, 01 Jan 2037 00:00:00 JST"}, want: "unable to fetch mirror: unable to parse Valid-Until: "},
	} {
		t.Run(name, func(t *testing.T) {
			apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) { c.mirror(t, s) })
		})
	}
}

// mirror makes the archive and the mirror, and compares the packages.
func (c fieldArchive) mirror(t *testing.T, s *apptest.Process) {
	t.Helper()
	signer := apptest.Signer(t)
	s.Trust(t, signer)
	spec := upstreamtest.Spec{Signer: signer, At: apptest.SigningTime, Suffixes: []string{".gz"}, Fields: c.fields, Architectures: c.archs}
	component := "main"
	switch {
	case c.rename != "":
		component = c.rename
	case c.flat:
		component, spec.Distribution = "", "./"
	}
	var packages []debtest.Spec
	if c.archs == nil {
		packages = []debtest.Spec{{Package: "foo", Architecture: "amd64"}}
	}
	spec.Components = map[string]upstreamtest.Component{component: {Packages: packages}}
	files := map[string][]byte{}
	binaryAll(&spec, files, component, c.all)
	binaryAll(&spec, files, component+"/debian-installer", c.allUdeb)
	tree := upstreamtest.Build(spec)
	for path, data := range files {
		tree[path] = data
	}
	s.Upstream.Set(tree)
	body := `{"Name":"m","ArchiveURL":"https://archive.example.org/debian/","Distribution":"` + spec.Distribution + `"`
	if spec.Distribution == "" {
		body = strings.TrimSuffix(apptest.CreateMirror, "}")
	}
	if c.create != "" {
		body += "," + c.create
	}
	if c.ignored {
		body += `,"IgnoreSignatures":true`
	}
	update := fmt.Sprintf(`{"IgnoreSignatures":%t}`, c.ignored)
	code, got := s.Ask(t, "POST", "/api/mirrors", body+"}")
	if code == 201 {
		if code, got = s.Ask(t, "PUT", "/api/mirrors/m", update); code == 204 {
			got = s.Names(t, "/api/mirrors/m")
		}
	}
	if wantError := strings.Contains(c.want, ":"); wantError && !strings.Contains(got, c.want) || !wantError && (code != 204 || got != c.want) {
		t.Errorf("%d %s, want %s", code, got, c.want)
	}
}

// TestOneGoodSignatureIsEnough mirrors an archive that signs with two keys. A
// keyring with one of them suffices (apt 2.6, methods/gpgv.cc). Without a known
// key the error names both.
func TestOneGoodSignatureIsEnough(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		var keys [2]*pgp.SecretKey
		for i := range keys {
			var err error
			if keys[i], err = pgp.Generate(fmt.Sprint("key", i), "", pgp.Ed25519, apptest.SigningTime); err != nil {
				t.Fatal(err)
			}
		}
		sign := func(keys ...*pgp.SecretKey) pgp.Signer {
			signer, err := pgp.NewSigner(keys...)
			if err != nil {
				t.Fatal(err)
			}
			return signer
		}
		build := func(signer pgp.Signer, without ...string) {
			tree := upstreamtest.Build(apptest.ArchiveSpec(signer))
			for _, name := range without {
				delete(tree, "dists/stable/"+name)
			}
			s.Upstream.Set(tree)
		}
		build(sign(keys[:]...), "Release")
		code, got := s.Ask(t, "POST", "/api/mirrors", apptest.CreateMirror)
		for _, k := range keys {
			if code != 400 || !strings.Contains(got, "signature by "+k.ID().String()+": no public key") || strings.Contains(got, "HTTP code") {
				t.Errorf("%d %s does not name %s", code, got, k.ID())
			}
		}
		s.Trust(t, sign(keys[1]))
		s.Want(t, "POST", "/api/mirrors", apptest.CreateMirror, 201, "")
		for _, without := range [][]string{{"Release"}, {"InRelease"}, nil} {
			slices.Reverse(keys[:])
			build(sign(keys[:]...), without...)
			s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreValidUntil":true,"LatestOnly":true}`, 204, "")
		}
	})
}
