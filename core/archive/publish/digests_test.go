package publish_test

import (
	"strings"
	"testing"

	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
)

// TestDigestsAreChosen publishes with each choice of digests, after a publication with
// each other one. A Release lists the chosen digests, and the files are there by them.
func TestDigestsAreChosen(t *testing.T) {
	t.Parallel()
	sections := map[string]deb.Digests{"\nMD5Sum:\n": deb.MD5, "\nSHA1:\n": deb.SHA1, "\nSHA256:\n": deb.SHA256, "\nSHA512:\n": deb.SHA512}
	choices := []deb.Digests{0, deb.SHA256, deb.SHA256 | deb.SHA512, deb.AllDigests}
	for _, before := range choices {
		for _, now := range choices {
			env := drivertest.NewEnv()
			r := newRig(t.Context(), env)
			r.publish.Digests = before
			must(t, r.put("r", hello, common, kernel), r.create(byHash("stable", "r")))
			r.publish.Digests = now
			must(t, r.relabel("stable"))
			if now == 0 {
				now = index.DefaultDigests
			}
			release := env.Memory.Objects("")["public/dists/stable/Release"]
			for title, kind := range sections {
				_, list, ok := strings.Cut(release, title)
				if ok != (now&kind != 0) {
					t.Errorf("%04b after %04b: %q is there: %t", now, before, title, ok)
					continue
				}
				for line := range strings.Lines(list) {
					fields := strings.Fields(line)
					if !strings.HasPrefix(line, " ") {
						break
					}
					if strings.HasSuffix(fields[2], "Contents-amd64") {
						continue // only the compressed file is there
					}
					dir := "public/dists/stable/" + fields[2][:strings.LastIndexByte("/"+fields[2], '/')]
					key := dir + "by-hash/" + strings.Trim(title, "\n:") + "/" + fields[0]
					if env.Memory.Objects(key)[key] != env.Memory.Objects("")["public/dists/stable/"+fields[2]] {
						t.Errorf("%04b after %04b: %s is not %s", now, before, key, fields[2])
					}
				}
			}
		}
	}
}

// TestDigestsWithoutSHA256AreRefused parses the names of digests.
func TestDigestsWithoutSHA256AreRefused(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]deb.Digests{"": deb.MD5 | deb.SHA256, "sha256": deb.SHA256, "sha256,md5": deb.MD5 | deb.SHA256,
		"md5,sha1,sha256,sha512": deb.AllDigests} {
		got, err := index.ParseDigests(strings.FieldsFunc(names, func(c rune) bool { return c == ',' }))
		if err != nil || got != want {
			t.Errorf("%q: %04b, %v", names, got, err)
		}
	}
	for _, names := range []string{"md5", "sha512", "sha256,sha256", "SHA256", "sha256,sha3"} {
		if d, err := index.ParseDigests(strings.Split(names, ",")); err == nil {
			t.Errorf("%q is %04b", names, d)
		}
	}
}

// TestGzipLevelRendersAnew changes the level of .gz files between two updates. The second
// copies no piece of the first, and a return of the level gives equal bytes.
func TestGzipLevelRendersAnew(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	const key = "public/dists/stable/main/binary-amd64/Packages.gz"
	var packs []pack
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		packs = append(packs, pack{"package-" + name, "1", "amd64", name})
	}
	files := map[int]string{}
	must(t, newRig(t.Context(), env).put("r", packs...), newRig(t.Context(), env).create(from("stable", "r")))
	for _, level := range []int{0, 1, 9, 6} {
		r := newRig(t.Context(), env)
		r.publish.GzipLevel = level
		must(t, r.relabel("stable"))
		files[level] = env.Memory.Objects(key)[key]
		if _, err := trees(env); err != nil {
			t.Errorf("level %d: %v", level, err)
		}
	}
	if files[0] != files[6] || files[1] == files[6] {
		t.Error("the level has no effect, or 6 is not the default")
	}
}
