package magnetar;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.apache.pulsar.client.admin.Functions;
import org.apache.pulsar.client.admin.PulsarAdmin;
import org.apache.pulsar.client.admin.PulsarAdminException;
import org.apache.pulsar.client.admin.Worker;
import org.apache.pulsar.common.functions.FunctionConfig;
import org.apache.pulsar.common.functions.FunctionState;
import org.apache.pulsar.common.functions.Resources;
import org.apache.pulsar.common.functions.UpdateOptionsImpl;

/** Calls every method of PulsarAdmin that concerns functions and prints what came back, one JSON object a line. */
public final class AdminCalls {
    private static final Gson GSON = new GsonBuilder().serializeNulls().serializeSpecialFloatingPointValues().create();
    private static final String TENANT = "public";
    private static final String NAMESPACE = "default";

    private AdminCalls() {
    }

    public static void main(String[] arguments) throws Exception {
        try (PulsarAdmin admin = PulsarAdmin.builder().serviceHttpUrl(arguments[0])
                .authentication("org.apache.pulsar.client.impl.auth.AuthenticationToken", "token:" + System.getenv("TOKEN"))
                .tlsTrustCertsFilePath(System.getenv("AUTHORITY")).enableTlsHostnameVerification(true).build()) {
            functions(admin.functions(), arguments[1], Path.of(arguments[2]));
            worker(admin.worker(), arguments[1]);
            last(admin.functions(), arguments[1]);
        }
    }

    private static void functions(Functions functions, String name, Path code) throws Exception {
        FunctionConfig config = config(name, code);
        tell("createFunction", () -> run(() -> functions.createFunction(config, code.toString())));
        tell("createFunction again", () -> run(() -> functions.createFunction(config, code.toString())));
        tell("getFunctions", () -> functions.getFunctions(TENANT, NAMESPACE));
        tell("getFunction", () -> functions.getFunction(TENANT, NAMESPACE, name));
        tell("getFunction absent", () -> functions.getFunction(TENANT, NAMESPACE, "absent"));
        until(() -> functions.getFunctionStatus(TENANT, NAMESPACE, name).getNumRunning() == 1);
        tell("getFunctionStatus", () -> functions.getFunctionStatus(TENANT, NAMESPACE, name));
        tell("getFunctionStatus of one", () -> functions.getFunctionStatus(TENANT, NAMESPACE, name, 0));
        tell("triggerFunction", () -> functions.triggerFunction(TENANT, NAMESPACE, name, null, "hello", null));
        Path message = Files.writeString(Files.createTempFile("message", ".txt"), "from a file");
        tell("triggerFunction by file",
                () -> functions.triggerFunction(TENANT, NAMESPACE, name, null, null, message.toString()));
        tell("getFunctionStats", () -> functions.getFunctionStats(TENANT, NAMESPACE, name));
        tell("getFunctionStats of one", () -> functions.getFunctionStats(TENANT, NAMESPACE, name, 0));
        FunctionConfig same = functions.getFunction(TENANT, NAMESPACE, name);
        tell("updateFunction without change", () -> run(() -> functions.updateFunction(same, null)));
        FunctionConfig more = FunctionConfig.builder().tenant(TENANT).namespace(NAMESPACE).name(name)
                .parallelism(2).build();
        tell("updateFunction", () -> run(() -> functions.updateFunction(more, null, new UpdateOptionsImpl())));
        tell("updateFunction with code", () -> run(() -> functions.updateFunction(more, code.toString())));
        tell("getFunction after update", () -> functions.getFunction(TENANT, NAMESPACE, name));
        states(functions, name);
        packages(functions, name, code);
        tell("getFunctionState", () -> functions.getFunctionState(TENANT, NAMESPACE, name, "key"));
        FunctionState state = new FunctionState("key", "value", null, 0L, 0L);
        tell("putFunctionState", () -> run(() -> functions.putFunctionState(TENANT, NAMESPACE, name, state)));
        tell("getBuiltInFunctions", functions::getBuiltInFunctions);
        tell("reloadBuiltInFunctions", () -> run(functions::reloadBuiltInFunctions));
        tell("getConnectorsList", functions::getConnectorsList);
        tell("getSources", functions::getSources);
        tell("getSinks", functions::getSinks);
    }

    private static void states(Functions functions, String name) throws Exception {
        until(() -> functions.getFunctionStatus(TENANT, NAMESPACE, name).getNumRunning() == 2);
        tell("stopFunction of one", () -> run(() -> functions.stopFunction(TENANT, NAMESPACE, name, 1)));
        tell("stopFunction of one again", () -> run(() -> functions.stopFunction(TENANT, NAMESPACE, name, 1)));
        tell("startFunction of one", () -> run(() -> functions.startFunction(TENANT, NAMESPACE, name, 1)));
        tell("stopFunction", () -> run(() -> functions.stopFunction(TENANT, NAMESPACE, name)));
        until(() -> functions.getFunctionStatus(TENANT, NAMESPACE, name).getNumRunning() == 0);
        tell("startFunction", () -> run(() -> functions.startFunction(TENANT, NAMESPACE, name)));
        until(() -> functions.getFunctionStatus(TENANT, NAMESPACE, name).getNumRunning() == 2);
        tell("restartFunction of one", () -> run(() -> functions.restartFunction(TENANT, NAMESPACE, name, 0)));
        tell("restartFunction", () -> run(() -> functions.restartFunction(TENANT, NAMESPACE, name)));
        until(() -> functions.getFunctionStatus(TENANT, NAMESPACE, name).getNumRunning() == 2);
    }

    private static void packages(Functions functions, String name, Path code) throws Exception {
        Path target = Files.createTempDirectory("packages");
        String url = "function://public/default/" + name + "-package@v1";
        String path = "public/default/" + name + "-path/code.py";
        tell("downloadFunction", () -> {
            functions.downloadFunction(target.resolve("1").toString(), TENANT, NAMESPACE, name);
            return Files.readString(target.resolve("1"));
        });
        tell("downloadFunction of a transformation",
                () -> run(() -> functions.downloadFunction(target.resolve("3").toString(), TENANT, NAMESPACE, name, true)));
        tell("uploadFunction", () -> run(() -> functions.uploadFunction(code.toString(), path)));
        tell("downloadFunction by path", () -> {
            functions.downloadFunction(target.resolve("2").toString(), path);
            return Files.readString(target.resolve("2"));
        });
        tell("uploadFunction by URL", () -> run(() -> functions.uploadFunction(code.toString(), url)));
        FunctionConfig config = config(name + "-by-url", code);
        config.setPy(url);
        tell("createFunctionWithUrl", () -> run(() -> functions.createFunctionWithUrl(config, url)));
        config.setParallelism(2);
        tell("updateFunctionWithUrl", () -> run(() -> functions.updateFunctionWithUrl(config, url)));
        tell("updateFunctionWithUrl with options",
                () -> run(() -> functions.updateFunctionWithUrl(config, url, new UpdateOptionsImpl())));
        tell("createFunctionWithUrl refused",
                () -> run(() -> functions.createFunctionWithUrl(config(name + "-no", code), "http://127.0.0.1/x.py")));
    }

    private static void worker(Worker worker, String name) {
        tell("getCluster", worker::getCluster);
        tell("getClusterLeader", worker::getClusterLeader);
        tell("getAssignments", worker::getAssignments);
        tell("getFunctionsStats", worker::getFunctionsStats);
        tell("getMetrics", worker::getMetrics);
        tell("rebalance", () -> run(worker::rebalance));
    }

    private static void last(Functions functions, String name) {
        tell("deleteFunction", () -> run(() -> functions.deleteFunction(TENANT, NAMESPACE, name)));
        tell("deleteFunction again", () -> run(() -> functions.deleteFunction(TENANT, NAMESPACE, name)));
        tell("deleteFunction by URL", () -> run(() -> functions.deleteFunction(TENANT, NAMESPACE, name + "-by-url")));
        tell("getFunctions at the end", () -> functions.getFunctions(TENANT, NAMESPACE));
    }

    private static FunctionConfig config(String name, Path code) {
        return FunctionConfig.builder().tenant(TENANT).namespace(NAMESPACE).name(name).py(code.toString())
                .className("exclaim").inputs(List.of(name + "-in")).output(name + "-out").parallelism(1)
                .processingGuarantees(FunctionConfig.ProcessingGuarantees.ATLEAST_ONCE)
                .subscriptionPosition(org.apache.pulsar.client.api.SubscriptionInitialPosition.Earliest)
                .userConfig(Map.of("number", 5, "text", "x")).resources(new Resources(0.5, 1L << 28, 1L << 30)).build();
    }

    /** Something that may fail without a result. */
    private interface Action {
        void run() throws Exception;
    }

    private static Object run(Action action) throws Exception {
        action.run();
        return null;
    }

    private static void tell(String call, Callable<?> what) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("call", call);
        try {
            line.put("result", what.call());
        } catch (PulsarAdminException error) {
            line.put("error", error.getClass().getSimpleName());
            line.put("status", error.getStatusCode());
            line.put("reason", error.getHttpError());
        } catch (Exception error) {
            line.put("error", error.toString());
        }
        System.out.println(GSON.toJson(line));
    }

    private static void until(Callable<Boolean> found) throws Exception {
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (!found.call()) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("waited in vain");
            }
            Thread.sleep(20);
        }
    }
}
