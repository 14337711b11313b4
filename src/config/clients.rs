//! Which clients are shown what, by the name and version that they give of themselves (KIP-511). The built-in list has those
//! that keep nodes of one address apart **and** name themselves on every connection: others would mistake the nodes for
//! one and read or write one cluster only, without an error, or see two views. It is data, measured client by client;
//! `clients:` in the config adds to it and counts more.

use crate::types::View;
use std::fmt;
use std::sync::Arc;

/// Major and minor.
pub type Version = (u32, u32);

/// Clients that are shown the view `brokers`, and the first version that is.
const KEEP_NODES_APART: &[(&str, Version)] = &[
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

/// What a kind of client is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// What it calls itself.
    pub name: Arc<str>,
    /// The first version that this is for.
    pub from: Version,
    /// What it is shown.
    pub view: View,
}

impl fmt::Display for ClientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            (0, 0) => self.name.fmt(f),
            (major, minor) => write!(f, "{} from {major}.{minor}", self.name),
        }
    }
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    own: Vec<ClientRule>,
}

impl Clients {
    /// The built-in list with these before it.
    #[must_use]
    pub fn new(own: Vec<ClientRule>) -> Self {
        Self { own }
    }

    /// What a client is to be shown; `None` for one that is on no list. Of the config's own entries the one with the
    /// highest version that the client reaches counts.
    #[must_use]
    pub fn view_of(&self, name: &str, version_text: &str) -> Option<View> {
        let reached = reached(version_text);
        let own = self.own.iter().filter(|rule| &*rule.name == name && reached(rule.from));
        let own = own.max_by_key(|rule| rule.from).map(|rule| rule.view);
        own.or_else(|| keeps_nodes_apart(name, version_text).then_some(View::Brokers))
    }
}

fn reached(version_text: &str) -> impl Fn(Version) -> bool {
    let has = version(version_text);
    move |from| from == (0, 0) || has.is_some_and(|has| has >= from)
}

fn keeps_nodes_apart(name: &str, version_text: &str) -> bool {
    let reached = reached(version_text);
    let wrapped = version_text.split_once(WRAPPED).and_then(|(_, librdkafka)| version(librdkafka));
    KEEP_NODES_APART.iter().any(|(known, from)| *known == name && reached(*from))
        || wrapped.is_some_and(|has| has >= LIBRDKAFKA)
}

/// Major and minor of a text like `2.10.1`, `v1.22.2` or `2.12.1-extra`.
pub fn version(text: &str) -> Option<Version> {
    let mut numbers = text.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_that_were_measured_are_told_apart() {
        let view = |name, version| Clients::default().view_of(name, version);
        for (name, version) in [
            ("apache-kafka-java", "3.9.2"),
            ("kgo", "v1.22.2"),
            ("sarama", "v1.61.1"),
            ("kafka-python", "3.0.12"),
            ("librdkafka", "2.10.0"),
            ("confluent-kafka-python", "2.16.1-rdkafka-2.16.0"),
            ("rdkafka-rust", "0.39.0-rdkafka-2.12.1"),
        ] {
            assert_eq!(view(name, version), Some(View::Brokers), "{name} {version} can use many nodes at one address");
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
            assert_eq!(view(name, version), None, "{name} {version} would lose data");
        }
    }

    #[test]
    fn the_configs_own_list_adds_and_counts_more() {
        let rule = |name: &str, from, view| ClientRule { name: name.into(), from, view };
        let clients = Clients::new(vec![
            rule("mine", (1, 2), View::Brokers),
            rule("mine", (3, 0), View::Hosts),
            rule("sarama", (0, 0), View::Single),
            rule("kgo", (9, 0), View::Single),
        ]);
        for (name, version, view) in [
            ("mine", "1.1.9", None),
            ("mine", "", None),
            ("mine", "1.2", Some(View::Brokers)),
            ("mine", "v3.1", Some(View::Hosts)),
            ("sarama", "anything", Some(View::Single)),
            ("kgo", "v1.22.2", Some(View::Brokers)),
        ] {
            assert_eq!(clients.view_of(name, version), view, "{name} {version}");
        }
    }
}
