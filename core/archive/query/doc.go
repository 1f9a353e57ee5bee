// Package query owns aptly's query language, by which clients choose packages,
// and what follows from a choice: the packages that the chosen ones depend on
// and the dependencies that nothing satisfies.
//
//	query      alternatives, "|" between them
//	alternative  conditions, "," between them
//	condition  "!" condition | "(" query ")" | term
//	term       Field [(op value)]          the field is not empty, or its value is so
//	           name_version_architecture   that package
//	           name [(op value)] [{arch}]  a package of the name, or one that provides it
//	op         << <= = >= >> as versions; % shell pattern; ~ regular expression (RE2)
//
// "<" and ">" are "<=" and ">=", as in old control files. A word that begins
// with an upper-case letter or "$" is the name of a field.
//
// Invariant: a query is true or false of one package by itself. So the order
// in which packages are looked at, and which are not looked at because a list's
// index says that they cannot match, has no effect on the result.
package query
