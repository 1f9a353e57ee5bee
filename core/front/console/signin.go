package console

import (
	"net/http"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// signInView is the data of the form to sign in.
type signInView struct{ Back, Error string }

// signInForm shows the form to sign in.
func (q *request) signInForm() error {
	return q.write(http.StatusOK, "signin", "Sign in", signInView{Back: layout.Local(q.query("back"), "/-/")})
}

// signInWith begins a session with the token of a form. The server decides on the token.
func (q *request) signInWith() error {
	values, err := q.values()
	if err != nil {
		return err
	}
	v := signInView{Back: layout.Local(values.Get("back"), "/-/")}
	secret := strings.TrimSpace(values.Get("secret"))
	q.use(secret)
	who, err := client.Send(q.ctx, q.api, client.ShowIdentity())
	switch code := client.StatusOf(err); {
	case secret == "" || strings.ContainsAny(secret, " \r\n"):
		v.Error = "A token is needed. It begins with aptk_."
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		v.Error = "The server does not accept this token: " + err.Error() + "."
	case code == http.StatusTooManyRequests:
		v.Error = "Too many attempts have failed. Wait a minute."
	case err != nil:
		return err
	default:
		name := who.Value.Name
		if name == "" {
			name = who.Value.Kind
		}
		q.sessions.end(q.id)
		setID(q.w, q.r, q.sessions.begin(secret, name))
		q.redirect(v.Back)
		return nil
	}
	return q.write(http.StatusForbidden, "signin", "Sign in", v)
}

// signOut ends the session.
func (q *request) signOut() error {
	if _, err := q.values(); err != nil {
		return err
	}
	q.sessions.end(q.id)
	setID(q.w, q.r, "")
	q.redirect("/-/sign-in")
	return nil
}
