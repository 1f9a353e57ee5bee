// Package options is what an operator may set of aptless wherever it runs: each
// option is a flag of `aptless serve` and a variable of the environment of the
// functions, with one name, default and meaning. The flag skip-contents is the
// variable APTLESS_SKIP_CONTENTS and the parameter SkipContents of
// template.yaml. In variables, the parts of lists have blanks or commas between
// them, and what is empty has its default.
//
// Invariant: a configuration that is made of options has been checked, so what
// cannot be meant is refused at the start and not by the task that needs it.
package options
