//! The state machine before brokers that hold records as Kafka's do, answer in any order, forget and move.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "offsets are small here")]

use super::super::kept::acknowledged;
use super::super::moves::{Answer, Ask, Sent};
use super::*;
use crate::api::Effects;
use crate::api::testing::{World, at, text};
use crate::placement::build::tests::{slot, topic};
use bytes::Bytes;
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::share_fetch_response::PartitionData;
use kafka_protocol::messages::share_fetch_response::{AcquiredRecords, ShareFetchableTopicResponse};
use kafka_protocol::messages::{
    ShareAcknowledgeRequest, ShareAcknowledgeResponse, ShareFetchRequest, ShareFetchResponse,
};
use proptest::prelude::*;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const RECORDS: i64 = 12;
const WAIT: Duration = Duration::from_millis(500);

fn places() -> Vec<Partition> {
    let of = |name: &str, indexes: std::ops::Range<i32>| {
        let id = topic(name, &[1]).id;
        indexes.map(move |index| (id, index)).collect::<Vec<_>>()
    };
    let mut all = [of("x", 0..3), of("y", 0..2)].concat();
    all.sort_unstable();
    all
}

/// Who leads what, before and after a move.
fn worlds() -> [World; 2] {
    [([1, 2, 1], [2, 3]), ([1, 3, 2], [-1, 3])].map(|(x, y)| World::with(&[topic("x", &x), topic("y", &y)], &[]))
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Taken,
    Accepted,
}

/// A broker's session of the member.
struct Session {
    epoch: i32,
    has: BTreeSet<Partition>,
}

#[derive(Default)]
struct Model {
    session: Option<Session>,
    /// What it was sent and has not answered.
    inbox: VecDeque<(Sent, Ask)>,
}

/// Brokers, a member and what is between.
struct Stage {
    worlds: [World; 2],
    world: usize,
    clock: Instant,
    brokers: BTreeMap<Target, Model>,
    records: BTreeMap<Partition, Vec<State>>,
    split: Split<u32>,
    moves: VecDeque<Move<u32>>,
    /// The member: the epoch of its next request, what it has in hand, and what it waits for.
    epoch: i32,
    hand: BTreeMap<Partition, Vec<(i64, i64)>>,
    waits: Option<(u32, BTreeSet<Partition>, bool)>,
    asked: u32,
    /// Acknowledgements that a broker took, by partition, of the request that waits.
    taken: BTreeSet<Partition>,
    delivered: BTreeMap<(Partition, i64), u32>,
}

impl Stage {
    fn new() -> Self {
        let records = places().into_iter().map(|at| (at, vec![State::Free; RECORDS as usize])).collect();
        Self {
            worlds: worlds(),
            world: 0,
            clock: Instant::now(),
            brokers: (1..=3).map(|id| (at(0, id), Model::default())).collect(),
            records,
            split: Split::new(("g", "m"), slot(0), 1 << 20),
            moves: VecDeque::new(),
            epoch: 0,
            hand: BTreeMap::new(),
            waits: None,
            asked: 0,
            taken: BTreeSet::new(),
            delivered: BTreeMap::new(),
        }
    }

    fn leads(&self, to: Target, (topic, index): Partition) -> bool {
        let seen = self.worlds[self.world].seen(1);
        let place = seen.placement.topic_by_id(topic).unwrap();
        matches!(place.leader(index), Leader::At(leader, _) if leader == to)
    }

    /// Does something to the session, and all that follows.
    fn change(&mut self, change: impl FnOnce(&mut Split<u32>, &Now<'_, '_>) -> Moves<u32>) {
        let seen = self.worlds[self.world].seen(1);
        let now = Now { at: self.clock, seen: &seen, generation: self.world as u64 };
        self.moves.extend(change(&mut self.split, &now));
        while let Some(next) = self.moves.pop_front() {
            match next {
                Move::Send(sent, ask) => self.brokers.get_mut(&sent.to).unwrap().inbox.push_back((sent, ask)),
                Move::Answer(leaving) => self.hear(leaving),
            }
        }
    }

    fn ask(&mut self, asked: Asked, ends: bool) {
        assert!(self.waits.is_none());
        self.asked += 1;
        self.taken.clear();
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
                            (range.first_offset..=range.last_offset)
                                .for_each(|offset| *self.delivered.entry((at, offset)).or_default() += 1);
                            self.hand.entry(at).or_default().push((range.first_offset, range.last_offset));
                        }
                    }
                }
            }
        }
        for at in acknowledged {
            let code = outcomes.get(&at).unwrap_or_else(|| panic!("nothing is told of {at:?}"));
            // Who is told that it was taken can rely on it.
            assert!(*code != 0 || self.taken.contains(&at), "{at:?} was not taken");
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
                kafka_protocol::messages::share_fetch_request::AcknowledgementBatch::default()
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
            let partition = kafka_protocol::messages::share_acknowledge_request::AcknowledgePartition::default()
                .with_partition_index(index)
                .with_acknowledgement_batches(batches.collect());
            kafka_protocol::messages::share_acknowledge_request::AcknowledgeTopic::default()
                .with_topic_id(topic)
                .with_partitions(vec![partition])
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
        let Some((sent, ask)) = self.brokers.get_mut(&to).unwrap().inbox.pop_front() else { return };
        match ask {
            Ask::Poll(request) => {
                let answer = self.polled(to, &request);
                let mut effects = Effects::new();
                self.change(|split, now| {
                    split.told(sent, Ok((answer, Bytes::from_static(b"frame"))), now, &mut effects)
                });
            }
            Ask::Acknowledge(request) => {
                let answer = self.took(to, &request);
                let mut effects = Effects::new();
                self.change(|split, now| split.acknowledged(sent, Ok(answer), now, &mut effects));
            }
        }
    }

    /// As Kafka's broker counts requests: what a request in order finds, or an error.
    fn session(&mut self, to: Target, epoch: i32) -> Result<&mut Session, i16> {
        let session = &mut self.brokers.get_mut(&to).unwrap().session;
        if epoch == OPENS {
            *session = Some(Session { epoch: OPENS, has: BTreeSet::new() });
        }
        let session = session.as_mut().ok_or(codes::SHARE_SESSION_NOT_FOUND)?;
        if epoch != FINAL {
            assert_eq!(session.epoch, epoch, "{to}: requests out of order");
            session.epoch = after(epoch);
        }
        Ok(session)
    }

    fn polled(&mut self, to: Target, request: &ShareFetchRequest) -> ShareFetchResponse {
        let (added, removed) = (request.topics.iter(), request.forgotten_topics_data.iter());
        let added: Vec<_> =
            added.flat_map(|t| t.partitions.iter().map(move |p| (t.topic_id, p.partition_index))).collect();
        let removed: Vec<_> = removed.flat_map(|t| t.partitions.iter().map(move |p| (t.topic_id, *p))).collect();
        let session = match self.session(to, request.share_session_epoch) {
            Ok(session) => session,
            Err(code) => return ShareFetchResponse::default().with_error_code(code),
        };
        session.has.extend(added);
        removed.iter().for_each(|at| assert!(session.has.remove(at), "it has not {at:?}"));
        let has = session.has.clone();
        let pieces = has.into_iter().map(|at| {
            let piece = PartitionData::default().with_partition_index(at.1);
            let piece = if self.leads(to, at) {
                let log = self.records.get_mut(&at).unwrap();
                let first = log.iter().position(|state| *state == State::Free);
                let range = first.map(|first| {
                    let end = (first + 3).min(log.len());
                    let end = (first..end).find(|i| log[*i] != State::Free).unwrap_or(end);
                    log[first..end].fill(State::Taken);
                    AcquiredRecords::default().with_first_offset(first as i64).with_last_offset(end as i64 - 1)
                });
                piece.with_acquired_records(range.into_iter().collect())
            } else {
                piece.with_error_code(codes::NOT_LEADER_OR_FOLLOWER)
            };
            ShareFetchableTopicResponse::default().with_topic_id(at.0).with_partitions(vec![piece])
        });
        let pieces = pieces.collect();
        ShareFetchResponse::default().with_acquisition_lock_timeout_ms(30_000).with_responses(pieces)
    }

    fn took(&mut self, to: Target, request: &ShareAcknowledgeRequest) -> ShareAcknowledgeResponse {
        if let Err(code) = self.session(to, request.share_session_epoch).map(|_| ()) {
            return ShareAcknowledgeResponse::default().with_error_code(code);
        }
        let mut outcomes = BTreeMap::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let at = (topic.topic_id, partition.partition_index);
                let code = if self.leads(to, at) { self.take(at, &partition.acknowledgement_batches) } else { 6 };
                outcomes.insert(at, Outcome { code, message: None });
            }
        }
        if request.share_session_epoch == FINAL {
            let session = self.brokers.get_mut(&to).unwrap().session.take().unwrap();
            self.free(&session.has);
        }
        acknowledged(outcomes)
    }

    fn take(&mut self, at: Partition, batches: &[AcknowledgementBatch]) -> i16 {
        let log = self.records.get_mut(&at).unwrap();
        let all = || batches.iter().flat_map(|batch| batch.first_offset..=batch.last_offset);
        if all().any(|offset| log[offset as usize] != State::Taken) {
            return codes::INVALID_RECORD_STATE;
        }
        let state = |batch: &AcknowledgementBatch| match batch.acknowledge_types[0] {
            RELEASE => State::Free,
            _ => State::Accepted,
        };
        for batch in batches {
            let state = state(batch);
            (batch.first_offset..=batch.last_offset).for_each(|offset| log[offset as usize] = state);
        }
        self.taken.insert(at);
        0
    }

    fn free(&mut self, partitions: &BTreeSet<Partition>) {
        for at in partitions {
            let log = self.records.get_mut(at).unwrap().iter_mut();
            log.filter(|state| **state == State::Taken).for_each(|state| *state = State::Free);
        }
    }

    /// A broker's link breaks: it ends the session, and everyone who waits is told.
    fn cut(&mut self, to: Target) {
        let broker = self.brokers.get_mut(&to).unwrap();
        let (session, inbox) = (broker.session.take(), mem::take(&mut broker.inbox));
        if let Some(session) = session {
            let has: BTreeSet<_> = session.has.into_iter().filter(|at| self.leads(to, *at)).collect();
            self.free(&has);
        }
        for (sent, ask) in inbox {
            let (fault, mut effects) = (Fault::upstream(to, true, "cut"), Effects::new());
            self.change(|split, now| match ask {
                Ask::Poll(_) => split.told(sent, Err(fault), now, &mut effects),
                Ask::Acknowledge(_) => split.acknowledged(sent, Err(fault), now, &mut effects),
            });
        }
    }

    /// Others lead what they led: a new leader holds nothing for anybody.
    fn moves(&mut self) {
        let before: BTreeMap<_, _> = places().into_iter().map(|at| (at, self.leader(at))).collect();
        self.world = 1 - self.world;
        let moved = before.into_iter().filter(|(at, leader)| self.leader(*at) != *leader).map(|(at, _)| at).collect();
        self.free(&moved);
    }

    fn leader(&self, at: Partition) -> Option<Target> {
        self.brokers.keys().copied().find(|to| self.leads(*to, at))
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
            6 => self.moves(),
            7 => {
                let mut session = self.brokers.get_mut(&broker).unwrap().session.take();
                if let Some(session) = session.take() {
                    self.free(&session.has.into_iter().filter(|at| self.leads(broker, *at)).collect());
                }
            }
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
        if stage.world == 1 {
            stage.moves();
        }
        // When all is well and the member reads on, then it gets what is left
        for round in 0..300 {
            if stage.records.values().flatten().all(|state| *state == State::Accepted) {
                break;
            }
            // The locks of what a lost acknowledgement was for run out.
            if round % 50 == 49 {
                stage.pass(Duration::from_secs(40));
                let hand: Vec<_> = stage.hand.keys().copied().collect();
                let held = places().into_iter().filter(|at| !hand.contains(at)).collect();
                stage.free(&held);
            }
            let choice = if round % 20 == 0 { 15 } else { 2 };
            stage.fetch(choice);
            stage.settle();
        }
        let left: Vec<_> = stage.records.iter().filter(|(_, log)| log.iter().any(|state| *state != State::Accepted)).collect();
        prop_assert!(left.is_empty(), "{:?} {:?}", left, stage.split);
        // And when it leaves, nothing is held for it
        if stage.epoch > 0 {
            stage.acknowledge(0, true);
            stage.settle();
        }
        prop_assert!(stage.split.is_over());
    }
}

fn submit(split: &mut Split<u32>, request: impl Into<Asked>, whose: u32, world: &World, at: Instant) -> Moves<u32> {
    let seen = world.seen(1);
    split.submit(request.into(), whose, &Now { at, seen: &seen, generation: 0 })
}

fn fetch(epoch: i32, named: &[Partition]) -> ShareFetchRequest {
    let topics = named.iter().map(|(topic, index)| {
        FetchTopic::default()
            .with_topic_id(*topic)
            .with_partitions(vec![FetchPartition::default().with_partition_index(*index)])
    });
    ShareFetchRequest::default()
        .with_share_session_epoch(epoch)
        .with_max_wait_ms(500)
        .with_max_bytes(1_000)
        .with_max_records(500)
        .with_topics(topics.collect())
}

fn brokers<W>(moves: &Moves<W>) -> Vec<Target> {
    let sent = |next: &Move<W>| match next {
        Move::Send(sent, _) => Some(sent.to),
        Move::Answer(_) => None,
    };
    moves.iter().filter_map(sent).collect()
}

fn code<W>(moves: &Moves<W>) -> i16 {
    match &moves[..] {
        [Move::Answer(Leaving { answer: Answer::Fetch(answer, _), .. })] => answer.error_code,
        [Move::Answer(Leaving { answer: Answer::Acknowledge(answer), .. })] => answer.error_code,
        _ => panic!("not one answer"),
    }
}

#[test]
fn each_leader_is_asked_for_its_own_and_for_its_share_of_the_bytes() {
    let [world, _] = worlds();
    let mut split = Split::new(("g", "m"), slot(0), 300);
    let moves = submit(&mut split, fetch(0, &places()), 1, &world, Instant::now());
    assert_eq!(brokers(&moves), [at(0, 1), at(0, 2), at(0, 3)]);
    for next in &moves {
        let Move::Send(sent, Ask::Poll(request)) = next else { panic!() };
        assert_eq!((request.share_session_epoch, request.max_bytes, request.max_records), (0, 100, 500));
        assert_eq!((request.group_id.as_ref().unwrap().0.as_str(), request.member_id.as_deref()), ("g", Some("m")));
        let named: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        assert_eq!(named, if sent.to == at(0, 3) { 1 } else { 2 });
    }
}

#[test]
fn requests_out_of_order_are_told_so_as_by_a_broker() {
    let ([world, _], now) = (worlds(), Instant::now());
    let mut split = Split::new(("g", "m"), slot(0), 300);
    assert_eq!(code(&submit(&mut split, fetch(3, &[]), 1, &world, now)), 122);
    assert!(split.is_over());
    assert_eq!(code(&submit(&mut split, ShareAcknowledgeRequest::default(), 1, &world, now)), 123);
    // Given one that is open
    assert_eq!(code(&submit(&mut split, fetch(0, &[]), 1, &world, now)), 0);
    assert_eq!(code(&submit(&mut split, fetch(3, &[]), 1, &world, now)), 123);
    assert_eq!(code(&submit(&mut split, fetch(1, &[]), 1, &world, now)), 0);
    assert_eq!(
        code(&submit(&mut split, ShareAcknowledgeRequest::default().with_share_session_epoch(2), 1, &world, now)),
        0
    );
    assert_eq!(
        code(&submit(&mut split, ShareAcknowledgeRequest::default().with_share_session_epoch(-1), 1, &world, now)),
        0
    );
    assert!(split.is_over());
    assert_eq!(code(&submit(&mut split, fetch(3, &[]), 1, &world, now)), 122);
}

#[test]
fn a_broker_that_is_silent_delays_nobody_but_its_own_acknowledgements() {
    let ([world, _], mut now) = (worlds(), Instant::now());
    let mut split = Split::new(("g", "m"), slot(0), 1 << 20);
    let moves = submit(&mut split, fetch(0, &places()), 1, &world, now);
    let Move::Send(sent, _) = moves[0] else { panic!() };
    let seen = world.seen(1);
    // When one of three has something
    let range = AcquiredRecords::default().with_last_offset(2);
    let piece = PartitionData::default().with_acquired_records(vec![range]);
    let told = ShareFetchableTopicResponse::default().with_topic_id(topic("x", &[1]).id).with_partitions(vec![piece]);
    let told =
        || ShareFetchResponse::default().with_acquisition_lock_timeout_ms(30_000).with_responses(vec![told.clone()]);
    let frame = Bytes::from_static(b"frame");
    let moves = split.told(
        sent,
        Ok((told(), frame.clone())),
        &Now { at: now, seen: &seen, generation: 0 },
        &mut Effects::new(),
    );
    // Then the member is answered at once
    let [Move::Answer(Leaving { answer: Answer::Fetch(answer, _), .. })] = &moves[..] else { panic!("{moves:?}") };
    assert_eq!((answer.responses.len(), answer.acquisition_lock_timeout_ms), (1, 30_000));
    // And only that one is asked again; what the member says of the records goes first
    let mut next = fetch(1, &[(topic("x", &[1]).id, 0)]);
    next.topics[0].partitions[0].acknowledgement_batches = vec![
        kafka_protocol::messages::share_fetch_request::AcknowledgementBatch::default().with_acknowledge_types(vec![1]),
    ];
    let moves = submit(&mut split, next, 2, &world, now);
    let [Move::Send(first, Ask::Acknowledge(acknowledge)), Move::Send(second, Ask::Poll(poll))] = &moves[..] else {
        panic!("{moves:?}")
    };
    assert_eq!((first.to, acknowledge.share_session_epoch), (at(0, 1), 1));
    assert_eq!((second.to, poll.share_session_epoch, poll.topics.len()), (at(0, 1), 2, 0));
    // When it says nothing more, then the member is told so in the end, and the rest is as it was
    now += Duration::from_secs(4);
    assert!(split.tick(&Now { at: now, seen: &seen, generation: 0 }).is_empty());
    now += Duration::from_secs(2);
    let moves = split.tick(&Now { at: now, seen: &seen, generation: 0 });
    let [Move::Answer(Leaving { answer: Answer::Fetch(answer, _), .. })] = &moves[..] else { panic!("{moves:?}") };
    assert_eq!(answer.responses[0].partitions[0].acknowledge_error_code, codes::REQUEST_TIMED_OUT);
    // And what it has kept too long is nobody's
    let moves =
        split.told(*second, Ok((told(), frame)), &Now { at: now, seen: &seen, generation: 0 }, &mut Effects::new());
    assert!(moves.is_empty() && split.kept_bytes() > 0);
    now += Duration::from_secs(31);
    let moves = submit(&mut split, fetch(2, &[]), 3, &world, now);
    assert!(matches!(&moves[..], [Move::Send(..)]) && split.kept_bytes() == 0, "{moves:?}");
}

#[test]
fn what_comes_for_a_partition_that_is_given_up_goes_back_at_once() {
    let ([world, _], now) = (worlds(), Instant::now());
    let (seen, mut split) = (world.seen(1), Split::new(("g", "m"), slot(0), 1 << 20));
    let x = topic("x", &[1]).id;
    let moves = submit(&mut split, fetch(0, &[(x, 0)]), 1, &world, now);
    let Move::Send(sent, _) = moves[0] else { panic!() };
    let late = now + Duration::from_secs(1);
    assert_eq!(code(&split.tick(&Now { at: late, seen: &seen, generation: 0 })), 0);
    // Given a partition that the member gives up while its broker is asked
    let forgotten = ForgottenTopic::default().with_topic_id(x).with_partitions(vec![0]);
    assert_eq!(
        code(&submit(&mut split, fetch(1, &[]).with_forgotten_topics_data(vec![forgotten]), 2, &world, late)),
        0
    );
    // When records come, then others get them
    let range = AcquiredRecords::default().with_first_offset(3).with_last_offset(5);
    let piece = PartitionData::default().with_acquired_records(vec![range]);
    let told = ShareFetchableTopicResponse::default().with_topic_id(x).with_partitions(vec![piece]);
    let told = ShareFetchResponse::default().with_responses(vec![told]);
    let now = Now { at: late, seen: &seen, generation: 0 };
    let moves = split.told(sent, Ok((told, Bytes::new())), &now, &mut Effects::new());
    let [Move::Send(_, Ask::Acknowledge(back))] = &moves[..] else { panic!("{moves:?}") };
    let batch = &back.topics[0].partitions[0].acknowledgement_batches[0];
    assert_eq!((batch.first_offset, batch.last_offset, &batch.acknowledge_types[..]), (3, 5, &[RELEASE][..]));
}

#[test]
fn a_refusal_of_a_whole_session_is_told_where_nothing_else_is() {
    let ([world, _], now) = (worlds(), Instant::now());
    let (seen, mut split) = (world.seen(1), Split::new(("g", "m"), slot(0), 1 << 20));
    let moves = submit(&mut split, fetch(0, &[(topic("x", &[1]).id, 0)]), 1, &world, now);
    let Move::Send(sent, _) = moves[0] else { panic!() };
    let told = ShareFetchResponse::default().with_error_code(30).with_error_message(Some(text("no")));
    let at_once = Now { at: now, seen: &seen, generation: 0 };
    assert!(split.told(sent, Ok((told, Bytes::new())), &at_once, &mut Effects::new()).is_empty());
    let soon = Now { at: now + SOON, seen: &seen, generation: 0 };
    assert_eq!(code(&split.tick(&soon)), 30);
}

/// [L4]
#[test]
fn l4_what_is_remembered_is_told_with_its_size() {
    let [world, _] = worlds();
    let mut split = Split::new(("g", "m"), slot(0), 1 << 20);
    let before = split.memory();
    let many: Vec<_> = (0..1_000).map(|index| (topic("x", &[1]).id, index)).collect();
    submit(&mut split, fetch(0, &many), 1, &world, Instant::now());
    assert!(split.memory() >= before + 1_000 * PARTITION);
}
