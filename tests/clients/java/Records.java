import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Scenarios about records: what is produced is what is read. */
final class Records {
    private Records() {}

    static void codecs(Stage stage) throws Exception {
        stage.create(1);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            List<Long> acknowledged = new ArrayList<>();
            try (var producer = stage.producer(Map.of("compression.type", codec, "linger.ms", 200))) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int i = 0; i < 10; i++) {
                    for (var at : stage.partitions(1)) {
                        byte[] value = Stage.bytes(codec + "-" + i + "-" + "x".repeat(50));
                        sent.add(producer.send(new ProducerRecord<>(at.topic(), 0, null, value)));
                    }
                }
                producer.flush();
                for (var future : sent) {
                    acknowledged.add(future.get().offset());
                }
            }
            stage.result.put(codec, acknowledged);
        }
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(1)), Records::offsetsAndValues));
    }

    static List<String> offsetsAndValues(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(r -> r.offset() + "=" + Stage.text(r.value())).toList();
    }

    static void headers(Stage stage) throws Exception {
        stage.create(1);
        List<List<Header>> sets = List.of(
            List.of(),
            List.of(header("k", "1"), header("other", "x"), header("k", "2"), header("k", "1")),
            List.of(header("null", null), header("empty", ""), header("", "empty key"), header("", null)),
            List.of(header("Ключ-鍵-🔑", "значение"), header("long", "v".repeat(300))));
        try (var producer = stage.producer(Map.of())) {
            for (String topic : stage.topics) {
                for (var set : sets) {
                    producer.send(new ProducerRecord<>(topic, 0, 1_600_000_000_000L, Stage.bytes("key"),
                        Stage.bytes("value"), set)).get();
                }
                for (String key : new String[] {null, "", "key"}) {
                    for (String value : new String[] {null, "", "value"}) {
                        producer.send(new ProducerRecord<>(topic, 0, Stage.bytes(key), Stage.bytes(value))).get();
                    }
                }
            }
        }
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(1)),
            records -> records.stream().map(Records::whole).toList()));
    }

    private static Header header(String key, String value) {
        return new RecordHeader(key, Stage.bytes(value));
    }

    private static Map<String, Object> whole(ConsumerRecord<byte[], byte[]> record) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("offset", record.offset());
        shown.put("key", Stage.text(record.key()));
        shown.put("value", Stage.text(record.value()));
        List<List<String>> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            List<String> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(Stage.text(header.value()));
            headers.add(pair);
        }
        shown.put("headers", headers);
        shown.put("timestamp_type", record.timestampType().toString());
        return shown;
    }

    static void acks(Stage stage) throws Exception {
        stage.create(1);
        for (String acks : List.of("0", "1", "all")) {
            List<String> offsets = new ArrayList<>();
            try (var producer = stage.producer(Map.of("acks", acks, "enable.idempotence", false, "linger.ms", 0))) {
                for (int i = 0; i < 20; i++) {
                    for (String topic : stage.topics) {
                        byte[] value = Stage.bytes(acks + "-" + i);
                        var where = producer.send(new ProducerRecord<>(topic, 0, null, value)).get();
                        offsets.add(stage.alias(topic) + "@" + (where.hasOffset() ? where.offset() : "none"));
                    }
                }
            }
            stage.result.put(acks, offsets);
            int upTo = 20 * stage.result.size();
            // Nobody says when a record without acknowledgement is there.
            Stage.until("all are there", () -> stage.admin
                .listOffsets(Map.of(new TopicPartition(stage.topics.get(0), 0), latest(),
                    new TopicPartition(stage.topics.get(1), 0), latest())).all().get()
                .values().stream().allMatch(o -> o.offset() == upTo));
        }
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(1)), Records::offsetsAndValues));
    }

    private static org.apache.kafka.clients.admin.OffsetSpec latest() {
        return org.apache.kafka.clients.admin.OffsetSpec.latest();
    }

    static void idempotent(Stage stage) throws Exception {
        int count = 2000;
        stage.create(4);
        Map<String, Object> config = Map.of("acks", "all", "enable.idempotence", true, "linger.ms", 1, "batch.size", 500,
            "max.in.flight.requests.per.connection", 5);
        List<String> errors = new ArrayList<>();
        try (var producer = stage.producer(config)) {
            for (int i = 0; i < count; i++) {
                for (var at : stage.partitions(4)) {
                    producer.send(new ProducerRecord<>(at.topic(), at.partition(), null, Stage.bytes("" + i)), (where, e) -> {
                        if (e != null || !where.hasOffset()) {
                            errors.add(e == null ? "no offset" : Stage.nameOf(e));
                        }
                    });
                }
            }
            producer.flush();
        }
        stage.result.put("errors", errors);
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(4)), Records::sequence));
    }

    /** Whether the values are 0, 1, 2, ... at offsets 0, 1, 2, ...; else the first place where they are not. */
    private static String sequence(List<ConsumerRecord<byte[], byte[]>> records) {
        for (int i = 0; i < records.size(); i++) {
            var record = records.get(i);
            if (record.offset() != i || !Stage.text(record.value()).equals("" + i)) {
                return "record " + i + " is " + Stage.text(record.value()) + " at offset " + record.offset();
            }
        }
        return records.size() + " in order";
    }

    static void large(Stage stage) throws Exception {
        stage.create(1);
        var random = new Random(1);
        byte[] value = new byte[900_000];
        List<Long> offsets = new ArrayList<>();
        try (var producer = stage.producer(Map.of("buffer.memory", 10_000_000, "batch.size", 2_000_000))) {
            for (int i = 0; i < 4; i++) {
                for (String topic : stage.topics) {
                    random.nextBytes(value);
                    offsets.add(producer.send(new ProducerRecord<>(topic, 0, null, value.clone())).get().offset());
                }
            }
            stage.result.put("too large", Stage.errorOf(
                () -> producer.send(new ProducerRecord<>(stage.topics.get(0), 0, null, new byte[1_048_600])).get()));
            // Above the topic's limit but not above the client's own.
            try (var bold = stage.producer(Map.of("max.request.size", 3_000_000))) {
                for (String topic : stage.topics) {
                    stage.result.put("refused by " + stage.alias(topic), Stage.errorOf(
                        () -> bold.send(new ProducerRecord<>(topic, 0, null, new byte[2_000_000])).get()));
                }
            }
        }
        stage.result.put("offsets", offsets);
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(1)),
            records -> records.stream().map(r -> r.offset() + ": " + r.value().length + " " + checksum(r.value())).toList()));
    }

    private static String checksum(byte[] value) {
        var crc = new CRC32();
        crc.update(value);
        return Long.toHexString(crc.getValue());
    }

    static void manyPartitions(Stage stage) throws Exception {
        int count = 50;
        stage.create(count);
        stage.fill("v", count, 3);
        Map<String, Integer> partitions = new TreeMap<>();
        try (var consumer = stage.consumer(Map.of())) {
            for (String topic : stage.topics) {
                partitions.put(stage.alias(topic), consumer.partitionsFor(topic).size());
            }
        }
        stage.result.put("partitions", partitions);
        stage.result.put("read", stage.aliased(stage.readAll(stage.partitions(count)), Records::offsetsAndValues));
    }
}
