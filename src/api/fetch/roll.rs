//! The partitions that a client's Fetches name, each with a place of its own (a *slot*), in the order in which they were last
//! named. A client without a session names all that it reads each time, and nearly always in the order of the time before,
//! from somewhere else on: so whoever follows that order finds each next one without looking for it by name.

use super::super::needs::sought_unknown;
use super::super::{Seen, codes};
use super::asked::{Asked, AskedTopic, Entry, Whom};
use super::{Found, leader};
use crate::placement::TopicPlace;
use crate::types::{FastMap, Name, Target};
use crate::wire::fetch::{Flat, FlatTopic};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use uuid::Uuid;

/// Which partition of a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// Which topic of a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TopicSlot(u32);

/// Nothing follows.
const NOBODY: u32 = u32::MAX;
/// What was never looked up.
const NEVER: u64 = u64::MAX;
/// Slots that nobody names any more are forgotten when there are so many more than twice the others.
const LEFT_OVER: usize = 1_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Roll {
    topics: Vec<Topic>,
    slots: Vec<Known>,
    by_name: FastMap<Called, u32>,
    by_number: FastMap<(u32, i32), u32>,
    /// Numbers Fetches.
    fetches: u32,
    /// How many partitions its Fetches name, the latest counting most.
    named: usize,
}

/// A topic as the client calls it: by name, or by id where that is empty.
type Called = (StrBytes, Uuid);

#[derive(Debug)]
struct Topic {
    called: Called,
    /// Its name and id, so that any version can be written.
    name: StrBytes,
    id: Uuid,
    place: Option<Arc<TopicPlace>>,
    /// The placement that this is of.
    checked: u64,
    next: u32,
    /// Another one has its name.
    gone: bool,
}

#[derive(Debug)]
struct Known {
    topic: u32,
    index: i32,
    /// Whose it was in the placement of this number.
    whom: Whom,
    checked: u64,
    next: u32,
    /// The last Fetch that named it, and where it stands there.
    fetch: u32,
    named_at: u32,
    /// Where it stands in the Fetch that is served.
    entry: u32,
    /// What was last told of its ends.
    ends: [i64; 3],
}

/// Ends of which nobody told anything.
const UNTOLD: [i64; 3] = [-1; 3];

/// What a Fetch names, and who answers.
#[derive(Debug)]
pub struct Settled {
    /// It.
    pub asked: Asked,
    /// Some topic is unknown and nobody was asked about it.
    pub unsought: bool,
    /// The pipeline of all its topics.
    pub pipeline: Name,
}

impl Roll {
    /// Finds the slots of all that is named, and who leads them. `generation` numbers placements: what was found in one of
    /// the same number holds. As with Kafka, a partition that is named twice is asked where it was named last, and told of
    /// where it was named first.
    pub(super) fn settle(
        &mut self,
        flat: &Flat,
        generation: u64,
        mut broker: impl FnMut(Target) -> u16,
        seen: &Seen<'_>,
    ) -> Settled {
        self.fetches = self.fetches.wrapping_add(1);
        self.named = (self.named - self.named / 8).max(flat.parts.len());
        let mut asked = Asked::new(flat.terms, seen.version, flat.topics.len(), flat.parts.len());
        let (mut before, mut topic_before) = (NOBODY, NOBODY);
        let (mut unsought, mut twice) = (false, false);
        let mut pipeline = Pipeline::default();
        for (named, parts) in flat.each().filter(|(_, parts)| !parts.is_empty()) {
            let at = self.topic(named, topic_before, generation, seen);
            topic_before = at;
            unsought |= self.count(at, named, &mut pipeline, seen);
            for part in parts {
                let slot = self.slot(at, part.index, before);
                before = slot;
                let whom = self.whom(slot, generation, &mut broker, seen);
                let Some(known) = self.slots.get_mut(slot as usize) else { continue };
                let entry = Entry { slot: Slot(slot), whom, part: *part };
                if known.fetch == self.fetches {
                    twice = true;
                    asked.name_again(known.named_at as usize, entry);
                } else {
                    known.fetch = self.fetches;
                    known.named_at = u32::try_from(asked.entries.len()).unwrap_or(NOBODY);
                    asked.entries.push(entry);
                }
            }
            asked.topics.push(AskedTopic { slot: TopicSlot(at), end: asked.entries.len() });
        }
        if twice {
            asked.drop_empty_topics();
        }
        asked.note_brokers();
        Settled { asked, unsought, pipeline: pipeline.name() }
    }

    /// The topic that is named so, looked up where the placement is another than the last time.
    fn topic(&mut self, named: &FlatTopic, before: u32, generation: u64, seen: &Seen<'_>) -> u32 {
        let at = self.follow(named, before);
        let Some(topic) = self.topics.get_mut(at as usize) else { return at };
        if topic.checked == generation && topic.place.is_some() {
            return at;
        }
        let place = seen.placement.topic_of(&named.name, named.id);
        if place.is_none_or(|place| topic.id.is_nil() || topic.id == place.topic.id) {
            topic.look(place, generation);
            return at;
        }
        // Made again under the same name: what was told of the other one is none of this one's.
        topic.gone = true;
        let called = topic.called.clone();
        self.by_name.remove(&called);
        let at = self.follow(named, before);
        if let Some(topic) = self.topics.get_mut(at as usize) {
            topic.look(place, generation);
        }
        at
    }

    /// The topic that is named so: mostly the one that came next the last time.
    fn follow(&mut self, named: &FlatTopic, before: u32) -> u32 {
        let is = |topic: &Topic| topic.called.1 == named.id && topic.called.0 == named.name && !topic.gone;
        let next = match self.topics.get(before as usize) {
            Some(before) => before.next,
            None => 0,
        };
        if self.topics.get(next as usize).is_some_and(is) {
            return next;
        }
        let known = self.by_name.get(&(named.name.clone(), named.id)).copied();
        let found = known.unwrap_or_else(|| {
            // A copy: a slice of the frame would keep it.
            self.add((StrBytes::from_string(named.name.to_string()), named.id))
        });
        if let Some(before) = self.topics.get_mut(before as usize) {
            before.next = found;
        }
        found
    }

    fn add(&mut self, called: Called) -> u32 {
        let at = u32::try_from(self.topics.len()).unwrap_or(NOBODY);
        self.by_name.insert(called.clone(), at);
        self.topics.push(Topic::new(called));
        at
    }

    /// Counts a topic's pipeline. Whether the topic is unknown, and nobody was asked.
    fn count(&self, at: u32, named: &FlatTopic, all: &mut Pipeline, seen: &Seen<'_>) -> bool {
        if let Some(place) = self.topics.get(at as usize).and_then(|topic| topic.place.as_ref()) {
            all.and(&place.pipeline);
            return false;
        }
        if let Some((pipeline, _)) = seen.placement.home_of(&named.name, named.id) {
            all.and(pipeline);
        }
        sought_unknown(seen, &named.name).is_none()
    }

    /// The slot of a partition: mostly the one that came next the last time.
    #[inline]
    fn slot(&mut self, topic: u32, index: i32, before: u32) -> u32 {
        let next = match self.slots.get(before as usize) {
            Some(before) => before.next,
            None => 0,
        };
        if self.slots.get(next as usize).is_some_and(|known| known.topic == topic && known.index == index) {
            return next;
        }
        self.find(topic, index, before)
    }

    fn find(&mut self, topic: u32, index: i32, before: u32) -> u32 {
        let new = u32::try_from(self.slots.len()).unwrap_or(NOBODY);
        let found = *self.by_number.entry((topic, index)).or_insert(new);
        if found == new {
            self.slots.push(Known::new(topic, index));
        }
        if let Some(before) = self.slots.get_mut(before as usize) {
            before.next = found;
        }
        found
    }

    #[inline]
    fn whom(&mut self, slot: u32, generation: u64, broker: &mut impl FnMut(Target) -> u16, seen: &Seen<'_>) -> Whom {
        let Some(known) = self.slots.get_mut(slot as usize) else { return Whom::Us(codes::NOT_LEADER_OR_FOLLOWER) };
        if known.checked == generation {
            return known.whom;
        }
        let Some(topic) = self.topics.get(known.topic as usize) else { return known.whom };
        known.whom = match leader(topic.place.as_deref(), &topic.called.0, known.index, seen) {
            Found::At(to) => Whom::Broker(broker(to)),
            Found::Never(code) => Whom::Us(code),
        };
        // What is unknown is looked for each time.
        known.checked = if topic.place.is_some() { generation } else { NEVER };
        known.whom
    }

    /// It is this Fetch's turn.
    pub(super) fn serve(&mut self, asked: &Asked) {
        for (at, entry) in (0..).zip(&asked.entries) {
            if let Some(known) = self.slots.get_mut(entry.slot.0 as usize) {
                known.entry = at;
            }
        }
    }

    /// Where a partition stands in the Fetch whose turn it is, where that names it.
    #[inline]
    pub(super) fn entry<'a>(&self, asked: &'a Asked, slot: Slot) -> Option<(usize, &'a Entry)> {
        let at = self.slots.get(slot.0 as usize)?.entry as usize;
        asked.entries.get(at).filter(|entry| entry.slot == slot).map(|entry| (at, entry))
    }

    /// Name and id of a topic, for any version.
    pub(super) fn name_of(&self, topic: TopicSlot) -> (StrBytes, Uuid) {
        self.topics.get(topic.0 as usize).map(|topic| (topic.name.clone(), topic.id)).unwrap_or_default()
    }

    /// The same as the client calls it.
    pub(super) fn called(&self, topic: TopicSlot) -> (&str, Uuid) {
        self.topics.get(topic.0 as usize).map_or(("", Uuid::nil()), |topic| (&*topic.called.0, topic.called.1))
    }

    /// A broker has told of its ends.
    #[inline]
    pub(super) fn tell(&mut self, slot: Slot, ends: [i64; 3]) {
        if let Some(known) = self.slots.get_mut(slot.0 as usize) {
            known.ends = ends;
        }
    }

    /// What was last told of them.
    #[inline]
    pub(super) fn ends(&self, slot: Slot) -> [i64; 3] {
        self.slots.get(slot.0 as usize).map_or(UNTOLD, |known| known.ends)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether most of it is of partitions that the client no longer names.
    pub(super) fn is_stale(&self) -> bool {
        self.slots.len() > 2 * self.named + LEFT_OVER || self.topics.len() > 2 * self.named + LEFT_OVER
    }

    /// An empty one in its place, into which [`Self::adopt`] takes what is still of use.
    pub(super) fn renew(&mut self) -> Self {
        let new = Self { fetches: self.fetches, named: self.named, ..Self::default() };
        std::mem::replace(self, new)
    }

    /// The slot here of what had that slot in an older one.
    pub(super) fn adopt(&mut self, old: &Self, slot: Slot) -> Slot {
        let Some(known) = old.slots.get(slot.0 as usize) else { return Slot(NOBODY) };
        let topic = self.adopt_topic(old, TopicSlot(known.topic)).0;
        let at = self.find(topic, known.index, NOBODY);
        if let Some(new) = self.slots.get_mut(at as usize) {
            (new.ends, new.fetch, new.entry) = (known.ends, known.fetch, known.entry);
        }
        Slot(at)
    }

    /// The same of a topic.
    pub(super) fn adopt_topic(&mut self, old: &Self, topic: TopicSlot) -> TopicSlot {
        let Some(known) = old.topics.get(topic.0 as usize) else { return TopicSlot(NOBODY) };
        if let Some(at) = self.by_name.get(&known.called) {
            return TopicSlot(*at);
        }
        let at = self.add(known.called.clone());
        if let Some(topic) = self.topics.get_mut(at as usize) {
            (topic.name, topic.id) = (known.name.clone(), known.id);
        }
        TopicSlot(at)
    }
}

impl Topic {
    fn new(called: Called) -> Self {
        let (name, id) = called.clone();
        Self { called, name, id, place: None, checked: NEVER, next: NOBODY, gone: false }
    }

    fn look(&mut self, place: Option<&Arc<TopicPlace>>, generation: u64) {
        if let Some(place) = place {
            (self.name, self.id) = (place.topic.name.clone(), place.topic.id);
        }
        (self.place, self.checked) = (place.cloned(), generation);
    }
}

impl Known {
    fn new(topic: u32, index: i32) -> Self {
        let whom = Whom::Us(codes::NOT_LEADER_OR_FOLLOWER);
        Self { topic, index, whom, checked: NEVER, next: NOBODY, fetch: 0, named_at: NOBODY, entry: NOBODY, ends: UNTOLD }
    }
}

/// The pipeline of all topics of a Fetch.
#[derive(Default)]
struct Pipeline {
    first: Option<Name>,
    several: bool,
}

impl Pipeline {
    fn and(&mut self, name: &Name) {
        match &self.first {
            None => self.first = Some(name.clone()),
            Some(first) => self.several |= !first.is_same(name) && first != name,
        }
    }

    fn name(self) -> Name {
        let none = Name::none();
        let several = self.several.then_some(&none);
        Name::of_all(self.first.iter().chain(several))
    }
}
