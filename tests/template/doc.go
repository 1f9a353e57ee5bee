// Package template holds template.yaml to what the code needs and to what the
// functions may do.
package template
