package examples;

import java.util.function.Function;

/** A plain function of Java, without anything of Pulsar's. */
public class Reverse implements Function<String, String> {
    @Override
    public String apply(String input) {
        return new StringBuilder(input).reverse().toString();
    }
}
