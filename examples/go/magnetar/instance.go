package magnetar

import (
	"context"
	"encoding/base64"
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
	producer  pulsar.Producer
	messages  chan pulsar.ConsumerMessage
	flush     chan struct{}
}

func newInstance(c *conf, h handler, f *figures, logs *logTarget) (*instance, error) {
	client, err := connect(c, logs)
	if err != nil {
		return nil, fmt.Errorf("no client for %s: %w", c.ServiceURL, err)
	}
	i := &instance{
		conf: c, handler: h, figures: f, logger: logs.logger(), client: client,
		messages: make(chan pulsar.ConsumerMessage, waiting),
		flush:    make(chan struct{}, 1),
	}
	i.context = newContext(c, f, i.logger, client)
	if topic := c.function.LogTopic; topic != "" {
		if err = logs.useTopic(client, topic); err != nil {
			return nil, fmt.Errorf("no producer for the log topic %s: %w", topic, err)
		}
	}
	if topic := c.function.Sink.Topic; topic != "" {
		if i.producer, err = client.CreateProducer(producerOptions(c)); err != nil {
			return nil, fmt.Errorf("no producer for the output %s: %w", topic, err)
		}
		go i.flushWhenIdle()
	}
	i.consumers, err = subscribe(c, client, i.messages)
	return i, err
}

// run works until stop is closed or nothing came for killAfterIdleMs; then it finishes what is in flight.
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
			if len(i.messages) == 0 {
				i.flushSoon()
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
	output, err := i.handler.call(NewContext(context.Background(), i.context), message.Payload())
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
	if output == nil || i.producer == nil {
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
	i.producer.SendAsync(context.Background(), outgoing, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
		if err != nil {
			i.figures.failSystem(err)
			i.logger.Error("the output could not be published", "topic", i.conf.function.Sink.Topic, "error", err)
			message.Nack(message.Message)
			return
		}
		done()
	})
}

func (i *instance) acknowledge(message pulsar.ConsumerMessage) {
	if err := message.Ack(message.Message); err != nil {
		i.figures.failSystem(err)
		i.logger.Error("the message could not be acknowledged", "error", err)
	}
}

// flushSoon has the batch sent: where nothing waits, waiting for more to come is only latency.
func (i *instance) flushSoon() {
	select {
	case i.flush <- struct{}{}:
	default:
	}
}

func (i *instance) flushWhenIdle() {
	for range i.flush {
		_ = i.producer.FlushWithCtx(context.Background())
	}
}

// close publishes and acknowledges what was processed, then closes everything.
func (i *instance) close() {
	if i.producer != nil {
		close(i.flush)
		if err := i.producer.FlushWithCtx(context.Background()); err != nil {
			i.logger.Error("the last outputs could not be published", "error", err)
		}
	}
	for _, each := range i.consumers {
		each.Close()
	}
	if i.producer != nil {
		i.producer.Close()
	}
	i.context.close()
}
