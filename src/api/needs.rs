//! What plans find missing: collected, each need once, and what became of those that were tried.

use super::{Need, Refusal, Seen};
use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;

/// Needs of a plan, each once; the topics of a cluster are one need.
#[derive(Debug, Default)]
pub struct Needs(Vec<Need>);

impl Needs {
    /// Adds a need.
    pub fn push(&mut self, need: Need) {
        if !self.0.contains(&need) {
            self.0.push(need);
        }
    }

    /// Adds fresh metadata of a topic.
    pub fn topic(&mut self, cluster: Slot, name: &StrBytes) {
        for need in &mut self.0 {
            if let Need::Topics { cluster: of, names, create: false } = need
                && *of == cluster
            {
                return names.push(name.clone());
            }
        }
        self.0.push(Need::Topics { cluster, names: vec![name.clone()], create: false });
    }

    /// All of them.
    #[must_use]
    pub fn all(mut self) -> Vec<Need> {
        for need in &mut self.0 {
            if let Need::Topics { names, .. } = need {
                names.sort_unstable();
                names.dedup();
            }
        }
        self.0
    }
}

/// What came of looking for a topic on a cluster, where that was tried: alone or among others, since a second plan
/// may miss fewer topics than the first.
#[must_use]
pub fn sought<'a>(seen: &Seen<'a>, cluster: Slot, name: &StrBytes) -> Option<&'a Refusal> {
    let about = |need: &Need| match need {
        Need::Topics { cluster: of, names, .. } => *of == cluster && names.contains(name),
        _ => false,
    };
    seen.refused.iter().find(|(need, _)| about(need)).map(|(_, refusal)| refusal)
}
