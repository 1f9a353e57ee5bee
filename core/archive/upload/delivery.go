package upload

import (
	"crypto/rand"
	"fmt"
)

// NewDelivery returns a new directory for the files of one request. Clients do
// not see it.
func (s *Store) NewDelivery() string {
	return fmt.Sprintf("%s%d-%s", deliveryPrefix, s.Now().Unix(), rand.Text())
}

// Lock returns the resource that a task locks while it uses a directory.
func Lock(dir string) string { return "uploads/" + dir }
