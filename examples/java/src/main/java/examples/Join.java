package examples;

import java.util.Collection;
import java.util.stream.Collectors;
import org.apache.pulsar.functions.api.Record;
import org.apache.pulsar.functions.api.WindowContext;
import org.apache.pulsar.functions.api.WindowFunction;

/** Joins the messages of a window. */
public class Join implements WindowFunction<String, String> {
    @Override
    public String process(Collection<Record<String>> window, WindowContext context) {
        return window.stream().map(Record::getValue).collect(Collectors.joining("+"));
    }
}
