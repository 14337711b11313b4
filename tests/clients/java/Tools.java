import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command-line tools one after another in one process, because starting Java is what takes the time. Reads
 * a line of JSON for each, `{"tool": class, "arguments": [...], "input": text}`, and answers `{"code": ..., "printed":
 * ..., "cried": ...}` when it has ended.
 */
public final class Tools {
    /** Thrown where a tool would end the process. Some catch it and end the process once more: the first code counts. */
    private static final class Ended extends RuntimeException {
        Ended() {
            super("ended", null, false, false);
        }
    }

    private static Integer code;

    /** What a tool wants done when the process ends. (The verifiable producer goes round this: run it alone.) */
    private static final List<Runnable> atEnd = new ArrayList<>();

    private record Order(String tool, String[] arguments, String input) {}

    public static void main(String[] args) throws Exception {
        Exit.setExitProcedure((asked, message) -> {
            code = code == null ? asked : code;
            throw new Ended();
        });
        Exit.setShutdownHookAdder((name, hook) -> atEnd.add(hook));
        var json = new ObjectMapper();
        var orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            var printed = new ByteArrayOutputStream();
            var cried = new ByteArrayOutputStream();
            code = null;
            System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(cried, true, StandardCharsets.UTF_8));
            run(json.readValue(line, Order.class));
            answers.println(json.writeValueAsString(Map.of("code", code == null ? 0 : code,
                "printed", printed.toString(StandardCharsets.UTF_8), "cried", cried.toString(StandardCharsets.UTF_8))));
            answers.flush();
        }
    }

    private static void run(Order order) throws Exception {
        System.setIn(new ByteArrayInputStream(order.input.getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(order.tool).getMethod("main", String[].class).invoke(null, (Object) order.arguments);
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof Ended)) {
                e.getCause().printStackTrace();
                code = 1;
            }
        }
        atEnd.forEach(Runnable::run);
        atEnd.clear();
    }
}
