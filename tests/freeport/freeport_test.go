package freeport

import (
	"net"
	"testing"
)

// TestAddressIsFree holds that a server can listen at each address, and that the kernel
// gives none of them to another.
func TestAddressIsFree(t *testing.T) {
	for range 20 {
		at, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < lowest || port >= above {
			t.Errorf("port %d", port)
		}
	}
}
