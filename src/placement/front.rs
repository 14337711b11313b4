//! What one listener shows its clients: in which view, and where nodes are. Pure; `Placement` knows the nodes.

use super::{Placement, nodes::SINGLE, ports::preferred};
use crate::config::{Clients, Config, Hosts, Listener, Nodes};
use crate::types::{HostPort, View, VirtualNode};
use std::net::SocketAddr;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Where it listens.
    pub bound: SocketAddr,
    /// The address that clients are told for all nodes, where they have none of their own.
    pub advertised: HostPort,
    /// Who decides the view.
    pub nodes: Nodes,
    /// An address of its own for each node.
    pub hosts: Option<Hosts>,
}

impl Front {
    /// The listener that was bound to this address.
    #[must_use]
    pub fn of(listener: &Listener, bound: SocketAddr) -> Self {
        let own = || HostPort::new(&bound.ip().to_string(), bound.port());
        let advertised = listener.advertised.clone().unwrap_or_else(own);
        Self { bound, advertised, nodes: listener.nodes, hosts: listener.hosts.clone() }
    }

    /// One that shows everybody what they can use, at one address.
    #[must_use]
    pub fn plain(address: HostPort) -> Self {
        Self { bound: SocketAddr::from(([0, 0, 0, 0], 0)), advertised: address, nodes: Nodes::Auto, hosts: None }
    }

    /// What a client of this name and version is shown.
    #[must_use]
    pub fn view(&self, name: &str, version: &str, config: &Config) -> View {
        match self.nodes {
            Nodes::All(view) => view,
            Nodes::Auto => self.own_view(name, version, &config.clients),
        }
    }

    /// Whether a client would be harmed by what the listener shows to all: it takes nodes of one address for one.
    #[must_use]
    pub fn harms(&self, name: &str, version: &str, config: &Config) -> bool {
        self.nodes == Nodes::All(View::Brokers) && config.clients.view_of(name, version) != Some(View::Brokers)
    }

    fn own_view(&self, name: &str, version: &str, clients: &Clients) -> View {
        match clients.view_of(name, version).unwrap_or(View::Hosts) {
            View::Hosts if self.hosts.is_none() => View::Single,
            view => view,
        }
    }

    /// Where clients find a node.
    #[must_use]
    pub fn address(&self, view: View, node: VirtualNode, placement: &Placement) -> HostPort {
        match &self.hosts {
            Some(hosts) if view == View::Hosts && node != SINGLE => hosts.address(node, |range, node| {
                placement.ports(range).map_or_else(|| preferred(range, node), |ports| ports.port(node))
            }),
            _ => self.advertised.clone(),
        }
    }
}
