//! The batches that a producer's requests hold: one and the same, or a pool of different ones made of events.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::batch;
use crate::codec::Codec;
use crate::events;

/// Batches, and the one of them that is first; all connections share them.
#[derive(Clone)]
pub(super) struct Pool {
    batches: Arc<[Vec<u8>]>,
    first: usize,
}

impl Pool {
    pub(super) fn of_one(batch: Vec<u8>) -> Self {
        Self { batches: Arc::new([batch]), first: 0 }
    }

    /// So many batches of `records` events each, numbered through, whose tokens come in turn.
    pub(super) fn of_events(batches: usize, records: usize, tokens: usize, codec: Codec) -> Result<Self> {
        ensure!(batches > 0 && records > 0, "no batches");
        let batch = |at: usize| {
            let section = events::section(at * records, records, tokens);
            Ok(batch::seal(records, codec, &codec.pack(&section)?))
        };
        Ok(Self { batches: (0..batches).map(batch).collect::<Result<_>>()?, first: 0 })
    }

    /// The same for connection `at` of `all`, each of which begins at another place.
    pub(super) fn share(&self, at: usize, all: usize) -> Self {
        let first = at * self.batches.len() / all.max(1);
        Self { batches: Arc::clone(&self.batches), first }
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// The batch of request `at`.
    pub(super) fn batch(&self, at: usize) -> &[u8] {
        self.batches.get((self.first + at) % self.batches.len().max(1)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka_protocol::records::RecordBatchDecoder;
    use std::collections::HashSet;

    #[test]
    fn events_come_in_turn() {
        // Given four batches of a hundred events with 200 tokens, as the last of four connections has them
        let pool = Pool::of_events(4, 100, 200, Codec::None).unwrap().share(3, 4);
        // When they are read
        let read = |at| RecordBatchDecoder::decode(&mut Bytes::copy_from_slice(pool.batch(at))).unwrap().records;
        let all: Vec<_> = (0..4).flat_map(read).collect();
        // Then all tokens came, and the fourth batch was first
        let token = |at: usize| all[at].headers[&b"token"[..]].clone().unwrap();
        assert_eq!(all.len(), 400);
        assert_eq!((0..400).map(token).collect::<HashSet<_>>().len(), 200);
        assert_eq!(token(0), events::token(100));
        // And a record is a KiB, about
        assert!((pool.batch(0).len() / 100).abs_diff(events::RECORD) < 50, "{}", pool.batch(0).len());
    }

    #[test]
    fn a_batch_says_what_it_is_compressed_with() {
        for (codec, attributes) in [(Codec::None, 0), (Codec::Lz4, 3), (Codec::Zstd, 4)] {
            let pool = Pool::of_events(1, 100, 50, codec).unwrap();
            assert_eq!((batch::verify(pool.batch(0)), pool.batch(0)[22]), (Some(100), attributes));
        }
    }
}
