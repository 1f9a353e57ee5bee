// Package graphviz writes graphs of records in the language of Graphviz
// (https://graphviz.org/doc/info/lang.html). It stores nothing.
//
// Invariants:
//
//  1. No text changes the shape of a graph. All text of a label or an ID stays
//     within one field of one node.
//  2. An edge leads only from a node that is drawn, and is drawn once.
package graphviz
