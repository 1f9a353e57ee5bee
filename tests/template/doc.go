// Package template tests template.yaml against the needs of the code and the rights of the
// functions.
package template
