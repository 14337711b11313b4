import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.common.utils.SecurityUtils;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * Asks Kafka's own authorizer. Lines come in, fields parted by tabs: `new` with super users begins a set of rules, `rule` adds one,
 * `ask` and `any` are questions, each of which is answered by a line: 1 for allowed, 0 for denied.
 */
public class Judge {
    record Asks(KafkaPrincipal principal, InetAddress clientAddress) implements AuthorizableRequestContext {
        @Override
        public String listenerName() {
            return "PLAINTEXT";
        }

        @Override
        public SecurityProtocol securityProtocol() {
            return SecurityProtocol.PLAINTEXT;
        }

        @Override
        public int requestType() {
            return 1;
        }

        @Override
        public int requestVersion() {
            return 1;
        }

        @Override
        public String clientId() {
            return "judge";
        }

        @Override
        public int correlationId() {
            return 1;
        }

        static Asks of(String principal, String host) throws IOException {
            return new Asks(SecurityUtils.parseKafkaPrincipal(principal), InetAddress.getByName(host));
        }
    }

    /** Kafka 4.1 and newer want to count (KIP-877); 3.9 has no such classes. */
    static void letItCount(StandardAuthorizer authorizer) throws IOException {
        try {
            Class<?> ofPlugins = Class.forName("org.apache.kafka.common.metrics.PluginMetrics");
            Class<?> made = Class.forName("org.apache.kafka.common.metrics.internals.PluginMetricsImpl");
            Object metrics = made.getConstructor(Metrics.class, Map.class).newInstance(new Metrics(), Map.of());
            StandardAuthorizer.class.getMethod("withPluginMetrics", ofPlugins).invoke(authorizer, metrics);
        } catch (ClassNotFoundException old) {
            return;
        } catch (ReflectiveOperationException another) {
            throw new IOException(another);
        }
    }

    static StandardAuthorizer begin(String superUsers) throws IOException {
        StandardAuthorizer authorizer = new StandardAuthorizer();
        letItCount(authorizer);
        authorizer.configure(Map.of("super.users", superUsers));
        authorizer.completeInitialLoad();
        return authorizer;
    }

    static StandardAcl rule(String[] line) {
        return new StandardAcl(
            ResourceType.valueOf(line[1]), line[3], PatternType.valueOf(line[2]), line[4], line[5],
            AclOperation.valueOf(line[6]), AclPermissionType.valueOf(line[7]));
    }

    static AuthorizationResult ask(StandardAuthorizer authorizer, String[] line) throws IOException {
        ResourcePattern resource = new ResourcePattern(ResourceType.valueOf(line[4]), line[5], PatternType.LITERAL);
        Action action = new Action(AclOperation.valueOf(line[3]), resource, 1, false, false);
        return authorizer.authorize(Asks.of(line[1], line[2]), List.of(action)).get(0);
    }

    static AuthorizationResult any(StandardAuthorizer authorizer, String[] line) throws IOException {
        AclOperation operation = AclOperation.valueOf(line[3]);
        return authorizer.authorizeByResourceType(Asks.of(line[1], line[2]), operation, ResourceType.valueOf(line[4]));
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder answers = new StringBuilder();
        StandardAuthorizer authorizer = begin("");
        for (String text = lines.readLine(); text != null; text = lines.readLine()) {
            String[] line = text.split("\t", -1);
            switch (line[0]) {
                case "new" -> authorizer = begin(line[1]);
                case "rule" -> authorizer.addAcl(Uuid.randomUuid(), rule(line));
                case "ask" -> answers.append(ask(authorizer, line) == AuthorizationResult.ALLOWED ? "1\n" : "0\n");
                case "any" -> answers.append(any(authorizer, line) == AuthorizationResult.ALLOWED ? "1\n" : "0\n");
                default -> throw new IOException("no line: " + text);
            }
        }
        System.out.print(answers);
    }
}
