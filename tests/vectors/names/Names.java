import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import javax.security.auth.x500.X500Principal;
import org.apache.kafka.common.security.ssl.SslPrincipalMapper;

/** What Java prints of names, and what Kafka makes of them. `make.sh` runs it; a line of its output is a pair in hexadecimal. */
public class Names {
    private static final Random RANDOM = new Random(7);
    private static final HexFormat HEX = HexFormat.of();
    /** CN, C, L, ST, STREET, O, OU, DC, UID; then email, serial number, title, given name, and one that nobody knows. */
    private static final int[][] TYPES = {
        {2, 5, 4, 3}, {2, 5, 4, 6}, {2, 5, 4, 7}, {2, 5, 4, 8}, {2, 5, 4, 9}, {2, 5, 4, 10}, {2, 5, 4, 11},
        {0, 9, 2342, 19200300, 100, 1, 25}, {0, 9, 2342, 19200300, 100, 1, 1}, {1, 2, 840, 113549, 1, 9, 1}, {2, 5, 4, 5},
        {2, 5, 4, 12}, {2, 5, 4, 42}, {2, 999, 1234567890, 0, 1},
    };
    /** UTF8, Printable, T61, IA5, General; then Universal, Numeric, Visible, which have no text in RFC 2253 for Java. */
    private static final int[] TAGS = {0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1c, 0x12, 0x1a};
    private static final String[] CHARACTERS = {
        "a", "B", "7", " ", " ", ",", "=", "+", "<", ">", "#", ";", "\"", "\\", "/", "'", "-", "\r", "\n", "\t", "\0", "é", "ß", "λ", "語", "😀", "*", "@",
    };
    private static final String[] RULES = {
        "DEFAULT", "RULE:^CN=(.*?),.*$/$1/L,DEFAULT", "RULE:^CN=(.*?),OU=(.*?)(,.*)?$/$1@$2/U", "RULE:.*/x$0/", "RULE:^.*$/all/",
        "RULE:a|ab|.*/x/", "RULE:(.)(.*)/$12-$2/", "RULE:(.)(.*)/$3$1/", "RULE:^[Cc][Nn]=([a-zA-Z0-9. @-]*).*$/$1/L, RULE:(.*)O=(\\w+)(.*)/$2/",
        "RULE:^(?:.*,)?OU=([^,+]+).*$/ou-$1/, RULE:^(.*)$/\\$$1\\//", "RULE:[^,]*/<$0>/U", "RULE:.*(\\d+).*/$1/", "RULE:(?<n>.*?)=.*/${n}/", "RULE:(a)?.*/[$1]/",
    };

    private static byte[] element(int tag, byte[] content) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(tag);
        if (content.length < 0x80) {
            out.write(content.length);
        } else {
            out.write(0x82);
            out.write(content.length >> 8);
            out.write(content.length);
        }
        out.writeBytes(content);
        return out.toByteArray();
    }

    private static byte[] oid(int[] arcs) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int place = 1; place < arcs.length; place++) {
            long arc = place == 1 ? arcs[0] * 40L + arcs[1] : arcs[place];
            List<Integer> digits = new ArrayList<>();
            do {
                digits.add(0, (int) (arc & 0x7f));
                arc >>= 7;
            } while (arc > 0);
            for (int at = 0; at < digits.size(); at++) {
                out.write(digits.get(at) | (at + 1 < digits.size() ? 0x80 : 0));
            }
        }
        return element(0x06, out.toByteArray());
    }

    private static byte[] value() {
        if (RANDOM.nextInt(20) == 0) {
            return element(0x02, new byte[] {1, 2});
        }
        StringBuilder text = new StringBuilder();
        int length = RANDOM.nextInt(8);
        for (int at = 0; at < length; at++) {
            text.append(CHARACTERS[RANDOM.nextInt(CHARACTERS.length)]);
        }
        int tag = TAGS[RANDOM.nextInt(3) > 0 ? 0 : RANDOM.nextInt(TAGS.length)];
        // Others than UTF8 have letters of ASCII only: Java has read the rest in more than one way.
        String plain = tag == 0x0c ? text.toString() : text.toString().replaceAll("[^\\x20-\\x7e]", "x");
        return element(tag, plain.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] join(List<byte[]> parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        parts.forEach(out::writeBytes);
        return out.toByteArray();
    }

    private static byte[] name() {
        List<byte[]> parts = new ArrayList<>();
        int count = RANDOM.nextInt(5);
        for (int part = 0; part < count; part++) {
            List<byte[]> attributes = new ArrayList<>();
            do {
                int[] type = TYPES[RANDOM.nextInt(RANDOM.nextBoolean() ? 9 : TYPES.length)];
                attributes.add(element(0x30, join(List.of(oid(type), value()))));
            } while (RANDOM.nextInt(8) == 0);
            parts.add(element(0x31, join(attributes)));
        }
        return element(0x30, join(parts));
    }

    private static String hex(String text) {
        return HEX.formatHex(text.getBytes(StandardCharsets.UTF_8));
    }

    public static void main(String[] arguments) {
        List<String> names = new ArrayList<>();
        while (names.size() < 400) {
            byte[] name = name();
            String printed = new X500Principal(name).getName();
            names.add(printed);
            System.out.println("name " + HEX.formatHex(name) + " " + hex(printed));
        }
        for (String rules : RULES) {
            SslPrincipalMapper mapper = new SslPrincipalMapper(rules);
            for (int at = 0; at < 40; at++) {
                String name = names.get(RANDOM.nextInt(names.size()));
                String made;
                try {
                    made = "=" + hex(mapper.getName(name));
                } catch (java.io.IOException nobody) {
                    made = "-";
                }
                System.out.println("rule " + hex(rules) + " " + hex(name) + " " + made);
            }
        }
    }
}
