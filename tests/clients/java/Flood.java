import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.ProducerRecord;

/** As many records as go into the first topic, which is there already, for as long as all clients flood. */
final class Flood {
    private static final long LASTS_SECONDS = 15;
    private static final int RECORD = 1024;
    private static final int BATCH = 20 << 10;

    private Flood() {}

    static void play(Stage stage) {
        var acknowledged = new AtomicLong();
        var failed = new AtomicLong();
        var over = new AtomicBoolean();
        byte[] value = new byte[RECORD];
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LASTS_SECONDS);
        var producer = stage.producer(Map.of("batch.size", BATCH));
        while (System.nanoTime() < end) {
            // It waits where its buffer is full.
            producer.send(new ProducerRecord<>(stage.topics.get(0), 0, null, value), (where, e) -> {
                if (e == null) {
                    acknowledged.incrementAndGet();
                } else if (!over.get()) {
                    failed.incrementAndGet();
                }
            });
        }
        over.set(true);
        producer.close(Duration.ZERO);
        stage.result.put("acknowledged", acknowledged.get());
        stage.result.put("failed", failed.get());
    }
}
