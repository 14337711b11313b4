//! The ledger: applies facts in their order and knows how far each group is behind.

use super::clock::{Clock, Moment};
use super::groups::Groups;
use super::held::Deleted;
use super::levels::Aims;
use super::measure::Then;
use super::place::Place;
use super::readers::{GroupAt, Readers};
use super::topics::Topics;
use super::transactions::Transactions;
use super::waiting::Waiting;
use super::{Now, OwnerOf, owner};
use crate::telemetry::observed::{Fact, Noted};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;
use std::time::Instant;

/// Groups at partitions that are kept; further ones are not counted.
pub const MOST_PAIRS: usize = 500_000;

/// See the module's text.
#[derive(Debug)]
pub struct Ledger {
    pub(super) clock: Clock,
    pub(super) owner: OwnerOf,
    pub(super) topics: Topics,
    pub(super) groups: Groups,
    pub(super) aims: Aims,
    pub(super) readers: Readers,
    pub(super) transactions: Transactions,
    pub(super) deleted: Deleted,
    pub(super) waiting: Waiting,
    /// When seconds were last counted.
    pub(super) ticked: Moment,
    pub(super) tidied: Moment,
    pub(super) pairs: usize,
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
            waiting: Waiting::default(),
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
        let waiting = self.waiting.take(self.clock, at);
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
                self.waiting.push(Noted { at, fact });
            }
        }
        if let Some((_, last)) = last {
            self.clean(last);
        }
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

    /// A group's place, now that a fact names it. One that there is no room for is counted.
    pub(super) fn heard(&mut self, group: &StrBytes, at: Moment) -> Option<GroupAt> {
        let place = self.groups.heard(group, &self.aims, at);
        self.no_room = self.no_room.saturating_add(u64::from(place.is_none()));
        place
    }

    pub(super) fn has_room(&self) -> bool {
        self.pairs < MOST_PAIRS
    }

    pub(super) fn drop_groups(&mut self, places: &HashSet<GroupAt>) {
        self.topics.iter_mut().for_each(|(_, topic)| topic.drop_groups(places));
        self.readers.drop_groups(places);
        places.iter().for_each(|place| self.groups.remove(*place));
        self.count_pairs();
    }

    pub(super) fn count_pairs(&mut self) {
        let partitions = self.topics.iter().flat_map(|(_, topic)| &topic.partitions);
        self.pairs = partitions.map(|partition| partition.pairs.len()).sum();
    }
}
