//! Needs that were tried in vain. Found at once among any number of them: a request may have hundreds of thousands.

use crate::api::{Need, Refusal};
use crate::types::{Guise, Slot};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Each with how it went.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    all: Vec<(Need, Refusal)>,
    /// The place of the first of its kind.
    places: HashMap<Need, usize>,
    shadows: HashMap<(Slot, StrBytes), usize>,
    /// Places of those about topics: few, for all topics of a cluster are one need.
    topics: Vec<usize>,
}

static NONE: LazyLock<Refusals> = LazyLock::new(Refusals::default);

impl Refusals {
    /// Where nothing was tried, as nearly always.
    #[must_use]
    pub fn none() -> &'static Self {
        &NONE
    }

    /// How this very need was refused, if it was.
    #[must_use]
    pub fn of(&self, need: &Need) -> Option<&Refusal> {
        self.at(*self.places.get(need)?)
    }

    /// How a shadow of a topic was refused, however many partitions it was to have.
    #[must_use]
    pub fn of_shadow(&self, cluster: Slot, topic: &StrBytes) -> Option<&Refusal> {
        self.at(*self.shadows.get(&(cluster, topic.clone()))?)
    }

    /// How the first need about topics of a cluster was refused for whose names this holds. They are in order.
    pub fn of_topics(&self, cluster: Slot, holds: impl Fn(&[StrBytes]) -> bool) -> Option<&Refusal> {
        self.topics.iter().find_map(|place| match self.all.get(*place)? {
            (Need::Topics { cluster: of, names, .. }, why) if *of == cluster && holds(names) => Some(why),
            _ => None,
        })
    }

    /// How it went to ask a cluster as this one, whatever for, and whether what is not there was to be made by that.
    pub fn of_sight(&self, cluster: Slot, guise: &Guise) -> impl Iterator<Item = (bool, &Refusal)> {
        self.all.iter().filter_map(move |(need, why)| match need {
            Need::Sight { cluster: of, guise: by, create, .. } if *of == cluster && by == guise => Some((*create, why)),
            _ => None,
        })
    }

    /// All of them, in the order in which they were tried.
    pub fn iter(&self) -> impl Iterator<Item = &(Need, Refusal)> {
        self.all.iter()
    }

    fn at(&self, place: usize) -> Option<&Refusal> {
        self.all.get(place).map(|(_, why)| why)
    }

    fn push(&mut self, need: Need, why: Refusal) {
        let place = self.all.len();
        match &need {
            Need::Topics { .. } => self.topics.push(place),
            Need::Shadow { cluster, topic, .. } => {
                self.shadows.entry((*cluster, topic.clone())).or_insert(place);
            }
            Need::Coordinator { .. } | Need::Sight { .. } | Need::AllTopics => {}
        }
        self.places.entry(need.clone()).or_insert(place);
        self.all.push((need, why));
    }
}

impl Extend<(Need, Refusal)> for Refusals {
    fn extend<I: IntoIterator<Item = (Need, Refusal)>>(&mut self, met: I) {
        met.into_iter().for_each(|(need, why)| self.push(need, why));
    }
}

impl FromIterator<(Need, Refusal)> for Refusals {
    fn from_iter<I: IntoIterator<Item = (Need, Refusal)>>(met: I) -> Self {
        let mut all = Self::default();
        all.extend(met);
        all
    }
}

impl<const N: usize> From<[(Need, Refusal); N]> for Refusals {
    fn from(met: [(Need, Refusal); N]) -> Self {
        met.into_iter().collect()
    }
}
