//! A share session that its member sees as one, in `single`, and that is one at each broker that leads any of its partitions;
//! as a state machine: values in, moves out; the driver in `session` sends and waits.
//!
//! Towards each broker there is a session of its own, with epochs of its own, over a link that carries nothing else. Each has
//! at most one *poll*, a ShareFetch that waits there as long as the member would. It goes on when the member is answered
//! without it; what it brings then is kept, one frame a broker, and goes out with the member's next ShareFetch, as long as the
//! broker holds the records for it. What the member has acknowledged goes in requests of its own before the poll, so that its
//! outcome waits for no record; and the member is told each outcome in the answer to the request that it came with.
//!
//! The member's requests are served one after the other, as a broker serves them. A broker whose session is lost, or that is
//! gone, costs its own acknowledgements (INVALID_RECORD_STATE: its locks are gone, the records come again) and is asked anew.

mod answering;
mod asking;
mod outcome;
mod telling;

pub(super) use outcome::Outcome;

use super::asked::{Asked, Partition, Terms};
use super::kept::Kept;
use super::moves::{Leaving, Move, Moves};
use super::{FINAL, OPENS};
use crate::api::{Seen, codes};
use crate::error::Fault;
use crate::placement::Leader;
use crate::types::{Slot, Target};
use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;
use outcome::lost;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer to a poll comes a way round after the member's time is over: who has nothing else waits for it so long.
const GRACE: Duration = Duration::from_millis(100);

/// A partition that is led elsewhere, or by nobody, is asked for again with the member's next request, which comes this soon.
const SOON: Duration = Duration::from_millis(200);

/// How long brokers may take to say what became of acknowledgements, beyond a poll that is before them. Then the member is told
/// that nobody knows.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// For how long records are a member's, where no broker has said so yet: Kafka's default, in ms.
const LOCK_MS: i32 = 30_000;

/// About what a partition takes of memory, and a session.
const PARTITION: usize = 200;
const SESSION: usize = 1 << 10;

/// Where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    At(Target),
    Nobody,
    /// The member is told so.
    Unknown(i16),
}

/// What there is of the session at one broker.
#[derive(Debug, Default)]
struct Broker {
    /// Of its next request; 0 where no session is open.
    epoch: i32,
    /// Which of its sessions it is.
    incarnation: u32,
    /// The partitions that the broker's session has.
    has: Arc<BTreeSet<Partition>>,
    poll: Option<Poll>,
    kept: VecDeque<Kept>,
    /// It was asked in vain since the member's request came.
    in_vain: bool,
}

#[derive(Clone, Copy, Debug)]
struct Poll {
    number: u64,
    /// The member's request that it was sent for.
    request: u64,
    since: Instant,
    max_wait: Duration,
}

/// The member's request that is served.
#[derive(Debug)]
struct Serving<W> {
    whose: W,
    number: u64,
    /// `None` where it only acknowledges.
    terms: Option<Terms>,
    ends: bool,
    /// When it is answered with what is there.
    until: Instant,
    /// And when with acknowledgements of which nobody knows.
    at_last: Instant,
    /// Acknowledgements on their way, by the number of the request that they went with.
    open: BTreeMap<Partition, u64>,
    /// Sessions that are being ended, likewise.
    ending: BTreeSet<u64>,
    outcomes: BTreeMap<Partition, Outcome>,
    /// An error of a broker's session as a whole, to be told where there is nothing else to tell.
    refusal: Option<Outcome>,
    faults: Vec<Fault>,
}

/// See the module's text. `W` is who is to be answered.
#[derive(Debug)]
pub struct Split<W> {
    /// Tells it from others of the same member.
    series: u64,
    home: Slot,
    group: Option<GroupId>,
    member: Option<StrBytes>,
    /// Bytes that may be kept.
    share: usize,
    /// That the member's next request must bear.
    epoch: i32,
    named: BTreeMap<Partition, Place>,
    /// What each broker is to be asked for.
    wanted: BTreeMap<Target, Arc<BTreeSet<Partition>>>,
    /// The placement that partitions were placed by.
    generation: Option<u64>,
    brokers: BTreeMap<Target, Broker>,
    serving: Option<Serving<W>>,
    /// Behind it.
    queue: VecDeque<(W, Asked)>,
    lock_ms: i32,
    next: u64,
    is_over: bool,
}

/// What is seen of the world at one moment.
pub struct Now<'a, 's> {
    /// When it is.
    pub at: Instant,
    /// What lives where, and how the client sees it.
    pub seen: &'a Seen<'s>,
    /// Numbers what lives where.
    pub generation: u64,
}

impl<W> Split<W> {
    /// The session of a member of a group that lives there, not open yet. No more than `share` bytes of answers are kept.
    #[must_use]
    pub fn new((group, member): (&str, &str), home: Slot, share: usize) -> Self {
        let text = |text: &str| Some(StrBytes::from_string(text.to_owned()));
        Self {
            series: 0,
            home,
            group: text(group).map(GroupId),
            member: text(member),
            share,
            epoch: OPENS,
            named: BTreeMap::new(),
            wanted: BTreeMap::new(),
            generation: None,
            brokers: BTreeMap::new(),
            serving: None,
            queue: VecDeque::new(),
            lock_ms: LOCK_MS,
            next: 0,
            is_over: false,
        }
    }

    /// Numbered, to be told from others of the same member.
    #[must_use]
    pub fn numbered(self, series: u64) -> Self {
        Self { series, ..self }
    }

    /// Its number.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.series
    }

    /// Whether its member has ended it, or never opened it, and has been answered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (self.is_over || self.epoch == OPENS) && self.serving.is_none() && self.queue.is_empty()
    }

    /// About how much memory it takes, beside what is kept.
    #[must_use]
    pub fn memory(&self) -> usize {
        let names =
            self.group.as_ref().map_or(0, |group| group.0.len()) + self.member.as_ref().map_or(0, |name| name.len());
        let had: usize = self.brokers.values().map(|broker| broker.has.len()).sum();
        SESSION + names + PARTITION * (self.named.len() + had)
    }

    /// Bytes of answers that the member has not come for.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.brokers.values().flat_map(|broker| &broker.kept).map(|kept| kept.frame.len()).sum()
    }

    /// The member asks something.
    pub fn submit(&mut self, asked: Asked, whose: W, now: &Now<'_, '_>) -> Moves<W> {
        let mut moves = Moves::new();
        self.queue.push_back((whose, asked));
        self.go_on(now, &mut moves);
        moves
    }

    /// Time has passed.
    pub fn tick(&mut self, now: &Now<'_, '_>) -> Moves<W> {
        let mut moves = Moves::new();
        self.go_on(now, &mut moves);
        moves
    }

    /// When it is to be looked at again, where somebody waits.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.serving.as_ref().map(|serving| self.due(serving))
    }

    /// Others need the memory: what nobody has come for in this time is given back to its broker.
    pub fn shed(&mut self, older: Duration, now: Instant) -> Moves<W> {
        let mut moves = Moves::new();
        for to in self.brokers.keys().copied().collect::<Vec<_>>() {
            let Some(broker) = self.brokers.get_mut(&to) else { continue };
            let is_old = |kept: &Kept| now.saturating_duration_since(kept.came) >= older;
            let (old, kept): (Vec<_>, _) = mem::take(&mut broker.kept).into_iter().partition(is_old);
            broker.kept = VecDeque::from(kept);
            for mut kept in old {
                let back = kept.retain(|_| false);
                self.give_back(to, back, &mut moves);
            }
        }
        moves
    }

    /// The client is gone: who waited.
    pub fn end(&mut self) -> Vec<W> {
        let serving = self.serving.take().map(|serving| serving.whose);
        self.brokers.values_mut().for_each(|broker| broker.kept.clear());
        serving.into_iter().chain(mem::take(&mut self.queue).into_iter().map(|(whose, _)| whose)).collect()
    }
}

impl<W> Serving<W> {
    /// What was acknowledged with this request has come out so, and what is not told of, otherwise.
    fn settle(&mut self, number: u64, mut told: BTreeMap<Partition, Outcome>, otherwise: &Outcome) {
        self.ending.remove(&number);
        let settled: Vec<_> = self.open.iter().filter(|(_, with)| **with == number).map(|(at, _)| *at).collect();
        for at in settled {
            self.open.remove(&at);
            self.outcomes.insert(at, told.remove(&at).unwrap_or_else(|| otherwise.clone()));
        }
    }

    fn is_settled(&self) -> bool {
        self.open.is_empty() && self.ending.is_empty()
    }

    /// It is not to wait longer than this.
    fn hurry(&mut self, until: Instant) {
        self.until = self.until.min(until);
    }
}

/// What the member asks.
impl<W> Split<W> {
    /// Answers what can be answered, and begins what comes next.
    fn go_on(&mut self, now: &Now<'_, '_>, moves: &mut Moves<W>) {
        for broker in self.brokers.values_mut() {
            broker.kept.retain(|kept| !kept.is_over(now.at));
        }
        loop {
            if self.serving.is_some() {
                self.poll_brokers(now, moves);
                if !self.answer(now, moves) {
                    return;
                }
            }
            let Some((whose, asked)) = self.queue.pop_front() else { return };
            self.begin(asked, whose, now, moves);
        }
    }

    fn begin(&mut self, asked: Asked, whose: W, now: &Now<'_, '_>, moves: &mut Moves<W>) {
        let ends = asked.epoch == FINAL;
        if let Err(code) = self.follow(&asked) {
            moves.push(Move::Answer(Leaving::refusing(whose, asked.reads(), code, None)));
            return;
        }
        self.next += 1;
        let wait = asked.terms.as_ref().map_or(Duration::ZERO, Terms::max_wait);
        let before = self.brokers.values().filter_map(|broker| broker.poll).map(|poll| poll.since + poll.max_wait);
        let until = now.at + wait;
        let at_last = before.fold(until, Instant::max) + ACKNOWLEDGED_WITHIN;
        let mut serving = Serving {
            whose,
            number: self.next,
            terms: asked.terms,
            ends,
            until,
            at_last,
            open: BTreeMap::new(),
            ending: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            refusal: None,
            faults: Vec::new(),
        };
        let mut by_broker = self.by_holder(asked.acknowledged, &mut serving, now.seen);
        if ends {
            for (to, _) in self.brokers.iter().filter(|(_, broker)| broker.epoch != OPENS) {
                by_broker.entry(*to).or_default();
            }
        }
        for (to, acknowledged) in by_broker {
            let at: Vec<_> = acknowledged.keys().copied().collect();
            match self.acknowledge(to, acknowledged, ends, moves) {
                Some(number) => {
                    serving.open.extend(at.into_iter().map(|at| (at, number)));
                    serving.ending.extend(ends.then_some(number));
                }
                None => serving.outcomes.extend(at.into_iter().map(|at| (at, lost()))),
            }
        }
        self.serving = Some(serving);
        if ends {
            self.close();
        } else {
            self.place(&asked.named, &asked.forgotten, now);
            self.give_back_what_is_forgotten(moves);
            self.brokers.values_mut().for_each(|broker| broker.in_vain = false);
        }
    }

    /// Whether the request is the member's next, as a broker says; then the one after it is expected.
    fn follow(&mut self, asked: &Asked) -> Result<(), i16> {
        match asked.epoch {
            OPENS if !asked.reads() => return Err(codes::INVALID_SHARE_SESSION_EPOCH),
            OPENS if !asked.acknowledged.is_empty() => return Err(codes::INVALID_REQUEST),
            // What brokers hold for the member they go on holding, and what is kept of it goes out.
            OPENS => (self.named, self.generation, self.is_over) = (BTreeMap::new(), None, false),
            _ if self.epoch == OPENS || self.is_over => return Err(codes::SHARE_SESSION_NOT_FOUND),
            FINAL => {}
            epoch if epoch != self.epoch => return Err(codes::INVALID_SHARE_SESSION_EPOCH),
            _ => {}
        }
        self.epoch = after(asked.epoch.max(OPENS));
        Ok(())
    }

    fn place_of(&self, (topic, index): Partition, seen: &Seen<'_>) -> Place {
        let place = seen.placement.topic_by_id(topic).filter(|place| place.cluster == self.home);
        if place.is_some_and(|place| !seen.reads(&place.topic.name)) {
            return Place::Unknown(codes::TOPIC_AUTHORIZATION_FAILED);
        }
        match place.map(|place| place.leader(index)) {
            Some(Leader::At(to, _)) => Place::At(to),
            Some(Leader::Nobody) => Place::Nobody,
            Some(Leader::NoPartition) => Place::Unknown(codes::UNKNOWN_TOPIC_OR_PARTITION),
            None => Place::Unknown(codes::UNKNOWN_TOPIC_ID),
        }
    }

    /// Takes up what the member names, and looks who leads what, where that may have changed.
    fn place(&mut self, named: &[Partition], forgotten: &[Partition], now: &Now<'_, '_>) {
        if self.generation == Some(now.generation) && named.is_empty() && forgotten.is_empty() {
            return;
        }
        self.named.extend(named.iter().map(|at| (*at, Place::Nobody)));
        for at in forgotten {
            self.named.remove(at);
        }
        let mut all = mem::take(&mut self.named);
        let mut wanted: BTreeMap<Target, BTreeSet<Partition>> = BTreeMap::new();
        for (at, place) in &mut all {
            *place = self.place_of(*at, now.seen);
            if let Place::At(to) = place {
                wanted.entry(*to).or_default().insert(*at);
            }
        }
        self.named = all;
        self.wanted = wanted.into_iter().map(|(to, partitions)| (to, Arc::new(partitions))).collect();
        self.generation = Some(now.generation);
    }

    /// The member has ended its session. What is kept of it the brokers take back by themselves.
    fn close(&mut self) {
        self.is_over = true;
        (self.named, self.wanted, self.generation) = (BTreeMap::new(), BTreeMap::new(), None);
        for broker in self.brokers.values_mut() {
            broker.lose();
            broker.kept.clear();
        }
    }
}

impl Broker {
    fn lose(&mut self) {
        (self.epoch, self.has) = (OPENS, Arc::default());
    }

    /// What its session lacks, and what it has too much.
    fn differs(&self, wanted: &Arc<BTreeSet<Partition>>) -> (Vec<Partition>, Vec<Partition>) {
        if Arc::ptr_eq(&self.has, wanted) {
            return (Vec::new(), Vec::new());
        }
        (wanted.difference(&self.has).copied().collect(), self.has.difference(wanted).copied().collect())
    }
}

/// The epoch after this one, as brokers count.
fn after(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(OPENS + 1)
}

#[cfg(test)]
mod tests;
