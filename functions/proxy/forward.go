package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"aptless/core/client"
)

// Proxy forwards requests to a server.
type Proxy struct {
	Client  *client.Client // of the server, with its credentials
	Spool   string         // folder for uploads on their way; "" is that of the system
	AnyHost bool           // requests for any host are answered
	Log     *slog.Logger
}

// maxBody bounds the body of a request that is not an upload, in bytes. A function on AWS
// takes no more.
const maxBody = 4_500_000

// maxTask bounds the JSON of a task, in bytes.
const maxTask = 64 << 20

// ServeHTTP answers a request with the answer of the server.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.foreign(r) {
		refuse(w, http.StatusForbidden, "the proxy answers programs of this machine only, and no web page of another site")
		return
	}
	if p.upload(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case len(body) > maxBody:
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a body of more than %d bytes is taken for uploads to /api/files only", maxBody))
		return
	}
	p.forward(w, r, body)
}

// refuse answers with an error in the form of the API.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// fail answers after a request that the server did not answer. The text has no address:
// a signed one is a secret.
func (p *Proxy) fail(w http.ResponseWriter, err error) {
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	p.Log.Warn("the server was not reached", "error", err)
	refuse(w, http.StatusBadGateway, "the server was not reached: "+err.Error())
}

// ask sends a request to the server, with its credentials. It follows no redirect.
func (p *Proxy) ask(ctx context.Context, method, uri string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(p.Client.URL, "/")+uri, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	if p.Client.Authorize != nil {
		if err := p.Client.Authorize(req); err != nil {
			return nil, err
		}
	}
	once := *p.Client.HTTP
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return once.Do(req)
}

// forward sends a request on and answers with the answer.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	for {
		resp, err := p.ask(r.Context(), r.Method, r.URL.RequestURI(), passed(r.Header), body)
		if err != nil {
			p.fail(w, err)
			return
		}
		again := p.pass(w, r, resp)
		resp.Body.Close()
		if !again {
			return
		}
	}
}

// pass answers with the answer of the server. It reports true if the request is to be
// sent again: a wait was cut off before its task ended.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, resp *http.Response) (again bool) {
	async, _ := strconv.ParseBool(r.URL.Query().Get("_async"))
	switch {
	case resp.StatusCode == http.StatusSeeOther && resp.Header.Get("Location") != "":
		p.follow(w, r, resp)
		return false
	case resp.StatusCode == http.StatusAccepted && !async:
		return p.finish(w, r, resp)
	case strings.HasPrefix(r.URL.Path, "/api/tasks/") && strings.HasSuffix(r.URL.Path, "/wait") && resp.StatusCode == http.StatusOK:
		data, t, err := readTask(resp)
		if err != nil {
			p.fail(w, err)
			return false
		}
		if t.State < client.Succeeded {
			return r.Context().Err() == nil
		}
		answered(w.Header(), resp.Header)
		w.Header().Del("Content-Length")
		w.Header().Del("Content-Encoding")
		w.WriteHeader(resp.StatusCode)
		w.Write(data)
		return false
	}
	answered(w.Header(), resp.Header)
	p.relocate(w.Header())
	if resp.Uncompressed { // by Go's transport, which has asked for gzip
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the client sees that the answer is cut
	}
	return false
}

// relocate turns a redirect within the server into one within the proxy.
func (p *Proxy) relocate(h http.Header) {
	if to := h.Get("Location"); strings.HasPrefix(to, strings.TrimSuffix(p.Client.URL, "/")+"/") {
		h.Set("Location", strings.TrimPrefix(to, strings.TrimSuffix(p.Client.URL, "/")))
	}
}

func readTask(resp *http.Response) ([]byte, client.Task, error) {
	var t client.Task
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTask))
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	return data, t, err
}

// follow answers with the object to which the server has redirected. No credentials are
// sent there.
func (p *Proxy) follow(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	to, err := resp.Location()
	if err != nil {
		p.fail(w, err)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		p.fail(w, err)
		return
	}
	object, err := p.Client.HTTP.Do(req)
	if err != nil {
		p.fail(w, err)
		return
	}
	defer object.Body.Close()
	if object.StatusCode != http.StatusOK {
		refuse(w, http.StatusBadGateway, fmt.Sprintf("the storage answered %d for a long answer", object.StatusCode))
		return
	}
	answered(w.Header(), resp.Header)
	for _, name := range []string{"Location", "Content-Length"} {
		w.Header().Del(name)
	}
	w.Header().Set("Content-Type", object.Header.Get("Content-Type"))
	if encoding := object.Header.Get("Content-Encoding"); encoding != "" {
		w.Header().Set("Content-Encoding", encoding)
	}
	if _, err := io.Copy(w, object.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// outcome is the result of a task as the API tells it.
type outcome struct {
	Code  int
	Value json.RawMessage
}

// finish waits for the task of an answer 202 and answers with its result, as a server
// without a bound on waits does. The record of the task is removed, as there.
func (p *Proxy) finish(w http.ResponseWriter, r *http.Request, resp *http.Response) (again bool) {
	data, t, err := readTask(resp)
	if err != nil || t.ID == 0 { // no task: the answer is passed as it is
		answered(w.Header(), resp.Header)
		w.Header().Del("Content-Length")
		w.WriteHeader(resp.StatusCode)
		w.Write(data)
		return false
	}
	ended, err := p.Client.Wait(r.Context(), t.ID)
	if err != nil {
		if r.Context().Err() == nil {
			refuse(w, http.StatusBadGateway, fmt.Sprintf("task %d goes on, and the server was not reached: GET /api/tasks/%d", t.ID, t.ID))
		}
		return false
	}
	var result outcome
	code, value, err := p.result(r.Context(), ended, &result)
	if err != nil {
		p.fail(w, err)
		return false
	}
	forget, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	if done, err := p.ask(forget, http.MethodDelete, fmt.Sprintf("/api/tasks/%d", t.ID), http.Header{}, nil); err == nil {
		done.Body.Close()
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	if code != http.StatusNoContent {
		w.Write(value)
	}
	return false
}

// result returns the status and the body of the answer to an ended task.
func (p *Proxy) result(ctx context.Context, t client.Task, into *outcome) (int, []byte, error) {
	resp, err := p.ask(ctx, http.MethodGet, fmt.Sprintf("/api/tasks/%d/return_value", t.ID), http.Header{}, nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if resp.StatusCode == http.StatusSeeOther {
		to, err := resp.Location()
		if err != nil {
			return 0, nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
		if err != nil {
			return 0, nil, err
		}
		object, err := p.Client.HTTP.Do(req)
		if err != nil {
			return 0, nil, err
		}
		defer object.Body.Close()
		body = object.Body
	}
	data, err := io.ReadAll(io.LimitReader(body, client.MaxAnswer))
	if err != nil {
		return 0, nil, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return 0, nil, errors.New("the result of the task is not that of an aptly")
	}
	if t.State == client.Failed {
		code := into.Code
		if code < http.StatusBadRequest {
			code = http.StatusInternalServerError
		}
		text := t.Error
		if text == "" {
			text = fmt.Sprintf("task %d failed", t.ID)
		}
		body, err := json.Marshal(map[string]string{"error": text})
		return code, body, err
	}
	if into.Code == 0 {
		return http.StatusOK, []byte("null"), nil
	}
	return into.Code, into.Value, nil
}
