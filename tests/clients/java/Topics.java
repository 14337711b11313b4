import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** Scenarios about topics and the cluster as admin sees them. */
final class Topics {
    private static final Duration SHORT = Duration.ofMillis(700);

    private Topics() {}

    static void lifeCycle(Stage stage) throws Exception {
        for (String topic : stage.topics) {
            Map<String, Object> seen = new LinkedHashMap<>();
            lifeCycle(stage, topic, seen);
            stage.result.put(stage.alias(topic), seen);
        }
    }

    private static void lifeCycle(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        Map<String, String> configs = Map.of("cleanup.policy", "compact", "max.message.bytes", "123456");
        var wanted = new NewTopic(topic, 3, (short) 1).configs(configs);
        seen.put("validate", Stage.errorOf(
            () -> admin.createTopics(List.of(wanted), new CreateTopicsOptions().validateOnly(true)).all().get()));
        seen.put("describe before", Stage.errorOf(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()));
        var created = admin.createTopics(List.of(wanted));
        created.all().get();
        seen.put("created", created.numPartitions(topic).get() + " partitions, " + created.replicationFactor(topic).get()
            + " replicas, cleanup.policy " + created.config(topic).get().get("cleanup.policy").value());
        var id = created.topicId(topic).get();
        Stage.until("the topic is known", () -> describe(stage, topic).partitions().size() == 3);
        seen.put("described", shown(stage, describe(stage, topic)));
        seen.put("same id", describe(stage, topic).topicId().equals(id));
        seen.put("listed", admin.listTopics().names().get().contains(topic));
        seen.put("listed id is the same", admin.listTopics().namesToListings().get().get(topic).topicId().equals(id));
        seen.put("by id", Stage.errorOf(() -> admin.describeTopics(
            org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get()));
        seen.put("configs", configs(stage, topic));
        refusals(stage, topic, seen);
        placed(stage, topic, describe(stage, topic).partitions().get(0).leader(), seen);
        seen.put("delete", Stage.errorOf(() -> admin.deleteTopics(List.of(topic)).all().get()));
        Stage.until("the topic is gone", () -> !admin.listTopics().names().get().contains(topic));
        // Brokers hear of it one after another, and any of them may be asked.
        int[] gone = {0};
        Stage.until("every broker has heard of it", () -> {
            String error = Stage.errorOf(() -> admin.describeTopics(List.of(topic)).allTopicNames().get());
            gone[0] = error.equals("none") ? 0 : gone[0] + 1;
            return gone[0] == 10;
        });
        seen.put("describe after", Stage.errorOf(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()));
        seen.put("delete again", Stage.errorOf(() -> admin.deleteTopics(List.of(topic)).all().get()));
        seen.put("configs after", Stage.errorOf(() -> configs(stage, topic)));
        // The same name again is another topic.
        var again = admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)));
        again.all().get();
        seen.put("another id", !again.topicId(topic).get().equals(id));
        Stage.until("the topic is known again", () -> describe(stage, topic).partitions().size() == 1);
        seen.put("delete by id", Stage.errorOf(() -> admin.deleteTopics(
            org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(again.topicId(topic).get()))).all().get()));
    }

    private static void refusals(Stage stage, String topic, Map<String, Object> seen) {
        Map<String, NewTopic> wrong = new LinkedHashMap<>();
        wrong.put("existing", new NewTopic(topic, 3, (short) 1));
        wrong.put("too many replicas", new NewTopic(topic + ".x", 1, (short) 20));
        wrong.put("no partitions", new NewTopic(topic + ".x", 0, (short) 1));
        wrong.put("wrong config", new NewTopic(topic + ".x", 1, (short) 1).configs(Map.of("no.such.config", "1")));
        wrong.put("wrong value", new NewTopic(topic + ".x", 1, (short) 1).configs(Map.of("retention.ms", "soon")));
        wrong.put("unknown broker", new NewTopic(topic + ".x", Map.of(0, List.of(987_654))));
        wrong.put("wrong name", new NewTopic(topic + ".x y", 1, (short) 1));
        wrong.forEach((what, topicOf) -> seen.put("create, " + what, Stage.errorOf(
            () -> stage.admin.createTopics(List.of(topicOf)).all().get())));
    }

    /** A topic whose one replica is put on a node by its id. */
    private static void placed(Stage stage, String topic, Node node, Map<String, Object> seen) throws Exception {
        String name = topic + ".placed";
        stage.admin.createTopics(List.of(new NewTopic(name, Map.of(0, List.of(node.id()))))).all().get();
        Stage.until("the placed topic is known", () -> describe(stage, name).partitions().get(0).leader() != null);
        seen.put("placed where asked", describe(stage, name).partitions().get(0).leader().equals(node));
        stage.admin.deleteTopics(List.of(name)).all().get();
    }

    private static TopicDescription describe(Stage stage, String topic) throws Exception {
        return stage.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private static Map<String, Object> shown(Stage stage, TopicDescription topic) throws Exception {
        var nodes = stage.admin.describeCluster().nodes().get();
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("internal", topic.isInternal());
        for (var partition : topic.partitions()) {
            shown.put("" + partition.partition(), "leader is a node: " + nodes.contains(partition.leader())
                + ", replicas are the leader: " + partition.replicas().equals(List.of(partition.leader()))
                + ", in sync are the replicas: " + partition.isr().equals(partition.replicas()));
        }
        return shown;
    }

    private static Map<String, String> configs(Stage stage, String topic) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = stage.admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Map<String, String> shown = new TreeMap<>();
        for (String name : List.of("cleanup.policy", "max.message.bytes", "retention.ms")) {
            var entry = config.get(name);
            shown.put(name, entry.value() + " from " + entry.source() + (entry.isReadOnly() ? ", read only" : ""));
        }
        return shown;
    }

    static void unknown(Stage stage) throws Exception {
        for (String topic : stage.topics) {
            Map<String, Object> seen = new LinkedHashMap<>();
            unknown(stage, topic, seen);
            stage.result.put(stage.alias(topic), seen);
        }
    }

    private static void unknown(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var at = new TopicPartition(topic, 0);
        try (var consumer = stage.consumer(Map.of())) {
            seen.put("partitions for a consumer", "" + consumer.partitionsFor(topic));
            seen.put("end offsets", Stage.errorOf(() -> consumer.endOffsets(List.of(at), SHORT)));
            consumer.assign(List.of(at));
            seen.put("position", Stage.errorOf(() -> consumer.position(at, SHORT)));
            seen.put("poll", consumer.poll(SHORT).count());
        }
        var admin = stage.admin;
        seen.put("describe", Stage.errorOf(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()));
        seen.put("configs", Stage.errorOf(() -> configs(stage, topic)));
        seen.put("list offsets", Stage.errorOf(() -> admin.listOffsets(Map.of(at, OffsetSpec.latest()),
            new ListOffsetsOptions().timeoutMs(3000)).all().get()));
        seen.put("delete", Stage.errorOf(() -> admin.deleteTopics(List.of(topic)).all().get()));
        // One that exists does not suffer from one that does not.
        admin.createTopics(List.of(new NewTopic(topic + ".there", 1, (short) 1))).all().get();
        Stage.until("the other is described", () -> {
            Map<String, KafkaFuture<TopicDescription>> both =
                admin.describeTopics(List.of(topic, topic + ".there")).topicNameValues();
            seen.put("describe of two", Stage.errorOf(() -> both.get(topic).get()));
            return both.get(topic + ".there").get().partitions().size() == 1;
        });
        try (var producer = stage.producer(Map.of("max.block.ms", 700))) {
            seen.put("produce beyond the partitions", Stage.errorOf(
                () -> producer.send(new ProducerRecord<>(topic + ".there", 5, null, Stage.bytes("v"))).get()));
        }
        // The Java producer asks for topics to be made that are not there; the brokers are set to do so.
        try (var producer = stage.producer(Map.of("max.block.ms", 20_000))) {
            seen.put("produce", Stage.errorOf(() -> producer.send(new ProducerRecord<>(topic, Stage.bytes("v"))).get()));
            seen.put("partitions for a producer", producer.partitionsFor(topic).size());
        }
    }

    static void cluster(Stage stage) throws Exception {
        stage.create(3);
        var described = stage.admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        var nodes = List.copyOf(described.nodes().get());
        var controller = described.controller().get();
        stage.result.put("has an id", !described.clusterId().get().isEmpty());
        stage.result.put("the controller is a node", nodes.contains(controller));
        stage.result.put("ids differ", nodes.stream().map(Node::id).distinct().count() == nodes.size());
        stage.result.put("leaders are nodes", stage.admin.describeTopics(stage.topics).allTopicNames().get().values().stream()
            .flatMap(t -> t.partitions().stream()).allMatch(p -> nodes.contains(p.leader())));
        stage.result.put("operations", Optional.ofNullable(described.authorizedOperations().get())
            .map(all -> all.stream().map(Object::toString).sorted().toList()).orElse(null));
        stage.raw.put("cluster_id", described.clusterId().get());
        stage.raw.put("controller", shown(controller));
        stage.raw.put("nodes", nodes.stream().map(Topics::shown).toList());
        Map<String, Object> leaders = new LinkedHashMap<>();
        try (var consumer = stage.consumer(Map.of())) {
            for (String topic : stage.topics) {
                List<Integer> ids = new ArrayList<>();
                consumer.partitionsFor(topic).forEach(p -> ids.add(p.leader().id()));
                leaders.put(stage.alias(topic), ids);
            }
        }
        stage.raw.put("leaders", leaders);
        brokers(stage, nodes);
    }

    /** Each broker is asked for its own configuration. */
    private static void brokers(Stage stage, List<Node> nodes) throws Exception {
        var resources = nodes.stream().map(n -> new ConfigResource(ConfigResource.Type.BROKER, n.idString())).toList();
        var configs = stage.admin.describeConfigs(resources).all().get();
        stage.result.put("brokers' max.connections", configs.values().stream()
            .map(c -> c.get("max.connections").value()).distinct().toList());
        stage.raw.put("configs", configs.values().stream().map(
            c -> List.of("" + valueOf(c, "node.id"), "" + valueOf(c, "advertised.listeners"))).toList());
        stage.result.put("configs of an unknown broker", Stage.errorOf(() -> stage.admin.describeConfigs(
            List.of(new ConfigResource(ConfigResource.Type.BROKER, "987654")),
            new org.apache.kafka.clients.admin.DescribeConfigsOptions().timeoutMs(3000)).all().get()));
    }

    private static String valueOf(Config config, String name) {
        return config.get(name) == null ? null : config.get(name).value();
    }

    static Map<String, Object> shown(Node node) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("id", node.id());
        shown.put("host", node.host());
        shown.put("port", node.port());
        return shown;
    }
}
