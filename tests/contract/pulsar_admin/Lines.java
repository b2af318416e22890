import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.util.Properties;
import org.apache.pulsar.admin.cli.PulsarAdminTool;

/** pulsar-admin, a command for each line of input: what it prints, then a line that says whether it succeeded. */
public final class Lines extends PulsarAdminTool {
    private Lines(Properties properties) throws Exception {
        super(properties);
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            properties.load(file);
        }
        Lines tool = new Lines(properties);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = input.readLine()) != null) {
            boolean done = tool.run(line.split(" "));
            System.err.flush();
            System.out.println((char) 30 + (done ? "done" : "failed"));
            System.out.flush();
        }
        System.exit(0);
    }
}
