//! The table against the codec, against itself, and against docs/protocol.md.

use super::*;
use crate::wire::shape::{Shaped, Visitor, show_all};
use kafka_protocol::protocol::{Encodable, VersionRange};
use std::fmt::Write;
use std::fs;

/// Of every message that we can read: its API, and the versions that the codec has. The codec's own
/// `ApiKey::valid_versions` is wrong for three APIs.
fn codec() -> Vec<(ApiKey, VersionRange)> {
    struct All(Vec<(ApiKey, VersionRange)>);
    impl Visitor for All {
        fn visit<M: Shaped + Encodable + Clone + PartialEq + std::fmt::Debug>(&mut self, api: ApiKey, _: &'static str) {
            self.0.push((api, M::VERSIONS));
        }
    }
    let mut all = All(Vec::new());
    show_all(&mut all);
    all.0
}

#[test]
fn the_table_lists_every_version_that_the_codec_speaks() {
    let codec = codec();
    for ours in SERVED {
        // A request and its answer.
        let of_api: Vec<_> = codec.iter().filter(|(api, _)| *api == ours.api).map(|(_, versions)| versions).collect();
        let (min, max) = (of_api.iter().map(|one| one.min).max(), of_api.iter().map(|one| one.max).min());
        assert_eq!(
            (min, max),
            (Some(ours.lowest()), Some(ours.max)),
            "{:?}: the codec speaks other versions than our table shows; widen the table together with tests",
            ours.api
        );
    }
}

#[test]
fn produce_below_three_is_shown_and_not_served() {
    assert_eq!(served(0).map(|row| row.min), Some(0));
    assert_eq!(serves(0, 2), None);
    assert_eq!(serves(0, 3), Some(ApiKey::Produce));
    assert_eq!(serves(0, 14), None);
    assert_eq!(serves(9999, 0), None);
}

#[test]
fn every_api_of_kafka_is_served_or_hidden_for_a_reason() {
    // Kafka 4.3's highest key.
    for key in 0..=92 {
        let hidden: Vec<_> = HIDDEN.iter().filter(|hidden| hidden.key == key).collect();
        let shown = SERVED.iter().filter(|row| row.api as i16 == key).count();
        assert_eq!(hidden.len() + shown, 1, "API {key}");
        // The codec calls two of them as Kafka 3 did.
        if let (Some(hidden), Ok(api)) = (hidden.first(), ApiKey::try_from(key)) {
            assert_eq!(format!("{api:?}"), hidden.name);
        }
    }
    assert!((93..=i16::MAX).all(|key| ApiKey::try_from(key).is_err()), "the codec has learnt APIs that we do not know");
}

#[test]
fn the_checked_in_document_is_of_this_table() {
    const FILE: &str = "docs/protocol.md";
    let now = document();
    if std::env::var_os("FISHPLATE_WRITE").is_some() {
        fs::write(FILE, &now).expect(FILE);
    }
    let there = fs::read_to_string(FILE).unwrap_or_default();
    assert!(there == now, "{FILE} is not what the table makes: FISHPLATE_WRITE=1 cargo test --lib wire::versions");
}

fn document() -> String {
    let mut text = String::from(HEAD);
    // Writing to a String cannot fail.
    let mut rows: Vec<_> = SERVED.iter().collect();
    rows.sort_by_key(|row| row.api as i16);
    for Served { api, min, max, by, differs } in rows {
        let versions = if min == max { min.to_string() } else { format!("{min} to {max}") };
        let _ = writeln!(text, "| {} | {api:?} | {versions} | {} | {differs} |", *api as i16, by.words());
    }
    text.push_str(NOT_SHOWN);
    for Hidden { key, name, why } in HIDDEN {
        let _ = writeln!(text, "| {key} | {name} | {why} |");
    }
    text
}

const HEAD: &str = "# The protocol, API by API

Made of the table in `src/wire/versions.rs` (`FISHPLATE_WRITE=1 cargo test --lib wire::versions`); not written by hand.

Clients see this table whatever the clusters speak. Where a cluster speaks only lower versions of an API, requests are
translated to the highest that it has. Ids of brokers are those of virtual nodes everywhere, addresses are Fishplate's,
and topics that are not visible (a topic's shadows on other clusters, a topic that is kept from clients) are unknown
topics. What else differs from Kafka stands in the last column. `tests/kafka/apis/` sends every API in every version to
bare Kafka and through Fishplate, and holds the answers against each other.

| key | API | versions | how it is served | what differs |
|---|---|---|---|---|
";

const NOT_SHOWN: &str = "
## Not shown

A client that asks for the table does not find these, and says so itself. One that sends such a request all the same is
disconnected, with a warning in the log.

| key | API | why |
|---|---|---|
";
