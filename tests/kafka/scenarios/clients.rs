//! The table of clients. Who adds one writes a program that keeps to the contract (`tests/clients`), has `setup.sh` build
//! it, and adds an entry here; its trials and its row in docs/compatibility.md follow.

use super::contract::{ALL, CUT, Client, InCi, JAVA, Lack, View};
use super::{kcat, librdkafka, programs};

/// All clients, as the matrix has them from top to bottom.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "java-4.3",
        library: "Java client 4.3.1",
        says: "apache-kafka-java 4.3.1",
        scenarios: JAVA,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::All(View::Brokers),
        play: |run| programs::java("4.3", run),
    },
    Client {
        name: "java-3.9",
        library: "Java client 3.9.2",
        says: "apache-kafka-java 3.9.2",
        scenarios: JAVA,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::Nothing,
        play: |run| programs::java("3.9", run),
    },
    Client {
        name: "franz-go",
        library: "franz-go 1.22.2",
        says: "kgo v1.22.2",
        scenarios: ALL,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::All(View::Brokers),
        play: programs::franz,
    },
    Client {
        name: "librdkafka",
        library: "rdkafka crate 0.39.0 (librdkafka 2.12.1)",
        says: "rdkafka-rust 0.39.0-rdkafka-2.12.1",
        scenarios: ALL,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::All(View::Brokers),
        play: librdkafka::play,
    },
    Client {
        name: "kcat",
        library: "kcat 1.7.1 (librdkafka 2.16.0)",
        says: "librdkafka 2.16.0",
        scenarios: kcat::SCENARIOS,
        lacks: kcat::LACKS,
        views: View::ALL,
        in_ci: InCi::All(View::Brokers),
        play: kcat::play,
    },
    Client {
        name: kcat::DEBIAN,
        library: "kcat 1.7.1 (Debian's librdkafka 2.0.2)",
        says: "librdkafka 2.0.2",
        scenarios: kcat::SCENARIOS,
        lacks: kcat::LACKS,
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Nothing,
        play: kcat::play,
    },
    Client {
        name: "confluent-2.3",
        library: "confluent-kafka 2.3.0 (librdkafka 2.3.0)",
        says: "confluent-kafka-python 2.3.0-rdkafka-2.3.0",
        scenarios: PYTHON,
        lacks: &[],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Some(View::Single, &["codecs", "commit", CUT]),
        play: |run| programs::python("confluent", run),
    },
    Client {
        name: "confluent-2.6",
        library: "confluent-kafka 2.6.1 (librdkafka 2.6.1)",
        says: "confluent-kafka-python 2.6.1-rdkafka-2.6.1",
        scenarios: PYTHON,
        lacks: &[],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Nothing,
        play: |run| programs::python("confluent", run),
    },
    Client {
        name: "confluent-2.10",
        library: "confluent-kafka 2.10.1 (librdkafka 2.10.1)",
        says: "confluent-kafka-python 2.10.1-rdkafka-2.10.1",
        scenarios: PYTHON,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::Nothing,
        play: |run| programs::python("confluent", run),
    },
    Client {
        name: "confluent-2.16",
        library: "confluent-kafka 2.16.1 (librdkafka 2.16.0)",
        says: "confluent-kafka-python 2.16.1-rdkafka-2.16.0",
        scenarios: PYTHON,
        lacks: &[],
        views: View::ALL,
        in_ci: InCi::Some(View::Brokers, &["codecs", "cooperative"]),
        play: |run| programs::python("confluent", run),
    },
    Client {
        name: "kafka-python-3",
        library: "kafka-python 3.0.12",
        says: "kafka-python 3.0.12",
        scenarios: PYTHON,
        lacks: &[],
        views: View::ALL,
        // Its groups now and then stand still for more than 30 s, on bare Kafka as well: not for CI.
        in_ci: InCi::Some(View::Brokers, &["codecs", "headers"]),
        play: |run| programs::python("kafka_python", run),
    },
    Client {
        name: "kafka-python-2",
        library: "kafka-python 2.0.2",
        says: "",
        scenarios: PYTHON_2,
        lacks: &[Lack { scenarios: &["cooperative", "static", "idempotent"], why: "it came before them" }],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Nothing,
        play: |run| programs::python("kafka_python", run),
    },
    Client {
        name: "aiokafka",
        library: "aiokafka 0.14.0",
        says: "",
        scenarios: AIOKAFKA,
        lacks: &[Lack { scenarios: &["cooperative"], why: "it rebalances eagerly only" }],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Some(View::Hosts, &["codecs", "commit"]),
        play: |run| programs::python("aio", run),
    },
    Client {
        name: "sarama",
        library: "sarama 1.61.1",
        says: "sarama v1.61.1",
        scenarios: PLAIN,
        lacks: &[
            Lack { scenarios: &["cooperative"], why: "no cooperative rebalance" },
            Lack { scenarios: &["static"], why: "not played yet" },
            NOT_WRITTEN,
        ],
        views: View::ALL,
        in_ci: InCi::Some(View::Brokers, &["codecs", "headers", "commit", "rebalance"]),
        play: |run| programs::go("sarama", run),
    },
    Client {
        name: "kafka-go",
        library: "segmentio/kafka-go 0.4.51",
        says: "",
        scenarios: NOT_IDEMPOTENT,
        lacks: &[
            Lack { scenarios: &["cooperative", "static"], why: "no cooperative rebalance, no static members" },
            Lack { scenarios: &["idempotent"], why: "its producer is not idempotent" },
            NOT_WRITTEN,
        ],
        views: &[View::Single, View::Hosts],
        in_ci: InCi::Some(View::Single, &["codecs", "headers", "commit"]),
        play: |run| programs::go("kafka-go", run),
    },
    Client {
        name: "kafkajs",
        library: "kafkajs 2.2.4",
        says: "",
        scenarios: PLAIN,
        lacks: &[
            Lack { scenarios: &["cooperative", "static"], why: "no cooperative rebalance, no static members" },
            NOT_WRITTEN,
        ],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Some(View::Single, &["codecs", "headers", "commit", "rebalance"]),
        play: |run| programs::node("kafkajs", run),
    },
    Client {
        name: "platformatic",
        library: "@platformatic/kafka 1.35.0",
        says: "platformatic-kafka 1.35.0",
        scenarios: PLAIN,
        lacks: &[
            Lack { scenarios: &["cooperative"], why: "no cooperative rebalance" },
            Lack { scenarios: &["static"], why: "not played yet" },
            NOT_WRITTEN,
        ],
        views: ONE_ADDRESS_EACH,
        in_ci: InCi::Some(View::Single, &["codecs", "headers", "commit", "reset"]),
        play: |run| programs::node("platformatic", run),
    },
];

/// What the programs of `tests/clients/go` and `tests/clients/node` play.
const PLAIN: &[&str] =
    &["commit", "rebalance", "codecs", "offsets", "many-partitions", "idempotent", "acks", "headers", "reset"];
/// The same, for a library whose producer is not idempotent.
const NOT_IDEMPOTENT: &[&str] =
    &["commit", "rebalance", "codecs", "offsets", "many-partitions", "acks", "headers", "reset"];
/// What those programs could play, and do not yet.
const NOT_WRITTEN: Lack =
    Lack { scenarios: &["others", "unknown", "large", "groups", "cluster", "seek", "topics"], why: "not played yet" };

/// The views of clients that take nodes of one address for one node, or do not say what they are.
const ONE_ADDRESS_EACH: &[View] = &[View::Hosts, View::Single];

const PYTHON: &[&str] = &[
    "commit",
    "large",
    "cooperative",
    "rebalance",
    "reset",
    "unknown",
    "codecs",
    "offsets",
    "many-partitions",
    "idempotent",
    "acks",
    "static",
    "headers",
    "groups",
    "cluster",
    "seek",
    "topics",
    CUT,
];

const PYTHON_2: &[&str] = &[
    "commit",
    "large",
    "rebalance",
    "reset",
    "unknown",
    "codecs",
    "offsets",
    "many-partitions",
    "acks",
    "headers",
    "groups",
    "cluster",
    "seek",
    "topics",
    CUT,
];

const AIOKAFKA: &[&str] = &[
    "commit",
    "large",
    "rebalance",
    "reset",
    "unknown",
    "codecs",
    "offsets",
    "many-partitions",
    "idempotent",
    "acks",
    "static",
    "headers",
    "groups",
    "cluster",
    "seek",
    "topics",
    CUT,
];
