package pgp

import "fmt"

// KeyID is the low half of a fingerprint. Signatures name their key by it.
type KeyID uint64

// String returns 16 upper-case hexadecimal digits.
func (id KeyID) String() string { return fmt.Sprintf("%016X", uint64(id)) }
