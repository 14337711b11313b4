//! A consumer group of one member that reads while the load runs and goes on until it has everything. A fault may make
//! it join again and read some records twice; it may miss none and must not stand still.

use super::produce::client;
use super::progress::Step;
use super::{Shared, TO_DRAIN};
use crate::harness::Bootstrap;
use crate::history::{History, Outcome, Partition, Payload};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const A_POLL: Duration = Duration::from_millis(100);
/// Between two looks whether everything is there, which takes the history's lock.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What a group got.
pub(super) struct Seen(HashSet<Payload>);

impl Seen {
    /// Acknowledged records that are not among it.
    pub(super) fn missing(&self, history: &History) -> Vec<String> {
        let acknowledged = history.sent.iter().filter(|(_, sent)| matches!(sent.outcome, Outcome::Acknowledged(_)));
        let missing = acknowledged.filter(|(payload, _)| !self.0.contains(payload));
        missing.map(|(payload, sent)| format!("{payload} of {}", sent.partition)).collect()
    }
}

/// Reads until it has all that was acknowledged, or until the time is over.
pub(super) fn read_as_group(group: &str, bootstrap: &Bootstrap, topics: &[String], shared: &Shared) -> Seen {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("auto.commit.interval.ms", "500")
        // Longer than it takes to see that a broker is frozen and who coordinates instead, also on busy cores: a member that
        // takes itself for lost joins as a new one, and its group waits for the end of the old one's session.
        .set("session.timeout.ms", "12000")
        .set("heartbeat.interval.ms", "1000")
        .set("fetch.wait.max.ms", "100")
        .create()
        .expect("a consumer");
    consumer.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).expect("a subscription");
    let mut seen = Seen(HashSet::new());
    let (mut deadline, mut next_look) = (None, Instant::now());
    loop {
        if shared.drained.load(Ordering::Relaxed) && Instant::now() >= next_look {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + TO_DRAIN);
            if Instant::now() >= deadline || seen.missing(&shared.history()).is_empty() {
                return seen;
            }
            next_look = Instant::now() + BETWEEN_LOOKS;
        }
        // Errors come and go with brokers; what counts is what it gets in the end.
        if let Some(Ok(message)) = consumer.poll(A_POLL)
            && let Some(payload) = message.payload().and_then(Payload::parse)
        {
            seen.0.insert(payload);
            let partition = Partition::new(message.topic(), message.partition());
            shared.progress.came(Step::ReadByGroup, payload, &partition);
        }
    }
}
