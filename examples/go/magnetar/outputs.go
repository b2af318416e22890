package magnetar

import (
	"context"
	"errors"
	"sync"

	"github.com/apache/pulsar-client-go/pulsar"
)

var errNotConfirmed = errors.New("the broker did not confirm the last outputs, whose messages will come again")

// outputs publishes what the function returns.
//
// Only its own goroutine flushes the producer: of two flushes that wait for the same batch the client forgets the first
// one, which then never returns. So nobody waits for a flush to know that all is published; what is under way is counted.
type outputs struct {
	producer pulsar.Producer
	wanted   chan struct{}
	underWay sync.WaitGroup
}

// publishTo takes over a producer: it is flushed until `ending` is done.
func publishTo(ending context.Context, producer pulsar.Producer) *outputs {
	o := &outputs{producer: producer, wanted: make(chan struct{}, 1)}
	go o.flushWhenWanted(ending)
	return o
}

// send publishes a message; told is called once, from any goroutine, and must not wait for the client.
func (o *outputs) send(ending context.Context, message *pulsar.ProducerMessage, told func(error)) {
	o.underWay.Add(1)
	o.producer.SendAsync(ending, message, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
		defer o.underWay.Done()
		told(err)
	})
}

// flushSoon has the batch sent: where nothing waits, waiting for more to come is only latency.
func (o *outputs) flushSoon() {
	select {
	case o.wanted <- struct{}{}:
	default:
	}
}

func (o *outputs) flushWhenWanted(ending context.Context) {
	for {
		select {
		case <-ending.Done():
			return
		case <-o.wanted:
			_ = o.producer.FlushWithCtx(ending)
		}
	}
}

// drain waits until the broker has answered for every message, or ending is done. Nothing may be sent meanwhile.
func (o *outputs) drain(ending context.Context) error {
	o.flushSoon()
	answered := make(chan struct{})
	go func() {
		o.underWay.Wait()
		close(answered)
	}()
	select {
	case <-answered:
		return nil
	case <-ending.Done():
		return errNotConfirmed
	}
}
