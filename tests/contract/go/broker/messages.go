package main

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

const wait = 10 * time.Second

func init() {
	features["exclusive"] = exclusive
	features["shared-redelivers-on-close"] = sharedRedelivers
	features["failover"] = failover
	features["key-shared"] = keyShared
	features["batch-index-acknowledgement"] = batchIndex
	features["cumulative-acknowledgement"] = cumulative
	features["acknowledgement-receipts"] = receipts
	features["dead-letters"] = deadLetters
	features["retry-letters"] = retryLetters
	features["delayed-delivery"] = delayed
	features["multi-topic"] = multiTopic
	features["pattern"] = pattern
	features["partitioned"] = partitioned
	features["seek-under-load"] = seekUnderLoad
	features["non-persistent"] = nonPersistent
	features["reader"] = reader
	features["reader-within-a-batch"] = readerWithinBatch
	features["reader-seek"] = readerSeek
	features["table-view"] = tableView
	features["compression"] = compression
	features["chunks"] = chunks
	features["json-schema"] = func(s *session) { schemas(s, pulsar.NewJSONSchema(one, nil), pulsar.NewJSONSchema(other, nil)) }
	features["avro-schema"] = func(s *session) { schemas(s, pulsar.NewAvroSchema(one, nil), pulsar.NewAvroSchema(other, nil)) }
	features["exclusive-producer"] = exclusiveProducer
	features["wait-for-exclusive-producer"] = waitForExclusive
	features["transactions-refused"] = transactions
	features["too-large-message"] = tooLarge
}

const (
	one   = `{"type":"record","name":"R","fields":[{"name":"text","type":"string"}]}`
	other = `{"type":"record","name":"R","fields":[{"name":"text","type":"long"}]}`
)

func (s *session) producer(options pulsar.ProducerOptions) pulsar.Producer {
	options.Topic = s.topic
	producer, err := s.client.CreateProducer(options)
	must(err)
	return producer
}

func (s *session) consumer(options pulsar.ConsumerOptions) pulsar.Consumer {
	if options.Topic == "" && options.Topics == nil && options.TopicsPattern == "" {
		options.Topic = s.topic
	}
	options.SubscriptionName = "s"
	options.SubscriptionInitialPosition = pulsar.SubscriptionPositionEarliest
	options.NackRedeliveryDelay = 100 * time.Millisecond
	consumer, err := s.client.Subscribe(options)
	must(err)
	return consumer
}

func (s *session) send(count int, batched bool) {
	producer := s.producer(pulsar.ProducerOptions{DisableBatching: !batched, MaxPendingMessages: 100})
	defer producer.Close()
	for number := range count {
		message := &pulsar.ProducerMessage{Payload: fmt.Appendf(nil, "%d", number), Key: fmt.Sprintf("k%d", number%5)}
		producer.SendAsync(context.Background(), message, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) { must(err) })
	}
	must(producer.Flush())
}

func next(consumer interface {
	Receive(context.Context) (pulsar.Message, error)
}) pulsar.Message {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	message, err := consumer.Receive(ctx)
	must(err)
	return message
}

func number(message pulsar.Message) int {
	var found int
	_, err := fmt.Sscan(string(message.Payload()), &found)
	must(err)
	return found
}

func exclusive(s *session) {
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Exclusive})
	defer consumer.Close()
	_, err := s.client.Subscribe(pulsar.ConsumerOptions{Topic: s.topic, SubscriptionName: "s", Type: pulsar.Exclusive})
	that(err != nil && strings.Contains(err.Error(), "ConsumerBusy"), "a second exclusive consumer: ", err)
	s.send(1000, true)
	for expected := range 1000 {
		that(number(next(consumer)) == expected, "out of order at ", expected)
	}
}

func sharedRedelivers(s *session) {
	s.send(20, false)
	first := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared})
	next(first)
	second := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared})
	defer second.Close()
	first.Close()
	seen := map[int]bool{}
	for len(seen) < 20 {
		message := next(second)
		seen[number(message)] = true
		must(second.Ack(message))
	}
}

func failover(s *session) {
	first := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Failover, Name: "a", AckWithResponse: true})
	second := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Failover, Name: "b"})
	defer second.Close()
	s.send(10, false)
	for range 4 {
		must(first.Ack(next(first)))
	}
	first.Close()
	for expected := 4; expected < 10; expected++ {
		that(number(next(second)) == expected, "out of order at ", expected)
	}
}

func keyShared(s *session) {
	first := s.consumer(pulsar.ConsumerOptions{Type: pulsar.KeyShared, Name: "a"})
	second := s.consumer(pulsar.ConsumerOptions{Type: pulsar.KeyShared, Name: "b"})
	defer first.Close()
	defer second.Close()
	s.send(200, false)
	owners, last := map[string]int{}, map[string]int{}
	for received := 0; received < 200; received++ {
		var message pulsar.ConsumerMessage
		index := 0
		select {
		case message = <-first.Chan():
		case message = <-second.Chan():
			index = 1
		case <-time.After(wait):
			panic("no message came")
		}
		owner, known := owners[message.Key()]
		that(!known || owner == index, "a key moved")
		that(!known || last[message.Key()] < number(message), "a key lost its order")
		owners[message.Key()], last[message.Key()] = index, number(message)
		must(message.Ack(message))
	}
}

func batchIndex(s *session) {
	s.send(10, true)
	first := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared, EnableBatchIndexAcknowledgment: true, AckWithResponse: true})
	for index := range 10 {
		message := next(first)
		if index < 4 {
			must(first.Ack(message))
		}
	}
	first.Close()
	second := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared, EnableBatchIndexAcknowledgment: true})
	defer second.Close()
	for expected := 4; expected < 10; expected++ {
		that(number(next(second)) == expected, "expected ", expected)
	}
}

func cumulative(s *session) {
	s.send(10, false)
	first := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Exclusive})
	for index := range 5 {
		message := next(first)
		if index == 4 {
			must(first.AckCumulative(message))
		}
	}
	first.Close()
	second := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Exclusive})
	defer second.Close()
	that(number(next(second)) == 5, "expected 5")
}

func receipts(s *session) {
	s.send(3, false)
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared, AckWithResponse: true})
	defer consumer.Close()
	for range 3 {
		must(consumer.Ack(next(consumer)))
	}
}

func deadLetters(s *session) {
	s.send(4, false)
	dead := s.topic + "-s-DLQ"
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared, DLQ: &pulsar.DLQPolicy{MaxDeliveries: 3, DeadLetterTopic: dead}})
	defer consumer.Close()
	letters := s.consumer(pulsar.ConsumerOptions{Topic: dead})
	defer letters.Close()
	for range 12 {
		consumer.Nack(next(consumer))
	}
	seen := map[int]bool{}
	for range 4 {
		seen[number(next(letters))] = true
	}
	that(len(seen) == 4, seen)
}

func retryLetters(s *session) {
	s.send(1, false)
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared, RetryEnable: true})
	defer consumer.Close()
	consumer.ReconsumeLater(next(consumer), 200*time.Millisecond)
	again := next(consumer)
	that(again.Properties()["RECONSUMETIMES"] == "1", again.Properties())
}

func delayed(s *session) {
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared})
	defer consumer.Close()
	producer := s.producer(pulsar.ProducerOptions{})
	defer producer.Close()
	start := time.Now()
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: []byte("1"), DeliverAfter: 600 * time.Millisecond})
	must(err)
	_, err = producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: []byte("2")})
	must(err)
	that(number(next(consumer)) == 2, "the delayed message came first")
	that(number(next(consumer)) == 1, "the delayed message did not come")
	that(time.Since(start) > 500*time.Millisecond, "the delayed message came too early")
}

func multiTopic(s *session) {
	second := *s
	second.topic += "-other"
	consumer := s.consumer(pulsar.ConsumerOptions{Topics: []string{s.topic, second.topic}})
	defer consumer.Close()
	s.send(3, false)
	second.send(3, false)
	topics := map[string]bool{}
	for range 6 {
		topics[next(consumer).Topic()] = true
	}
	that(len(topics) == 2, topics)
}

func pattern(s *session) {
	s.send(1, false)
	consumer := s.consumer(pulsar.ConsumerOptions{TopicsPattern: s.topic + ".*", AutoDiscoveryPeriod: 200 * time.Millisecond})
	defer consumer.Close()
	that(number(next(consumer)) == 0, "expected 0")
	later := *s
	later.topic += "-later"
	later.send(1, false)
	found := next(consumer).Topic()
	that(found == later.topic, found)
}

func partitioned(s *session) {
	post(s.admin, "PUT", "/admin/v2/persistent/"+strings.TrimPrefix(s.topic, "persistent://")+"/partitions", "3")
	s.send(60, true)
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared})
	defer consumer.Close()
	seen := map[int]bool{}
	for len(seen) < 60 {
		seen[number(next(consumer))] = true
	}
}

func seekUnderLoad(s *session) {
	s.send(3000, false)
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Exclusive})
	defer consumer.Close()
	for range 1500 {
		must(consumer.Ack(next(consumer)))
	}
	must(consumer.SeekByTime(time.Unix(0, 0)))
	for expected := range 3000 {
		found := number(next(consumer))
		that(found == expected, "expected ", expected, ", found ", found)
	}
}

func nonPersistent(s *session) {
	s.topic = strings.Replace(s.topic, "persistent://", "non-persistent://", 1)
	s.send(5, false)
	consumer := s.consumer(pulsar.ConsumerOptions{Type: pulsar.Shared})
	defer consumer.Close()
	s.send(5, false)
	for expected := range 5 {
		that(number(next(consumer)) == expected, "expected ", expected)
	}
}

func (s *session) reader(start pulsar.MessageID) pulsar.Reader {
	made, err := s.client.CreateReader(pulsar.ReaderOptions{Topic: s.topic, StartMessageID: start})
	must(err)
	return made
}

func read(reader pulsar.Reader) pulsar.Message {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	message, err := reader.Next(ctx)
	must(err)
	return message
}

func reader(s *session) {
	s.send(10, false)
	earliest := s.reader(pulsar.EarliestMessageID())
	defer earliest.Close()
	var middle pulsar.MessageID
	for expected := range 10 {
		that(earliest.HasNext(), "nothing is available")
		message := read(earliest)
		that(number(message) == expected, "expected ", expected)
		if expected == 4 {
			middle = message.ID()
		}
	}
	that(!earliest.HasNext(), "something is available at the end")
	from := s.reader(middle)
	defer from.Close()
	that(number(read(from)) == 5, "expected 5")
	latest := s.reader(pulsar.LatestMessageID())
	defer latest.Close()
	s.send(1, false)
	that(number(read(latest)) == 0, "expected 0")
}

func readerWithinBatch(s *session) {
	s.send(10, true)
	earliest := s.reader(pulsar.EarliestMessageID())
	defer earliest.Close()
	var middle pulsar.MessageID
	for range 6 {
		middle = read(earliest).ID()
	}
	from := s.reader(middle)
	defer from.Close()
	found := number(read(from))
	that(found == 6, "expected 6, found ", found)
}

func readerSeek(s *session) {
	s.send(50, false)
	time.Sleep(20 * time.Millisecond)
	between := time.Now()
	time.Sleep(20 * time.Millisecond)
	s.send(50, false)
	reader := s.reader(pulsar.EarliestMessageID())
	defer reader.Close()
	var tenth pulsar.MessageID
	for index := range 100 {
		id := read(reader).ID()
		if index == 10 {
			tenth = id
		}
	}
	must(reader.SeekByTime(between))
	that(number(read(reader)) == 0, "expected 0 after the time")
	must(reader.SeekByTime(time.Unix(0, 0)))
	for expected := range 50 {
		that(number(read(reader)) == expected, "expected ", expected)
	}
	// The last, as this client drops what is before such an id ever after.
	must(reader.Seek(tenth))
	found := number(read(reader))
	that(found == 11, "expected 11 after the tenth, found ", found)
}

func tableView(s *session) {
	s.send(10, true)
	view, err := s.client.CreateTableView(pulsar.TableViewOptions{Topic: s.topic, Schema: pulsar.NewStringSchema(nil), SchemaValueType: reflect.TypeFor[*string]()})
	must(err)
	defer view.Close()
	that(view.Size() == 5, "the view has ", view.Size())
}

func data(size int) []byte {
	made := make([]byte, size)
	for at := range made {
		made[at] = byte(at*31 + at/1000)
	}
	return made
}

func compression(s *session) {
	consumer := s.consumer(pulsar.ConsumerOptions{})
	defer consumer.Close()
	sent := data(4_000_000)
	for _, kind := range []pulsar.CompressionType{pulsar.NoCompression, pulsar.LZ4, pulsar.ZLib, pulsar.ZSTD} {
		producer := s.producer(pulsar.ProducerOptions{CompressionType: kind})
		_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: sent})
		must(err)
		that(bytes.Equal(next(consumer).Payload(), sent), "compression ", kind)
		producer.Close()
	}
}

func chunks(s *session) {
	consumer := s.consumer(pulsar.ConsumerOptions{})
	defer consumer.Close()
	producer := s.producer(pulsar.ProducerOptions{EnableChunking: true, DisableBatching: true})
	defer producer.Close()
	sent := data(12_000_000)
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: sent})
	must(err)
	that(bytes.Equal(next(consumer).Payload(), sent), "the chunks differ from what was sent")
}

func schemas(s *session, schema, incompatible pulsar.Schema) {
	type record struct {
		Text string `json:"text" avro:"text"`
	}
	consumer := s.consumer(pulsar.ConsumerOptions{Schema: schema})
	defer consumer.Close()
	producer := s.producer(pulsar.ProducerOptions{Schema: schema})
	defer producer.Close()
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Value: &record{"hello"}})
	must(err)
	var received record
	must(next(consumer).GetSchemaValue(&received))
	that(received.Text == "hello", received)
	_, err = s.client.CreateProducer(pulsar.ProducerOptions{Topic: s.topic, Schema: incompatible})
	that(err != nil && strings.Contains(err.Error(), "IncompatibleSchema"), "an incompatible schema: ", err)
}

func exclusiveProducer(s *session) {
	first := s.producer(pulsar.ProducerOptions{ProducerAccessMode: pulsar.ProducerAccessModeExclusive})
	_, err := s.client.CreateProducer(pulsar.ProducerOptions{Topic: s.topic, ProducerAccessMode: pulsar.ProducerAccessModeExclusive})
	that(err != nil && strings.Contains(err.Error(), "ProducerFenced"), "a second exclusive producer: ", err)
	first.Close()
	s.producer(pulsar.ProducerOptions{ProducerAccessMode: pulsar.ProducerAccessModeExclusive}).Close()
}

func waitForExclusive(s *session) {
	first := s.producer(pulsar.ProducerOptions{ProducerAccessMode: pulsar.ProducerAccessModeExclusive})
	made := make(chan pulsar.Producer)
	go func() {
		second, err := s.client.CreateProducer(pulsar.ProducerOptions{Topic: s.topic, ProducerAccessMode: pulsar.ProducerAccessModeWaitForExclusive})
		must(err)
		made <- second
	}()
	select {
	case <-made:
		panic("the second producer did not wait")
	case <-time.After(300 * time.Millisecond):
	}
	first.Close()
	select {
	case second := <-made:
		second.Close()
	case <-time.After(wait):
		panic("the second producer still waits")
	}
}

func transactions(s *session) {
	client, err := pulsar.NewClient(pulsar.ClientOptions{URL: s.url, EnableTransaction: true, OperationTimeout: 3 * time.Second})
	if err != nil {
		return
	}
	defer client.Close()
	_, err = client.NewTransaction(time.Second)
	that(err != nil, "a transaction was begun")
}

func tooLarge(s *session) {
	producer := s.producer(pulsar.ProducerOptions{DisableBatching: true})
	defer producer.Close()
	_, err := producer.Send(context.Background(), &pulsar.ProducerMessage{Payload: make([]byte, 6_000_000)})
	that(err != nil, "a message above the limit was sent")
}
