//! A batch whose limits are asked for what each key comes to has the verdict that its records have one by one.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
struct Told {
    contract: Option<OnBreach>,
    limits: Vec<(usize, usize, u32, usize, Share)>,
    listens: Option<usize>,
}

/// A record's token, its id, what it weighs, and whether it breaks the contract.
type Sent = (Option<u8>, u8, Option<u32>, bool);

fn keys(names: &mut Names) -> [Vec<Part>; 5] {
    let [token, id] = [&b"token"[..], b"id"].map(|name| Part::Header(names.ask(name).unwrap()));
    [vec![token], vec![token, id], vec![Part::RecordKey], vec![Part::ClientId], vec![id]]
}

fn actions() -> [Action; 6] {
    let stamp = Action::Stamp(Bytes::from_static(b"slow"), Bytes::from_static(b"true"));
    let overflow = Action::Overflow { lane: OVERFLOW, null_key: true };
    [Action::Observe, Action::Throttle, stamp, overflow, Action::Drop, Action::Reject]
}

fn made(told: &Told, now: Instant) -> Policy {
    let mut names = Names::default();
    let (keys, weight) = (keys(&mut names), names.ask(b"weight").unwrap());
    let own = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(1), burst: NonZeroU32::new(3).unwrap() };
    let own = [(Key::of_text(secrets().buckets, ["phc_of_0"]), own)];
    let units = [Unit::Records, Unit::Bytes, Unit::Weight(weight)];
    let limit = |&(key, unit, burst, action, enforced): &(usize, usize, u32, usize, Share)| {
        let rate = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(1), burst: NonZeroU32::new(burst).unwrap() };
        Limit {
            name: "limit".to_owned(),
            key: Key::new(keys[key].clone()),
            unit: units[unit],
            limiter: Limiter::new(rate, 1000, &own, now).unwrap(),
            action: actions()[action].clone(),
            enforced,
        }
    };
    let limits = told.limits.iter().map(limit).collect();
    let talkers = told.listens.iter().map(|key| {
        let written = crate::config::policy::Key::Record;
        Talkers::new(written, Key::new(keys[*key].clone()))
    });
    let talkers = talkers.collect();
    let broken = names.ask(b"bad").unwrap();
    let rules = vec![Rule { header: broken, required: false, kind: None, max_bytes: Some(0) }];
    let contract = told.contract.map(|on_breach| (Contract { rules, unknown_breaks: false }, on_breach));
    let mut policy = Policy::new(names, limits, secrets(), talkers);
    policy.contract = contract;
    policy
}

fn sent(attributes: i16, records: &[Sent]) -> Vec<u8> {
    let section = records.iter().flat_map(|(token, id, weight, bad)| {
        let (token, id) = (token.map(|token| format!("phc_of_{token}")), id.to_string());
        let weight = weight.map(|weight| weight.to_string());
        let mut headers = vec![("id", Some(&*id)), ("weight", weight.as_deref())];
        headers.extend(token.as_deref().map(|token| ("token", Some(token))));
        headers.extend(bad.then_some(("bad", Some("x"))));
        Made { key: Some(if *id == *"0" { "zero" } else { "other" }), value: "value", headers: &headers }.section()
    });
    let header = Header { attributes, base_offset: 0, ..crate::wire::batch::testing::plain_header() };
    crate::wire::batch::testing::around(header, records.len(), &section.collect::<Vec<_>>())
}

fn any_policy() -> impl Strategy<Value = Told> {
    let contract = proptest::option::of(select(vec![OnBreach::Observe, OnBreach::Reject, OnBreach::Dlq(DLQ)]));
    let shares = select(vec![Share::ALL, Share::ALL, Share(500_000), Share::NONE]);
    let limit = (0..5_usize, 0..3_usize, 1..60_u32, 0..6_usize, shares);
    (contract, prop::collection::vec(limit, 0..4), proptest::option::of(0..5_usize))
        .prop_map(|(contract, limits, listens)| Told { contract, limits, listens })
}

/// Seconds since the one before, whether it is of a transaction, and its records.
fn any_batch() -> impl Strategy<Value = (u64, bool, Vec<Sent>)> {
    let bad = proptest::bool::weighted(0.05);
    let record = (proptest::option::weighted(0.8, 0..4_u8), 0..3_u8, proptest::option::of(0..9_u32), bad);
    (0..9_u64, proptest::bool::weighted(0.2), prop::collection::vec(record, 1..12))
}

proptest! {
    #[test]
    fn what_is_summed_is_judged_as_record_by_record(
        told in any_policy(),
        batches in prop::collection::vec(any_batch(), 1..5),
    ) {
        let mut now = Instant::now();
        let (one, other) = (made(&told, now), made(&told, now));
        let (mut summed, mut singly) = (Verdict::default(), Verdict::default());
        for (seconds, transactional, records) in batches {
            now += Duration::from_secs(seconds);
            let bytes = sent(if transactional { TRANSACTIONAL } else { 0 }, &records);
            let batch = read(&bytes);
            let asked = Asked {
                header: &batch.header,
                plain: batch.section(),
                who: WHO,
                may_be_parted: !transactional,
                now,
                time: SystemTime::UNIX_EPOCH,
            };
            one.judge(&asked, &mut summed).unwrap();
            singly.begin(other.limits.len(), other.talkers.len());
            other.limits.iter().for_each(|limit| limit.limiter.at(now));
            other.judge_by(&mut Sums::default(), false, &asked, &mut singly).unwrap();
            other.listen(&asked, &mut singly);
            prop_assert_eq!(&summed.fates, &singly.fates);
            prop_assert_eq!(&summed.changes, &singly.changes);
            prop_assert_eq!(&summed.tallies, &singly.tallies);
            prop_assert_eq!(&summed.violations, &singly.violations);
            prop_assert_eq!((summed.broken, summed.wait), (singly.broken, singly.wait));
            prop_assert_eq!(summed.refused, singly.refused);
        }
        if told.listens.is_some() {
            prop_assert_eq!(spoken(&one), spoken(&other));
        }
    }
}
