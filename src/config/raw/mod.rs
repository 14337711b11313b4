//! The config as it is written, key by key, before anything is checked against anything else: the one list of keys. The
//! JSON schema is made from these types. A key that was wrong is `None` here and its mistake is reported already.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::read::{Fields, Number, Reader, Text, list, named, number, some, text, texts};
use super::yaml::{Node, What};

mod admin;
mod authorization;
mod bounds;
mod clients;
mod clusters;
mod identities;
mod levels;
mod listeners;
mod login;
mod oauthbearer;
mod pipelines;
mod policy;
mod sasl;
mod tls;

pub(super) use admin::Admin;
pub(super) use authorization::{Authorization, Rule};
pub(super) use bounds::{Limits, Memory};
pub(super) use clients::Client;
pub(super) use clusters::Cluster;
pub(super) use identities::Identity;
pub(super) use levels::{Metrics, Slo};
pub(super) use listeners::{HostPorts, Hosts, Listener};
pub(super) use login::Login;
pub(super) use oauthbearer::Oauthbearer;
pub(super) use pipelines::Pipeline;
pub(super) use policy::{Canary, Contract, HeaderRule, Lane, Lanes, Limit};
pub(super) use sasl::Sasl;
pub(super) use tls::{ClientTls, Tls};

/// The config of Fishplate.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Fishplate config")]
pub(super) struct File {
    /// The ClusterId that clients see. Never change it.
    #[schemars(required)]
    pub(super) virtual_cluster: Option<Text>,
    /// The cluster of every topic, group and transactional id that no pipeline claims: a name out of `clusters`.
    #[schemars(required)]
    pub(super) default_cluster: Option<Text>,
    /// Where clients connect.
    #[schemars(required, length(min = 1))]
    pub(super) listeners: Option<Vec<Listener>>,
    /// The real clusters, by name.
    #[schemars(required, with = "BTreeMap<String, Cluster>", extend("minProperties" = 1))]
    pub(super) clusters: Option<Vec<Cluster>>,
    /// What lives where; the first pipeline that matches a topic has it.
    pub(super) pipelines: Option<Vec<Pipeline>>,
    /// The version of transactions that clients are shown (KIP-890): 1 or 2. With 2, every cluster with transactional ids must
    /// have it. Default: 1.
    #[schemars(with = "Option<u8>", range(min = 1, max = 2))]
    pub(super) transaction_version: Option<Number>,
    /// What kinds of clients are shown: adds to the built-in list, and counts more.
    pub(super) clients: Option<Vec<Client>>,
    /// Who may do what. Without it everybody may do everything.
    pub(super) authorization: Option<Authorization>,
    /// The address for metrics, health and what operators ask.
    pub(super) admin: Option<Admin>,
    /// What `/metrics` shows of lag.
    pub(super) metrics: Option<Metrics>,
    /// What is logged, such as `info` or `fishplate=debug,warn`. FISHPLATE_LOG and --log win. Default: info.
    #[schemars(example = "fishplate=debug,warn")]
    pub(super) log: Option<Text>,
    /// Pools of memory that all client connections share. A connection may hold an eighth of each.
    pub(super) memory: Option<Memory>,
    /// What one client, and all together, may take.
    pub(super) limits: Option<Limits>,
    /// Files with more pipelines, such as `conf.d/*.yaml`, beside this file.
    #[schemars(with = "Option<OneOrMany>")]
    pub(super) include: Option<Vec<Text>>,
}

/// A text or a list of texts.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// A file that `include` names: pipelines and nothing else.
#[derive(Debug)]
pub(super) struct Included {
    pub(super) pipelines: Option<Vec<Pipeline>>,
}

impl File {
    /// `None` if the file is no map.
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "the config", reader)?;
        let file = Self {
            virtual_cluster: fields.required("virtual_cluster", "my-kafka", text),
            default_cluster: fields.required("default_cluster", "main", text),
            listeners: fields.required("listeners", "[{ bind: \"127.0.0.1:9092\" }]", |node, reader| {
                some(list(node, reader, Listener::read), node, reader)
            }),
            clusters: fields.required(
                "clusters",
                "{ main: { slot: 0, bootstrap: [\"10.0.0.1:9092\"] } }",
                |node, reader| some(named(node, reader, Cluster::read), node, reader),
            ),
            pipelines: fields.optional("pipelines", pipelines),
            transaction_version: fields.optional("transaction_version", number),
            clients: fields.optional("clients", |node, reader| list(node, reader, Client::read)),
            authorization: fields.optional("authorization", Authorization::read),
            admin: fields.optional("admin", Admin::read),
            metrics: fields.optional("metrics", Metrics::read),
            log: fields.optional("log", text),
            memory: fields.optional("memory", Memory::read),
            limits: fields.optional("limits", Limits::read),
            include: fields.optional("include", one_or_many),
        };
        fields.finish(&["control"]);
        Some(file)
    }
}

impl Included {
    /// `None` if the file is no map.
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "an included file", reader)?;
        let example = "[{ name: events, topics: [\"events*\"], cluster: main }]";
        let pipelines = fields.required("pipelines", example, pipelines);
        fields.finish(&[]);
        Some(Self { pipelines })
    }
}

fn pipelines(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Pipeline>> {
    list(node, reader, Pipeline::read)
}

fn some_texts(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Text>> {
    some(texts(node, reader), node, reader)
}

fn one_or_many(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Text>> {
    match &node.what {
        What::List(_) => texts(node, reader),
        _ => text(node, reader).map(|one| vec![one]),
    }
}
