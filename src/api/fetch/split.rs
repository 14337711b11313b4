//! A client's Fetches over several brokers, as a state machine: values in, moves out; the driver in `session` sends and
//! waits. Per broker at most one Fetch (a *poll*) is outstanding, as long as its client would wait. It goes on when the
//! client is answered without it, and the client's next Fetch takes its answer where it still stands at the same
//! offset and epoch. So nobody waits for a broker longer than for those that have something to tell.
//!
//! What is told is kept until the client asks for it: one frame a broker, and in all no more than the session's share.
//! Each piece is handed out once. To drop one is always right, for the client then asks for it again.
//!
//! Fetches of one client are served one after the other, as a broker serves them.

use super::asked::{Asked, Entry, Position, Whom};
use super::brokers::{Broker, Brokers};
use super::handed::throttled;
use super::kept::{Kept, Piece, Poll, claims, leave_out};
use super::leaving::{handed_out, take_away, with_them, write};
use super::moves::{Ask, Leaving, Move, Moves};
use super::question::{question, records_within};
use super::roll::{Roll, Settled, Slot};
use super::told::nothing;
use crate::api::{Effects, Seen, codes};
use crate::error::Fault;
use crate::telemetry::observed::Reader;
use crate::types::{FastMap, Target};
use crate::wire::fetch::{Flat, Named, NotPlain, Part, Terms, Writing};
use bytes::Bytes;
use kafka_protocol::messages::FetchResponse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer to a poll comes a way round after the client's time is over: who has nothing else waits for it so long.
const GRACE: Duration = Duration::from_millis(100);

/// An error of ours that the client has heard within this time is no reason to answer it at once again: Java would ask
/// thousands of times a second while a cluster is away.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// A session goes on being split for so long after the last Fetch that had to be: consumers leave out what they have not
/// worked off, and would otherwise open and lose a fetch session each time.
const STAYS_SPLIT: Duration = Duration::from_secs(30);

/// A broker that comes back without anything is asked this often for one Fetch of the client, lest one that does not
/// wait is asked without end.
const ASKS: u8 = 3;

/// A broker may always send so much (where the client takes it), however many share.
const LEAST_SHARE: usize = 64 << 10;

/// The Fetches of one session. `T` is who is to be answered.
#[derive(Debug)]
pub struct Polls<T> {
    /// Bytes that may be kept.
    share: usize,
    brokers: Brokers,
    /// The partitions that the client's Fetches name.
    roll: Roll,
    /// Errors of ours that the client has heard, and when.
    heard: FastMap<Slot, Instant>,
    /// Oldest first; only the first is served.
    waiting: VecDeque<Waiting<T>>,
    /// Numbers polls and what came back.
    next: u64,
    throttle_ms: i32,
    /// Who asks, for who keeps count.
    reader: Reader,
    /// When a Fetch had to be split.
    split: Option<Instant>,
    over: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    asked: Asked,
    whose: T,
    served: Option<Served>,
}

/// A client's Fetch whose turn it is.
#[derive(Debug)]
struct Served {
    /// When the client wants an answer.
    until: Instant,
    /// It is to be told an error of ours.
    at_once: bool,
    /// How often each of its brokers was asked.
    asks: Vec<u8>,
}

/// What is there for a client's Fetch.
#[derive(Debug, Default)]
struct Offer {
    bytes: usize,
    /// An error, or what else Kafka answers at once.
    at_once: bool,
    /// Whether each of its brokers has told something.
    told: Vec<bool>,
}

impl<T> Polls<T> {
    /// None yet. No more than `share` bytes are kept.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            share,
            brokers: Brokers::default(),
            roll: Roll::default(),
            heard: FastMap::default(),
            waiting: VecDeque::new(),
            next: 0,
            throttle_ms: 0,
            reader: Reader::default(),
            split: None,
            over: false,
        }
    }

    /// Whether a Fetch for one broker alone goes this way too. Where not, what was kept is dropped.
    pub fn is_split(&mut self, now: Instant) -> bool {
        let busy = !self.waiting.is_empty() || self.brokers.iter().any(|broker| broker.poll.is_some());
        if busy || self.was_split(now) {
            return true;
        }
        self.brokers.forget();
        false
    }

    fn was_split(&self, now: Instant) -> bool {
        self.split.is_some_and(|split| now.saturating_duration_since(split) < STAYS_SPLIT)
    }

    /// Finds who answers for what a Fetch names; `generation` numbers placements.
    pub fn settle<'a>(
        &mut self,
        terms: Terms,
        named: impl Iterator<Item = Named<'a>>,
        generation: u64,
        seen: &Seen<'_>,
    ) -> Settled {
        if self.roll.is_stale() {
            self.renew();
        }
        self.reader = seen.reader;
        let brokers = &mut self.brokers;
        let settled = self.roll.settle(terms, named, generation, |to| brokers.number(to), seen);
        if let Some(first) = self.waiting.front() {
            self.roll.serve(&first.asked);
        }
        settled
    }

    /// The brokers that a Fetch is for.
    pub fn brokers_of(&self, asked: &Asked) -> impl Iterator<Item = Target> {
        asked.brokers.iter().filter_map(|at| self.brokers.get(*at)).map(|broker| broker.target)
    }

    /// Whether all of a Fetch can pass through to one broker.
    pub fn passes_through(&mut self, asked: &Asked, now: Instant) -> bool {
        asked.is_for_one() && !self.is_split(now)
    }

    /// The broker of a Fetch that passes through, and what is asked there, with names and ids for any version.
    pub fn through(&mut self, asked: &Asked) -> Option<(Target, Flat)> {
        let number = *asked.brokers.first()?;
        let flat = question(asked, number, &self.roll, |_| {}).0;
        if asked.terms.epoch != Terms::FULL {
            // The client will have a session, and names its partitions no more.
            (self.roll, self.heard) = (Roll::default(), FastMap::default());
        }
        Some((self.brokers.get(number)?.target, flat))
    }

    /// Forgets the partitions that nobody speaks of any more.
    fn renew(&mut self) {
        let old = self.roll.renew();
        let new = &mut self.roll;
        for Waiting { asked, .. } in &mut self.waiting {
            asked.topics.iter_mut().for_each(|topic| topic.slot = new.adopt_topic(&old, topic.slot));
            asked.entries.iter_mut().for_each(|entry| entry.slot = new.adopt(&old, entry.slot));
        }
        for broker in self.brokers.iter_mut() {
            let polled = broker.poll.iter_mut().flat_map(|poll| &mut poll.slots);
            let kept = broker.kept.iter_mut().flat_map(|kept| &mut kept.pieces).map(|piece| &mut piece.slot);
            polled.chain(kept).for_each(|slot| *slot = new.adopt(&old, *slot));
        }
        self.heard = self.heard.drain().map(|(slot, at)| (new.adopt(&old, slot), at)).collect();
    }

    /// A client's Fetch.
    pub fn submit(&mut self, asked: Asked, whose: T, now: Instant) -> Moves<T> {
        if self.over {
            return Moves::new();
        }
        if !asked.is_for_one() {
            self.split = Some(now);
        }
        self.waiting.push_back(Waiting { asked, whose, served: None });
        // Whoever waits before it is served by what comes.
        if self.waiting.len() == 1 { self.advance(now) } else { Moves::new() }
    }

    /// What a broker answered to a poll, in a frame that the codec has read. Nothing happens where that poll is not outstanding.
    pub fn told(
        &mut self,
        (from, number): (Target, u64),
        (answer, frame): (FetchResponse, Bytes),
        now: Instant,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) -> Moves<T> {
        let Some(poll) = self.came_back(from, number) else { return Moves::new() };
        self.next += 1;
        let mut kept = Kept::new(&poll, self.next, now, frame);
        self.throttle_ms = self.throttle_ms.max(answer.throttle_time_ms);
        poll.take_read(&mut kept, from, answer, &mut self.roll, seen, effects);
        self.take(from, kept, now)
    }

    /// The same of a frame in the client's version that nobody has read, whose body begins there.
    ///
    /// # Errors
    /// Where the codec must read it: nothing happens then.
    pub fn told_plainly(
        &mut self,
        (from, number): (Target, u64),
        (frame, body_at): (&Bytes, usize),
        now: Instant,
    ) -> Result<Moves<T>, NotPlain> {
        let Some(poll) = self.came_back(from, number) else { return Ok(Moves::new()) };
        self.next += 1;
        let mut kept = Kept::new(&poll, self.next, now, frame.clone());
        match poll.take_plain(&mut kept, body_at, &mut self.roll) {
            Ok(throttle_ms) => {
                self.throttle_ms = self.throttle_ms.max(throttle_ms);
                Ok(self.take(from, kept, now))
            }
            Err(not_plain) => {
                if let Some(broker) = self.brokers.find_mut(from) {
                    broker.poll = Some(poll);
                }
                Err(not_plain)
            }
        }
    }

    fn take(&mut self, from: Target, kept: Kept, now: Instant) -> Moves<T> {
        if !kept.pieces.is_empty() {
            self.keep(from, kept);
        }
        self.advance(now)
    }

    /// A poll got no answer. Who waits for it is told to ask again; where nobody does, nobody is told.
    pub fn failed(
        &mut self,
        (from, number): (Target, u64),
        fault: &Fault,
        now: Instant,
        effects: &mut Effects,
    ) -> Moves<T> {
        let Some(poll) = self.came_back(from, number) else { return Moves::new() };
        effects.extend(poll.refreshes(from));
        let of = self.brokers.number(from);
        if let Some(Waiting { asked, .. }) = self.waiting.front()
            && let Some(broker) = asked.brokers.iter().position(|broker| *broker == of)
        {
            let failed = |(slot, part): (Slot, &Part)| {
                let told = nothing(part.index, codes::NOT_LEADER_OR_FOLLOWER);
                let piece = Piece::of(slot, Position::of(part), told);
                piece.entry(asked, broker, &self.roll).is_some().then_some(piece)
            };
            let pieces: Vec<_> = poll.slots.iter().copied().zip(&poll.question.parts).filter_map(failed).collect();
            if !pieces.is_empty()
                && let Some(known) = self.brokers.get_mut(of)
            {
                self.next += 1;
                let new = || Kept::new(&poll, self.next, now, Bytes::new());
                let kept = known.kept.get_or_insert_with(new);
                kept.pieces.retain(|piece| piece.named(asked, broker, &self.roll).is_none());
                kept.pieces.extend(pieces);
                kept.fault = Some(fault.clone());
            }
        }
        self.advance(now)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Moves<T> {
        self.advance(now)
    }

    /// When [`Self::tick`] must be called, where nothing else happens before.
    #[must_use]
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        let until = self.waiting.front()?.served.as_ref()?.until;
        Some(if now < until { until } else { until + GRACE })
    }

    /// The client is gone. Who waited is given back, to be dropped.
    #[must_use]
    pub fn end(&mut self) -> Vec<T> {
        self.over = true;
        self.brokers.forget();
        self.waiting.drain(..).map(|waiting| waiting.whose).collect()
    }

    fn came_back(&mut self, from: Target, number: u64) -> Option<Poll> {
        let broker = self.brokers.find_mut(from)?;
        broker.poll.take_if(|poll| poll.number == number)
    }

    /// Keeps the latest frame of a broker in place of an older one, and drops the oldest of others where all together
    /// are too much.
    fn keep(&mut self, from: Target, kept: Kept) {
        let at = self.brokers.number(from);
        let Some(broker) = self.brokers.get_mut(at) else { return };
        broker.kept = Some(kept);
        while self.kept_bytes() > self.share {
            let others = self.brokers.iter_mut().filter(|broker| broker.target != from);
            let frames = others.filter_map(|broker| broker.kept.as_ref().map(|kept| kept.since).zip(Some(broker)));
            let Some((_, oldest)) = frames.min_by_key(|(since, _)| *since) else { return };
            oldest.kept = None;
        }
    }

    /// Others need the memory: what the client has not come for within this time is dropped.
    pub fn shed(&mut self, older: Duration, now: Instant) {
        for broker in self.brokers.iter_mut() {
            broker.kept.take_if(|kept| now.saturating_duration_since(kept.at) >= older);
        }
    }

    /// Bytes of what nobody has claimed yet.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.brokers.iter().filter_map(|broker| broker.kept.as_ref()).map(|kept| kept.frame.len()).sum()
    }

    /// What it takes in memory to remember what Fetches name, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let waiting = self.waiting.iter().map(|waiting| waiting.asked.entries.capacity() * size_of::<Entry>());
        self.roll.memory() + waiting.sum::<usize>()
    }

    /// Serves who waits, one after the other.
    fn advance(&mut self, now: Instant) -> Moves<T> {
        let mut moves = Moves::new();
        while let Some(mut first) = self.waiting.pop_front() {
            let begins = first.served.is_none();
            let mut served = first.served.take().unwrap_or_else(|| self.begin(&first.asked, now));
            let offer = self.offer(&first.asked);
            if begins || now < served.until {
                moves.extend(self.asks(&first.asked, &mut served, &offer, now).map(|ask| Move::Ask(Box::new(ask))));
            }
            if !self.may_leave(&first.asked, &served, &offer, now) {
                first.served = Some(served);
                self.waiting.push_front(first);
                break;
            }
            moves.push(Move::Answer(Box::new(self.leave(&first.asked, first.whose, offer.bytes, now))));
        }
        moves
    }

    fn begin(&mut self, asked: &Asked, now: Instant) -> Served {
        self.roll.serve(asked);
        let heard = |entry: &Entry| {
            let heard = self.heard.get(&entry.slot);
            heard.is_some_and(|heard| now.saturating_duration_since(*heard) < HEARD_WITHIN)
        };
        let at_once = asked.entries.iter().any(|entry| matches!(entry.whom, Whom::Us(_)) && !heard(entry));
        Served { until: now + wait_of(&asked.terms), at_once, asks: vec![0; asked.brokers.len()] }
    }

    /// What is there for a Fetch. What is there for another position of one of its partitions is dropped.
    fn offer(&mut self, asked: &Asked) -> Offer {
        let mut offer = Offer { told: vec![false; asked.brokers.len()], ..Offer::default() };
        for (broker, at) in asked.brokers.iter().enumerate() {
            let Some(Broker { kept: place, .. }) = self.brokers.get_mut(*at) else { continue };
            let Some(mut kept) = place.take().filter(|kept| kept.is_for(asked)) else { continue };
            kept.pieces.retain(|piece| {
                if piece.entry(asked, broker, &self.roll).is_none() {
                    return piece.named(asked, broker, &self.roll).is_none();
                }
                offer.bytes += piece.size;
                offer.at_once |= piece.size == 0;
                if let Some(told) = offer.told.get_mut(broker) {
                    *told = true;
                }
                true
            });
            *place = (!kept.pieces.is_empty()).then_some(kept);
        }
        offer
    }

    /// Asks each broker of a Fetch that has told nothing for it and is not being asked already. One that has told
    /// something is asked with the next Fetch: by then the client stands elsewhere there, and a poll that leaves this out
    /// would keep it waiting.
    fn asks(
        &mut self,
        asked: &Asked,
        served: &mut Served,
        offer: &Offer,
        now: Instant,
    ) -> impl Iterator<Item = Ask> + use<T> {
        let wait =
            if self.was_split(now) { wait_of(&asked.terms) } else { served.until.saturating_duration_since(now) };
        let sharing = self.brokers.sharing(asked);
        let most = records_within((self.share / sharing).max(LEAST_SHARE));
        let mut asks = Vec::new();
        for (at, number) in asked.brokers.iter().enumerate() {
            let Some(broker) = self.brokers.get_mut(*number) else { continue };
            let Some(often) = served.asks.get_mut(at).filter(|often| **often < ASKS) else { continue };
            if broker.poll.is_some() || offer.told.get(at).is_some_and(|told| *told) {
                continue;
            }
            *often += 1;
            self.next += 1;
            let (question, slots) = question(asked, *number, &self.roll, |terms| {
                terms.epoch = Terms::FULL;
                terms.max_wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
                terms.max_bytes = terms.max_bytes.min(i32::try_from(most).unwrap_or(i32::MAX));
            });
            let question = Arc::new(question);
            let asks_now = Arc::clone(&question);
            broker.poll = Some(Poll { number: self.next, question, slots, version: asked.version, due: now + wait });
            let version = asked.version;
            asks.push(Ask { to: broker.target, number: self.next, version, question: asks_now });
        }
        asks.into_iter()
    }

    fn may_leave(&self, asked: &Asked, served: &Served, offer: &Offer, now: Instant) -> bool {
        let enough = usize::try_from(asked.terms.min_bytes).unwrap_or(0).max(1);
        if served.at_once || offer.at_once || offer.bytes >= enough {
            return true;
        }
        if now < served.until {
            return false;
        }
        let due = |at: &u16| {
            let poll = self.brokers.get(*at).and_then(|broker| broker.poll.as_ref());
            poll.is_some_and(|poll| poll.due <= served.until)
        };
        offer.bytes > 0 || now >= served.until + GRACE || !asked.brokers.iter().any(due)
    }

    /// Answers with what is there, of `bytes` bytes in all, as far as the client takes so much.
    fn leave(&mut self, asked: &Asked, whose: T, bytes: usize, now: Instant) -> Leaving<T> {
        let mut kept = self.brokers.take_kept(asked);
        let mut claims = claims(asked, &kept, &self.roll);
        let most = usize::try_from(asked.terms.max_bytes).unwrap_or(0);
        if bytes > most {
            leave_out(&mut claims, most);
        }
        claims.sort_unstable_by_key(|claim| claim.entry);
        let (faults, nodes) = with_them(&claims, &mut kept);
        let sources: Vec<_> =
            kept.iter().map(|kept| kept.as_ref().map_or_else(Bytes::new, |kept| kept.frame.clone())).collect();
        let count = (asked.topics.len(), asked.entries.len());
        let throttle_ms = std::mem::take(&mut self.throttle_ms);
        let mut writing = Writing::begin(asked.version, throttle_ms, count, &sources);
        let mut handed: Vec<_> = throttled(self.reader, throttle_ms).into_iter().collect();
        let before = std::mem::take(&mut self.heard);
        let hear = |slot: Slot| {
            let heard = before.get(&slot).copied();
            let lately = heard.filter(|heard| now.saturating_duration_since(*heard) < HEARD_WITHIN);
            self.heard.insert(slot, lately.unwrap_or(now));
        };
        let codes = write(&mut writing, asked, &claims, &kept, &self.roll, hear);
        handed.extend(handed_out(asked, &claims, &kept, &self.roll, self.reader));
        let body = writing.end(nodes);
        take_away(&claims, &mut kept);
        self.brokers.put_back(asked, kept);
        Leaving { whose, body, codes, faults, handed }
    }
}

/// How long a client lets us wait. One that wants no byte waits for none.
fn wait_of(terms: &Terms) -> Duration {
    let millis = if terms.min_bytes > 0 { terms.max_wait_ms } else { 0 };
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
#[path = "split_tests.rs"]
pub(crate) mod tests;
