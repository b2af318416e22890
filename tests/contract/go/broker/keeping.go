package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func init() {
	features["compacted-reads"] = compactedReads
	features["protobuf-native-schema"] = protobufNativeSchema
	features["deduplication"] = deduplication
	features["key-value-schema"] = keyValueSchema
	features["schema-versions"] = schemaVersions
	features["fenced-producer"] = fencedProducer
}

func compactedReads(s *session) {
	s.send(20, true)
	must(s.adminClient().Topics().Compact(s.name()))
	s.send(5, false)
	reader, err := s.client.CreateReader(pulsar.ReaderOptions{
		Topic: s.topic, StartMessageID: pulsar.EarliestMessageID(), ReadCompacted: true,
	})
	must(err)
	defer reader.Close()
	for _, expected := range []int{15, 16, 17, 18, 19, 0, 1, 2, 3, 4} {
		that(reader.HasNext(), "nothing is available")
		found := number(read(reader))
		that(found == expected, found, " instead of ", expected)
	}
	that(!reader.HasNext(), "something is available at the end")
}

func protobufNativeSchema(s *session) {
	schema := pulsar.NewProtoNativeSchemaWithMessage(&wrapperspb.StringValue{}, nil)
	consumer := s.consumer(pulsar.ConsumerOptions{Schema: schema})
	defer consumer.Close()
	producer := s.producer(pulsar.ProducerOptions{Schema: schema})
	defer producer.Close()
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Value: wrapperspb.String("hello")})
	must(err)
	var received wrapperspb.StringValue
	message := next(consumer)
	must(message.GetSchemaValue(&received))
	that(received.Value == "hello", received.Value)
	that(len(message.SchemaVersion()) == 8, "the schema's version is ", message.SchemaVersion())
	other := pulsar.NewProtoNativeSchemaWithMessage(&wrapperspb.Int64Value{}, nil)
	_, err = s.client.CreateProducer(pulsar.ProducerOptions{Topic: s.topic, Schema: other})
	that(err != nil && strings.Contains(err.Error(), "IncompatibleSchema"), "an incompatible schema: ", err)
}

func deduplication(s *session) {
	namespace := "public/go" + s.topic[strings.LastIndex(s.topic, "-")+1:]
	admin := s.adminClient()
	must(admin.Namespaces().CreateNamespace(namespace))
	must(admin.Namespaces().SetDeduplicationStatus(namespace, true))
	s.topic = "persistent://" + namespace + "/t"
	consumer := s.consumer(pulsar.ConsumerOptions{})
	defer consumer.Close()
	for _, ids := range [][]int64{{0, 1, 2}, {1, 2, 3}} {
		producer := s.producer(pulsar.ProducerOptions{Name: "same", DisableBatching: true})
		for _, id := range ids {
			message := &pulsar.ProducerMessage{Payload: fmt.Appendf(nil, "%d", id), SequenceID: &id}
			_, err := producer.Send(context.Background(), message)
			must(err)
		}
		producer.Close()
	}
	for expected := range 4 {
		found := number(next(consumer))
		that(found == expected, found, " instead of ", expected)
	}
}

// pair is a schema of keys and values, which this client has no code of its own for.
type pair struct{ value string }

func (pair) Encode(value any) ([]byte, error)    { return value.([]byte), nil }
func (pair) Decode(data []byte, value any) error { *value.(*[]byte) = data; return nil }
func (pair) Validate([]byte) error               { return nil }
func (p pair) GetSchemaInfo() *pulsar.SchemaInfo {
	var text []byte
	for _, part := range []string{"", p.value} {
		text = append(binary.BigEndian.AppendUint32(text, uint32(len(part))), part...)
	}
	return &pulsar.SchemaInfo{Name: "pair", Type: pulsar.KeyValue, Schema: string(text), Properties: map[string]string{
		"key.schema.name": "k", "key.schema.type": "STRING", "key.schema.properties": "{}",
		"value.schema.name": "v", "value.schema.type": "JSON", "value.schema.properties": "{}",
		"kv.encoding.type": "SEPARATED",
	}}
}

func keyValueSchema(s *session) {
	consumer := s.consumer(pulsar.ConsumerOptions{Schema: pair{one}})
	defer consumer.Close()
	producer := s.producer(pulsar.ProducerOptions{Schema: pair{one}})
	defer producer.Close()
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Key: "k", Payload: []byte(`{"text":"v"}`)})
	must(err)
	message := next(consumer)
	that(message.Key() == "k" && string(message.Payload()) == `{"text":"v"}`, message.Key(), string(message.Payload()))
	_, err = s.client.CreateProducer(pulsar.ProducerOptions{Topic: s.topic, Schema: pair{other}})
	that(err != nil && strings.Contains(err.Error(), "IncompatibleSchema"), "an incompatible schema: ", err)
}

func schemaVersions(s *session) {
	wider := strings.Replace(one, "]}", `,{"name":"more","type":"string","default":""}]}`, 1)
	for version, text := range []string{one, wider, one} {
		producer := s.producer(pulsar.ProducerOptions{Schema: pulsar.NewAvroSchema(text, nil)})
		producer.Close()
		all, err := s.adminClient().Schemas().GetAllSchemas(s.topic)
		must(err)
		that(len(all) == min(version+1, 2), "there are ", len(all), " schemas")
	}
}

// fencedProducer sends until somebody else takes the topic from it.
func fencedProducer(s *session) {
	producer := s.producer(pulsar.ProducerOptions{ProducerAccessMode: pulsar.ProducerAccessModeExclusive})
	defer producer.Close()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: []byte("x")})
		if err != nil {
			that(errors.Is(err, pulsar.ErrProducerFenced) || errors.Is(err, pulsar.ErrProducerClosed), err)
			return
		}
		that(time.Since(began) < 3*wait, "nobody fenced the producer")
	}
}
