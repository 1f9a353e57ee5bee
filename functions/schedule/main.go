// Command schedule is the Lambda function that EventBridge calls every minute. It runs
// due entries of the calendar and sends lost messages again.
package main

import (
	"os"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/functions/boot"
)

func main() {
	runtime.Start(boot.New(os.Getenv, "", nil).Schedule)
}
