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

use super::parting::{Part, Parting, is_untouched};
use super::weight::{Memory, Weight};
use crate::config;
use crate::types::SessionId;
use crate::types::producer::own_id;
use crate::wire::batch::edit::{Lane, Sender};
use crate::wire::batch::sequence::{after, is_after};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many batches brokers remember of a producer, and so many clients have in flight at most.
const LATELY: usize = 5;
/// So long a batch waits for one that it may have overtaken on another connection.
const PATIENCE: Duration = Duration::from_secs(2);

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
    /// Of those before this number only the remembered ones may go: the others were given up, and their numbers may be another's by
    /// now.
    gone: u64,
    /// The batch that would be next was refused for good: what its client had sent behind it finds a hole.
    hole: bool,
    /// Records without a key go to one partition of a lane, so that they stay in sequence there: this one, round the number
    /// that there are.
    round: u32,
    /// When it was asked last.
    used: Instant,
    memory: Memory,
}

/// A batch of the client's, as it was taken.
#[derive(Debug)]
struct Batch {
    number: u64,
    /// How often it came.
    came: u32,
    /// Where one before it failed: so many times that it came are over, for it must not succeed before that one comes again.
    over: u32,
    sequence: i32,
    count: i32,
    /// Until all is written.
    parting: Option<Arc<Parting>>,
    /// What that takes.
    weight: Option<Weight>,
    parts: Vec<Part>,
    /// Its client is told that it failed, and has not sent it again yet.
    failed: bool,
    told: Told,
}

/// A batch, at one of the times that it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    number: u64,
    came: u32,
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
    /// What of the partition stands before it in its session.
    pub before: Before,
    /// Whether a session is open.
    pub is_open: &'a dyn Fn(SessionId) -> bool,
}

/// What stands before a batch in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// Something is held, or on its way.
    Underway,
    /// One of its producer's was refused and did not come again.
    Refused,
}

/// What a client's batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before: it is to be judged, then [taken](Deputy::take).
    New,
    /// One of the last, which is not written whole, as far as we know: it goes the way that it went before.
    Again {
        /// Which, and at which of the times that it came.
        visit: Visit,
        /// What becomes of its records.
        parting: Arc<Parting>,
        /// All that it was parted into.
        parts: Vec<Part>,
    },
    /// It is written.
    Written(Told),
    /// Something is missing before it, which may be on its way over another connection: it must wait.
    Early,
    /// What is missing before it was refused, and comes again: it fails with that.
    Behind,
    /// Something is missing before it that will not come, or it is too old to be remembered: 45.
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
pub enum When {
    /// Now: nothing is before it, or only what goes to the same topic, where a broker keeps the order.
    Now,
    /// When those before it have come to their end.
    Later,
    /// Not before one that failed has come again: it fails with that one.
    Failed,
    /// It, or one before it, was given up: 45.
    Never,
}

/// A deputy, as sessions share it.
pub type Shared = Arc<Mutex<Deputy>>;

/// What a part on its way tells its deputy when it comes to an end.
#[derive(Clone, Debug)]
pub struct Trail {
    deputy: Shared,
    visit: Visit,
    lane: Lane,
}

impl Trail {
    /// That of a batch's part for a lane.
    #[must_use]
    pub fn new(deputy: &Shared, visit: Visit, lane: Lane) -> Self {
        Self { deputy: Arc::clone(deputy), visit, lane }
    }

    /// Whether it may go.
    #[must_use]
    pub fn when(&self) -> When {
        self.deputy.lock().when(self.visit)
    }

    /// It is at its end.
    pub fn ends(&self, outcome: Outcome) {
        self.deputy.lock().ends(self.visit, self.lane, outcome);
    }
}

impl PartialEq for Trail {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deputy, &other.deputy) && (self.visit, self.lane) == (other.visit, other.lane)
    }
}

impl Deputy {
    /// For a producer that nobody has stood for yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            id: own_id(),
            epoch: -1,
            by: SessionId(0),
            early: None,
            next: None,
            places: Vec::new(),
            lately: VecDeque::with_capacity(LATELY),
            count: 0,
            gone: 0,
            hole: false,
            round: fastrand::u32(..),
            used: now,
            memory: Memory::default(),
        }
    }

    /// The same; what it remembers is counted there.
    #[must_use]
    pub fn counted_in(self, memory: &Memory) -> Self {
        Self { memory: memory.clone(), ..self }
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

    /// What the parts of the next batch bear: one that goes where another goes stands behind it.
    #[must_use]
    pub fn senders<'l>(&self, parts: &'l [(Lane, Option<config::policy::Lane>, i32)]) -> Vec<(Lane, Sender)> {
        let topic = |leads: &'l Option<config::policy::Lane>| leads.as_ref().map(|leads| &*leads.topic);
        let mut senders = Vec::with_capacity(parts.len());
        for (place, (lane, leads, _)) in parts.iter().enumerate() {
            let before = parts.iter().take(place).filter(|(_, other, _)| topic(other) == topic(leads));
            let mut sender = self.sender(leads.as_ref());
            sender.sequence = before.fold(sender.sequence, |sequence, (.., count)| after(sequence, *count));
            senders.push((*lane, sender));
        }
        senders
    }

    /// What the next part bears that goes there.
    #[must_use]
    fn sender(&self, leads: Option<&config::policy::Lane>) -> Sender {
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
        let Came { client, count, by, now, before, .. } = came;
        self.used = now;
        if client.epoch < self.epoch {
            return Seen::Fenced;
        }
        if client.epoch > self.epoch {
            self.begin(client.epoch);
        }
        let place = self.lately.iter().position(|batch| batch.is(client.sequence, count));
        let seen = place.and_then(|place| {
            let is_behind = self.is_behind_failed(place);
            Some(self.lately.get_mut(place)?.comes_again(is_behind))
        });
        let fits = self.next.is_none_or(|next| next == client.sequence);
        let seen = match seen {
            Some(seen) => seen,
            None if fits => Seen::New,
            // Nobody was elsewhere meanwhile who has sent here what is missing, or what is older.
            None if self.by == by && (self.hole || !self.is_ahead(client.sequence)) => return Seen::OutOfOrder,
            None if self.by == by && before == Before::Refused => return Seen::Behind,
            None if before == Before::Underway => return Seen::Early,
            None if (self.by != by || self.is_in_doubt()) && self.waits(by, now, came.is_open) => return Seen::Early,
            None => {
                // Nothing that is in flight under the old one is waited for any more.
                self.id = own_id();
                self.begin(client.epoch);
                Seen::New
            }
        };
        (self.by, self.early) = (by, None);
        seen
    }

    fn is_ahead(&self, sequence: i32) -> bool {
        self.next.is_some_and(|next| is_after(sequence, next))
    }

    /// Whether a batch is on its way.
    fn is_in_doubt(&self) -> bool {
        self.lately.iter().any(|batch| batch.parting.is_some() && !batch.failed)
    }

    /// Whether one before this place failed and did not come again.
    fn is_behind_failed(&self, place: usize) -> bool {
        self.lately.iter().take(place).any(|batch| batch.parting.is_some() && batch.failed)
    }

    fn waits(&mut self, by: SessionId, now: Instant, is_open: &dyn Fn(SessionId) -> bool) -> bool {
        let (early, since) = *self.early.get_or_insert((by, now));
        if early != by {
            self.early = Some((by, now));
            return is_open(self.by);
        }
        is_open(self.by) && now.saturating_duration_since(since) < PATIENCE
    }

    /// A new batch goes its way, to where the lanes lead; its parts bear what [`Deputy::senders`] says. Where all of it is dropped,
    /// one part of nothing waits for its turn.
    pub fn take(
        &mut self,
        client: Sender,
        count: i32,
        parting: Parting,
        leads: impl Fn(Lane) -> Option<config::policy::Lane>,
    ) -> (Visit, Vec<Part>) {
        let number = self.count;
        self.count += 1;
        let lanes = parting.lanes(count).into_iter();
        let mut parts: Vec<_> = lanes.map(|(lane, count)| self.part(lane, leads(lane), count)).collect();
        if parts.is_empty() {
            parts.push(Part { lane: Lane::MAIN, leads: None, sequence: 0, count: 0, written: false });
        }
        (self.next, self.hole) = (Some(after(client.sequence, count)), false);
        if self.lately.len() == LATELY {
            self.lately.pop_front();
        }
        let over = u32::from(self.is_behind_failed(self.lately.len()));
        let weight = Some(self.memory.hold(parting.bytes()));
        let parting = Some(Arc::new(parting));
        let batch = Batch {
            number,
            came: 1,
            over,
            sequence: client.sequence,
            count,
            parting,
            weight,
            parts: parts.clone(),
            failed: false,
            told: Told::NOTHING,
        };
        self.lately.push_back(batch);
        (Visit { number, came: 1 }, parts)
    }

    /// A new batch goes nowhere: what follows it has a hole before it, until the client has numbered it anew.
    pub fn refuse(&mut self, client: Sender) {
        if client.epoch > self.epoch {
            self.begin(client.epoch);
        }
        let next = *self.next.get_or_insert(client.sequence);
        self.hole |= (client.epoch, client.sequence) == (self.epoch, next);
    }

    /// A batch came again, and cannot go.
    pub fn comes_to_nothing(&mut self, visit: Visit) {
        self.ends(visit, Lane::MAIN, Outcome::Open);
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
        (self.next, self.hole) = (None, false);
        self.places.clear();
        self.lately.clear();
        self.gone = self.count;
    }

    fn ends(&mut self, visit: Visit, lane: Lane, outcome: Outcome) {
        let Some(place) = self.lately.iter().position(|batch| batch.number == visit.number) else { return };
        let Some(batch) = self.lately.get_mut(place) else { return };
        match outcome {
            Outcome::Written(told) => batch.written(lane, told),
            // It came again meanwhile, and that will have an end of its own.
            _ if visit.came != batch.came => {}
            Outcome::Refused => self.refused(place),
            Outcome::Open => {
                batch.failed = true;
                self.lately.iter_mut().skip(place + 1).for_each(|later| later.over = later.came);
            }
        }
    }

    fn when(&self, visit: Visit) -> When {
        let before = || self.lately.iter().filter(|batch| batch.number < visit.number && batch.parting.is_some());
        let own = self.lately.iter().find(|batch| batch.number == visit.number);
        let failed = own.is_some_and(|batch| batch.parting.is_some() && visit.came <= batch.over);
        let goes = own.and_then(Batch::goes_to);
        if failed {
            When::Failed
        } else if own.is_none() && visit.number < self.gone {
            When::Never
        } else if before().all(|batch| goes.is_some() && batch.goes_to() == goes) {
            When::Now
        } else {
            When::Later
        }
    }

    /// A part was refused for good, and its client gives the batch up and numbers anew what follows. Of that nothing is
    /// written: it waited, or its broker finds the hole.
    fn refused(&mut self, place: usize) {
        let gone: Vec<_> = self.lately.drain(place..).collect();
        (self.next, self.hole, self.gone) = (gone.first().map(|batch| batch.sequence), true, self.count);
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

    fn comes_again(&mut self, is_behind_failed: bool) -> Seen {
        (self.failed, self.came) = (false, self.came.saturating_add(1));
        if is_behind_failed {
            self.over = self.came;
        }
        match &self.parting {
            None => Seen::Written(self.told),
            Some(parting) => {
                let visit = Visit { number: self.number, came: self.came };
                Seen::Again { visit, parting: Arc::clone(parting), parts: self.parts.clone() }
            }
        }
    }

    /// The one topic that all of it goes to; `None` where there are several.
    fn goes_to(&self) -> Option<Option<&str>> {
        // Nothing goes nowhere: it would be there before what it follows.
        let [part @ Part { count: 1.., .. }] = &self.parts[..] else { return None };
        Some(part.leads.as_ref().map(|leads| &*leads.topic))
    }

    fn written(&mut self, lane: Lane, told: Told) {
        self.parts.iter_mut().filter(|part| part.lane == lane).for_each(|part| part.written = true);
        if is_untouched(&self.parts, self.count) {
            self.told = told;
        }
        if self.parts.iter().all(|part| part.written) {
            (self.parting, self.weight) = (None, None);
        }
    }
}

fn is_at(topic: &Option<Arc<str>>, leads: Option<&config::policy::Lane>) -> bool {
    topic.as_deref() == leads.map(|leads| &*leads.topic)
}

#[cfg(test)]
mod tests;
