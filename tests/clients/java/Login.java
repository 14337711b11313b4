import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerTokenCallback;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Logs in and writes records: Login BOOTSTRAP MECHANISM USER PASSWORD TOPICS SECONDS; see ../python/login.py. */
public final class Login {
    private static final String SECURITY = "org.apache.kafka.common.security.";
    private static final AtomicReference<Throwable> wrong = new AtomicReference<>();

    public static void main(String[] args) throws Exception {
        Properties properties = how(args);
        List<String> topics = Arrays.asList(args[4].split(","));
        String producer = given("LOGIN_PRODUCER", "1");
        int perTick = Math.max(1, Integer.parseInt(given("LOGIN_RATE", "100")) / 100);
        AtomicLong done = new AtomicLong();
        AtomicLong sent = new AtomicLong(-1);
        Thread reading = new Thread(() -> read(properties, topics, sent));
        if (System.getenv("LOGIN_GROUP") != null) {
            reading.start();
        }
        try (KafkaProducer<String, String> writer = new KafkaProducer<>(properties)) {
            long end = System.nanoTime() + (long) (Double.parseDouble(args[5]) * 1e9), tick = System.nanoTime();
            long number = 0;
            do {
                for (int of = 0; of < perTick; of++, number++) {
                    String topic = topics.get((int) (number % topics.size()));
                    writer.send(new ProducerRecord<>(topic, 0, null, producer + "/" + number), (metadata, error) -> {
                        if (error == null) done.incrementAndGet();
                        else wrong.compareAndSet(null, error);
                    });
                }
                tick += 10_000_000;
                Thread.sleep(Math.max(0, (tick - System.nanoTime()) / 1_000_000));
            } while (System.nanoTime() < end && wrong.get() == null);
            if (wrong.get() == null) {
                writer.flush();
            }
            sent.set(number);
            if (wrong.get() != null) {
                writer.close(Duration.ZERO);
            }
        } catch (Exception error) {
            wrong.compareAndSet(null, error);
        }
        if (wrong.get() == null) {
            reading.join();
        }
        System.out.println(done);
        if (wrong.get() != null) {
            for (Throwable one = wrong.get(); one != null; one = one.getCause()) {
                System.err.println(one);
            }
            System.exit(1);
        }
        System.exit(0);
    }

    private static Properties how(String[] args) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("security.protocol", protocol(args[1]));
        if (!args[1].equals("NONE")) {
            properties.put("sasl.mechanism", args[1]);
            properties.put("sasl.jaas.config", jaas(args[1], args[2], args[3]));
        }
        if (args[1].equals("OAUTHBEARER") && args[3].startsWith("file:")) {
            System.setProperty("org.apache.kafka.sasl.oauthbearer.allowed.urls", args[3]);
            properties.put("sasl.login.callback.handler.class", SECURITY + "oauthbearer.OAuthBearerLoginCallbackHandler");
            properties.put("sasl.oauthbearer.token.endpoint.url", args[3]);
        } else if (args[1].equals("OAUTHBEARER")) {
            Tokens.file = Path.of(args[3]);
            properties.put("sasl.login.callback.handler.class", Tokens.class.getName());
        }
        if (System.getenv("LOGIN_CA") != null) {
            properties.put("ssl.truststore.type", "PEM");
            properties.put("ssl.truststore.location", System.getenv("LOGIN_CA"));
        }
        if (System.getenv("LOGIN_PEM") != null) {
            properties.put("ssl.keystore.type", "PEM");
            properties.put("ssl.keystore.location", System.getenv("LOGIN_PEM"));
        }
        // On two cores that many share, a first connection over TLS with a login takes seconds.
        properties.put("max.block.ms", "25000");
        properties.put("key.serializer", StringSerializer.class);
        properties.put("value.serializer", StringSerializer.class);
        properties.put("key.deserializer", StringDeserializer.class);
        properties.put("value.deserializer", StringDeserializer.class);
        properties.put("auto.offset.reset", "earliest");
        properties.put("group.id", given("LOGIN_GROUP", "none"));
        return properties;
    }

    private static String protocol(String mechanism) {
        boolean tls = System.getenv("LOGIN_CA") != null;
        return mechanism.equals("NONE") ? (tls ? "SSL" : "PLAINTEXT") : (tls ? "SASL_SSL" : "SASL_PLAINTEXT");
    }

    private static String jaas(String mechanism, String user, String password) {
        String who = " required username=\"" + user + "\" password=\"" + password + "\";";
        return switch (mechanism) {
            case "PLAIN" -> SECURITY + "plain.PlainLoginModule" + who;
            case "OAUTHBEARER" -> SECURITY + "oauthbearer.OAuthBearerLoginModule required;";
            default -> SECURITY + "scram.ScramLoginModule" + who;
        };
    }

    private static String given(String name, String or) {
        String value = System.getenv(name);
        return value == null ? or : value;
    }

    /** Until all that was sent has come, in order and once. */
    private static void read(Properties properties, List<String> topics, AtomicLong sent) {
        Map<String, Long> last = new HashMap<>();
        long count = 0;
        try (KafkaConsumer<String, String> reader = new KafkaConsumer<>(properties)) {
            reader.subscribe(topics);
            while (wrong.get() == null && count != sent.get()) {
                for (ConsumerRecord<String, String> record : reader.poll(Duration.ofMillis(100))) {
                    long number = Long.parseLong(record.value().split("/")[1]);
                    long before = last.getOrDefault(record.topic(), -1L);
                    if (number <= before) {
                        throw new IllegalStateException(record.topic() + ": " + number + " came behind " + before);
                    }
                    last.put(record.topic(), number);
                    count++;
                }
            }
        } catch (Exception error) {
            wrong.compareAndSet(null, error);
        }
    }

    /** A token out of a file, which is read for each login. Whether it is a good one is the server's to say. */
    public static final class Tokens implements AuthenticateCallbackHandler {
        private static Path file;

        @Override
        public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) { }

        @Override
        public void close() { }

        @Override
        public void handle(Callback[] callbacks) throws java.io.IOException {
            for (Callback callback : callbacks) {
                if (callback instanceof OAuthBearerTokenCallback asked) {
                    asked.token(new Token(Files.readString(file).trim()));
                }
            }
        }
    }

    private record Token(String value) implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }

        /** A client would not show one that it knows to be over. */
        @Override
        public long lifetimeMs() {
            String claims = new String(Base64.getUrlDecoder().decode(value.split("\\.")[1]));
            Matcher expiry = Pattern.compile("\"exp\":(\\d+)").matcher(claims);
            long now = System.currentTimeMillis();
            long until = expiry.find() ? Long.parseLong(expiry.group(1)) * 1000 : now;
            return until > now ? until : now + 60_000;
        }

        @Override
        public String principalName() {
            return "alice";
        }

        @Override
        public Long startTimeMs() {
            return null;
        }
    }
}
