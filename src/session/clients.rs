//! What clients say they are (KIP-511), and which of them may be shown many nodes at one address. Others mistake the
//! nodes for one and read or write one cluster only, without an error: they are refused rather than harmed. The list
//! is data, measured client by client (protocol-rules 11).

use std::fmt;

/// A client's software, as it names itself in ApiVersions 3+.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Software {
    /// Its name; empty where it gave none.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("a client without a name"),
            (name, "") => f.write_str(name),
            (name, version) => write!(f, "{name} {version}"),
        }
    }
}

/// Clients that keep nodes of one address apart, and the first version that does.
const KEEPS_NODES_APART: &[(&str, Version)] = &[
    ("apache-kafka-java", (0, 0)),
    ("kgo", (0, 0)),
    ("sarama", (0, 0)),
    ("kafka-python", (3, 0)),
    ("librdkafka", (2, 10)),
];
/// Wrappers of librdkafka give their own name, and its version behind this mark.
const WRAPPED: &str = "rdkafka-";
/// The first librdkafka that keys its brokers by id.
const LIBRDKAFKA: Version = (2, 10);

/// Major and minor.
type Version = (u32, u32);

/// A client that has not said what it is.
pub static NAMELESS: Software = Software { name: String::new(), version: String::new() };

impl Software {
    /// As a client says it: of bounded length, and fit for a line of the log.
    #[must_use]
    pub fn said(name: &str, version: &str) -> Self {
        let plain = |c: char| if c.is_control() { '_' } else { c };
        let text = |text: &str| text.chars().take(100).map(plain).collect();
        Self { name: text(name), version: text(version) }
    }

    /// Whether it can use the `brokers` view.
    #[must_use]
    pub fn keeps_nodes_apart(&self) -> bool {
        let listed = KEEPS_NODES_APART.iter().find(|(name, _)| *name == self.name);
        let wrapped = self.version.split_once(WRAPPED).and_then(|(_, librdkafka)| version(librdkafka));
        listed.is_some_and(|(_, from)| *from == (0, 0) || version(&self.version).is_some_and(|v| v >= *from))
            || wrapped.is_some_and(|v| v >= LIBRDKAFKA)
    }
}

/// Major and minor of a text like `2.10.1`, `v1.22.2` or `2.12.1-extra`.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(name: &str, version: &str) -> bool {
        Software { name: name.to_owned(), version: version.to_owned() }.keeps_nodes_apart()
    }

    #[test]
    fn the_clients_that_were_measured_are_told_apart() {
        for (name, version) in [
            ("apache-kafka-java", "3.9.2"),
            ("kgo", "v1.22.2"),
            ("sarama", "v1.61.1"),
            ("kafka-python", "3.0.12"),
            ("librdkafka", "2.10.0"),
            ("confluent-kafka-python", "2.16.1-rdkafka-2.16.0"),
            ("rdkafka-rust", "0.39.0-rdkafka-2.12.1"),
        ] {
            assert!(keeps(name, version), "{name} {version} can use many nodes at one address");
        }
        for (name, version) in [
            ("", ""),
            ("librdkafka", "2.0.2"),
            ("librdkafka", "2.9.9"),
            ("librdkafka", "garbage"),
            ("confluent-kafka-python", "2.6.1-rdkafka-2.6.1"),
            ("kafka-python", "2.0.2"),
            ("platformatic-kafka", "1.35.0"),
            ("ClickHouse", "25.1"),
        ] {
            assert!(!keeps(name, version), "{name} {version} would lose data");
        }
    }
}
