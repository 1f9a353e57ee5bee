// Package layout has the parts that all pages have: the frame, the styles, the scripts,
// and the headers of an answer. It knows no address of a page besides those of its own
// files and of the choice of colours.
//
// It stores nothing. The choice of colours is a cookie of the browser.
//
// Invariants:
//  1. A page loads only files of this package, from its own server. The header
//     Content-Security-Policy says so, and allows no script or style inside of a page.
//  2. All text is escaped by html/template. A link to another host is http or https.
//  3. The address of a file has the digest of its content, so browsers keep it.
package layout
