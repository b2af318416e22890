package magnetar

import (
	"fmt"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	pulsarlog "github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/prometheus/client_golang/prometheus"
)

func connect(c *conf, logs *logTarget) (pulsar.Client, error) {
	authentication, err := authenticationOf(c.AuthPlugin, c.AuthParameters)
	if err != nil {
		return nil, err
	}
	return pulsar.NewClient(pulsar.ClientOptions{
		URL:                        c.ServiceURL,
		Authentication:             authentication,
		TLSTrustCertsFilePath:      c.TLSTrustCerts,
		TLSAllowInsecureConnection: c.TLSAllowInsecure,
		TLSValidateHostname:        c.TLSVerifyHostname,
		Logger:                     pulsarlog.NewLoggerWithSlog(logs.clientLogger()),
		MetricsRegisterer:          prometheus.NewRegistry(),
	})
}

// authenticationOf understands the parameters of Pulsar's token plugin; the client knows the other plugins by name.
func authenticationOf(plugin, parameters string) (pulsar.Authentication, error) {
	switch {
	case plugin == "":
		return nil, nil
	case strings.HasPrefix(parameters, "token:"):
		return pulsar.NewAuthenticationToken(strings.TrimPrefix(parameters, "token:")), nil
	case strings.HasPrefix(parameters, "file://"):
		return pulsar.NewAuthenticationTokenFromFile(strings.TrimPrefix(parameters, "file://")), nil
	}
	return pulsar.NewAuthentication(plugin, parameters)
}

// subscribe makes one consumer for each input; all of them feed one channel.
func subscribe(c *conf, client pulsar.Client, messages chan pulsar.ConsumerMessage) ([]pulsar.Consumer, error) {
	var consumers []pulsar.Consumer
	for topic, spec := range c.function.Source.InputSpecs {
		options := consumerOptions(c, spec)
		options.MessageChannel = messages
		if spec.IsPattern {
			options.TopicsPattern = topic
		} else {
			options.Topic = topic
		}
		consumer, err := client.Subscribe(options)
		if err != nil {
			return consumers, fmt.Errorf("the input %s can't be subscribed to: %w", topic, err)
		}
		consumers = append(consumers, consumer)
	}
	return consumers, nil
}

func consumerOptions(c *conf, spec consumer) pulsar.ConsumerOptions {
	from := c.function.Source
	options := pulsar.ConsumerOptions{
		SubscriptionName:    c.subscription(),
		Type:                pulsar.Shared,
		Properties:          c.properties(),
		NackRedeliveryDelay: time.Duration(from.NackDelayMs) * time.Millisecond,
	}
	switch from.SubscriptionType {
	case "FAILOVER":
		options.Type = pulsar.Failover
	case "KEY_SHARED":
		options.Type = pulsar.KeyShared
	}
	if from.Position == "EARLIEST" {
		options.SubscriptionInitialPosition = pulsar.SubscriptionPositionEarliest
	}
	if spec.QueueSize != nil {
		options.ReceiverQueueSize = spec.QueueSize.Value
	}
	if retry := c.function.Retry; retry != nil {
		options.DLQ = &pulsar.DLQPolicy{MaxDeliveries: uint32(retry.MaxRetries) + 1, DeadLetterTopic: retry.DeadLetter}
	}
	return options
}

func producerOptions(c *conf) pulsar.ProducerOptions {
	options := pulsar.ProducerOptions{
		Topic:                   c.function.Sink.Topic,
		CompressionType:         pulsar.LZ4,
		Properties:              c.properties(),
		BatchingMaxPublishDelay: 10 * time.Millisecond,
		SendTimeout:             -1,
	}
	spec := c.function.Sink.ProducerSettings
	if spec == nil {
		return options
	}
	options.MaxPendingMessages = spec.MaxPending
	known := map[string]pulsar.CompressionType{"NONE": pulsar.NoCompression, "ZLIB": pulsar.ZLib, "ZSTD": pulsar.ZSTD}
	if wanted, ok := known[spec.Compression]; ok {
		options.CompressionType = wanted
	}
	builder := spec.BatchBuilder
	if batching := spec.Batching; batching != nil {
		options.DisableBatching = !batching.Enabled
		options.BatchingMaxMessages = uint(batching.MaxMessages)
		options.BatchingMaxSize = uint(batching.MaxBytes)
		if batching.MaxDelayMs > 0 {
			options.BatchingMaxPublishDelay = time.Duration(batching.MaxDelayMs) * time.Millisecond
		}
		if batching.BatchBuilder != "" {
			builder = batching.BatchBuilder
		}
	}
	if builder == "KEY_BASED" {
		options.BatcherBuilderType = pulsar.KeyBasedBatchBuilder
	}
	return options
}
