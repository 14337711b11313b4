//! Which idempotent producer the broker of each partition has shown that it knows (L6): it has written a batch of that
//! producer there, for this session. Such a broker takes no later batch before an earlier one: it finds the gap in the
//! sequence, and says so. One that does not know the producer takes whatever comes first.
//!
//! So only what a broker has shown counts. It counts for newer epochs too, which a broker that knows the producer takes
//! from sequence 0 on alone. It does not count for ever: brokers forget producers that have not written for a day (the
//! least is what their operators say, `producer.id.expiration.ms`).
//!
//! Pure. One producer a partition, the last.

use crate::api::records::produce::Partition;
use crate::api::records::stamp::Stamp;
use crate::types::{FastMap, Target};
use std::time::{Duration, Instant};

/// So long what a broker has shown counts after it last wrote a batch.
const COUNTS: Duration = Duration::from_secs(600);
/// So many partitions of a session are remembered. Who has more begins anew, which costs each of them one way round.
const PARTITIONS: usize = 1 << 15;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Known(FastMap<Partition, Writer>);

#[derive(Clone, Copy, Debug)]
struct Writer {
    producer: i64,
    at: Target,
    /// When a batch of it was last written; not by the second.
    last: Instant,
}

impl Known {
    /// Whether this broker knows the producer of this batch there.
    #[must_use]
    pub fn knows(&self, partition: &Partition, stamp: Stamp, at: Target) -> bool {
        let fits = |writer: &&Writer| writer.producer == stamp.producer && writer.at == at;
        self.0.get(partition).filter(fits).is_some_and(|writer| writer.last.elapsed() < COUNTS)
    }

    /// A broker has written a batch.
    pub fn written(&mut self, partition: &Partition, stamp: Stamp, at: Target) {
        let now = Instant::now();
        if self.0.len() >= PARTITIONS && !self.0.contains_key(partition) {
            self.0.clear();
        }
        self.0.insert(*partition, Writer { producer: stamp.producer, at, last: now });
    }

    /// A broker has refused one: whether it still knows the producer is to be seen.
    pub fn refused(&mut self, partition: &Partition) {
        self.0.remove(partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{BrokerId, Slot};

    fn stamp(producer: i64, epoch: i16) -> Stamp {
        Stamp { producer, epoch, sequence: 5 }
    }

    fn broker(id: i32) -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(id) }
    }

    #[test]
    fn l6_a_broker_knows_whose_batch_it_has_written() {
        let (one, other) = (Partition::new("t", 0), Partition::new("t", 1));
        let mut known = Known::default();
        assert!(!known.knows(&one, stamp(7, 0), broker(1)));
        known.written(&one, stamp(7, 0), broker(1));
        assert!(known.knows(&one, stamp(7, 0), broker(1)));
        assert!(known.knows(&one, stamp(7, 1), broker(1)), "it takes a newer epoch from 0 on alone");
        assert!(!known.knows(&one, stamp(8, 0), broker(1)), "another producer");
        assert!(!known.knows(&one, stamp(7, 0), broker(2)), "another broker");
        assert!(!known.knows(&other, stamp(7, 0), broker(1)), "another partition");
        known.refused(&one);
        assert!(!known.knows(&one, stamp(7, 0), broker(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        for index in 0..=i32::try_from(PARTITIONS).unwrap() {
            known.written(&Partition::new("t", index), stamp(7, 0), broker(1));
        }
        assert_eq!(known.0.len(), 1);
    }
}
