// Package freeport finds addresses for servers that tests start. Its ports are below the
// range from which Linux takes ports for port 0 and for outgoing connections. So no other
// process gets the port before the server listens, unless it is given the same number.
package freeport
