//! The ledger: applies facts in their order and knows how far each group is behind.

use super::clock::{Clock, Moment};
use super::groups::Groups;
use super::held::Deleted;
use super::levels::Aims;
use super::look::is_ours;
use super::measure::Then;
use super::partition::Step;
use super::place::Place;
use super::readers::{GroupAt, Readers};
use super::topics::{TOGETHER, Topic, TopicAt, Topics};
use super::transactions::Transactions;
use super::{Now, OwnerOf, owner};
use crate::telemetry::observed::{Fact, Handed, Noted, OffsetOf, ProducerOf, Reader, Written};
use crate::types::Partition;
use kafka_protocol::protocol::StrBytes;
use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Bytes of facts that wait for their topic, and for how long they do, in ms.
const WAITING: usize = 1 << 20;
const PATIENCE: i64 = 10_000;
/// Groups at partitions that are kept; further ones are not counted.
pub const MOST_PAIRS: usize = 500_000;
/// A group that nobody spoke of for so long and that has committed nothing is forgotten, in ms.
const SILENT: i64 = 600_000;
/// Forgetting is done so often, in ms.
const TIDY: i64 = 60_000;
/// Of seconds in which nobody looked, no more are counted.
const UNWATCHED: i64 = 60;

/// See the module's text.
#[derive(Debug)]
pub struct Ledger {
    clock: Clock,
    pub(super) owner: OwnerOf,
    pub(super) topics: Topics,
    pub(super) groups: Groups,
    pub(super) aims: Aims,
    readers: Readers,
    transactions: Transactions,
    pub(super) deleted: Deleted,
    waiting: VecDeque<Noted>,
    waiting_weight: usize,
    /// When seconds were last counted.
    ticked: Moment,
    tidied: Moment,
    pairs: usize,
    /// Groups at partitions that there was no room for.
    pub(super) no_room: u64,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(now: Now) -> Self {
        let clock = Clock::from(now.at);
        Self {
            clock,
            owner,
            topics: Topics::default(),
            groups: Groups::default(),
            aims: Aims::default(),
            readers: Readers::default(),
            transactions: Transactions::default(),
            deleted: Deleted::default(),
            waiting: VecDeque::new(),
            waiting_weight: 0,
            ticked: clock.moment(now.at),
            tidied: clock.moment(now.at),
            pairs: 0,
            no_room: 0,
        }
    }

    pub(super) fn then(&self, now: Now) -> Then {
        Then { moment: self.clock.moment(now.at), unix_ms: now.unix_ms }
    }

    /// The topics that there are now: others are gone at once. To be called when the placement has changed, behind `apply` of
    /// what was noted until then.
    pub fn place(&mut self, places: &[Place], now: Now) {
        let at = self.clock.moment(now.at);
        let gone = self.topics.place(places, at);
        let pipelines: HashSet<_> = places.iter().map(|place| &place.pipeline).collect();
        self.groups.iter_mut().for_each(|group| {
            group.left_behind.retain(|topic| !gone.contains(topic));
            group.commits_to.retain(|topic| !gone.contains(topic));
            group.intervals.keep(|pipeline| pipelines.contains(pipeline));
        });
        // What members read may be a topic that is known only now.
        self.groups.soil_all();
        self.clean(at);
        let waiting = self.take_waiting(at);
        self.apply(waiting);
        self.count_pairs();
    }

    /// What pipelines promise now.
    pub fn aim(&mut self, aims: Aims) {
        for group in self.groups.iter_mut() {
            let bound = aims.of(&group.name);
            if group.bound.as_ref().map(|bound| &bound.pipeline) != bound.as_ref().map(|bound| &bound.pipeline) {
                group.level = Default::default();
            }
            group.bound = bound;
        }
        self.aims = aims;
    }

    /// Takes facts in, in their order. Those of topics that are not known wait for the next `place`, for a few seconds.
    pub fn apply(&mut self, facts: impl IntoIterator<Item = Noted>) {
        let mut last = None;
        for Noted { at, fact } in facts {
            // Those of one answer were noted together.
            let known = last.filter(|last: &(Instant, Moment)| last.0 == at);
            let moment = known.map_or_else(|| self.clock.moment(at), |known| known.1);
            last = Some((at, moment));
            if let Some(fact) = self.take(fact, at, moment) {
                self.wait(Noted { at, fact });
            }
        }
        if let Some((_, last)) = last {
            self.clean(last);
        }
    }

    /// Keeps a fact until its topic is known. Where there are too many, those that have waited the longest make room.
    fn wait(&mut self, noted: Noted) {
        self.waiting_weight += noted.fact.weight();
        self.waiting.push_back(noted);
        while self.waiting_weight > WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.waiting_weight -= oldest.fact.weight();
        }
    }

    /// Those that wait, and are not too old: none waits any more.
    fn take_waiting(&mut self, now: Moment) -> Vec<Noted> {
        let (clock, waiting) = (self.clock, std::mem::take(&mut self.waiting));
        self.waiting_weight = 0;
        waiting.into_iter().filter(|noted| clock.moment(noted.at).until(now) <= PATIENCE).collect()
    }

    /// Takes a fact in; what of it must wait comes back.
    fn take(&mut self, fact: Fact, noted: Instant, at: Moment) -> Option<Fact> {
        match fact {
            Fact::Acknowledged { of, transaction, came } => {
                // Finer than a moment is.
                let took = came.map(|came| noted.saturating_duration_since(came));
                let wait = self.each_at(
                    &of,
                    |one| one.at,
                    |ledger, place, one| ledger.wrote(place, one, (transaction, took), at),
                );
                return wait.map(|of| Fact::Acknowledged { of, transaction, came });
            }
            Fact::Fetched { by, committed_only, of } => {
                let wait = self.each_at(
                    &of,
                    |one| one.at,
                    |ledger, place, one| ledger.told(place, one, (by, committed_only), at),
                );
                return wait.map(|of| Fact::Fetched { by, committed_only, of });
            }
            Fact::Committed { group, of, anew } => return self.committed(group, of, anew, at),
            Fact::CommitsWith { group, producer, of } => self.transactions.commits(producer, group, of, at),
            Fact::Ended { producer, committed } => return self.ended(producer, committed, at),
            Fact::Holds { group, of, asked } => self.holds(&group, &of, self.clock.moment(asked), at),
            Fact::Listed { cluster, groups, asked } => self.listed(cluster, &groups, self.clock.moment(asked)),
            Fact::Described { group, members, asked } => self.described(&group, members, self.clock.moment(asked), at),
            Fact::OffsetsGone { group, of } => self.offsets_gone(&group, &of, at),
            Fact::GroupGone { group } => self.group_gone(&group, at),
            other => self.about_members(other, at),
        }
        None
    }

    fn about_members(&mut self, fact: Fact, at: Moment) {
        match fact {
            Fact::Beat { group, member, by, within_ms } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                let until = group.members.beat(member, within_ms, at);
                self.readers.beat(by, place, until);
            }
            Fact::Subscribed { group, member, topics } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                if group.members.subscribed(member, topics, at) {
                    self.groups.soil(place);
                }
            }
            Fact::Left { group, member } => {
                let Some(place) = self.groups.find(&group) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                if group.members.left(member, at) {
                    self.groups.soil(place);
                }
            }
            Fact::Stands { group, has_members } => {
                let Some(place) = self.heard(&group, at) else { return };
                let Some(group) = self.groups.get_mut(place) else { return };
                group.members.stands(has_members, at);
                if !has_members {
                    self.groups.soil(place);
                }
            }
            Fact::Throttled { by, ms } if ms > 0 => {
                for place in self.readers.groups(by, at) {
                    if let Some(group) = self.groups.get_mut(place) {
                        group.throttled = Some(at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Finds out what groups read where that has changed: once for many facts, for a group may have thousands of members.
    fn clean(&mut self, at: Moment) {
        for place in self.groups.take_dirty() {
            self.leave_behind(place, at);
        }
    }

    /// Topics that none of a group's members reads any more are no business of it, until it commits offsets of them anew.
    fn leave_behind(&mut self, place: GroupAt, at: Moment) {
        let Some(group) = self.groups.get_mut(place) else { return };
        let keys = group.members.subscription(at);
        group.reads = keys.map(|keys| keys.into_iter().filter_map(|key| self.topics.find(key)).collect());
        let Some(reads) = &group.reads else { return };
        let left = group.commits_to.iter().filter(|topic| !reads.contains(topic));
        group.left_behind = left.copied().collect();
    }

    /// Does something at the partition of each of these. Those whose topic or partition is not known come back.
    fn each_at<T: Copy>(
        &mut self,
        all: &[T],
        at: impl Fn(&T) -> Partition,
        mut act: impl FnMut(&mut Self, TopicAt, &T) -> bool,
    ) -> Option<Box<[T]>> {
        let mut unknown = Vec::new();
        for some in all.chunks(TOGETHER) {
            let places = self.topics.places(some.iter().map(&at));
            for (one, place) in some.iter().zip(places) {
                if !place.is_some_and(|place| act(self, place, one)) {
                    unknown.push(*one);
                }
            }
        }
        (!unknown.is_empty()).then(|| unknown.into())
    }

    /// A batch was written. False where there is no such partition.
    fn wrote(
        &mut self,
        topic: TopicAt,
        batch: &Written,
        (transaction, took): (Option<ProducerOf>, Option<Duration>),
        at: Moment,
    ) -> bool {
        let Written { at: to, base, next, bytes } = *batch;
        let Some(partition) = self.topics.partition_at(topic, to.index) else { return false };
        if partition.acknowledged((base, next), bytes, transaction, at)
            && let Some(producer) = transaction
        {
            self.transactions.wrote(producer, to, at);
        }
        if let Some(topic) = self.topics.get_mut(topic).filter(|topic| is_ours(self.owner, topic, to.index)) {
            topic.produced(to.index, (base, next), took, at);
        }
        true
    }

    /// Somebody, or we, were told of a partition. False where there is none.
    fn told(&mut self, topic: TopicAt, told: &Handed, (by, only): (Option<Reader>, bool), at: Moment) -> bool {
        let Handed { at: Partition { index, .. }, stretch, ends } = *told;
        let Some(partition) = self.topics.partition_at(topic, index) else { return false };
        partition.told(ends, stretch, by.is_none(), only, at);
        if let Some(by) = by.filter(|_| stretch.from >= 0) {
            let ours = self.topics.get_mut(topic).filter(|topic| is_ours(self.owner, topic, index));
            if let (Some(topic), Some((first, _))) = (ours, stretch.given) {
                topic.delivered(index, first, at);
            }
            self.handed((topic, index), by, stretch.next.max(stretch.from), only, at);
        }
        true
    }

    /// A reader was handed records of a partition, up to an offset.
    fn handed(&mut self, (topic, index): (TopicAt, i32), by: Reader, upto: i64, only: bool, at: Moment) {
        let (group, room) = (self.group_of(by, topic, index, at), self.has_room());
        let Some(partition) = self.topics.partition_at(topic, index) else { return };
        let Some(group) = group else { return partition.fetched_untied(by, upto, only, at) };
        let new = partition.pair(group).is_none();
        if new && !room {
            self.no_room = self.no_room.saturating_add(1);
            return;
        }
        partition.tie(by);
        partition.fetched(group, upto, only, at);
        self.pairs += usize::from(new);
    }

    fn group_of(&self, by: Reader, topic_at: TopicAt, index: i32, at: Moment) -> Option<GroupAt> {
        let topic = self.topics.get(topic_at)?;
        let partition = topic.partitions.get(usize::try_from(index).ok()?)?;
        let of_topic = |group| topic.committers.contains(&group);
        let may_read = |group| self.groups.get(group).is_none_or(|group| !group.is_known_not_to_read(topic_at));
        self.readers.group_of(by, at, may_read, of_topic, |group| partition.has_committed(group))
    }

    /// A group's place, now that a fact names it. One that there is no room for is counted.
    pub(super) fn heard(&mut self, group: &StrBytes, at: Moment) -> Option<GroupAt> {
        let place = self.groups.heard(group, &self.aims, at);
        self.no_room = self.no_room.saturating_add(u64::from(place.is_none()));
        place
    }

    fn has_room(&self) -> bool {
        self.pairs < MOST_PAIRS
    }

    fn committed(&mut self, group: StrBytes, of: Box<[OffsetOf]>, anew: bool, at: Moment) -> Option<Fact> {
        let place = self.heard(&group, at)?;
        if let Some(group) = self.groups.get_mut(place).filter(|_| anew) {
            group.members.committed(at);
        }
        let mut waiting = Vec::new();
        for (partition, offset) in of {
            if !self.topics.knows(partition) {
                waiting.push((partition, offset));
            } else if offset < 0 {
                self.uncommitted(place, partition);
            } else {
                self.committed_one(place, partition, offset, anew, at);
            }
        }
        // What we asked for is told again by the next sweep.
        (anew && !waiting.is_empty()).then(|| Fact::Committed { group, of: waiting.into(), anew })
    }

    pub(super) fn uncommitted(&mut self, group: GroupAt, of: Partition) {
        let Some((topic, partition)) = self.topics.partition(of) else { return };
        let before = partition.pairs.len();
        partition.uncommitted(group);
        self.pairs -= before - partition.pairs.len();
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.settle_committer(group);
        }
    }

    pub(super) fn committed_one(&mut self, group: GroupAt, of: Partition, offset: i64, anew: bool, at: Moment) {
        let room = self.has_room();
        let Some((topic, partition)) = self.topics.partition(of) else { return };
        let new = partition.pair(group).is_none();
        if new && !room {
            self.no_room = self.no_room.saturating_add(1);
            return;
        }
        let interval = if anew { partition.interval(group, offset, at) } else { None };
        let step = partition.committed(group, offset, anew, at);
        self.pairs += usize::from(new);
        let Some(topic_of) = self.topics.get_mut(topic) else { return };
        topic_of.committers.insert(group);
        let Some(known) = self.groups.get_mut(group) else { return };
        let is_new = known.commits_to.insert(topic);
        if anew {
            known.left_behind.remove(&topic);
        } else if is_new && known.is_known_not_to_read(topic) {
            // What its members read was known before what it has committed.
            known.left_behind.insert(topic);
        }
        if let Some(ms) = interval.filter(|_| is_ours(self.owner, topic_of, of.index)) {
            known.intervals.add(&topic_of.place.pipeline, ms);
        }
        if let Some(step) = step.filter(|_| anew) {
            self.level(group, topic, of.index, step, at);
        }
        // Only now: what was committed is counted by when it came.
        if let Some((_, partition)) = self.topics.partition(of) {
            partition.forget();
        }
    }

    /// Counts what was committed, where that was promised to be in time.
    fn level(&mut self, group: GroupAt, topic: TopicAt, index: i32, step: Step, at: Moment) {
        let Some(topic) = self.topics.get(topic).filter(|topic| is_ours(self.owner, topic, index)) else { return };
        let Some(group) = self.groups.get_mut(group) else { return };
        let Some(bound) = group.bound.as_ref().filter(|bound| bound.pipeline == topic.place.pipeline) else { return };
        let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index));
        let Some(partition) = partition else { return };
        let (late, all) = partition.times.before(at.less(bound.within_ms), step.from, step.to);
        group.level.committed(all, late);
    }

    fn ended(&mut self, producer: ProducerOf, committed: bool, at: Moment) -> Option<Fact> {
        let transaction = self.transactions.ended(producer)?;
        for to in transaction.wrote {
            if let Some((_, partition)) = self.topics.partition(to) {
                partition.ends.ended(producer, committed);
            }
        }
        for (group, of) in transaction.commits.into_iter().filter(|_| committed) {
            self.committed(group, of.into_iter().collect(), true, at);
        }
        None
    }

    fn offsets_gone(&mut self, group: &StrBytes, of: &[Partition], at: Moment) {
        self.deleted.add(group, at);
        let Some(place) = self.groups.find(group) else { return };
        for at in of {
            let Some((topic, partition)) = self.topics.partition(*at) else { continue };
            partition.drop_group(place);
            if let Some(topic) = self.topics.get_mut(topic) {
                topic.settle_committer(place);
            }
        }
    }

    fn group_gone(&mut self, group: &StrBytes, at: Moment) {
        self.deleted.add(group, at);
        if let Some(place) = self.groups.find(group) {
            self.drop_groups(&HashSet::from([place]));
        }
    }

    pub(super) fn drop_groups(&mut self, places: &HashSet<GroupAt>) {
        self.topics.iter_mut().for_each(|(_, topic)| topic.drop_groups(places));
        self.readers.drop_groups(places);
        places.iter().for_each(|place| self.groups.remove(*place));
        self.count_pairs();
    }

    /// What is due with time: to be called about once a second.
    pub fn tick(&mut self, now: Now) {
        let then = self.then(now);
        let seconds = self.ticked.until(then.moment) / 1000;
        if seconds > 0 {
            self.ticked = self.ticked.plus(seconds.saturating_mul(1000));
            self.watch(then, u64::try_from(seconds.min(UNWATCHED)).unwrap_or(0));
        }
        if self.tidied.until(then.moment) >= TIDY {
            self.tidied = then.moment;
            self.tidy(then.moment);
        }
    }

    /// Counts seconds, and those in which a group was late.
    fn watch(&mut self, then: Then, seconds: u64) {
        if self.aims.slos.is_empty() {
            return;
        }
        let late = vec![Cell::new(None); self.groups.places()];
        let of = |place: GroupAt| usize::try_from(place).ok().and_then(|place| late.get(place));
        let within = |topic: &Topic, place| {
            let bound = self.groups.get(place)?.bound.as_ref()?;
            (bound.pipeline == topic.place.pipeline).then_some(bound.within_ms)
        };
        // One that is late need not be looked at further.
        let wants = |topic: &Topic, place| {
            of(place).is_some_and(|late| late.get() != Some(true)) && within(topic, place).is_some()
        };
        for seen in self.look_at(then, wants) {
            let Some((place, _)) = seen.group else { continue };
            let (Some(within_ms), Some(age)) = (within(seen.topic, place), seen.measure.at_least) else { continue };
            if let Some(late) = of(place) {
                late.set(Some(age > within_ms));
            }
        }
        for (place, late) in (0..).zip(late) {
            if let (Some(group), Some(late)) = (self.groups.get_mut(place), late.get()) {
                group.level.watched(seconds, late);
            }
        }
    }

    /// Forgets what nobody will ask for.
    fn tidy(&mut self, now: Moment) {
        self.readers.expire(now);
        self.transactions.expire(now);
        self.deleted.expire(now);
        self.take_waiting(now).into_iter().for_each(|noted| self.wait(noted));
        let all: Vec<_> = self.groups.iter().map(|(place, _)| place).collect();
        for place in all {
            if self.groups.get_mut(place).is_some_and(|group| group.members.expire(now)) {
                self.groups.soil(place);
            }
        }
        self.clean(now);
        let mut used = vec![false; self.groups.places()];
        let groups = &self.groups;
        for (_, topic) in self.topics.iter_mut() {
            for partition in &mut topic.partitions {
                partition.expire(now, |pair| {
                    let quiet = pair.fetched.is_none_or(|fetched| fetched.1.until(now) >= SILENT);
                    quiet && groups.get(pair.group).is_none_or(|group| group.members.any(now) != Some(true))
                });
                for pair in &partition.pairs {
                    if let Some(used) = usize::try_from(pair.group).ok().and_then(|place| used.get_mut(place)) {
                        *used = true;
                    }
                }
            }
        }
        self.tidy_groups(&used, now);
        self.count_pairs();
    }

    fn tidy_groups(&mut self, used: &[bool], now: Moment) {
        let silent = |place: GroupAt, heard: Moment| {
            let used = usize::try_from(place).ok().and_then(|place| used.get(place)).copied().unwrap_or(false);
            !used && heard.until(now) >= SILENT
        };
        let gone: Vec<_> = self.groups.iter().filter(|(place, group)| silent(*place, group.heard)).collect();
        let gone: HashSet<_> = gone.into_iter().map(|(place, _)| place).collect();
        if !gone.is_empty() {
            self.drop_groups(&gone);
        }
    }

    fn count_pairs(&mut self) {
        let partitions = self.topics.iter().flat_map(|(_, topic)| &topic.partitions);
        self.pairs = partitions.map(|partition| partition.pairs.len()).sum();
    }
}
