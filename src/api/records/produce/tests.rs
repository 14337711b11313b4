//! One request's ledger against brokers that answer, refuse and leave out.

use super::answers::NO_OFFSET;
use super::*;
use crate::api::Effect;
use crate::api::testing::{World, at};
use crate::error::Fault;
use crate::placement::build::tests::{slot, topic};
use crate::policy::deputy::Trail;
use crate::policy::deputy::{Before, Came, Deputy, Seen, Shared};
use crate::policy::parting::Parting;
use crate::types::BrokerId;
use crate::types::SessionId;
use crate::upstream::Lead;
use crate::wire::batch::edit::{Fate, Lane as EditorLane, Sender};
use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{LeaderIdAndEpoch, TopicProduceResponse};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Instant;

fn request(topics: &[(&'static str, &[i32])]) -> ProduceRequest {
    let topic = |(name, partitions): &(&'static str, &[i32])| {
        let data = partitions.iter().map(|index| {
            PartitionProduceData::default().with_index(*index).with_records(Some(Bytes::from(vec![1; 3])))
        });
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(name)))
            .with_partition_data(data.collect())
    };
    ProduceRequest::default().with_acks(-1).with_topic_data(topics.iter().map(topic).collect())
}

/// A broker that writes everything at offset 100 + partition.
fn written(request: &ProduceRequest) -> ProduceResponse {
    let topic = |topic: &TopicProduceData| {
        let told = topic.partition_data.iter().map(|data| {
            PartitionProduceResponse::default().with_index(data.index).with_base_offset(100 + i64::from(data.index))
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(told.collect())
    };
    ProduceResponse::default().with_responses(request.topic_data.iter().map(topic).collect())
}

fn answers(response: &ProduceResponse) -> Vec<(String, i32, i16, i64)> {
    let flat = |topic: &TopicProduceResponse| {
        let name = topic.name.0.to_string();
        let one = move |told: &PartitionProduceResponse| (name.clone(), told.index, told.error_code, told.base_offset);
        topic.partition_responses.iter().map(one).collect::<Vec<_>>()
    };
    response.responses.iter().flat_map(flat).collect()
}

#[test]
fn a_partition_that_lives_elsewhere_than_its_transaction_is_refused() {
    let world = World::with(&[topic("x", &[1])], &[topic("b-1", &[2, -1])]);
    let of = |id: &str| {
        let id = Some(TransactionalId(StrBytes::from_string(id.to_owned())));
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[0]), ("b-1", &[0, 1])]).with_transactional_id(id));
        let routed = ledger.route(cells, &world.seen(12));
        (routed, ledger)
    };
    // One that is at home there goes on, and what has no leader now waits for one
    let (routed, mut ledger) = of("tb-1");
    assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(1, 2)]);
    assert_eq!((routed.held.len(), routed.refused.len(), routed.in_doubt), (1, 1, false));
    let span = routed.span.unwrap();
    assert_eq!((span.home, span.lives_on, span.what.name()), (slot(1), slot(0), "x"));
    assert_eq!(answers(&ledger.response())[0], ("x".to_owned(), 0, codes::INVALID_TXN_STATE, -1));
    // And one that lives on the other cluster has neither
    let (routed, mut ledger) = of("t");
    assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 1)]);
    assert_eq!((routed.held.len(), routed.refused.len()), (0, 2));
    let refused: Vec<_> = answers(&ledger.response()).into_iter().skip(1).map(|told| told.2).collect();
    assert_eq!(refused, [codes::INVALID_TXN_STATE; 2]);
}

#[test]
fn a_partition_of_a_topic_by_id_is_the_same_before_and_after_the_topic_is_known() {
    let key = |name: &str, world: &World| {
        let mut request = request(&[("", &[0])]);
        request.topic_data[0].topic_id = topic(name, &[]).id;
        let (mut ledger, cells) = Ledger::open(request);
        ledger.route(cells.clone(), &world.seen(13));
        (ledger.partition_of(&cells[0]).unwrap(), ledger.topic_of(&cells[0]).unwrap().to_string())
    };
    let (early, later) = (World::default(), World::with(&[topic("x", &[1]), topic("y", &[1])], &[]));
    let (x, y) = (key("x", &early), key("y", &early));
    assert_ne!(x.0, y.0, "they hold nothing of each other back");
    assert_eq!((x.0, x.1), (key("x", &later).0, String::new()), "nor does a later batch overtake");
    assert_eq!(key("x", &later).1, "x");
    let (ledger, cells) = Ledger::open(request(&[("x", &[0])]));
    let named = ledger.partition_of(&cells[0]).unwrap();
    assert_eq!(keys_of(&topic("x", &[])), [named.topic, x.0.topic]);
}

#[test]
fn parts_go_to_their_leaders_and_answers_come_back_in_the_clients_order() {
    let world = World::with(&[topic("x", &[1, 2])], &[topic("b-1", &[1])]);
    let (mut ledger, cells) = Ledger::open(request(&[("x", &[1, 0]), ("b-1", &[0]), ("nope", &[0])]));
    let mut seen = world.seen(9);
    let tried = Need::Topics { cluster: slot(0), names: vec![StrBytes::from_static_str("nope")], create: false };
    let refused = [(tried, Refusal::Done)].into();
    seen.refused = &refused;
    let routed = ledger.route(cells, &seen);
    assert_eq!(routed.parts.iter().map(|part| part.to).collect::<Vec<_>>(), [at(0, 2), at(0, 1), at(1, 1)]);
    for part in routed.parts.iter().rev() {
        let answer = written(&ledger.request(part));
        ledger.absorb(part, answer, &seen, &mut Vec::new());
    }
    assert!(ledger.is_complete());
    let told = answers(&ledger.response());
    let name = |name: &str, index, code, offset| (name.to_owned(), index, code, offset);
    let expected = [name("x", 1, 0, 101), name("x", 0, 0, 100), name("b-1", 0, 0, 100), name("nope", 0, 3, -1)];
    assert_eq!(told, expected, "[L2] with the broker's own offsets");
}

#[test]
fn a_parked_produce_is_held_and_planned_again_when_a_leader_is_there() {
    let before = World::with(&[topic("x", &[-1, 1])], &[]);
    let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
    let routed = ledger.route(cells, &before.seen(9));
    assert_eq!((routed.parts.len(), routed.held.len()), (1, 1));
    ledger.absorb(&routed.parts[0], written(&ledger.request(&routed.parts[0])), &before.seen(9), &mut Vec::new());
    assert!(!ledger.is_complete(), "the parked partition keeps the answer back");
    let after = World::with(&[topic("x", &[3, 1])], &[]);
    let again = ledger.route(routed.held, &after.seen(9));
    assert_eq!(again.parts[0].to, at(0, 3));
    ledger.absorb(&again.parts[0], written(&ledger.request(&again.parts[0])), &after.seen(9), &mut Vec::new());
    assert_eq!(answers(&ledger.response()).len(), 2);
}

#[test]
fn a_topic_that_nobody_could_be_asked_about_leaves_its_batches_in_doubt() {
    let world = World::with(&[], &[]);
    let need = Need::Topics { cluster: slot(0), names: vec![StrBytes::from_static_str("x")], create: false };
    for (refusal, in_doubt) in [(Refusal::Fault(Fault::proxy("down")), true), (Refusal::Done, false)] {
        let (mut ledger, cells) = Ledger::open(request(&[("x", &[0])]));
        assert!(!ledger.is_refused());
        let refused = [(need.clone(), refusal)].into();
        let routed = ledger.route(cells, &crate::api::Seen { refused: &refused, ..world.seen(9) });
        assert_eq!((routed.in_doubt, ledger.is_refused()), (in_doubt, true));
    }
}

/// One half of it for its own partition, the other for a lane.
fn halves(ledger: &mut Ledger, cell: &Cell) -> Vec<Cell> {
    let lane = ledger.lane("b-dlq", OnDown::Hold);
    let piece =
        |records, lane| Piece { records: Bytes::from_static(records), lane, round: None, trail: None, clock: None };
    ledger.instead(cell, vec![piece(b"k", None), piece(b"m", Some(lane))], false)
}

#[test]
fn what_is_all_dropped_or_refused_is_answered_at_once() {
    let world = World::with(&[topic("x", &[1])], &[]);
    let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
    assert_eq!(ledger.instead(&cells[0], Vec::new(), false), []);
    ledger.refuse(&cells[1], codes::INVALID_RECORD, "no".to_owned(), vec![(3, "why".to_owned())]);
    assert!(ledger.is_complete());
    let response = ledger.response();
    assert_eq!(answers(&response), [("x".to_owned(), 0, 0, NO_OFFSET), ("x".to_owned(), 1, 87, NO_OFFSET)]);
    assert_eq!(response.responses[0].partition_responses[1].record_errors[0].batch_index, 3);
    drop(world);
}

#[test]
fn a_lane_that_is_away_is_what_its_config_says() {
    // Nobody leads the lane, or there is none
    for (partitions, unknown) in [(&[-1][..], false), (&[], true)] {
        let lanes = if unknown { Vec::new() } else { vec![topic("b-dlq", partitions)] };
        let world = World::with(&[topic("x", &[1])], &lanes);
        for on_down in OnDown::ALL {
            let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
            let lane = ledger.lane("b-dlq", *on_down);
            let moved =
                Piece { records: Bytes::from_static(b"m"), lane: Some(lane), round: None, trail: None, clock: None };
            let cells = ledger.instead(&cells.remove(0), vec![moved], false);
            let mut routed = ledger.route(cells, &world.seen(9));
            if unknown {
                assert_eq!((routed.held.len(), routed.needs.len()), (1, 1), "it is asked for first");
                let refused = routed.needs.drain(..).map(|need| (need, Refusal::Done)).collect();
                let seen = crate::api::Seen { refused: &refused, ..world.seen(9) };
                routed = ledger.route(std::mem::take(&mut routed.held), &seen);
            }
            let came = (routed.held.len(), routed.parts.first().map(|part| part.to), ledger.is_refused());
            let expected = match on_down {
                OnDown::Main => (0, Some(at(0, 1)), false),
                OnDown::Hold if !unknown => (1, None, false),
                OnDown::Hold | OnDown::Reject => (0, None, true),
            };
            assert_eq!(came, expected, "{on_down}, {unknown}");
            if ledger.is_refused() {
                assert_eq!(answers(&ledger.response())[0].2, codes::NOT_LEADER_OR_FOLLOWER, "clients come again");
            }
        }
    }
}

#[test]
fn a_request_bears_each_partition_once() {
    // Where a client writes to what is its neighbour's lane
    let world = World::with(&[topic("x", &[1]), topic("a-over", &[1])], &[]);
    let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0]), ("a-over", &[0])]));
    let own = cells.pop().unwrap();
    let lane = ledger.lane("a-over", OnDown::Hold);
    let moved = Piece { records: Bytes::from_static(b"m"), lane: Some(lane), round: None, trail: None, clock: None };
    let mut all = ledger.instead(&cells[0], vec![moved], false);
    all.push(own);
    let routed = ledger.route(all, &world.seen(9));
    let records = |part: &Part| part.cells.iter().map(|cell| cell.records().unwrap().clone()).collect::<Vec<_>>();
    assert_eq!(routed.parts.iter().map(records).collect::<Vec<_>>(), [[&b"m"[..]], [&[1; 3][..]]]);
    assert!(routed.parts.iter().all(|part| part.to == at(0, 1)), "one behind the other");
}

#[test]
fn what_a_deputy_numbered_for_a_lane_waits_for_it_and_tells_what_becomes_of_it() {
    let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[-1])]);
    let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
    let deputy: Shared = Arc::new(Mutex::new(Deputy::new(Instant::now())));
    let client = Sender { id: 7, epoch: 0, sequence: 0 };
    let came =
        Came { client, count: 1, by: SessionId(1), now: Instant::now(), before: Before::Nothing, is_open: &|_| true };
    assert_eq!(deputy.lock().see(came), Seen::New);
    let (number, _) = deputy.lock().take(client, 1, Parting::Whole(Fate::KEPT), |_| None);
    let lane = Some(ledger.lane("b-dlq", OnDown::Main));
    let trail = Some(Trail::new(&deputy, number, EditorLane::MAIN));
    let moved = Piece { records: Bytes::from_static(b"m"), lane, round: None, trail, clock: None };
    let cells = ledger.instead(&cells.remove(0), vec![moved], false);
    let routed = ledger.route(cells, &world.seen(9));
    assert_eq!((routed.parts.len(), routed.held.len()), (0, 1), "its number fits nowhere else");
    ledger.give_up(&routed.held);
    assert!(matches!(deputy.lock().see(came), Seen::Again { .. }), "it is sent again");
    ledger.settle(&routed.held[0], failed(codes::NONE).with_base_offset(9));
    let Seen::Written(told) = deputy.lock().see(came) else { panic!() };
    assert_eq!(told.offset, 9);
}

#[test]
fn an_edited_batch_is_answered_when_both_halves_are_and_bears_no_single_offset() {
    let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[2])]);
    let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
    let cells = halves(&mut ledger, &cells.remove(0));
    let mut routed = ledger.route(cells, &world.seen(9));
    let lane = routed.parts.pop().unwrap();
    assert_eq!((routed.parts[0].to, lane.to), (at(0, 1), at(1, 2)));
    assert!(!ledger.is_whole(&routed.parts[0]), "the client's frame says something else");
    let asked = ledger.request(&lane);
    assert_eq!((asked.topic_data[0].name.as_str(), asked.topic_data[0].partition_data[0].index), ("b-dlq", 0));
    ledger.absorb(&routed.parts[0], written(&ledger.request(&routed.parts[0])), &world.seen(9), &mut Vec::new());
    assert!(!ledger.is_complete(), "a diverted batch is acknowledged when the lane has acknowledged it");
    ledger.absorb(&lane, written(&ledger.request(&lane)), &world.seen(9), &mut Vec::new());
    assert!(ledger.is_complete());
    assert_eq!(answers(&ledger.response()), [("x".to_owned(), 0, 0, NO_OFFSET)]);
}

#[test]
fn what_two_partitions_bring_to_one_of_a_lane_goes_in_two_requests() {
    // Given a lane of one partition, and two batches that go there and stay, each in half
    let world = World::with(&[topic("x", &[1, 1])], &[topic("b-dlq", &[2])]);
    let (mut ledger, cells) = Ledger::open(request(&[("x", &[0, 1])]));
    let cells: Vec<_> = cells.iter().flat_map(|cell| halves(&mut ledger, cell)).collect();
    // Then no request names a partition twice: a broker would take the last and acknowledge both
    let parts = ledger.route(cells, &world.seen(9)).parts;
    let named = |part: &Part| {
        let topics = ledger.request(part).topic_data.into_iter();
        let each = |topic: TopicProduceData| {
            let name = topic.name.to_string();
            topic.partition_data.into_iter().map(move |data| (name.clone(), data.index)).collect::<Vec<_>>()
        };
        (part.to, topics.flat_map(each).collect::<Vec<_>>())
    };
    let (x, lane) = (|index| ("x".to_owned(), index), || vec![("b-dlq".to_owned(), 0)]);
    let expected = [(at(0, 1), vec![x(0), x(1)]), (at(1, 2), lane()), (at(1, 2), lane())];
    assert_eq!(parts.iter().map(named).collect::<Vec<_>>(), expected);
}

#[test]
fn a_canarys_records_go_to_the_topic_by_its_name_over_there_and_nobody_elses() {
    let world = World::with_canary(&[topic("e-1", &[1, 1])], &[topic("e-1", &[3])]);
    let (mut ledger, cells) = Ledger::open(request(&[("e-1", &[1])]));
    let lane = ledger.lane("e-1--at--b", OnDown::Hold);
    let moved = Piece { records: Bytes::from_static(b"m"), lane: Some(lane), round: None, trail: None, clock: None };
    let cells = ledger.instead(&cells[0], vec![moved], false);
    let parts = ledger.route(cells, &world.seen(9)).parts;
    let asked = ledger.request(&parts[0]);
    let to = (&*asked.topic_data[0].name.0, asked.topic_data[0].partition_data[0].index);
    assert_eq!((parts[0].to, to), (at(1, 3), ("e-1", 0)), "partition 1 of two is 0 of one");
    let mut effects = Vec::new();
    let answer = written(&asked);
    ledger.absorb(&parts[0], answer, &world.seen(9), &mut effects);
    assert_eq!((answers(&ledger.response()), effects), (vec![("e-1".to_owned(), 1, 0, NO_OFFSET)], vec![]));
    // What a client writes there is refused, for good
    let (mut ledger, cells) = Ledger::open(request(&[("e-1--at--b", &[0])]));
    assert_eq!(ledger.route(cells, &world.seen(9)).refused.len(), 1);
    assert_eq!(answers(&ledger.response())[0].2, codes::INVALID_TOPIC_EXCEPTION);
}

#[test]
fn half_of_an_edited_batch_that_fails_fails_the_partition() {
    let world = World::with(&[topic("x", &[1])], &[topic("b-dlq", &[2])]);
    for failing_first in [true, false] {
        let (mut ledger, mut cells) = Ledger::open(request(&[("x", &[0])]));
        let cells = halves(&mut ledger, &cells.remove(0));
        let parts = ledger.route(cells, &world.seen(9)).parts;
        let fault = Fault::upstream(at(0, 1), true, "gone");
        let good = written(&ledger.request(&parts[0]));
        if failing_first {
            ledger.fail(&parts[1], &fault, &mut Vec::new());
        }
        ledger.absorb(&parts[0], good, &world.seen(9), &mut Vec::new());
        if !failing_first {
            ledger.fail(&parts[1], &fault, &mut Vec::new());
        }
        assert_eq!(answers(&ledger.response()), [("x".to_owned(), 0, 7, NO_OFFSET)]);
    }
}

#[test]
fn no_broker_reaches_the_client_and_a_leader_error_asks_for_metadata() {
    let world = World::with(&[], &[topic("b-1", &[1])]);
    let (mut ledger, cells) = Ledger::open(request(&[("b-1", &[0])]));
    let routed = ledger.route(cells, &world.seen(10));
    let leader = LeaderIdAndEpoch::default().with_leader_id(3.into()).with_leader_epoch(9);
    let told = PartitionProduceResponse::default().with_error_code(6).with_current_leader(leader);
    let node = NodeEndpoint::default().with_node_id(3.into()).with_host(StrBytes::from_static_str("secret"));
    let name = TopicName(StrBytes::from_static_str("b-1"));
    let topics = vec![TopicProduceResponse::default().with_name(name).with_partition_responses(vec![told])];
    let answer = ProduceResponse::default().with_responses(topics).with_node_endpoints(vec![node]);
    let mut effects = Vec::new();
    ledger.absorb(&routed.parts[0], answer, &world.seen(10), &mut effects);
    let name = StrBytes::from_static_str("b-1");
    let lead = Lead { topic: name.clone(), id: Uuid::nil(), partition: 0, leader: BrokerId(3), epoch: 9 };
    assert_eq!(effects, [Effect::Refresh(slot(1), name), Effect::Leads(slot(1), lead)], "and it is believed");
    let response = ledger.response();
    assert_eq!(&*response.node_endpoints[0].host, "proxy.example");
    let leader = &response.responses[0].partition_responses[0].current_leader;
    assert_eq!((leader.leader_id.0, leader.leader_epoch), ((1 << 25) | 3, 9));
}

proptest! {
    #[test]
    fn every_partition_is_answered_exactly_once(
        asked in prop::collection::vec((0_usize..4, prop::collection::btree_set(0_i32..5, 0..4)), 0..5),
        outcomes in prop::collection::vec(0_u8..3, 32),
    ) {
        const NAMES: [&str; 4] = ["x", "y", "b-1", "nope"];
        let world = World::with(&[topic("x", &[1, 2, -1]), topic("y", &[3])], &[topic("b-1", &[1, 2, 3, 1])]);
        let mut names: Vec<usize> = asked.iter().map(|(topic, _)| *topic).collect();
        names.dedup();
        let lists: Vec<(&'static str, Vec<i32>)> =
            asked.iter().map(|(t, p)| (NAMES[*t], p.iter().copied().collect())).collect();
        let slices: Vec<(&'static str, &[i32])> = lists.iter().map(|(t, p)| (*t, p.as_slice())).collect();
        let (mut ledger, cells) = Ledger::open(request(&slices));
        let count = cells.len();
        let routed = ledger.route(cells, &world.seen(9));
        for (part, outcome) in routed.parts.iter().zip(&outcomes) {
            match outcome {
                0 => ledger.absorb(part, written(&ledger.request(part)), &world.seen(9), &mut Vec::new()),
                1 => ledger.absorb(part, ProduceResponse::default(), &world.seen(9), &mut Vec::new()),
                _ => ledger.fail(part, &Fault::upstream(part.to, false, "x"), &mut Vec::new()),
            }
        }
        ledger.give_up(&routed.held);
        prop_assert!(ledger.is_complete());
        let expected: Vec<_> =
            lists.iter().flat_map(|(t, p)| p.iter().map(move |index| ((*t).to_owned(), *index))).collect();
        let told: Vec<_> = answers(&ledger.response()).into_iter().map(|(t, p, ..)| (t, p)).collect();
        prop_assert_eq!(told.len(), count);
        prop_assert_eq!(told, expected);
    }
}
