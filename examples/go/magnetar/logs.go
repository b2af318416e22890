package magnetar

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

// logHandler writes each record with one write, in the format that Pulsar's Python instances have, and to the log topic.
type logHandler struct {
	shared     *logTarget
	attributes []slog.Attr
	ofClient   bool
}

type logTarget struct {
	mutex    sync.Mutex
	writer   io.Writer
	level    slog.Level
	producer atomic.Pointer[pulsar.Producer]
	ending   context.Context
	fqfn     string
	instance int
}

func newLogTarget(c *conf) *logTarget {
	return &logTarget{writer: os.Stderr, level: levelOf(os.Getenv("LOGGING_LEVEL")), fqfn: c.fqfn(), instance: c.InstanceID}
}

func (t *logTarget) logger() *slog.Logger { return slog.New(&logHandler{shared: t}) }

// clientLogger is for the client: what it says of sending must not be sent.
func (t *logTarget) clientLogger() *slog.Logger {
	return slog.New(&logHandler{shared: t, ofClient: true})
}

func levelOf(name string) slog.Level {
	var level slog.Level
	if strings.EqualFold(name, "fatal") || strings.EqualFold(name, "panic") {
		return slog.LevelError
	}
	if strings.EqualFold(name, "trace") {
		return slog.LevelDebug
	}
	if strings.EqualFold(name, "warning") {
		return slog.LevelWarn
	}
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}

// useTopic sends what is logged from now on to a topic, too; when ending is done, nothing waits for it any more.
func (t *logTarget) useTopic(ending context.Context, client pulsar.Client, topic string) error {
	producer, err := client.CreateProducer(pulsar.ProducerOptions{
		Topic:                   topic,
		CompressionType:         pulsar.LZ4,
		BatchingMaxPublishDelay: 100 * time.Millisecond,
		Properties:              map[string]string{"function": t.fqfn},
	})
	if err != nil {
		return err
	}
	t.ending = ending
	t.producer.Store(&producer)
	return nil
}

// detach leaves the topic out from now on.
func (t *logTarget) detach() { t.producer.Store(nil) }

func (t *logTarget) close() {
	if producer := t.producer.Swap(nil); producer != nil {
		_ = (*producer).FlushWithCtx(t.ending)
		(*producer).Close()
	}
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.shared.level
}

func (h *logHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return &logHandler{h.shared, append(slices.Clone(h.attributes), attributes...), h.ofClient}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }

func (h *logHandler) Handle(_ context.Context, record slog.Record) error {
	var message bytes.Buffer
	message.WriteString(record.Message)
	write := func(attribute slog.Attr) bool {
		fmt.Fprintf(&message, " %s=%v", attribute.Key, attribute.Value)
		return true
	}
	for _, attribute := range h.attributes {
		write(attribute)
	}
	record.Attrs(write)
	text := message.String()
	stamp := record.Time.Format("2006-01-02 15:04:05 -0700")
	line := fmt.Sprintf("[%s] [%s] %s: %s\n", stamp, record.Level, h.origin(record.PC), text)
	if producer := h.shared.producer.Load(); producer != nil && !h.ofClient {
		h.shared.publish(*producer, record, text)
	}
	h.shared.mutex.Lock()
	defer h.shared.mutex.Unlock()
	_, err := io.WriteString(h.shared.writer, line)
	return err
}

// publish hands a record to the log topic; it waits where the topic is slower than the function, for no record is lost.
func (t *logTarget) publish(producer pulsar.Producer, record slog.Record, text string) {
	producer.SendAsync(t.ending, &pulsar.ProducerMessage{
		Payload:   []byte(text),
		EventTime: record.Time,
		Properties: map[string]string{
			"loglevel": record.Level.String(),
			"instance": fmt.Sprint(t.instance),
			"fqn":      t.fqfn,
		},
	}, func(pulsar.MessageID, *pulsar.ProducerMessage, error) {})
}

func (h *logHandler) origin(counter uintptr) string {
	if h.ofClient {
		return "pulsar-client"
	}
	frame, _ := runtime.CallersFrames([]uintptr{counter}).Next()
	return filepath.Base(frame.File)
}
