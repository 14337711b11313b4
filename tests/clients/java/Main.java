import com.fasterxml.jackson.databind.ObjectMapper;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * The Java client's scenarios: `Main SCENARIO... --bootstrap HOST:PORT --topics T1,T2 --groups G1,G2 [--parallel N]`.
 *
 * Each scenario makes topics named after T1 and T2, and prints one line of JSON: what an application saw (`result`, in
 * which nothing varies from run to run) and what only a test of addresses wants (`raw`). The exit code is 1 when a
 * scenario could not be played to its end; an error that Kafka answers is a result.
 */
public final class Main {
    private static final Map<String, Scene> SCENES = new TreeMap<>();

    /** One scenario. */
    interface Scene {
        void play(Stage stage) throws Exception;
    }

    static {
        SCENES.put("codecs", Records::codecs);
        SCENES.put("headers", Records::headers);
        SCENES.put("acks", Records::acks);
        SCENES.put("idempotent", Records::idempotent);
        SCENES.put("large", Records::large);
        SCENES.put("many-partitions", Records::manyPartitions);
        SCENES.put("offsets", Offsets::byTime);
        SCENES.put("reset", Offsets::reset);
        SCENES.put("seek", Offsets::seek);
        SCENES.put("commit", Offsets::commit);
        SCENES.put("rebalance", Groups::range);
        SCENES.put("cooperative", Groups::cooperative);
        SCENES.put("static", Groups::fixed);
        SCENES.put("groups", Groups::admin);
        SCENES.put("topics", Topics::lifeCycle);
        SCENES.put("unknown", Topics::unknown);
        SCENES.put("cluster", Topics::cluster);
        SCENES.put("cut", Cut::play);
        SCENES.put("others", Others::play);
        SCENES.put("operate", Operate::play);
        SCENES.put("transactions", Transactions::play);
        SCENES.put("assigned", newer("Assigned", "consumers"));
        SCENES.put("shares", newer("Assigned", "shares"));
        SCENES.put("sharing", newer("Sharing", "play"));
        SCENES.put("spanning", Transactions::spanning);
        SCENES.put("silent", Transactions::silent);
        SCENES.put("flood", Flood::play);
    }

    /** What only a newer client can: it is in a class that is there with such a one (tests/clients/java-4.3). */
    private static Scene newer(String scenes, String name) {
        return stage -> {
            try {
                Class.forName(scenes).getDeclaredMethod(name, Stage.class).invoke(null, stage);
            } catch (InvocationTargetException e) {
                if (e.getCause() instanceof Exception why) {
                    throw why;
                }
                throw new AssertionError(e.getCause());
            }
        };
    }

    public static void main(String[] args) throws Exception {
        List<String> names = new ArrayList<>();
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i < args.length; i++) {
            if (args[i].startsWith("--")) {
                options.put(args[i].substring(2), args[++i]);
            } else {
                names.add(args[i]);
            }
        }
        var pool = Executors.newFixedThreadPool(Integer.parseInt(options.getOrDefault("parallel", "4")));
        Map<String, Future<Boolean>> running = new LinkedHashMap<>();
        for (String name : names) {
            running.put(name, pool.submit(perform(name, options)));
        }
        pool.shutdown();
        boolean good = true;
        for (var future : running.values()) {
            good &= future.get(10, TimeUnit.MINUTES);
        }
        // Not waiting for a client that a failed scenario left behind.
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    private static Callable<Boolean> perform(String name, Map<String, String> options) {
        return () -> {
            long started = System.nanoTime();
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("scenario", name);
            boolean good = true;
            Stage stage = new Stage(name, options);
            try (stage) {
                var alone = Executors.newSingleThreadExecutor();
                alone.submit(() -> {
                    SCENES.get(name).play(stage);
                    return null;
                }).get(Stage.DEADLINE_SECONDS, TimeUnit.SECONDS);
                alone.shutdown();
                line.put("result", stage.result);
            } catch (Exception | AssertionError e) {
                good = false;
                line.put("failed", Stage.nameOf(e) + ": " + Stage.causeOf(e).getMessage());
                line.put("until_then", stage.result);
                Stage.causeOf(e).printStackTrace();
            }
            line.put("raw", stage.raw);
            line.put("millis", (System.nanoTime() - started) / 1_000_000);
            String text = new ObjectMapper().writeValueAsString(line);
            synchronized (Main.class) {
                System.out.println(text);
            }
            return good;
        };
    }
}
