//! What the session has brokers asked and its member told, case by case; `stage.rs` plays whatever may happen.

mod brokers;
mod stage;

use super::super::moves::{Answer, Ask};
use super::*;
use crate::api::Effects;
use crate::api::testing::{World, at, text};
use crate::placement::build::tests::{slot, topic};
use brokers::{RELEASE, places, worlds};
use bytes::Bytes;
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::share_fetch_response::{AcquiredRecords, PartitionData, ShareFetchableTopicResponse};
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareFetchRequest, ShareFetchResponse};

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
