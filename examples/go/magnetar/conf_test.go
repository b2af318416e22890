package magnetar

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestTheFunctionIsReadFromItsDetailsOrFromTheFlatKeys(t *testing.T) {
	texts := map[string]string{
		"4.x": `{"functionDetails": "{\"autoAck\":true,\"processingGuarantees\":\"ATMOST_ONCE\",\"source\":{\"timeoutMs\":\"30\",` +
			`\"inputSpecs\":{\"in\":{\"isRegexPattern\":true}}},\"sink\":{\"topic\":\"out\"}}"}`,
		"2.8": `{"autoAck": true, "processingGuarantees": 1, "sourceSpecsTopic": "in", "isRegexPatternSubscription": true,` +
			`"timeoutMs": 30, "sinkSpecsTopic": "out"}`,
	}
	for version, text := range texts {
		c, err := readConf(text)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		f := c.function
		if !f.AutoAck || f.Guarantees != atMostOnce || f.Sink.Topic != "out" || f.Source.TimeoutMs != 30 {
			t.Errorf("%s: %+v", version, f)
		}
		if !f.Source.InputSpecs["in"].IsPattern {
			t.Errorf("%s: the pattern is lost: %+v", version, f.Source)
		}
	}
}

func TestWhatGoFunctionsCannotDoIsRefusedByName(t *testing.T) {
	for text, sentence := range map[string]string{
		`{"sourceSpecsTopic": "in", "processingGuarantees": 2}`: "EFFECTIVELY_ONCE",
		`{}`: "no input topic",
		`{"sourceInputSpecs": {"in": "{\"schemaType\":\"avro\"}"}}`: "schema or serde of the input in",
		`nonsense`: "-instance-conf",
	} {
		if _, err := readConf(text); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEveryFormOfAFunctionIsTaken(t *testing.T) {
	failure := errors.New("no")
	for name, function := range map[string]any{
		"all":     func(_ context.Context, in []byte) ([]byte, error) { return in, failure },
		"input":   func(in []byte) ([]byte, error) { return in, failure },
		"nothing": func() error { return failure },
		"panic":   func() { panic(failure) },
	} {
		h, err := handlerOf(function)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := h.call(context.Background(), []byte("x")); err == nil || !strings.Contains(err.Error(), "no") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handlerOf(func(int) {}); err == nil {
		t.Error("a function of int was taken")
	}
}
