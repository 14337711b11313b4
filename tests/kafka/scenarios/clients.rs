//! The table of clients. Who adds one writes a program that keeps to the contract (`tests/clients`), has `setup.sh` build
//! it, and adds an entry here; its trials and its row in docs/compatibility.md follow.

use super::contract::{ALL, Client, InCi, JAVA, View};
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
];
