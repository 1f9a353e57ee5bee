// Package options owns the settings that `aptless serve` and the Lambda functions share.
// Each option is a flag of `aptless serve` and an environment variable of the functions,
// with one name, default and meaning. Example: the flag skip-contents is the variable
// APTLESS_SKIP_CONTENTS and the parameter SkipContents of template.yaml. Blanks or commas
// separate the elements of a list in a variable. An empty variable stands for the default.
//
// Invariant: every configuration made of options has been checked. An invalid value is
// refused at the start and never by a task.
package options
