//! What the demo came to, record by record, in words and as yes or no.

use super::sample::{Flow, GROUP, GROUP_HOME, LANE, LANE_HOME, NOISY};
use super::screen::millis;
use super::spread::Spread;
use super::tally::Counts;
use std::fmt;

/// What the whole demo came to.
#[derive(Clone)]
pub struct Verdict {
    /// The pipelines, in the config's order.
    pub flows: Vec<FlowVerdict>,
    /// The noisy token, if it came.
    pub flood: Option<FloodVerdict>,
}

/// What the noisy token's records came to.
#[derive(Clone)]
pub struct FloodVerdict {
    /// Handed to the client library.
    pub sent: u64,
    /// Reported as written by the client library.
    pub acknowledged: u64,
    /// Reported as failed by the client library.
    pub refused: u64,
    /// Read back from the topic that they were sent to.
    pub stayed: u64,
    /// Records that the lane's cluster itself says it was given for the lane.
    pub moved: u64,
    /// From send to read, of the other tokens' records: before the flood, and while it came.
    pub(super) around: [Spread; 2],
}

/// What one pipeline's records came to.
#[derive(Clone)]
pub struct FlowVerdict {
    pub(super) flow: Flow,
    /// What the client saw.
    pub counts: Counts,
    /// Acknowledged and never read.
    pub lost: u64,
    /// Records that the pipeline's cluster itself says it was given for the topic.
    pub in_its_cluster: u64,
    /// Records that the other cluster says it was given for a topic of this name.
    pub in_the_other: u64,
    /// Records that the group has committed as read.
    pub committed: u64,
    pub(super) took: Spread,
}

impl Counts {
    /// Records that something went wrong with.
    pub(super) fn wrong(&self) -> u64 {
        self.refused + self.doubled + self.reordered + self.altered
    }
}

impl Verdict {
    /// Nothing is missing, nothing is there twice, and every record is where it belongs.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.flows.is_empty()
            && self.flows.iter().all(FlowVerdict::passed)
            && self.flood.as_ref().is_none_or(FloodVerdict::passed)
    }
}

impl FloodVerdict {
    /// All of it was acknowledged, and stayed or was moved aside.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.mistakes().is_empty()
    }

    fn mistakes(&self) -> Vec<String> {
        let Self { sent, acknowledged, refused, stayed, moved, .. } = *self;
        let checks = [
            (refused > 0, format!("{refused} were refused")),
            (acknowledged != sent, format!("{} of {sent} were not acknowledged", sent.saturating_sub(acknowledged))),
            (stayed + moved != acknowledged, format!("{stayed} and {moved} are not {acknowledged}")),
            (moved == 0, "nothing was moved aside".to_owned()),
        ];
        checks.into_iter().filter_map(|(wrong, what)| wrong.then_some(what)).collect()
    }
}

impl fmt::Display for FloodVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, stayed, moved, around: [before, during], .. } = self;
        writeln!(
            f,
            "{NOISY} ({sent} sent by a producer of its own): {acknowledged} acknowledged = {stayed} that stayed + {moved} in {LANE} on {}",
            LANE_HOME.cluster()
        )?;
        let tail = |took: &Spread| format!("p50 {} ms, p99 {} ms", millis(took, 50), millis(took, 99));
        write!(f, "  the other tokens, from send to read: {} before, {} while it flooded", tail(before), tail(during))?;
        self.mistakes().iter().try_for_each(|mistake| write!(f, "\n  WRONG: {mistake}"))
    }
}

impl FlowVerdict {
    /// See [`Verdict::passed`].
    #[must_use]
    pub fn passed(&self) -> bool {
        self.mistakes().is_empty()
    }

    fn mistakes(&self) -> Vec<String> {
        let Counts { sent, acknowledged, read, refused, doubled, reordered, altered, foreign, noisy } = self.counts;
        let written = sent + foreign + noisy;
        let (there, elsewhere, committed) = (self.in_its_cluster, self.in_the_other, self.committed);
        let checks = [
            (sent == 0, "nothing was sent".to_owned()),
            (acknowledged != sent, format!("{} of {sent} were not acknowledged", sent.saturating_sub(acknowledged))),
            (refused > 0, format!("{refused} were refused")),
            (self.lost > 0, format!("{} were acknowledged and never read", self.lost)),
            (read != sent, format!("{read} of {sent} were read")),
            (doubled > 0, format!("{doubled} were there twice")),
            (reordered > 0, format!("{reordered} came out of order")),
            (altered > 0, format!("{altered} were altered")),
            (there != written, format!("{} has {there} records instead of {written}", self.flow.cluster())),
            (elsewhere > 0, format!("{elsewhere} records are on the wrong cluster")),
            (committed != written, format!("the group committed {committed} instead of {written}")),
        ];
        checks.into_iter().filter_map(|(wrong, what)| wrong.then_some(what)).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for flow in &self.flows {
            writeln!(f, "{flow}")?;
        }
        if let Some(flood) = &self.flood {
            writeln!(f, "{flood}")?;
        }
        if self.passed() {
            writeln!(f, "PASSED: sent = acknowledged = read; none lost, doubled, reordered or altered.")?;
            write!(f, "Group {GROUP} read both topics; its offsets are on {}.", GROUP_HOME.cluster())
        } else {
            f.write_str("FAILED: see above.")
        }
    }
}

impl fmt::Display for FlowVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flow, counts) = (self.flow, self.counts);
        writeln!(
            f,
            "{} ({} on {}): {} sent, {} acknowledged, {} read, {} in the cluster, {} committed",
            flow.pipeline(),
            flow.topic(),
            flow.cluster(),
            counts.sent,
            counts.acknowledged,
            counts.read,
            self.in_its_cluster,
            self.committed
        )?;
        if counts.foreign > 0 {
            writeln!(f, "  {} of those in the cluster were written by somebody else", counts.foreign)?;
        }
        write!(f, "  from send to read: p50 {} ms, p99 {} ms", millis(&self.took, 50), millis(&self.took, 99))?;
        write!(f, " (with 5 ms of linger and up to 10 ms of the mock's fetch wait)")?;
        for mistake in self.mistakes() {
            write!(f, "\n  WRONG: {mistake}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(flow: Flow) -> FlowVerdict {
        let counts = Counts { sent: 10, acknowledged: 10, read: 10, foreign: 2, ..Counts::default() };
        let took = Spread::default();
        FlowVerdict { flow, counts, lost: 0, in_its_cluster: 12, in_the_other: 0, committed: 12, took }
    }

    fn verdict(spoil: impl Fn(&mut FlowVerdict)) -> Verdict {
        let mut logs = good(Flow::Logs);
        spoil(&mut logs);
        Verdict { flows: vec![good(Flow::Events), logs], flood: Some(flood()) }
    }

    fn flood() -> FloodVerdict {
        let around = [Spread::default(), Spread::default()];
        FloodVerdict { sent: 9, acknowledged: 9, refused: 0, stayed: 2, moved: 7, around }
    }

    #[test]
    fn what_became_of_the_noisy_token_must_add_up() {
        type Spoil = fn(&mut FloodVerdict);
        let spoilers: [(Spoil, &str); 4] = [
            (|flood| flood.acknowledged = 8, "1 of 9 were not acknowledged"),
            (|flood| flood.refused = 1, "1 were refused"),
            (|flood| flood.moved = 6, "2 and 6 are not 9"),
            (|flood| (flood.stayed, flood.moved) = (9, 0), "nothing was moved aside"),
        ];
        for (spoil, words) in spoilers {
            let mut flood = flood();
            spoil(&mut flood);
            let verdict = Verdict { flood: Some(flood), ..verdict(|_| ()) };
            assert!(!verdict.passed() && verdict.to_string().contains(words), "{verdict}");
        }
        assert!(Verdict { flood: None, ..verdict(|_| ()) }.passed(), "it ended before the flood");
    }

    #[test]
    fn all_there_once_passes() {
        let verdict = verdict(|_| ());
        assert!(verdict.passed());
        insta::assert_snapshot!(verdict.to_string());
    }

    #[test]
    fn anything_wrong_with_one_flow_fails_and_is_named() {
        type Spoil = fn(&mut FlowVerdict);
        let spoilers: [(Spoil, &str); 11] = [
            (|flow| flow.counts = Counts::default(), "nothing was sent"),
            (|flow| flow.counts.acknowledged = 9, "1 of 10 were not acknowledged"),
            (|flow| flow.counts.refused = 1, "1 were refused"),
            (|flow| flow.lost = 1, "1 were acknowledged and never read"),
            (|flow| flow.counts.read = 9, "9 of 10 were read"),
            (|flow| flow.counts.doubled = 1, "1 were there twice"),
            (|flow| flow.counts.reordered = 1, "1 came out of order"),
            (|flow| flow.counts.altered = 1, "1 were altered"),
            (|flow| flow.in_its_cluster = 13, "shared has 13 records instead of 12"),
            (|flow| flow.in_the_other = 1, "1 records are on the wrong cluster"),
            (|flow| flow.committed = 11, "the group committed 11 instead of 12"),
        ];
        for (spoil, words) in spoilers {
            let verdict = verdict(spoil);
            let text = verdict.to_string();
            assert!(!verdict.passed() && text.contains(words) && text.ends_with("FAILED: see above."), "{text}");
        }
    }
}
