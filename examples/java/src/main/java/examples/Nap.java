package examples;

import java.util.function.Function;

/** Takes as many seconds as it is told to. */
public class Nap implements Function<String, String> {
    @Override
    public String apply(String seconds) {
        try {
            Thread.sleep(Long.parseLong(seconds) * 1000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return seconds;
    }
}
