// A function that adds what the user config says to each message.
package main

import (
	"context"
	"errors"

	"example.com/functions/magnetar"
)

func main() {
	magnetar.Start(exclaim)
}

func exclaim(ctx context.Context, input []byte) ([]byte, error) {
	fc, _ := magnetar.FromContext(ctx)
	if len(input) == 0 {
		return nil, errors.New("there is nothing to exclaim")
	}
	ending, known := fc.UserConfValue("ending").(string)
	if !known {
		ending = "!"
	}
	fc.RecordMetric("length", float64(len(input)))
	fc.Logger().Info("exclaimed", "length", len(input))
	return append(input, ending...), nil
}
