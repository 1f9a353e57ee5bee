package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"aptless/core/engine/driver"
)

// Distribution answers as CloudFront does with the settings of a template: behaviours by
// path, their functions, and paths as S3 reads them. It has no cache.
type Distribution struct {
	Blobs  driver.Blobs // "public/" and "private/" are the two buckets
	API    http.Handler // the origin api
	Values *KeyValues   // of the functions
	Log    *slog.Logger

	root       string // DefaultRootObject
	policies   []Statement
	buckets    map[string]string // names of the buckets by origin
	behaviours []behaviour
	functions  map[string]*edgeFunction
}

// behaviour is that of the paths of a pattern.
type behaviour struct {
	pattern  *regexp.Regexp // nil matches all
	origin   string         // "public", "packages" or "api"
	function string         // logical name
	headers  map[string]string
}

// NewDistribution returns the distribution Cdn of a template. Its functions run in node.
// edge is the folder infra/edge, and dir is for files.
func NewDistribution(t *Template, edge, dir string) (*Distribution, error) {
	d := &Distribution{functions: map[string]*edgeFunction{}, buckets: map[string]string{}}
	var err error
	if d.policies, err = t.BucketPolicies(); err != nil {
		return d, err
	}
	cdn := t.doc.Resources["Cdn"]
	config := at(&cdn.Properties, "DistributionConfig")
	d.root = text(config, "DefaultRootObject")
	for _, o := range at(config, "Origins").Content {
		if at(o, "S3OriginConfig") == nil {
			continue
		}
		domain, err := t.value(at(o, "DomainName"))
		if err != nil {
			return d, err
		}
		d.buckets[text(o, "Id")], _, _ = strings.Cut(domain, ".")
	}
	all := append([]*yaml.Node{}, at(config, "CacheBehaviors").Content...)
	for _, n := range append(all, at(config, "DefaultCacheBehavior")) {
		b, err := t.behaviour(n)
		if err != nil {
			return d, err
		}
		if d.functions[b.function] == nil && b.function != "" {
			r := t.doc.Resources[b.function]
			if d.functions[b.function], err = startEdge(filepath.Join(edge, "run.mjs"), dir, b.function, text(&r.Properties, "FunctionCode")); err != nil {
				return d, err
			}
		}
		d.behaviours = append(d.behaviours, b)
	}
	return d, nil
}

// behaviour reads a cache behaviour.
func (t *Template) behaviour(n *yaml.Node) (behaviour, error) {
	b := behaviour{origin: text(n, "TargetOriginId"), headers: map[string]string{}}
	if p := text(n, "PathPattern"); p != "" {
		b.pattern = regexp.MustCompile("^/" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
	}
	if list := at(n, "FunctionAssociations"); list != nil && len(list.Content) == 1 {
		name, err := t.chosen(at(list.Content[0], "FunctionARN"))
		if err != nil {
			return b, err
		}
		b.function = strings.TrimSuffix(name.Value, ".FunctionARN")
	}
	policy, err := t.chosen(at(n, "ResponseHeadersPolicyId"))
	if err != nil || policy == nil {
		return b, err
	}
	r := t.doc.Resources[policy.Value]
	if items := at(&r.Properties, "ResponseHeadersPolicyConfig", "CustomHeadersConfig", "Items"); items != nil {
		for _, item := range items.Content {
			b.headers[text(item, "Header")] = text(item, "Value")
		}
	}
	return b, nil
}

// Stop ends the functions.
func (d *Distribution) Stop() {
	for _, f := range d.functions {
		f.stop()
	}
}

// ServeHTTP answers a viewer.
func (d *Distribution) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := edgeRequest{r.Method, r.URL.EscapedPath(), map[string]edgeValue{}}
	if sent.URI == "/" && d.root != "" {
		sent.URI = "/" + d.root
	}
	for name := range r.Header {
		sent.Headers[strings.ToLower(name)] = edgeValue{r.Header.Get(name)}
	}
	b := d.find(sent.URI)
	if f := d.functions[b.function]; f != nil {
		answer, err := f.call(sent, d.Values.Values())
		if err != nil {
			d.Log.Error("function of CloudFront failed", "error", err)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if answer.StatusCode != 0 {
			for name, value := range answer.Headers {
				w.Header().Set(name, value.Value)
			}
			w.WriteHeader(answer.StatusCode)
			return
		}
		sent = answer.edgeRequest
	}
	out := &overriding{ResponseWriter: w, headers: b.headers}
	if b.origin == "api" {
		d.passOn(out, r, sent)
		return
	}
	d.object(out, r, b.origin, sent.URI)
}

func (d *Distribution) find(uri string) behaviour {
	for _, b := range d.behaviours {
		if b.pattern == nil || b.pattern.MatchString(uri) {
			return b
		}
	}
	return behaviour{}
}

// passOn asks the API. The host is that of the origin.
func (d *Distribution) passOn(w http.ResponseWriter, r *http.Request, sent edgeRequest) {
	to := r.Clone(r.Context())
	path, err := url.PathUnescape(sent.URI)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	to.Host, to.URL.Path, to.URL.RawPath, to.Header = "origin.execute-api.local", path, sent.URI, http.Header{}
	for name, value := range sent.Headers {
		to.Header.Set(name, value.Value)
	}
	d.API.ServeHTTP(w, to)
}

// allows reports whether the policies of the buckets allow CloudFront a call.
func (d *Distribution) allows(action, resource string) bool {
	return Allowed(d.policies, "cloudfront.amazonaws.com", Call{action, "arn:aws:s3:::" + resource,
		map[string]string{"aws:SecureTransport": "true", "AWS:SourceArn": "arn:aws:cloudfront::" + account + ":distribution/EDISTRIBUTION"}})
}

// object answers with an object of S3. A plus sign in the path is a blank there. S3 says
// that an object is missing only to a reader that may list the bucket.
func (d *Distribution) object(w http.ResponseWriter, r *http.Request, origin, uri string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	name, err := url.QueryUnescape(strings.TrimPrefix(uri, "/"))
	bucket, missing := map[string]string{"public": "public/", "packages": "private/"}[origin], http.StatusForbidden
	if d.allows("s3:ListBucket", d.buckets[origin]) {
		missing = http.StatusNotFound
	}
	if err == nil && !d.allows("s3:GetObject", d.buckets[origin]+"/"+name) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if err != nil || driver.CheckKey(bucket+name) != nil {
		w.WriteHeader(missing)
		return
	}
	info, err := d.Blobs.Stat(r.Context(), bucket+name)
	if errors.Is(err, driver.ErrNotFound) {
		w.WriteHeader(missing)
		return
	}
	if err != nil {
		d.Log.Error("object was not served", "key", bucket+name, "error", err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", strings.Trim(info.ETag, `"`)))
	w.Header().Set("Content-Type", "binary/octet-stream")
	body := &object{ctx: r.Context(), blobs: d.Blobs, key: bucket + name, size: info.Size}
	defer body.Close()
	http.ServeContent(w, r, "", info.ModTime, body)
}

// overriding replaces headers of an answer.
type overriding struct {
	http.ResponseWriter
	headers map[string]string
}

func (o *overriding) WriteHeader(status int) {
	for name, value := range o.headers {
		o.Header().Set(name, value)
	}
	o.ResponseWriter.WriteHeader(status)
}

// object reads an object from the offset that was sought last.
type object struct {
	ctx    context.Context
	blobs  driver.Blobs
	key    string
	size   int64
	offset int64
	body   io.ReadCloser
}

// Seek implements io.Seeker.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.offset
	case io.SeekEnd:
		offset += o.size
	}
	if offset != o.offset {
		o.Close()
	}
	o.offset = offset
	return offset, nil
}

// Read implements io.Reader.
func (o *object) Read(p []byte) (int, error) {
	if o.offset >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		body, _, err := o.blobs.Open(o.ctx, o.key, &driver.Range{Offset: o.offset, Length: o.size - o.offset})
		if err != nil {
			return 0, err
		}
		o.body = body
	}
	n, err := o.body.Read(p)
	o.offset += int64(n)
	return n, err
}

// Close ends the reading.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	err := o.body.Close()
	o.body = nil
	return err
}
