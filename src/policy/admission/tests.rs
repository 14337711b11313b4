//! Verdicts on batches of a few records, and what the editor makes of them.

mod summed;

use super::*;
use crate::policy::contract::Rule;
use crate::policy::keys::{Key, Part, Secret, Share};
use crate::policy::kinds::HeaderType;
use crate::policy::limit::Unit;
use crate::policy::limiter::{Limiter, Rate};
use crate::policy::talkers::{By, Span, Spoken};
use crate::policy::testing::Made;
use crate::policy::verdict::Tally;
use crate::wire::batch::edit::{Edit, Fate, Sender};
use crate::wire::batch::{Batch, Batches, RecordHeader};
use crate::wire::compression::{Desk, at_desk};
use std::num::NonZeroU32;

const OVERFLOW: Lane = Lane(1);
const DLQ: Lane = Lane(2);
/// Its records are written together or not at all.
const TRANSACTIONAL: i16 = 1 << 4;
const WHO: Who<'_> = Who { principal: "capture", client_id: "one" };

fn secrets() -> Secrets {
    Secrets { buckets: Secret::of("buckets"), shares: Secret::of("shares") }
}

/// A policy of these limits of so many at once by token, in their order.
fn limits(of: &[(u32, Action)]) -> Policy {
    let mut names = Names::default();
    let token = Part::Header(names.ask(b"token").unwrap());
    let limits = of.iter().map(|(burst, action)| limit(token, Unit::Records, *burst, action)).collect();
    Policy::new(names, limits, secrets(), Vec::new())
}

fn limit(part: Part, unit: Unit, burst: u32, action: &Action) -> Limit {
    let rate = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(1), burst: NonZeroU32::new(burst).unwrap() };
    let limiter = Limiter::new(rate, 1000, &[], Instant::now()).unwrap();
    let name = "limit".to_owned();
    Limit { name, key: Key::new(vec![part]), unit, limiter, action: action.clone(), enforced: Share::ALL }
}

/// A policy of a contract: a token, and a time that is one.
fn contract(on_breach: OnBreach, unknown_breaks: bool) -> Policy {
    let mut names = Names::default();
    let (token, time) = (names.ask(b"token").unwrap(), names.ask(b"timestamp").unwrap());
    let rules = vec![
        Rule { header: token, required: true, kind: None, max_bytes: None },
        Rule { header: time, required: false, kind: Some(HeaderType::EpochMs), max_bytes: None },
    ];
    let contract = Some((Contract { rules, unknown_breaks }, on_breach));
    Policy { contract, ..Policy::new(names, Vec::new(), secrets(), Vec::new()) }
}

/// A batch of records with these headers.
fn batch(attributes: i16, records: &[&[(&str, Option<&str>)]]) -> Vec<u8> {
    let sections = records.iter().map(|headers| Made { key: Some("key"), value: "value", headers }.section());
    let section: Vec<u8> = sections.collect::<Vec<_>>().concat();
    let header = Header { attributes, base_offset: 0, ..crate::wire::batch::testing::plain_header() };
    crate::wire::batch::testing::around(header, records.len(), &section)
}

/// A batch of records of these tokens.
fn of_tokens(attributes: i16, tokens: &[&str]) -> Vec<u8> {
    let headers: Vec<[(&str, Option<&str>); 1]> = tokens.iter().map(|token| [("token", Some(*token))]).collect();
    batch(attributes, &headers.iter().map(|headers| &headers[..]).collect::<Vec<_>>())
}

fn read(bytes: &[u8]) -> Batch<'_> {
    Batches::of(bytes).next().unwrap().unwrap()
}

fn judge(policy: &Policy, bytes: &[u8]) -> Verdict {
    let mut verdict = Verdict::default();
    judge_into(policy, bytes, &mut verdict).unwrap();
    verdict
}

fn judge_into(policy: &Policy, bytes: &[u8], verdict: &mut Verdict) -> Result<(), Unreadable> {
    let batch = read(bytes);
    let now = Instant::now();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_808_820);
    let may_be_parted = !batch.header.is_transactional();
    let asked = Asked { header: &batch.header, plain: batch.section(), who: WHO, may_be_parted, now, time };
    policy.judge(&asked, verdict)
}

/// The headers of a lane's records, as the editor writes them.
fn written(bytes: &[u8], verdict: &Verdict, lane: Lane) -> Vec<(Option<String>, Vec<String>)> {
    let batch = read(bytes);
    let edit = Edit { batch: &batch, plain: batch.section(), fates: &verdict.fates, changes: &verdict.changes };
    let sender = Sender::of(&batch.header);
    let edited = at_desk(|Desk { edited, press, .. }| edit.to(lane, sender, edited, press)).unwrap();
    let Some(edited) = edited else { return Vec::new() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let header = |header: Result<RecordHeader, Malformed>| {
        let RecordHeader { key, value } = header.unwrap();
        format!("{}={}", text(key), value.map(text).unwrap_or_default())
    };
    let records = read(&edited.bytes).records().unwrap().map(Result::unwrap);
    records.map(|record| (record.key.map(text), record.headers.map(header).collect())).collect()
}

fn tally(passed: u64, observed: u64, enforced: u64) -> Tally {
    Tally { passed, observed, enforced }
}

#[test]
fn what_keeps_to_everything_goes_on_whole() {
    let verdict = judge(&limits(&[(3, Action::Drop)]), &of_tokens(0, &["a", "b", "a"]));
    assert_eq!(verdict.whole(), Some(Fate::KEPT));
    assert_eq!(verdict.tallies, [tally(3, 0, 0)]);
    assert!(verdict.changes.is_empty() && verdict.refused.is_none() && verdict.wait.is_zero());
}

#[test]
fn what_is_too_much_is_done_what_the_limit_says() {
    let overflow = |null_key| Action::Overflow { lane: OVERFLOW, null_key };
    let stamp = Action::Stamp(Bytes::from_static(b"slow"), Bytes::from_static(b"true"));
    // Given one record of each token, and a second one of a
    let bytes = of_tokens(0, &["a", "b", "a"]);
    let fate = |to, change| Fate { to, change };
    let too_much = |action: Action| {
        let verdict = judge(&limits(&[(1, action)]), &bytes);
        assert_eq!(verdict.fates[..2], [Fate::KEPT; 2]);
        (verdict.fates[2], verdict)
    };
    // When a may have one at once, then the second one ...
    let (last, verdict) = too_much(Action::Observe);
    assert_eq!((last, &verdict.tallies[..]), (Fate::KEPT, &[tally(2, 1, 0)][..]));
    let (last, verdict) = too_much(Action::Drop);
    assert_eq!((last, &verdict.tallies[..]), (fate(None, None), &[tally(2, 0, 1)][..]));
    assert_eq!(too_much(overflow(false)).0, fate(Some(OVERFLOW), None));
    let (last, verdict) = too_much(overflow(true));
    assert_eq!(last, fate(Some(OVERFLOW), Some(0)));
    let moved = (None, vec!["token=a".to_owned(), "redirect-original-key=key".to_owned()]);
    assert_eq!(written(&bytes, &verdict, OVERFLOW), [moved]);
    assert_eq!(written(&bytes, &verdict, Lane::MAIN).len(), 2);
    let (last, verdict) = too_much(stamp);
    assert_eq!(last, fate(Some(Lane::MAIN), Some(0)));
    let stamped = (Some("key".to_owned()), vec!["token=a".to_owned(), "slow=true".to_owned()]);
    assert_eq!(written(&bytes, &verdict, Lane::MAIN)[2], stamped);
    let (_, verdict) = too_much(Action::Throttle);
    assert!(verdict.wait > Duration::from_millis(900) && verdict.wait <= Duration::from_secs(1), "{:?}", verdict.wait);
    assert_eq!(verdict.whole(), Some(Fate::KEPT));
    let (_, verdict) = too_much(Action::Reject);
    assert_eq!(verdict.refused, Some(Refused::Limit(0)));
}

#[test]
fn limits_are_asked_in_their_order_until_a_record_leaves() {
    let stamp = |name: &'static [u8]| Action::Stamp(Bytes::from_static(name), Bytes::from_static(b"1"));
    let overflow = Action::Overflow { lane: OVERFLOW, null_key: true };
    let policy = limits(&[(1, stamp(b"one")), (2, stamp(b"two")), (3, overflow), (1, Action::Drop)]);
    let bytes = of_tokens(0, &["a"; 5]);
    let verdict = judge(&policy, &bytes);
    assert_eq!(
        verdict.tallies,
        [tally(1, 0, 4), tally(2, 0, 3), tally(3, 0, 2), tally(1, 0, 2)],
        "who overflows is not asked about by the last one"
    );
    assert_eq!(written(&bytes, &verdict, Lane::MAIN), [(Some("key".to_owned()), vec!["token=a".to_owned()])]);
    let stamped = vec!["token=a", "redirect-original-key=key", "one=1", "two=1"];
    assert_eq!(written(&bytes, &verdict, OVERFLOW), vec![(None, stamped.into_iter().map(Into::into).collect()); 2]);
    assert_eq!(verdict.changes.len(), 1, "one for all that are alike");
}

#[test]
fn a_transaction_loses_no_record() {
    for action in [Action::Drop, Action::Overflow { lane: OVERFLOW, null_key: false }] {
        let verdict = judge(&limits(&[(1, action)]), &of_tokens(TRANSACTIONAL, &["a", "a"]));
        assert_eq!((verdict.whole(), &verdict.tallies[..]), (Some(Fate::KEPT), &[tally(1, 1, 0)][..]));
    }
    let verdict = judge(&contract(OnBreach::Dlq(DLQ), false), &batch(TRANSACTIONAL, &[&[]]));
    assert_eq!((verdict.whole(), verdict.broken), (Some(Fate::KEPT), 1));
}

#[test]
fn a_limit_is_enforced_to_a_share_of_keys() {
    let mut policy = limits(&[(1, Action::Drop)]);
    let tokens: Vec<String> = (0..200).map(|number| format!("phc_{number}")).collect();
    let twice: Vec<&str> = tokens.iter().chain(&tokens).map(|token| &**token).collect();
    let dropped = |policy: &Policy| {
        let verdict = judge(policy, &of_tokens(0, &twice));
        assert_eq!(verdict.tallies[0].passed, 200);
        (0..200).filter(|at| verdict.fates[200 + at].to.is_none()).collect::<Vec<_>>()
    };
    policy.limits[0].enforced = Share::NONE;
    assert!(dropped(&policy).is_empty());
    policy = limits(&[(1, Action::Drop)]);
    policy.limits[0].enforced = Share(250_000);
    let quarter = dropped(&policy);
    assert!((20..80).contains(&quarter.len()), "{}", quarter.len());
    // The same ones with another secret for buckets, as after a restart
    policy = limits(&[(1, Action::Drop)]);
    policy.limits[0].enforced = Share(250_000);
    policy.secrets.buckets = Secret::random();
    assert_eq!(dropped(&policy), quarter);
}

#[test]
fn bytes_weights_and_clients_are_counted() {
    let mut names = Names::default();
    let weight = names.ask(b"record_count").unwrap();
    let policy = |unit, part| {
        let limits = vec![limit(part, unit, 100, &Action::Drop)];
        Policy::new(names.clone(), limits, secrets(), Vec::new())
    };
    let headers = |count| [("record_count", Some(count))];
    let (forty, many) = (headers("40"), headers("4000000000000"));
    let bytes = batch(0, &[&forty, &forty, &forty, &headers("x"), &headers("-3"), &[], &headers("19")]);
    let kept = |verdict: &Verdict| verdict.fates.iter().map(|fate| fate.to.is_some()).collect::<Vec<_>>();
    let by_weight = judge(&policy(Unit::Weight(weight), Part::Principal), &bytes);
    assert_eq!(kept(&by_weight), [true, true, false, true, true, true, false], "40, 40, 40, 1, 1, 1, 19");
    let large = judge(&policy(Unit::Weight(weight), Part::ClientId), &batch(0, &[&many, &forty]));
    assert_eq!(kept(&large), [true, false], "it borrows ahead");
    // Key, value and one header take 4 + 6 + 1 + 13 + 3 bytes
    let by_bytes = judge(&policy(Unit::Bytes, Part::RecordKey), &batch(0, &[&forty[..]; 5]));
    assert_eq!(kept(&by_bytes), [true, true, true, false, false]);
}

#[test]
fn a_breach_goes_to_the_dlq_with_its_reason() {
    let policy = contract(OnBreach::Dlq(DLQ), true);
    let good = [("token", Some("a"))];
    let bytes =
        batch(0, &[&good, &[("timestamp", Some("1760000000000"))], &good, &[("token", Some("a")), ("x", None)]]);
    let verdict = judge(&policy, &bytes);
    let to: Vec<_> = verdict.fates.iter().map(|fate| fate.to).collect();
    assert_eq!(to, [Some(Lane::MAIN), Some(DLQ), Some(Lane::MAIN), Some(DLQ)]);
    let with = |theirs: &[&str], reason: &str| {
        let ours = [
            format!("dlq_reason={reason}"),
            "dlq_step=contract".into(),
            "dlq_timestamp=2026-11-27T19:47:00.000Z".into(),
        ];
        (Some("key".to_owned()), theirs.iter().map(|&header| header.to_owned()).chain(ours).collect::<Vec<_>>())
    };
    let missing = with(&["timestamp=1760000000000"], "header \"token\" breaks the contract: it is required");
    let unknown = with(&["token=a", "x="], "a header that the contract does not have");
    assert_eq!(written(&bytes, &verdict, DLQ), [missing, unknown]);
    assert_eq!(verdict.broken, 2);
    assert_eq!(verdict.violations[1].record, 3);
}

#[test]
fn a_refused_batch_names_its_records_and_charges_nobody() {
    // Given a contract that refuses, and a limit of one
    let mut policy = contract(OnBreach::Reject, false);
    let token = policy.names.ask(b"token").unwrap();
    let policy = and(policy, limit(Part::Header(token), Unit::Records, 1, &Action::Drop));
    let good = [("token", Some("a"))];
    // When a batch has bad records among good ones, then they are named, and nothing is charged
    let verdict = judge(&policy, &batch(0, &[&good, &[], &good, &[("token", None)]]));
    assert_eq!(verdict.refused, Some(Refused::Contract));
    assert_eq!(verdict.violations.iter().map(|told| told.record).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(verdict.tallies, [tally(0, 0, 0)]);
    // And the next good one passes
    let verdict = judge(&policy, &batch(0, &[&good]));
    assert_eq!((verdict.refused, verdict.whole()), (None, Some(Fate::KEPT)));
}

#[test]
fn so_many_violations_are_told_and_all_counted() {
    let records: Vec<&[(&str, Option<&str>)]> = vec![&[]; 250];
    let verdict = judge(&contract(OnBreach::Observe, false), &batch(0, &records));
    assert_eq!((verdict.broken, verdict.violations.len()), (250, TOLD));
    assert_eq!(verdict.whole(), Some(Fate::KEPT));
}

#[test]
fn a_verdict_is_used_again() {
    let policy = limits(&[(1, Action::Drop)]);
    let mut verdict = Verdict::default();
    judge_into(&policy, &of_tokens(0, &["a", "a", "b"]), &mut verdict).unwrap();
    judge_into(&policy, &of_tokens(0, &["c"]), &mut verdict).unwrap();
    assert_eq!((verdict.whole(), &verdict.tallies[..]), (Some(Fate::KEPT), &[tally(1, 0, 0)][..]));
}

#[test]
fn records_that_cannot_be_read_are_told_by_their_place() {
    let mut bytes = of_tokens(0, &["a", "b", "c"]);
    let size = (bytes.len() - 61) / 3;
    bytes[61 + size] = 1; // a negative size
    let error = judge_into(&limits(&[]), &bytes, &mut Verdict::default()).unwrap_err();
    assert!(error.to_string().starts_with("record 1 of a batch: a size of -1"), "{error}");
}

#[test]
fn a_policy_may_part_batches_where_it_would_move_or_drop_a_record() {
    let overflow = Action::Overflow { lane: OVERFLOW, null_key: false };
    let stays = [Action::Observe, Action::Throttle, Action::Reject, Action::Stamp("late".into(), "yes".into())];
    for (action, may) in stays.into_iter().map(|action| (action, false)).chain([(overflow, true), (Action::Drop, true)])
    {
        let mut policy = limits(&[(1, action.clone())]);
        assert_eq!(policy.may_part(), may, "{action:?}");
        policy.limits[0].enforced = Share::NONE;
        assert!(!policy.may_part(), "to nobody");
    }
    assert!(contract(OnBreach::Dlq(DLQ), false).may_part() && !contract(OnBreach::Reject, false).may_part());
}

/// What is told of each token, by records.
fn spoken(policy: &Policy) -> Vec<(Option<String>, u64, u64, u64)> {
    let top = policy.talkers[0].top(Span::Minute, By::Records, 10, Instant::now());
    let text = |text: Vec<u8>| String::from_utf8(text).unwrap();
    let told = top.keys.into_iter().map(|Spoken { text: key, counts }| {
        assert!(counts.bytes > 10 * counts.records);
        (key.map(text), counts.records, counts.diverted, counts.held)
    });
    told.collect()
}

/// The same policy with one limit more.
fn and(policy: Policy, limit: Limit) -> Policy {
    let Policy { names, contract, mut limits, canaries, secrets, talkers, .. } = policy;
    limits.push(limit);
    Policy { contract, canaries, ..Policy::new(names, limits, secrets, talkers) }
}

fn listening(policy: Policy) -> Policy {
    let Policy { mut names, contract, limits, canaries, secrets, .. } = policy;
    let token = Part::Header(names.ask(b"token").unwrap());
    let written = crate::config::policy::Key::Headers(vec!["token".into()]);
    let talkers = vec![Talkers::new(written, Key::new(vec![token]))];
    Policy { contract, canaries, ..Policy::new(names, limits, secrets, talkers) }
}

#[test]
fn who_speaks_is_heard_with_what_became_of_it() {
    let told = |name: &str, records, diverted, held| (Some(name.to_owned()), records, diverted, held);
    let bytes = of_tokens(0, &["a", "b", "a", "a"]);
    // Given limits of one at once, then what is too much of a token is told as it was dealt with
    for (action, diverted, held) in [
        (Action::Observe, 0, 0),
        (Action::Stamp(Bytes::from_static(b"slow"), Bytes::from_static(b"true")), 0, 0),
        (Action::Overflow { lane: OVERFLOW, null_key: false }, 2, 0),
        (Action::Drop, 2, 0),
        (Action::Reject, 2, 0),
        (Action::Throttle, 0, 2),
    ] {
        let policy = listening(limits(&[(1, action)]));
        judge(&policy, &bytes);
        assert_eq!(spoken(&policy), [told("a", 3, diverted, held), told("b", 1, 0, 0)]);
    }
    // And one whose records leave before any limit was asked, and what has no token
    let mut policy = listening(contract(OnBreach::Dlq(DLQ), true));
    let token = policy.names.ask(b"token").unwrap();
    let policy = and(policy, limit(Part::Header(token), Unit::Records, 10, &Action::Drop));
    let bad = [("token", Some("a")), ("x", None)];
    judge(&policy, &batch(0, &[&bad, &bad, &[], &bad[..1]]));
    assert_eq!(spoken(&policy), [told("a", 3, 2, 0), (None, 1, 1, 0)]);
    // And of a batch that is refused those who broke the contract
    let policy = listening(contract(OnBreach::Reject, true));
    judge(&policy, &batch(0, &[&bad, &bad[..1]]));
    assert_eq!(spoken(&policy), [told("a", 1, 1, 0)]);
}
