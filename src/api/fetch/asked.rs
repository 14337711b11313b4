//! A full Fetch as it is split: every partition with where its client stands and the broker that is asked for it, or
//! the answer that we give.

use super::super::{Effect, Effects, Seen, codes};
use super::told::nothing;
use super::{Found, NO_SESSION, fill_in, leader};
use crate::types::{Target, fast_hash};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// A partition: a hash of its topic's name, and its number. Answers are told apart by the topic's id and the offset too
/// (`Position`), so that a name's memory would be wasted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub(super) topic: u64,
    pub(super) index: i32,
}

impl Place {
    pub(super) fn of(topic: &str, index: i32) -> Self {
        Self { topic: fast_hash(topic), index }
    }
}

/// Where a client stands in a partition. An answer for another position is none for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The topic's: one that was made again under the same name is another.
    pub id: Uuid,
    /// The first offset that is wanted.
    pub offset: i64,
    /// What the client holds for the leader's epoch.
    pub epoch: i32,
    /// That of the last record it has.
    pub fetched_epoch: i32,
}

/// See the module's text.
#[derive(Debug)]
pub struct Asked {
    /// The request without its partitions, as brokers may see it: no session, no rack.
    pub(super) terms: FetchRequest,
    pub(super) topics: Vec<(TopicName, Uuid)>,
    /// In the client's order.
    pub(super) entries: Vec<Entry>,
    /// Each once.
    pub(super) brokers: Vec<Target>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) topic: usize,
    pub(super) place: Place,
    pub(super) at: Position,
    pub(super) whom: Whom,
    pub(super) asked: FetchPartition,
}

/// Who answers for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// The broker at this place in the list.
    Broker(usize),
    /// We do, with this error.
    Us(i16),
}

impl Asked {
    /// Reads a full fetch.
    #[must_use]
    pub fn of(request: FetchRequest, seen: &Seen<'_>) -> Self {
        let mut terms = request.with_session_id(NO_SESSION).with_session_epoch(-1).with_rack_id(StrBytes::new());
        terms.forgotten_topics_data.clear();
        fill_in(&mut terms, seen);
        let named = std::mem::take(&mut terms.topics);
        let mut this = Self { terms, topics: Vec::new(), entries: Vec::new(), brokers: Vec::new() };
        for mut topic in named {
            for asked in std::mem::take(&mut topic.partitions) {
                let whom = match leader(&topic, asked.partition, seen) {
                    Found::At(to) => Whom::Broker(this.broker(to)),
                    Found::Never(code) => Whom::Us(code),
                };
                this.entries.push(Entry::of(this.topics.len(), &topic, asked, whom));
            }
            this.topics.push((topic.topic, topic.topic_id));
        }
        this
    }

    fn broker(&mut self, to: Target) -> usize {
        self.brokers.iter().position(|known| *known == to).unwrap_or_else(|| {
            self.brokers.push(to);
            self.brokers.len() - 1
        })
    }

    /// The topics it names.
    pub fn topics(&self) -> impl Iterator<Item = (&StrBytes, Uuid)> {
        self.topics.iter().map(|(name, id)| (&name.0, *id))
    }

    /// The brokers it is for.
    #[must_use]
    pub fn brokers(&self) -> &[Target] {
        &self.brokers
    }

    /// Whether one broker answers all of it.
    #[must_use]
    pub fn is_for_one(&self) -> bool {
        self.brokers.len() == 1 && self.entries.iter().all(|entry| matches!(entry.whom, Whom::Broker(_)))
    }

    /// What is asked of one of its brokers. A partition that is named twice is asked once: nobody says which of two
    /// offsets a broker would take.
    pub(super) fn request_for(&self, broker: usize, mut ask: impl FnMut(Place, Position) -> bool) -> FetchRequest {
        let mut request = self.terms.clone();
        let mut last = usize::MAX;
        for entry in self.entries.iter().filter(|entry| entry.whom == Whom::Broker(broker)) {
            if !ask(entry.place, entry.at) {
                continue;
            }
            if entry.topic != last {
                last = entry.topic;
                let Some((name, id)) = self.topics.get(last) else { continue };
                request.topics.push(FetchTopic::default().with_topic(name.clone()).with_topic_id(*id));
            }
            if let Some(topic) = request.topics.last_mut() {
                topic.partitions.push(entry.asked.clone());
            }
        }
        request
    }

    /// The answer to the client, in its order and without a session, from what is told of each partition.
    pub(super) fn answer(&self, mut tell: impl FnMut(&Entry) -> PartitionData) -> FetchResponse {
        let topic = |(name, id): &(TopicName, Uuid)| {
            FetchableTopicResponse::default().with_topic(name.clone()).with_topic_id(*id)
        };
        let mut responses: Vec<_> = self.topics.iter().map(topic).collect();
        for entry in &self.entries {
            if let Some(topic) = responses.get_mut(entry.topic) {
                topic.partitions.push(tell(entry));
            }
        }
        FetchResponse::default().with_session_id(NO_SESSION).with_responses(responses)
    }

    /// The answer when no broker gave one: the client asks again.
    pub(super) fn failed(&self, effects: &mut Effects) -> FetchResponse {
        self.answer(|entry| {
            let code = match entry.whom {
                Whom::Us(code) => code,
                Whom::Broker(broker) => {
                    if let (Some(to), Some((name, _))) = (self.brokers.get(broker), self.topics.get(entry.topic)) {
                        effects.push(Effect::Refresh(to.cluster, name.0.clone()));
                    }
                    codes::NOT_LEADER_OR_FOLLOWER
                }
            };
            nothing(entry.asked.partition, code)
        })
    }
}

impl Entry {
    fn of(at: usize, topic: &FetchTopic, asked: FetchPartition, whom: Whom) -> Self {
        let (offset, epoch) = (asked.fetch_offset, asked.current_leader_epoch);
        let position = Position { id: topic.topic_id, offset, epoch, fetched_epoch: asked.last_fetched_epoch };
        Self { topic: at, place: Place::of(&topic.topic.0, asked.partition), at: position, whom, asked }
    }
}
