//! The groups that are known, each at a place of its own, so that a partition names them in four bytes.

use super::clock::Moment;
use super::intervals::Intervals;
use super::levels::{Aims, Bound, Level};
use super::members::Members;
use super::readers::GroupAt;
use crate::types::{FastMap, FastSet};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;

/// Groups that are kept.
const MOST: usize = 100_000;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its name.
    pub(super) name: StrBytes,
    /// Who belongs to it.
    pub(super) members: Members,
    /// When its clients were last told to wait.
    pub(super) throttled: Option<Moment>,
    /// The topics that its members read, by their places, where all have said so.
    pub(super) reads: Option<FastSet<u32>>,
    /// That must be found out anew.
    pub(super) is_dirty: bool,
    /// Topics that it committed and no longer reads, by their places.
    pub(super) left_behind: BTreeSet<u32>,
    /// Topics that it has committed offsets of, by their places.
    pub(super) commits_to: BTreeSet<u32>,
    /// What was promised for it.
    pub(super) bound: Option<Bound>,
    /// What became of that.
    pub(super) level: Level,
    /// How long it takes from one commit to the next.
    pub(super) intervals: Intervals,
    /// When a fact last named it.
    pub(super) heard: Moment,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    all: Vec<Option<Group>>,
    free: Vec<GroupAt>,
    places: FastMap<StrBytes, GroupAt>,
    dirty: Vec<GroupAt>,
}

impl Group {
    /// Whether its members have said that they do not read a topic.
    #[must_use]
    pub(super) fn is_known_not_to_read(&self, topic: u32) -> bool {
        self.reads.as_ref().is_some_and(|reads| !reads.contains(&topic))
    }
}

impl Groups {
    /// Its place.
    #[must_use]
    pub(super) fn find(&self, name: &StrBytes) -> Option<GroupAt> {
        self.places.get(name).copied()
    }

    /// Its place, now that a fact names it. `None` where there are too many.
    pub(super) fn heard(&mut self, name: &StrBytes, aims: &Aims, at: Moment) -> Option<GroupAt> {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => self.make(name, aims, at)?,
        };
        if let Some(group) = self.get_mut(place) {
            group.heard = at;
        }
        Some(place)
    }

    fn make(&mut self, name: &StrBytes, aims: &Aims, at: Moment) -> Option<GroupAt> {
        if self.places.len() >= MOST {
            return None;
        }
        let group = Group {
            name: name.clone(),
            members: Members::default(),
            throttled: None,
            reads: None,
            is_dirty: false,
            left_behind: BTreeSet::new(),
            commits_to: BTreeSet::new(),
            bound: aims.of(name),
            level: Level::default(),
            intervals: Intervals::default(),
            heard: at,
        };
        let place = self.free.pop().or_else(|| GroupAt::try_from(self.all.len()).ok())?;
        let slot = usize::try_from(place).ok()?;
        if slot == self.all.len() {
            self.all.push(None);
        }
        *self.all.get_mut(slot)? = Some(group);
        self.places.insert(name.clone(), place);
        Some(place)
    }

    /// One of them.
    #[must_use]
    pub(super) fn get(&self, place: GroupAt) -> Option<&Group> {
        self.all.get(usize::try_from(place).ok()?)?.as_ref()
    }

    /// One of them.
    pub(super) fn get_mut(&mut self, place: GroupAt) -> Option<&mut Group> {
        self.all.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    /// It is no more. Whoever knows its place must forget that.
    pub(super) fn remove(&mut self, place: GroupAt) {
        let slot = usize::try_from(place).ok().and_then(|slot| self.all.get_mut(slot));
        if let Some(group) = slot.and_then(Option::take) {
            self.places.remove(&group.name);
            self.free.push(place);
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupAt, &Group)> {
        let numbered = (0..).zip(&self.all);
        numbered.filter_map(|(place, group)| Some((place, group.as_ref()?)))
    }

    /// What its members read must be found out anew.
    pub(super) fn soil(&mut self, place: GroupAt) {
        if let Some(group) = self.get_mut(place).filter(|group| !group.is_dirty) {
            group.is_dirty = true;
            self.dirty.push(place);
        }
    }

    /// That of all of them that have members.
    pub(super) fn soil_all(&mut self) {
        for place in (0..self.all.len()).filter_map(|place| GroupAt::try_from(place).ok()) {
            self.soil(place);
        }
    }

    /// Those of which that is so: they are clean now.
    pub(super) fn take_dirty(&mut self) -> Vec<GroupAt> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty
            .into_iter()
            .filter(|place| self.get_mut(*place).is_some_and(|group| std::mem::take(&mut group.is_dirty)))
            .collect()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.all.iter_mut().flatten()
    }

    /// How many there may be places of.
    #[must_use]
    pub(super) fn places(&self) -> usize {
        self.all.len()
    }
}
