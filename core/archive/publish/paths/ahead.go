package paths

import (
	"fmt"
	"strconv"
	"strings"

	"aptless/core/engine/lists"
)

// AheadPrefix begins the keys of the indexes that were rendered ahead.
const AheadPrefix = "private/ahead/"

// Ahead is the folder of the indexes of a list that were rendered ahead.
func Ahead(list lists.Ref) string { return fmt.Sprintf("%s%d-%s", AheadPrefix, list.Epoch, list.Root) }

// AheadOf returns the folder of an object below AheadPrefix. root is the key of the root of
// the folder's list, and epoch that of the root. The epoch of a foreign object is -1.
func AheadOf(key string) (root string, epoch int64, folder string) {
	name, _, below := strings.Cut(strings.TrimPrefix(key, AheadPrefix), "/")
	number, digest, _ := strings.Cut(name, "-")
	epoch, err := strconv.ParseInt(number, 10, 64)
	var d lists.Digest
	if err != nil || epoch < 0 || !below || d.UnmarshalText([]byte(digest)) != nil {
		return "", -1, ""
	}
	return lists.ObjectKey(epoch, d), epoch, AheadPrefix + name
}
