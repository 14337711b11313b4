import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;

/** Scenarios about consumer groups: who reads what when members come and go, and what admin sees of it. */
final class Groups {
    private static final int PARTITIONS = 4;
    private static final int ROUNDS = 3;
    /** What one round brings to all partitions of both topics. */
    private static final int RECORDS = 5 * 2 * PARTITIONS;

    private Groups() {}

    static void range(Stage stage) throws Exception {
        twoMembers(stage, RangeAssignor.class.getName());
    }

    static void cooperative(Stage stage) throws Exception {
        twoMembers(stage, CooperativeStickyAssignor.class.getName());
    }

    /** One member, then two, then the other one alone, with records coming all the time; each group in its turn. */
    private static void twoMembers(Stage stage, String assignor) throws Exception {
        stage.create(PARTITIONS);
        for (int g = 0; g < stage.groups.size(); g++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            twoMembers(stage, stage.groups.get(g), assignor, g * ROUNDS * RECORDS, seen);
            stage.result.put("group " + (g + 1), seen);
        }
    }

    private static void twoMembers(Stage stage, String group, String assignor, int before, Map<String, Object> seen)
        throws Exception {
        Map<String, Object> config = Map.of("group.id", group, "partition.assignment.strategy", assignor);
        var read = new TreeMap<String, Integer>();
        int round = 0;
        try (var first = new Member(stage, config, read); var second = new Member(stage, config, read)) {
            Stage.until("the first has all", () -> first.poll().size() == 2 * PARTITIONS);
            seen.put("alone", stage.aliased(first.assigned()));
            stage.fill("round-" + round++, PARTITIONS, 5);
            Stage.until("the first reads all", () -> first.poll() != null && read.size() == before + RECORDS);
            first.consumer.commitSync();

            second.join();
            Stage.until("both have half", () -> {
                int a = first.poll().size();
                int b = second.poll().size();
                return a == PARTITIONS && b == PARTITIONS;
            });
            seen.put("two", shares(stage, assignor, List.of(first.assigned(), second.assigned())));
            stage.fill("round-" + round++, PARTITIONS, 5);
            Stage.until("both read all", () -> {
                first.poll();
                second.poll();
                return read.size() == before + 2 * RECORDS;
            });
            first.consumer.commitSync();
            second.consumer.commitSync();

            first.close();
            Stage.until("the second has all", () -> second.poll().size() == 2 * PARTITIONS);
            seen.put("the other alone", stage.aliased(second.assigned()));
            stage.fill("round-" + round++, PARTITIONS, 5);
            Stage.until("the second reads all", () -> second.poll() != null && read.size() == before + ROUNDS * RECORDS);
            second.consumer.commitSync();
            seen.put("committed", stage.aliased(
                second.consumer.committed(Set.copyOf(stage.partitions(PARTITIONS))), o -> o.offset()));
        }
        seen.put("records read", read.size());
        seen.put("read more than once", read.values().stream().filter(n -> n > 1).count());
    }

    /** The range assignor's shares are known but for who has which; of sticky ones only the sizes are. */
    private static Object shares(Stage stage, String assignor, List<Set<TopicPartition>> sets) {
        if (assignor.equals(RangeAssignor.class.getName())) {
            return sets.stream().map(stage::aliased).sorted(Comparator.comparing(Object::toString)).toList();
        }
        var union = new ArrayList<TopicPartition>();
        sets.forEach(union::addAll);
        return Map.of("sizes", sets.stream().map(Set::size).toList(), "together", stage.aliased(union));
    }

    /** A consumer that counts in `read` what it reads. */
    static final class Member implements AutoCloseable {
        final KafkaConsumer<byte[], byte[]> consumer;
        private final Stage stage;
        private final Map<String, Integer> read;
        private boolean joined;

        Member(Stage stage, Map<String, Object> config, Map<String, Integer> read) {
            this.stage = stage;
            this.read = read;
            consumer = stage.consumer(config);
        }

        void join() {
            consumer.subscribe(stage.topics);
            joined = true;
        }

        Set<TopicPartition> poll() {
            if (!joined) {
                join();
            }
            for (var record : consumer.poll(Duration.ofMillis(50))) {
                String at = stage.alias(new TopicPartition(record.topic(), record.partition()));
                read.merge(at + "@" + record.offset() + "=" + Stage.text(record.value()), 1, Integer::sum);
            }
            return consumer.assignment();
        }

        Set<TopicPartition> assigned() {
            return Set.copyOf(consumer.assignment());
        }

        @Override
        public void close() {
            consumer.close(); // closing twice is allowed
        }
    }

    /** Static members keep their partitions over a restart that is short enough. */
    static void fixed(Stage stage) throws Exception {
        stage.create(PARTITIONS);
        for (int g = 0; g < stage.groups.size(); g++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            fixed(stage, stage.groups.get(g), seen);
            stage.result.put("group " + (g + 1), seen);
        }
    }

    private static void fixed(Stage stage, String group, Map<String, Object> seen) throws Exception {
        Map<String, Object> one = Map.of("group.id", group, "group.instance.id", "one", "session.timeout.ms", 30_000);
        Map<String, Object> two = Map.of("group.id", group, "group.instance.id", "two", "session.timeout.ms", 30_000);
        var read = new TreeMap<String, Integer>();
        try (var first = new Member(stage, one, read); var second = new Member(stage, two, read)) {
            Stage.until("both have half", () -> {
                int a = first.poll().size();
                int b = second.poll().size();
                return a == PARTITIONS && b == PARTITIONS;
            });
            var before = second.assigned();
            seen.put("one", stage.aliased(first.assigned()));
            seen.put("two", stage.aliased(before));
            second.close();
            try (var again = new Member(stage, two, read)) {
                Stage.until("two is back", () -> {
                    first.poll();
                    return again.poll().size() == PARTITIONS;
                });
                seen.put("two, again", stage.aliased(again.assigned()));
                seen.put("instances", stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group).members()
                    .stream().flatMap(m -> m.groupInstanceId().stream()).sorted().toList());
            }
        }
    }

    static void admin(Stage stage) throws Exception {
        stage.create(2);
        stage.fill("v", 2, 2);
        var nodes = stage.admin.describeCluster().nodes().get();
        List<Object> coordinators = new ArrayList<>();
        for (int g = 0; g < stage.groups.size(); g++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            Node coordinator = admin(stage, stage.groups.get(g), seen);
            seen.put("coordinator is a node", nodes.contains(coordinator));
            coordinators.add(Topics.shown(coordinator));
            stage.result.put("group " + (g + 1), seen);
        }
        stage.raw.put("coordinators", coordinators);
        var none = stage.groups.get(0) + "-none";
        stage.result.put("describe unknown", Stage.errorOf(
            () -> stage.admin.describeConsumerGroups(List.of(none)).all().get()));
        stage.result.put("delete unknown", Stage.errorOf(
            () -> stage.admin.deleteConsumerGroups(List.of(none)).all().get()));
        stage.result.put("offsets of unknown",
            stage.admin.listConsumerGroupOffsets(none).partitionsToOffsetAndMetadata().get().size());
    }

    private static Node admin(Stage stage, String group, Map<String, Object> seen) throws Exception {
        try (var consumer = stage.consumer(Map.of("group.id", group, "client.id", "c"))) {
            consumer.subscribe(stage.topics);
            Stage.until("assigned", () -> {
                consumer.poll(Duration.ofMillis(50));
                return consumer.assignment().size() == 4;
            });
            consumer.commitSync();
            seen.put("listed", listed(stage, group));
            seen.put("described", described(stage, group));
            seen.put("delete with a member", Stage.errorOf(
                () -> stage.admin.deleteConsumerGroups(List.of(group)).all().get()));
        }
        var last = stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        Stage.until("empty", () -> stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group).state()
            == ConsumerGroupState.EMPTY);
        seen.put("listed, empty", listed(stage, group));
        seen.put("described, empty", described(stage, group));
        seen.put("delete", Stage.errorOf(() -> stage.admin.deleteConsumerGroups(List.of(group)).all().get()));
        seen.put("listed, deleted", listed(stage, group));
        seen.put("delete again", Stage.errorOf(() -> stage.admin.deleteConsumerGroups(List.of(group)).all().get()));
        return last.coordinator();
    }

    private static List<String> listed(Stage stage, String group) throws Exception {
        return stage.admin.listConsumerGroups().all().get().stream().filter(l -> l.groupId().equals(group))
            .map(l -> l.state().map(Object::toString).orElse("no state") + ", simple: " + l.isSimpleConsumerGroup())
            .toList();
    }

    private static Map<String, Object> described(Stage stage, String group) throws Exception {
        var described = stage.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("state", described.state().toString());
        shown.put("assignor", described.partitionAssignor());
        shown.put("members", described.members().stream()
            .map(m -> m.clientId() + " has " + stage.aliased(m.assignment().topicPartitions())).sorted().toList());
        return shown;
    }
}
