//! Service levels: how many records were committed in time, and how many seconds a group was late.

use crate::types::Name;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a pipeline promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    /// A record is committed so soon after it was written.
    pub committed_within: Duration,
    /// For which part of the records, and of the seconds, that must hold: above 0, at most 1.
    pub objective: f64,
}

/// The pipeline of a group, by its name.
pub type PipelineOf = Arc<dyn Fn(&str) -> Name + Send + Sync>;

/// What all pipelines promise.
#[derive(Clone)]
pub struct Aims {
    /// By pipeline; those without a promise are not in it.
    pub slos: Vec<(Name, Slo)>,
    /// Which of them a group belongs to.
    pub pipeline_of: PipelineOf,
}

impl Default for Aims {
    fn default() -> Self {
        Self { slos: Vec::new(), pipeline_of: Arc::new(|_| Name::none()) }
    }
}

impl fmt::Debug for Aims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aims").field("slos", &self.slos).finish_non_exhaustive()
    }
}
