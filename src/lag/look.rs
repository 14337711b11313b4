//! A look over all that the ledger knows: each group at each partition, with how far it is behind. What rows, metrics, service
//! levels and the sweep are made from.

use super::clock::Moment;
use super::groups::Group;
use super::measure::{Measure, Then};
use super::partition::{Pair, Partition, RECENT};
use super::readers::GroupAt;
use super::rows::Why;
use super::topics::{Topic, TopicAt};
use super::{Ledger, Owner, OwnerOf};
use kafka_protocol::protocol::StrBytes;

/// What readers that belong to no group are called.
pub(super) const UNTIED: &str = "-";

/// A group at a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'l> {
    /// The topic's place.
    pub(super) topic_at: TopicAt,
    /// The topic.
    pub(super) topic: &'l Topic,
    /// The partition's number.
    pub(super) index: i32,
    /// The partition.
    pub(super) partition: &'l Partition,
    /// The group and its place; none for readers of none.
    pub(super) group: Option<(GroupAt, &'l Group)>,
    /// Up to where it has committed.
    pub(super) committed: Option<i64>,
    /// When it last said so itself.
    pub(super) said: Option<Moment>,
    /// Up to where it was handed records.
    pub(super) fetched: Option<i64>,
    /// Whether it reads only what is committed.
    pub(super) committed_only: bool,
    /// How far it is behind.
    pub(super) measure: Measure,
}

impl Seen<'_> {
    /// The group's name.
    #[must_use]
    pub(super) fn group_name(&self) -> &str {
        self.group.map_or(UNTIED, |(_, group)| group.name.as_str())
    }

    /// Records that it may be given and was not handed.
    #[must_use]
    pub(super) fn unfetched(&self) -> Option<i64> {
        Some(self.measure.end?.saturating_sub(self.fetched?.max(self.measure.first.min(self.measure.end?))).max(0))
    }

    /// Why it is behind.
    #[must_use]
    pub(super) fn why(&self, then: Then) -> Why {
        let Some(lag) = self.measure.lag.filter(|lag| *lag > 0) else { return Why::Nothing };
        if self.group.is_some_and(|(_, group)| group.members.any(then.moment) == Some(false)) {
            return Why::NoMembers;
        }
        let throttled = self.group.and_then(|(_, group)| group.throttled);
        if throttled.is_some_and(|throttled| throttled.until(then.moment) <= RECENT) {
            return Why::Throttled;
        }
        if self.partition.pulse.surge(then.moment).is_some_and(|came| lag <= came) {
            return Why::Surge;
        }
        // Where nothing came by here, nothing was handed out here.
        let unfetched = self.unfetched().unwrap_or(lag);
        if unfetched.saturating_mul(2) > lag { Why::NotFetched } else { Why::NotCommitted }
    }
}

/// Whether it is us who count and tell of a partition.
#[must_use]
pub(super) fn is_ours(owner: OwnerOf, topic: &Topic, index: i32) -> bool {
    owner(topic.at(index)) == Owner::Me
}

impl Ledger {
    /// The partitions that we tell of.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (TopicAt, &Topic, i32, &Partition)> {
        self.topics.iter().flat_map(|(place, topic)| {
            let numbered = (0i32..).zip(&topic.partitions);
            let ours = numbered.filter(|(index, _)| is_ours(self.owner, topic, *index));
            ours.map(move |(index, partition)| (place, topic, index, partition))
        })
    }

    /// See the module's text.
    pub(super) fn look(&self, then: Then) -> impl Iterator<Item = Seen<'_>> {
        self.look_at(then, |_, _| true)
    }

    /// The same of these groups at these topics, and of readers of none.
    pub(super) fn look_at<'l>(
        &'l self,
        then: Then,
        wants: impl Fn(&Topic, GroupAt) -> bool + Copy + 'l,
    ) -> impl Iterator<Item = Seen<'l>> {
        // A group may be called as those that belong to none are: then these are not told, so that no series stands twice.
        let apart = self.groups.find(&StrBytes::from_static_str(UNTIED)).is_none();
        self.partitions().flat_map(move |(topic_at, topic, index, partition)| {
            let pairs = partition.pairs.iter().filter(move |pair| wants(topic, pair.group));
            let seen = move |pair| self.seen((topic_at, topic, index, partition), pair, then);
            let untied = untied((topic_at, topic, index, partition), then).filter(|_| apart);
            pairs.filter_map(seen).chain(untied)
        })
    }

    fn seen<'l>(&'l self, at: (TopicAt, &'l Topic, i32, &'l Partition), pair: &Pair, then: Then) -> Option<Seen<'l>> {
        let (topic_at, topic, index, partition) = at;
        let group = self.groups.get(pair.group)?;
        let left_behind = !group.left_behind.is_empty() && group.left_behind.contains(&topic_at);
        if left_behind || pair.committed.is_none() && group.is_known_not_to_read(topic_at) {
            return None;
        }
        let measure = partition.measure(pair.position()?, pair.committed_only, then);
        let (committed, said) = (pair.committed, pair.said.filter(|_| pair.committed.is_some()));
        let (fetched, committed_only) = (pair.handed(), pair.committed_only);
        let group = Some((pair.group, group));
        Some(Seen { topic_at, topic, index, partition, group, committed, said, fetched, committed_only, measure })
    }
}

fn untied<'l>(at: (TopicAt, &'l Topic, i32, &'l Partition), then: Then) -> Option<Seen<'l>> {
    let (topic_at, topic, index, partition) = at;
    let (fetched, committed_only) = partition.slowest_untied(then.moment)?;
    let measure = partition.measure(fetched, committed_only, then);
    let (group, committed, said, fetched) = (None, None, None, Some(fetched));
    Some(Seen { topic_at, topic, index, partition, group, committed, said, fetched, committed_only, measure })
}
