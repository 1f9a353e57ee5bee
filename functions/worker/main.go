// Command worker is the Lambda function of the queues: it runs tasks. It is
// deployed once for each queue; only that of publications may read the signing key.
package main

import (
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"

	"aptless/functions/boot"
)

// slice is the time of one delivery. A longer task continues in another delivery.
const slice = 5 * time.Minute

func main() {
	runtime.Start(boot.New(os.Getenv, os.Getenv("APTLESS_SIGNING_KEY"), nil).Worker(slice))
}
