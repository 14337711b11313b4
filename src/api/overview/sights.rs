//! What an answer that we make ourselves may tell of topics, where who asks comes to their cluster as an identity: what the cluster
//! itself lets that one know. What was not told lately is asked for first.

use crate::api::{Need, Refusal, Seen};
use crate::placement::TopicPlace;
use crate::types::Slot;
use crate::upstream::{Look, Sighted};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// What who asks may know, cluster by cluster; of those where it comes as Fishplate itself, nothing.
pub(super) struct Sights(BTreeMap<Slot, Look>);

/// What may be told of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// All that is known of it; with what may be done to it there (KIP-430).
    All(i32),
    /// Kafka's own refusal, whether it is there or not.
    Refusal,
    /// Nobody could ask: its asker comes again.
    Nothing,
}

/// Topics that clusters are to be asked about first.
#[derive(Default)]
pub(super) struct Unasked(BTreeMap<Slot, Option<Vec<StrBytes>>>);

impl Sights {
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let clusters = seen.placement.config.clusters.iter().filter(|one| !one.identities.is_empty());
        Self(clusters.filter_map(|one| Some((one.slot, (seen.sight)(one.slot)?))).collect())
    }

    /// Whoever asks may know what Fishplate does.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What may be told of a topic that is known.
    pub(super) fn tell(&self, place: &TopicPlace) -> Tells {
        match self.0.get(&place.cluster).map(|look| look.of(place.name_there()).0) {
            None => Tells::All(place.topic.operations),
            Some(Sighted::Shown(operations)) => Tells::All(operations),
            Some(Sighted::Hidden) => Tells::Refusal,
            Some(Sighted::Unasked) => Tells::Nothing,
        }
    }

    /// Whether a topic that nobody knows is refused at its home: so it is to who may not know whether it is there.
    pub(super) fn refuses(&self, home: Slot, name_there: &StrBytes) -> bool {
        self.0.get(&home).is_some_and(|look| look.of(name_there).0 == Sighted::Hidden)
    }

    /// Whether the cluster itself shows a topic, whether we know of it or not.
    pub(super) fn shows(&self, cluster: Slot, name_there: &StrBytes) -> bool {
        self.0.get(&cluster).is_some_and(|look| matches!(look.of(name_there).0, Sighted::Shown(_)))
    }

    /// Whether who asks comes to a cluster as an identity.
    pub(super) fn has(&self, cluster: Slot) -> bool {
        self.0.contains_key(&cluster)
    }

    /// What it may do to a cluster; `None` where it comes as Fishplate itself.
    pub(super) fn operations(&self, cluster: Slot) -> Option<Option<i32>> {
        self.0.get(&cluster).map(|look| look.sight.operations())
    }

    /// A topic is to be told of: it is asked for where the last word on it is too old.
    pub(super) fn want(&self, cluster: Slot, name_there: &StrBytes, unasked: &mut Unasked) {
        if self.0.get(&cluster).is_some_and(|look| !look.of(name_there).1)
            && let Some(names) = unasked.0.entry(cluster).or_insert_with(|| Some(Vec::new()))
        {
            names.push(name_there.clone());
        }
    }

    /// What may be done to a cluster is to be told.
    pub(super) fn want_operations(&self, cluster: Slot, unasked: &mut Unasked) {
        if self.0.get(&cluster).is_some_and(|look| look.sight.operations().is_none()) {
            unasked.0.entry(cluster).or_insert_with(|| Some(Vec::new()));
        }
    }

    /// All topics are.
    pub(super) fn want_all(&self, unasked: &mut Unasked) {
        let old = self.0.iter().filter(|(_, look)| !look.knows_all());
        unasked.0.extend(old.map(|(cluster, _)| (*cluster, None)));
    }

    /// What is to be asked, of each cluster once.
    pub(super) fn needs(&self, unasked: Unasked, create: bool, seen: &Seen<'_>) -> Vec<Need> {
        let untried = unasked.0.into_iter().filter(|(cluster, _)| seen.refused.of_sight(*cluster).is_none());
        let need = |(cluster, names): (Slot, Option<Vec<StrBytes>>)| {
            let guise = self.0.get(&cluster)?.guise.clone();
            Some(Need::Sight { cluster, guise, create: create && names.is_some(), names })
        };
        untried.filter_map(need).collect()
    }
}

/// A cluster could not be asked, so that nobody knows what may be told of its topics.
pub(super) fn is_unheard(cluster: Slot, seen: &Seen<'_>) -> bool {
    matches!(seen.refused.of_sight(cluster), Some(Refusal::Fault(_)))
}
