package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
)

// Credentials are a user and a password for an archive.
type Credentials struct{ User, Password string }

// AccessArgs give a mirror secrets for its archive. A nil field keeps the present
// value. An empty field removes it.
type AccessArgs struct {
	Credentials                  *Credentials
	Headers                      map[string]string // replaces all headers
	ClientCertificate, ClientKey *string           // PEM
}

// Any reports whether anything is given.
func (a AccessArgs) Any() bool {
	return a.Credentials != nil || a.Headers != nil || a.ClientCertificate != nil || a.ClientKey != nil
}

// secret is a mirror's row of secrets.
type secret struct {
	access  upstream.Access
	version string // of the row; driver.Absent if there is none
	stored  []byte // the row as read
	data    []byte // the row to write; nil if unchanged
}

func secretKey(uuid string) driver.Key { return driver.Key{Part: "mirror-secret", Sort: uuid} }

// secret reads the secrets of a mirror. A mirror without secrets costs no read.
func (s *Store) secret(ctx context.Context, m Mirror) (own secret, err error) {
	if m.Secrets == (Secrets{}) {
		return own, nil
	}
	row, err := s.Table.Get(ctx, secretKey(m.UUID))
	if err != nil {
		return own, fmt.Errorf("secrets of the mirror %s: %w", m.Name, err)
	}
	own.version, own.stored = row.Version, row.Data
	if json.Unmarshal(row.Data, &own.access) != nil { // the error may quote the row
		return own, fmt.Errorf("secrets of the mirror %s: the row is damaged", m.Name)
	}
	return own, nil
}

// accessOrNil returns the secrets to send to the archive, nil if there are none.
func (s *secret) accessOrNil() *upstream.Access {
	if s.access.Empty() {
		return nil
	}
	return &s.access
}

// change sets the root of a mirror's archive, without its user, and the secrets.
// Secrets given for another origin are removed.
func (s *secret) change(m *Mirror, root string, args AccessArgs) error {
	clean, user, password := upstream.SplitUser(root)
	a := s.access
	if upstream.Origin(clean) != a.Origin {
		a = upstream.Access{}
	}
	a.Headers = maps.Clone(a.Headers)
	if user != "" || password != "" {
		if args.Credentials != nil {
			return errors.New("Credentials: the URL of the archive has a user, too")
		}
		a.User, a.Password = user, password
	}
	if args.Credentials != nil {
		a.User, a.Password = args.Credentials.User, args.Credentials.Password
	}
	if args.Headers != nil {
		a.Headers = args.Headers
	}
	if args.ClientCertificate != nil {
		a.Certificate = *args.ClientCertificate
	}
	if args.ClientKey != nil {
		a.Key = *args.ClientKey
	}
	if err := a.Check(clean); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return errors.New("the secrets cannot be stored")
	}
	if len(data) > driver.MaxRowSize {
		return fmt.Errorf("credentials, headers and certificate have more than %d bytes", driver.MaxRowSize)
	}
	s.access, s.data = a, data
	m.ArchiveRoot = clean
	m.Secrets = Secrets{HasCredentials: a.HasCredentials(), HasHeaders: len(a.Headers) > 0, HasClientCertificate: a.Certificate != ""}
	return nil
}

// ops returns the operation that stores the secrets together with the row of the
// mirror.
func (s *secret) ops(m Mirror) []driver.Op {
	key := secretKey(m.UUID)
	switch {
	case s.data == nil || bytes.Equal(s.data, s.stored):
		return nil
	case !s.access.Empty():
		return []driver.Op{{Do: driver.OpPut, Key: key, If: s.version, Data: s.data}}
	case s.version != driver.Absent:
		return []driver.Op{{Do: driver.OpDelete, Key: key, If: s.version}}
	}
	return nil
}
