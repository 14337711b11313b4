//! The id that clients are shown of a topic: its own, or one of ours where its cluster gives none (before Kafka 2.8).
//!
//! Clients see one table of versions, whatever clusters speak, and Java sends what the highest one has: a Produce 13 names topics
//! by their ids alone (KIP-516), and one without is a topic that nobody can find. So each topic has one. Ours is made of where it lives and
//! what it is called: every replica makes the same, and it stays over restarts. A topic that is deleted and made again keeps it,
//! as it keeps its name: its cluster knows no difference either.
//!
//! Such a cluster is asked by names. Its brokers may speak versions that have ids all the same: Kafka from 3.1 whose
//! `inter.broker.protocol.version` is still below 2.8, as in the middle of an upgrade (`session::fetch` sees to it).

use crate::types::Slot;
use uuid::{Builder, Uuid};

/// The topic's own id, or ours.
#[must_use]
pub fn shown_id(own: Uuid, cluster: Slot, name: &str) -> Uuid {
    if own.is_nil() { of_ours(cluster, name) } else { own }
}

/// Version 8 of UUIDs is for such; Kafka's own are random ones (version 4), so that none is both.
fn of_ours(cluster: Slot, name: &str) -> Uuid {
    let place = std::iter::once(cluster.number());
    Builder::from_custom_bytes(fnv1a(place.chain(name.bytes())).to_be_bytes()).into_uuid()
}

/// FNV-1a with 128 bits: the same in every build, which the standard library's hashes do not promise.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::build::tests::slot;

    #[test]
    fn a_topic_without_an_id_gets_one_that_never_changes() {
        let id = |cluster, name| shown_id(Uuid::nil(), slot(cluster), name);
        assert_eq!(id(1, "orders").to_string(), "cf6292f5-9a4f-878c-8ecd-f305f6c39ffd");
        assert_ne!(id(1, "orders"), id(0, "orders"), "another topic, on another cluster");
        assert_ne!(id(1, "orders"), id(1, "order"));
        assert_eq!(id(0, "").get_version_num(), 8, "as no id of Kafka's");
    }

    #[test]
    fn a_topics_own_id_is_shown() {
        let own = Uuid::from_u128(7);
        assert_eq!(shown_id(own, slot(1), "orders"), own);
    }
}
