package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/parallel"
)

// bodyRequest is a request to bodyRoute. Its body is in memory from bound to admit, and its
// handler ends after end.
type bodyRequest struct{ bound, admit, end, answered chan struct{} }

// bodyRoute returns a router with memory for one large body at a time. send starts a request
// with a comment of size bytes; its answer is complete when answered is closed.
func bodyRoute() (send func(size int, chunked bool) (*bodyRequest, *httptest.ResponseRecorder)) {
	type key struct{}
	rt := &Router{Log: slog.New(slog.DiscardHandler), Bodies: parallel.NewBudget(1, 0)}
	rt.Handle("POST", "/api/x", anyPrincipal(), func(w http.ResponseWriter, r *http.Request) error {
		var v struct{ Comment string }
		if err := Bind(r, &v); err != nil {
			return err
		}
		b := r.Context().Value(key{}).(*bodyRequest)
		close(b.bound)
		<-b.admit
		bodyOf(r.Context()).release()
		<-b.end
		return WriteJSON(w, http.StatusOK, len(v.Comment))
	})
	return func(size int, chunked bool) (*bodyRequest, *httptest.ResponseRecorder) {
		b := &bodyRequest{make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})}
		r := httptest.NewRequest("POST", "/api/x", strings.NewReader(`{"Comment":"`+strings.Repeat("x", size)+`"}`))
		r.Header.Set("Content-Type", "application/json")
		if chunked {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		go func() {
			defer close(b.answered)
			rt.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, b)))
		}()
		return b, w
	}
}

// TestLargeBodiesShareMemory holds that a large body waits for the memory of another one,
// which is free when the task of that one is admitted. A small body waits for nothing.
func TestLargeBodiesShareMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		send := bodyRoute()
		first, _ := send(2*smallBody, false)
		<-first.bound
		small, _ := send(smallBody/2, true)
		<-small.bound
		began := time.Now()
		second, answer := send(2*smallBody, true)
		<-second.answered
		if answer.Code != http.StatusTooManyRequests || time.Since(began) != memoryTime {
			t.Errorf("beside another large body: %d %s after %v", answer.Code, answer.Body, time.Since(began))
		}
		third, answer := send(2*smallBody, true)
		synctest.Wait()
		close(first.admit)
		<-third.bound
		close(third.admit)
		close(third.end)
		if <-third.answered; answer.Code != http.StatusOK || answer.Body.String() != fmt.Sprint(2*smallBody) {
			t.Errorf("after the admission of the other: %d %s", answer.Code, answer.Body)
		}
		for _, b := range []*bodyRequest{first, small} {
			close(b.end)
		}
		close(small.admit)
		<-first.answered
		<-small.answered
	})
}

// drip is a body of a byte every ten seconds after its first part.
type drip struct{ first []byte }

func (d *drip) Read(p []byte) (int, error) {
	if len(d.first) > 0 {
		n := copy(p, d.first)
		d.first = d.first[n:]
		return n, nil
	}
	time.Sleep(10 * time.Second)
	return copy(p, "x"), nil
}

// TestLargeBodyHasToArrive holds that a client which sends slowly does not keep the memory.
func TestLargeBodyHasToArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest("POST", "/", &drip{make([]byte, 2*smallBody)})
		r.Header.Set("Content-Type", "application/json")
		began := time.Now()
		err := Bind(r, new(struct{}))
		if err == nil || err.Error() != "the body of the request does not arrive in time" || time.Since(began) > bodyTime+10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestAnnouncedBodyBeyondTheBoundIsNotRead holds that its length suffices to refuse a body.
func TestAnnouncedBodyBeyondTheBoundIsNotRead(t *testing.T) {
	body := &endless{}
	r := httptest.NewRequest("POST", "/", body)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = 1 << 62
	var refusal *Error
	if err := Bind(r, new(struct{})); !errors.As(err, &refusal) || refusal.Status != http.StatusRequestEntityTooLarge || body.read > 0 {
		t.Errorf("%v after %d bytes", err, body.read)
	}
}

// TestJSONOfManyValuesIsRefused also holds that commas in strings are no values, and that an
// answer names some of the bad elements.
func TestJSONOfManyValuesIsRefused(t *testing.T) {
	list := func(element string, n int) string { return "[" + strings.Repeat(element+",", n-1) + element + "]" }
	for body, want := range map[string]string{
		`{"Refs":` + list(`"x"`, maxInJSON+1) + `}`:           fmt.Sprintf("JSON has more than %d values", maxInJSON),
		`{"Unknown":` + list(`{}`, maxInJSON+1) + `}`:         fmt.Sprintf("JSON has more than %d values", maxInJSON),
		`{"Name":"x","Refs":` + list(`"x"`, 1000) + `}`:       "",
		`{"Name":"` + strings.Repeat(`,`, maxInJSON+1) + `"}`: "",
	} {
		err := Bind(bindRequest("POST", "application/json", "", []byte(body)), new(everyParams))
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%.30s: %v, want %q", body, err, want)
		}
	}
	var sources []everyParams
	err := Bind(bindRequest("PUT", "application/json", "", []byte(list("{}", 1000))), &sources)
	if err == nil || strings.Count(err.Error(), "Name") != 2*maxMissing {
		t.Errorf("a list without names: %v", err)
	}
}

// TestRefusalsAreShort holds that a refusal does not repeat a large request.
func TestRefusalsAreShort(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 1<<20), strings.Repeat("\u00e9", 1<<19)} {
		got := string(refusalBody(errors.New(text)))
		if !strings.Contains(got, text[:1000]) || !strings.Contains(got, fmt.Sprintf("… (%d bytes)", len(text))) || len(got) > 2*maxText || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %.100s", len(got), got)
		}
	}
}

// TestRefusedFormStoresNothing sends forms whose first files are good. A refused form
// leaves no file and no object, and does not replace the file of an earlier one.
func TestRefusedFormStoresNothing(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := &Server{Uploads: &upload.Store{Table: m.Table, Blobs: m.Blobs}}
	rt := &Router{Log: slog.New(slog.DiscardHandler)}
	s.fileRoutes(rt)
	file := func(name, data string) string {
		return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=f; filename=%q\r\n\r\n%s\r\n", name, data)
	}
	post := func(body string) int {
		r := httptest.NewRequest("POST", "/api/files/d", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		return w.Code
	}
	if code := post(file("a", "first") + file("a", "second") + "--b--"); code != http.StatusOK || len(m.Objects("")) != 1 {
		t.Fatalf("%d, objects %v", code, m.Objects(""))
	}
	rows, objects := m.Rows(""), m.Objects("")
	many := ""
	for i := range maxParts + 1 {
		many += file(fmt.Sprint("f", i), "x")
	}
	for name, body := range map[string]string{
		"bad name": file("a", "other") + file("..", "x") + "--b--", "cut": file("a", "other") + file("b", "x"), "many": many + "--b--",
		"bad encoding": file("c", "x") + "--b\r\nContent-Disposition: form-data; name=f; filename=d\r\nContent-Transfer-Encoding: x\r\n\r\nx\r\n--b--",
	} {
		if code := post(body); code != http.StatusBadRequest || !maps.Equal(rows, m.Rows("")) || !maps.Equal(objects, m.Objects("")) {
			t.Errorf("%s: %d, rows %v, objects %v", name, code, m.Rows(""), m.Objects(""))
		}
	}
}
