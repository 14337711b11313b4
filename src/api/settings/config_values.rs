//! Config values that hold broker ids or addresses of a cluster, and what clients see instead.
//!
//! A value that is an address is not shown, as Kafka does not show a secret: null, and marked sensitive. It would be
//! of no use to a client, which cannot reach it. Broker ids become virtual: in `broker.id` and `node.id`, and in the
//! `partition:broker` pairs of `leader.replication.throttled.replicas` and its follower twin, there both ways, so that
//! a tool reads back what it wrote.

use crate::api::Seen;
use crate::api::scrub::names_host;
use crate::types::{Slot, VirtualNode};
use kafka_protocol::protocol::StrBytes;

fn lists_replicas(name: &str) -> bool {
    matches!(name, "leader.replication.throttled.replicas" | "follower.replication.throttled.replicas")
}

fn is_broker_id(name: &str) -> bool {
    matches!(name, "broker.id" | "node.id")
}

/// Addresses and lists of addresses: Kafka's own, and whatever distributors name alike.
fn is_address(name: &str) -> bool {
    let whole = ["port", "advertised.port", "host.name", "advertised.host.name", "controller.quorum.voters"];
    let ends = ["listeners", "bootstrap.servers", "zookeeper.connect"];
    whole.contains(&name) || ends.iter().any(|end| name.ends_with(end))
}

/// What clients see of a cluster's value. `true` where it is taken away.
pub fn show(name: &str, value: &mut Option<StrBytes>, cluster: Slot, seen: &Seen<'_>) -> bool {
    let hidden = |value: &StrBytes| is_address(name) || names_host(value, cluster, seen.placement);
    if value.as_ref().is_some_and(hidden) {
        *value = None;
        return true;
    }
    let virtual_id = |id| Some(seen.virtual_id(cluster, id).0);
    if is_broker_id(name) {
        let id = value.as_ref().and_then(|value| value.parse().ok()).and_then(virtual_id);
        *value = id.map(|id: i32| StrBytes::from_string(id.to_string()));
    }
    translate(name, value, virtual_id);
    false
}

/// Translates the ids of a client's value into the cluster's own. A node of another cluster stays as it is, and the
/// cluster then throttles nothing for it.
pub fn to_real(name: &str, value: &mut Option<StrBytes>, cluster: Slot, seen: &Seen<'_>) {
    translate(name, value, |id| {
        let real = seen.broker_behind(VirtualNode(id))?;
        (real.cluster == cluster).then_some(real.broker.0)
    });
}

fn translate(name: &str, value: &mut Option<StrBytes>, other: impl Fn(i32) -> Option<i32>) {
    if !lists_replicas(name) {
        return;
    }
    let Some(text) = value.as_ref().filter(|text| text.contains(':')) else { return };
    let pair = |pair: &str| {
        let (partition, broker) = pair.split_once(':')?;
        let broker = other(broker.trim().parse().ok()?)?;
        Some(format!("{partition}:{broker}"))
    };
    let pairs: Vec<_> = text.split(',').map(|text| pair(text).unwrap_or_else(|| text.to_owned())).collect();
    *value = Some(StrBytes::from_string(pairs.join(",")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, text};
    use crate::placement::build::tests::slot;

    fn shown(name: &str, value: &str) -> (Option<StrBytes>, bool) {
        let mut value = Some(text(value));
        let hidden = show(name, &mut value, slot(1), &World::default().seen(4));
        (value, hidden)
    }

    #[test]
    fn throttled_replicas_are_translated_both_ways() {
        let name = "leader.replication.throttled.replicas";
        let (mut value, _) = shown(name, "0:1,1:3");
        assert_eq!(value, Some(text("0:33554433,1:33554435")));
        to_real(name, &mut value, slot(1), &World::default().seen(4));
        assert_eq!(value, Some(text("0:1,1:3")));
        for other in ["*", "", "0:x"] {
            assert_eq!(shown(name, other), (Some(text(other)), false));
        }
        assert_eq!(shown("some.other", "0:1"), (Some(text("0:1")), false));
    }

    #[test]
    fn addresses_are_taken_away_and_ids_are_virtual() {
        for name in ["advertised.listeners", "listeners", "port", "controller.quorum.voters", "x.bootstrap.servers"] {
            assert_eq!(shown(name, "1@anything:9093"), (None, true), "{name}");
        }
        assert_eq!(shown("x.y", "http://secret-b-1.internal:80/"), (None, true));
        assert_eq!(shown("node.id", "2"), (Some(text("33554434")), false));
        assert_eq!(shown("broker.id", "-1"), (Some(text("-1")), false));
        assert_eq!(shown("broker.rack", "r1"), (Some(text("r1")), false));
    }
}
