//! What a pipeline says of the records themselves: the contract, limits, lanes and canaries, as they are written.

use super::super::amounts::{Percentage, Quantity, Speed, percentage, quantity, speed};
use super::super::findings::At;
use super::super::read::{Fields, Number, Reader, Text, boolean, named, number, some, text, texts};
use super::super::yaml::{Entry, Node};
use schemars::JsonSchema;
use std::collections::BTreeMap;

/// What headers the records of a pipeline must have.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Contract {
    /// By name. Of a header that a record has several times the last counts; one without a value is absent.
    #[schemars(required, with = "BTreeMap<String, HeaderRule>", extend("minProperties" = 1))]
    pub(in super::super) headers: Option<Vec<HeaderRule>>,
    /// Whether records may have headers that are not named here. Default: allow.
    #[schemars(with = "Option<Unknown>")]
    pub(in super::super) unknown: Option<Text>,
    /// What becomes of a record that breaks it. Default: observe.
    #[schemars(with = "Option<OnViolation>")]
    pub(in super::super) on_violation: Option<Text>,
}

/// What one header must be.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct HeaderRule {
    #[schemars(skip)]
    pub(in super::super) name: Text,
    /// Whether each record must have it. Default: false.
    pub(in super::super) required: Option<bool>,
    /// What its value is. Default: any bytes.
    #[schemars(rename = "type", with = "Option<HeaderType>")]
    pub(in super::super) kind: Option<Text>,
    /// For `enum`: what it may be.
    pub(in super::super) values: Option<Vec<Text>>,
    /// For `regex`: an expression of the whole value.
    pub(in super::super) pattern: Option<Text>,
    /// The longest value, in bytes.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) max_bytes: Option<Number>,
}

/// What a header's value is.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum HeaderType {
    /// Text.
    Utf8,
    /// Such as 6f1e0c1e-7c5b-4a0e-9d1c-0a8c8f6f3b11.
    Uuid,
    /// A whole number in digits.
    Integer,
    /// Milliseconds since 1970 in digits.
    EpochMs,
    /// Such as 2026-01-02T03:04:05.678Z.
    Rfc3339,
    /// `true` or `false`.
    Bool,
    /// One of `values`.
    Enum,
    /// What `pattern` says.
    Regex,
}

/// Whether records may have other headers.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum Unknown {
    /// They may.
    Allow,
    /// It breaks the contract.
    Violation,
}

/// What becomes of a record that breaks the contract.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum OnViolation {
    /// It is counted.
    Observe,
    /// Its batch is refused, and its producer told which record broke which rule.
    Reject,
    /// It goes to the lane `dlq`.
    Dlq,
}

/// How much of something may come.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Limit {
    /// Stands in metrics and logs.
    #[schemars(required)]
    pub(in super::super) name: Option<Text>,
    /// What is counted apart: `header(NAME)`, several joined by `+`, `key`, `principal` or `client_id`.
    #[schemars(required, example = "header(token)")]
    pub(in super::super) key: Option<Text>,
    /// What is counted: `records`, `bytes`, or `header(NAME)`, a number in the record. Default: records.
    #[schemars(example = "header(record_count)")]
    pub(in super::super) unit: Option<Text>,
    /// How much of it, such as `5000/s`, or of bytes `20MiB/s`; also `/m` and `/h`.
    #[schemars(required, example = "5000/s")]
    pub(in super::super) rate: Option<Speed>,
    /// How much may come at once after a pause. Default: what comes in a second.
    pub(in super::super) burst: Option<Quantity>,
    /// What becomes of more. Default: observe.
    #[schemars(with = "Option<Action>")]
    pub(in super::super) action: Option<Text>,
    /// The share of keys, by their hash, for which it is done; for others it is counted only. Default: 100%.
    #[schemars(example = "10%")]
    pub(in super::super) enforced: Option<Percentage>,
    /// Keys that have a rate of their own.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(in super::super) overrides: Option<Vec<(Text, Speed)>>,
    /// For `throttle` by a header: `accept` that all of a connection waits for one of its keys.
    #[schemars(with = "Option<SharedSessions>")]
    pub(in super::super) shared_sessions: Option<Text>,
    /// For `stamp`: the header that is set.
    pub(in super::super) stamp: Option<Stamp>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// What becomes of records above a limit.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum Action {
    /// They are counted.
    Observe,
    /// Their answer is held, and their connection is read no further meanwhile.
    Throttle,
    /// They get a header.
    Stamp,
    /// They go to the lane `overflow`.
    Overflow,
    /// They are acknowledged and thrown away.
    Drop,
    /// Their whole batch is refused (44 POLICY_VIOLATION).
    Reject,
}

/// That a connection carries many keys is accepted.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum SharedSessions {
    /// It is.
    Accept,
}

/// A header that records get.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Stamp {
    /// Its name; what the record has of that name is replaced.
    #[schemars(required)]
    pub(in super::super) header: Option<Text>,
    /// Its value.
    #[schemars(required, example = "true")]
    pub(in super::super) value: Option<Text>,
}

/// Where records go that are moved aside.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Lanes {
    /// For what is above a limit whose action is `overflow`.
    pub(in super::super) overflow: Option<Lane>,
    /// For what breaks a contract whose `on_violation` is `dlq`.
    pub(in super::super) dlq: Option<Lane>,
}

/// A topic for records that are moved aside.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Lane {
    /// The topic.
    #[schemars(required)]
    pub(in super::super) topic: Option<Text>,
    /// Where it lives, said once more: must be where its pipeline is. Default: there.
    pub(in super::super) cluster: Option<Text>,
    /// What becomes of records while its cluster is away. Default: hold.
    #[schemars(with = "Option<OnDown>")]
    pub(in super::super) on_down: Option<Text>,
    /// Whether records lose their key, so that they spread over partitions; it stays in the header `redirect-original-key`. Default:
    /// false.
    pub(in super::super) null_key: Option<bool>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// Records that go to the same topic on another cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Canary {
    /// What tells which: `header(NAME)`, several joined by `+`, `key`, `principal` or `client_id`.
    #[schemars(required, example = "header(token)")]
    pub(in super::super) key: Option<Text>,
    /// Keys that go there.
    pub(in super::super) values: Option<Vec<Text>>,
    /// The share of all keys, by their hash, that goes there. Default: 0%.
    #[schemars(example = "1%")]
    pub(in super::super) share: Option<Percentage>,
    /// The cluster, a name out of `clusters`. The topics must be there already.
    #[schemars(required)]
    pub(in super::super) to: Option<Text>,
    /// What becomes of records while that cluster is away. Default: hold.
    #[schemars(with = "Option<OnDown>")]
    pub(in super::super) on_down: Option<Text>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// What becomes of records while a lane's cluster is away.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum OnDown {
    /// They wait, and are refused after a while so that their producer tries again.
    Hold,
    /// They are refused at once, so that their producer tries again.
    Reject,
    /// They stay where they were meant for.
    Main,
}

impl Contract {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a contract", reader)?;
        let contract = Self {
            headers: fields.required("headers", "{ token: { required: true, type: utf8 } }", |node, reader| {
                some(named(node, reader, HeaderRule::read), node, reader)
            }),
            unknown: fields.optional("unknown", text),
            on_violation: fields.optional("on_violation", text),
        };
        fields.finish(&[]);
        Some(contract)
    }
}

impl HeaderRule {
    fn read(entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of_named(entry, "a header", reader)?;
        let rule = Self {
            name: Text::from_key(entry),
            required: fields.optional("required", boolean),
            kind: fields.optional("type", text),
            values: fields.optional("values", |node, reader| some(texts(node, reader), node, reader)),
            pattern: fields.optional("pattern", text),
            max_bytes: fields.optional("max_bytes", number),
        };
        fields.finish(&[]);
        Some(rule)
    }
}

impl Limit {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a limit", reader)?;
        let limit = Self {
            name: fields.required("name", "per-token", text),
            key: fields.required("key", "header(token)", text),
            unit: fields.optional("unit", text),
            rate: fields.required("rate", "5000/s", speed),
            burst: fields.optional("burst", quantity),
            action: fields.optional("action", text),
            enforced: fields.optional("enforced", percentage),
            overrides: fields.optional("overrides", |node, reader| {
                named(node, reader, |entry, reader| Some((Text::from_key(entry), speed(&entry.value, reader)?)))
            }),
            shared_sessions: fields.optional("shared_sessions", text),
            stamp: fields.optional("stamp", Stamp::read),
            at: node.at,
        };
        fields.finish(&[]);
        Some(limit)
    }
}

impl Stamp {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a stamp", reader)?;
        let stamp = Self {
            header: fields.required("header", "force_disable_person_processing", text),
            value: fields.required("value", "\"true\"", text),
        };
        fields.finish(&[]);
        Some(stamp)
    }
}

impl Lanes {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "lanes", reader)?;
        let lanes = Self { overflow: fields.optional("overflow", Lane::read), dlq: fields.optional("dlq", Lane::read) };
        fields.finish(&[]);
        Some(lanes)
    }
}

impl Lane {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a lane", reader)?;
        let lane = Self {
            topic: fields.required("topic", "events_overflow", text),
            cluster: fields.optional("cluster", text),
            on_down: fields.optional("on_down", text),
            null_key: fields.optional("null_key", boolean),
            at: node.at,
        };
        fields.finish(&[]);
        Some(lane)
    }
}

impl Canary {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a canary", reader)?;
        let canary = Self {
            key: fields.required("key", "header(token)", text),
            values: fields.optional("values", texts),
            share: fields.optional("share", percentage),
            to: fields.required("to", "warpstream", text),
            on_down: fields.optional("on_down", text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(canary)
    }
}
