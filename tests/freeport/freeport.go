// Package freeport finds addresses for servers that tests start. Its ports are below the
// range from which Linux takes ports for port 0 and for outgoing connections. So no other
// process gets the port before the server listens, unless it is given the same number.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Linux takes ports from 32768 on by default (net.ipv4.ip_local_port_range).
const lowest, above = 20000, 32000

// Address returns an address of the loopback interface at which nothing listens.
func Address() (string, error) {
	var last error
	for range 100 {
		at := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(above-lowest))
		l, err := net.Listen("tcp", at)
		if err == nil {
			return at, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("no port is free: %w", last)
}
