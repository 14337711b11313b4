import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Logs in and writes records: Login BOOTSTRAP MECHANISM USER PASSWORD TOPIC SECONDS; see ../python/login.py. */
public final class Login {
    public static void main(String[] args) throws Exception {
        String module = args[1].equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("security.protocol", "SASL_PLAINTEXT");
        properties.put("sasl.mechanism", args[1]);
        properties.put("sasl.jaas.config", "org.apache.kafka.common.security." + module + " required username=\"" + args[2] + "\" password=\"" + args[3] + "\";");
        properties.put("max.block.ms", "20000");
        properties.put("key.serializer", StringSerializer.class);
        properties.put("value.serializer", StringSerializer.class);
        AtomicLong done = new AtomicLong();
        AtomicReference<Exception> wrong = new AtomicReference<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
            long end = System.nanoTime() + (long) (Double.parseDouble(args[5]) * 1e9);
            do {
                producer.send(new ProducerRecord<>(args[4], "x"), (metadata, error) -> {
                    if (error == null) done.incrementAndGet();
                    else wrong.compareAndSet(null, error);
                });
                Thread.sleep(10);
            } while (System.nanoTime() < end);
        }
        System.out.println(done);
        if (wrong.get() != null) {
            System.err.println(wrong.get());
            System.exit(1);
        }
    }
}
