import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * What clients ask less often: each with the error that it ends with. What Fishplate does not serve stands here, so that
 * the list of differences is the list of what it lacks.
 */
final class Others {
    private Others() {}

    static void play(Stage stage) throws Exception {
        stage.create(2);
        stage.fill("v", 1, 5);
        for (String topic : stage.topics) {
            var admin = stage.admin;
            var at = new TopicPartition(topic, 0);
            Asking ask = (what, call) -> stage.result.put(stage.alias(topic) + ", " + what, Stage.errorOf(call));
            ask.about("create partitions", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get());
            ask.about("alter configs", () -> admin.incrementalAlterConfigs(Map.of(resource(topic), retention())).all().get());
            ask.about("describe producers", () -> admin.describeProducers(List.of(at)).all().get());
            ask.about("delete records", () -> admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(2))).all().get());
            ask.about("elect leaders", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(at)).all().get());
            ask.about("list reassignments", () -> admin.listPartitionReassignments(Set.of(at)).reassignments().get());
        }
        for (int g = 0; g < stage.groups.size(); g++) {
            String name = "group " + (g + 1) + ", ";
            String group = stage.groups.get(g);
            var at = new TopicPartition(stage.topics.get(g), 0);
            Asking ask = (what, call) -> stage.result.put(name + what, Stage.errorOf(call));
            var offsets = Map.of(at, new OffsetAndMetadata(3));
            ask.about("alter offsets", () -> stage.admin.alterConsumerGroupOffsets(group, offsets).all().get());
            ask.about("delete offsets", () -> stage.admin.deleteConsumerGroupOffsets(group, Set.of(at)).all().get());
            ask.about("remove a member", () -> stage.admin.removeMembersFromConsumerGroup(group,
                new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("nobody")))).all().get());
            ask.about("consumer protocol", () -> nextProtocol(stage, group + "-next"));
        }
        Asking ask = (what, call) -> stage.result.put(what, Stage.errorOf(call));
        ask.about("describe log dirs", () -> stage.admin.describeLogDirs(List.of(
            stage.admin.describeCluster().controller().get().id())).allDescriptions().get());
        ask.about("describe acls", () -> stage.admin.describeAcls(AclBindingFilter.ANY).values().get());
        ask.about("describe quotas", () -> stage.admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
        var features = stage.admin.describeFeatures().featureMetadata().get().finalizedFeatures();
        stage.result.put("finalized features", features.keySet().stream().sorted().toList());
    }

    private interface Asking {
        void about(String what, Callable<?> call);
    }

    private static ConfigResource resource(String topic) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    private static Collection<AlterConfigOp> retention() {
        return List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "1000000"), AlterConfigOp.OpType.SET));
    }

    /** KIP-848. */
    private static Object nextProtocol(Stage stage, String group) {
        var config = new java.util.LinkedHashMap<String, Object>(stage.common(Map.of("group.id", group,
            "group.protocol", "consumer", "auto.offset.reset", "earliest",
            "key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer",
            "value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer")));
        try (var consumer = new org.apache.kafka.clients.consumer.KafkaConsumer<byte[], byte[]>(config)) {
            consumer.subscribe(stage.topics);
            long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
            while (consumer.poll(Duration.ofMillis(100)).isEmpty()) {
                if (System.nanoTime() > end) {
                    throw new AssertionError("nothing came and no error did");
                }
            }
            return null;
        }
    }
}
