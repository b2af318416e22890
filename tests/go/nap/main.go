// A function that takes as many seconds as it is told to; built into the module of examples/go by an overlay.
package main

import (
	"context"
	"strconv"
	"time"

	"example.com/functions/magnetar"
)

func main() {
	magnetar.Start(nap)
}

func nap(_ context.Context, input []byte) ([]byte, error) {
	seconds, err := strconv.Atoi(string(input))
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	return input, nil
}
