// Package ci runs the steps of the folder ci as a job does, against a server and an issuer
// that is played.
package ci
