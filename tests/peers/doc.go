// Command peers measures aptless beside aptly and reprepro, where they are
// installed, with the same packages and the same key. It prints a Markdown table
// of medians, with the ratio of each peer to aptless.
//
// The peers take turns, run by run, so a machine whose speed drifts is unfair to
// none. The trees of all runs stay until the last run is over: ext4 creates files
// several times slower for minutes after many were deleted.
package main
