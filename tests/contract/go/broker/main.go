// Checks of the broker with Pulsar's Go client: it runs checks by their names, one for each line of standard input, and
// answers each with a line: "ok", or what went wrong. A topic may follow the name. Arguments: the broker's service URL and its admin URL.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/google/uuid"
)

// session is what a check works with: a client, and a topic of its own.
type session struct {
	client pulsar.Client
	url    string
	admin  string
	topic  string
}

var features = map[string]func(*session){}

func main() {
	logger := log.NewLoggerWithSlog(slog.New(slog.NewTextHandler(io.Discard, nil)))
	client, err := pulsar.NewClient(pulsar.ClientOptions{URL: os.Args[1], Logger: logger})
	must(err)
	defer client.Close()
	names := make([]string, 0, len(features))
	for name := range features {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Println(strings.Join(names, " "))
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		name, topic, given := strings.Cut(input.Text(), " ")
		if !given {
			topic = "persistent://public/default/go-" + uuid.NewString()
		}
		fmt.Println(outcome(features[name], &session{client, os.Args[1], os.Args[2], topic}))
	}
}

func outcome(feature func(*session), s *session) (said string) {
	defer func() {
		if problem := recover(); problem != nil {
			said = strings.ReplaceAll(fmt.Sprint(problem)+" "+place(), "\n", " ")
		}
	}()
	feature(s)
	return "ok"
}

// place returns the lines of this program that led to a problem.
func place() string {
	var lines []string
	for _, line := range strings.Split(string(debug.Stack()), "\n") {
		if strings.Contains(line, "/broker/") || strings.Contains(line, ".go:") && !strings.Contains(line, "/pkg/mod/") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, " ")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func that(condition bool, what ...any) {
	if !condition {
		panic(fmt.Sprint(what...))
	}
}
