//! A forwarder before a broker that counts the Fetches which the broker holds: those that wait for records.

use super::refusing::{carry_frames, forward};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ApiKey, FetchRequest, RequestHeader};
use kafka_protocol::protocol::Decodable;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Listens on a port of its own as long as the process lives.
pub struct Counting {
    port: u16,
    count: Arc<Mutex<Count>>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    seen: usize,
    now: usize,
    most: usize,
}

impl Counting {
    /// Forwards to this port of loopback.
    pub fn before(to: u16) -> anyhow::Result<Self> {
        let count = Arc::new(Mutex::new(Count::default()));
        let shared = Arc::clone(&count);
        let port = forward(to, move |client, server| {
            // Those of one connection, by their correlation ids.
            let held = Arc::new(Mutex::new(BTreeSet::new()));
            let (up, down) = ((Arc::clone(&shared), Arc::clone(&held)), (Arc::clone(&shared), held));
            let asks = move |frame: Bytes| {
                if let Some(correlation) = long_poll(frame.clone()) {
                    lock(&up.1).insert(correlation);
                    let mut count = lock(&up.0);
                    count.seen += 1;
                    count.now += 1;
                    count.most = count.most.max(count.now);
                }
                frame
            };
            let answers = move |frame: Bytes| {
                let correlation = frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
                if correlation.is_some_and(|correlation| lock(&down.1).remove(&correlation)) {
                    lock(&down.0).now -= 1;
                }
                frame
            };
            carry_frames(client, server, asks, answers);
        })?;
        Ok(Self { port, count })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many there were in all, and how many at a time at most.
    pub fn long_polls(&self) -> (usize, usize) {
        let count = *lock(&self.count);
        (count.seen, count.most)
    }
}

fn long_poll(mut frame: Bytes) -> Option<i32> {
    let mut start = frame.clone();
    let (key, version) = (start.try_get_i16().ok()?, start.try_get_i16().ok()?);
    if key != ApiKey::Fetch as i16 {
        return None;
    }
    let head = RequestHeader::decode(&mut frame, ApiKey::Fetch.request_header_version(version)).ok()?;
    let request = FetchRequest::decode(&mut frame, version).ok()?;
    (request.max_wait_ms > 0).then_some(head.correlation_id)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
