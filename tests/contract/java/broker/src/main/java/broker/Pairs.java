package broker;

import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.common.schema.KeyValue;
import org.apache.pulsar.common.schema.KeyValueEncodingType;

/**
 * Sends pairs whose keys are apart, and prints those that come back. Arguments: the broker's URL, a topic to send to, a topic to
 * receive from, keys. A value is its key's length.
 */
public final class Pairs {
    public static void main(String[] arguments) throws Exception {
        Schema<KeyValue<String, Integer>> schema =
                Schema.KeyValue(Schema.STRING, Schema.INT32, KeyValueEncodingType.SEPARATED);
        try (PulsarClient client = PulsarClient.builder().serviceUrl(arguments[0]).build();
                Consumer<KeyValue<String, Integer>> consumer =
                        client.newConsumer(schema).topic(arguments[2]).subscriptionName("pairs").subscribe();
                Producer<KeyValue<String, Integer>> producer = client.newProducer(schema).topic(arguments[1]).create()) {
            for (int index = 3; index < arguments.length; index++) {
                producer.send(new KeyValue<>(arguments[index], arguments[index].length()));
            }
            for (int index = 3; index < arguments.length; index++) {
                Message<KeyValue<String, Integer>> message = consumer.receive(60, TimeUnit.SECONDS);
                System.out.println(message.getValue().getKey() + "=" + message.getValue().getValue());
            }
        }
        System.exit(0);
    }
}
