import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What one scenario is given: where Kafka is, its own topics and groups, clients, and the place for what it saw. */
final class Stage implements AutoCloseable {
    static final int DEADLINE_SECONDS = 100;
    /** What each step has. Generous: machines are busy. */
    private static final int SOON_SECONDS = 40;

    final String scenario;
    final String bootstrap;
    /** The two topics; through a proxy they live on two clusters. */
    final List<String> topics;
    /** The two groups; likewise. */
    final List<String> groups;
    final Map<String, Object> result = new LinkedHashMap<>();
    final Map<String, Object> raw = new LinkedHashMap<>();
    /** For the scenario `cut`. */
    final String cutFile;
    final Admin admin;

    Stage(String scenario, Map<String, String> options) {
        this.scenario = scenario;
        bootstrap = options.get("bootstrap");
        topics = named(options.get("topics"));
        groups = named(options.get("groups"));
        cutFile = options.get("cut");
        admin = Admin.create(common(Map.of("default.api.timeout.ms", 30_000, "request.timeout.ms", 20_000)));
    }

    private List<String> named(String list) {
        return Arrays.stream(list.split(",")).map(name -> name + "." + scenario).toList();
    }

    Map<String, Object> common(Map<String, Object> more) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("client.id", "scenario-" + scenario);
        config.putAll(more);
        return config;
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        return new KafkaProducer<>(common(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        config.put("allow.auto.create.topics", false);
        config.put("fetch.max.wait.ms", 100);
        config.put("heartbeat.interval.ms", 300);
        config.put("session.timeout.ms", 10_000);
        config.putAll(more);
        return new KafkaConsumer<>(common(config), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void create(int partitions, Map<String, String> config) throws Exception {
        admin.createTopics(topics.stream().map(t -> new NewTopic(t, partitions, (short) 1).configs(config)).toList())
            .all().get();
        // Until the leaders lead. Sooner, Kafka itself refuses a producer's first batch and may take the second, and the
        // Java client then sends the first until its delivery time is over.
        Map<TopicPartition, OffsetSpec> all = new LinkedHashMap<>();
        partitions(partitions).forEach(at -> all.put(at, OffsetSpec.latest()));
        until("topics have leaders", () -> admin.listOffsets(all).all().get() != null);
    }

    void create(int partitions) throws Exception {
        create(partitions, Map.of());
    }

    List<TopicPartition> partitions(int count) {
        List<TopicPartition> all = new ArrayList<>();
        for (String topic : topics) {
            for (int p = 0; p < count; p++) {
                all.add(new TopicPartition(topic, p));
            }
        }
        return all;
    }

    /** Sends `count` records to each partition, record i with the value `prefix-i`, and waits for their acknowledgement. */
    void fill(String prefix, int partitions, int count) throws Exception {
        try (var producer = producer(Map.of("linger.ms", 5))) {
            for (int i = 0; i < count; i++) {
                for (var at : partitions(partitions)) {
                    producer.send(new ProducerRecord<>(at.topic(), at.partition(), null, bytes(prefix + "-" + i)));
                }
            }
            producer.flush();
        }
    }

    /** Everything in these partitions from their beginning to their present end. */
    Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> readAll(Collection<TopicPartition> from) {
        try (var consumer = consumer(Map.of())) {
            consumer.assign(from);
            consumer.seekToBeginning(from);
            var ends = consumer.endOffsets(from);
            Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> seen = new LinkedHashMap<>();
            from.forEach(at -> seen.put(at, new ArrayList<>()));
            while (!ends.entrySet().stream().allMatch(e -> consumer.position(e.getKey()) >= e.getValue())) {
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    seen.get(new TopicPartition(record.topic(), record.partition())).add(record);
                }
            }
            return seen;
        }
    }

    /** `one/0` for partition 0 of the first topic: the same name whatever the topic is called in this run. */
    String alias(TopicPartition at) {
        return alias(at.topic()) + "/" + at.partition();
    }

    String alias(String topic) {
        int at = topics.indexOf(topic);
        return at < 0 ? topic : List.of("one", "two").get(at);
    }

    <V, R> Map<String, R> aliased(Map<TopicPartition, V> map, java.util.function.Function<V, R> shown) {
        Map<String, R> named = new TreeMap<>();
        map.forEach((at, value) -> named.put(alias(at), value == null ? null : shown.apply(value)));
        return named;
    }

    List<String> aliased(Collection<TopicPartition> set) {
        return set.stream().map(this::alias).sorted(Comparator.naturalOrder()).toList();
    }

    /** The name of the error that `call` ends with, `none` where it ends well. */
    static String errorOf(Callable<?> call) {
        try {
            call.call();
            return "none";
        } catch (Exception e) {
            return nameOf(e);
        }
    }

    static String nameOf(Throwable e) {
        return causeOf(e).getClass().getSimpleName();
    }

    static Throwable causeOf(Throwable e) {
        boolean wrapped = e instanceof ExecutionException || e instanceof CompletionException;
        return wrapped && e.getCause() != null ? causeOf(e.getCause()) : e;
    }

    /** Waits until something is so; an error of Kafka's counts as not yet. */
    static void until(String what, Callable<Boolean> so) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(SOON_SECONDS).toNanos();
        String last = "false";
        while (System.nanoTime() < end) {
            try {
                if (so.call()) {
                    return;
                }
            } catch (Exception e) {
                last = causeOf(e).toString();
            }
            Thread.sleep(20);
        }
        throw new AssertionError("not within " + SOON_SECONDS + " s: " + what + " (last: " + last + ")");
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(2));
    }
}
