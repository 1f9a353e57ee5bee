// Package query owns aptly's query language for the selection of packages. It also
// resolves the dependencies of a selection, and finds the unsatisfied ones. It
// stores nothing.
//
//	query      alternatives, "|" between them
//	alternative  conditions, "," between them
//	condition  "!" condition | "(" query ")" | term
//	term       Field [(op value)]          the field is not empty, or its value matches
//	           name_version_architecture   that package
//	           name [(op value)] [{arch}]  a package of the name, or one that provides it
//	op         << <= = >= >> as versions; % shell pattern; ~ regular expression (RE2)
//
// "<" and ">" are "<=" and ">=", as in old control files. A word that begins
// with an upper-case letter or "$" is the name of a field.
//
// Invariants:
//
//  1. A query is true or false of one package by itself. So the order of packages
//     does not change the result.
//  2. A chunk of a list is skipped only if its index excludes every match.
package query
