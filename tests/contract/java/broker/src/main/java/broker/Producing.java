package broker;

import static broker.Check.same;
import static broker.Check.that;

import broker.Check.Feature;
import broker.Check.Session;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerAccessMode;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.PulsarClientException;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.schema.GenericRecord;

/** What producers can do, and schemas. */
final class Producing {
    private static final int WAIT = 10;

    public static final class One {
        public String text;
        public int number;
    }

    public static final class Two {
        public String text;
        public int number;
        public String more;
    }

    public static final class Other {
        public long text;
    }

    static void addTo(Map<String, Feature> features) {
        features.put("compression", Producing::compression);
        features.put("chunks", Producing::chunks);
        features.put("json-schema", session -> schema(session, Schema.JSON(One.class), Schema.JSON(Two.class),
                Schema.JSON(Other.class)));
        features.put("avro-schema", session -> schema(session, Schema.AVRO(One.class), Schema.AVRO(Two.class),
                Schema.AVRO(Other.class)));
        features.put("protobuf-native-schema", Producing::protobuf);
        features.put("key-value-schema", Producing::keyValue);
        features.put("exclusive-producer", Producing::exclusive);
        features.put("wait-for-exclusive-producer", Producing::waitForExclusive);
        features.put("exclusive-with-fencing", Producing::fencing);
        features.put("deduplication", Producing::deduplication);
        features.put("transactions-refused", Producing::transactions);
        features.put("too-large-message", Producing::tooLarge);
    }

    private static <T> Message<T> next(Consumer<T> consumer) throws PulsarClientException {
        Message<T> message = consumer.receive(WAIT, TimeUnit.SECONDS);
        that(message != null, "no message came");
        return message;
    }

    private static Consumer<byte[]> bytes(Session session) throws PulsarClientException {
        return session.client().newConsumer().topic(session.topic()).subscriptionName("s").subscribe();
    }

    private static byte[] data(int size) {
        byte[] data = new byte[size];
        for (int at = 0; at < size; at++) {
            data[at] = (byte) (at * 31 + at / 1000);
        }
        return data;
    }

    private static void compression(Session session) throws Exception {
        byte[] data = data(4_000_000);
        try (Consumer<byte[]> consumer = bytes(session)) {
            for (CompressionType type : CompressionType.values()) {
                try (Producer<byte[]> producer = session.client().newProducer().topic(session.topic())
                        .compressionType(type).create()) {
                    producer.send(data);
                    that(Arrays.equals(data, next(consumer).getData()), type);
                }
            }
        }
    }

    private static void chunks(Session session) throws Exception {
        byte[] data = data(12_000_000);
        try (Consumer<byte[]> consumer = bytes(session);
                Producer<byte[]> producer = session.client().newProducer().topic(session.topic())
                        .enableChunking(true).enableBatching(false).create()) {
            producer.send(data);
            that(Arrays.equals(data, next(consumer).getData()), "the chunks differ from what was sent");
        }
    }

    private static <T> void schema(Session session, Schema<T> one, Schema<Two> two, Schema<Other> other)
            throws Exception {
        session.admin().namespaces().setSchemaCompatibilityStrategy("public/default",
                org.apache.pulsar.common.policies.data.SchemaCompatibilityStrategy.FULL);
        try (Producer<T> producer = session.client().newProducer(one).topic(session.topic()).create();
                Consumer<GenericRecord> generic = session.client().newConsumer(Schema.AUTO_CONSUME())
                        .topic(session.topic()).subscriptionName("generic").subscribe();
                Consumer<T> typed = session.client().newConsumer(one).topic(session.topic()).subscriptionName("typed")
                        .subscribe()) {
            One value = new One();
            value.text = "hello";
            value.number = 7;
            @SuppressWarnings("unchecked") T sent = (T) value;
            producer.send(sent);
            One received = (One) next(typed).getValue();
            same("hello", received.text);
            Message<GenericRecord> message = next(generic);
            same("hello", String.valueOf(message.getValue().getField("text")));
            same(8, message.getSchemaVersion().length);
        }
        try (Producer<Two> producer = session.client().newProducer(two).topic(session.topic()).create()) {
            same(2, session.admin().schemas().getAllSchemas(session.topic()).size());
        }
        try {
            session.client().newProducer(other).topic(session.topic()).create();
            that(false, "an incompatible schema was taken");
        } catch (PulsarClientException.IncompatibleSchemaException expected) {
            // as it must be
        }
    }

    private static void protobuf(Session session) throws Exception {
        Schema<com.google.protobuf.Duration> schema = Schema.PROTOBUF_NATIVE(com.google.protobuf.Duration.class);
        try (Consumer<com.google.protobuf.Duration> consumer = session.client().newConsumer(schema)
                .topic(session.topic()).subscriptionName("s").subscribe();
                Producer<com.google.protobuf.Duration> producer = session.client().newProducer(schema)
                        .topic(session.topic()).create()) {
            producer.send(com.google.protobuf.Duration.newBuilder().setSeconds(5).build());
            same(5L, next(consumer).getValue().getSeconds());
        }
        try {
            session.client().newProducer(Schema.PROTOBUF_NATIVE(com.google.protobuf.StringValue.class))
                    .topic(session.topic()).create();
            that(false, "another root message was taken");
        } catch (PulsarClientException.IncompatibleSchemaException expected) {
            // as it must be
        }
    }

    private static void keyValue(Session session) throws Exception {
        var schema = Schema.KeyValue(Schema.STRING, Schema.JSON(One.class),
                org.apache.pulsar.common.schema.KeyValueEncodingType.SEPARATED);
        try (var consumer = session.client().newConsumer(schema).topic(session.topic()).subscriptionName("s").subscribe();
                var producer = session.client().newProducer(schema).topic(session.topic()).create()) {
            One value = new One();
            value.text = "v";
            producer.send(new org.apache.pulsar.common.schema.KeyValue<>("k", value));
            var received = next(consumer).getValue();
            same("k", received.getKey());
            same("v", received.getValue().text);
        }
    }

    private static Producer<byte[]> with(Session session, ProducerAccessMode mode) throws PulsarClientException {
        return session.client().newProducer().topic(session.topic()).accessMode(mode).create();
    }

    private static void exclusive(Session session) throws Exception {
        try (Producer<byte[]> first = with(session, ProducerAccessMode.Exclusive)) {
            first.send(new byte[1]);
            try {
                with(session, ProducerAccessMode.Exclusive);
                that(false, "two producers are exclusive");
            } catch (PulsarClientException.ProducerFencedException expected) {
                // as it must be
            }
            try {
                with(session, ProducerAccessMode.Shared);
                that(false, "a shared producer was let in beside an exclusive one");
            } catch (PulsarClientException.ProducerBusyException expected) {
                // as it must be
            }
        }
        with(session, ProducerAccessMode.Exclusive).close();
    }

    private static void waitForExclusive(Session session) throws Exception {
        Producer<byte[]> first = with(session, ProducerAccessMode.Exclusive);
        CompletableFuture<Producer<byte[]>> second = session.client().newProducer().topic(session.topic())
                .accessMode(ProducerAccessMode.WaitForExclusive).createAsync();
        first.send(new byte[1]);
        that(!second.isDone(), "the second producer did not wait");
        first.close();
        try (Producer<byte[]> producer = second.get(WAIT, TimeUnit.SECONDS)) {
            producer.send(new byte[1]);
        }
    }

    private static void fencing(Session session) throws Exception {
        Producer<byte[]> first = with(session, ProducerAccessMode.Exclusive);
        first.send(new byte[1]);
        try (Producer<byte[]> second = with(session, ProducerAccessMode.ExclusiveWithFencing)) {
            second.send(new byte[1]);
            try {
                first.send(new byte[1]);
                that(false, "the fenced producer still sends");
            } catch (PulsarClientException.ProducerFencedException | PulsarClientException.AlreadyClosedException
                    expected) {
                // as it must be
            }
        }
    }

    private static void deduplication(Session session) throws Exception {
        String namespace = "public/dedup" + System.nanoTime();
        session.admin().namespaces().createNamespace(namespace);
        session.admin().namespaces().setDeduplicationStatus(namespace, true);
        String topic = "persistent://" + namespace + "/t";
        try (Consumer<byte[]> consumer = session.client().newConsumer().topic(topic).subscriptionName("s").subscribe()) {
            for (int round = 0; round < 2; round++) {
                try (Producer<byte[]> producer = session.client().newProducer().topic(topic).producerName("me")
                        .sendTimeout(0, TimeUnit.SECONDS).create()) {
                    same(round == 0 ? -1L : 4L, producer.getLastSequenceId());
                    for (long id = 0; id < 5; id++) {
                        producer.newMessage().value(new byte[] {(byte) id}).sequenceId(id).send();
                    }
                }
            }
            for (int id = 0; id < 5; id++) {
                same((byte) id, next(consumer).getData()[0]);
            }
            that(consumer.receive(300, TimeUnit.MILLISECONDS) == null, "a message came twice");
        }
    }

    private static void transactions(Session session) throws Exception {
        try (PulsarClient client = PulsarClient.builder().serviceUrl(session.serviceUrl()).enableTransaction(true)
                .operationTimeout(3, TimeUnit.SECONDS).build()) {
            client.newTransaction().build().get(WAIT, TimeUnit.SECONDS);
            that(false, "a transaction was begun");
        } catch (PulsarClientException | java.util.concurrent.ExecutionException expected) {
            // as it must be
        }
    }

    private static void tooLarge(Session session) throws Exception {
        try (Producer<byte[]> producer = session.client().newProducer().topic(session.topic()).enableBatching(false)
                .create()) {
            producer.send(new byte[6_000_000]);
            that(false, "a message above the limit was sent");
        } catch (PulsarClientException.InvalidMessageException expected) {
            // as it must be
        }
    }

    private Producing() { }
}
