// Package graphviz draws how mirrors, local repositories, snapshots and
// publications derive from each other, in the language of Graphviz
// (https://graphviz.org/doc/info/lang.html). It stores nothing.
//
// Invariant: what objects are called cannot change the shape of the graph.
// Whatever is in a name or a comment is text of one field of one node, and an
// edge leads only from a node that is drawn.
package graphviz
