//! A client that has up to five batches in flight, two brokers as Kafka's, and a way that loses requests and answers and is cut:
//! whatever happens, each record is in one log once, and in order.

use super::{OVERFLOW, leads, parting};
use crate::policy::deputy::*;
use crate::wire::batch::edit::Fate;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever hears 45 of a batch that is not the first of those in flight takes a newer epoch and sends all of them as new ones:
/// librdkafka and franz-go. The first may be written, and its answer lost: then it would be there twice.
const BEGINS_ANEW: &str = "45: its client begins anew, and what is in doubt will be there twice";

/// What a broker remembers of a producer at a partition.
#[derive(Default)]
struct Log {
    records: Vec<i32>,
    known: BTreeMap<i64, Producer>,
}

#[derive(Default)]
struct Producer {
    /// First and last sequence, with the offset: the last five.
    lately: VecDeque<(i32, i32, i64)>,
}

impl Log {
    /// As Kafka's `ProducerStateManager` says.
    fn append(&mut self, id: i64, sequence: i32, records: &[i32]) -> Outcome {
        let last = sequence + i32::try_from(records.len()).unwrap() - 1;
        let known = self.known.entry(id).or_default();
        let same = known.lately.iter().find(|(first, end, _)| (*first, *end) == (sequence, last));
        if let Some((.., offset)) = same {
            return Outcome::Written(Told { offset: *offset, ..Told::NOTHING });
        }
        let gap = known.lately.back().filter(|(_, end, _)| *end + 1 != sequence);
        assert_eq!(gap, None, "{BEGINS_ANEW}");
        let offset = i64::try_from(self.records.len()).unwrap();
        self.records.extend(records);
        known.lately.push_back((sequence, last, offset));
        if known.lately.len() > LATELY {
            known.lately.pop_front();
        }
        Outcome::Written(Told { offset, ..Told::NOTHING })
    }
}

/// A batch of the client's: its records are its sequences.
#[derive(Clone, Debug)]
struct Sent {
    sequence: i32,
    count: i32,
    leaving: Vec<usize>,
    /// All of it is dropped.
    dropped: bool,
}

impl Sent {
    /// Another verdict for each time that it comes.
    fn parting(&self, salt: usize) -> Parting {
        let leaving: Vec<_> = self.leaving.iter().map(|place| (place + salt) % 8).collect();
        if self.dropped { Parting::Whole(Fate { to: None, change: None }) } else { parting(self.count, &leaving) }
    }

    /// Its records for a lane.
    fn of(&self, fates: &Parting, lane: Lane) -> Vec<i32> {
        let to = |place: usize| match fates {
            Parting::Whole(fate) => fate.to,
            Parting::Each(fates, _) => fates[place].to,
        };
        let places = (0..usize::try_from(self.count).unwrap()).filter(|place| to(*place) == Some(lane));
        places.map(|place| self.sequence + i32::try_from(place).unwrap()).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The next batch, of so many records of which these leave, or all are dropped.
    Send(i32, Vec<usize>, bool),
    /// What may go comes to the brokers, one part after the other; what happens to them on the way is this, in turn.
    Deliver(Vec<Fortune>),
    /// All that the client heard has failed is sent again.
    Retry,
    /// The connection is cut; all that is not acknowledged is sent again over another.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fortune {
    Good,
    /// It is not sent, and that is told.
    Unsent,
    /// Nobody hears of it any more.
    Lost,
    /// It is written, and nobody hears of it.
    Unheard,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fortune = prop_oneof![
        5 => Just(Fortune::Good), 1 => Just(Fortune::Unsent), 1 => Just(Fortune::Lost), 1 => Just(Fortune::Unheard),
    ];
    let step = prop_oneof![
        4 => (1..6_i32, proptest::collection::vec(0_usize..8, 0..3), proptest::bool::weighted(0.2))
            .prop_map(|(count, leaving, dropped)| Step::Send(count, leaving, dropped)),
        3 => proptest::collection::vec(fortune, 1..8).prop_map(Step::Deliver),
        2 => Just(Step::Retry),
        1 => Just(Step::Cut),
    ];
    proptest::collection::vec(step, 1..40)
}

/// A part on its way.
struct Flying {
    visit: Visit,
    part: Part,
    sender: Sender,
    records: Vec<i32>,
    /// Of its batch.
    of: i32,
}

struct World {
    deputy: Deputy,
    session: u64,
    next: i32,
    /// Not acknowledged, oldest first.
    open: VecDeque<Sent>,
    /// Of those, which the client was told have failed.
    failed: BTreeSet<i32>,
    flying: VecDeque<Flying>,
    /// Lanes whose link is lost, for the link answers in turn: until the connection is cut.
    stuck: BTreeSet<u8>,
    logs: BTreeMap<u8, Log>,
}

impl World {
    fn new() -> Self {
        Self {
            deputy: Deputy::new(Instant::now()),
            session: 1,
            next: 0,
            open: VecDeque::new(),
            failed: BTreeSet::new(),
            flying: VecDeque::new(),
            stuck: BTreeSet::new(),
            logs: BTreeMap::new(),
        }
    }

    fn see(&mut self, sent: &Sent) -> Seen {
        let (client, by) = (Sender { id: 7, epoch: 0, sequence: sent.sequence }, SessionId(self.session));
        self.deputy.see(Came {
            client,
            count: sent.count,
            by,
            now: Instant::now(),
            before: Before::Nothing,
            is_open: &|_| false,
        })
    }

    /// A batch comes to Fishplate. Another verdict is ready for each time that it comes.
    fn comes(&mut self, sent: &Sent, salt: usize) {
        self.failed.remove(&sent.sequence);
        let (visit, fates, parts) = match self.see(sent) {
            Seen::Written(_) => return self.acknowledged(sent.sequence),
            Seen::New => {
                let client = Sender { id: 7, epoch: 0, sequence: sent.sequence };
                let (visit, parts) = self.deputy.take(client, sent.count, sent.parting(salt), leads);
                (visit, Arc::new(sent.parting(salt)), parts)
            }
            Seen::Again { visit, parting, parts } => {
                (visit, parting, parts.into_iter().filter(|part| !part.written).collect())
            }
            other => panic!("{other:?} of {sent:?}"),
        };
        for part in parts {
            let (sender, records) = (self.deputy.sender_of(&part), sent.of(&fates, part.lane));
            self.flying.push_back(Flying { visit, part, sender, records, of: sent.sequence });
        }
    }

    fn acknowledged(&mut self, sequence: i32) {
        let earlier = self.failed.first().is_none_or(|failed| *failed > sequence);
        assert!(earlier, "{sequence} succeeds after {:?} failed", self.failed);
        self.open.retain(|sent| sent.sequence != sequence);
    }

    fn deliver(&mut self, fortunes: &[Fortune]) {
        let mut fortunes = fortunes.iter().copied();
        let mut kept = VecDeque::new();
        while let Some(flying) = self.flying.pop_front() {
            let lane = flying.part.lane.0;
            match self.deputy.when(flying.visit) {
                _ if self.stuck.contains(&lane) => kept.push_back(flying),
                When::Later => kept.push_back(flying),
                When::Failed => self.fails(&flying),
                When::Never => panic!("{BEGINS_ANEW}"),
                When::Now if flying.part.count == 0 => self.ends(&flying, Outcome::Written(Told::NOTHING)),
                When::Now => match fortunes.next().unwrap_or(Fortune::Good) {
                    Fortune::Unsent => self.fails(&flying),
                    fortune => {
                        if fortune != Fortune::Good {
                            self.stuck.insert(lane);
                        }
                        if fortune != Fortune::Lost {
                            self.arrives(&flying, fortune);
                        }
                    }
                },
            }
        }
        self.flying = kept;
    }

    fn arrives(&mut self, flying: &Flying, fortune: Fortune) {
        let log = self.logs.entry(flying.part.lane.0).or_default();
        let outcome = log.append(flying.sender.id, flying.sender.sequence, &flying.records);
        if fortune != Fortune::Unheard {
            self.ends(flying, outcome);
        }
    }

    fn ends(&mut self, flying: &Flying, outcome: Outcome) {
        if !matches!(outcome, Outcome::Written(_)) {
            return self.fails(flying);
        }
        self.deputy.ends(flying.visit, flying.part.lane, outcome);
        let same = |sent: &&Sent| sent.sequence == flying.of;
        let is_own = |batch: &&Batch| batch.number == flying.visit.number && batch.parting.is_none();
        let is_written = self.deputy.lately.iter().any(|batch| is_own(&batch));
        if is_written && self.open.iter().any(|sent| same(&sent)) && !self.failed.contains(&flying.of) {
            self.acknowledged(flying.of);
        }
    }

    fn fails(&mut self, flying: &Flying) {
        self.deputy.ends(flying.visit, flying.part.lane, Outcome::Open);
        self.failed.insert(flying.of);
    }

    fn retry(&mut self, salt: usize) {
        let failed = std::mem::take(&mut self.failed);
        let again: Vec<_> = self.open.iter().filter(|sent| failed.contains(&sent.sequence)).cloned().collect();
        again.iter().for_each(|sent| self.comes(sent, salt));
    }

    fn again(&mut self, salt: usize) {
        self.session += 1;
        let before = std::mem::take(&mut self.flying);
        self.stuck.clear();
        self.failed.clear();
        let open: Vec<_> = self.open.iter().cloned().collect();
        open.iter().for_each(|sent| self.comes(sent, salt));
        // What was on its way over the old connection is told to have failed, late.
        before.iter().for_each(|flying| self.deputy.ends(flying.visit, flying.part.lane, Outcome::Open));
    }
}

proptest! {
    /// [L6]
    #[test]
    fn l6_each_record_is_in_one_log_once_and_in_order(steps in steps()) {
        let (mut world, mut kept) = (World::new(), Vec::new());
        for (salt, step) in steps.into_iter().enumerate() {
            match step {
                // Nothing new goes before what has to be sent again
                Step::Send(count, leaving, dropped) if world.open.len() < LATELY && world.failed.is_empty() => {
                    let sent = Sent { sequence: world.next, count, leaving, dropped };
                    if !dropped {
                        kept.extend(world.next..world.next + count);
                    }
                    world.next += count;
                    world.open.push_back(sent.clone());
                    world.comes(&sent, salt);
                }
                Step::Send(..) => {}
                Step::Deliver(fortunes) => world.deliver(&fortunes),
                Step::Retry => world.retry(salt),
                Step::Cut => world.again(salt),
            }
        }
        // In the end nothing is lost any more
        for salt in 0..20 {
            world.again(salt);
            (0..LATELY).for_each(|_| world.deliver(&[]));
        }
        prop_assert!(world.open.is_empty(), "{:?}", world.open);
        let mut all = Vec::new();
        for lane in [Lane::MAIN, OVERFLOW] {
            let records = world.logs.remove(&lane.0).unwrap_or_default().records;
            prop_assert!(records.is_sorted(), "{records:?}");
            all.extend(records);
        }
        all.sort_unstable();
        prop_assert_eq!(all, kept);
    }
}
