// A program that is no function: it ends at once.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "no licence")
	os.Exit(3)
}
