package differential

import (
	"net/http/httptest"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
)

// archive serves an unsigned archive that both systems mirror, and returns its URL.
func archive(t *testing.T) string {
	t.Helper()
	all := specs()
	tree := upstreamtest.Build(upstreamtest.Spec{
		Architectures: []string{"amd64", "i386"},
		Components: map[string]upstreamtest.Component{
			"main":    {Packages: []debtest.Spec{all["app_1.0_amd64.deb"], all["hello_1.0_amd64.deb"], all["hello_1.0_i386.deb"], all["hello-data_1.0_all.deb"], all["kernel_1.0_amd64.udeb"]}, Sources: []debtest.SourceSpec{source()}},
			"contrib": {Packages: []debtest.Spec{all["other_1.0+b1_amd64.deb"], all["provider_1.0_amd64.deb"]}},
		},
	})
	server := httptest.NewServer(upstreamtest.Serve("", tree))
	t.Cleanup(server.Close)
	return server.URL
}

// mirrorRequests are about mirrors of an archive.
var mirrorRequests = []request{
	get("/api/mirrors"),
	post("/api/mirrors", `{"Name":"m","ArchiveURL":"{{archive}}","Distribution":"stable","IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"m","ArchiveURL":"{{archive}}","Distribution":"stable","IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"src","ArchiveURL":"{{archive}}/","Distribution":"stable","Components":["main"],"Architectures":["amd64"],"DownloadSources":true,"DownloadUdebs":true,"IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"filtered","ArchiveURL":"{{archive}}","Distribution":"stable","Components":["main"],"Architectures":["amd64"],"Filter":"app","FilterWithDeps":true,"IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"x","ArchiveURL":"{{archive}}","Distribution":"stable","Components":["none"],"IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"x","ArchiveURL":"{{archive}}","Distribution":"stable","Architectures":["riscv64"],"IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"x","ArchiveURL":"{{archive}}","Distribution":"none","IgnoreSignatures":true}`),
	post("/api/mirrors", `{"Name":"x","ArchiveURL":"{{archive}}","Distribution":"stable","Filter":"app (","IgnoreSignatures":true}`),
	get("/api/mirrors/m"),
	get("/api/mirrors/none"),
	get("/api/mirrors/m/packages"),
	post("/api/mirrors/m/snapshots", `{"Name":"early"}`),
	put("/api/mirrors/m", `{"IgnoreSignatures":true}`),
	get("/api/mirrors/m/packages"),
	get("/api/mirrors/m/packages?q=hello&format=details"),
	get("/api/mirrors/m/packages?q=app&withDeps=1"),
	get("/api/mirrors/m/packages?q=app%20("),
	put("/api/mirrors/src", `{"IgnoreSignatures":true}`),
	get("/api/mirrors/src/packages"),
	put("/api/mirrors/filtered", `{"IgnoreSignatures":true}`),
	get("/api/mirrors/filtered/packages"),
	put("/api/mirrors/none", `{"IgnoreSignatures":true}`),
	post("/api/mirrors/m/snapshots", `{"Name":"s"}`),
	post("/api/mirrors/m/snapshots", `{"Name":"s"}`),
	post("/api/mirrors/m/snapshots", `{}`),
	post("/api/mirrors/src/snapshots", `{"Name":"t","Description":"of sources"}`),
	get("/api/snapshots/s"),
	get("/api/snapshots/s/packages"),
	get("/api/snapshots/s/diff/t"),
	post("/api/publish/mirrored", `{"SourceKind":"snapshot","Sources":[{"Name":"t"}],"Distribution":"stable",`+signed+`}`),
	published(""),
	del("/api/mirrors/m", ""),
	del("/api/mirrors/m?force=1", ""),
	del("/api/mirrors/none", ""),
	get("/api/snapshots/s/packages"),
	del("/api/mirrors/filtered", ""),
}
