package auth

import "testing"

// TestRootIsAllOfTheDefaultStorage: also files whose names have a colon, and no file of
// another storage.
func TestRootIsAllOfTheDefaultStorage(t *testing.T) {
	root, www := Private{Private: []string{"."}}, Private{Private: []string{"filesystem:www:."}}
	for place, want := range map[string][2]string{
		"dists/x:y/Release": {".", ""}, "": {".", ""}, "team/x": {".", ""}, "filesystem:www:team/x": {"", "filesystem:www:."}, "s3:eu:x": {"", ""},
	} {
		if got := [2]string{root.Of(place), www.Of(place)}; got != want {
			t.Errorf("%q: %q, want %q", place, got, want)
		}
	}
}
