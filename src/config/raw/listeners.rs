//! Where clients connect, and how brokers are shown there.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, text};
use super::super::yaml::{Node, What};
use super::{Sasl, Tls};
use schemars::JsonSchema;

/// One address that clients connect to.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Listener {
    /// The IP address and port to listen on.
    #[schemars(required, example = "127.0.0.1:9092")]
    pub(in super::super) bind: Option<Text>,
    /// The host and port that clients are told. Default: the bound address. With `0.0.0.0` or `[::]` it must be given.
    #[schemars(example = "kafka.example.com:9092")]
    pub(in super::super) advertised: Option<Text>,
    /// How brokers are shown to clients. Default: auto.
    #[schemars(with = "Option<Nodes>")]
    pub(in super::super) nodes: Option<Text>,
    /// An address of its own for each node: a name with `{node}` in it, or one name with a range of ports.
    #[schemars(with = "Option<HostsAsWritten>")]
    pub(in super::super) hosts: Option<Hosts>,
    /// Encryption, and who clients are by their certificates. Default: none.
    pub(in super::super) tls: Option<Tls>,
    /// How clients log in. Default: nobody is asked who they are.
    pub(in super::super) sasl: Option<Sasl>,
    /// `required`: a load balancer before this listener says who each client is, by the PROXY protocol, version 2. Nobody else
    /// must reach the listener. Default: none, and such a header is refused.
    #[schemars(with = "Option<ProxyProtocol>")]
    pub(in super::super) proxy_protocol: Option<Text>,
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
pub(in super::super) enum Hosts {
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
pub(in super::super) struct HostPorts {
    /// Such as `kafka.example.com:{port}`.
    #[schemars(required, example = "kafka.example.com:{port}")]
    pub(in super::super) name: Option<Text>,
    /// Such as `19092-19155`: at least one for each broker there will ever be.
    #[schemars(required, example = "19092-19155")]
    pub(in super::super) ports: Option<Text>,
    #[schemars(skip)]
    pub(in super::super) at: At,
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

impl Listener {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
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
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
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
