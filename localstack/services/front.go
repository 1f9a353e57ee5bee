package services

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// front forwards requests to versitygw, one change at a time.
type front struct {
	pass    http.Handler
	client  *s3.Client
	changes sync.RWMutex // held for a change, and by a read until its headers are there
	created listeners
}

// opened is the context key of the function that a read calls when it has its headers.
type opened struct{}

// newFront returns a server of a front at an address.
func newFront(addr, gateway string) (*http.Server, error) {
	to, err := url.Parse(gateway)
	if err != nil {
		return nil, err
	}
	f := &front{client: s3.New(s3.Options{BaseEndpoint: &gateway, UsePathStyle: true, Region: region, Credentials: credentials()})}
	f.pass = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // the signature covers the header
	}, ModifyResponse: func(r *http.Response) error {
		if done, ok := r.Request.Context().Value(opened{}).(func()); ok {
			done()
		}
		if q := r.Request.URL.Query(); r.StatusCode == http.StatusOK && (r.Request.Method == http.MethodPut && !q.Has("partNumber") || r.Request.Method == http.MethodPost && q.Has("uploadId")) {
			if bucket, key, ok := strings.Cut(strings.TrimPrefix(r.Request.URL.Path, "/"), "/"); ok && key != "" {
				f.created.call(bucket, key)
			}
		}
		return nil
	}}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Addr: addr, Handler: f}
	go server.Serve(listener)
	return server, nil
}

// ServeHTTP forwards a request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		f.changes.RLock()
		done := sync.OnceFunc(f.changes.RUnlock) // the body is that of the opened file
		defer done()
		r = r.WithContext(context.WithValue(r.Context(), opened{}, done))
	} else {
		f.changes.Lock()
		defer f.changes.Unlock()
	}
	if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "" && !f.mayCopy(w, r) {
		return
	}
	f.pass.ServeHTTP(w, r)
}

// mayCopy checks the conditions of a copy, and answers the request if they fail.
func (f *front) mayCopy(w http.ResponseWriter, r *http.Request) bool {
	absent, match := r.Header.Get("If-None-Match") == "*", r.Header.Get("If-Match")
	if !absent && match == "" {
		return true
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	out, err := f.client.HeadObject(r.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	switch {
	case err != nil && match != "":
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case err == nil && (absent || aws.ToString(out.ETag) != match):
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		return true
	}
	return false
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%[1]s</Message></Error>`, code)
}

// listeners are functions that want to know of new objects.
type listeners struct {
	mu   sync.Mutex
	next int
	all  map[int]func(bucket, key string)
}

func (l *listeners) add(f func(bucket, key string)) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[int]func(bucket, key string){}
	}
	l.next++
	id := l.next
	l.all[id] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, id)
	}
}

func (l *listeners) call(bucket, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.all {
		go f(bucket, key)
	}
}
