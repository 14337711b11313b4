//! Which port of a range each virtual node is shown at. A node's port is the same on every replica and after every
//! restart as far as possible: it has one that it prefers, by its id, and takes another only where that is taken. What
//! is known keeps its port while others come and go. Pure.

use crate::types::VirtualNode;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// A node's slot is above these bits.
const SLOT_BITS: u32 = 25;
/// Below it, the broker's own id or a hash of it.
const BROKER: i32 = (1 << 24) - 1;

/// The ports of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    range: RangeInclusive<u16>,
    /// Nodes that are there, and those that were, for as long as nobody else needs their port.
    taken: BTreeMap<VirtualNode, u16>,
}

impl Ports {
    /// The ports of these nodes. Also whether there are more nodes than ports, so that some share one.
    #[must_use]
    pub fn of(
        range: &RangeInclusive<u16>,
        nodes: impl Iterator<Item = VirtualNode>,
        before: Option<&Self>,
    ) -> (Self, bool) {
        let mut taken = before.map(|before| before.taken.clone()).unwrap_or_default();
        let live: BTreeSet<VirtualNode> = nodes.collect();
        let mut shared = false;
        for node in &live {
            if taken.contains_key(node) {
                continue;
            }
            let first = preferred(range, *node);
            let free = |port: &u16| !taken.values().any(|other| other == port);
            let of_the_gone = |port: &u16| !taken.iter().any(|(other, at)| at == port && live.contains(other));
            let found = from(range, first).find(free).or_else(|| from(range, first).find(of_the_gone));
            shared |= found.is_none();
            let port = found.unwrap_or(first);
            taken.retain(|other, at| *at != port || live.contains(other));
            taken.insert(*node, port);
        }
        (Self { range: range.clone(), taken }, shared)
    }

    /// Whether these are of that range.
    #[must_use]
    pub fn is_of(&self, range: &RangeInclusive<u16>) -> bool {
        self.range == *range
    }

    /// A node's port: the one that it will most probably get, where it is not known yet. All lead to the same place.
    #[must_use]
    pub fn port(&self, node: VirtualNode) -> u16 {
        self.taken.get(&node).copied().unwrap_or_else(|| preferred(&self.range, node))
    }
}

/// Each slot begins somewhere else, as far from the others as can be (its bits are reversed), and a cluster's brokers
/// follow each other, so that few nodes prefer one port.
pub fn preferred(range: &RangeInclusive<u16>, node: VirtualNode) -> u16 {
    let length = u32::try_from(range.len()).unwrap_or(1).max(1);
    let slot = (node.0 >> SLOT_BITS).cast_unsigned() & 31;
    // Five bits of 32, reversed.
    let begins = length * (slot.reverse_bits() >> 27) / 32;
    let broker = (node.0 & BROKER).cast_unsigned() % length;
    let offset = u16::try_from((begins + broker) % length).unwrap_or(0);
    range.start().saturating_add(offset)
}

/// All ports, beginning with this one.
fn from(range: &RangeInclusive<u16>, first: u16) -> impl Iterator<Item = u16> {
    (first..=*range.end()).chain(*range.start()..first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RANGE: RangeInclusive<u16> = 100..=115;

    fn node(slot: i32, broker: i32) -> VirtualNode {
        VirtualNode((slot << SLOT_BITS) | broker)
    }

    fn ports(nodes: &[VirtualNode], before: Option<&Ports>) -> Vec<u16> {
        let (ports, _) = Ports::of(&RANGE, nodes.iter().copied(), before);
        nodes.iter().map(|node| ports.port(*node)).collect()
    }

    #[test]
    fn clusters_begin_far_from_each_other_and_their_brokers_follow() {
        let nodes = [node(0, 1), node(0, 2), node(1, 1), node(1, 2), node(2, 1), node(3, 1)];
        assert_eq!(ports(&nodes, None), [101, 102, 109, 110, 105, 113]);
    }

    #[test]
    fn a_port_that_is_taken_is_left_to_who_has_it() {
        // Given two nodes that prefer one port
        let (one, other) = (node(0, 1), node(0, 17));
        assert_eq!(preferred(&RANGE, one), preferred(&RANGE, other));
        assert_eq!(ports(&[one, other], None), [101, 102]);
        // When the second was there first, then it keeps the port
        let (before, _) = Ports::of(&RANGE, [other].into_iter(), None);
        assert_eq!(ports(&[one, other], Some(&before)), [102, 101]);
        // And one that went away for a while finds its own again
        let (gone, _) = Ports::of(&RANGE, [one].into_iter(), Some(&before));
        assert_eq!(ports(&[one, other], Some(&gone)), [102, 101]);
    }

    #[test]
    fn nodes_that_are_gone_make_room_and_too_many_share() {
        let all: Vec<_> = (0..16).map(|broker| node(0, broker)).collect();
        let (full, shared) = Ports::of(&RANGE, all.iter().copied(), None);
        assert!(!shared);
        let (_, shared) = Ports::of(&RANGE, all.iter().copied().chain([node(1, 1)]), Some(&full));
        assert!(shared);
        let fewer: Vec<_> = all.iter().skip(1).copied().chain([node(1, 1)]).collect();
        let (ports, shared) = Ports::of(&RANGE, fewer.into_iter(), Some(&full));
        assert!(!shared);
        assert_eq!(ports.port(node(1, 1)), 100, "that of the one that is gone");
    }

    proptest! {
        #[test]
        fn every_node_has_a_port_of_its_own_and_keeps_it(
            first in prop::collection::btree_set((0..31_i32, 0..1 << 24), 0..8),
            second in prop::collection::btree_set((0..31_i32, 0..1 << 24), 0..8),
        ) {
            let first: Vec<_> = first.into_iter().map(|(slot, broker)| node(slot, broker)).collect();
            let mut both: BTreeSet<_> = second.into_iter().map(|(slot, broker)| node(slot, broker)).collect();
            let (before, _) = Ports::of(&RANGE, first.iter().copied(), None);
            both.extend(&first);
            let (after, shared) = Ports::of(&RANGE, both.iter().copied(), Some(&before));
            prop_assert!(!shared);
            prop_assert!(first.iter().all(|node| before.port(*node) == after.port(*node)));
            let different: BTreeSet<_> = both.iter().map(|node| after.port(*node)).collect();
            prop_assert_eq!(different.len(), both.len());
            prop_assert!(different.iter().all(|port| RANGE.contains(port)));
        }
    }
}
