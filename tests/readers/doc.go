// Package readers tests that readers of a changing repository never fail and never go back.
// It has thousands of publications, publishers that die at random, and readers that act
// like apt. Readers read directly and through caching proxies.
//
// It is a model: storage in memory, a simulated clock, and readers that run between the
// publisher's storage calls. A seed reproduces a run only approximately, because a
// publisher makes concurrent calls.
package readers
