import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** A producer and a group at work while all connections are cut, once. */
final class Cut {
    private static final int PARTITIONS = 2;
    private static final int RECORDS = 20;
    private static final int HALF = RECORDS * 2 * PARTITIONS;

    private Cut() {}

    static void play(Stage stage) throws Exception {
        stage.create(PARTITIONS);
        Map<String, Object> config = Map.of("group.id", stage.groups.get(1), "partition.assignment.strategy", RangeAssignor.class.getName());
        var read = new TreeMap<String, Integer>();
        try (var member = new Groups.Member(stage, config, read); var producer = stage.producer(Map.of("linger.ms", 2))) {
            Stage.until("the member has all", () -> member.poll().size() == 2 * PARTITIONS);
            var sent = send(stage, producer, 0);
            Stage.until("the first half is read", () -> member.poll() != null && read.size() == HALF);
            member.consumer.commitSync();
            var cut = CompletableFuture.runAsync(() -> haveItCut(stage.cutFile));
            var more = CompletableFuture.supplyAsync(() -> send(stage, producer, 1));
            Stage.until("all is read by the group", () -> member.poll() != null && read.size() == 2 * HALF);
            cut.get();
            sent.addAll(more.get());
            var errors = new ArrayList<String>();
            for (var one : sent) {
                String error = Stage.errorOf(one::get);
                if (!error.equals("none")) {
                    errors.add(error);
                }
            }
            stage.result.put("not acknowledged", errors);
            stage.result.put("read by the group", read.size());
            stage.result.put("assigned", stage.aliased(member.assigned()));
        }
        Map<String, Object> order = new LinkedHashMap<>();
        for (var entry : stage.readAll(stage.partitions(PARTITIONS)).entrySet()) {
            var values = entry.getValue().stream().map(record -> Stage.text(record.value())).toList();
            order.put(stage.alias(entry.getKey()), values.equals(wanted()) ? "all, once, in order" : values);
        }
        stage.result.put("read", order);
    }

    private static List<String> wanted() {
        var all = new ArrayList<String>();
        for (int i = 0; i < 2 * RECORDS; i++) {
            all.add(i / RECORDS + "-" + i % RECORDS);
        }
        return all;
    }

    private static List<Future<?>> send(Stage stage, KafkaProducer<byte[], byte[]> producer, int part) {
        List<Future<?>> sent = new ArrayList<>();
        for (int i = 0; i < RECORDS; i++) {
            for (TopicPartition at : stage.partitions(PARTITIONS)) {
                sent.add(producer.send(new ProducerRecord<>(at.topic(), at.partition(), null, Stage.bytes(part + "-" + i))));
                pause(10);
            }
        }
        return sent;
    }

    /** The trial cuts when it sees the file, and takes it away when it has. */
    static void haveItCut(String file) {
        pause(200);
        if (file == null) {
            return;
        }
        try {
            Files.createFile(Path.of(file));
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        while (Files.exists(Path.of(file))) {
            pause(10);
        }
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
