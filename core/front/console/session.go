package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"aptless/core/front/layout"
)

// Bounds of sessions.
const (
	maxSessions = 1000
	sessionTime = 8 * time.Hour
	idleTime    = time.Hour
)

// sessionCookie has the ID of a session.
const sessionCookie = "aptless-session"

// session is a signed-in user.
type session struct {
	token      string // of the API
	name       string // of its principal
	begun, use time.Time
}

// sessions are the signed-in users of this process. A browser without one has an ID, too,
// for its forms.
type sessions struct {
	now func() time.Time
	key [32]byte // of the tokens of forms

	mu   sync.Mutex
	byID map[string]*session
}

func newSessions(now func() time.Time) *sessions {
	s := &sessions{now: now, byID: map[string]*session{}}
	_, _ = rand.Read(s.key[:]) // it never fails
	return s
}

// find returns the session of an ID, nil without one.
func (s *sessions) find(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, now := s.byID[id], s.now()
	if found == nil {
		return nil
	}
	if now.Sub(found.begun) > sessionTime || now.Sub(found.use) > idleTime {
		delete(s.byID, id)
		return nil
	}
	found.use = now
	return found
}

// begin makes a session and returns its ID. The session that was idle longest makes room.
func (s *sessions) begin(token, name string) string {
	id := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= maxSessions {
		oldest := ""
		for other, v := range s.byID {
			if oldest == "" || v.use.Before(s.byID[oldest].use) {
				oldest = other
			}
		}
		delete(s.byID, oldest)
	}
	s.byID[id] = &session{token, name, s.now(), s.now()}
	return id
}

// end ends a session.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

// proof returns the token of the forms of an ID.
func (s *sessions) proof(id string) string {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// proves reports whether a token is that of the forms of an ID.
func (s *sessions) proves(id, token string) bool {
	return id != "" && hmac.Equal([]byte(s.proof(id)), []byte(token))
}

// idOf returns the ID in the cookie of a request, "" without one.
func idOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil || len(c.Value) > 100 {
		return ""
	}
	return c.Value
}

// setID gives the browser an ID. "" takes it away.
func setID(w http.ResponseWriter, r *http.Request, id string) {
	c := &http.Cookie{Name: sessionCookie, Value: id, Path: layout.Base(r) + "/-/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"}
	if id == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
