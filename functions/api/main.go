// Command api is the Lambda function of API Gateway. It answers the API and admits tasks.
package main

import (
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/core/front/app"
	"aptless/functions/boot"
)

// wait bounds the wait of a request for its task. API Gateway's limit is 30 s.
const wait = 25 * time.Second

func main() {
	runtime.Start(boot.New(os.Getenv, "", func(c *app.Config) { c.Wait = wait }).Call)
}
