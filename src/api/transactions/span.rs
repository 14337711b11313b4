//! A transaction lives on one cluster: its coordinator writes markers to the partitions of its own. One that would span two
//! is refused, by Kafka's own code for what a transaction may not do, and an operator is told which two and what to write.

use crate::api::Seen;
use crate::config::Config;
use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;

/// A transaction that would reach beyond its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The transactional id.
    pub id: StrBytes,
    /// Where its transactions live.
    pub home: Slot,
    /// What it would take in.
    pub what: Foreign,
    /// Where that lives.
    pub lives_on: Slot,
}

/// What a transaction would take in, and lives elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A topic that it would write to.
    Topic(StrBytes),
    /// A group whose offsets it would commit.
    Group(StrBytes),
}

impl Foreign {
    /// In a sentence.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Group(_) => "group",
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Topic(name) | Self::Group(name) => name,
        }
    }
}

impl Span {
    /// Whether a transaction of this id would span clusters by committing offsets of this group.
    #[must_use]
    pub fn of_group(id: &StrBytes, group: &StrBytes, seen: &Seen<'_>) -> Option<Self> {
        Self::between(id, seen, seen.placement.home_of_group(group), || Foreign::Group(group.clone()))
    }

    /// The same by writing to this topic.
    #[must_use]
    pub fn of_topic(id: &StrBytes, topic: &StrBytes, seen: &Seen<'_>) -> Option<Self> {
        Self::between(id, seen, seen.placement.home_of_topic(topic), || Foreign::Topic(topic.clone()))
    }

    fn between(id: &StrBytes, seen: &Seen<'_>, lives_on: Slot, what: impl FnOnce() -> Foreign) -> Option<Self> {
        let home = seen.placement.home_of_transactional_id(id);
        (home != lives_on).then(|| Self { id: id.clone(), home, what: what(), lives_on })
    }

    /// The lines of the config that would join the two.
    #[must_use]
    pub fn advice(&self, config: &Config) -> String {
        let Self { id, what, .. } = self;
        let (kind, name) = (what.kind(), what.name());
        let claims = config.pipeline_of_transactional_id(id);
        let theirs = match what {
            Foreign::Topic(topic) => config.pipeline_of_topic(topic),
            Foreign::Group(group) => config.pipeline_of_group(group),
        };
        match (theirs.is_default(), claims.is_default()) {
            (false, true) => format!("write `transactional_ids: [\"{id}\"]` into the pipeline {}", theirs.name),
            (false, false) => {
                let (to, from) = (&theirs.name, &claims.name);
                format!(
                    "write `transactional_ids: [\"{id}\"]` into the pipeline {to}, before {from}, which has the id now"
                )
            }
            (true, _) if matches!(what, Foreign::Group(_)) => {
                format!("write `groups: [\"{name}\"]` into the pipeline {}", claims.name)
            }
            (true, _) => format!(
                "take the id out of `transactional_ids` of the pipeline {}, so that it lives where the {kind} does",
                claims.name
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, text};
    use crate::placement::build::tests::slot;

    fn advice(id: &str, what: Foreign) -> Option<String> {
        let world = World::default();
        let seen = world.seen(3);
        let span = match &what {
            Foreign::Topic(topic) => Span::of_topic(&text(id), topic, &seen),
            Foreign::Group(group) => Span::of_group(&text(id), group, &seen),
        };
        span.map(|span| {
            assert_eq!((&span.what, span.home == span.lives_on), (&what, false));
            span.advice(&world.placement.config)
        })
    }

    #[test]
    fn what_lives_together_spans_nothing() {
        assert_eq!(advice("t", Foreign::Topic(text("x"))), None);
        assert_eq!(advice("tb-1", Foreign::Topic(text("b-1"))), None);
        assert_eq!(advice("tb-1", Foreign::Group(text("gb-1"))), None);
    }

    #[test]
    fn the_line_that_would_join_two_clusters_is_told() {
        assert_eq!(
            advice("t", Foreign::Topic(text("b-1"))).unwrap(),
            "write `transactional_ids: [\"t\"]` into the pipeline right"
        );
        assert_eq!(
            advice("tb-1", Foreign::Group(text("g"))).unwrap(),
            "write `groups: [\"g\"]` into the pipeline right"
        );
        assert_eq!(
            advice("tb-1", Foreign::Topic(text("x"))).unwrap(),
            "take the id out of `transactional_ids` of the pipeline right, so that it lives where the topic does"
        );
    }

    #[test]
    fn a_span_says_where_both_live() {
        let world = World::default();
        let span = Span::of_topic(&text("tb-1"), &text("x"), &world.seen(3)).unwrap();
        assert_eq!((span.home, span.lives_on, span.what.name()), (slot(1), slot(0), "x"));
    }
}
