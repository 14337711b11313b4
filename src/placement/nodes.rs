//! Virtual node ids: `slot << 25 | broker` for broker ids below 2^24, `slot << 25 | 1 << 24 | hash` for larger ones
//! (WarpStream's are arbitrary). Negative ids are Kafka's sentinels and pass unchanged, both ways.

use crate::types::{BrokerId, Slot, Target, VirtualNode};
use std::collections::HashMap;

/// The one node of the view `single`: above every slot's, the same on every replica.
pub const SINGLE: VirtualNode = VirtualNode(31 << SLOT_BITS);

const SLOT_BITS: u32 = 25;
/// Set where the low bits are a hash and not the broker's id itself.
const HASHED: i32 = 1 << 24;
const LOW: i32 = HASHED - 1;

/// The way back from hashed ids; the others need no table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    hashed: HashMap<VirtualNode, Target>,
}

impl Nodes {
    /// A map that knows the way back for these brokers. Also gives the pairs whose hashes meet: harmless, since
    /// routing goes by content, and worth a log line.
    #[must_use]
    pub fn of(brokers: impl Iterator<Item = Target>) -> (Self, Vec<(Target, Target)>) {
        let mut nodes = Self::default();
        let mut collisions = Vec::new();
        for target in brokers.filter(|target| target.broker.0 >= HASHED) {
            match nodes.hashed.insert(nodes.virtual_of(target), target) {
                Some(other) if other != target => collisions.push((other, target)),
                _ => {}
            }
        }
        (nodes, collisions)
    }

    /// What clients see for a broker.
    #[must_use]
    pub fn virtual_of(&self, target: Target) -> VirtualNode {
        let BrokerId(id) = target.broker;
        let slot = i32::from(target.cluster.number()) << SLOT_BITS;
        match id {
            ..0 => VirtualNode(id),
            0..HASHED => VirtualNode(slot | id),
            // Truncated on purpose: 24 bits of the hash are wanted.
            HASHED.. => VirtualNode(slot | HASHED | (crc32c::crc32c(&id.to_be_bytes()).cast_signed() & LOW)),
        }
    }

    /// The broker behind a virtual id; `None` for sentinels and for ids that were never shown.
    #[must_use]
    pub fn real_of(&self, node: VirtualNode) -> Option<Target> {
        let cluster = u8::try_from(node.0 >> SLOT_BITS).ok().and_then(Slot::new)?;
        if node.0 & HASHED != 0 {
            return self.hashed.get(&node).copied();
        }
        Some(Target { cluster, broker: BrokerId(node.0 & LOW) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slots() -> impl Strategy<Value = Slot> {
        (0..=Slot::MAX).prop_filter_map("a slot", Slot::new)
    }

    proptest! {
        #[test]
        fn node_ids_round_trip(cluster in slots(), broker in 0..=i32::MAX) {
            let target = Target { cluster, broker: BrokerId(broker) };
            let (nodes, _) = Nodes::of(std::iter::once(target));
            let node = nodes.virtual_of(target);
            prop_assert!((0..31 << 25).contains(&node.0));
            prop_assert_eq!(nodes.real_of(node), Some(target));
        }

        #[test]
        fn sentinels_pass(cluster in slots(), sentinel in i32::MIN..0) {
            let nodes = Nodes::default();
            prop_assert_eq!(nodes.virtual_of(Target { cluster, broker: BrokerId(sentinel) }), VirtualNode(sentinel));
            prop_assert_eq!(nodes.real_of(VirtualNode(sentinel)), None);
        }

        #[test]
        fn no_virtual_id_panics(node: i32) {
            let _ = Nodes::default().real_of(VirtualNode(node));
        }
    }

    #[test]
    fn two_clusters_never_share_an_id() {
        let at = |slot, broker| Target { cluster: Slot::new(slot).unwrap(), broker: BrokerId(broker) };
        let nodes = Nodes::default();
        assert_ne!(nodes.virtual_of(at(0, 1)), nodes.virtual_of(at(1, 1)));
        assert_eq!(nodes.virtual_of(at(1, 1)), VirtualNode(33_554_433));
    }

    #[test]
    fn colliding_hashes_are_told() {
        // Found by search: the low 24 bits of their hashes are the same.
        const COLLIDING: [i32; 2] = [870_772_519, 1_017_134_387];
        let targets = COLLIDING.map(|id| Target { cluster: Slot::new(3).unwrap(), broker: BrokerId(id) });
        assert_eq!(Nodes::of(targets.into_iter()).1, vec![(targets[0], targets[1])]);
    }
}
