package console

import (
	"encoding/json"
	"net/http"
	"net/url"

	"aptless/core/client"
)

// tokenForm is the data of the form of a new token, and of its result.
type tokenForm struct {
	Error, Name, Secret string
	Roles               []string
}

// roles are the roles that the form offers.
var roles = []string{"reader", "uploader", "publisher", "maintainer", "admin"}

func (q *request) newToken() error {
	v := tokenForm{Roles: roles}
	if q.r.Method != http.MethodPost {
		return q.write(http.StatusOK, "newtoken", "New token", v)
	}
	values, err := q.values()
	if err != nil {
		return err
	}
	v.Name = values.Get("name")
	grants, err := json.Marshal([]map[string]string{{"Role": values.Get("role")}})
	if err != nil {
		return err
	}
	made, err := client.Send(q.ctx, q.api, client.CreateAccessToken(client.NewToken{Name: v.Name, Kind: "api", Expires: values.Get("expires"), Grants: grants}))
	if code := client.StatusOf(err); code == http.StatusBadRequest || code == http.StatusConflict {
		v.Error = err.Error()
		return q.write(code, "newtoken", "New token", v)
	}
	if err != nil {
		return err
	}
	v.Secret = made.Value.Token
	return q.write(http.StatusCreated, "newtoken", "New token", v)
}

// revokeToken ends a token.
func revokeToken() act {
	return act{
		form: func(q *request) (form, error) {
			id := q.r.PathValue("id")
			return form{Title: "Revoke the token " + id, Submit: "Revoke the token", Danger: true, Back: "/-/tokens", Command: "aptless token revoke " + id}, nil
		},
		plan: func(q *request, _ url.Values) (plan, error) {
			p := plan{Lines: []string{"The token is refused from now on, and with it all sessions that use it."}}
			found, err := client.Send(q.ctx, q.api, client.ShowAccessToken(q.r.PathValue("id")))
			t := found.Value
			if err == nil && !t.Revoked.IsZero() {
				err = &client.Refusal{Status: http.StatusConflict, Text: "The token is revoked already. Nothing was done."}
			}
			p.basis = append(p.basis, t.Name, string(t.Grants), t.Expires.String())
			return p, err
		},
		run: func(q *request, _ url.Values) (string, error) {
			_, err := client.Send(q.ctx, q.api, client.RevokeAccessToken(q.r.PathValue("id")))
			return "/-/tokens", err
		},
	}
}
