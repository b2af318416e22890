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
 * milliseconds of each message from when it was due to be sent to its arrival. Producers and consumers are made before a
 * clock starts. Argument: the broker's service URL.
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
            case "publish" -> {
                try (Producer<byte[]> producer = producer(client, words).create()) {
                    yield perSecond(count, () -> send(producer, words, count));
                }
            }
            case "consume" -> {
                try (Consumer<byte[]> consumer = consumer(client, words[1])) {
                    drain(consumer, 1);
                    yield perSecond(count - 1, () -> drain(consumer, count - 1));
                }
            }
            case "pipe" -> {
                try (Consumer<byte[]> consumer = consumer(client, words[1]);
                        Producer<byte[]> producer = producer(client, words).create()) {
                    Thread sender = new Thread(() -> uncheckedSend(producer, words, count));
                    yield perSecond(count, () -> {
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

    private static void send(Producer<byte[]> producer, String[] words, int count) throws Exception {
        byte[] data = new byte[Integer.parseInt(words[3])];
        CountDownLatch receipts = new CountDownLatch(count);
        for (int sent = 0; sent < count; sent++) {
            producer.sendAsync(data).thenRun(receipts::countDown);
        }
        producer.flush();
        receipts.await(WAIT, TimeUnit.SECONDS);
    }

    private static void uncheckedSend(Producer<byte[]> producer, String[] words, int count) {
        try {
            send(producer, words, count);
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
        double[] taken = new double[count];
        try (Consumer<byte[]> consumer = consumer(client, words[1]);
                Producer<byte[]> producer = producer(client, words).create()) {
            long first = System.nanoTime() + 10_000_000L;
            Thread receiver = new Thread(() -> {
                try {
                    for (int received = 0; received < count; received++) {
                        Message<byte[]> message = consumer.receive(WAIT, TimeUnit.SECONDS);
                        taken[received] = (System.nanoTime() - first - received * pause) / 1e6;
                        consumer.acknowledge(message);
                    }
                } catch (PulsarClientException problem) {
                    throw new IllegalStateException(problem);
                }
            });
            receiver.start();
            for (int sent = 0; sent < count; sent++) {
                for (long left; (left = first + sent * pause - System.nanoTime()) > 0;) {
                    LockSupport.parkNanos(left);
                }
                producer.sendAsync(data);
            }
            receiver.join();
        }
        return Arrays.stream(taken).mapToObj(Double::toString).collect(Collectors.joining(" "));
    }

    private Load() { }
}
