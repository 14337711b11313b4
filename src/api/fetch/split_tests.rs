//! The state machine against brokers that keep, answer and lose polls in any order.

use super::*;
use crate::api::testing::{World, at, text};
use crate::placement::build::tests::topic;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;
use proptest::prelude::*;
use std::collections::HashMap;

/// The answer that a client gets when each broker answers like this.
pub(crate) fn round(asked: Asked, seen: &Seen<'_>, mut broker: impl FnMut(&Ask) -> FetchResponse) -> FetchResponse {
    let (mut polls, now) = (Polls::new(1 << 20), Instant::now());
    let mut moves = VecDeque::from(polls.submit(asked, (), now));
    let (mut response, mut effects) = (None, Effects::new());
    while let Some(next) = moves.pop_front() {
        match next {
            Move::Answer(leaving) => response = Some(leaving.response),
            Move::Ask(ask) => {
                let told = broker(&ask);
                moves.extend(polls.told((ask.to, ask.number), (told, Bytes::new()), now, seen, &mut effects));
            }
        }
        if moves.is_empty() && response.is_none() {
            moves.extend(polls.tick(now + Duration::from_secs(3_600)));
        }
    }
    response.expect("an answer")
}

const PLACES: [(&str, i32); 5] = [("x", 0), ("x", 1), ("x", 2), ("b-1", 0), ("b-1", 1)];

/// `x` is led by brokers 1, 2 and 1 of `a`, `b-1` by brokers 1 and 2 of `b`.
fn world() -> World {
    World::with(&[topic("x", &[1, 2, 1])], &[topic("b-1", &[1, 2])])
}

/// A Fetch of these places at these offsets.
fn asked(world: &World, places: &[(usize, i64)], wait_ms: i32, max_bytes: i32) -> Asked {
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
    Asked::of(request, &world.seen(12))
}

/// Records tell where they were asked, so that a wrong claim shows.
fn records(name: &str, index: i32, offset: i64) -> Bytes {
    Bytes::from(format!("{name}/{index}@{offset}"))
}

/// A broker's answer, with records for each partition where there are any.
fn answer(ask: &Ask, has: impl Fn(&str, i32) -> bool) -> FetchResponse {
    let topic = |topic: &FetchTopic| {
        let told = topic.partitions.iter().map(|asked| {
            let (name, index) = (&*topic.topic.0, asked.partition);
            let records = if has(name, index) { records(name, index, asked.fetch_offset) } else { Bytes::new() };
            PartitionData::default().with_partition_index(index).with_high_watermark(99).with_records(Some(records))
        });
        FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(told.collect())
    };
    FetchResponse::default().with_responses(ask.request.topics.iter().map(topic).collect())
}

/// What was told, in the answer's order: the place's name and number, code, and records.
fn told(response: &FetchResponse) -> Vec<(String, i32, i16, String)> {
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
    polls: Polls<u32>,
    now: Instant,
    effects: Effects,
}

impl Bench {
    fn new() -> Self {
        Self { world: world(), polls: Polls::new(1 << 20), now: Instant::now(), effects: Effects::new() }
    }

    fn submit(&mut self, whose: u32, places: &[(usize, i64)], wait_ms: i32) -> (Vec<Ask>, Vec<Leaving<u32>>) {
        let asked = asked(&self.world, places, wait_ms, i32::MAX);
        sort(self.polls.submit(asked, whose, self.now))
    }

    fn told(&mut self, ask: &Ask, has: impl Fn(&str, i32) -> bool) -> (Vec<Ask>, Vec<Leaving<u32>>) {
        let told = (answer(ask, has), Bytes::from_static(b"frame"));
        let seen = self.world.seen(12);
        sort(self.polls.told((ask.to, ask.number), told, self.now, &seen, &mut self.effects))
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
        let told = told(&answers[0].response);
        assert_eq!(told[0].3, format!("x/0@{offset}"));
        assert_eq!(told[1].3, "");
    }
}

#[test]
fn a_partition_that_is_named_twice_is_told_of_where_it_was_asked() {
    // Given a Fetch that names a partition at two offsets, and leaves with what another broker has
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (0, 20), (3, 5)], 60_000);
    assert_eq!(bench.told(&asks[1], |_, _| true).1.len(), 1);
    // When the next one stands at the second offset, and the answer for the first one comes
    assert_eq!(bench.submit(2, &[(0, 20)], 60_000).1.len(), 0);
    let (asks, answers) = bench.told(&asks[0], |_, _| true);
    // Then that is none for it, and it is asked for anew
    assert!(answers.is_empty());
    assert_eq!(asks[0].request.topics[0].partitions[0].fetch_offset, 20);
    let (_, answers) = bench.told(&asks[0], |_, _| true);
    assert_eq!(told(&answers[0].response)[0].3, "x/0@20");
}

/// The poll of the busy broker for this offset; the first is outstanding already.
fn asks_of(bench: &mut Bench, offset: i64, first: &[Ask]) -> Ask {
    if offset == 10 {
        return Ask { to: first[0].to, number: first[0].number, request: first[0].request.clone() };
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
    assert_eq!(bench.polls.kept_bytes(), 5);
    let (asks, answers) = bench.submit(2, &[(0, 11), (3, 20)], 500);
    assert_eq!(told(&answers[0].response)[1].3, "b-1/0@20");
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
    assert_eq!(told(&answers[0].response)[0].3, "b-1/0@7");
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
    let told = &answers[0].response.responses;
    assert_eq!((told[0].partitions[0].high_watermark, told[1].partitions[0].high_watermark), (99, -1));
}

#[test]
fn a_broker_that_fails_has_its_partitions_asked_again_and_no_others() {
    let mut bench = Bench::new();
    let (asks, _) = bench.submit(1, &[(0, 10), (3, 20)], 500);
    let fault = Fault::upstream(asks[1].to, true, "gone");
    let of = (asks[1].to, asks[1].number);
    let (_, answers) = sort(bench.polls.failed(of, &fault, bench.now, &mut bench.effects));
    let codes: Vec<_> = told(&answers[0].response).iter().map(|told| told.2).collect();
    assert_eq!((codes, answers[0].faults.len()), (vec![0, 6], 1));
    assert_eq!(bench.effects.len(), 1);
}

#[test]
fn a_client_takes_no_more_than_it_said_and_gets_the_rest_next() {
    let world = world();
    let (mut polls, now, seen) = (Polls::new(1 << 20), Instant::now(), world.seen(12));
    let at_once = |polls: &mut Polls<u32>, whose| {
        sort(polls.submit(asked(&world, &[(3, 20), (0, 10), (1, 1)], 500, 10), whose, now))
    };
    let (asks, _) = at_once(&mut polls, 1);
    let mut first = Vec::new();
    for ask in &asks {
        let frame = Bytes::from_static(b"frame");
        let told = polls.told((ask.to, ask.number), (answer(ask, |_, _| true), frame), now, &seen, &mut Effects::new());
        first.extend(sort(told).1);
    }
    let (_, second) = at_once(&mut polls, 2);
    let with = |leaving: &Leaving<u32>| told(&leaving.response).iter().filter(|told| !told.3.is_empty()).count();
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

proptest! {
    /// Whatever brokers do, and whenever.
    #[test]
    fn every_partition_is_answered_once_with_what_stands_at_its_offset(
        steps in prop::collection::vec((0_u8..6, 0_usize..5, any::<u8>()), 1..120),
    ) {
        let world = world();
        let seen = world.seen(12);
        let (mut polls, mut now) = (Polls::new(12), Instant::now());
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
                    polls.submit(asked(&world, &places, i32::from(dice), 40), number, now)
                }
                (1 | 2, Some(to)) => {
                    let ask = outstanding.remove(&to).unwrap();
                    let told = answer(&ask, |_, index| (dice >> index) & 1 == 1);
                    polls.told((to, ask.number), (told, Bytes::from_static(b"frame!")), now, &seen, &mut effects)
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
                        prop_assert!(ask.request.session_epoch == -1 && ask.request.session_id == 0);
                        prop_assert!(outstanding.insert(ask.to, *ask).is_none(), "two polls at one broker");
                    }
                    Move::Answer(leaving) => {
                        let (whose, places) = asked_for.pop_front().unwrap();
                        prop_assert_eq!(whose, leaving.whose);
                        let told = told(&leaving.response);
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
            prop_assert!(polls.kept_bytes() <= 12, "the share, which is two frames here");
        }
        prop_assert_eq!(answered, number, "all are answered in time, whoever says nothing");
    }
}
