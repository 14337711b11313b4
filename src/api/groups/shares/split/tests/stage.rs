//! A member at work before brokers that answer in any order, forget and move, its requests split over them.
#![allow(clippy::cast_possible_truncation, reason = "times are short here")]

use super::super::super::moves::{Answer, Ask, Sent};
use super::super::*;
use super::brokers::{ACCEPT, Brokers, RELEASE, places};
use crate::api::Effects;
use crate::api::testing::at;
use crate::placement::build::tests::slot;
use bytes::Bytes;
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use kafka_protocol::messages::share_fetch_request::{self, FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareFetchRequest};
use proptest::prelude::*;

const WAIT: Duration = Duration::from_millis(500);

/// See the module's text.
struct Stage {
    brokers: Brokers,
    /// What each was sent and has not answered.
    inboxes: BTreeMap<Target, VecDeque<(Sent, Ask)>>,
    clock: Instant,
    split: Split<u32>,
    moves: VecDeque<Move<u32>>,
    /// The member: the epoch of its next request, what it has in hand, and what it waits for.
    epoch: i32,
    hand: BTreeMap<Partition, Vec<(i64, i64)>>,
    waits: Option<(u32, BTreeSet<Partition>, bool)>,
    asked: u32,
}

impl Stage {
    fn new() -> Self {
        Self {
            brokers: Brokers::new(),
            inboxes: BTreeMap::new(),
            clock: Instant::now(),
            split: Split::new(("g", "m"), slot(0), 1 << 20),
            moves: VecDeque::new(),
            epoch: 0,
            hand: BTreeMap::new(),
            waits: None,
            asked: 0,
        }
    }

    /// Does something to the session, and all that follows.
    fn change(&mut self, change: impl FnOnce(&mut Split<u32>, &Now<'_, '_>) -> Moves<u32>) {
        let seen = self.brokers.now().seen(1);
        let now = Now { at: self.clock, seen: &seen, generation: self.brokers.world as u64 };
        self.moves.extend(change(&mut self.split, &now));
        while let Some(next) = self.moves.pop_front() {
            match next {
                Move::Send(sent, ask) => self.inboxes.entry(sent.to).or_default().push_back((sent, ask)),
                Move::Answer(leaving) => self.hear(leaving),
            }
        }
    }

    fn ask(&mut self, asked: Asked, ends: bool) {
        assert!(self.waits.is_none());
        self.asked += 1;
        self.brokers.taken.clear();
        let (whose, acknowledged) = (self.asked, asked.acknowledged.keys().copied().collect());
        self.waits = Some((whose, acknowledged, ends));
        self.change(|split, now| split.submit(asked, whose, now));
    }

    /// The member is answered: once, and of every acknowledgement what a broker says of it.
    fn hear(&mut self, leaving: Leaving<u32>) {
        let (whose, acknowledged, ends) = self.waits.take().expect("nobody asked");
        assert_eq!(leaving.whose, whose);
        let mut outcomes = BTreeMap::new();
        match leaving.answer {
            Answer::Acknowledge(answer) => {
                assert_eq!(answer.error_code, 0);
                for topic in answer.responses {
                    for piece in topic.partitions {
                        outcomes.insert((topic.topic_id, piece.partition_index), piece.error_code);
                    }
                }
            }
            Answer::Fetch(answer, _) => {
                assert_eq!(answer.error_code, 0);
                for topic in answer.responses {
                    for piece in topic.partitions {
                        let at = (topic.topic_id, piece.partition_index);
                        assert!(piece.records.is_some(), "Java reads no records that are null");
                        assert!(outcomes.insert(at, piece.acknowledge_error_code).is_none(), "{at:?} twice");
                        for range in piece.acquired_records {
                            self.hand.entry(at).or_default().push((range.first_offset, range.last_offset));
                        }
                    }
                }
            }
        }
        for at in acknowledged {
            let code = outcomes.get(&at).unwrap_or_else(|| panic!("nothing is told of {at:?}"));
            // Who is told that it was taken can rely on it.
            assert!(*code != 0 || self.brokers.taken.contains(&at), "{at:?} was not taken");
        }
        self.epoch = if ends { 0 } else { self.epoch + 1 };
    }

    /// The member acknowledges what it has in hand, a part of it, or nothing.
    fn acknowledges(&mut self, choice: u8) -> BTreeMap<Partition, Vec<(i64, i64, i8)>> {
        if choice.is_multiple_of(4) || self.epoch == 0 {
            return BTreeMap::new();
        }
        let kind = if choice % 8 == 1 { RELEASE } else { ACCEPT };
        let all = mem::take(&mut self.hand);
        let all = all.into_iter().map(|(at, ranges)| (at, ranges.into_iter().map(|(a, b)| (a, b, kind)).collect()));
        all.collect()
    }

    fn fetch(&mut self, choice: u8) {
        if self.epoch == 0 {
            self.hand.clear();
        }
        let acknowledged = self.acknowledges(choice);
        // At first it names all; later now and then it gives one up, or takes it again.
        let named = if self.epoch == 0 { places() } else { Vec::new() };
        let one = places()[usize::from(choice) % places().len()];
        let (added, forgotten) = match choice % 16 {
            _ if self.epoch == 0 => (named, Vec::new()),
            14 => (Vec::new(), vec![one]),
            15 => (places(), Vec::new()),
            _ => (Vec::new(), Vec::new()),
        };
        let mut partitions: BTreeMap<Partition, FetchPartition> = BTreeMap::new();
        for at in added {
            partitions.insert(at, FetchPartition::default().with_partition_index(at.1));
        }
        for (at, ranges) in acknowledged {
            let batches = ranges.into_iter().map(|(first, last, kind)| {
                share_fetch_request::AcknowledgementBatch::default()
                    .with_first_offset(first)
                    .with_last_offset(last)
                    .with_acknowledge_types(vec![kind])
            });
            let partition =
                partitions.entry(at).or_insert_with(|| FetchPartition::default().with_partition_index(at.1));
            partition.acknowledgement_batches = batches.collect();
        }
        let topics = partitions
            .into_iter()
            .map(|((topic, _), partition)| FetchTopic::default().with_topic_id(topic).with_partitions(vec![partition]));
        let forgotten = forgotten
            .into_iter()
            .map(|(topic, index)| ForgottenTopic::default().with_topic_id(topic).with_partitions(vec![index]));
        let request = ShareFetchRequest::default()
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(WAIT.as_millis() as i32)
            .with_max_bytes(1 << 20)
            .with_max_records(8)
            .with_topics(topics.collect())
            .with_forgotten_topics_data(forgotten.collect());
        self.ask(request.into(), false);
    }

    fn acknowledge(&mut self, choice: u8, ends: bool) {
        let acknowledged = self.acknowledges(choice);
        let topics = acknowledged.into_iter().map(|((topic, index), ranges)| {
            let batches = ranges.into_iter().map(|(first, last, kind)| {
                AcknowledgementBatch::default()
                    .with_first_offset(first)
                    .with_last_offset(last)
                    .with_acknowledge_types(vec![kind])
            });
            let partition = AcknowledgePartition::default()
                .with_partition_index(index)
                .with_acknowledgement_batches(batches.collect());
            AcknowledgeTopic::default().with_topic_id(topic).with_partitions(vec![partition])
        });
        let epoch = if ends { FINAL } else { self.epoch };
        let request = ShareAcknowledgeRequest::default().with_share_session_epoch(epoch).with_topics(topics.collect());
        self.ask(request.into(), ends);
        if ends {
            self.hand.clear();
        }
    }

    /// A broker works off the oldest of what it was sent.
    fn answer(&mut self, to: Target) {
        let Some((sent, ask)) = self.inboxes.entry(to).or_default().pop_front() else { return };
        match ask {
            Ask::Poll(request) => {
                let answer = self.brokers.polled(to, &request);
                let mut effects = Effects::new();
                self.change(|split, now| {
                    split.told(sent, Ok((answer, Bytes::from_static(b"frame"))), now, &mut effects)
                });
            }
            Ask::Acknowledge(request) => {
                let answer = self.brokers.took(to, &request);
                let mut effects = Effects::new();
                self.change(|split, now| split.acknowledged(sent, Ok(answer), now, &mut effects));
            }
        }
    }

    /// A broker's link breaks: it ends the session, and everyone who waits is told.
    fn cut(&mut self, to: Target) {
        self.brokers.forget(to);
        let inbox = mem::take(self.inboxes.entry(to).or_default());
        for (sent, ask) in inbox {
            let (fault, mut effects) = (Fault::upstream(to, true, "cut"), Effects::new());
            self.change(|split, now| match ask {
                Ask::Poll(_) => split.told(sent, Err(fault), now, &mut effects),
                Ask::Acknowledge(_) => split.acknowledged(sent, Err(fault), now, &mut effects),
            });
        }
    }

    fn pass(&mut self, time: Duration) {
        self.clock += time;
        self.change(|split, now| split.tick(now));
    }

    fn step(&mut self, choice: u8) {
        let broker = at(0, i32::from(choice / 16 % 3) + 1);
        match choice % 16 {
            0..=4 => self.answer(broker),
            5 => self.cut(broker),
            6 => self.brokers.moves(),
            7 => self.brokers.forget(broker),
            8 | 9 => self.pass(Duration::from_millis(u64::from(choice) * 10)),
            _ if self.waits.is_some() => self.pass(Duration::from_millis(50)),
            10..=13 => self.fetch(choice / 16 + choice % 4 * 16),
            14 if self.epoch > 0 => self.acknowledge(choice, false),
            15 if self.epoch > 0 && choice > 200 => self.acknowledge(choice, true),
            _ => self.fetch(choice),
        }
    }

    /// All is well from now on: what waits is answered.
    fn settle(&mut self) {
        for _ in 0..200 {
            if self.waits.is_none() {
                return;
            }
            (1..=3).for_each(|id| self.answer(at(0, id)));
            self.pass(Duration::from_millis(100));
        }
        panic!("nobody is answered: {:?}", self.split);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever brokers do: every request is answered once, every acknowledgement is told of and none is told as taken that was
    /// not, a broker's requests come in its order, and in the end every record is delivered and accepted and none is held.
    #[test]
    fn nothing_is_lost_whatever_brokers_do(choices in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut stage = Stage::new();
        for choice in choices {
            stage.step(choice);
        }
        stage.settle();
        if stage.brokers.world == 1 {
            stage.brokers.moves();
        }
        // When all is well and the member reads on, then it gets what is left
        for round in 0..300 {
            if stage.brokers.left().is_empty() {
                break;
            }
            // The locks of what a lost acknowledgement was for run out.
            if round % 50 == 49 {
                stage.pass(Duration::from_secs(40));
                let hand: Vec<_> = stage.hand.keys().copied().collect();
                let held = places().into_iter().filter(|at| !hand.contains(at)).collect();
                stage.brokers.free(&held);
            }
            let choice = if round % 20 == 0 { 15 } else { 2 };
            stage.fetch(choice);
            stage.settle();
        }
        let left = stage.brokers.left();
        prop_assert!(left.is_empty(), "{:?} {:?}", left, stage.split);
        // And when it leaves, nothing is held for it
        if stage.epoch > 0 {
            stage.acknowledge(0, true);
            stage.settle();
        }
        prop_assert!(stage.split.is_over());
    }
}
