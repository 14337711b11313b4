//! A client's Fetches over several brokers, as a state machine: values in, moves out; the driver in `session` sends and
//! waits. Per broker at most one Fetch (a *poll*) is outstanding, as long as its client would wait. It goes on when the
//! client is answered without it, and the client's next Fetch takes its answer where it still stands at the same
//! offset and epoch. So nobody waits for a broker longer than for those that have something to tell.
//!
//! What is told is kept until the client asks for it: one frame a broker, and in all no more than the session's share.
//! Each piece is handed out once. To drop one is always right, for the client then asks for it again.
//!
//! Fetches of one client are served one after the other, as a broker serves them.

use super::super::{Effect, Effects, Seen, codes};
use super::asked::{Asked, Entry, Place, Whom};
use super::kept::{Ends, Kept, Piece, Poll, left_out};
use super::told::nothing;
use crate::error::Fault;
use crate::types::{FastMap, Target};
use crate::wire::pool::Pool;
use bytes::Bytes;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use std::collections::{BTreeMap, VecDeque};
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
    brokers: BTreeMap<Target, Broker>,
    /// What was last told of the ends of partitions.
    ends: FastMap<Place, Ends>,
    /// Errors of ours that the client has heard, and when.
    heard: FastMap<Place, Instant>,
    /// Oldest first; only the first is served.
    waiting: VecDeque<Waiting<T>>,
    /// Numbers polls and what came back.
    next: u64,
    throttle_ms: i32,
    /// When a Fetch had to be split.
    split: Option<Instant>,
    over: bool,
}

#[derive(Debug, Default)]
struct Broker {
    poll: Option<Poll>,
    kept: Option<Kept>,
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

/// What is to be done.
#[derive(Debug)]
pub enum Move<T> {
    /// Send this to a broker, and give its answer, or the reason why there is none, back with the number.
    Ask(Box<Ask>),
    /// Answer a client's Fetch.
    Answer(Box<Leaving<T>>),
}

/// A poll to be sent.
#[derive(Debug)]
pub struct Ask {
    /// Where to.
    pub to: Target,
    /// Which poll it is.
    pub number: u64,
    /// What is asked.
    pub request: FetchRequest,
}

/// An answer to a client.
#[derive(Debug)]
pub struct Leaving<T> {
    /// Who is answered.
    pub whose: T,
    /// The answer.
    pub response: FetchResponse,
    /// The frames that its records are slices of.
    pub sources: Vec<Bytes>,
    /// Why some of it is missing.
    pub faults: Vec<Fault>,
}

/// What to do, in order.
pub type Moves<T> = Vec<Move<T>>;

impl<T> Polls<T> {
    /// None yet. No more than `share` bytes are kept.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            share,
            brokers: BTreeMap::new(),
            ends: FastMap::default(),
            heard: FastMap::default(),
            waiting: VecDeque::new(),
            next: 0,
            throttle_ms: 0,
            split: None,
            over: false,
        }
    }

    /// Whether a Fetch for one broker alone goes this way too. Where not, what was kept is dropped.
    pub fn is_split(&mut self, now: Instant) -> bool {
        let busy = !self.waiting.is_empty() || self.brokers.values().any(|broker| broker.poll.is_some());
        if busy || self.was_split(now) {
            return true;
        }
        self.brokers.clear();
        false
    }

    fn was_split(&self, now: Instant) -> bool {
        self.split.is_some_and(|split| now.saturating_duration_since(split) < STAYS_SPLIT)
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

    /// What a broker answered to a poll, in a frame. Nothing happens where that poll is not outstanding.
    pub fn told(
        &mut self,
        (from, number): (Target, u64),
        (answer, frame): (FetchResponse, Bytes),
        now: Instant,
        seen: &Seen<'_>,
        effects: &mut Effects,
    ) -> Moves<T> {
        let Some(poll) = self.came_back(from, number) else { return Moves::new() };
        self.throttle_ms = self.throttle_ms.max(answer.throttle_time_ms);
        self.next += 1;
        let kept = poll.take((self.next, now), from, answer, frame, &mut self.ends, seen, effects);
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
        effects.extend(poll.topics.iter().map(|(name, _)| Effect::Refresh(from.cluster, name.clone())));
        if let Some(first) = self.waiting.front()
            && let Some(at) = first.asked.brokers.iter().position(|broker| *broker == from)
        {
            let of_it = |entry: &&Entry| {
                entry.whom == Whom::Broker(at) && poll.asked.get(&entry.place).is_some_and(|asked| *asked == entry.at)
            };
            let failed = |entry: &Entry| {
                let told = nothing(entry.asked.partition, codes::NOT_LEADER_OR_FOLLOWER);
                (entry.place, Piece { at: entry.at, told })
            };
            let pieces: Vec<_> = first.asked.entries.iter().filter(of_it).map(failed).collect();
            if !pieces.is_empty() {
                self.next += 1;
                let kept =
                    self.brokers.entry(from).or_default().kept.get_or_insert_with(|| Kept::new(&poll, self.next, now));
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
        self.brokers.clear();
        self.waiting.drain(..).map(|waiting| waiting.whose).collect()
    }

    fn came_back(&mut self, from: Target, number: u64) -> Option<Poll> {
        self.brokers.get_mut(&from)?.poll.take_if(|poll| poll.number == number)
    }

    /// Keeps the latest frame of a broker in place of an older one, and drops the oldest of others where all together
    /// are too much.
    fn keep(&mut self, from: Target, kept: Kept) {
        self.brokers.entry(from).or_default().kept = Some(kept);
        while self.kept_bytes() > self.share {
            let others = self.brokers.iter_mut().filter(|(target, _)| **target != from);
            let frames = others.filter_map(|(_, broker)| broker.kept.as_ref().map(|kept| kept.since).zip(Some(broker)));
            let Some((_, oldest)) = frames.min_by_key(|(since, _)| *since) else { return };
            oldest.kept = None;
        }
    }

    /// Others need the memory: what the client has not come for within this time is dropped.
    pub fn shed(&mut self, older: Duration, now: Instant) {
        for broker in self.brokers.values_mut() {
            broker.kept.take_if(|kept| now.saturating_duration_since(kept.at) >= older);
        }
    }

    /// Bytes of what nobody has claimed yet.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.brokers.values().filter_map(|broker| broker.kept.as_ref()).map(|kept| kept.frame.len()).sum()
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
            moves.push(Move::Answer(Box::new(self.leave(first.asked, first.whose, offer.bytes, now))));
        }
        moves
    }

    fn begin(&mut self, asked: &Asked, now: Instant) -> Served {
        self.brokers.retain(|_, broker| broker.poll.is_some() || broker.kept.is_some());
        if self.ends.len() > 2 * asked.entries.len() + 1_000 {
            self.ends.clear();
        }
        let heard = |entry: &Entry| {
            let heard = self.heard.get(&entry.place);
            heard.is_some_and(|heard| now.saturating_duration_since(*heard) < HEARD_WITHIN)
        };
        let at_once = asked.entries.iter().any(|entry| matches!(entry.whom, Whom::Us(_)) && !heard(entry));
        Served { until: now + wait_of(&asked.terms), at_once, asks: vec![0; asked.brokers.len()] }
    }

    /// What is there for a Fetch. What is there for another position of one of its partitions is dropped.
    fn offer(&mut self, asked: &Asked) -> Offer {
        let mut kept = self.take_kept(asked);
        let mut offer = Offer { told: vec![false; asked.brokers.len()], ..Offer::default() };
        for entry in &asked.entries {
            let Whom::Broker(broker) = entry.whom else { continue };
            let Some(Some(kept)) = kept.get_mut(broker) else { continue };
            let Some(piece) = kept.pieces.get(&entry.place) else { continue };
            if piece.at != entry.at {
                kept.pieces.remove(&entry.place);
                continue;
            }
            offer.bytes += piece.size();
            offer.at_once |= piece.size() == 0;
            if let Some(told) = offer.told.get_mut(broker) {
                *told = true;
            }
        }
        self.put_back(asked, kept);
        offer
    }

    /// What was kept of each broker of a Fetch.
    fn take_kept(&mut self, asked: &Asked) -> Vec<Option<Kept>> {
        let isolation = asked.terms.isolation_level;
        let kept = |to: &Target| self.brokers.get_mut(to)?.kept.take().filter(|kept| kept.isolation == isolation);
        asked.brokers.iter().map(kept).collect()
    }

    fn put_back(&mut self, asked: &Asked, kept: Vec<Option<Kept>>) {
        for (to, kept) in asked.brokers.iter().zip(kept) {
            if let Some(kept) = kept.filter(|kept| !kept.pieces.is_empty()) {
                self.brokers.entry(*to).or_default().kept = Some(kept);
            }
        }
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
        let sharing = self.brokers.len().max(asked.brokers.len()).max(1);
        let most = records_within((self.share / sharing).max(LEAST_SHARE));
        let mut asks = Vec::new();
        for (at, to) in asked.brokers.iter().enumerate() {
            let broker = self.brokers.entry(*to).or_default();
            let Some(often) = served.asks.get_mut(at).filter(|often| **often < ASKS) else { continue };
            if broker.poll.is_some() || offer.told.get(at).is_some_and(|told| *told) {
                continue;
            }
            *often += 1;
            self.next += 1;
            let mut positions = FastMap::default();
            // Where it is named twice, what is asked first is what the answer is for.
            let mut request = asked.request_for(at, |place, at| {
                let known = positions.len();
                positions.entry(place).or_insert(at);
                positions.len() > known
            });
            request.max_wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
            request.max_bytes = request.max_bytes.min(i32::try_from(most).unwrap_or(i32::MAX));
            broker.poll = Some(Poll {
                number: self.next,
                asked: positions,
                topics: request.topics.iter().map(|topic| (topic.topic.0.clone(), topic.topic_id)).collect(),
                isolation: request.isolation_level,
                due: now + wait,
            });
            asks.push(Ask { to: *to, number: self.next, request });
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
        let due = |to: &Target| {
            let poll = self.brokers.get(to).and_then(|broker| broker.poll.as_ref());
            poll.is_some_and(|poll| poll.due <= served.until)
        };
        offer.bytes > 0 || now >= served.until + GRACE || !asked.brokers.iter().any(due)
    }

    /// Answers with what is there, of `bytes` bytes in all, as far as the client takes so much.
    fn leave(&mut self, asked: Asked, whose: T, bytes: usize, now: Instant) -> Leaving<T> {
        let mut kept = self.take_kept(&asked);
        let most = usize::try_from(asked.terms.max_bytes).unwrap_or(0);
        let left_out = if bytes > most { left_out(&asked, &kept, most) } else { Vec::new() };
        let mut used = vec![false; asked.brokers.len()];
        let before = std::mem::take(&mut self.heard);
        let mut at = 0;
        let mut response = asked.answer(|entry| {
            at += 1;
            let broker = match entry.whom {
                Whom::Us(code) => {
                    let heard = before.get(&entry.place).copied();
                    let lately = heard.filter(|heard| now.saturating_duration_since(*heard) < HEARD_WITHIN);
                    self.heard.insert(entry.place, lately.unwrap_or(now));
                    return nothing(entry.asked.partition, code);
                }
                Whom::Broker(broker) => broker,
            };
            let stays = left_out.get(at - 1).is_some_and(|stays| *stays);
            let kept = kept.get_mut(broker).and_then(Option::as_mut).filter(|_| !stays);
            match kept.and_then(|kept| kept.claim(entry)) {
                Some(told) => {
                    if let Some(used) = used.get_mut(broker) {
                        *used = true;
                    }
                    told
                }
                None => self.quiet(entry),
            }
        });
        let (mut sources, mut faults) = (Vec::new(), Vec::new());
        for kept in kept.iter_mut().zip(used).filter_map(|(kept, used)| kept.as_mut().filter(|_| used)) {
            sources.push(kept.frame.clone());
            faults.extend(kept.fault.take());
            response.node_endpoints.extend(kept.endpoints.iter().cloned());
        }
        response.node_endpoints.sort_by_key(|node| node.node_id);
        response.node_endpoints.dedup_by_key(|node| node.node_id);
        response.throttle_time_ms = std::mem::take(&mut self.throttle_ms);
        self.put_back(&asked, kept);
        Leaving { whose, response, sources, faults }
    }

    /// What is told of a partition that has nothing new: its ends, as they were last heard of.
    fn quiet(&self, entry: &Entry) -> PartitionData {
        let told = nothing(entry.asked.partition, codes::NONE);
        match self.ends.get(&entry.place).filter(|ends| ends.id == entry.at.id) {
            Some(ends) => told
                .with_high_watermark(ends.high_watermark)
                .with_last_stable_offset(ends.last_stable)
                .with_log_start_offset(ends.log_start),
            None => told,
        }
    }
}

/// How many bytes of records may be asked for so that the buffer of an answer takes no more than so many: the answer has
/// other fields beside them.
#[must_use]
pub fn records_within(bytes: usize) -> usize {
    let fits = Pool::fits(bytes);
    fits - fits / 16
}

/// How long a client lets us wait. One that wants no byte waits for none.
fn wait_of(terms: &FetchRequest) -> Duration {
    let millis = if terms.min_bytes > 0 { terms.max_wait_ms } else { 0 };
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
#[path = "split_tests.rs"]
pub(crate) mod tests;
