//! One batch after the other, then a client, brokers and a way between them that loses what it wants.

mod model;

use super::*;
use crate::config::policy::OnDown;
use crate::policy::verdict::Verdict;
use crate::wire::batch::edit::{Fate, shared};

const OVERFLOW: Lane = Lane(1);
const ONE: SessionId = SessionId(1);
const TWO: SessionId = SessionId(2);

fn client(epoch: i16, sequence: i32) -> Sender {
    Sender { id: 7, epoch, sequence }
}

fn leads(lane: Lane) -> Option<config::policy::Lane> {
    let topic: Arc<str> = "over".into();
    (lane == OVERFLOW).then_some(config::policy::Lane { topic, on_down: OnDown::Hold, null_key: false })
}

/// Fates of so many records: these leave.
fn parting(count: i32, leaving: &[usize]) -> Parting {
    let fate = |place| Fate { to: Some(if leaving.contains(&place) { OVERFLOW } else { Lane::MAIN }), change: None };
    let fates: Box<[Fate]> = (0..usize::try_from(count).unwrap()).map(fate).collect();
    shared(&fates).map_or_else(|| Parting::Each(fates, Box::default()), Parting::Whole)
}

fn see(deputy: &mut Deputy, sender: Sender, count: i32, by: SessionId) -> Seen {
    see_while(deputy, sender, count, by, Instant::now(), false)
}

fn see_while(deputy: &mut Deputy, client: Sender, count: i32, by: SessionId, now: Instant, is_open: bool) -> Seen {
    deputy.see(Came { client, count, by, now, before: Before::Nothing, is_open: &|_| is_open })
}

fn take(deputy: &mut Deputy, client: Sender, count: i32, leaving: &[usize]) -> (Visit, Vec<Part>) {
    assert_eq!(see(deputy, client, count, ONE), Seen::New);
    deputy.take(client, count, parting(count, leaving), leads)
}

fn offset(offset: i64) -> Outcome {
    Outcome::Written(Told { offset, ..Told::NOTHING })
}

/// Sequence and count of each part, by lane.
fn numbers(parts: &[Part]) -> Vec<(u8, i32, i32)> {
    parts.iter().map(|part| (part.lane.0, part.sequence, part.count)).collect()
}

#[test]
fn each_lane_has_a_sequence_without_a_hole() {
    let mut deputy = Deputy::new(Instant::now());
    assert_eq!(numbers(&take(&mut deputy, client(0, 0), 5, &[1, 2]).1), [(0, 0, 3), (1, 0, 2)]);
    assert_eq!(numbers(&take(&mut deputy, client(0, 5), 2, &[]).1), [(0, 3, 2)]);
    assert_eq!(numbers(&take(&mut deputy, client(0, 7), 3, &[0, 1, 2]).1), [(1, 2, 3)]);
    assert_eq!(deputy.sender(None), Sender { id: deputy.id, epoch: 0, sequence: 5 });
}

#[test]
fn sequences_go_round() {
    let mut deputy = Deputy::new(Instant::now());
    take(&mut deputy, client(0, i32::MAX - 1), 3, &[]);
    assert_eq!(see(&mut deputy, client(0, 1), 1, ONE), Seen::New);
}

#[test]
fn what_comes_again_goes_the_way_it_went_until_it_is_written() {
    let mut deputy = Deputy::new(Instant::now());
    let (number, parts) = take(&mut deputy, client(0, 0), 5, &[1, 2]);
    deputy.ends(number, OVERFLOW, offset(70));
    deputy.ends(number, Lane::MAIN, Outcome::Open);
    // Over another connection
    let came = see(&mut deputy, client(0, 0), 5, TWO);
    let Seen::Again { parts: again, parting: fates, visit: number } = came else { panic!() };
    assert_eq!((numbers(&again), &*fates), (numbers(&parts), &parting(5, &[1, 2])));
    assert_eq!(again.iter().map(|part| part.written).collect::<Vec<_>>(), [false, true]);
    deputy.ends(number, Lane::MAIN, offset(7));
    let parted = Seen::Written(Told::NOTHING);
    assert_eq!(see(&mut deputy, client(0, 0), 5, TWO), parted, "no offset speaks for all of it");
    // And one that was not parted has its offset
    let (number, _) = take_by(&mut deputy, client(0, 5), 2, TWO);
    deputy.ends(number, Lane::MAIN, offset(12));
    assert_eq!(see(&mut deputy, client(0, 5), 2, TWO), Seen::Written(Told { offset: 12, ..Told::NOTHING }));
}

fn take_by(deputy: &mut Deputy, client: Sender, count: i32, by: SessionId) -> (Visit, Vec<Part>) {
    assert_eq!(see(deputy, client, count, by), Seen::New);
    deputy.take(client, count, parting(count, &[]), leads)
}

#[test]
fn what_is_all_dropped_is_written_as_far_as_its_producer_hears() {
    let mut deputy = Deputy::new(Instant::now());
    assert_eq!(see(&mut deputy, client(0, 0), 3, ONE), Seen::New);
    let dropped = Parting::Whole(Fate { to: None, change: None });
    let (number, parts) = deputy.take(client(0, 0), 3, dropped, leads);
    assert_eq!(numbers(&parts), [(0, 0, 0)], "a part of nothing");
    assert!(matches!(see(&mut deputy, client(0, 0), 3, ONE), Seen::Again { .. }), "it has not had its turn");
    deputy.ends(number, Lane::MAIN, Outcome::Written(Told::NOTHING));
    assert_eq!(see(&mut deputy, client(0, 0), 3, ONE), Seen::Written(Told::NOTHING));
    assert_eq!(numbers(&take(&mut deputy, client(0, 3), 1, &[]).1), [(0, 0, 1)], "and leaves no hole");
}

#[test]
fn five_batches_are_remembered() {
    let mut deputy = Deputy::new(Instant::now());
    for sequence in 0..6 {
        let (number, _) = take(&mut deputy, client(0, sequence), 1, &[]);
        deputy.ends(number, Lane::MAIN, offset(sequence.into()));
    }
    assert_eq!(see(&mut deputy, client(0, 0), 1, ONE), Seen::OutOfOrder, "the sixth last");
    assert!(matches!(see(&mut deputy, client(0, 1), 1, ONE), Seen::Written(_)));
    assert_eq!(see(&mut deputy, client(0, 1), 2, ONE), Seen::OutOfOrder, "another count");
}

/// [L6]
#[test]
fn l6_nothing_follows_a_batch_that_was_refused_until_it_is_numbered_anew() {
    let mut deputy = Deputy::new(Instant::now());
    assert_eq!(see(&mut deputy, client(0, 0), 5, ONE), Seen::New);
    deputy.refuse(client(0, 0));
    assert_eq!(see(&mut deputy, client(0, 5), 5, ONE), Seen::OutOfOrder, "though it is the first that is seen");
    assert_eq!(see(&mut deputy, client(0, 0), 5, ONE), Seen::New);
}

#[test]
fn a_newer_epoch_begins_anew_and_fences_the_older() {
    let mut deputy = Deputy::new(Instant::now());
    take(&mut deputy, client(0, 0), 5, &[1]);
    let id = deputy.id;
    assert_eq!(numbers(&take(&mut deputy, client(1, 0), 5, &[1]).1), [(0, 0, 4), (1, 0, 1)]);
    assert_eq!(deputy.sender(None), Sender { id, epoch: 1, sequence: 4 }, "brokers fence it, too");
    assert_eq!(see(&mut deputy, client(0, 5), 5, ONE), Seen::Fenced);
}

#[test]
fn who_comes_back_from_elsewhere_is_written_under_a_new_id() {
    let mut deputy = Deputy::new(Instant::now());
    take(&mut deputy, client(0, 0), 5, &[]);
    let id = deputy.id;
    assert_eq!(see(&mut deputy, client(0, 100), 5, TWO), Seen::New);
    assert_eq!(numbers(&deputy.take(client(0, 100), 5, parting(5, &[]), leads).1), [(0, 0, 5)]);
    assert_ne!(deputy.id, id, "what was in flight under the old one may still come");
    assert_eq!(see(&mut deputy, client(0, 105), 5, TWO), Seen::New);
}

#[test]
fn what_overtook_on_another_connection_waits_for_a_while() {
    let (mut deputy, now) = (Deputy::new(Instant::now()), Instant::now());
    take(&mut deputy, client(0, 0), 5, &[]);
    let mut second = |now, is_open| see_while(&mut deputy, client(0, 10), 5, TWO, now, is_open);
    assert_eq!(second(now, true), Seen::Early);
    assert_eq!(second(now + PATIENCE / 2, true), Seen::Early);
    // The missing one comes
    take(&mut deputy, client(0, 5), 5, &[]);
    assert_eq!(see_while(&mut deputy, client(0, 10), 5, TWO, now + PATIENCE, true), Seen::New);
    take_by(&mut deputy, client(0, 10), 5, TWO);
    // Or never does
    let mut third = |now, is_open| see_while(&mut deputy, client(0, 90), 5, ONE, now, is_open);
    assert_eq!(third(now, true), Seen::Early);
    assert_eq!(third(now + PATIENCE, true), Seen::New);
    // Or cannot any more
    assert_eq!(see_while(&mut deputy, client(0, 200), 5, TWO, now, false), Seen::New);
}

#[test]
fn a_batch_that_was_refused_for_good_is_as_if_it_had_not_come() {
    let mut deputy = Deputy::new(Instant::now());
    take(&mut deputy, client(0, 0), 5, &[]);
    let (number, _) = take(&mut deputy, client(0, 5), 5, &[]);
    take(&mut deputy, client(0, 10), 5, &[]);
    deputy.ends(number, Lane::MAIN, Outcome::Refused);
    // Java numbers the third anew, and its broker has found the hole before it
    assert_eq!(numbers(&take(&mut deputy, client(0, 5), 3, &[]).1), [(0, 5, 3)]);
}

#[test]
fn what_was_written_of_a_batch_that_was_refused_in_part_leaves_no_hole() {
    let mut deputy = Deputy::new(Instant::now());
    let (number, _) = take(&mut deputy, client(0, 0), 5, &[1]);
    take(&mut deputy, client(0, 5), 5, &[1, 2]);
    deputy.ends(number, Lane::MAIN, offset(0));
    deputy.ends(number, OVERFLOW, Outcome::Refused);
    assert_eq!(numbers(&take(&mut deputy, client(0, 0), 5, &[1, 2]).1), [(0, 4, 3), (1, 0, 2)]);
}

/// [L6]
#[test]
fn l6_no_batch_succeeds_after_one_that_failed() {
    let mut deputy = Deputy::new(Instant::now());
    let plain: Vec<Visit> = (0..2).map(|sequence| take(&mut deputy, client(0, sequence), 1, &[]).0).collect();
    assert_eq!(
        plain.iter().map(|number| deputy.when(*number)).collect::<Vec<_>>(),
        [When::Now; 2],
        "brokers see to it"
    );
    // One that goes elsewhere, or to several places, waits for those before it
    let (parted, _) = take(&mut deputy, client(0, 2), 2, &[1]);
    assert_eq!(deputy.when(parted), When::Later);
    plain.iter().for_each(|number| deputy.ends(*number, Lane::MAIN, offset(0)));
    assert_eq!(deputy.when(parted), When::Now);
    // And those after it for it
    let (last, _) = take(&mut deputy, client(0, 4), 1, &[]);
    assert_eq!(deputy.when(last), When::Later);
    deputy.ends(parted, Lane::MAIN, offset(2));
    assert_eq!(deputy.when(last), When::Later, "half of it");
    deputy.ends(parted, OVERFLOW, Outcome::Open);
    assert_eq!(deputy.when(last), When::Failed, "its client sends both again");
    let parted = comes_again(&mut deputy, client(0, 2), 2, ONE);
    assert_eq!(deputy.when(last), When::Failed, "whenever that is looked at");
    let last = comes_again(&mut deputy, client(0, 4), 1, ONE);
    assert_eq!(deputy.when(last), When::Later);
    deputy.ends(parted, OVERFLOW, offset(9));
    assert_eq!(deputy.when(last), When::Now);
}

fn comes_again(deputy: &mut Deputy, client: Sender, count: i32, by: SessionId) -> Visit {
    let Seen::Again { visit, .. } = see(deputy, client, count, by) else { panic!() };
    visit
}

/// [L6]
#[test]
fn l6_what_came_while_one_before_it_had_failed_fails_also_when_that_comes_again_first() {
    let mut deputy = Deputy::new(Instant::now());
    let (first, _) = take(&mut deputy, client(0, 0), 2, &[1]);
    deputy.ends(first, Lane::MAIN, Outcome::Open);
    let (second, _) = take(&mut deputy, client(0, 2), 1, &[]);
    comes_again(&mut deputy, client(0, 0), 2, ONE);
    assert_eq!(deputy.when(second), When::Failed, "its client waits for an answer to it before the other's");
}

/// [L6]
#[test]
fn l6_a_late_failure_of_an_earlier_time_fails_nothing() {
    // Given two batches that were on their way over a connection that is lost
    let mut deputy = Deputy::new(Instant::now());
    let (first, _) = take(&mut deputy, client(0, 0), 2, &[1]);
    take(&mut deputy, client(0, 2), 1, &[]);
    // When they come over another, and only then the first one is told to have failed
    let again = comes_again(&mut deputy, client(0, 0), 2, TWO);
    let behind = comes_again(&mut deputy, client(0, 2), 1, TWO);
    deputy.ends(first, Lane::MAIN, Outcome::Open);
    deputy.ends(first, OVERFLOW, Outcome::Refused);
    // Then both go on: librdkafka would be ended by a second one that fails after a first one that does not
    assert_eq!((deputy.when(again), deputy.when(behind)), (When::Now, When::Later));
    [Lane::MAIN, OVERFLOW].into_iter().for_each(|lane| deputy.ends(again, lane, offset(0)));
    assert_eq!(deputy.when(behind), When::Now);
}

/// [L6]
#[test]
fn l6_what_is_all_dropped_is_no_success_before_what_it_follows() {
    let mut deputy = Deputy::new(Instant::now());
    let (first, _) = take(&mut deputy, client(0, 0), 2, &[]);
    assert_eq!(see(&mut deputy, client(0, 2), 3, ONE), Seen::New);
    let (dropped, _) = deputy.take(client(0, 2), 3, Parting::Whole(Fate { to: None, change: None }), leads);
    assert_eq!(deputy.when(dropped), When::Later);
    deputy.ends(first, Lane::MAIN, Outcome::Open);
    assert_eq!(deputy.when(dropped), When::Failed);
    let first = comes_again(&mut deputy, client(0, 0), 2, ONE);
    let dropped = comes_again(&mut deputy, client(0, 2), 3, ONE);
    assert_eq!(deputy.when(dropped), When::Later);
    deputy.ends(first, Lane::MAIN, offset(0));
    assert_eq!(deputy.when(dropped), When::Now);
}

#[test]
fn what_waited_behind_a_batch_that_was_refused_for_good_never_goes() {
    let mut deputy = Deputy::new(Instant::now());
    let (parted, _) = take(&mut deputy, client(0, 0), 5, &[1]);
    let (behind, _) = take(&mut deputy, client(0, 5), 5, &[]);
    deputy.ends(parted, Lane::MAIN, offset(0));
    assert_eq!(deputy.when(behind), When::Later);
    deputy.ends(parted, OVERFLOW, Outcome::Refused);
    assert_eq!(deputy.when(behind), When::Never, "its numbers are the next one's");
    // Nor what an older epoch left behind
    let (older, _) = take(&mut deputy, client(0, 0), 5, &[]);
    take(&mut deputy, client(1, 0), 5, &[]);
    assert_eq!(deputy.when(older), When::Never);
}

#[test]
fn lanes_that_lead_to_one_topic_share_its_sequence() {
    let mut deputy = Deputy::new(Instant::now());
    let over = leads(OVERFLOW);
    let parts = [(Lane::MAIN, None, 3), (OVERFLOW, over.clone(), 2), (Lane(2), over.clone(), 2)];
    let sequences: Vec<_> = deputy.senders(&parts).iter().map(|(lane, sender)| (lane.0, sender.sequence)).collect();
    assert_eq!(sequences, [(0, 0), (1, 0), (2, 2)], "a broker would take the second for the first, come again");
    // As they are taken
    let fates: Box<[Fate]> = [0, 1, 2, 2, 0, 1, 0].map(|lane| Fate { to: Some(Lane(lane)), change: None }).into();
    assert_eq!(see(&mut deputy, client(0, 0), 7, ONE), Seen::New);
    let leads = |lane| if lane == Lane::MAIN { None } else { over.clone() };
    let (_, taken) = deputy.take(client(0, 0), 7, Parting::Each(fates, Box::default()), leads);
    assert_eq!(numbers(&taken), [(0, 0, 3), (1, 0, 2), (2, 2, 2)]);
}

#[test]
fn who_was_elsewhere_meanwhile_and_comes_by_the_same_connection_begins_anew() {
    // A client has a connection to each broker, and so to several Fishplates at a time
    let mut deputy = Deputy::new(Instant::now());
    let (number, _) = take(&mut deputy, client(0, 0), 5, &[]);
    let see = |deputy: &mut Deputy, sequence, before| {
        let client = client(0, sequence);
        deputy.see(Came { client, count: 5, by: ONE, now: Instant::now(), before, is_open: &|_| true })
    };
    assert_eq!(see(&mut deputy, 50, Before::Nothing), Seen::Early, "one is on its way");
    deputy.ends(number, Lane::MAIN, offset(0));
    assert_eq!(see(&mut deputy, 50, Before::Underway), Seen::Early);
    assert_eq!(see(&mut deputy, 50, Before::Refused), Seen::Behind, "what is missing was refused, and comes again");
    let id = deputy.id;
    assert_eq!(see(&mut deputy, 50, Before::Nothing), Seen::New);
    assert_ne!(deputy.id, id);
    deputy.take(client(0, 50), 5, parting(5, &[]), leads);
    // But not where we refused what is missing, nor with what is old
    deputy.refuse(client(0, 55));
    assert_eq!(see(&mut deputy, 60, Before::Nothing), Seen::OutOfOrder);
    assert_eq!(see(&mut deputy, 40, Before::Nothing), Seen::OutOfOrder);
}

#[test]
fn what_is_for_a_lane_that_is_away_stays() {
    let fates = vec![Fate::KEPT, Fate { to: Some(OVERFLOW), change: None }, Fate { to: None, change: None }];
    let verdict = Verdict { fates, ..Verdict::default() };
    assert_eq!(Parting::of(&verdict, |_| false).lanes(3), [(Lane::MAIN, 1), (OVERFLOW, 1)]);
    assert_eq!(Parting::of(&verdict, |lane| lane == OVERFLOW).lanes(3), [(Lane::MAIN, 2)]);
}

#[test]
fn a_lane_that_leads_elsewhere_after_a_reload_has_a_sequence_of_its_own() {
    let mut deputy = Deputy::new(Instant::now());
    let to = |topic: &'static str| {
        move |lane| leads(lane).map(|leads| config::policy::Lane { topic: topic.into(), ..leads })
    };
    for (sequence, topic, expected) in [(0, "x", 0), (2, "y", 0), (4, "x", 2), (6, "y", 2)] {
        assert_eq!(see(&mut deputy, client(0, sequence), 2, ONE), Seen::New);
        let parts = deputy.take(client(0, sequence), 2, parting(2, &[0, 1]), to(topic)).1;
        assert_eq!(numbers(&parts), [(1, expected, 2)], "{topic}");
    }
}

/// [L4]
#[test]
fn l4_what_is_remembered_is_counted_until_it_is_written_or_given_up() {
    let memory = Memory::default();
    let mut deputy = Deputy::new(Instant::now()).counted_in(&memory);
    let (first, _) = take(&mut deputy, client(0, 0), 5, &[1]);
    let one = memory.bytes();
    assert_eq!(one, 5 * size_of::<Fate>());
    take(&mut deputy, client(0, 5), 5, &[1]);
    assert_eq!(memory.bytes(), 2 * one);
    [Lane::MAIN, OVERFLOW].into_iter().for_each(|lane| deputy.ends(first, lane, offset(0)));
    assert_eq!(memory.bytes(), one);
    take(&mut deputy, client(1, 0), 5, &[]);
    assert_eq!(memory.bytes(), 0, "its producer has begun anew, and what goes one way takes nothing");
}

/// [L4]
#[test]
fn l4_a_deputy_takes_a_kilobyte() {
    let batches = LATELY * (size_of::<Batch>() + size_of::<Part>());
    assert!(size_of::<Deputy>() + batches <= 1024, "{} and {batches}", size_of::<Deputy>());
}
