// Command echo is a Lambda function for tests.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"aptless/infra/aws/lambda"
)

func main() {
	var beats atomic.Int64
	go func() { // continues after its call, unless the process is stopped
		for range time.Tick(time.Millisecond) {
			beats.Add(1)
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("X-Pid", fmt.Sprint(os.Getpid()))
		w.WriteHeader(http.StatusTeapot)
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/caller", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, lambda.Caller(r.Context())) })
	mux.HandleFunc("/beats", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, beats.Load()) })
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { select {} })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	mux.HandleFunc("/memory", func(w http.ResponseWriter, _ *http.Request) {
		held := make([]byte, 300<<20)
		for i := 0; i < len(held); i += 4096 {
			held[i] = 1
		}
		fmt.Fprint(w, held[len(held)/2])
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, zeros{}, 7<<20) })
	awslambda.Start(lambda.API(mux, nil))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
