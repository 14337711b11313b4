//! Whose records stand in a stretch of a log: counted by a key of a pipeline's, out of batches as their cluster keeps them.

use super::admission::Policy;
use super::keys::Who;
use super::names::Found;
use super::talkers::{By, Counts, Heard, LONGEST, Span, Talkers, Top};
use crate::wire::batch::produced::{lay_out, plain};
use crate::wire::batch::{Batch, Batches, Records};
use crate::wire::compression::Desk;
use std::time::Instant;

/// What was looked at so far.
pub struct Backlog {
    talkers: Talkers,
    heard: Heard,
    /// The first offset that counts.
    from: i64,
    /// Behind the last batch that was looked at.
    pub next: i64,
    /// Batches whose records could not be read: they are passed over.
    pub unreadable: u64,
}

impl Backlog {
    /// Nothing yet of what stands from an offset on, counted as these talkers are.
    #[must_use]
    pub fn new(talkers: &Talkers, from: i64) -> Self {
        let talkers = Talkers::new(talkers.written.clone(), talkers.key.clone());
        Self { talkers, heard: Heard::default(), from, next: from, unreadable: 0 }
    }

    /// Looks at batches.
    pub fn look(&mut self, policy: &Policy, set: &[u8], desk: &mut Desk, now: Instant) {
        for batch in Batches::of(set).map_while(Result::ok) {
            self.next = self.next.max(batch.header.next_offset());
            if !batch.header.is_control() && self.count(policy, &batch, desk, now).is_none() {
                self.unreadable += 1;
            }
        }
        self.talkers.take(&mut self.heard, now);
    }

    /// Nothing where it ends in something that is no record.
    fn count(&mut self, policy: &Policy, batch: &Batch<'_>, desk: &mut Desk, now: Instant) -> Option<()> {
        lay_out(batch, desk).ok()?;
        let mut found = Found::default();
        for record in Records::of(plain(batch, &desk.plain), batch.header.count) {
            let record = record.ok()?;
            if batch.header.base_offset.saturating_add(i64::from(record.offset_delta)) < self.from {
                continue;
            }
            policy.names.find(&record, &mut found).ok()?;
            let key = self.talkers.key.of(policy.secrets.buckets, &record, &found, Who::default());
            let bytes = u64::try_from(record.size()).unwrap_or(u64::MAX);
            let counts = Counts { records: 1, bytes, ..Counts::default() };
            let write = |out: &mut Vec<u8>| self.talkers.key.write(&record, &found, Who::default(), LONGEST, out);
            self.talkers.note(&mut self.heard, (key, counts), now, write);
        }
        Some(())
    }

    /// Those with the most records.
    #[must_use]
    pub fn top(&self, most: usize, now: Instant) -> Top {
        self.talkers.top(Span::TenMinutes, By::Records, most, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::policy::keys::{Key, Part, Secret};
    use crate::policy::limit::Secrets;
    use crate::policy::names::Names;
    use crate::wire::batch::Header;
    use crate::wire::batch::testing::{Written, batch, plain_header, plain_record};

    #[test]
    fn only_records_that_are_left_are_counted_and_no_control_records() {
        // Given four records of two tokens, of which the first was dealt with, and a control record behind them
        let record = |delta: i32, token: &str| Written {
            offset_delta: delta,
            headers: vec![(b"token".to_vec(), Some(token.as_bytes().to_vec()))],
            ..plain_record()
        };
        let records = [record(0, "a"), record(1, "b"), record(2, "a"), record(3, "a")];
        let header = Header { base_offset: 10, last_offset_delta: 3, ..plain_header() };
        let control = Header { base_offset: 14, last_offset_delta: 0, attributes: 1 << 5, ..plain_header() };
        let set = [batch(header, &records), batch(control, &[plain_record()])].concat();
        let mut names = Names::default();
        let token = names.ask(b"token").unwrap();
        let secrets = Secrets { buckets: Secret::of("x"), shares: Secret::of("y") };
        let policy = Policy::new(names, Vec::new(), secrets, Vec::new());
        let written = config::policy::Key::Headers(vec![std::sync::Arc::from("token")]);
        let talkers = Talkers::new(written, Key::new(vec![Part::Header(token)]));
        // When it is looked at from offset 11 on
        let (mut backlog, now) = (Backlog::new(&talkers, 11), Instant::now());
        backlog.look(&policy, &set, &mut Desk::default(), now);
        // Then two of one and one of the other are left
        let top = backlog.top(10, now);
        let told: Vec<_> = top.keys.iter().map(|one| (one.text.clone().unwrap(), one.counts.records)).collect();
        assert_eq!(told, [(b"a".to_vec(), 2), (b"b".to_vec(), 1)]);
        assert_eq!((backlog.next, backlog.unreadable), (15, 0));
    }
}
