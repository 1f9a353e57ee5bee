// Package oidctest plays the issuer of ID tokens: GitHub, GitLab or another CI system. It
// signs by keys of its own, and answers for its documents as a Fetcher.
package oidctest
