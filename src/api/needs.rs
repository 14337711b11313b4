//! What plans find missing: collected, each need once, and what became of those that were tried.

use crate::api::{Need, Refusal, Seen};
use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;

/// Needs of a plan, each once; the topics of a cluster are one need.
#[derive(Debug, Default)]
pub struct Needs {
    all: Vec<Need>,
    /// Those that were pushed: a request may have a million.
    pushed: HashSet<Need>,
}

impl Needs {
    /// Adds a need.
    pub fn push(&mut self, need: Need) {
        if self.pushed.insert(need.clone()) {
            self.all.push(need);
        }
    }

    /// Adds another plan's need.
    pub fn add(&mut self, need: &Need) {
        match need {
            Need::Topics { cluster, names, create: false } => names.iter().for_each(|name| self.topic(*cluster, name)),
            _ => self.push(need.clone()),
        }
    }

    /// Adds what tells of a topic that nobody knows: its home, or all clusters where the client gave an id.
    pub fn unknown(&mut self, name: &StrBytes, seen: &Seen<'_>) {
        match name.is_empty() {
            true => self.push(Need::AllTopics),
            false => self.topic(seen.placement.home_of_topic(name), &seen.placement.name_at_home(name)),
        }
    }

    /// Adds fresh metadata of a topic, as that cluster calls it.
    pub fn topic(&mut self, cluster: Slot, name: &StrBytes) {
        for need in &mut self.all {
            if let Need::Topics { cluster: of, names, create: false } = need
                && *of == cluster
            {
                return names.push(name.clone());
            }
        }
        self.all.push(Need::Topics { cluster, names: vec![name.clone()], create: false });
    }

    /// All of them.
    #[must_use]
    pub fn all(mut self) -> Vec<Need> {
        for need in &mut self.all {
            if let Need::Topics { names, .. } = need {
                names.sort_unstable();
                names.dedup();
            }
        }
        self.all
    }
}

/// What came of looking for a topic on a cluster, which calls it so, where that was tried: alone or among others, since a second plan
/// may miss fewer topics than the first.
#[must_use]
pub fn sought<'a>(seen: &Seen<'a>, cluster: Slot, name: &StrBytes) -> Option<&'a Refusal> {
    // In order, as `Needs` gives them: a request may miss thousands.
    seen.refused.of_topics(cluster, |names| names.binary_search(name).is_ok())
}

/// What came of looking for a topic that nobody knows: see [`Needs::unknown`].
#[must_use]
pub fn sought_unknown<'a>(seen: &Seen<'a>, name: &StrBytes) -> Option<&'a Refusal> {
    match name.is_empty() {
        true => seen.refused.of(&Need::AllTopics),
        false => sought(seen, seen.placement.home_of_topic(name), &seen.placement.name_at_home(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, text};
    use crate::placement::build::tests::slot;
    use crate::types::CoordinatorType;

    #[test]
    fn a_request_of_very_many_groups_keeps_nobody_waiting() {
        // Given a request that names more groups than anybody has, and each of them twice
        let (began, mut needs) = (Effort::begin(), Needs::default());
        for number in (0..100_000).chain(0..100_000) {
            let key = text(&number.to_string());
            needs.push(Need::Coordinator { cluster: slot(0), of: CoordinatorType::Group, key });
        }
        // Then each is needed once, and who reads requests is not held up for the square of that
        assert_eq!(needs.all().len(), 100_000);
        began.must_be_small();
    }
}
