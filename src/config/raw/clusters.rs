//! A real cluster: where it is, what it is, and how it is entered.

use super::super::read::{Fields, Number, Reader, Text, named, number, some, text};
use super::super::yaml::Entry;
use super::{ClientTls, Identity, Login, identities, some_texts};
use schemars::JsonSchema;
use std::collections::BTreeMap;

/// A real Kafka-compatible cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Cluster {
    #[schemars(skip)]
    pub(in super::super) name: Text,
    /// Its fixed number. It is part of every node id that clients see: never change it, never give it to another cluster.
    #[schemars(required, with = "u8", range(min = 0, max = 30))]
    pub(in super::super) slot: Option<Number>,
    /// Some of its brokers, as host:port.
    #[schemars(required, length(min = 1))]
    pub(in super::super) bootstrap: Option<Vec<Text>>,
    /// Connections of clients to one of its brokers. More wait, ten seconds at most. Default: 20000, or 3000 with AWS_MSK_IAM.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) max_links: Option<Number>,
    /// New connections to one of its brokers in a second. Default: 1000, or 100 with AWS_MSK_IAM.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) links_per_second: Option<Number>,
    /// What it is. Default: kafka.
    #[schemars(with = "Option<Kind>")]
    pub(in super::super) kind: Option<Text>,
    /// The zone that Fishplate runs in, told to a WarpStream cluster in each client id (`ws_az`).
    pub(in super::super) zone: Option<Text>,
    /// Racks (zones) that it calls otherwise than clients do: the clients' name, then the cluster's. Others are the same.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(in super::super) racks: Option<Vec<(Text, Text)>>,
    /// How Fishplate logs in to it. Default: it does not.
    pub(in super::super) sasl: Option<Login>,
    /// Encryption, and that brokers are who they should be. Default: none.
    pub(in super::super) tls: Option<ClientTls>,
    /// As whom clients come to it, by name, so that its own ACLs and quotas bind each. Default: all as Fishplate itself.
    #[schemars(with = "Option<BTreeMap<String, Identity>>")]
    pub(in super::super) identities: Option<Vec<Identity>>,
    /// What a principal gets that no identity names. Must be said where there are identities, unless one has `User:*`.
    #[schemars(with = "Option<identities::Unmapped>")]
    pub(in super::super) unmapped: Option<Text>,
}

/// What a cluster is.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum Kind {
    /// Apache Kafka, or what behaves as it does.
    Kafka,
    /// WarpStream.
    Warpstream,
}

impl Cluster {
    /// Also a cluster with nothing right in it is one: who names it names nothing wrong.
    pub(super) fn read(entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let mut cluster = Self::named(Text::from_key(entry));
        let Some(mut fields) = Fields::of_named(entry, "a cluster", reader) else { return Some(cluster) };
        cluster.slot = fields.required("slot", "0", number);
        cluster.bootstrap = fields.required("bootstrap", "[\"kafka-1.example.com:9092\"]", some_texts);
        cluster.max_links = fields.optional("max_links", number);
        cluster.links_per_second = fields.optional("links_per_second", number);
        cluster.kind = fields.optional("kind", text);
        cluster.zone = fields.optional("zone", text);
        cluster.racks = fields.optional("racks", |node, reader| {
            named(node, reader, |entry, reader| Some((Text::from_key(entry), text(&entry.value, reader)?)))
        });
        cluster.tls = fields.optional("tls", ClientTls::read);
        cluster.sasl = fields.optional("sasl", Login::read);
        // Where nothing of them is right, that there were to be some is known all the same.
        cluster.identities = fields.optional("identities", |node, reader| {
            Some(some(named(node, reader, Identity::read), node, reader).unwrap_or_default())
        });
        cluster.unmapped = fields.optional("unmapped", text);
        fields.finish(&[]);
        Some(cluster)
    }

    /// One of which nothing else is said.
    fn named(name: Text) -> Self {
        Self {
            name,
            slot: None,
            bootstrap: None,
            max_links: None,
            links_per_second: None,
            kind: None,
            zone: None,
            racks: None,
            sasl: None,
            tls: None,
            identities: None,
            unmapped: None,
        }
    }
}
