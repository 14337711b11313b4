//! The partitions that a client's Fetches name, each with a place of its own (a *slot*), in the order in which they were last
//! named. A client without a session names all that it reads each time, and nearly always in the order of the time before,
//! from somewhere else on: so whoever follows that order finds each next one without looking for it by name.

use super::asked::{Asked, AskedTopic, Entry, Whom};
use super::{BY_ID, Found, is_renamed, may_seek, source};
use crate::api::needs::sought_unknown;
use crate::api::{Seen, codes};
use crate::placement::TopicPlace;
use crate::types::{FastMap, Name, Target};
use crate::wire::codec::copied;
use crate::wire::fetch::{Named, Terms};
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
/// What was not looked up, or is looked up each time.
const NEVER: u32 = 0;
/// Slots that nobody names any more are forgotten when there are so many more than twice the others.
const LEFT_OVER: usize = 1_000;

/// See the module's text. What each Fetch looks at of every partition is kept close together.
#[derive(Debug, Default)]
pub(super) struct Roll {
    topics: Vec<Topic>,
    /// What is seldom looked at of each topic.
    homes: Vec<Home>,
    slots: Vec<Known>,
    /// What was last told of the ends of each slot.
    ends: Vec<[i64; 3]>,
    by_name: FastMap<Called, u32>,
    by_number: FastMap<(u32, i32), u32>,
    pipelines: Vec<Name>,
    /// Numbers Fetches, and which of them the slots' entries are of.
    fetches: u32,
    served: u32,
    /// Numbers the placements that were looked at, and the one of these that is in force.
    looks: u32,
    generation: Option<u64>,
    /// How many partitions its Fetches name, the latest counting most.
    named: usize,
}

/// A topic as the client calls it: by name, or by id where that is empty.
type Called = (StrBytes, Uuid);

#[derive(Debug)]
struct Topic {
    called: Called,
    /// Which placement it was looked up in; [`NEVER`] where it was not there.
    looked: u32,
    /// Which pipeline is its.
    pipeline: u32,
    next: u32,
    /// Another one has its name.
    gone: bool,
}

#[derive(Debug, Default)]
struct Home {
    /// What its cluster calls it, and its id, so that any version can be written.
    name: StrBytes,
    id: Uuid,
    place: Option<Arc<TopicPlace>>,
}

#[derive(Debug)]
struct Known {
    topic: u32,
    index: i32,
    /// Whose it was in the placement that was looked at.
    whom: Whom,
    looked: u32,
    next: u32,
    /// The last Fetch that named it, and where it stands there, or in the one that is served.
    fetch: u32,
    entry: u32,
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
    /// Some topic is called otherwise where it lives, so that no broker's answer is the client's.
    pub renamed: bool,
    /// The pipeline of all its topics.
    pub pipeline: Name,
}

impl Roll {
    /// Finds the slots of all that is named, and who leads them. `generation` numbers placements: what was found in one of
    /// the same number holds. As with Kafka, a partition that is named twice is asked where it was named last, and told of
    /// where it was named first.
    pub(super) fn settle<'a>(
        &mut self,
        terms: Terms,
        named: impl Iterator<Item = Named<'a>>,
        generation: u64,
        mut broker: impl FnMut(Target) -> u16,
        seen: &Seen<'_>,
    ) -> Settled {
        self.begin(generation);
        let mut asked = Asked::new(terms, seen.version, self.fetches, self.named);
        let (mut topic, mut topic_before, mut before) = (None, NOBODY, NOBODY);
        let (mut unsought, mut renamed, mut twice, mut pipeline) = (false, false, false, Pipeline::default());
        for named in named {
            let part = match named {
                Named::Topic(name, id) => {
                    asked.end_topic();
                    topic = Some((name, id));
                    continue;
                }
                Named::Part(part) => part,
            };
            if let Some((name, id)) = topic.take() {
                // Not before it has a partition.
                topic_before = self.topic((name, id), topic_before, seen);
                unsought |= self.count(topic_before, &mut pipeline, seen);
                renamed |= seen.version < BY_ID && self.is_renamed(topic_before, seen.version);
                asked.topics.push(AskedTopic { slot: TopicSlot(topic_before), end: asked.entries.len() });
            }
            before = self.slot(topic_before, part.index, before);
            let whom = self.whom(before, &mut broker, seen);
            let Some(known) = self.slots.get_mut(before as usize) else { continue };
            let entry = Entry { slot: Slot(before), whom, part };
            if known.fetch == self.fetches {
                twice = true;
                asked.name_again(known.entry as usize, entry);
            } else {
                known.fetch = self.fetches;
                known.entry = u32::try_from(asked.entries.len()).unwrap_or(NOBODY);
                asked.name(entry);
            }
        }
        asked.end_topic();
        if twice {
            asked.drop_empty_topics();
        }
        self.named = (self.named - self.named / 8).max(asked.entries.len());
        let pipeline = pipeline.name(&self.pipelines);
        Settled { asked, unsought, renamed, pipeline }
    }

    fn is_renamed(&self, topic: u32, version: i16) -> bool {
        let place = self.homes.get(topic as usize).and_then(|home| home.place.as_ref());
        place.is_some_and(|place| is_renamed(place, version))
    }

    /// What it takes in memory, about: a map has a byte more for each of its places.
    pub(super) fn memory(&self) -> usize {
        let of_topic = size_of::<Topic>() + size_of::<Home>() + size_of::<(Called, u32)>() + 1;
        let of_slot = size_of::<Known>() + size_of::<[i64; 3]>() + size_of::<((u32, i32), u32)>() + 1;
        self.topics.capacity() * of_topic + self.slots.capacity() * of_slot
    }

    fn begin(&mut self, generation: u64) {
        self.fetches = self.fetches.wrapping_add(1);
        self.served = self.fetches;
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.looks = self.looks.checked_add(1).unwrap_or(1);
        }
    }

    /// The topic that is named so, looked up where the placement is another than the last time.
    #[inline]
    fn topic(&mut self, named: (&[u8], Uuid), before: u32, seen: &Seen<'_>) -> u32 {
        let at = self.follow(named, before);
        match self.topics.get(at as usize) {
            Some(topic) if topic.looked != self.looks => self.look(at, named, before, seen),
            _ => at,
        }
    }

    fn look(&mut self, at: u32, named: (&[u8], Uuid), before: u32, seen: &Seen<'_>) -> u32 {
        let Some((topic, home)) = self.topics.get_mut(at as usize).zip(self.homes.get(at as usize)) else { return at };
        let place = seen.placement.topic_of(&topic.called.0, topic.called.1);
        let another = place.is_some_and(|place| !home.id.is_nil() && home.id != place.id);
        if !another {
            self.found(at, place);
            return at;
        }
        // Made again under the same name: what was told of the other one is none of this one's.
        topic.gone = true;
        let called = topic.called.clone();
        self.by_name.remove(&called);
        let at = self.follow(named, before);
        self.found(at, place);
        at
    }

    fn found(&mut self, at: u32, place: Option<&Arc<TopicPlace>>) {
        let Some((topic, home)) = self.topics.get_mut(at as usize).zip(self.homes.get_mut(at as usize)) else { return };
        home.place = place.cloned();
        topic.looked = NEVER;
        if let Some(place) = place {
            topic.looked = self.looks;
            topic.pipeline = number_of(&mut self.pipelines, &place.pipeline);
            home.id = place.id;
            if home.name != *place.name_there() {
                // A copy of our own: to count who uses a name that all sessions share would cost them all.
                home.name = copied(place.name_there());
            }
        }
    }

    /// The topic that is named so: mostly the one that came next the last time.
    #[inline]
    fn follow(&mut self, (name, id): (&[u8], Uuid), before: u32) -> u32 {
        let is = |topic: &Topic| topic.called.1 == id && topic.called.0.as_bytes() == name && !topic.gone;
        let next = match self.topics.get(before as usize) {
            Some(before) => before.next,
            None => 0,
        };
        if self.topics.get(next as usize).is_some_and(is) { next } else { self.find_topic((name, id), before) }
    }

    fn find_topic(&mut self, (name, id): (&[u8], Uuid), before: u32) -> u32 {
        // A copy: a slice of the frame would keep it. What is no text is no topic's name.
        let called = (StrBytes::from_string(String::from_utf8_lossy(name).into_owned()), id);
        let found = self.by_name.get(&called).copied();
        let found = found.unwrap_or_else(|| self.add(called));
        if let Some(before) = self.topics.get_mut(before as usize) {
            before.next = found;
        }
        found
    }

    fn add(&mut self, called: Called) -> u32 {
        let at = u32::try_from(self.topics.len()).unwrap_or(NOBODY);
        self.by_name.insert(called.clone(), at);
        self.homes.push(Home { name: called.0.clone(), id: called.1, place: None });
        self.topics.push(Topic { called, looked: NEVER, pipeline: 0, next: NOBODY, gone: false });
        at
    }

    /// Counts a topic's pipeline. Whether the topic is unknown, and nobody was asked.
    #[inline]
    fn count(&mut self, at: u32, all: &mut Pipeline, seen: &Seen<'_>) -> bool {
        let Some(topic) = self.topics.get(at as usize) else { return false };
        if topic.looked != NEVER {
            all.and(topic.pipeline);
            return false;
        }
        let (name, id) = &topic.called;
        if let Some((pipeline, _)) = seen.placement.home_of(name, *id) {
            all.and(number_of(&mut self.pipelines, pipeline));
        }
        sought_unknown(seen, name).is_none() && may_seek(name, seen)
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
            self.ends.push(UNTOLD);
        }
        if let Some(before) = self.slots.get_mut(before as usize) {
            before.next = found;
        }
        found
    }

    #[inline]
    fn whom(&mut self, slot: u32, broker: &mut impl FnMut(Target) -> u16, seen: &Seen<'_>) -> Whom {
        match self.slots.get(slot as usize) {
            Some(known) if known.looked == self.looks => known.whom,
            _ => self.look_for(slot, broker, seen),
        }
    }

    fn look_for(&mut self, slot: u32, broker: &mut impl FnMut(Target) -> u16, seen: &Seen<'_>) -> Whom {
        let Some(known) = self.slots.get_mut(slot as usize) else { return Whom::Us(codes::NOT_LEADER_OR_FOLLOWER) };
        let at = known.topic as usize;
        let Some((topic, home)) = self.topics.get(at).zip(self.homes.get(at)) else { return known.whom };
        known.whom = match source(home.place.as_deref(), &topic.called.0, known.index, seen) {
            Found::At(to) => Whom::Broker(broker(to)),
            Found::Never(code) => Whom::Us(code),
        };
        known.looked = topic.looked;
        known.whom
    }

    /// It is this Fetch's turn.
    pub(super) fn serve(&mut self, asked: &Asked) {
        if asked.number == std::mem::replace(&mut self.served, asked.number) {
            return;
        }
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

    /// What its cluster calls a topic, and its id, for any version.
    pub(super) fn name_of(&self, topic: TopicSlot) -> (StrBytes, Uuid) {
        self.homes.get(topic.0 as usize).map(|home| (home.name.clone(), home.id)).unwrap_or_default()
    }

    /// The same as the client calls it.
    pub(super) fn called(&self, topic: TopicSlot) -> (&str, Uuid) {
        self.topics.get(topic.0 as usize).map_or(("", Uuid::nil()), |topic| (&*topic.called.0, topic.called.1))
    }

    /// A broker has told of its ends.
    #[inline]
    pub(super) fn tell(&mut self, slot: Slot, told: [i64; 3]) {
        if let Some(ends) = self.ends.get_mut(slot.0 as usize) {
            *ends = told;
        }
    }

    /// What was last told of them.
    #[inline]
    pub(super) fn ends(&self, slot: Slot) -> [i64; 3] {
        self.ends.get(slot.0 as usize).copied().unwrap_or(UNTOLD)
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
        let new = Self { fetches: self.fetches, served: self.served, named: self.named, ..Self::default() };
        std::mem::replace(self, new)
    }

    /// The slot here of what had that slot in an older one.
    pub(super) fn adopt(&mut self, old: &Self, slot: Slot) -> Slot {
        let Some(known) = old.slots.get(slot.0 as usize) else { return Slot(NOBODY) };
        let topic = self.adopt_topic(old, TopicSlot(known.topic)).0;
        let at = self.find(topic, known.index, NOBODY);
        if let Some(new) = self.slots.get_mut(at as usize) {
            (new.fetch, new.entry) = (known.fetch, known.entry);
        }
        self.tell(Slot(at), old.ends(slot));
        Slot(at)
    }

    /// The same of a topic.
    pub(super) fn adopt_topic(&mut self, old: &Self, topic: TopicSlot) -> TopicSlot {
        let Some(known) = old.topics.get(topic.0 as usize) else { return TopicSlot(NOBODY) };
        if let Some(at) = self.by_name.get(&known.called) {
            return TopicSlot(*at);
        }
        let at = self.add(known.called.clone());
        if let Some((new, old)) = self.homes.get_mut(at as usize).zip(old.homes.get(topic.0 as usize)) {
            (new.name, new.id) = (old.name.clone(), old.id);
        }
        TopicSlot(at)
    }
}

impl Known {
    fn new(topic: u32, index: i32) -> Self {
        let whom = Whom::Us(codes::NOT_LEADER_OR_FOLLOWER);
        Self { topic, index, whom, looked: NEVER, next: NOBODY, fetch: 0, entry: NOBODY }
    }
}

/// The place of a pipeline in a list of few.
fn number_of(pipelines: &mut Vec<Name>, name: &Name) -> u32 {
    let known = pipelines.iter().position(|known| known.is_same(name) || known == name);
    let at = known.unwrap_or_else(|| {
        pipelines.push(name.clone());
        pipelines.len() - 1
    });
    u32::try_from(at).unwrap_or(0)
}

/// The pipeline of all topics of a Fetch.
#[derive(Default)]
struct Pipeline {
    first: Option<u32>,
    several: bool,
}

impl Pipeline {
    #[inline]
    fn and(&mut self, pipeline: u32) {
        let first = *self.first.get_or_insert(pipeline);
        self.several |= first != pipeline;
    }

    fn name(&self, pipelines: &[Name]) -> Name {
        let first = self.first.and_then(|at| pipelines.get(at as usize));
        let none = Name::none();
        Name::of_all(first.into_iter().chain(self.several.then_some(&none)))
    }
}
