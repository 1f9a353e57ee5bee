package pgp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrPublicOnly says that a process without secret keys was asked to sign.
var ErrPublicOnly = errors.New("the secret keys are not here")

// PublicOnly returns a Signer that knows the public keys and never signs. It is
// for processes that show keys and admit tasks, and must not be able to sign.
// data are public keys, armored or binary.
func PublicOnly(data []byte) (Signer, error) {
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, ErrNoDefaultKey
	}
	return publicOnly{keys}, nil
}

type publicOnly struct{ keys []*Key }

func (publicOnly) Clearsign(context.Context, io.Writer, []byte, time.Time) error {
	return ErrPublicOnly
}

func (publicOnly) DetachSign(context.Context, io.Writer, []byte, time.Time) error {
	return ErrPublicOnly
}

func (p publicOnly) PublicKeys() []*Key { return p.keys }

// Choose implements Chooser.
func (p publicOnly) Choose(refs string) (Signer, error) {
	var chosen publicOnly
	for ref := range strings.SplitSeq(refs, ",") {
		if ref = strings.TrimSpace(ref); ref == "" {
			continue
		}
		found := find(p.keys, func(k *Key) *Key { return k }, ref)
		if len(found) == 0 {
			return nil, fmt.Errorf("%w %s", ErrNoSuchKey, ref)
		}
		chosen.keys = append(chosen.keys, found[0])
	}
	if len(chosen.keys) == 0 {
		return publicOnly{p.keys[:1]}, nil
	}
	return chosen, nil
}
