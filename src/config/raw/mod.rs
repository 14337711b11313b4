//! The config as it is written, key by key, before anything is checked against anything else: the one list of keys. The
//! JSON schema is made from these types. A key that was wrong is `None` here and its mistake is reported already.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::amounts::{Amount, size, time};
use super::findings::At;
use super::read::{Fields, Number, Reader, Text, list, named, number, some, text, texts};
use super::yaml::{Entry, Node, What};

mod admin;
mod authorization;
mod identities;
mod levels;
mod login;
mod oauthbearer;
mod policy;
mod sasl;
mod tls;

pub(super) use admin::Admin;
pub(super) use authorization::{Authorization, Rule};
pub(super) use identities::Identity;
pub(super) use levels::{Metrics, Slo};
pub(super) use login::Login;
pub(super) use oauthbearer::Oauthbearer;
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

/// One address that clients connect to.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Listener {
    /// The IP address and port to listen on.
    #[schemars(required, example = "127.0.0.1:9092")]
    pub(super) bind: Option<Text>,
    /// The host and port that clients are told. Default: the bound address. With `0.0.0.0` or `[::]` it must be given.
    #[schemars(example = "kafka.example.com:9092")]
    pub(super) advertised: Option<Text>,
    /// How brokers are shown to clients. Default: auto.
    #[schemars(with = "Option<Nodes>")]
    pub(super) nodes: Option<Text>,
    /// An address of its own for each node: a name with `{node}` in it, or one name with a range of ports.
    #[schemars(with = "Option<HostsAsWritten>")]
    pub(super) hosts: Option<Hosts>,
    /// Encryption, and who clients are by their certificates. Default: none.
    pub(super) tls: Option<Tls>,
    /// How clients log in. Default: nobody is asked who they are.
    pub(super) sasl: Option<Sasl>,
    /// `required`: a load balancer before this listener says who each client is, by the PROXY protocol, version 2. Nobody else
    /// must reach the listener. Default: none, and such a header is refused.
    #[schemars(with = "Option<ProxyProtocol>")]
    pub(super) proxy_protocol: Option<Text>,
}

/// Who says who clients are.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum ProxyProtocol {
    /// A header before each client's first byte.
    Required,
}

/// Addresses of nodes, as they are written.
#[derive(Debug)]
pub(super) enum Hosts {
    /// `n{node}.kafka.example.com:9092`.
    Names(Text),
    /// With a range of ports.
    Ports(HostPorts),
}

/// Another name of the same port, or another port of the same name.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum HostsAsWritten {
    /// Such as `n{node}.kafka.example.com:9092`.
    Names(String),
    /// One name with a range of ports.
    Ports(HostPorts),
}

/// One name with a range of ports that the listener binds too.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct HostPorts {
    /// Such as `kafka.example.com:{port}`.
    #[schemars(required, example = "kafka.example.com:{port}")]
    pub(super) name: Option<Text>,
    /// Such as `19092-19155`: at least one for each broker there will ever be.
    #[schemars(required, example = "19092-19155")]
    pub(super) ports: Option<Text>,
    #[schemars(skip)]
    pub(super) at: At,
}

/// A kind of client and what it is shown.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Client {
    /// What it calls itself (KIP-511): the log says it when it is first seen.
    #[schemars(required)]
    pub(super) name: Option<Text>,
    /// The first version that this is for. Default: all.
    #[schemars(example = "1.2")]
    pub(super) from: Option<Text>,
    /// What it is shown where its listener says `nodes: auto`.
    #[schemars(required, with = "View")]
    pub(super) view: Option<Text>,
    #[schemars(skip)]
    pub(super) at: At,
}

/// How brokers are shown.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum View {
    /// A node for each broker, all at one address.
    Brokers,
    /// A node for each broker, each at an address of its own; `single` where the listener has no `hosts`.
    Hosts,
    /// One node.
    Single,
}

/// How brokers are shown to clients.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum Nodes {
    /// By what a client says it is: brokers where it is on the list, else hosts where they are set, else single.
    Auto,
    /// A node for each broker of each cluster, all at one address. Clients that are not on the list are turned away.
    Brokers,
    /// One node that leads everything.
    Single,
    /// A node for each broker, each at an address of its own.
    Hosts,
}

/// A real Kafka-compatible cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Cluster {
    #[schemars(skip)]
    pub(super) name: Text,
    /// Its fixed number. It is part of every node id that clients see: never change it, never give it to another cluster.
    #[schemars(required, with = "u8", range(min = 0, max = 30))]
    pub(super) slot: Option<Number>,
    /// Some of its brokers, as host:port.
    #[schemars(required, length(min = 1))]
    pub(super) bootstrap: Option<Vec<Text>>,
    /// Connections of clients to one of its brokers. More wait, ten seconds at most. Default: 20000, or 3000 with AWS_MSK_IAM.
    #[schemars(with = "Option<u64>")]
    pub(super) max_links: Option<Number>,
    /// New connections to one of its brokers in a second. Default: 1000, or 100 with AWS_MSK_IAM.
    #[schemars(with = "Option<u64>")]
    pub(super) links_per_second: Option<Number>,
    /// What it is. Default: kafka.
    #[schemars(with = "Option<Kind>")]
    pub(super) kind: Option<Text>,
    /// The zone that Fishplate runs in, told to a WarpStream cluster in each client id (`ws_az`).
    pub(super) zone: Option<Text>,
    /// Racks (zones) that it calls otherwise than clients do: the clients' name, then the cluster's. Others are the same.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(super) racks: Option<Vec<(Text, Text)>>,
    /// How Fishplate logs in to it. Default: it does not.
    pub(super) sasl: Option<Login>,
    /// Encryption, and that brokers are who they should be. Default: none.
    pub(super) tls: Option<ClientTls>,
    /// As whom clients come to it, by name, so that its own ACLs and quotas bind each. Default: all as Fishplate itself.
    #[schemars(with = "Option<BTreeMap<String, Identity>>")]
    pub(super) identities: Option<Vec<Identity>>,
    /// What a principal gets that no identity names. Must be said where there are identities, unless one has `User:*`.
    #[schemars(with = "Option<identities::Unmapped>")]
    pub(super) unmapped: Option<Text>,
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

/// Pools of memory.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Memory {
    /// For requests that are read and not yet passed on. Default: 64MiB.
    pub(super) requests: Option<Amount>,
    /// For answers that are read and that clients have not taken. Default: 64MiB.
    pub(super) responses: Option<Amount>,
    /// For requests that wait for a leader, or for their order to be sure. Default: 32MiB.
    pub(super) parked: Option<Amount>,
}

/// What one client, and all together, may take.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Limits {
    /// The largest request, at most 200MiB. Default: 100MiB. Only Produce may be larger than an eighth of `memory.requests`.
    pub(super) request: Option<Amount>,
    /// A connection that has not sent its first request by then, or not logged in where it must, is closed. Default: 10s.
    pub(super) handshake: Option<Amount>,
    /// A connection whose request has begun and is not complete by then is closed. Default: 30s.
    pub(super) stalled: Option<Amount>,
    /// A connection that asks nothing for so long is closed. Default: 10m.
    pub(super) idle: Option<Amount>,
    /// Client connections in all; more are closed at once. Default: 20000.
    #[schemars(with = "Option<u64>")]
    pub(super) sessions: Option<Number>,
    /// Client connections from one address. Default: 20000.
    #[schemars(with = "Option<u64>")]
    pub(super) sessions_per_address: Option<Number>,
}

/// A named set of topics and the cluster they live on.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Pipeline {
    /// Stands in metrics, logs and alerts.
    #[schemars(required)]
    pub(super) name: Option<Text>,
    /// Patterns: a glob with * and ?, a /regex/ of the whole name, and either with ! before it to exclude.
    #[schemars(required, length(min = 1))]
    pub(super) topics: Option<Vec<Text>>,
    /// Patterns of the consumer groups whose home is this pipeline's cluster.
    pub(super) groups: Option<Vec<Text>>,
    /// Patterns of the transactional ids whose home it is. What one transaction writes must live there too.
    pub(super) transactional_ids: Option<Vec<Text>>,
    /// A name out of `clusters`.
    #[schemars(required)]
    pub(super) cluster: Option<Text>,
    /// What headers its records must have.
    pub(super) contract: Option<Contract>,
    /// How much of what may come. Each counts every record; the first that is exceeded decides.
    pub(super) limits: Option<Vec<Limit>>,
    /// Where records go that are moved aside.
    pub(super) lanes: Option<Lanes>,
    /// Which records go to the same topic on another cluster. Contract and limits apply first.
    pub(super) canaries: Option<Vec<Canary>>,
    /// How soon its groups are to have dealt with records.
    pub(super) slo: Option<Slo>,
    #[schemars(skip)]
    pub(super) at: At,
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

impl Listener {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a listener", reader)?;
        let listener = Self {
            bind: fields.required("bind", "127.0.0.1:9092", text),
            advertised: fields.optional("advertised", text),
            nodes: fields.optional("nodes", text),
            hosts: fields.optional("hosts", Hosts::read),
            tls: fields.optional("tls", Tls::read),
            sasl: fields.optional("sasl", Sasl::read),
            proxy_protocol: fields.optional("proxy_protocol", text),
        };
        fields.finish(&[]);
        Some(listener)
    }
}

impl Hosts {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(node.what, What::Map(_)) {
            return text(node, reader).map(Self::Names);
        }
        let mut fields = Fields::of(node, "hosts", reader)?;
        let ports = HostPorts {
            name: fields.required("name", "\"kafka.example.com:{port}\"", text),
            ports: fields.required("ports", "19092-19155", text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(Self::Ports(ports))
    }
}

impl Client {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a client", reader)?;
        let client = Self {
            name: fields.required("name", "my-client", text),
            from: fields.optional("from", text),
            view: fields.required("view", "brokers", text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(client)
    }
}

impl Cluster {
    /// Also a cluster with nothing right in it is one: who names it names nothing wrong.
    fn read(entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let name = Text::from_key(entry);
        let Some(mut fields) = Fields::of_named(entry, "a cluster", reader) else {
            let (slot, bootstrap, max_links, links_per_second) = (None, None, None, None);
            let (kind, zone, racks, tls, sasl) = (None, None, None, None, None);
            let (identities, unmapped) = (None, None);
            return Some(Self {
                name,
                slot,
                bootstrap,
                max_links,
                links_per_second,
                kind,
                zone,
                racks,
                tls,
                sasl,
                identities,
                unmapped,
            });
        };
        let slot = fields.required("slot", "0", number);
        let bootstrap = fields.required("bootstrap", "[\"kafka-1.example.com:9092\"]", some_texts);
        let max_links = fields.optional("max_links", number);
        let links_per_second = fields.optional("links_per_second", number);
        let (kind, zone) = (fields.optional("kind", text), fields.optional("zone", text));
        let racks = fields.optional("racks", |node, reader| {
            named(node, reader, |entry, reader| Some((Text::from_key(entry), text(&entry.value, reader)?)))
        });
        let (tls, sasl) = (fields.optional("tls", ClientTls::read), fields.optional("sasl", Login::read));
        // Where nothing of them is right, that there were to be some is known all the same.
        let identities = fields.optional("identities", |node, reader| {
            Some(some(named(node, reader, Identity::read), node, reader).unwrap_or_default())
        });
        let unmapped = fields.optional("unmapped", text);
        fields.finish(&[]);
        Some(Self {
            name,
            slot,
            bootstrap,
            max_links,
            links_per_second,
            kind,
            zone,
            racks,
            tls,
            sasl,
            identities,
            unmapped,
        })
    }
}

impl Memory {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "memory", reader)?;
        let memory = Self {
            requests: fields.optional("requests", size),
            responses: fields.optional("responses", size),
            parked: fields.optional("parked", size),
        };
        fields.finish(&[]);
        Some(memory)
    }
}

impl Limits {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "limits", reader)?;
        let limits = Self {
            request: fields.optional("request", size),
            handshake: fields.optional("handshake", time),
            stalled: fields.optional("stalled", time),
            idle: fields.optional("idle", time),
            sessions: fields.optional("sessions", number),
            sessions_per_address: fields.optional("sessions_per_address", number),
        };
        fields.finish(&[]);
        Some(limits)
    }
}

impl Pipeline {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a pipeline", reader)?;
        let pipeline = Self {
            name: fields.required("name", "events", text),
            topics: fields.required("topics", "[\"events*\"]", some_texts),
            groups: fields.optional("groups", texts),
            transactional_ids: fields.optional("transactional_ids", texts),
            cluster: fields.required("cluster", "main", text),
            contract: fields.optional("contract", Contract::read),
            limits: fields.optional("limits", |node, reader| list(node, reader, Limit::read)),
            lanes: fields.optional("lanes", Lanes::read),
            canaries: fields.optional("canaries", |node, reader| list(node, reader, Canary::read)),
            slo: fields.optional("slo", Slo::read),
            at: node.at,
        };
        fields.finish(&["mirror"]);
        Some(pipeline)
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
