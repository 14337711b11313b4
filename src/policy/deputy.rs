//! Who writes for an idempotent producer where policy may take records out of its batches. A broker that found a hole in
//! the sequence would refuse what follows, so such batches are written under an id of ours, with a sequence of ours for
//! each lane, and without a hole. The last five are remembered, as a broker remembers them, with what became of their
//! records: one that the client sends again is parted the same way and numbered the same way, so that brokers find what
//! they have, and what is written whole is answered from memory.
//!
//! One deputy stands for one producer at one partition, for all sessions of this process. The epoch is the producer's own:
//! with a newer one it begins anew, here as there. What one process knows another does not: a producer that comes back from
//! another is written under a new id, and what was in flight when it left may be there twice.
//!
//! Pure. Sources: KIP-98, Kafka's `ProducerStateEntry` (five batches) and `ProducerAppendInfo`.

use super::verdict::Verdict;
use crate::config;
use crate::types::SessionId;
use crate::wire::batch::edit::{Change, Fate, Lane, Sender, shared};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many batches brokers remember of a producer, and so many clients have in flight at most.
const LATELY: usize = 5;
/// Sequences count up to here and go on at 0.
const SEQUENCES: i32 = i32::MAX;
/// So long a batch waits for one that it may have overtaken on another connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ids from here on are ours: clusters count theirs up from 0.
const OURS: i64 = 1 << 60;

/// See the module's text.
#[derive(Debug)]
pub struct Deputy {
    id: i64,
    epoch: i16,
    /// Who sent the last batch.
    by: SessionId,
    /// Who came anew with a batch that something is missing before, and since when.
    early: Option<(SessionId, Instant)>,
    /// The client's next sequence, once it has begun.
    next: Option<i32>,
    /// Our next ones, by the lane's topic; `None`: the topic itself.
    places: Vec<(Option<Arc<str>>, i32)>,
    /// Oldest first.
    lately: VecDeque<Batch>,
    /// How many batches there were.
    count: u64,
    /// Records without a key go to one partition of a lane, so that they stay in sequence there: this one, round the number
    /// that there are.
    round: u32,
    /// When it was asked last.
    used: Instant,
}

/// A batch of the client's, as it was taken.
#[derive(Debug)]
struct Batch {
    number: u64,
    sequence: i32,
    count: i32,
    /// Until all is written.
    parting: Option<Arc<Parting>>,
    parts: Vec<Part>,
    /// Its client is told that it failed, and has not sent it again yet.
    failed: bool,
    told: Told,
}

/// What becomes of a batch's records.
#[derive(Debug, PartialEq, Eq)]
pub enum Parting {
    /// All have one fate and none is changed.
    Whole(Fate),
    /// One for each, with what they refer to.
    Each(Box<[Fate]>, Box<[Change]>),
}

/// What of a batch goes to a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub lane: Lane,
    /// Where that leads, whatever the config says by now; `None`: the topic itself.
    pub leads: Option<config::policy::Lane>,
    /// Our sequence of its first record there.
    pub sequence: i32,
    /// How many they are.
    pub count: i32,
    /// Its broker has said so.
    pub written: bool,
}

/// What a producer is told of a batch that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of the first record; -1 where no offset speaks for all of them.
    pub offset: i64,
    /// Where the topic's time is the broker's; else -1.
    pub append_time_ms: i64,
    /// Of the partition; -1 where nobody said.
    pub log_start: i64,
}

impl Told {
    /// Nothing.
    pub const NOTHING: Self = Self { offset: -1, append_time_ms: -1, log_start: -1 };
}

/// A client's batch, as it comes.
#[derive(Clone, Copy)]
pub struct Came<'a> {
    /// Whose it says it is.
    pub client: Sender,
    /// Its records.
    pub count: i32,
    /// Who sent it.
    pub by: SessionId,
    /// When.
    pub now: Instant,
    /// Whether a session is open.
    pub is_open: &'a dyn Fn(SessionId) -> bool,
}

/// What a client's batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before: it is to be judged, then [taken](Deputy::take).
    New,
    /// One of the last, which is not written whole, as far as we know: it goes the way that it went before.
    Again {
        /// Its number.
        number: u64,
        /// What becomes of its records.
        parting: Arc<Parting>,
        /// All that it was parted into.
        parts: Vec<Part>,
    },
    /// It is written.
    Written(Told),
    /// Something is missing before it, which may be on its way over another connection: it must wait.
    Early,
    /// Something is missing before it, or it is too old to be remembered: 45.
    OutOfOrder,
    /// Its producer has begun anew: 47.
    Fenced,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its broker has it.
    Written(Told),
    /// Its broker does not want it, and never will.
    Refused,
    /// Nobody knows, or its broker will take it later: the client sends it again.
    Open,
}

/// When a batch may go on its way. Clients take it for a broken broker where a batch fails and a later one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now: nothing is before it, or only what goes to the same topic, where a broker keeps the order.
    Now,
    /// When those before it have come to their end.
    Later,
    /// Not before one that failed has come again: 45.
    Never,
}

/// A deputy, as sessions share it.
pub type Shared = Arc<Mutex<Deputy>>;

/// What a part on its way tells its deputy when it comes to an end.
#[derive(Clone, Debug)]
pub struct Trail {
    deputy: Shared,
    number: u64,
    lane: Lane,
}

impl Trail {
    /// That of a batch's part for a lane.
    #[must_use]
    pub fn new(deputy: &Shared, number: u64, lane: Lane) -> Self {
        Self { deputy: Arc::clone(deputy), number, lane }
    }

    /// Whether it may go.
    #[must_use]
    pub fn turn(&self) -> Turn {
        self.deputy.lock().turn(self.number)
    }

    /// It is at its end.
    pub fn ends(&self, outcome: Outcome) {
        self.deputy.lock().ends(self.number, self.lane, outcome);
    }
}

impl PartialEq for Trail {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deputy, &other.deputy) && (self.number, self.lane) == (other.number, other.lane)
    }
}

impl Parting {
    /// Of a verdict. What is for a lane that is `away` stays with the rest.
    #[must_use]
    pub fn of(verdict: &Verdict, away: impl Fn(Lane) -> bool) -> Self {
        let home = |fate: &Fate| Fate { to: fate.to.map(|lane| if away(lane) { Lane::MAIN } else { lane }), ..*fate };
        let fates: Box<[Fate]> = verdict.fates.iter().map(home).collect();
        shared(&fates).map_or_else(|| Self::Each(fates, verdict.changes.clone().into()), Self::Whole)
    }

    /// The lanes that a batch of so many records is parted into, with how many go there.
    #[must_use]
    pub fn lanes(&self, count: i32) -> Vec<(Lane, i32)> {
        match self {
            Self::Whole(fate) => fate.to.map(|lane| (lane, count)).into_iter().collect(),
            Self::Each(fates, _) => {
                let mut lanes: Vec<(Lane, i32)> = Vec::new();
                for lane in fates.iter().filter_map(|fate| fate.to) {
                    match lanes.iter_mut().find(|(known, _)| *known == lane) {
                        Some((_, count)) => *count += 1,
                        None => lanes.push((lane, 1)),
                    }
                }
                lanes.sort_unstable_by_key(|(lane, _)| lane.0);
                lanes
            }
        }
    }
}

impl Deputy {
    /// For a producer that nobody has stood for yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            id: fastrand::i64(OURS..),
            epoch: -1,
            by: SessionId(0),
            early: None,
            next: None,
            places: Vec::new(),
            lately: VecDeque::new(),
            count: 0,
            round: fastrand::u32(..),
            used: now,
        }
    }

    /// When it was asked last.
    #[must_use]
    pub fn used(&self) -> Instant {
        self.used
    }

    /// Which partition of a lane records without a key go to, round the number that there are.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// What the next part bears that goes there.
    #[must_use]
    pub fn sender(&self, leads: Option<&config::policy::Lane>) -> Sender {
        let sequence = self.places.iter().find(|(topic, _)| is_at(topic, leads)).map_or(0, |(_, place)| *place);
        Sender { id: self.id, epoch: self.epoch, sequence }
    }

    /// What a part bore that was taken before.
    #[must_use]
    pub fn sender_of(&self, part: &Part) -> Sender {
        Sender { id: self.id, epoch: self.epoch, sequence: part.sequence }
    }

    /// A batch came. Whoever comes anew begins with the lowest that it misses: a batch that does not fit was preceded by
    /// others elsewhere. Or it has overtaken one that is on its way over a connection which is open still; then it waits for
    /// that for a while.
    pub fn see(&mut self, came: Came) -> Seen {
        let Came { client, count, by, now, .. } = came;
        self.used = now;
        if client.epoch < self.epoch {
            return Seen::Fenced;
        }
        if client.epoch > self.epoch {
            self.begin(client.epoch);
        }
        let known = self.lately.iter_mut().find(|batch| batch.is(client.sequence, count));
        let seen = known.map(Batch::comes_again);
        let fits = self.next.is_none_or(|next| next == client.sequence);
        let seen = match seen {
            Some(seen) => seen,
            None if fits => Seen::New,
            None if self.by == by => return Seen::OutOfOrder,
            None if self.waits(by, now, came.is_open) => return Seen::Early,
            None => {
                // Nothing that is in flight under the old one is waited for any more.
                self.id = fastrand::i64(OURS..);
                self.begin(client.epoch);
                Seen::New
            }
        };
        (self.by, self.early) = (by, None);
        seen
    }

    fn waits(&mut self, by: SessionId, now: Instant, is_open: &dyn Fn(SessionId) -> bool) -> bool {
        let (early, since) = *self.early.get_or_insert((by, now));
        if early != by {
            self.early = Some((by, now));
            return is_open(self.by);
        }
        is_open(self.by) && now.saturating_duration_since(since) < PATIENCE
    }

    /// A new batch goes its way, to where the lanes lead; its parts bear what [`Deputy::sender`] says. Its number.
    pub fn take(
        &mut self,
        client: Sender,
        count: i32,
        parting: Parting,
        leads: impl Fn(Lane) -> Option<config::policy::Lane>,
    ) -> (u64, Vec<Part>) {
        let number = self.count;
        self.count += 1;
        let lanes = parting.lanes(count).into_iter();
        let parts: Vec<_> = lanes.map(|(lane, count)| self.part(lane, leads(lane), count)).collect();
        self.next = Some(after(client.sequence, count));
        if self.lately.len() == LATELY {
            self.lately.pop_front();
        }
        let parting = (!parts.is_empty()).then(|| Arc::new(parting));
        let batch = Batch {
            number,
            sequence: client.sequence,
            count,
            parting,
            parts: parts.clone(),
            failed: false,
            told: Told::NOTHING,
        };
        self.lately.push_back(batch);
        (number, parts)
    }

    /// A new batch goes nowhere: what follows it has a hole before it, until the client has numbered it anew.
    pub fn refuse(&mut self, client: Sender) {
        self.next.get_or_insert(client.sequence);
    }

    fn part(&mut self, lane: Lane, leads: Option<config::policy::Lane>, count: i32) -> Part {
        let sequence = self.sender(leads.as_ref()).sequence;
        let next = after(sequence, count);
        match self.places.iter_mut().find(|(topic, _)| is_at(topic, leads.as_ref())) {
            Some((_, place)) => *place = next,
            None => self.places.push((leads.as_ref().map(|leads| Arc::clone(&leads.topic)), next)),
        }
        Part { lane, leads, sequence, count, written: false }
    }

    fn begin(&mut self, epoch: i16) {
        self.epoch = epoch;
        self.next = None;
        self.places.clear();
        self.lately.clear();
    }

    fn ends(&mut self, number: u64, lane: Lane, outcome: Outcome) {
        let Some(place) = self.lately.iter().position(|batch| batch.number == number) else { return };
        match (outcome, self.lately.get_mut(place)) {
            (Outcome::Refused, _) => self.refused(place),
            (Outcome::Open, Some(batch)) => batch.failed = true,
            (Outcome::Written(told), Some(batch)) => batch.written(lane, told),
            (_, None) => {}
        }
    }

    fn turn(&self, number: u64) -> Turn {
        let before = || self.lately.iter().filter(|batch| batch.number < number && batch.parting.is_some());
        let goes = self.lately.iter().find(|batch| batch.number == number).and_then(Batch::goes_to);
        if before().any(|batch| batch.failed) {
            Turn::Never
        } else if before().all(|batch| goes.is_some() && batch.goes_to() == goes) {
            Turn::Now
        } else {
            Turn::Later
        }
    }

    /// A part was refused for good, and its client gives the batch up and numbers anew what follows. Of that nothing is
    /// written: it waited, or its broker finds the hole.
    fn refused(&mut self, place: usize) {
        let gone: Vec<_> = self.lately.drain(place..).collect();
        self.next = gone.first().map(|batch| batch.sequence);
        // Latest first: the lowest that is not written stands in the end.
        for part in gone.iter().rev().flat_map(|batch| &batch.parts).filter(|part| !part.written) {
            let own = self.places.iter_mut().find(|(topic, _)| is_at(topic, part.leads.as_ref()));
            own.into_iter().for_each(|(_, place)| *place = part.sequence);
        }
    }
}

impl Batch {
    fn is(&self, sequence: i32, count: i32) -> bool {
        (self.sequence, self.count) == (sequence, count)
    }

    fn comes_again(&mut self) -> Seen {
        self.failed = false;
        match &self.parting {
            None => Seen::Written(self.told),
            Some(parting) => {
                Seen::Again { number: self.number, parting: Arc::clone(parting), parts: self.parts.clone() }
            }
        }
    }

    /// The one topic that all of it goes to; `None` where there are several.
    fn goes_to(&self) -> Option<Option<&str>> {
        let [part] = &self.parts[..] else { return None };
        Some(part.leads.as_ref().map(|leads| &*leads.topic))
    }

    fn written(&mut self, lane: Lane, told: Told) {
        self.parts.iter_mut().filter(|part| part.lane == lane).for_each(|part| part.written = true);
        if is_untouched(&self.parts, self.count) {
            self.told = told;
        }
        if self.parts.iter().all(|part| part.written) {
            self.parting = None;
        }
    }
}

/// Whether all records of a batch went where the client meant them to: then the first one's offset speaks for all.
#[must_use]
pub fn is_untouched(parts: &[Part], records: i32) -> bool {
    matches!(parts, [Part { leads: None, count, .. }] if *count == records)
}

fn is_at(topic: &Option<Arc<str>>, leads: Option<&config::policy::Lane>) -> bool {
    topic.as_deref() == leads.map(|leads| &*leads.topic)
}

/// The sequence so many further.
fn after(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & SEQUENCES
}

#[cfg(test)]
mod tests;
