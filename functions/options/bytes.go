package options

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a flag with a number of bytes, for example "1GiB" or "512MiB".
type Bytes int64

// units are the units of GOMEMLIMIT.
var units = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String returns the number in the largest unit of which it is a multiple.
func (b *Bytes) String() string {
	for _, u := range units {
		if n := int64(*b); n != 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return "0B"
}

// Set reads a number with a unit.
func (b *Bytes) Set(text string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			break
		}
		*b = Bytes(n * u.size)
		return nil
	}
	return fmt.Errorf("%q is not a number of bytes such as 512MiB or 1GiB", text)
}

// Type is the name of the value in the help.
func (*Bytes) Type() string { return "bytes" }
