import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

/** What an operator does with an admin client: each change, what it answers, and what is there afterwards. */
final class Operate {
    private Operate() {}

    static void play(Stage stage) throws Exception {
        stage.create(3);
        stage.fill("v", 3, 5);
        for (String topic : stage.topics) {
            Map<String, Object> seen = new LinkedHashMap<>();
            stage.result.put(stage.alias(topic), seen);
            partitions(stage, topic, seen);
            configs(stage, topic, seen);
            records(stage, topic, seen);
            replicas(stage, topic, seen);
            acls(stage, topic, seen);
            quotas(stage, topic, seen);
            users(stage, topic, seen);
        }
        for (int g = 0; g < stage.groups.size(); g++) {
            Map<String, Object> seen = new LinkedHashMap<>();
            stage.result.put("group " + (g + 1), seen);
            offsets(stage, stage.groups.get(g), seen);
        }
        brokers(stage);
        directories(stage);
    }

    /** What is told by the first broker that has heard: they hear of a change one after another, and any may be asked. */
    private static <T> T once(String what, Callable<T> call, java.util.function.Predicate<T> heard) throws Exception {
        List<T> last = new ArrayList<>();
        Stage.until(what, () -> {
            last.clear();
            last.add(call.call());
            return heard.test(last.get(0));
        });
        return last.get(0);
    }

    private static void ask(Map<String, Object> seen, String what, Callable<?> call) {
        seen.put(what, Stage.errorOf(call));
    }

    private static void partitions(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        Map<String, NewPartitions> wanted = new LinkedHashMap<>();
        wanted.put("as many", NewPartitions.increaseTo(3));
        wanted.put("fewer", NewPartitions.increaseTo(1));
        wanted.put("on an unknown broker", NewPartitions.increaseTo(4, List.of(List.of(987_654))));
        wanted.put("two places for one", NewPartitions.increaseTo(4, List.of(places(stage, topic), places(stage, topic))));
        wanted.forEach((what, count) -> ask(seen, "grow, " + what, () -> admin.createPartitions(Map.of(topic, count)).all().get()));
        ask(seen, "grow, no such topic", () -> admin.createPartitions(Map.of(topic + ".x", NewPartitions.increaseTo(2))).all().get());
        ask(seen, "grow, validate", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4)),
            new CreatePartitionsOptions().validateOnly(true)).all().get());
        seen.put("partitions before", described(stage, topic).size());
        ask(seen, "grow", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get());
        Stage.until("the topic has grown", () -> described(stage, topic).size() == 4);
        ask(seen, "grow on a node", () -> admin.createPartitions(
            Map.of(topic, NewPartitions.increaseTo(5, List.of(places(stage, topic))))).all().get());
        Stage.until("the topic has grown again", () -> described(stage, topic).size() == 5);
    }

    private static List<Integer> places(Stage stage, String topic) throws Exception {
        return List.of(described(stage, topic).get(0).leader().id());
    }

    private static List<TopicPartitionInfo> described(Stage stage, String topic) throws Exception {
        return stage.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
    }

    private static void configs(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var at = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var nowhere = new ConfigResource(ConfigResource.Type.TOPIC, topic + ".x");
        ask(seen, "config, set", () -> alter(stage, at, AlterConfigOp.OpType.SET, "max.message.bytes", "123456", false));
        ask(seen, "config, append", () -> alter(stage, at, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact", false));
        ask(seen, "config, validate", () -> alter(stage, at, AlterConfigOp.OpType.SET, "retention.ms", "7", true));
        ask(seen, "config, wrong value", () -> alter(stage, at, AlterConfigOp.OpType.SET, "retention.ms", "soon", false));
        ask(seen, "config, unknown", () -> alter(stage, at, AlterConfigOp.OpType.SET, "no.such.config", "1", false));
        ask(seen, "config, no such topic", () -> alter(stage, nowhere, AlterConfigOp.OpType.SET, "retention.ms", "7", false));
        seen.put("config, told", once("a broker tells them", () -> told(stage, at), told -> told.contains("compact") && told.contains("123456")));
        ask(seen, "config, delete", () -> alter(stage, at, AlterConfigOp.OpType.DELETE, "cleanup.policy", "", false));
        Stage.until("any broker tells that", () -> told(stage, at).equals("max.message.bytes=123456"));
    }

    private static Void alter(Stage stage, ConfigResource at, AlterConfigOp.OpType how, String name, String value, boolean validate)
        throws Exception {
        Collection<AlterConfigOp> change = List.of(new AlterConfigOp(new ConfigEntry(name, value), how));
        return stage.admin.incrementalAlterConfigs(Map.of(at, change), new AlterConfigsOptions().validateOnly(validate)).all().get();
    }

    private static String told(Stage stage, ConfigResource at) throws Exception {
        var set = new TreeSet<String>();
        for (ConfigEntry entry : stage.admin.describeConfigs(List.of(at)).all().get().get(at).entries()) {
            if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                set.add(entry.name() + "=" + entry.value());
            }
        }
        return String.join(", ", set);
    }

    private static void records(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        var at = new TopicPartition(topic, 0);
        seen.put("delete records, from", admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(3))).lowWatermarks().get(at).get().lowWatermark());
        seen.put("earliest", admin.listOffsets(Map.of(at, OffsetSpec.earliest())).all().get().get(at).offset());
        ask(seen, "delete records, beyond the end", () -> admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(99))).all().get());
        seen.put("delete all records, from", admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(at).get().lowWatermark());
        var producers = admin.describeProducers(List.of(at)).partitionResult(at).get().activeProducers();
        seen.put("producers", producers.size());
        seen.put("last sequences", producers.stream().map(producer -> producer.lastSequence()).toList());
    }

    private static void replicas(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        var at = new TopicPartition(topic, 0);
        ask(seen, "elect, preferred", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(at)).all().get());
        ask(seen, "elect, unclean", () -> admin.electLeaders(ElectionType.UNCLEAN, Set.of(at)).all().get());
        ask(seen, "elect, no such partition", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition(topic, 99))).all().get());
        ask(seen, "reassign, cancel", () -> admin.alterPartitionReassignments(Map.of(at, Optional.empty())).all().get());
        ask(seen, "reassign, unknown broker", () -> move(stage, at, 987_654));
        ask(seen, "reassign, no such partition", () -> move(stage, new TopicPartition(topic, 99), places(stage, topic).get(0)));
        // To where another partition is: a broker of the same cluster.
        Node target = described(stage, topic).get(1).leader();
        ask(seen, "reassign", () -> move(stage, at, target.id()));
        Stage.until("it has moved", () -> described(stage, topic).get(0).replicas().equals(List.of(target)));
        Stage.until("nothing moves", () -> admin.listPartitionReassignments(Set.of(at)).reassignments().get().isEmpty());
        ask(seen, "reassignments, all", () -> admin.listPartitionReassignments().reassignments().get());
    }

    private static Void move(Stage stage, TopicPartition at, int node) throws Exception {
        return stage.admin.alterPartitionReassignments(Map.of(at, Optional.of(new NewPartitionReassignment(List.of(node))))).all().get();
    }

    private static void acls(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        String user = "User:" + topic;
        List<AclBinding> wanted = new ArrayList<>();
        wanted.add(acl(ResourceType.TOPIC, topic, PatternType.LITERAL, user));
        wanted.add(acl(ResourceType.TOPIC, topic, PatternType.PREFIXED, user));
        wanted.add(acl(ResourceType.GROUP, topic, PatternType.LITERAL, user));
        wanted.add(acl(ResourceType.CLUSTER, "kafka-cluster", PatternType.LITERAL, user));
        ask(seen, "acls, create", () -> admin.createAcls(wanted).all().get());
        ask(seen, "acls, create a wrong one", () -> admin.createAcls(List.of(acl(ResourceType.CLUSTER, "other", PatternType.LITERAL, user))).all().get());
        var all = new AclBindingFilter(ResourcePatternFilter.ANY, new AccessControlEntryFilter(user, null, AclOperation.ANY, AclPermissionType.ANY));
        seen.put("acls", shown(stage, topic, once("a broker has heard of them", () -> admin.describeAcls(all).values().get(),
            found -> found.size() == wanted.size())));
        var one = new AclBindingFilter(new ResourcePatternFilter(ResourceType.TOPIC, topic, PatternType.MATCH), all.entryFilter());
        seen.put("acls of the topic", shown(stage, topic, once("a broker has heard of both", () -> admin.describeAcls(one).values().get(),
            found -> found.size() == 2)));
        seen.put("acls deleted", shown(stage, topic, admin.deleteAcls(List.of(all)).all().get()));
        Stage.until("brokers have forgotten them", () -> admin.describeAcls(all).values().get().isEmpty());
        seen.put("acls deleted again", admin.deleteAcls(List.of(all)).all().get().size());
    }

    private static AclBinding acl(ResourceType kind, String name, PatternType pattern, String user) {
        return new AclBinding(new ResourcePattern(kind, name, pattern),
            new AccessControlEntry(user, "*", AclOperation.DESCRIBE, AclPermissionType.DENY));
    }

    private static List<String> shown(Stage stage, String topic, Collection<AclBinding> acls) {
        return acls.stream().map(acl -> acl.toString().replace(topic, stage.alias(topic))).sorted().toList();
    }

    private static void quotas(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, topic));
        var filter = ClientQuotaFilter.containsOnly(List.of(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, topic)));
        ask(seen, "quota, set", () -> quota(stage, entity, "consumer_byte_rate", 1e9));
        ask(seen, "quota, unknown", () -> quota(stage, entity, "no_such_rate", 1.0));
        seen.put("quota", once("a broker has heard of it", () -> stage.admin.describeClientQuotas(filter).entities().get(),
            found -> !found.isEmpty()).get(entity).toString());
        ask(seen, "quota, remove", () -> quota(stage, entity, "consumer_byte_rate", null));
        Stage.until("brokers have forgotten it", () -> stage.admin.describeClientQuotas(filter).entities().get().isEmpty());
    }

    private static Void quota(Stage stage, ClientQuotaEntity entity, String key, Double value) throws Exception {
        return stage.admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op(key, value))))).all().get();
    }

    private static void users(Stage stage, String topic, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        var mechanism = ScramMechanism.SCRAM_SHA_256;
        ask(seen, "user, unknown", () -> admin.describeUserScramCredentials(List.of(topic)).description(topic).get());
        ask(seen, "user, delete an unknown one", () -> admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(topic, mechanism))).all().get());
        ask(seen, "user, make", () -> admin.alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion(topic, new ScramCredentialInfo(mechanism, 4096), "secret"))).all().get());
        seen.put("user", once("a broker knows the user", () -> admin.describeUserScramCredentials(List.of(topic)).description(topic).get(),
            found -> true).credentialInfos().toString());
        ask(seen, "user, delete", () -> admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(topic, mechanism))).all().get());
        Stage.until("brokers have forgotten the user", () -> !admin.describeUserScramCredentials().users().get().contains(topic));
    }

    private static void offsets(Stage stage, String group, Map<String, Object> seen) throws Exception {
        var admin = stage.admin;
        Map<TopicPartition, OffsetAndMetadata> all = new LinkedHashMap<>();
        stage.topics.forEach(topic -> all.put(new TopicPartition(topic, 1), new OffsetAndMetadata(2)));
        ask(seen, "commit", () -> admin.alterConsumerGroupOffsets(group, all).all().get());
        for (String topic : stage.topics) {
            // The one that was committed, and one that was not.
            Set<TopicPartition> two = Set.of(new TopicPartition(topic, 1), new TopicPartition(topic, 2));
            ask(seen, stage.alias(topic) + ", delete offsets", () -> admin.deleteConsumerGroupOffsets(group, two).all().get());
            seen.put(stage.alias(topic) + ", left", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size());
        }
        ask(seen, "delete offsets, no such group", () -> admin.deleteConsumerGroupOffsets(group + ".x",
            Set.of(new TopicPartition(stage.topics.get(0), 1))).all().get());
    }

    /** Nothing is changed: the brokers serve other scenarios too. */
    private static void brokers(Stage stage) throws Exception {
        int id = stage.admin.describeCluster().controller().get().id();
        Map<String, Object> seen = new TreeMap<>();
        for (var named : Map.of("default", "", "one", "" + id).entrySet()) {
            var at = new ConfigResource(ConfigResource.Type.BROKER, named.getValue());
            ask(seen, named.getKey(), () -> alter(stage, at, AlterConfigOp.OpType.SET, "log.cleaner.threads", "1", true));
        }
        stage.result.put("broker configs", seen);
    }

    private static void directories(Stage stage) throws Exception {
        List<Integer> nodes = stage.admin.describeCluster().nodes().get().stream().map(Node::id).toList();
        var found = new TreeSet<String>();
        for (var of : stage.admin.describeLogDirs(nodes).allDescriptions().get().values()) {
            of.values().forEach(directory -> directory.replicaInfos().keySet().stream()
                .filter(at -> stage.topics.contains(at.topic())).map(stage::alias).forEach(found::add));
        }
        stage.result.put("partitions in directories", found);
    }
}
