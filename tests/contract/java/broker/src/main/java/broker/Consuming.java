package broker;

import static broker.Check.same;
import static broker.Check.that;

import broker.Check.Feature;
import broker.Check.Session;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.ConsumerBuilder;
import org.apache.pulsar.client.api.DeadLetterPolicy;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClientException;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionType;

/** What consumers can do. */
final class Consuming {
    private static final int WAIT = 10;

    static void addTo(Map<String, Feature> features) {
        features.put("exclusive", Consuming::exclusive);
        features.put("shared-redelivers-on-close", Consuming::sharedRedelivers);
        features.put("failover", Consuming::failover);
        features.put("key-shared", Consuming::keyShared);
        features.put("batch-index-acknowledgement", Consuming::batchIndex);
        features.put("cumulative-acknowledgement", Consuming::cumulative);
        features.put("acknowledgement-receipts", Consuming::receipts);
        features.put("dead-letters", Consuming::deadLetters);
        features.put("retry-letters", Consuming::retryLetters);
        features.put("delayed-delivery", Consuming::delayed);
        features.put("multi-topic", Consuming::multiTopic);
        features.put("pattern", Consuming::pattern);
        features.put("partitioned", Consuming::partitioned);
        features.put("seek-under-load", Consuming::seek);
        features.put("non-persistent", Consuming::nonPersistent);
    }

    private static ConsumerBuilder<Integer> consumer(Session session, SubscriptionType type) {
        return session.client().newConsumer(Schema.INT32).topic(session.topic()).subscriptionName("s")
                .subscriptionType(type).negativeAckRedeliveryDelay(100, TimeUnit.MILLISECONDS)
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
    }

    static void send(Session session, int count, boolean batched) throws PulsarClientException {
        try (Producer<Integer> producer = session.client().newProducer(Schema.INT32).topic(session.topic())
                .enableBatching(batched).blockIfQueueFull(true).create()) {
            for (int number = 0; number < count; number++) {
                producer.sendAsync(number);
            }
            producer.flush();
        }
    }

    private static Message<Integer> next(Consumer<Integer> consumer) throws PulsarClientException {
        Message<Integer> message = consumer.receive(WAIT, TimeUnit.SECONDS);
        that(message != null, "no message came");
        return message;
    }

    private static void exclusive(Session session) throws Exception {
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Exclusive).subscribe()) {
            try {
                consumer(session, SubscriptionType.Exclusive).subscribe();
                that(false, "a second exclusive consumer was let in");
            } catch (PulsarClientException.ConsumerBusyException expected) {
                // as it must be
            }
            send(session, 1000, true);
            for (int number = 0; number < 1000; number++) {
                same(number, next(consumer).getValue());
            }
        }
    }

    private static void sharedRedelivers(Session session) throws Exception {
        send(session, 20, false);
        Consumer<Integer> one = consumer(session, SubscriptionType.Shared).subscribe();
        next(one);
        try (Consumer<Integer> two = consumer(session, SubscriptionType.Shared).subscribe()) {
            one.close();
            Set<Integer> seen = new HashSet<>();
            while (seen.size() < 20) {
                Message<Integer> message = next(two);
                seen.add(message.getValue());
                two.acknowledge(message);
            }
        }
    }

    private static void failover(Session session) throws Exception {
        Consumer<Integer> one = consumer(session, SubscriptionType.Failover).consumerName("a").subscribe();
        try (Consumer<Integer> two = consumer(session, SubscriptionType.Failover).consumerName("b").subscribe()) {
            send(session, 10, false);
            for (int number = 0; number < 4; number++) {
                one.acknowledge(next(one));
            }
            one.close();
            for (int number = 4; number < 10; number++) {
                same(number, next(two).getValue());
            }
        }
    }

    private static void keyShared(Session session) throws Exception {
        List<Consumer<Integer>> consumers = new ArrayList<>();
        consumers.add(consumer(session, SubscriptionType.Key_Shared).consumerName("a").subscribe());
        consumers.add(consumer(session, SubscriptionType.Key_Shared).consumerName("b").subscribe());
        try (Producer<Integer> producer = session.client().newProducer(Schema.INT32).topic(session.topic())
                .batcherBuilder(org.apache.pulsar.client.api.BatcherBuilder.KEY_BASED).create()) {
            for (int number = 0; number < 200; number++) {
                producer.newMessage().key("k" + number % 20).value(number).sendAsync();
            }
            producer.flush();
        }
        Map<String, Integer> last = new HashMap<>();
        Map<String, Integer> owner = new HashMap<>();
        int received = 0;
        while (received < 200) {
            for (int index = 0; index < 2; index++) {
                Message<Integer> message = consumers.get(index).receive(200, TimeUnit.MILLISECONDS);
                if (message == null) {
                    continue;
                }
                received++;
                that(owner.merge(message.getKey(), index, (old, fresh) -> old) == index, "a key moved");
                that(last.getOrDefault(message.getKey(), -1) < message.getValue(), "a key lost its order");
                last.put(message.getKey(), message.getValue());
                consumers.get(index).acknowledge(message);
            }
        }
        for (Consumer<Integer> consumer : consumers) {
            consumer.close();
        }
    }

    private static void batchIndex(Session session) throws Exception {
        send(session, 10, true);
        try (Consumer<Integer> one = consumer(session, SubscriptionType.Shared).enableBatchIndexAcknowledgment(true)
                .isAckReceiptEnabled(true).subscribe()) {
            for (int number = 0; number < 10; number++) {
                Message<Integer> message = next(one);
                if (number < 4) {
                    one.acknowledge(message);
                }
            }
        }
        try (Consumer<Integer> two = consumer(session, SubscriptionType.Shared).enableBatchIndexAcknowledgment(true)
                .subscribe()) {
            for (int number = 4; number < 10; number++) {
                same(number, next(two).getValue());
            }
        }
    }

    private static void cumulative(Session session) throws Exception {
        send(session, 10, true);
        try (Consumer<Integer> one = consumer(session, SubscriptionType.Exclusive)
                .enableBatchIndexAcknowledgment(true).isAckReceiptEnabled(true).subscribe()) {
            for (int number = 0; number < 5; number++) {
                Message<Integer> message = next(one);
                if (number == 4) {
                    one.acknowledgeCumulative(message);
                }
            }
        }
        try (Consumer<Integer> two = consumer(session, SubscriptionType.Exclusive)
                .enableBatchIndexAcknowledgment(true).subscribe()) {
            same(5, next(two).getValue());
        }
    }

    private static void receipts(Session session) throws Exception {
        send(session, 3, false);
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Shared).isAckReceiptEnabled(true)
                .subscribe()) {
            for (int number = 0; number < 3; number++) {
                consumer.acknowledgeAsync(next(consumer)).get(WAIT, TimeUnit.SECONDS);
            }
        }
    }

    private static void deadLetters(Session session) throws Exception {
        send(session, 4, true);
        DeadLetterPolicy policy = DeadLetterPolicy.builder().maxRedeliverCount(2).initialSubscriptionName("letters")
                .build();
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Shared).deadLetterPolicy(policy)
                .enableBatchIndexAcknowledgment(true).subscribe();
                Consumer<Integer> letters = session.client().newConsumer(Schema.INT32)
                        .topic(session.topic() + "-s-DLQ").subscriptionName("letters").subscribe()) {
            Map<Integer, Integer> times = new HashMap<>();
            for (int received = 0; received < 10; received++) {
                Message<Integer> message = next(consumer);
                same(times.merge(message.getValue(), 1, Integer::sum) - 1, message.getRedeliveryCount());
                if (message.getValue() == 1) {
                    consumer.acknowledge(message);
                } else {
                    consumer.negativeAcknowledge(message);
                }
            }
            Set<Integer> dead = new HashSet<>();
            for (int received = 0; received < 3; received++) {
                dead.add(next(letters).getValue());
            }
            same(Set.of(0, 2, 3), dead);
        }
    }

    private static void retryLetters(Session session) throws Exception {
        send(session, 1, false);
        DeadLetterPolicy policy = DeadLetterPolicy.builder().maxRedeliverCount(2).build();
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Shared).enableRetry(true)
                .deadLetterPolicy(policy).subscribe()) {
            Message<Integer> message = next(consumer);
            consumer.reconsumeLater(message, 200, TimeUnit.MILLISECONDS);
            Message<Integer> again = next(consumer);
            same(0, again.getValue());
            same("1", again.getProperty("RECONSUMETIMES"));
            consumer.acknowledge(again);
        }
    }

    private static void delayed(Session session) throws Exception {
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Shared).subscribe();
                Producer<Integer> producer = session.client().newProducer(Schema.INT32).topic(session.topic())
                        .create()) {
            long start = System.nanoTime();
            producer.newMessage().value(1).deliverAfter(600, TimeUnit.MILLISECONDS).send();
            producer.newMessage().value(2).send();
            same(2, next(consumer).getValue());
            same(1, next(consumer).getValue());
            that(System.nanoTime() - start > 500_000_000L, "the message came too early");
        }
    }

    private static void multiTopic(Session session) throws Exception {
        String other = session.topic() + "-other";
        try (Consumer<Integer> consumer = session.client().newConsumer(Schema.INT32)
                .topics(List.of(session.topic(), other)).subscriptionName("s")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).subscribe()) {
            send(session, 3, false);
            send(new Session(session.client(), session.admin(), session.serviceUrl(), other), 3, false);
            Set<String> topics = new HashSet<>();
            for (int number = 0; number < 6; number++) {
                topics.add(next(consumer).getTopicName());
            }
            same(Set.of(session.topic(), other), topics);
        }
    }

    private static void pattern(Session session) throws Exception {
        send(session, 1, false);
        try (Consumer<Integer> consumer = session.client().newConsumer(Schema.INT32)
                .topicsPattern(Pattern.compile(session.topic() + ".*")).subscriptionName("s")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).subscribe()) {
            same(0, next(consumer).getValue());
            // A topic that appears later is heard of through the watch, long before the client would ask again.
            String later = session.topic() + "-later";
            send(new Session(session.client(), session.admin(), session.serviceUrl(), later), 1, false);
            same(later, next(consumer).getTopicName());
        }
    }

    private static void partitioned(Session session) throws Exception {
        session.admin().topics().createPartitionedTopic(session.topic(), 3);
        send(session, 60, true);
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Shared).subscribe()) {
            Set<Integer> seen = new HashSet<>();
            Set<String> partitions = new HashSet<>();
            while (seen.size() < 60) {
                Message<Integer> message = next(consumer);
                seen.add(message.getValue());
                partitions.add(message.getTopicName());
            }
            that(partitions.size() > 1 || seen.size() == 60, partitions);
        }
    }

    private static void seek(Session session) throws Exception {
        send(session, 3000, false);
        try (Consumer<Integer> consumer = consumer(session, SubscriptionType.Exclusive).subscribe()) {
            for (int number = 0; number < 1500; number++) {
                consumer.acknowledge(next(consumer));
            }
            consumer.seek(MessageId.earliest);
            for (int number = 0; number < 3000; number++) {
                same(number, next(consumer).getValue());
            }
            consumer.seek(0);
            for (int number = 0; number < 3000; number++) {
                same(number, next(consumer).getValue());
            }
        }
    }

    private static void nonPersistent(Session session) throws Exception {
        Session fleeting = new Session(session.client(), session.admin(), session.serviceUrl(),
                session.topic().replace("persistent://", "non-persistent://"));
        send(fleeting, 5, false);
        try (Consumer<Integer> consumer = consumer(fleeting, SubscriptionType.Shared).subscribe()) {
            send(fleeting, 5, false);
            for (int number = 0; number < 5; number++) {
                same(number, next(consumer).getValue());
            }
            that(consumer.receive(300, TimeUnit.MILLISECONDS) == null, "what was sent before was kept");
        }
    }

    private Consuming() { }
}
