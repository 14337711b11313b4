//! Nodes as one client sees them: their ids, their addresses, and the brokers behind them, by the session's view.
//!
//! In the view `single` one node stands for all brokers: it leads, holds and coordinates everything, so a partition has
//! one replica there, which is in sync where any is. Asked of itself (DescribeConfigs), it is some broker of the
//! default cluster.

use crate::api::Seen;
use crate::placement::nodes::SINGLE;
use crate::types::{BrokerId, Slot, Target, View, VirtualNode};
use kafka_protocol::messages;
use kafka_protocol::protocol::StrBytes;

/// Why a client that is shown one node cannot choose among brokers.
pub const ONE_NODE: &str =
    "This client is shown one node that stands for all brokers: each partition can be assigned to it alone.";

/// Why a replica cannot be on a node.
#[must_use]
pub fn not_here(id: messages::BrokerId, seen: &Seen<'_>) -> StrBytes {
    if seen.view == View::Single {
        return StrBytes::from_static_str(ONE_NODE);
    }
    StrBytes::from_string(format!("Broker {} is not on the cluster where topics of this name live.", id.0))
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: messages::BrokerId,
    /// Its host.
    pub host: StrBytes,
    /// Its port.
    pub port: i32,
    /// The rack of the broker behind it, if one is told.
    pub rack: Option<StrBytes>,
}

impl Seen<'_> {
    /// A real broker id as the client sees it; sentinels pass.
    #[must_use]
    pub fn virtual_id(&self, cluster: Slot, broker: i32) -> messages::BrokerId {
        self.virtual_node(cluster, broker).0.into()
    }

    fn virtual_node(&self, cluster: Slot, broker: i32) -> VirtualNode {
        match self.view {
            View::Single if broker >= 0 => SINGLE,
            _ => self.placement.nodes.virtual_of(Target { cluster, broker: BrokerId(broker) }),
        }
    }

    /// The same for a list of replicas, each of them once.
    #[must_use]
    pub fn virtual_ids(&self, cluster: Slot, brokers: &[i32]) -> Vec<messages::BrokerId> {
        match self.view {
            View::Single => brokers.first().map(|broker| self.virtual_id(cluster, *broker)).into_iter().collect(),
            View::Brokers | View::Hosts => brokers.iter().map(|broker| self.virtual_id(cluster, *broker)).collect(),
        }
    }

    /// Replicas that are offline. The one node of `single` never is: others behind it may hold the partition.
    #[must_use]
    pub fn offline_ids(&self, cluster: Slot, brokers: &[i32]) -> Vec<messages::BrokerId> {
        if self.view == View::Single { Vec::new() } else { self.virtual_ids(cluster, brokers) }
    }

    /// Every node.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        if self.view == View::Single {
            return vec![self.node(SINGLE, None)];
        }
        let brokers = self.placement.brokers();
        let node = |(target, broker): (Target, &crate::upstream::Broker)| {
            let rack = broker.rack.as_deref().map(|rack| StrBytes::from_string(rack.to_owned()));
            let rack = rack.map(|rack| self.placement.our_rack(target.cluster, rack));
            self.node(self.placement.nodes.virtual_of(target), rack)
        };
        brokers.map(node).collect()
    }

    /// The node of a broker.
    #[must_use]
    pub fn node_of(&self, cluster: Slot, broker: i32, rack: Option<StrBytes>) -> Node {
        let rack = rack.filter(|_| self.view != View::Single).map(|rack| self.placement.our_rack(cluster, rack));
        self.node(self.virtual_node(cluster, broker), rack)
    }

    fn node(&self, id: VirtualNode, rack: Option<StrBytes>) -> Node {
        let address = self.front.address(self.view, id, self.placement);
        let host = StrBytes::from_string(address.host.to_string());
        Node { id: id.0.into(), host, port: address.port.into(), rack }
    }

    /// The controller; -1 where there is none.
    #[must_use]
    pub fn controller(&self) -> messages::BrokerId {
        let node = if self.view == View::Single { SINGLE } else { self.placement.controller() };
        node.0.into()
    }

    /// The broker behind a node that the client was told of.
    #[must_use]
    pub fn broker_behind(&self, node: VirtualNode) -> Option<Target> {
        match self.view {
            View::Single if node == SINGLE => self.placement.any_broker(self.placement.config.default_cluster),
            View::Single => None,
            View::Brokers | View::Hosts => self.placement.nodes.real_of(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::World;
    use crate::config::{Hosts, Nodes};
    use crate::placement::build::tests::slot;
    use crate::types::HostPort;

    fn told(world: &World) -> Vec<(i32, String, i32)> {
        world.seen(9).nodes().into_iter().map(|node| (node.id.0, node.host.to_string(), node.port)).collect()
    }

    #[test]
    fn single_is_one_node_for_everything() {
        let world = World::default().shown(View::Single);
        let seen = world.seen(9);
        assert_eq!(told(&world), [(31 << 25, "proxy.example".to_owned(), 9092)]);
        assert_eq!((seen.controller().0, seen.virtual_id(slot(1), 3).0), (31 << 25, 31 << 25));
        assert_eq!(seen.virtual_id(slot(1), -1).0, -1, "nobody is nobody");
        assert_eq!(seen.virtual_ids(slot(1), &[1, 2, 3]), [messages::BrokerId(31 << 25)]);
        assert!(seen.virtual_ids(slot(1), &[]).is_empty());
        assert!(seen.offline_ids(slot(1), &[2]).is_empty());
        assert_eq!(seen.broker_behind(SINGLE), Some(crate::api::testing::at(0, 2)));
        assert_eq!(seen.broker_behind(VirtualNode(1)), None);
    }

    #[test]
    fn hosts_are_the_nodes_of_brokers_each_at_its_own_address() {
        let mut world = World::default().shown(View::Hosts);
        world.front.hosts = Some(Hosts::Names { template: "n{node}.k.example".into(), port: 9093 });
        let nodes = told(&world);
        assert_eq!(nodes.len(), 6);
        assert_eq!(nodes[0], (1, "n1.k.example".to_owned(), 9093));
        assert_eq!(nodes[3], (33_554_433, "n33554433.k.example".to_owned(), 9093));
        world.front.hosts = Some(Hosts::Ports { host: "k.example".into(), ports: 100..=163 });
        let ports: Vec<_> = told(&world).into_iter().map(|(_, _, port)| port).collect();
        assert_eq!(ports, [101, 102, 103, 133, 134, 135]);
        let node = world.seen(9).node_of(slot(1), 1, None);
        assert_eq!((node.host.as_str(), node.port), ("k.example", 133));
    }

    #[test]
    fn a_client_is_shown_what_it_can_use_or_what_the_listener_says() {
        let world = World::default();
        let config = &world.placement.config;
        let mut front = crate::placement::Front::plain(HostPort::new("h", 1));
        let view = |front: &crate::placement::Front, name, version| front.view(name, version, config);
        assert_eq!(view(&front, "kgo", "v1"), View::Brokers);
        assert_eq!(view(&front, "", ""), View::Single);
        assert_eq!(view(&front, "librdkafka", "2.3.0"), View::Single);
        front.hosts = Some(Hosts::Names { template: "{node}".into(), port: 1 });
        assert_eq!((view(&front, "kgo", "v1"), view(&front, "", "")), (View::Brokers, View::Hosts));
        for all in [View::Brokers, View::Hosts, View::Single] {
            front.nodes = Nodes::All(all);
            assert_eq!(view(&front, "kgo", "v1"), all);
            assert_eq!(front.harms("", "", config), all == View::Brokers);
            assert!(!front.harms("kgo", "v1", config));
        }
    }
}
