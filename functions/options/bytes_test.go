package options

import "testing"

func TestBytesAreNumbersWithUnits(t *testing.T) {
	for text, want := range map[string]struct {
		bytes Bytes
		again string
	}{"1GiB": {1 << 30, "1GiB"}, "1024MiB": {1 << 30, "1GiB"}, "1536MiB": {1536 << 20, "1536MiB"}, "7B": {7, "7B"}, "0B": {0, "0B"}, "3KiB": {3 << 10, "3KiB"}} {
		var b Bytes
		if err := b.Set(text); err != nil || b != want.bytes || b.String() != want.again {
			t.Errorf("%s: %d, %s, %v", text, b, b.String(), err)
		}
	}
	for _, text := range []string{"", "1", "GiB", "-1GiB", "1.5GiB", "1GB", "1 GiB", "9999999999999TiB"} {
		b := Bytes(5)
		if err := b.Set(text); err == nil || b != 5 {
			t.Errorf("%q is taken as %d", text, b)
		}
	}
}
