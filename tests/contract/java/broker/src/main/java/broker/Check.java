package broker;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.pulsar.client.admin.PulsarAdmin;
import org.apache.pulsar.client.api.PulsarClient;

/**
 * Runs checks by their names, one for each line of standard input, and answers each with a line: "ok", or what went wrong.
 * Arguments: the broker's service URL and its admin URL.
 */
public final class Check {
    interface Feature {
        void run(Session session) throws Exception;
    }

    /** What a check works with: clients, and a topic of its own. */
    record Session(PulsarClient client, PulsarAdmin admin, String serviceUrl, String topic) { }

    public static void main(String[] arguments) throws Exception {
        Map<String, Feature> features = new TreeMap<>();
        Consuming.addTo(features);
        Producing.addTo(features);
        Reading.addTo(features);
        Administering.addTo(features);
        try (PulsarClient client = PulsarClient.builder().serviceUrl(arguments[0]).build();
                PulsarAdmin admin = PulsarAdmin.builder().serviceHttpUrl(arguments[1]).build();
                BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            System.out.println(String.join(" ", features.keySet()));
            String name;
            while ((name = input.readLine()) != null) {
                String topic = "persistent://public/default/java-" + UUID.randomUUID();
                System.out.println(outcome(features.get(name), new Session(client, admin, arguments[0], topic)));
            }
        }
        System.exit(0);
    }

    private static String outcome(Feature feature, Session session) {
        try {
            feature.run(session);
            return "ok";
        } catch (InvocationTargetException problem) {
            return describe(problem.getCause());
        } catch (Exception | AssertionError problem) {
            return describe(problem);
        }
    }

    private static String describe(Throwable problem) {
        StringBuilder text = new StringBuilder(problem.toString());
        for (StackTraceElement element : problem.getStackTrace()) {
            if (element.getClassName().startsWith("broker.")) {
                text.append(" at ").append(element);
            }
        }
        return text.toString().replace('\n', ' ');
    }

    static void that(boolean condition, Object what) {
        if (!condition) {
            throw new AssertionError(String.valueOf(what));
        }
    }

    static void same(Object expected, Object found) {
        that(expected.equals(found), "expected " + expected + ", found " + found);
    }

    private Check() { }
}
