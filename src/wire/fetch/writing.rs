//! An answer to a Fetch on its way into bytes, partition by partition: slices of brokers' frames, what the codec writes of
//! rarer ones, and of most that there is nothing new.

use super::super::codec::Unwritable;
use super::super::glance::FLEXIBLE_FETCH;
use super::super::pieces::Pieces;
use super::asked::{put_count, put_topic};
use super::{LOG_START, READ_REPLICA, SESSIONS};
use bytes::{BufMut, Bytes};
use kafka_protocol::messages::fetch_response::{NodeEndpoint, PartitionData};
use kafka_protocol::messages::{ApiKey, FetchResponse};
use kafka_protocol::protocol::Encodable;
use uuid::Uuid;

/// The most bytes of a partition without records.
const NOTHING: usize = 37;

/// The body of an answer.
pub struct Writing<'a> {
    to: Pieces<'a>,
    version: i16,
    failed: Option<Unwritable>,
}

impl<'a> Writing<'a> {
    /// The beginning of an answer of so many topics and partitions, without a session. Slices will be of `sources`.
    #[must_use]
    pub fn begin(version: i16, throttle_ms: i32, (topics, parts): (usize, usize), sources: &'a [Bytes]) -> Self {
        let mut to = Pieces::of_body(ApiKey::Fetch, sources, 64 + topics * 24 + parts * NOTHING);
        to.put_i32(throttle_ms);
        if version >= SESSIONS {
            to.put_i16(0); // no error
            to.put_i32(0); // no session
        }
        put_count(&mut to, version >= FLEXIBLE_FETCH, topics);
        Self { to, version, failed: None }
    }

    /// A topic of so many partitions, which come next.
    pub fn topic(&mut self, name: &str, id: Uuid, parts: usize) {
        put_topic(&mut self.to, self.version, name, id);
        put_count(&mut self.to, self.version >= FLEXIBLE_FETCH, parts);
    }

    /// The end of a topic.
    pub fn end_topic(&mut self) {
        if self.version >= FLEXIBLE_FETCH {
            self.to.put_u8(0);
        }
    }

    /// A partition as a broker has written it in this version.
    pub fn slice(&mut self, told: &[u8]) {
        self.to.put_slice(told);
    }

    /// A partition without records.
    #[inline]
    pub fn nothing(&mut self, index: i32, code: i16, ends: [i64; 3]) {
        if self.version >= FLEXIBLE_FETCH {
            // As most clients read it: in one piece. No aborted transaction, no replica to read from, no record, no tagged field.
            let mut all = [0xff; NOTHING];
            all[..4].copy_from_slice(&index.to_be_bytes());
            all[4..6].copy_from_slice(&code.to_be_bytes());
            all[6..14].copy_from_slice(&ends[0].to_be_bytes());
            all[14..22].copy_from_slice(&ends[1].to_be_bytes());
            all[22..30].copy_from_slice(&ends[2].to_be_bytes());
            all[30] = 1;
            all[35..].copy_from_slice(&[1, 0]);
            return self.to.put_small(&all);
        }
        self.to.put_i32(index);
        self.to.put_i16(code);
        self.to.put_i64(ends[0]);
        self.to.put_i64(ends[1]);
        if self.version >= LOG_START {
            self.to.put_i64(ends[2]);
        }
        self.to.put_i32(0);
        if self.version >= READ_REPLICA {
            self.to.put_i32(-1);
        }
        self.to.put_i32(0);
    }

    /// A partition that the codec has read.
    pub fn told(&mut self, told: &PartitionData) {
        if let Err(e) = told.encode(&mut self.to, self.version) {
            self.failed.get_or_insert(Unwritable::of(self.version, &e));
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// Where some of it cannot be written in this version.
    pub fn end(mut self, nodes: Vec<NodeEndpoint>) -> Result<Vec<Bytes>, Unwritable> {
        if nodes.is_empty() {
            self.end_topic(); // no tagged fields
        } else {
            let mut all = Vec::new();
            let written = FetchResponse::default().with_node_endpoints(nodes).encode(&mut all, self.version);
            written.map_err(|e| Unwritable::of(self.version, &e))?;
            // What stands behind the topics, of which there are none.
            let flexible = self.version >= FLEXIBLE_FETCH;
            let before = if self.version >= SESSIONS { 10 } else { 4 } + if flexible { 1 } else { 4 };
            self.to.put_slice(all.get(before..).unwrap_or_default());
        }
        self.failed.map_or_else(|| Ok(self.to.finish_body()), Err)
    }
}
