import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Share groups at work while something happens to their connections or brokers: one says of each record what became of it, and
 * gives some back once; the other takes what it has read for accepted.
 */
final class Sharing {
    private static final int PARTITIONS = 6;
    private static final int ROUNDS = 12;

    private Sharing() {}

    static void play(Stage stage) throws Exception {
        stage.create(PARTITIONS);
        String topic = stage.topics.get(0);
        var members = new ArrayList<Member>();
        for (String mode : List.of("explicit", "implicit")) {
            String group = stage.groups.get(0) + "-" + mode;
            Assigned.begin(stage, group);
            members.add(new Member(stage, group, mode, topic));
        }
        var at = members.stream().map(member -> CompletableFuture.runAsync(member)).toList();
        try (var producer = stage.producer(Map.of("linger.ms", 0, "acks", "all"))) {
            send(producer, topic, 0);
            Stage.until("the first are accepted", () -> members.stream().allMatch(m -> m.has(PARTITIONS)));
            var over = CompletableFuture.runAsync(() -> Cut.haveItCut(stage.cutFile));
            for (int i = 1; i < ROUNDS || !over.isDone(); i++) {
                if (i < ROUNDS) {
                    send(producer, topic, i);
                }
                Thread.sleep(50);
            }
            over.get();
            producer.flush();
            Stage.until("all is accepted", () -> members.stream().allMatch(m -> m.has(PARTITIONS * ROUNDS)));
        } finally {
            members.forEach(member -> member.stops = true);
        }
        for (var one : at) {
            one.get();
        }
        try (var producer = stage.producer(Map.of("acks", "all"))) {
            send(producer, topic, ROUNDS);
        }
        for (var member : members) {
            var seen = new TreeMap<String, Object>();
            seen.put("accepted", member.accepted.size());
            seen.put("in doubt", member.inDoubt.size());
            seen.put("given back", member.givenBack.size());
            seen.put("delivered after it was accepted", member.again);
            seen.put("left for the next member", member.leaves());
            stage.result.put(member.mode, seen);
            stage.raw.put(member.mode, Map.of("longest wait ms", member.longest));
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, int round) {
        for (int p = 0; p < PARTITIONS; p++) {
            producer.send(new ProducerRecord<>(topic, p, null, Stage.bytes("v-" + round)));
        }
    }

    private static final class Member implements Runnable {
        final String group;
        final String mode;
        final Set<String> accepted = ConcurrentHashMap.newKeySet();
        /** Records whose acceptance was answered by an error: its broker may have taken it, or delivers them again. */
        final Set<String> inDoubt = ConcurrentHashMap.newKeySet();
        final Set<String> givenBack = ConcurrentHashMap.newKeySet();
        /** Records that came though they had been accepted. */
        int again;
        long longest;
        volatile boolean stops;
        volatile boolean failed;
        /** Records that were said to be accepted, by partition, until that is heard of. */
        private final Map<Integer, List<String>> said = new TreeMap<>();
        private final Stage stage;
        private final String topic;

        Member(Stage stage, String group, String mode, String topic) {
            this.stage = stage;
            this.group = group;
            this.mode = mode;
            this.topic = topic;
        }

        /** Whether it has said of so many records that they are accepted, whatever it heard. */
        boolean has(int count) {
            if (failed) {
                throw new IllegalStateException("the member failed: " + mode);
            }
            return accepted.size() + inDoubt.size() >= count;
        }

        private KafkaShareConsumer<byte[], byte[]> consumer(String mode) {
            Map<String, Object> config = new LinkedHashMap<>();
            config.put("group.id", group);
            config.put("share.acknowledgement.mode", mode);
            config.put("max.poll.records", 5);
            var common = stage.common(config);
            var consumer = new KafkaShareConsumer<>(common, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(List.of(topic));
            return consumer;
        }

        /** How many records that are not in doubt another member gets before it has what is new in every partition. */
        int leaves() throws Exception {
            Set<Integer> fresh = new TreeSet<>();
            int[] left = {0};
            try (var next = consumer("implicit")) {
                Stage.until("the next member has what is new", () -> {
                    for (var record : next.poll(Duration.ofMillis(200))) {
                        if (record.offset() >= ROUNDS) {
                            fresh.add(record.partition());
                        } else if (!inDoubt.contains(at(record))) {
                            left[0]++;
                        }
                    }
                    return fresh.size() == PARTITIONS;
                });
            }
            return left[0];
        }

        @Override
        public void run() {
            try (var consumer = consumer(mode)) {
                consumer.setAcknowledgementCommitCallback(this::heard);
                while (!stops) {
                    long before = System.nanoTime();
                    var records = consumer.poll(Duration.ofMillis(200));
                    longest = Math.max(longest, (System.nanoTime() - before) / 1_000_000);
                    records.forEach(record -> take(consumer, record));
                    if (mode.equals("explicit")) {
                        consumer.commitSync().forEach((at, error) -> heard(at.partition(), error.isPresent()));
                        said.clear();
                    }
                }
            } catch (RuntimeException e) {
                failed = true;
                throw e;
            }
        }

        private static String at(ConsumerRecord<byte[], byte[]> record) {
            return record.partition() + "@" + record.offset();
        }

        private void take(KafkaShareConsumer<byte[], byte[]> consumer, ConsumerRecord<byte[], byte[]> record) {
            String at = at(record);
            if (accepted.contains(at)) {
                again++;
            }
            if (mode.equals("explicit")) {
                boolean back = record.offset() % 4 == 1 && givenBack.add(at);
                consumer.acknowledge(record, back ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
                if (!back) {
                    said.computeIfAbsent(record.partition(), p -> new ArrayList<>()).add(at);
                }
            }
        }

        /** Whether a partition's broker took what was said of its records. */
        private void heard(int partition, boolean isError) {
            var all = said.getOrDefault(partition, List.of());
            if (isError) {
                all.stream().filter(one -> !accepted.contains(one)).forEach(inDoubt::add);
            } else {
                accepted.addAll(all);
                inDoubt.removeAll(all);
            }
        }

        /** The same of what was accepted by reading on. */
        private void heard(Map<TopicIdPartition, Set<Long>> offsets, Exception error) {
            if (mode.equals("implicit")) {
                offsets.forEach((at, some) -> {
                    some.forEach(offset -> said.computeIfAbsent(at.partition(), p -> new ArrayList<>()).add(at.partition() + "@" + offset));
                    heard(at.partition(), error != null);
                    said.clear();
                });
            }
        }
    }
}
