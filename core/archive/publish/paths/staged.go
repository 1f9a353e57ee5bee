package paths

import (
	"strconv"
	"strings"
)

// PrivatePrefix begins the keys of everything that is staged for publications.
const PrivatePrefix = "private/publish/"

// StagedBy returns the folder of a staged object and the number of the task that
// made it. It returns false for an object that no publication has staged.
func StagedBy(key string) (folder string, task int64, ok bool) {
	parts := strings.SplitN(key, "/", 5)
	if len(parts) < 5 {
		return "", 0, false
	}
	number, _, ok := strings.Cut(parts[3], "-")
	task, err := strconv.ParseInt(number, 10, 64)
	return strings.Join(parts[:4], "/"), task, ok && err == nil
}
