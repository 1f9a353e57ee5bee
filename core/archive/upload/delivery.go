package upload

import (
	"crypto/rand"
	"fmt"
)

// NewDelivery returns the name of a directory for the files of one request, which
// are imported at once. Clients do not see it.
func (s *Store) NewDelivery() string {
	return fmt.Sprintf("%s%d-%s", deliveryPrefix, s.Now().Unix(), rand.Text())
}

// Lock is the resource that a task locks while it uses a directory.
func Lock(dir string) string { return "uploads/" + dir }
