//! Sums of a group's lag over the partitions of a topic, and over the topics of a pipeline.

use super::look::Seen;
use super::readers::GroupAt;
use super::topics::TopicAt;
use crate::types::{FastMap, Name};

/// Of several partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    /// All their records.
    pub(super) lag: i64,
    /// The greatest age, in ms, where one is known.
    pub(super) age: Option<i64>,
    /// How many are counted.
    pub(super) partitions: u64,
}

impl Total {
    fn add(&mut self, other: Self) {
        self.lag = self.lag.saturating_add(other.lag);
        self.age = self.age.max(other.age);
        self.partitions = self.partitions.saturating_add(other.partitions);
    }
}

/// A group's place; none for readers of none.
pub(super) type Who = Option<GroupAt>;

/// See the module's text. In the order in which they were first met.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// By topic and group.
    pub(super) topics: Vec<((TopicAt, Who), Total)>,
    /// By pipeline and group.
    pub(super) pipelines: Vec<((Name, Who), Total)>,
}

impl Sums {
    /// Of all that is seen, topic by topic. What is not known is not counted.
    #[must_use]
    pub(super) fn of(seen: &[Seen<'_>]) -> Self {
        let (mut sums, mut places) = (Self::default(), FastMap::default());
        for of_topic in seen.chunk_by(|one, other| one.topic_at == other.topic_at) {
            let from = sums.topics.len();
            places.clear();
            for one in of_topic {
                let Some(lag) = one.measure.lag else { continue };
                let who = one.group.map(|group| group.0);
                let place = *places.entry(who).or_insert_with(|| {
                    sums.topics.push(((one.topic_at, who), Total::default()));
                    sums.topics.len() - 1
                });
                if let Some((_, total)) = sums.topics.get_mut(place) {
                    total.add(Total { lag, age: one.measure.age, partitions: 1 });
                }
            }
            let Some(first) = of_topic.first() else { continue };
            sums.by_pipeline(&first.topic.place.pipeline, from);
        }
        sums.join_pipelines();
        sums
    }

    fn by_pipeline(&mut self, pipeline: &Name, from: usize) {
        let new = self.topics.iter().skip(from).map(|((_, who), total)| ((pipeline.clone(), *who), *total));
        self.pipelines.extend(new);
    }

    fn join_pipelines(&mut self) {
        self.pipelines.sort_by(|one, other| one.0.cmp(&other.0));
        self.pipelines.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1.add(later.1);
            }
            same
        });
    }
}
