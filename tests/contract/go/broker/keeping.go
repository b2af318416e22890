package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/pulsar-client-go/pulsar"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func init() {
	features["compacted-reads"] = compactedReads
	features["protobuf-native-schema"] = protobufNativeSchema
	features["deduplication"] = deduplication
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
