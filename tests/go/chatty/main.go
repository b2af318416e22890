// A function that writes as fast as it can, in each way there is; built into the module of examples/go by an overlay.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"example.com/functions/magnetar"
)

func main() {
	magnetar.Start(talk)
}

func talk(ctx context.Context, _ []byte) ([]byte, error) {
	fc, _ := magnetar.FromContext(ctx)
	for number := 0; ; number++ {
		line := fmt.Sprintf("said %08d %060d", number, number)
		switch number % 3 {
		case 0:
			fc.Logger().Info(line)
		case 1:
			log.Print(line)
		default:
			fmt.Fprintln(os.Stdout, line)
		}
	}
}
