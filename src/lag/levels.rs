//! Service levels: how many records were committed in time, and how many seconds a group was late.

use crate::config::Slo;
use crate::types::{Name, Slot};
use std::fmt;
use std::sync::Arc;

/// What became of a group's promise so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Records that it has committed and of which we know when they came.
    pub records: u64,
    /// Those of them that came longer before than was promised.
    pub late_records: u64,
    /// Seconds for which we have watched it.
    pub seconds: u64,
    /// Those of them in which a record was waiting for longer than was promised.
    pub late_seconds: u64,
}

impl Level {
    /// So many records were committed, so many of them late.
    pub fn committed(&mut self, records: i64, late: i64) {
        self.records = self.records.saturating_add(u64::try_from(records).unwrap_or(0));
        self.late_records = self.late_records.saturating_add(u64::try_from(late.min(records)).unwrap_or(0));
    }

    /// So many seconds have passed, late ones or not.
    pub fn watched(&mut self, seconds: u64, late: bool) {
        self.seconds = self.seconds.saturating_add(seconds);
        self.late_seconds = self.late_seconds.saturating_add(if late { seconds } else { 0 });
    }
}

/// The promise that binds a group, by its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The pipeline.
    pub pipeline: Name,
    /// How long a record may wait, in ms.
    pub within_ms: i64,
}

/// The pipeline of a group, by its name.
pub type PipelineOf = Arc<dyn Fn(&str) -> Name + Send + Sync>;

/// The cluster that is the home of a group, by its name.
pub type HomeOf = Arc<dyn Fn(&str) -> Option<Slot> + Send + Sync>;

/// What all pipelines promise, and where their groups live.
#[derive(Clone)]
pub struct Aims {
    /// By pipeline; those without a promise are not in it.
    pub slos: Vec<(Name, Slo)>,
    /// Which of them a group belongs to.
    pub pipeline_of: PipelineOf,
    /// Where a group lives.
    pub home_of: HomeOf,
}

impl Aims {
    /// The promise that binds a group.
    #[must_use]
    pub fn of(&self, group: &str) -> Option<Bound> {
        if self.slos.is_empty() {
            return None;
        }
        let pipeline = (self.pipeline_of)(group);
        let (_, slo) = self.slos.iter().find(|(name, _)| *name == pipeline)?;
        let within_ms = i64::try_from(slo.committed_within.as_millis()).unwrap_or(i64::MAX);
        Some(Bound { pipeline, within_ms })
    }
}

impl Default for Aims {
    fn default() -> Self {
        Self { slos: Vec::new(), pipeline_of: Arc::new(|_| Name::none()), home_of: Arc::new(|_| None) }
    }
}

impl fmt::Debug for Aims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aims").field("slos", &self.slos).finish_non_exhaustive()
    }
}
