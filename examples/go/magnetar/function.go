// Package magnetar turns a Go function into an instance that a Pulsar functions worker can run: Magnetar's, or Pulsar's own.
//
//	func main() { magnetar.Start(process) }
//	func process(ctx context.Context, input []byte) ([]byte, error) { … }
//
// It speaks the contract of Pulsar's own Go package (`pf`): the same -instance-conf, gRPC service, metric names and log
// topic, and Start takes a function of any of pf's signatures.
package magnetar

import (
	"context"
	"fmt"
	"runtime/debug"
)

// handler is what every function is turned into: no output is nil.
type handler func(ctx context.Context, input []byte) ([]byte, error)

func handlerOf(function any) (handler, error) {
	switch f := function.(type) {
	case func(context.Context, []byte) ([]byte, error):
		return f, nil
	case func([]byte) ([]byte, error):
		return func(_ context.Context, in []byte) ([]byte, error) { return f(in) }, nil
	case func(context.Context) ([]byte, error):
		return func(ctx context.Context, _ []byte) ([]byte, error) { return f(ctx) }, nil
	case func() ([]byte, error):
		return func(context.Context, []byte) ([]byte, error) { return f() }, nil
	case func(context.Context, []byte) error:
		return func(ctx context.Context, in []byte) ([]byte, error) { return nil, f(ctx, in) }, nil
	case func([]byte) error:
		return func(_ context.Context, in []byte) ([]byte, error) { return nil, f(in) }, nil
	case func(context.Context) error:
		return func(ctx context.Context, _ []byte) ([]byte, error) { return nil, f(ctx) }, nil
	case func() error:
		return func(context.Context, []byte) ([]byte, error) { return nil, f() }, nil
	case func(context.Context, []byte):
		return func(ctx context.Context, in []byte) ([]byte, error) { f(ctx, in); return nil, nil }, nil
	case func([]byte):
		return func(_ context.Context, in []byte) ([]byte, error) { f(in); return nil, nil }, nil
	case func():
		return func(context.Context, []byte) ([]byte, error) { f(); return nil, nil }, nil
	}
	return nil, fmt.Errorf("a function takes (context.Context, []byte) or less and returns ([]byte, error) or less, not %T", function)
}

// call runs the function; a panic is an error like any other, with its stack.
func (h handler) call(ctx context.Context, input []byte) (output []byte, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v\n%s", problem, debug.Stack())
		}
	}()
	return h(ctx, input)
}
