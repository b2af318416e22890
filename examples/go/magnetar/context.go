package magnetar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/apache/pulsar-client-go/pulsar"
)

type contextKey struct{}

// FunctionContext is what a function may ask about itself and its message.
type FunctionContext struct {
	conf     *conf
	userConf map[string]any
	secrets  map[string]any
	figures  *figures
	logger   *slog.Logger
	client   pulsar.Client
	record   pulsar.Message
	ack      func() error

	mutex     sync.Mutex
	producers map[string]pulsar.Producer
}

func newContext(c *conf, f *figures, logger *slog.Logger, client pulsar.Client) *FunctionContext {
	return &FunctionContext{
		conf:      c,
		userConf:  jsonMap(c.function.UserConfig),
		secrets:   jsonMap(c.function.SecretsMap),
		figures:   f,
		logger:    logger,
		client:    client,
		producers: map[string]pulsar.Producer{},
	}
}

// FromContext returns the function's context from the one that it is called with.
func FromContext(ctx context.Context) (*FunctionContext, bool) {
	found, ok := ctx.Value(contextKey{}).(*FunctionContext)
	return found, ok
}

// NewContext returns a context that carries a function's, e.g. for a test of a function.
func NewContext(parent context.Context, fc *FunctionContext) context.Context {
	return context.WithValue(parent, contextKey{}, fc)
}

// Logger logs to the instance's log file, and to the log topic where there is one.
func (fc *FunctionContext) Logger() *slog.Logger { return fc.logger }

// UserConfMap returns the user config; numbers are float64.
func (fc *FunctionContext) UserConfMap() map[string]any { return fc.userConf }

// UserConfValue returns one value of the user config, nil when there is none.
func (fc *FunctionContext) UserConfValue(key string) any { return fc.userConf[key] }

// GetUserConfMap is UserConfMap under pf's name.
func (fc *FunctionContext) GetUserConfMap() map[string]any { return fc.userConf }

// GetUserConfValue is UserConfValue under pf's name.
func (fc *FunctionContext) GetUserConfValue(key string) any { return fc.userConf[key] }

// GetSecret returns a secret: of the environment in a pod, else what the secrets' map itself says. "" when unknown.
func (fc *FunctionContext) GetSecret(name string) string {
	known, ok := fc.secrets[name]
	if !ok {
		return ""
	}
	if value, set := os.LookupEnv(name); set {
		return value
	}
	if text, ok := known.(string); ok {
		return text
	}
	return ""
}

// GetCurrentRecord returns the message that is processed.
func (fc *FunctionContext) GetCurrentRecord() pulsar.Message { return fc.record }

// Ack acknowledges the message: with the guarantee MANUAL, or without autoAck, nobody else does.
func (fc *FunctionContext) Ack() error {
	if fc.ack == nil {
		return errors.New("there is no message to acknowledge")
	}
	return fc.ack()
}

// RecordMetric adds a value to a metric of the user's.
func (fc *FunctionContext) RecordMetric(name string, value float64) {
	fc.figures.recordMetric(name, value)
}

// Publish sends a message to a topic and waits until the broker has it.
func (fc *FunctionContext) Publish(ctx context.Context, topic string, message *pulsar.ProducerMessage) error {
	producer, err := fc.NewOutputMessageWithError(topic)
	if err != nil {
		return err
	}
	_, err = producer.Send(ctx, message)
	return err
}

// NewOutputMessageWithError returns the producer of a topic, made once.
func (fc *FunctionContext) NewOutputMessageWithError(topic string) (pulsar.Producer, error) {
	fc.mutex.Lock()
	defer fc.mutex.Unlock()
	if known, ok := fc.producers[topic]; ok {
		return known, nil
	}
	made, err := fc.client.CreateProducer(pulsar.ProducerOptions{Topic: topic, Properties: fc.conf.properties()})
	if err != nil {
		return nil, fmt.Errorf("no producer for %s: %w", topic, err)
	}
	fc.producers[topic] = made
	return made, nil
}

// flush publishes what the function sent to topics of its own without waiting for it.
func (fc *FunctionContext) flush(ending context.Context) error {
	fc.mutex.Lock()
	defer fc.mutex.Unlock()
	var problems []error
	for _, each := range fc.producers {
		problems = append(problems, each.FlushWithCtx(ending))
	}
	return errors.Join(problems...)
}

func (fc *FunctionContext) close() {
	fc.mutex.Lock()
	defer fc.mutex.Unlock()
	for _, each := range fc.producers {
		each.Close()
	}
}

// The rest are pf's names of what the worker said.

func (fc *FunctionContext) GetInstanceID() int       { return fc.conf.InstanceID }
func (fc *FunctionContext) GetOutputTopic() string   { return fc.conf.function.Sink.Topic }
func (fc *FunctionContext) GetFuncTenant() string    { return fc.conf.Tenant }
func (fc *FunctionContext) GetFuncNamespace() string { return fc.conf.Namespace }
func (fc *FunctionContext) GetFuncName() string      { return fc.conf.Name }
func (fc *FunctionContext) GetFuncID() string        { return fc.conf.FuncID }
func (fc *FunctionContext) GetFuncVersion() string   { return fc.conf.FuncVersion }
func (fc *FunctionContext) GetClusterName() string   { return fc.conf.ClusterName }
func (fc *FunctionContext) GetPort() int             { return fc.conf.Port }
func (fc *FunctionContext) GetMetricsPort() int      { return fc.conf.MetricsPort }
func (fc *FunctionContext) GetTenantAndNamespace() string {
	return fc.conf.Tenant + "/" + fc.conf.Namespace
}
func (fc *FunctionContext) GetTenantAndNamespaceAndName() string { return fc.conf.fqfn() }

// GetInputTopics returns the topics, or patterns, that the function consumes.
func (fc *FunctionContext) GetInputTopics() []string {
	topics := make([]string, 0, len(fc.conf.function.Source.InputSpecs))
	for topic := range fc.conf.function.Source.InputSpecs {
		topics = append(topics, topic)
	}
	return topics
}
