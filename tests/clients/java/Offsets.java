import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Scenarios about positions: by time, at the ends, by seeking, committed. */
final class Offsets {
    private static final Duration SHORT = Duration.ofMillis(200);

    private Offsets() {}

    static void byTime(Stage stage) throws Exception {
        // The records are old, and must not be deleted for it.
        stage.create(2, Map.of("retention.ms", "-1"));
        try (var producer = stage.producer(Map.of())) {
            long[] times = {1000, 3000, 3000, 2000, 9000, 4000};
            for (long time : times) {
                for (String topic : stage.topics) {
                    producer.send(new ProducerRecord<>(topic, 0, time, null, Stage.bytes("at " + time))).get();
                }
            }
        }
        var at = stage.partitions(2);
        try (var consumer = stage.consumer(Map.of())) {
            stage.result.put("beginning", stage.aliased(consumer.beginningOffsets(at), o -> o));
            stage.result.put("end", stage.aliased(consumer.endOffsets(at), o -> o));
            for (long time : new long[] {0, 1000, 1500, 2500, 3000, 3001, 9000, 9001}) {
                Map<TopicPartition, Long> asked = new LinkedHashMap<>();
                at.forEach(p -> asked.put(p, time));
                stage.result.put("at " + time, stage.aliased(consumer.offsetsForTimes(asked), Offsets::shown));
            }
        }
        for (var spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(),
            OffsetSpec.forTimestamp(2500))) {
            Map<TopicPartition, OffsetSpec> asked = new LinkedHashMap<>();
            at.forEach(p -> asked.put(p, spec));
            var told = stage.admin.listOffsets(asked);
            Map<String, Object> shown = new LinkedHashMap<>();
            for (var p : at) {
                // An old cluster may not know one of these.
                String error = Stage.errorOf(() -> told.partitionResult(p).get());
                var found = error.equals("none") ? told.partitionResult(p).get() : null;
                shown.put(stage.alias(p), found == null ? error : found.offset() + " at " + found.timestamp());
            }
            stage.result.put("admin, " + spec.getClass().getSimpleName(), shown);
        }
        var missing = new TopicPartition(stage.topics.get(1), 7);
        stage.result.put("of a missing partition", Stage.errorOf(
            () -> stage.admin.listOffsets(Map.of(missing, OffsetSpec.latest()),
                new org.apache.kafka.clients.admin.ListOffsetsOptions().timeoutMs(3000)).all().get()));
    }

    private static String shown(OffsetAndTimestamp found) {
        return found.offset() + " at " + found.timestamp();
    }

    static void reset(Stage stage) throws Exception {
        stage.create(1);
        stage.fill("before", 1, 5);
        var at = stage.partitions(1);
        try (var consumer = stage.consumer(Map.of("auto.offset.reset", "earliest"))) {
            consumer.assign(at);
            stage.result.put("earliest", values(consumer, stage, 10));
        }
        try (var consumer = stage.consumer(Map.of("auto.offset.reset", "latest"))) {
            consumer.assign(at);
            stage.result.put("latest, positions", positions(consumer, stage, at));
            stage.fill("after", 1, 3);
            stage.result.put("latest", values(consumer, stage, 6));
        }
        try (var consumer = stage.consumer(Map.of("auto.offset.reset", "none", "group.id", stage.groups.get(0)))) {
            consumer.assign(at);
            stage.result.put("none", Stage.errorOf(() -> consumer.poll(Duration.ofSeconds(5))));
        }
        try (var consumer = stage.consumer(Map.of("auto.offset.reset", "none"))) {
            consumer.assign(at);
            at.forEach(p -> consumer.seek(p, 1000));
            stage.result.put("none, out of range", Stage.errorOf(() -> values(consumer, stage, 1)));
        }
        try (var consumer = stage.consumer(Map.of("auto.offset.reset", "earliest"))) {
            consumer.assign(at);
            at.forEach(p -> consumer.seek(p, 1000));
            stage.result.put("earliest, out of range", values(consumer, stage, 16));
        }
    }

    /** Polls until `count` records came; what came, by partition. */
    private static Map<String, List<String>> values(KafkaConsumer<byte[], byte[]> consumer, Stage stage, int count)
        throws Exception {
        Map<String, List<String>> seen = new TreeMap<>();
        int[] got = {0};
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (got[0] < count) {
            if (System.nanoTime() > end) {
                throw new AssertionError("only " + got[0] + " of " + count + " records within 20 s: " + seen);
            }
            for (var record : consumer.poll(SHORT)) {
                got[0]++;
                seen.computeIfAbsent(stage.alias(new TopicPartition(record.topic(), record.partition())),
                    k -> new ArrayList<>()).add(record.offset() + "=" + Stage.text(record.value()));
            }
        }
        return seen;
    }

    private static Map<String, Long> positions(KafkaConsumer<?, ?> consumer, Stage stage, Collection<TopicPartition> at) {
        Map<String, Long> shown = new TreeMap<>();
        at.forEach(p -> shown.put(stage.alias(p), consumer.position(p)));
        return shown;
    }

    static void seek(Stage stage) throws Exception {
        stage.create(1);
        stage.fill("v", 1, 10);
        var one = new TopicPartition(stage.topics.get(0), 0);
        var two = new TopicPartition(stage.topics.get(1), 0);
        var both = List.of(one, two);
        try (var consumer = stage.consumer(Map.of())) {
            consumer.assign(both);
            consumer.pause(List.of(two));
            stage.result.put("two paused", values(consumer, stage, 10));
            stage.result.put("paused", stage.aliased(consumer.paused()));
            consumer.resume(List.of(two));
            stage.result.put("two resumed", values(consumer, stage, 10));
            consumer.seek(one, 7);
            stage.result.put("one back to 7", values(consumer, stage, 3));
            consumer.seek(one, 3);
            consumer.seek(two, 8);
            stage.result.put("both back", values(consumer, stage, 9));
            consumer.seekToBeginning(both);
            stage.result.put("at the beginning", positions(consumer, stage, both));
            consumer.seekToEnd(both);
            stage.result.put("at the end", positions(consumer, stage, both));
            stage.fill("more", 1, 2);
            stage.result.put("after the end", values(consumer, stage, 4));
        }
    }

    static void commit(Stage stage) throws Exception {
        stage.create(3);
        stage.fill("v", 2, 10);
        for (int g = 0; g < stage.groups.size(); g++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            commit(stage, stage.groups.get(g), seen);
            stage.result.put("group " + (g + 1), seen);
        }
    }

    private static void commit(Stage stage, String group, Map<String, Object> seen) throws Exception {
        Map<String, Object> config = Map.of("group.id", group);
        var all = stage.partitions(3);
        Map<TopicPartition, OffsetAndMetadata> half = new LinkedHashMap<>();
        stage.partitions(2).forEach(at -> half.put(at, new OffsetAndMetadata(5 + at.partition(), "half")));
        try (var consumer = stage.consumer(config)) {
            consumer.subscribe(stage.topics);
            seen.put("first", values(consumer, stage, 40));
            consumer.commitSync(half);
            seen.put("committed by the member", stage.aliased(consumer.committed(java.util.Set.copyOf(all)), Offsets::shown));
        }
        try (var consumer = stage.consumer(config)) {
            consumer.assign(all);
            seen.put("committed, asked without joining",
                stage.aliased(consumer.committed(java.util.Set.copyOf(all)), Offsets::shown));
        }
        try (var consumer = stage.consumer(config)) {
            consumer.subscribe(stage.topics);
            seen.put("resumed", values(consumer, stage, 18));
            seen.put("positions", positions(consumer, stage, all));
            List<String> answers = new ArrayList<>();
            consumer.commitAsync((offsets, e) -> answers.add(e == null ? "none" : Stage.nameOf(e)));
            Stage.until("answer to commitAsync", () -> {
                consumer.poll(Duration.ofMillis(20));
                return !answers.isEmpty();
            });
            seen.put("asynchronous commit", answers);
        }
        seen.put("asked by admin", stage.aliased(
            stage.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(), Offsets::shown));
        // A group without members may be written by anybody.
        try (var consumer = stage.consumer(config)) {
            consumer.assign(all);
            consumer.commitSync(Map.of(all.get(0), new OffsetAndMetadata(2), all.get(3), new OffsetAndMetadata(3)));
        }
        try (var consumer = stage.consumer(Map.of("group.id", group, "enable.auto.commit", true))) {
            consumer.assign(List.of(all.get(0), all.get(3)));
            seen.put("after a commit without joining", values(consumer, stage, 15));
        }
        try (var consumer = stage.consumer(config)) {
            seen.put("committed on close",
                stage.aliased(consumer.committed(java.util.Set.copyOf(all)), Offsets::shown));
            seen.put("to a missing partition", Stage.errorOf(() -> {
                consumer.commitSync(Map.of(new TopicPartition(stage.topics.get(1), 9), new OffsetAndMetadata(1)),
                    Duration.ofSeconds(1));
                return null;
            }));
        }
    }

    private static String shown(OffsetAndMetadata committed) {
        return committed.offset() + " " + committed.metadata();
    }
}
