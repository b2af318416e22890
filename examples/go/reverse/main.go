// A function of the fewest lines: it turns each message around.
package main

import (
	"slices"

	"example.com/functions/magnetar"
)

func main() {
	magnetar.Start(func(input []byte) ([]byte, error) {
		slices.Reverse(input)
		return input, nil
	})
}
