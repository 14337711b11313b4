//! What the member of a split share session is answered, and when.

use super::super::asked::{Partition, Terms};
use super::super::kept::{Kept, Reply, acknowledged};
use super::super::moves::{Answer, Leaving, Move, Moves};
use super::outcome::{Outcome, timed_out};
use super::{Broker, GRACE, Now, Place, Serving, Split};
use std::collections::BTreeMap;
use std::mem;
use std::time::Instant;

impl<W> Split<W> {
    /// Until when the member's request waits.
    pub(super) fn due(&self, serving: &Serving<W>) -> Instant {
        let asked_for_it = |broker: &Broker| broker.poll.is_some_and(|poll| poll.request == serving.number);
        if !serving.is_settled() {
            serving.at_last
        } else if self.brokers.values().any(asked_for_it) {
            serving.until + GRACE
        } else {
            serving.until
        }
    }

    /// Answers the member where it is time. True where it is answered.
    pub(super) fn answer(&mut self, now: &Now<'_, '_>, moves: &mut Moves<W>) -> bool {
        let Some(serving) = &self.serving else { return false };
        let late = now.at >= self.due(serving);
        let has_records = || self.brokers.values().flat_map(|broker| &broker.kept).any(Kept::has_records);
        let nothing_to_read = serving.terms.is_none() || serving.ends || self.named.is_empty();
        if !late && !(serving.is_settled() && (nothing_to_read || has_records())) {
            return false;
        }
        let Some(mut serving) = self.serving.take() else { return false };
        let nobody_knows = mem::take(&mut serving.open).into_keys().map(|at| (at, timed_out()));
        serving.outcomes.extend(nobody_knows);
        let answer = match serving.terms {
            None => Answer::Acknowledge(acknowledged(serving.outcomes)),
            Some(terms) => self.read(terms, serving.outcomes, serving.refusal, now.at),
        };
        moves.push(Move::Answer(Leaving { whose: serving.whose, answer, faults: serving.faults }));
        true
    }

    /// What the member gets to read now: of each broker what it has told, the oldest first.
    fn read(
        &mut self,
        terms: Terms,
        outcomes: BTreeMap<Partition, Outcome>,
        refusal: Option<Outcome>,
        now: Instant,
    ) -> Answer {
        let mut reply = Reply::new();
        let most = (i64::from(terms.max_records.max(1)), self.share.min(usize::try_from(terms.max_bytes).unwrap_or(0)));
        let first = |broker: &Broker| broker.kept.front().map(|kept| kept.came);
        let mut came: Vec<_> = self.brokers.iter().filter_map(|(to, broker)| Some((first(broker)?, *to))).collect();
        came.sort_unstable();
        for (_, to) in came {
            let kept = self.brokers.get_mut(&to).map(|broker| &mut broker.kept);
            if let Some(first) = kept.and_then(|kept| kept.pop_front_if(|kept| reply.fits(kept, most))) {
                reply.take(first, now);
            }
        }
        for (at, outcome) in outcomes {
            reply.acknowledged(at, outcome);
        }
        match refusal.filter(|_| reply.is_empty()) {
            Some(Outcome { code, message }) => Answer::refusal(true, code, message),
            None => {
                for (at, place) in &self.named {
                    if let Place::Unknown(code) = place {
                        reply.refuse(*at, *code);
                    }
                }
                let (answer, sources) = reply.write(self.lock_ms);
                Answer::Fetch(Box::new(answer), sources)
            }
        }
    }
}
