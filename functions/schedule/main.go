// Command schedule is the Lambda function that EventBridge calls every minute: it
// sends what was not sent, and admits what is due.
package main

import (
	"os"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/functions/boot"
)

func main() {
	runtime.Start(boot.New(os.Getenv, "", nil).Schedule)
}
