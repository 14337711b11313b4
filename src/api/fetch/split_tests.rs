//! The state machine against brokers that keep, answer and lose polls in any order.

use super::*;
use crate::api::testing::{World, at, text};
use crate::placement::build::tests::topic;
use crate::telemetry::observed::{Fact, Handed, Stretch};
use crate::wire::codec::{decode, encode_body};
use crate::wire::fetch::FlatTopic;
use crate::wire::pool::Pool;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use proptest::prelude::*;
use std::collections::HashMap;

/// The answer that a client gets when each broker answers like this.
pub(crate) fn round(
    flat: &Flat,
    seen: &Seen<'_>,
    mut broker: impl FnMut(&FetchRequest) -> FetchResponse,
) -> FetchResponse {
    let (mut polls, now) = (Polls::new(1 << 20), Instant::now());
    let asked = polls.settle(flat.terms, flat.named(), 1, seen).asked;
    let mut moves = VecDeque::from(polls.submit(asked, (), now));
    let (mut response, mut effects) = (None, Effects::new());
    while let Some(next) = moves.pop_front() {
        match next {
            Move::Answer(leaving) => response = Some(read(&leaving, seen.version)),
            Move::Ask(ask) => {
                let told = (broker(&request(&ask)), Bytes::new());
                moves.extend(polls.told((ask.to, ask.number), told, now, seen, &mut effects));
            }
        }
        if moves.is_empty() && response.is_none() {
            moves.extend(polls.tick(now + Duration::from_secs(3_600)));
        }
    }
    response.expect("an answer")
}

/// What is asked, with names and ids for any version.
fn request(ask: &Ask) -> FetchRequest {
    let topic = |(topic, parts): (&FlatTopic, &[Part])| {
        let asked = |part: &Part| FetchPartition::default().with_partition(part.index).with_fetch_offset(part.offset);
        FetchTopic::default()
            .with_topic(TopicName(topic.name.clone()))
            .with_topic_id(topic.id)
            .with_partitions(parts.iter().map(asked).collect())
    };
    FetchRequest::default().with_topics(ask.question.each().map(topic).collect())
}

/// An answer as a client of this version reads it.
fn read<T>(leaving: &Leaving<T>, version: i16) -> FetchResponse {
    decode(leaving.body.as_ref().unwrap().concat().into(), version).unwrap()
}

const PLACES: [(&str, i32); 5] = [("x", 0), ("x", 1), ("x", 2), ("b-1", 0), ("b-1", 1)];

/// `x` is led by brokers 1, 2 and 1 of `a`, `b-1` by brokers 1 and 2 of `b`.
fn world() -> World {
    World::with(&[topic("x", &[1, 2, 1])], &[topic("b-1", &[1, 2])])
}

/// A Fetch of these places at these offsets.
fn flat(places: &[(usize, i64)], wait_ms: i32, max_bytes: i32) -> Flat {
    let one = |(place, offset): &(usize, i64)| {
        let (name, index) = PLACES[*place];
        let partition = FetchPartition::default().with_partition(index).with_fetch_offset(*offset);
        FetchTopic::default().with_topic(TopicName(text(name))).with_partitions(vec![partition])
    };
    let request = FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_topics(places.iter().map(one).collect());
    request.into()
}

fn settle<T>(polls: &mut Polls<T>, flat: &Flat, generation: u64, seen: &Seen<'_>) -> Asked {
    polls.settle(flat.terms, flat.named(), generation, seen).asked
}

/// Records tell where they were asked, so that a wrong claim shows.
fn records(name: &str, index: i32, offset: i64) -> Bytes {
    Bytes::from(format!("{name}/{index}@{offset}"))
}

/// A broker answers, with records for each partition where there are any: taken as it came, or read by the codec.
fn tell<T>(
    polls: &mut Polls<T>,
    ask: &Ask,
    plainly: bool,
    now: Instant,
    seen: &Seen<'_>,
    has: impl Fn(&str, i32) -> bool,
) -> Moves<T> {
    let answer = answer(ask, has);
    let (of, frame) = ((ask.to, ask.number), encode_body(&answer, 12).unwrap());
    match plainly {
        true => polls.told_plainly(of, (&frame, 0), now).unwrap(),
        false => polls.told(of, (answer, frame), now, seen, &mut Effects::new()),
    }
}

fn answer(ask: &Ask, has: impl Fn(&str, i32) -> bool) -> FetchResponse {
    let topic = |topic: &FetchTopic| {
        let told = topic.partitions.iter().map(|asked| {
            let (name, index) = (&*topic.topic.0, asked.partition);
            let records = if has(name, index) { records(name, index, asked.fetch_offset) } else { Bytes::new() };
            PartitionData::default().with_partition_index(index).with_high_watermark(99).with_records(Some(records))
        });
        FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(told.collect())
    };
    FetchResponse::default().with_responses(request(ask).topics.iter().map(topic).collect())
}

/// What was told, in the answer's order: the place's name and number, code, and records.
fn told<T>(leaving: &Leaving<T>) -> Vec<(String, i32, i16, String)> {
    let response = read(leaving, 12);
    let flat = response.responses.iter().flat_map(|topic| {
        topic.partitions.iter().map(|told| {
            let records = told.records.clone().unwrap_or_default();
            let records = String::from_utf8_lossy(&records).into_owned();
            (topic.topic.0.to_string(), told.partition_index, told.error_code, records)
        })
    });
    flat.collect()
}

/// Splits moves into what is asked and what is answered.
fn sort<T>(moves: Moves<T>) -> (Vec<Ask>, Vec<Leaving<T>>) {
    let (mut asks, mut answers) = (Vec::new(), Vec::new());
    for next in moves {
        match next {
            Move::Ask(ask) => asks.push(*ask),
            Move::Answer(leaving) => answers.push(*leaving),
        }
    }
    (asks, answers)
}

struct Bench {
    world: World,
    /// Brokers' answers are taken as they came, and not read by the codec.
    plainly: bool,
    polls: Polls<u32>,
    now: Instant,
    effects: Effects,
}

impl Bench {
    fn new() -> Self {
        Self { world: world(), plainly: true, polls: Polls::new(1 << 20), now: Instant::now(), effects: Effects::new() }
    }

    fn submit(&mut self, whose: u32, places: &[(usize, i64)], wait_ms: i32) -> (Vec<Ask>, Vec<Leaving<u32>>) {
        let seen = self.world.seen(12);
        let asked = settle(&mut self.polls, &flat(places, wait_ms, i32::MAX), 1, &seen);
        sort(self.polls.submit(asked, whose, self.now))
    }

    fn told(&mut self, ask: &Ask, has: impl Fn(&str, i32) -> bool) -> (Vec<Ask>, Vec<Leaving<u32>>) {
        let seen = self.world.seen(12);
        sort(tell(&mut self.polls, ask, self.plainly, self.now, &seen, has))
    }
}

#[test]
fn an_idle_broker_delays_nobody_and_is_asked_once() {
    let mut bench = Bench::new();
    let (asks, answers) = bench.submit(1, &[(0, 10), (3, 20)], 60_000);
    assert_eq!((asks.len(), answers.len()), (2, 0));
    assert_eq!(asks[1].to, at(1, 1));
    // When the busy one answers, the client is answered, and the idle one keeps its poll
    for offset in 10..100 {
        let ask = asks_of(&mut bench, offset, &asks);
        let (_, answers) = bench.told(&ask, |_, _| true);
        let told = told(&answers[0]);
        assert_eq!(told[0].3, format!("x/0@{offset}"));
        assert_eq!(told[1].3, "");
    }
}

/// As Kafka does, which fills a map in the order of the request.
#[test]
fn a_partition_that_is_named_twice_is_told_once_of_where_it_was_named_last() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 5), (0, 20)], 60_000);
    assert_eq!(asks[0].question.parts.iter().map(|part| part.offset).collect::<Vec<_>>(), [20]);
    let (_, answers) = bench.told(&asks[0], |_, _| true);
    let told: Vec<_> = told(&answers[0]).into_iter().map(|(name, index, _, records)| (name, index, records)).collect();
    assert_eq!(told, [("x".into(), 0, "x/0@20".into()), ("b-1".into(), 0, String::new())]);
}

#[test]
fn an_answer_in_any_order_is_understood() {
    // Given a Fetch that names a topic in two places
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 1), (3, 2), (2, 3)], 60_000);
    // When its broker tells of all partitions in the order that it likes
    let mut answer = answer(&asks[0], |_, _| true);
    let told_of: Vec<_> = answer.responses.drain(..).flat_map(|topic| topic.partitions).rev().collect();
    let topic = FetchableTopicResponse::default().with_topic(TopicName(text("x")));
    answer.responses.push(topic.with_partitions(told_of));
    let frame = encode_body(&answer, 12).unwrap();
    let of = (asks[0].to, asks[0].number);
    let (_, answers) = sort(bench.polls.told_plainly(of, (&frame, 0), bench.now).unwrap());
    let records: Vec<_> = told(&answers[0]).into_iter().map(|told| told.3).collect();
    assert_eq!(records, ["x/0@1", "", "x/2@3"]);
}

#[test]
fn a_topic_that_was_made_again_is_another_one() {
    // Given what was kept of a topic, and told of its ends
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    bench.told(&asks[0], |_, _| true);
    bench.told(&asks[1], |_, _| true);
    // When it is there with another id
    let again = Arc::new(crate::upstream::Topic { id: uuid::Uuid::from_u128(77), ..(*topic("b-1", &[1, 2])).clone() });
    bench.world = World::with(&[topic("x", &[1, 2, 1])], &[again]);
    let seen = bench.world.seen(12);
    let asked = settle(&mut bench.polls, &flat(&[(3, 20)], 0, i32::MAX), 2, &seen);
    // Then nothing of it is handed out
    let (_, answers) = sort(bench.polls.submit(asked, 2, bench.now));
    assert!(answers.is_empty());
    let (_, answers) = sort(bench.polls.tick(bench.now + GRACE));
    assert_eq!(read(&answers[0], 12).responses[0].partitions[0].high_watermark, -1);
}

#[test]
fn partitions_that_nobody_names_any_more_are_forgotten() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    bench.told(&asks[0], |_, _| true);
    // When the client names others, each time
    for number in 0..20_000 {
        let mut request = flat(&[(4, 7)], 0, i32::MAX);
        request.parts[0].index = number;
        let seen = bench.world.seen(12);
        drop(settle(&mut bench.polls, &request, 1, &seen));
    }
    assert!(bench.polls.roll.len() < 2_000, "{}", bench.polls.roll.len());
    // Then what a broker still has is told all the same
    bench.told(&asks[1], |_, _| true);
    let (_, answers) = bench.submit(2, &[(3, 20)], 500);
    assert_eq!(told(&answers[0])[0].3, "b-1/0@20");
}

/// The poll of the busy broker for this offset; the first is outstanding already.
fn asks_of(bench: &mut Bench, offset: i64, first: &[Ask]) -> Ask {
    if offset == 10 {
        return Ask { question: Arc::clone(&first[0].question), ..first[0] };
    }
    let (mut asks, answers) = bench.submit(2, &[(0, offset), (3, 20)], 60_000);
    assert!(answers.is_empty());
    assert_eq!(asks.len(), 1, "one outstanding Fetch a broker");
    asks.remove(0)
}

#[test]
fn an_answer_that_came_too_late_is_kept_for_the_next_fetch_and_handed_out_once() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    bench.told(&asks[0], |_, _| true);
    bench.told(&asks[1], |_, _| true);
    assert!(bench.polls.kept_bytes() > 0);
    let (asks, answers) = bench.submit(2, &[(0, 11), (3, 20)], 500);
    assert_eq!(told(&answers[0])[1].3, "b-1/0@20");
    assert_eq!(asks.iter().map(|ask| ask.to).collect::<Vec<_>>(), [at(0, 1)], "it stands elsewhere in the other");
    assert_eq!(bench.polls.kept_bytes(), 0);
    let (_, answers) = bench.submit(3, &[(3, 20)], 500);
    assert!(answers.is_empty());
}

#[test]
fn what_a_seek_has_left_behind_is_discarded_and_asked_anew() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    bench.told(&asks[0], |_, _| true);
    // When the client seeks while the other broker has its poll
    let (none, _) = bench.submit(2, &[(3, 7)], 500);
    assert!(none.is_empty(), "one outstanding Fetch a broker");
    let (again, answers) = bench.told(&asks[1], |_, _| true);
    assert_eq!((answers.len(), bench.polls.kept_bytes()), (0, 0));
    let (_, answers) = bench.told(&again[0], |_, _| true);
    assert_eq!(told(&answers[0])[0].3, "b-1/0@7");
}

#[test]
fn a_frozen_broker_costs_the_client_its_own_time_and_no_more() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    bench.now += Duration::from_millis(500);
    assert_eq!(bench.polls.wake(bench.now), Some(bench.now + GRACE));
    assert!(bench.polls.tick(bench.now).is_empty(), "its answer may be on its way");
    let (_, answers) = bench.told(&asks[0], |_, _| false);
    assert!(answers.is_empty());
    bench.now += GRACE;
    let (asks, answers) = sort(bench.polls.tick(bench.now));
    assert!(asks.is_empty());
    let told = read(&answers[0], 12).responses;
    assert_eq!((told[0].partitions[0].high_watermark, told[1].partitions[0].high_watermark), (99, -1));
}

#[test]
fn a_broker_that_fails_has_its_partitions_asked_again_and_no_others() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    let fault = Fault::upstream(asks[1].to, true, "gone");
    let of = (asks[1].to, asks[1].number);
    let (_, answers) = sort(bench.polls.failed(of, &fault, bench.now, &mut bench.effects));
    let codes: Vec<_> = told(&answers[0]).iter().map(|told| told.2).collect();
    assert_eq!((codes, answers[0].faults.len()), (vec![0, 6], 1));
    assert_eq!(bench.effects.len(), 1);
}

#[test]
fn a_client_takes_no_more_than_it_said_and_gets_the_rest_next() {
    let world = world();
    let (mut polls, now, seen) = (Polls::new(1 << 20), Instant::now(), world.seen(12));
    let at_once = |polls: &mut Polls<u32>, whose| {
        let asked = settle(polls, &flat(&[(3, 20), (0, 10), (1, 1)], 500, 10), 1, &world.seen(12));
        sort(polls.submit(asked, whose, now))
    };
    let (asks, _) = at_once(&mut polls, 1);
    let mut first = Vec::new();
    for ask in &asks {
        first.extend(sort(tell(&mut polls, ask, true, now, &seen, |_, _| true)).1);
    }
    let (_, second) = at_once(&mut polls, 2);
    let with = |leaving: &Leaving<u32>| told(leaving).iter().filter(|told| !told.3.is_empty()).count();
    assert_eq!((with(&first[0]), with(&second[0])), (1, 1), "each record is about ten bytes");
}

/// (L4)
#[test]
fn l4_the_answers_of_all_brokers_fit_into_the_share() {
    for (share, sharing) in [(8 << 20, 1), (8 << 20, 2), (8 << 20, 3), (8 << 20, 5), (768 << 10, 2), (1 << 20, 7)] {
        let records = records_within(share / sharing);
        let with_other_fields = records + 1_000;
        assert!(Pool::takes(with_other_fields, share) * sharing <= share, "{share} shared by {sharing}: {records}");
    }
}

/// Less than two answers about all partitions of a broker, more than one.
const SHARE: usize = 250;

proptest! {
    /// Whatever brokers do, and whenever.
    #[test]
    fn every_partition_is_answered_once_with_what_stands_at_its_offset(
        steps in prop::collection::vec((0_u8..6, 0_usize..5, any::<u8>()), 1..120),
    ) {
        let world = world();
        let seen = world.seen(12);
        let (mut polls, mut now) = (Polls::new(SHARE), Instant::now());
        let mut outstanding: HashMap<Target, Ask> = HashMap::new();
        let mut positions = [0_i64; 5];
        let mut asked_for: VecDeque<(u32, Vec<(usize, i64)>)> = VecDeque::new();
        let (mut number, mut answered) = (0, 0);
        let end = [(5, 0, 0); 40];
        for (what, which, dice) in steps.into_iter().chain(end) {
            let mut effects = Effects::new();
            let to = outstanding.keys().min_by_key(|to| (to.broker.0 + i32::from(dice)) % 5).copied();
            let moves = match (what, to) {
                (0, _) => {
                    let places: Vec<_> = (0..5).filter(|place| dice >> place & 1 == 1 || *place == which).collect();
                    let places: Vec<_> = places.into_iter().map(|place| (place, positions[place])).collect();
                    number += 1;
                    asked_for.push_back((number, places.clone()));
                    // Placements come and go, and tell the same
                    let named = flat(&places, i32::from(dice), 40);
                    let asked = settle(&mut polls, &named, u64::from(dice % 3), &seen);
                    polls.submit(asked, number, now)
                }
                (1 | 2, Some(to)) => {
                    let ask = outstanding.remove(&to).unwrap();
                    tell(&mut polls, &ask, what == 1, now, &seen, |_, index| (dice >> index) & 1 == 1)
                }
                (3, Some(to)) => {
                    let ask = outstanding.remove(&to).unwrap();
                    polls.failed((to, ask.number), &Fault::upstream(to, true, "gone"), now, &mut effects)
                }
                (4, _) => { positions[which] = i64::from(dice); Moves::new() }
                _ => { now += Duration::from_millis(if dice == 0 { 400 } else { 10 }); polls.tick(now) }
            };
            for next in moves {
                match next {
                    Move::Ask(ask) => {
                        prop_assert!(outstanding.insert(ask.to, *ask).is_none(), "two polls at one broker");
                    }
                    Move::Answer(leaving) => {
                        let (whose, places) = asked_for.pop_front().unwrap();
                        prop_assert_eq!(whose, leaving.whose);
                        let told = told(&leaving);
                        prop_assert_eq!(told.len(), places.len());
                        let mut bytes = 0;
                        for ((place, offset), (name, index, code, got)) in places.into_iter().zip(told) {
                            prop_assert_eq!(PLACES[place], (name.as_str(), index));
                            prop_assert!(code == 0 || code == 6);
                            bytes += got.len();
                            if !got.is_empty() {
                                prop_assert_eq!(got.as_bytes(), &records(&name, index, offset)[..]);
                                positions[place] = positions[place].max(offset + 1);
                            }
                        }
                        prop_assert!(bytes <= 40);
                        answered += 1;
                    }
                }
            }
            prop_assert!(polls.kept_bytes() <= SHARE, "the share, which is about two frames here");
        }
        prop_assert_eq!(answered, number, "all are answered in time, whoever says nothing");
    }
}

#[test]
fn what_is_handed_out_is_told_to_who_keeps_count() {
    use crate::types::Partition;
    use crate::types::log::Ends;
    use crate::wire::batch::Header;
    use crate::wire::batch::testing::{batch, plain_header, plain_record};
    // Given two brokers, one of each cluster, each with a batch and a batch of control records behind it
    let world = world();
    let seen = world.seen(12);
    let (mut polls, now) = (Polls::new(1 << 20), Instant::now());
    let records = || {
        let header = Header { base_offset: 5, last_offset_delta: 2, base_timestamp: 77, ..plain_header() };
        let control = Header { base_offset: 8, attributes: 0b11_0000, last_offset_delta: 0, ..plain_header() };
        [batch(header, &vec![plain_record(); 3]), batch(control, &[plain_record()])].concat()
    };
    for isolation in [0, 1] {
        let part = |name: &str| {
            let partition = FetchPartition::default().with_partition(0).with_fetch_offset(5);
            FetchTopic::default().with_topic(TopicName(text(name))).with_partitions(vec![partition])
        };
        let fetch =
            FetchRequest::default().with_min_bytes(1 << 19).with_max_bytes(1 << 20).with_isolation_level(isolation);
        let flat: Flat = fetch.with_max_wait_ms(10).with_topics(vec![part("x"), part("b-1")]).into();
        let asked = polls.settle(flat.terms, flat.named(), 1, &seen).asked;
        let mut moves = VecDeque::from(polls.submit(asked, (), now));
        let (mut handed, mut effects) = (Vec::new(), Effects::new());
        while let Some(next) = moves.pop_front() {
            match next {
                Move::Answer(leaving) => handed.extend(leaving.handed),
                Move::Ask(ask) => {
                    let topics = request(&ask).topics.into_iter().map(|topic| {
                        let data = PartitionData::default().with_high_watermark(9).with_last_stable_offset(9);
                        let data = data.with_log_start_offset(2).with_records(Some(records().into()));
                        let data = data.with_preferred_read_replica((-1).into());
                        FetchableTopicResponse::default().with_topic(topic.topic).with_partitions(vec![data])
                    });
                    // When one is answered as it stands in the frame, and one as the codec reads it
                    let told = FetchResponse::default().with_responses(topics.collect()).with_throttle_time_ms(0);
                    let of = (ask.to, ask.number);
                    moves.extend(if ask.to.cluster == at(0, 1).cluster {
                        let frame: Bytes = encode_body(&told, 12).unwrap();
                        polls.told_plainly(of, (&frame, 0), now).unwrap()
                    } else {
                        polls.told(of, (told, Bytes::new()), now, &seen, &mut effects)
                    });
                }
            }
            if moves.is_empty() && handed.len() < 2 {
                moves.extend(polls.tick(now + Duration::from_secs(1)));
            }
        }
        // Then both are told of alike
        let handed_of = |name: &str| Handed {
            at: Partition::new(name, 0),
            stretch: Stretch { from: 5, given: Some((5, 8)), next: 9, written_ms: 77 },
            ends: Ends { high: 9, stable: 9, start: 2 },
        };
        let mut told: Vec<_> = handed
            .iter()
            .flat_map(|fact| match fact {
                Fact::Fetched { by: Some(by), committed_only, of } => {
                    assert_eq!((*by, *committed_only), (Reader::default(), isolation == 1));
                    of.to_vec()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        told.sort_by_key(|told| *told != handed_of("x"));
        assert_eq!(told, [handed_of("x"), handed_of("b-1")]);
    }
}
