import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Transactions (KIP-98, KIP-447): what was committed is read once, what was aborted is not, offsets go along, who comes later
 * fences who was there. Each home in its turn: a transactional id, the group and the topic that it writes to live together.
 */
final class Transactions {
    private static final int RECORDS = 6;

    private Transactions() {}

    static void play(Stage stage) throws Exception {
        stage.create(4);
        for (int home = 0; home < 2; home++) {
            outcomes(stage, home);
            fencing(stage, home);
        }
        // What the other home's transactions read must be there first.
        for (int home = 0; home < 2; home++) {
            passOn(stage, home);
        }
        var known = stage.admin.listTransactions().all().get();
        var ids = List.of(id(stage, 0), id(stage, 1));
        stage.result.put("listed", known.stream().map(one -> one.transactionalId()).filter(ids::contains).distinct().count());
        for (int home = 0; home < 2; home++) {
            var described = stage.admin.describeTransactions(ids).description(ids.get(home)).get();
            stage.result.put("state of " + (home + 1), described.state().toString());
        }
        stage.result.put("described, of nobody", Stage.errorOf(
            () -> stage.admin.describeTransactions(List.of("nobody")).description("nobody").get()));
    }

    /** One that would have to span two homes. On one cluster there is nothing to span. */
    static void spanning(Stage stage) throws Exception {
        stage.create(1);
        String one = stage.topics.get(0);
        String two = stage.topics.get(1);
        try (var producer = producer(stage, 0)) {
            producer.initTransactions();
            producer.beginTransaction();
            stage.result.put("own topic", Stage.errorOf(() -> producer.send(record(one, 0, "in vain")).get()));
            stage.result.put("other topic", Stage.errorOf(() -> producer.send(record(two, 0, "too far")).get()));
            stage.result.put("commit", Stage.errorOf(() -> end(producer)));
        }
        try (var producer = producer(stage, 0)) {
            producer.initTransactions();
            producer.beginTransaction();
            var offsets = Map.of(new TopicPartition(one, 0), new OffsetAndMetadata(1));
            var group = new ConsumerGroupMetadata(stage.groups.get(1));
            stage.result.put("other group", Stage.errorOf(() -> {
                producer.sendOffsetsToTransaction(offsets, group);
                return end(producer);
            }));
        }
        // And it is none the worse for it.
        try (var producer = producer(stage, 0)) {
            producer.initTransactions();
            stage.result.put("afterwards", Stage.errorOf(() -> {
                producer.beginTransaction();
                producer.send(record(one, 0, "afterwards"));
                return end(producer);
            }));
        }
        stage.result.put("read", read(stage, new TopicPartition(one, 0), "read_committed").stream().anyMatch(
            text -> text.endsWith("=afterwards")));
    }

    /**
     * Producers that fall silent in the middle of a transaction: their coordinators abort it, and they are fenced. One a home,
     * at the same time: what takes the time is waiting.
     */
    static void silent(Stage stage) throws Exception {
        stage.create(1);
        List<KafkaProducer<byte[], byte[]>> zombies = new ArrayList<>();
        for (int home = 0; home < 2; home++) {
            zombies.add(stage.producer(Map.of("transactional.id", id(stage, home), "transaction.timeout.ms", 1_000)));
            zombies.get(home).initTransactions();
            zombies.get(home).beginTransaction();
            zombies.get(home).send(record(stage.topics.get(home), 0, "silent")).get();
        }
        for (int home = 0; home < 2; home++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            var at = new TopicPartition(stage.topics.get(home), 0);
            String id = id(stage, home);
            Stage.until("its coordinator has aborted it", () -> stage.admin.describeTransactions(List.of(id)).description(id).get()
                .state() == TransactionState.COMPLETE_ABORT);
            try (var zombie = zombies.get(home)) {
                seen.put("produces again", Stage.errorOf(() -> zombie.send(record(at.topic(), 0, "too late")).get()));
                seen.put("commits", Stage.errorOf(() -> end(zombie)));
                seen.put("aborts", Stage.errorOf(() -> {
                    zombie.abortTransaction();
                    return null;
                }));
            }
            try (var later = producer(stage, home)) {
                later.initTransactions();
                later.beginTransaction();
                later.send(record(at.topic(), 0, "later"));
                seen.put("later one commits", Stage.errorOf(() -> end(later)));
            }
            seen.put("committed", read(stage, at, "read_committed").stream().map(one -> one.replaceAll(".*=", "")).toList());
            stage.result.put(stage.alias(at.topic()), seen);
        }
    }

    private static Void end(KafkaProducer<byte[], byte[]> producer) {
        producer.commitTransaction();
        return null;
    }

    /** Lives where the topic and the group of the same number do. */
    private static String id(Stage stage, int home) {
        return "t" + stage.groups.get(home).substring(1);
    }

    private static KafkaProducer<byte[], byte[]> producer(Stage stage, int home) {
        return stage.producer(Map.of("transactional.id", id(stage, home), "max.block.ms", 30_000));
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int partition, String value) {
        return new ProducerRecord<>(topic, partition, null, Stage.bytes(value));
    }

    private static void outcomes(Stage stage, int home) throws Exception {
        String topic = stage.topics.get(home);
        try (var producer = producer(stage, home)) {
            producer.initTransactions();
            for (int number = 0; number < 4; number++) {
                boolean commits = number % 2 == 0;
                producer.beginTransaction();
                for (int partition = 0; partition < 2; partition++) {
                    producer.send(record(topic, partition, (commits ? "committed-" : "aborted-") + number));
                }
                producer.flush();
                if (commits) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        for (int partition = 0; partition < 2; partition++) {
            var at = new TopicPartition(topic, partition);
            for (String isolation : List.of("read_committed", "read_uncommitted")) {
                stage.result.put(stage.alias(at) + ", " + isolation, read(stage, at, isolation));
            }
        }
    }

    /** Who comes with an id that another has, has it from then on. */
    private static void fencing(Stage stage, int home) throws Exception {
        String topic = stage.topics.get(home);
        var before = new TopicPartition(topic, 0);
        try (var zombie = producer(stage, home); var later = producer(stage, home)) {
            zombie.initTransactions();
            zombie.beginTransaction();
            zombie.send(record(topic, 0, "zombie")).get();
            later.initTransactions();
            stage.result.put("zombie of " + (home + 1), Stage.errorOf(() -> end(zombie)));
            later.beginTransaction();
            later.send(record(topic, 0, "later")).get();
            stage.result.put("later of " + (home + 1), Stage.errorOf(() -> end(later)));
        }
        stage.result.put(stage.alias(before) + ", after a zombie", read(stage, before, "read_committed"));
    }

    /** Reads from the other home's topic and writes to its own, with the offsets of what it has read: once in vain. */
    private static void passOn(Stage stage, int home) throws Exception {
        var from = new TopicPartition(stage.topics.get(1 - home), 2);
        var to = new TopicPartition(stage.topics.get(home), 3);
        try (var producer = stage.producer(Map.of())) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(record(from.topic(), from.partition(), "in-" + i)).get();
            }
        }
        String group = stage.groups.get(home);
        try (var producer = producer(stage, home);
             var consumer = stage.consumer(Map.of("group.id", group, "isolation.level", "read_committed"))) {
            producer.initTransactions();
            consumer.subscribe(Set.of(from.topic()));
            for (boolean commits : new boolean[] {false, true}) {
                List<String> seen = take(consumer, from);
                producer.beginTransaction();
                for (String value : seen) {
                    producer.send(record(to.topic(), to.partition(), (commits ? "out of " : "in vain ") + value));
                }
                // Else what is aborted may not have been sent at all.
                producer.flush();
                producer.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(RECORDS)), consumer.groupMetadata());
                if (commits) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                    consumer.seek(from, 0);
                }
                stage.result.put(stage.alias(from) + ", committed by " + (home + 1) + ", " + commits,
                    offset(stage, group, from));
            }
            // One that is no member of the group cannot commit for it (KIP-447).
            producer.beginTransaction();
            var stranger = new ConsumerGroupMetadata(group, 1_000, "stranger", java.util.Optional.empty());
            stage.result.put("stranger in " + (home + 1), Stage.errorOf(() -> {
                producer.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(1)), stranger);
                return end(producer);
            }));
        }
        stage.result.put(stage.alias(to) + ", passed on", read(stage, to, "read_committed"));
    }

    private static Long offset(Stage stage, String group, TopicPartition at) throws Exception {
        // A coordinator may still be taking in what a transaction has committed.
        try (var consumer = stage.consumer(Map.of("group.id", group))) {
            var found = consumer.committed(Set.of(at)).get(at);
            return found == null ? null : found.offset();
        }
    }

    private static List<String> take(KafkaConsumer<byte[], byte[]> consumer, TopicPartition from) {
        List<String> seen = new ArrayList<>();
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (seen.size() < RECORDS) {
            if (System.nanoTime() > end) {
                throw new AssertionError("only " + seen);
            }
            for (var record : consumer.poll(Duration.ofMillis(100)).records(from)) {
                seen.add(Stage.text(record.value()));
            }
        }
        return seen;
    }

    /** Each record up to what may be read now, as `offset=value`. */
    private static List<String> read(Stage stage, TopicPartition at, String isolation) {
        try (var consumer = stage.consumer(Map.of("isolation.level", isolation))) {
            consumer.assign(Set.of(at));
            consumer.seekToBeginning(Set.of(at));
            long end = consumer.endOffsets(Set.of(at)).get(at);
            List<String> seen = new ArrayList<>();
            while (consumer.position(at) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    seen.add(record.offset() + "=" + Stage.text(record.value()));
                }
            }
            return seen;
        }
    }
}
