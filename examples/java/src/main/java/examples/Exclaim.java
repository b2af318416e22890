package examples;

import org.apache.pulsar.functions.api.Context;
import org.apache.pulsar.functions.api.Function;

/** Adds what the user config says to each message; says a secret where it is asked for one. */
public class Exclaim implements Function<String, String> {
    @Override
    public String process(String input, Context context) {
        if (input.isEmpty()) {
            throw new IllegalArgumentException("there is nothing to exclaim");
        }
        if (input.equals("secret")) {
            return context.getSecret("word");
        }
        context.recordMetric("length", input.length());
        context.getLogger().info("exclaimed {} letters", input.length());
        System.out.println("printed " + input);
        return input + context.getUserConfigValueOrDefault("ending", "!");
    }
}
