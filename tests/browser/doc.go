// Package browser tests the pages in Chromium: those for readers, and the console. All
// tests share one browser. axe-core, in testdata, finds faults of accessibility.
package browser
