package broker;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerBuilder;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.PulsarClientException;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;

/**
 * Puts load on a broker, as lines of standard input ask: "publish TOPIC COUNT SIZE BATCHED", "consume TOPIC COUNT" and
 * "pipe TOPIC COUNT SIZE BATCHED" answer with messages per second, "latency TOPIC COUNT SIZE BATCHED RATE" with the
 * milliseconds of each message from its sending to its arrival. Argument: the broker's service URL.
 */
public final class Load {
    private static final int WAIT = 60;

    public static void main(String[] arguments) throws Exception {
        try (PulsarClient client = PulsarClient.builder().serviceUrl(arguments[0]).build();
                BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            System.out.println("ready");
            String line;
            while ((line = input.readLine()) != null) {
                System.out.println(answer(client, line.split(" ")));
            }
        }
        System.exit(0);
    }

    private static String answer(PulsarClient client, String[] words) throws Exception {
        int count = Integer.parseInt(words[2]);
        return switch (words[0]) {
            case "publish" -> perSecond(count, () -> publish(client, words, count));
            case "consume" -> {
                try (Consumer<byte[]> consumer = consumer(client, words[1])) {
                    yield perSecond(count, () -> drain(consumer, count));
                }
            }
            case "pipe" -> {
                try (Consumer<byte[]> consumer = consumer(client, words[1])) {
                    yield perSecond(count, () -> {
                        Thread sender = new Thread(() -> uncheckedPublish(client, words, count));
                        sender.start();
                        drain(consumer, count);
                        sender.join();
                    });
                }
            }
            case "latency" -> latencies(client, words, count);
            default -> throw new IllegalArgumentException(words[0]);
        };
    }

    private interface Work {
        void run() throws Exception;
    }

    private static String perSecond(int count, Work work) throws Exception {
        long start = System.nanoTime();
        work.run();
        return String.valueOf(count * 1e9 / (System.nanoTime() - start));
    }

    private static ProducerBuilder<byte[]> producer(PulsarClient client, String[] words) {
        return client.newProducer().topic(words[1]).enableBatching(Boolean.parseBoolean(words[4])).blockIfQueueFull(true)
                .batchingMaxPublishDelay(1, TimeUnit.MILLISECONDS).sendTimeout(0, TimeUnit.SECONDS);
    }

    private static Consumer<byte[]> consumer(PulsarClient client, String topic) throws PulsarClientException {
        return client.newConsumer().topic(topic).subscriptionName("load").receiverQueueSize(5000)
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).subscribe();
    }

    private static void publish(PulsarClient client, String[] words, int count) throws Exception {
        byte[] data = new byte[Integer.parseInt(words[3])];
        CountDownLatch receipts = new CountDownLatch(count);
        try (Producer<byte[]> producer = producer(client, words).create()) {
            for (int sent = 0; sent < count; sent++) {
                producer.sendAsync(data).thenRun(receipts::countDown);
            }
            producer.flush();
            receipts.await(WAIT, TimeUnit.SECONDS);
        }
    }

    private static void uncheckedPublish(PulsarClient client, String[] words, int count) {
        try {
            publish(client, words, count);
        } catch (Exception problem) {
            throw new IllegalStateException(problem);
        }
    }

    private static void drain(Consumer<byte[]> consumer, int count) throws PulsarClientException {
        Message<byte[]> last = null;
        for (int received = 0; received < count; received++) {
            last = consumer.receive(WAIT, TimeUnit.SECONDS);
        }
        consumer.acknowledgeCumulative(last);
    }

    private static String latencies(PulsarClient client, String[] words, int count) throws Exception {
        byte[] data = new byte[Integer.parseInt(words[3])];
        long pause = 1_000_000_000L / Integer.parseInt(words[5]);
        long[] sentAt = new long[count];
        double[] taken = new double[count];
        try (Consumer<byte[]> consumer = consumer(client, words[1]);
                Producer<byte[]> producer = producer(client, words).create()) {
            Thread receiver = new Thread(() -> {
                try {
                    for (int received = 0; received < count; received++) {
                        consumer.acknowledge(consumer.receive(WAIT, TimeUnit.SECONDS));
                        taken[received] = (System.nanoTime() - sentAt[received]) / 1e6;
                    }
                } catch (PulsarClientException problem) {
                    throw new IllegalStateException(problem);
                }
            });
            receiver.start();
            long next = System.nanoTime();
            for (int sent = 0; sent < count; sent++) {
                sentAt[sent] = System.nanoTime();
                producer.sendAsync(data);
                next += pause;
                LockSupport.parkNanos(next - System.nanoTime());
            }
            receiver.join();
        }
        return Arrays.stream(taken).mapToObj(Double::toString).collect(Collectors.joining(" "));
    }

    private Load() { }
}
