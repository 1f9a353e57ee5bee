package differential

// signed and unsigned end the body of a request. They set AcquireByHash, because its
// default differs.
const (
	signed   = `"AcquireByHash":false,"Signing":{"Batch":true}`
	unsigned = `"Signing":{"Skip":true}`
)

// publishRequests publish local repositories.
var publishRequests = filled(
	get("/api/publish"),
	post("/api/publish", `{"SourceKind":"local","Sources":[{"Name":"r"}],"Architectures":["amd64","i386"],`+signed+`}`),
	published(""),
	get("/api/publish"),
	post("/api/publish", `{"SourceKind":"local","Sources":[{"Name":"r"}],`+signed+`}`),
	post("/api/publish/two", `{"SourceKind":"local","Sources":[{"Name":"r"},{"Name":"s"}],"Distribution":"multi","Origin":"o","Label":"l","NotAutomatic":"yes","ButAutomaticUpgrades":"yes",`+signed+`}`),
	published(""),
	post("/api/publish/filesystem:www:deep_path", `{"SourceKind":"local","Sources":[{"Name":"s"}],"Distribution":"x-y","AcquireByHash":false,`+unsigned+`}`),
	published(storage),
	post("/api/publish/s", `{"SourceKind":"local","Sources":[{"Name":"s","Component":"other"}],"Distribution":"byhash","AcquireByHash":true,`+unsigned+`}`),
	get("/api/publish"),
	upload("f", "hello_1.0-1.dsc", "hello_1.0.orig.tar.gz", "hello_1.0-1.debian.tar.xz", "kernel_1.0_amd64.udeb", "library_1.0~rc1_i386.deb", "app_2.0_amd64.deb"),
	post("/api/repos/r/file/f", ""),
	put("/api/publish/:./sid", `{`+signed+`}`),
	published(""),
	post("/api/publish/src", `{"SourceKind":"local","Sources":[{"Name":"r"}],"Architectures":["amd64","source"],`+signed+`}`),
	published(""),
	put("/api/publish/:./sid", `{"SkipCleanup":true,"ForceOverwrite":true,`+signed+`}`),
	del("/api/repos/r/packages", `{"PackageRefs":["{{hello_1.0_i386}}"]}`),
	put("/api/publish/:./sid", `{"SkipCleanup":true,`+signed+`}`),
	published(""),
	put("/api/publish/:./sid", `{`+signed+`}`),
	published(""),
	put("/api/publish/two/multi", `{"SkipContents":true,`+signed+`}`),
	put("/api/publish/two/none", `{`+signed+`}`),
	put("/api/publish/none/sid", `{`+signed+`}`),
	put("/api/publish/:./sid", `{"Snapshots":[{"Name":"x"}],`+signed+`}`),
	post("/api/publish/bad", `{"SourceKind":"local","Sources":[{"Name":"none"}],`+signed+`}`),
	post("/api/publish/bad", `{"SourceKind":"local","Sources":[],`+signed+`}`),
	post("/api/publish/bad", `{"SourceKind":"nothing","Sources":[{"Name":"r"}],`+signed+`}`),
	post("/api/publish/bad", `{"Sources":[{"Name":"r"}]}`),
	post("/api/publish/bad", `{`),
	post("/api/publish/default", `{"SourceKind":"local","Sources":[{"Name":"s"}],"Signing":{"Batch":true}}`),
	del("/api/publish/default/sid", ""),
	post("/api/publish/left", `{"SourceKind":"local","Sources":[{"Name":"s"}],`+signed+`}`),
	del("/api/repos/s/packages", `{"PackageRefs":["{{hello_2.0_amd64}}"]}`),
	put("/api/publish/left/sid", `{"SkipCleanup":true,`+signed+`}`),
	del("/api/publish/left/sid", ""),
	published(""),
	post("/api/publish/bad", `{"SourceKind":"local","Sources":[{"Name":"r","Component":"a"},{"Name":"s","Component":"a"}],`+signed+`}`),
	post("/api/publish/filesystem:none:x", `{"SourceKind":"local","Sources":[{"Name":"r"}],`+signed+`}`),
	del("/api/repos/r", ""),
	del("/api/publish/two/multi", ""),
	del("/api/publish/two/multi", ""),
	del("/api/publish/filesystem:www:deep_path/x-y", ""),
	published(storage),
	published(""),
	get("/api/publish"),
)

// publishSnapshotRequests publish snapshots.
var publishSnapshotRequests = filled(
	post("/api/repos/r/snapshots", `{"Name":"one"}`),
	post("/api/repos/s/snapshots", `{"Name":"two"}`),
	post("/api/publish/snap", `{"SourceKind":"snapshot","Sources":[{"Name":"one"}],"Distribution":"stable",`+signed+`}`),
	published(""),
	post("/api/publish/snap", `{"SourceKind":"snapshot","Sources":[{"Name":"two"}],"Distribution":"stable",`+signed+`}`),
	post("/api/publish/snap", `{"SourceKind":"snapshot","Sources":[{"Name":"none"}],"Distribution":"x",`+signed+`}`),
	post("/api/publish/multi", `{"SourceKind":"snapshot","Sources":[{"Name":"one","Component":"main"},{"Name":"two","Component":"contrib"}],"Distribution":"stable",`+signed+`}`),
	put("/api/publish/snap/stable", `{"Snapshots":[{"Name":"two","Component":"main"}],`+signed+`}`),
	published(""),
	put("/api/publish/multi/stable", `{"Snapshots":[{"Name":"two","Component":"main"}],`+signed+`}`),
	put("/api/publish/multi/stable", `{"Snapshots":[{"Name":"none","Component":"main"}],`+signed+`}`),
	put("/api/publish/multi/stable", `{"Snapshots":[{"Name":"two","Component":"nothing"}],`+signed+`}`),
	put("/api/publish/snap/none", `{"Snapshots":[{"Name":"two"}],`+signed+`}`),
	get("/api/publish"),
	del("/api/snapshots/two", ""),
	del("/api/snapshots/two?force=1", ""),
	del("/api/publish/multi/stable", ""),
	del("/api/publish/snap/stable", ""),
	published(""),
)
