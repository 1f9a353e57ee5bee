package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
)

// TestUploadInParts imports a file that was put in parts.
func TestUploadInParts(t *testing.T) {
	s := directly(t)
	store := s.Drivers.Blobs.(*drivertest.Direct)
	deb := debtest.Deb(debtest.Spec{})
	sum := sha256.Sum256(deb)
	digest := hex.EncodeToString(sum[:])
	const path = "/api/files/in/hello.deb/parts"
	file := fmt.Sprintf(`{"size":%d,"sha256":"%s"`, len(deb), digest)
	s.Refused(t, "POST", path+"/complete", file+"}", 400, "/aptless/upload/in/hello.deb was not put to its URL")
	s.Refused(t, "POST", path+"/urls", file+`,"parts":[{"number":1,"sha256":"`+digest+`"}]}`, 404, "the upload of in/hello.deb in parts has not begun")
	s.Want(t, "POST", path, file+"}", 200, `{"partSize":67108864,"parts":1,"done":[]}`)
	s.Refused(t, "POST", path+"/complete", file+"}", 400, "/aptless/upload/in/hello.deb: parts are missing: [1]")
	var to []struct {
		Number      int
		Method, URL string
	}
	s.Must(t, "POST", path+"/urls", file+`,"parts":[{"number":1,"sha256":"`+digest+`"}]}`, &to)
	if len(to) != 1 || to[0].Number != 1 || to[0].Method != "PUT" {
		t.Fatalf("%+v", to)
	}
	if err := store.PutPart(to[0].URL, deb); err != nil {
		t.Fatal(err)
	}
	s.Want(t, "POST", path, file+"}", 200, `{"partSize":67108864,"parts":1,"done":[1]}`)
	for range 2 {
		s.Want(t, "POST", path+"/complete", file+"}", 200, `["in/hello.deb"]`)
	}
	s.Must(t, "POST", "/api/repos", `{"Name":"stable"}`, nil)
	s.Want(t, "POST", "/api/repos/stable/file/in", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["hello_1.0_all added"],"Removed":[]}}`)
	s.Must(t, "POST", path, file+"}", nil)
	s.Want(t, "POST", path+"/abort", file+"}", 200, "{}")
	if n := store.Begun(); n != 0 {
		t.Errorf("%d begun files are left", n)
	}
}

// TestPartsRefusals holds that a bad file in parts is refused and changes nothing.
func TestPartsRefusals(t *testing.T) {
	s := directly(t)
	digest := strings.Repeat("0a", 32)
	good := `{"size":70000000,"sha256":"` + digest + `"`
	for body, text := range map[string]string{
		`{"size":17179869185,"sha256":"` + digest + `"}`: "a: size is not one of 0 to 17179869184 bytes",
		`{"size":-1,"sha256":"` + digest + `"}`:          "a: size is not one of 0 to 17179869184 bytes",
		`{"size":1}`:                                     "a: sha256 is not 64 lower-case hexadecimal digits",
	} {
		for _, call := range []string{"", "/urls", "/complete", "/abort"} {
			s.Refused(t, "POST", "/api/files/in/a/parts"+call, body, 400, text)
		}
	}
	if n := s.Drivers.Blobs.(*drivertest.Direct).Begun(); n != 0 {
		t.Errorf("%d files were begun", n)
	}
	s.Want(t, "POST", "/api/files/in/a/parts", good+"}", 200, `{"partSize":67108864,"parts":2,"done":[]}`)
	for parts, text := range map[string]string{
		`[]`:                                     "parts: a list of 1 to 100 parts is wanted",
		`[` + strings.Repeat(`{},`, 100) + `{}]`: "parts: a list of 1 to 100 parts is wanted",
		`[{"number":0,"sha256":"` + digest + `"}]`: "wrong part: part 0 of 2: invalid argument",
		`[{"number":3,"sha256":"` + digest + `"}]`: "wrong part: part 3 of 2: invalid argument",
	} {
		s.Refused(t, "POST", "/api/files/in/a/parts/urls", good+`,"parts":`+parts+"}", 400, text)
	}
	s.Refused(t, "POST", "/api/files/in/a%2Fb/parts", good+"}", 400, "wrong file")
	s.Refused(t, "POST", "/api/files/../a/parts", good+"}", 400, "wrong dir")
}
