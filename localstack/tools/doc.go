//go:build tools

// Package tools names the programs that localstack builds from Go modules.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
