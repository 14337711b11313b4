import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Scenarios about groups whose coordinator assigns partitions: the consumer protocol (KIP-848) and share groups (KIP-932). */
final class Assigned {
    private static final int PARTITIONS = 4;
    private static final int GROWN = 6;
    private static final int EACH = 5;

    private Assigned() {}

    /** One member, then two, then the other one alone; the topic grows; then a second topic, which may live elsewhere. */
    static void consumers(Stage stage) throws Exception {
        stage.create(PARTITIONS);
        String group = stage.groups.get(0);
        String topic = stage.topics.get(0);
        var read = new TreeMap<String, Integer>();
        var second = new Reader(stage, group, read);
        try (var first = new Reader(stage, group, read); second) {
            first.consumer.subscribe(List.of(topic));
            Stage.until("the first has all", () -> first.poll().size() == PARTITIONS);
            fill(stage, topic, PARTITIONS, "one");
            Stage.until("the first reads all", () -> first.poll() != null && read.size() == PARTITIONS * EACH);
            first.consumer.commitSync();
            second.consumer.subscribe(List.of(topic));
            Stage.until("both have half", () -> first.poll().size() == 2 & second.poll().size() == 2);
            fill(stage, topic, PARTITIONS, "two");
            Stage.until("both read all", () -> {
                first.poll();
                second.poll();
                return read.size() == 2 * PARTITIONS * EACH;
            });
            first.consumer.commitSync();
            second.consumer.commitSync();
            var described = stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            stage.result.put("described", described.groupState() + ", " + described.type() + ", " + described.members().size());
        }
        stage.result.put("records read", read.size());
        stage.result.put("read more than once", read.values().stream().filter(n -> n > 1).count());
        try (var last = new Reader(stage, group, read)) {
            last.consumer.subscribe(List.of(topic));
            Stage.until("it has all", () -> last.poll().size() == PARTITIONS);
            stage.result.put("committed", stage.aliased(
                last.consumer.committed(Set.copyOf(last.consumer.assignment())), offset -> offset.offset()));
            stage.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(GROWN))).all().get();
            Stage.until("it has what has grown", () -> last.poll().size() == GROWN);
            fill(stage, topic, GROWN, "three");
            Stage.until("it reads all", () -> last.poll() != null && read.size() == (2 * PARTITIONS + GROWN) * EACH);
            last.consumer.commitSync();
        }
        Stage.until("it is empty", () -> stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group)
            .groupState().toString().equals("Empty"));
        stage.result.put("listed", stage.admin.listGroups().all().get().stream().filter(l -> l.groupId().equals(group))
            .map(l -> l.type().map(Object::toString).orElse("none")).collect(Collectors.toSet()));
        stage.result.put("deleted", Stage.errorOf(() -> stage.admin.deleteConsumerGroups(List.of(group)).all().get()));
        stage.result.put("both topics", outcome(() -> {
            try (var both = new Reader(stage, group + "-both", new TreeMap<>())) {
                both.consumer.subscribe(stage.topics);
                untilOr("it has both", () -> both.poll().size() == GROWN + PARTITIONS);
            }
            return null;
        }));
    }

    /** Two members share what is in a topic; some is released, and comes again. Then a second topic. */
    static void shares(Stage stage) throws Exception {
        stage.create(2);
        String group = stage.groups.get(0);
        String topic = stage.topics.get(0);
        begin(stage, group);
        var delivered = new TreeMap<String, List<String>>();
        try (var first = sharer(stage, group); var second = sharer(stage, group)) {
            first.subscribe(List.of(topic));
            second.subscribe(List.of(topic));
            fill(stage, topic, 2, "v");
            Stage.until("all is accepted", () -> {
                for (var consumer : List.of(first, second)) {
                    for (var record : consumer.poll(Duration.ofMillis(50))) {
                        take(consumer, record, delivered);
                    }
                    for (var result : consumer.commitSync().values()) {
                        result.ifPresent(error -> {
                            throw error;
                        });
                    }
                }
                return delivered.values().stream().filter(all -> all.contains("accepted")).count() == 2 * EACH;
            });
            var described = stage.admin.describeShareGroups(List.of(group)).all().get().get(group);
            stage.result.put("described", described.groupState() + ", " + described.members().size());
        }
        stage.result.put("delivered", delivered.values().stream().map(Object::toString).sorted().toList());
        Stage.until("it is empty", () -> stage.admin.describeShareGroups(List.of(group)).all().get().get(group)
            .groupState().toString().equals("Empty"));
        // Where it begins is told some time after it was read.
        stage.result.put("has offsets of", starts(stage, group).keySet());
        stage.result.put("offsets altered", Stage.errorOf(() -> stage.admin.alterShareGroupOffsets(group,
            Map.of(new TopicPartition(topic, 0), 1L)).all().get()));
        stage.result.put("then begins at", starts(stage, group).get(stage.alias(new TopicPartition(topic, 0))));
        stage.result.put("offsets deleted", Stage.errorOf(() -> stage.admin.deleteShareGroupOffsets(group,
            Set.of(topic)).all().get()));
        stage.result.put("listed", stage.admin.listGroups().all().get().stream().filter(l -> l.groupId().equals(group))
            .map(l -> l.type().map(Object::toString).orElse("none")).collect(Collectors.toSet()));
        stage.result.put("deleted", Stage.errorOf(() -> stage.admin.deleteShareGroups(List.of(group)).all().get()));
        begin(stage, group + "-both");
        stage.result.put("both topics", outcome(() -> {
            try (var both = sharer(stage, group + "-both")) {
                both.subscribe(stage.topics);
                fill(stage, stage.topics.get(1), 2, "w");
                untilOr("something came", () -> {
                    var came = both.poll(Duration.ofMillis(50));
                    came.forEach(record -> both.acknowledge(record, AcknowledgeType.ACCEPT));
                    return !came.isEmpty();
                });
            }
            return null;
        }));
    }

    private static void take(
        KafkaShareConsumer<byte[], byte[]> consumer, ConsumerRecord<byte[], byte[]> record, Map<String, List<String>> all) {
        var before = all.computeIfAbsent(record.partition() + "@" + record.offset(), at -> new ArrayList<>());
        boolean released = record.offset() == 1 && before.isEmpty();
        before.add(released ? "released" : "accepted");
        consumer.acknowledge(record, released ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
    }

    private static Map<String, String> starts(Stage stage, String group) throws Exception {
        var told = stage.admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).all().get().get(group);
        return stage.aliased(told, offset -> "from " + offset.startOffset());
    }

    /** A share group reads from the beginning where it is told to. */
    static void begin(Stage stage, String group) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        var earliest = new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
        stage.admin.incrementalAlterConfigs(Map.of(resource, List.of(earliest))).all().get();
    }

    private static void fill(Stage stage, String topic, int partitions, String prefix) throws Exception {
        try (var producer = stage.producer(Map.of("linger.ms", 5))) {
            for (int i = 0; i < EACH; i++) {
                for (int p = 0; p < partitions; p++) {
                    producer.send(new ProducerRecord<>(topic, p, null, Stage.bytes(prefix + "-" + i)));
                }
            }
            producer.flush();
        }
    }

    /** As `Stage.until`, but an error of Kafka's ends it. */
    private static void untilOr(String what, Callable<Boolean> so) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (!so.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within 30 s: " + what);
            }
        }
    }

    /** An error with what it says of Fishplate, where it does. */
    private static String outcome(Callable<?> call) {
        try {
            call.call();
            return "none";
        } catch (Exception e) {
            String said = String.valueOf(Stage.causeOf(e).getMessage());
            return Stage.nameOf(e) + (said.startsWith("Fishplate") ? ", of Fishplate" : "");
        }
    }

    private static KafkaShareConsumer<byte[], byte[]> sharer(Stage stage, String group) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("group.id", group);
        config.put("share.acknowledgement.mode", "explicit");
        config.put("fetch.max.wait.ms", 100);
        return new KafkaShareConsumer<>(stage.common(config), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** A consumer that counts in `read` what it reads. */
    private static final class Reader implements AutoCloseable {
        final KafkaConsumer<byte[], byte[]> consumer;
        private final Stage stage;
        private final Map<String, Integer> read;

        Reader(Stage stage, String group, Map<String, Integer> read) {
            this.stage = stage;
            this.read = read;
            Map<String, Object> config = new LinkedHashMap<>();
            config.put("group.id", group);
            config.put("group.protocol", "consumer");
            config.put("auto.offset.reset", "earliest");
            config.put("enable.auto.commit", false);
            config.put("fetch.max.wait.ms", 100);
            config.put("metadata.max.age.ms", 1_000);
            consumer = new KafkaConsumer<>(stage.common(config), new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        Set<TopicPartition> poll() {
            for (var record : consumer.poll(Duration.ofMillis(50))) {
                String at = stage.alias(new TopicPartition(record.topic(), record.partition()));
                read.merge(at + "@" + record.offset(), 1, Integer::sum);
            }
            return consumer.assignment();
        }

        @Override
        public void close() {
            consumer.close(); // closing twice is allowed
        }
    }
}
