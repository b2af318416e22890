package magnetar

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

// waiting is how many messages may lie between the consumers and the function.
const waiting = 100

// instance receives, calls, publishes and acknowledges: in this order, one message after the other.
type instance struct {
	conf      *conf
	handler   handler
	figures   *figures
	logger    *slog.Logger
	context   *FunctionContext
	client    pulsar.Client
	consumers []pulsar.Consumer
	outputs   *outputs
	messages  chan pulsar.ConsumerMessage
	ending    context.Context
}

// newInstance connects and subscribes. When ending is done, nothing of the instance waits for the broker any more.
func newInstance(ending context.Context, c *conf, h handler, f *figures, logs *logTarget) (*instance, error) {
	client, err := connect(c, logs)
	if err != nil {
		return nil, fmt.Errorf("no client for %s: %w", c.ServiceURL, err)
	}
	i := &instance{
		conf: c, handler: h, figures: f, logger: logs.logger(), client: client,
		messages: make(chan pulsar.ConsumerMessage, waiting),
		ending:   ending,
	}
	i.context = newContext(c, f, i.logger, client)
	if topic := c.function.LogTopic; topic != "" {
		if err = logs.useTopic(ending, client, topic); err != nil {
			return nil, fmt.Errorf("no producer for the log topic %s: %w", topic, err)
		}
	}
	if topic := c.function.Sink.Topic; topic != "" {
		producer, err := client.CreateProducer(producerOptions(c))
		if err != nil {
			return nil, fmt.Errorf("no producer for the output %s: %w", topic, err)
		}
		i.outputs = publishTo(ending, producer)
	}
	i.consumers, err = subscribe(c, client, i.messages)
	return i, err
}

// run works until stop is closed or nothing came for killAfterIdleMs.
func (i *instance) run(stop <-chan struct{}) {
	var idle <-chan time.Time
	for {
		if i.conf.KillAfterIdleMs > 0 {
			idle = time.After(time.Duration(i.conf.KillAfterIdleMs) * time.Millisecond)
		}
		select {
		case <-stop:
			return
		default:
		}
		select {
		case <-stop:
			return
		case <-idle:
			i.logger.Info("nothing came for killAfterIdleMs: the instance ends")
			return
		case message := <-i.messages:
			i.process(message)
			if len(i.messages) == 0 && i.outputs != nil {
				i.outputs.flushSoon()
			}
		}
	}
}

func (i *instance) process(message pulsar.ConsumerMessage) {
	autoAck, once := i.conf.function.AutoAck, i.conf.function.Guarantees == atMostOnce
	if i.conf.function.Guarantees == manual {
		autoAck = false
	}
	if once && autoAck {
		i.acknowledge(message)
	}
	begun := time.Now()
	i.figures.begin(begun)
	i.context.record = message.Message
	i.context.ack = func() error { return message.Ack(message.Message) }
	output, err := i.handler.call(NewContext(i.ending, i.context), message.Payload())
	if err != nil {
		i.figures.failUser(err)
		i.logger.Error("the function failed", "message", message.ID(), "error", err)
		message.Nack(message.Message)
		return
	}
	i.figures.succeed(time.Since(begun))
	done := func() {
		if autoAck && !once {
			i.acknowledge(message)
		}
	}
	if output == nil || i.outputs == nil {
		done()
		return
	}
	i.publish(message, output, done)
}

// publish sends the output; its message is acknowledged once the broker has the output, and comes again if it never has.
func (i *instance) publish(message pulsar.ConsumerMessage, output []byte, done func()) {
	properties := map[string]string{}
	if i.conf.function.Sink.ForwardProperty {
		for key, value := range message.Properties() {
			properties[key] = value
		}
	}
	properties["__pfn_input_topic__"] = message.Topic()
	properties["__pfn_input_msg_id__"] = base64.StdEncoding.EncodeToString(message.ID().Serialize())
	outgoing := &pulsar.ProducerMessage{Payload: output, Properties: properties}
	i.outputs.send(i.ending, outgoing, func(err error) {
		if err == nil {
			done()
			return
		}
		i.failSystem("the output could not be published", err)
		message.Nack(message.Message)
	})
}

func (i *instance) acknowledge(message pulsar.ConsumerMessage) {
	if err := message.Ack(message.Message); err != nil {
		i.failSystem("the message could not be acknowledged", err)
	}
}

// failSystem counts and logs an error. The log may wait for its topic, and the client's goroutines, which deliver what
// it would wait for, must not: so it is written by one of its own.
func (i *instance) failSystem(what string, err error) {
	i.figures.failSystem(err)
	go i.logger.Error(what, "error", err)
}

// finish publishes and acknowledges what was processed, until ending is done at the latest.
func (i *instance) finish() {
	err := i.context.flush(i.ending)
	if i.outputs != nil {
		err = errors.Join(i.outputs.drain(i.ending), err)
	}
	if err != nil {
		i.logger.Error("the instance ends before all was published", "error", err)
	}
}

// close leaves the topics: the consumers first, so that what they acknowledged is heard.
func (i *instance) close() {
	for _, each := range i.consumers {
		each.Close()
	}
	if i.outputs != nil {
		i.outputs.producer.Close()
	}
	i.context.close()
}
