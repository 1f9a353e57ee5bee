package boot

import (
	"html/template"
	"net/http"
	"strings"
)

// indexPath is the root object of the distribution: CloudFront asks for it in place of "/".
const indexPath = "/index.html"

// indexAge is the time for which CloudFront and browsers may keep the page.
const indexAge = "max-age=300"

var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Debian packages</title>
<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}pre{background:#f2f2f2;padding:.7em;overflow:auto}</style></head>
<body>
<h1>Debian packages</h1>
<p>{{.}} is a repository for apt.</p>
<h2>Use it</h2>
<pre>sudo curl -fsSLo /etc/apt/sources.list.d/aptless.sources {{.}}/aptless.sources
sudo apt update</pre>
<p>The file <a href="/aptless.sources">aptless.sources</a> contains the public key, which is also <a href="/key.asc">key.asc</a>.
For another prefix, its name comes before the file's: <code>{{.}}/PREFIX/aptless.sources</code>.</p>
<p>Former states are below <code>{{.}}/snapshots/</code>. The <a href="/docs.html">documentation of the API</a> is for publishers.</p>
</body>
</html>
`))

// index answers for the page at the root. It names no publication: some may be private.
func index(address string, w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != indexPath || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", indexAge)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	if r.Method == http.MethodGet {
		_ = indexPage.Execute(w, strings.TrimSuffix(address, "/"))
	}
	return true
}
