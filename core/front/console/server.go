package console

import (
	"fmt"
	"net/http"
	"time"

	"aptless/core/client"
	"aptless/core/front/auth"
)

// keyView is a signing key on a page.
type keyView struct {
	client.SigningKey
	Until      time.Time
	Soon, Over bool
}

// keysView is the data of the page of keys.
type keysView struct {
	Signing []keyView
	Trusted client.TrustedKeys
	May     bool // read the trusted keys
	Actions []action
	Change  bool // trust and distrust
}

func (q *request) keys() error {
	found, err := client.Send(q.ctx, q.api, client.ListSigningKeys())
	if err != nil {
		return err
	}
	v := keysView{May: q.may(auth.GPGRead, ""), Change: q.mayChange(auth.GPGManage, "")}
	q.offer(&v.Actions, auth.GPGManage, "", action{"/-/new/trust", "Trust a key", false})
	for _, k := range found.Value {
		one := keyView{SigningKey: k}
		if at, err := time.Parse(time.RFC3339, k.Expires); err == nil {
			one.Until, one.Over = at, at.Before(q.Now())
			one.Soon = !one.Over && at.Sub(q.Now()) < soon
		}
		v.Signing = append(v.Signing, one)
	}
	if v.May {
		trusted, err := client.Send(q.ctx, q.api, client.ListTrustedKeys(""))
		if err != nil {
			return err
		}
		v.Trusted = trusted.Value
	}
	return q.write(http.StatusOK, "keys", "Keys", v)
}

// storageView is the data of the page of the storage.
type storageView struct {
	Status  *client.Status
	Used    uint64
	Percent int
	Uploads []uploadDir
	More    int
	Usage   *usage // nil before the first check
	Aptless bool
	Actions []action
}

// uploadDir is a directory of the upload area.
type uploadDir struct {
	Name  string
	Files []client.File
	Bytes int64
}

// maxUploadDirs bounds the upload directories on a page.
const maxUploadDirs = 50

func (q *request) storage() error {
	var v storageView
	var err error
	if q.aptless && q.may(auth.MetricsRead, "") {
		found, err := client.Send(q.ctx, q.api, client.ShowStatus())
		if err != nil {
			return err
		}
		v.Status = &found.Value
		if v.Status.Total > 0 {
			v.Used = v.Status.Total - v.Status.Free
			v.Percent = int(100 * v.Used / v.Status.Total)
		}
	}
	if v.Aptless = q.aptless; v.Aptless {
		if v.Usage, err = q.measured(); err != nil {
			return err
		}
	}
	dirs, err := client.Send(q.ctx, q.api, client.ListUploadDirs())
	if err != nil {
		return err
	}
	v.More = max(0, len(dirs.Value)-maxUploadDirs)
	for _, name := range dirs.Value[:min(len(dirs.Value), maxUploadDirs)] {
		one := uploadDir{Name: name}
		if q.aptless {
			files, err := client.Send(q.ctx, q.api, client.ListUploadDetails(name))
			if client.StatusOf(err) == http.StatusNotFound {
				continue // imported meanwhile
			}
			if err != nil {
				return err
			}
			one.Files = files.Value
			for _, f := range files.Value {
				one.Bytes += f.Size
			}
		}
		v.Uploads = append(v.Uploads, one)
	}
	if q.aptless {
		q.offer(&v.Actions, auth.DBManage, "", action{"/-/storage/check", "Check the storage", false})
	}
	q.offer(&v.Actions, auth.DBManage, "", action{"/-/storage/cleanup", "Delete what nothing refers to", false})
	return q.write(http.StatusOK, "storage", "Storage", v)
}

// auditView is the data of the page of audit records.
type auditView struct {
	Records []client.AuditRecord // ascending
	Since   string
	By      string
	Event   string
	Next    string
	Events  []string
}

// events are the kinds of records that a filter offers.
var events = []string{"task.admitted", "task.ended", "call", "denied", "refused", "limited", "token.created", "token.revoked"}

func (q *request) audit() error {
	v := auditView{Since: q.query("since"), By: q.query("by"), Event: q.query("event"), Events: events}
	day, err := time.Parse("2006-01-02", v.Since)
	if err != nil {
		day = q.Now().UTC().Truncate(24 * time.Hour)
		v.Since = day.Format("2006-01-02")
	}
	call := client.ListAudit().With("since", day.Format(time.RFC3339)).With("until", day.Add(24*time.Hour).Format(time.RFC3339)).
		With("limit", "200").With("by", v.By).With("event", v.Event).With("after", q.query("after"))
	found, err := client.Send(q.ctx, q.api, call)
	if err != nil {
		return err
	}
	v.Records = found.Value.Records
	if found.Value.Next != "" {
		v.Next = q.page(http.Header{"X-Next": {found.Value.Next}})
	}
	return q.write(http.StatusOK, "audit", "Audit", v)
}

// tokensView is the data of the page of tokens.
type tokensView struct {
	Tokens []tokenView
	More   int
}

// tokenView is a token on a page.
type tokenView struct {
	client.AccessToken
	State string // live, expired or revoked
	Can   string // its grants
}

// maxTokens bounds the tokens on a page.
const maxTokens = 500

func (q *request) tokens() error {
	found, err := client.Send(q.ctx, q.api, client.ListAccessTokens().With("live", q.query("live")))
	if err != nil {
		return err
	}
	v := tokensView{More: max(0, len(found.Value)-maxTokens)}
	for i := len(found.Value) - 1; i >= v.More; i-- {
		t := tokenView{AccessToken: found.Value[i], State: "live", Can: fmt.Sprintf("%.300s", found.Value[i].Grants)}
		switch {
		case !t.Revoked.IsZero():
			t.State = "revoked"
		case !t.Expires.IsZero() && t.Expires.Before(q.Now()):
			t.State = "expired"
		}
		v.Tokens = append(v.Tokens, t)
	}
	return q.write(http.StatusOK, "tokens", "Tokens", v)
}
