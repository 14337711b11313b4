//! What a pipeline says of the records themselves: words, names, what needs what, and what the writer must know.

use super::super::Pipeline;
use super::super::amounts::{Quantity, Speed};
use super::super::findings::{At, Findings};
use super::super::policy::{
    Action, BURST_WITHIN, Contract, Expression, HeaderRule, HeaderType, Key, Lane, Limit, MOST_AT_ONCE, MOST_CANARIES,
    MOST_HEADERS, MOST_LIMITS, OnDown, OnViolation, Policy, Rate, Share, Stamp, Unit,
};
use super::super::raw::{self, File};
use super::super::read::Text;
use super::super::suggest::nearest;
use super::super::tokens::Token;
use super::clusters::Known;
use super::{canaries, label};
use crate::types::{Name, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Kafka's longest name of a topic.
const LONGEST_TOPIC: usize = 249;

/// A pipeline's policy; what is wrong is left out, which is told.
pub(super) fn policy(
    raw: &raw::Pipeline,
    known: &Known,
    home: Option<Slot>,
    findings: &mut Findings,
) -> Option<Policy> {
    let before = findings.mistakes();
    let lanes = raw.lanes.as_ref();
    let policy = Policy {
        contract: raw.contract.as_ref().and_then(|raw| contract(raw, findings)),
        limits: limits(raw.limits.as_deref().unwrap_or_default(), findings),
        overflow: lanes.and_then(|lanes| lane(lanes.overflow.as_ref()?, findings)),
        dlq: lanes.and_then(|lanes| lane(lanes.dlq.as_ref()?, findings)),
        canaries: canaries::canaries(raw.canaries.as_deref().unwrap_or_default(), known, home, findings),
    };
    need_lanes(raw, findings);
    bounds(&policy, raw, findings);
    if findings.mistakes() == before {
        warn(&policy, raw, findings);
        return Some(policy);
    }
    None
}

/// What the room `policy` has place for.
fn bounds(policy: &Policy, raw: &raw::Pipeline, findings: &mut Findings) {
    let headers = policy.headers().len();
    if headers > MOST_HEADERS {
        let what = format!("contract, limits and canaries ask for {headers} different headers");
        findings.mistake(raw.at, what, format!("at most {MOST_HEADERS} are looked for: leave some out"));
    }
    if policy.limits.len() > MOST_LIMITS {
        let what = format!("{} limits in one pipeline", policy.limits.len());
        findings.mistake(raw.at, what, format!("write at most {MOST_LIMITS}"));
    }
    if policy.canaries.len() > MOST_CANARIES {
        let what = format!("{} canaries in one pipeline", policy.canaries.len());
        findings.mistake(raw.at, what, format!("write at most {MOST_CANARIES}: one has many `values`"));
    }
}

fn contract(raw: &raw::Contract, findings: &mut Findings) -> Option<Contract> {
    let headers = raw.headers.as_ref()?.iter().filter_map(|raw| header(raw, findings)).collect();
    let closed = one_of(raw.unknown.as_ref(), &[("allow", false), ("violation", true)], "unknown", findings);
    let on_violation = word(raw.on_violation.as_ref(), OnViolation::ALL, OnViolation::as_str, "on_violation", findings);
    Some(Contract { headers, closed: closed.unwrap_or(false), on_violation })
}

fn header(raw: &raw::HeaderRule, findings: &mut Findings) -> Option<HeaderRule> {
    const TYPES: &[&str] = &["utf8", "uuid", "integer", "epoch_ms", "rfc3339", "bool", "enum", "regex"];
    let kind = match raw.kind.as_ref() {
        None => None,
        Some(text) => match text.value.as_str() {
            "utf8" => Some(HeaderType::Utf8),
            "uuid" => Some(HeaderType::Uuid),
            "integer" => Some(HeaderType::Integer),
            "epoch_ms" => Some(HeaderType::EpochMs),
            "rfc3339" => Some(HeaderType::Rfc3339),
            "bool" => Some(HeaderType::Bool),
            "enum" => Some(HeaderType::Enum(values(raw, text.at, findings)?)),
            "regex" => Some(HeaderType::Regex(pattern(raw, text.at, findings)?)),
            _ => {
                no_such(text, TYPES.iter().copied(), "type of header", findings);
                return None;
            }
        },
    };
    let misplaced = [
        (raw.values.as_ref().and_then(|values| values.first()), "values", "enum"),
        (raw.pattern.as_ref(), "pattern", "regex"),
    ];
    for (text, key, of) in misplaced {
        if let Some(text) = text
            && kind.as_ref().is_none_or(|kind| kind.as_str() != of)
        {
            findings.mistake(
                text.at,
                format!("`{key}` is for `type: {of}`"),
                format!("write `type: {of}`, or leave it out"),
            );
        }
    }
    if raw.max_bytes.is_some_and(|number| number.value == 0) {
        let at = raw.max_bytes.map_or(raw.name.at, |number| number.at);
        findings.mistake(at, "no value fits into 0 bytes", "write a number from 1 up, or leave the key out");
    }
    Some(HeaderRule {
        name: raw.name.value.as_str().into(),
        required: raw.required.unwrap_or(false),
        kind,
        max_bytes: raw.max_bytes.map(|number| usize::try_from(number.value).unwrap_or(usize::MAX)),
    })
}

fn values(raw: &raw::HeaderRule, at: At, findings: &mut Findings) -> Option<Vec<Arc<str>>> {
    let Some(values) = &raw.values else {
        findings.mistake(at, "an enum needs its values", "add for example `values: [eu, us]`");
        return None;
    };
    Some(values.iter().map(|text| text.value.as_str().into()).collect())
}

fn pattern(raw: &raw::HeaderRule, at: At, findings: &mut Findings) -> Option<Expression> {
    let Some(text) = &raw.pattern else {
        findings.mistake(at, "a regex needs its pattern", "add for example `pattern: \"[a-z]+\"`");
        return None;
    };
    let expression = Expression::new(&text.value).ok();
    if expression.is_none() {
        let what = format!("`{text}` is no regular expression, or one that is too large");
        findings.mistake(text.at, what, "see https://docs.rs/regex for what can be written");
    }
    expression
}

fn limits(raws: &[raw::Limit], findings: &mut Findings) -> Vec<Limit> {
    let mut names: BTreeMap<&str, At> = BTreeMap::new();
    for raw in raws {
        let Some(text) = &raw.name else { continue };
        if let Some(first) = names.insert(&text.value, text.at) {
            let what = format!("a limit of this pipeline is called `{text}` already ({})", findings.spot(first));
            findings.mistake(text.at, what, "give each limit a name of its own");
        }
    }
    raws.iter().filter_map(|raw| limit(raw, findings)).collect()
}

fn limit(raw: &raw::Limit, findings: &mut Findings) -> Option<Limit> {
    let name = raw.name.as_ref().and_then(|text| label(text, "a limit", findings));
    let key = raw.key.as_ref().and_then(|text| key(text, "a limit can count by", findings));
    let unit = match raw.unit.as_ref() {
        Some(text) => unit(text, findings),
        None => Some(Unit::Records),
    };
    let speed = raw.rate.zip(unit.as_ref()).and_then(|(speed, unit)| rate(speed, unit, findings));
    let burst = raw.burst.zip(unit.as_ref()).and_then(|(amount, unit)| much(amount, unit, findings));
    let action = word(raw.action.as_ref(), Action::ALL, Action::as_str, "action", findings);
    let stamp = stamp(raw, action, findings);
    let overrides = raw.overrides.iter().flatten().filter_map(|(text, speed)| {
        parts(text, key.as_ref()?, findings)?;
        Some((Token::from(text.value.as_str()), rate(*speed, unit.as_ref()?, findings)?))
    });
    let overrides = overrides.collect();
    let rate = speed?;
    let burst = burst.unwrap_or_else(|| rate.in_a_second());
    slow(raw, rate, burst, findings);
    let limit = Limit {
        name: Name::from(name?.value.as_str()),
        key: key?,
        unit: unit?,
        rate,
        burst,
        action,
        stamp,
        enforced: raw.enforced.map_or(Share::ALL, |share| Share(share.millionths)),
        overrides,
    };
    shared(raw, &limit, findings);
    Some(limit)
}

/// `header(a)+header(b)`, `key`, `principal`, `client_id`.
pub(super) fn key(text: &Text, what_for: &str, findings: &mut Findings) -> Option<Key> {
    match text.value.as_str() {
        "key" => return Some(Key::Record),
        "principal" => return Some(Key::Principal),
        "client_id" => return Some(Key::ClientId),
        _ => {}
    }
    let names: Option<Vec<_>> = text.value.split('+').map(|part| header_of(part.trim())).collect();
    if names.is_none() {
        let instead = "write header(NAME), several joined by +, or key, principal or client_id";
        findings.mistake(text.at, format!("`{text}` is nothing that {what_for}"), instead);
    }
    names.map(Key::Headers)
}

fn unit(text: &Text, findings: &mut Findings) -> Option<Unit> {
    match text.value.as_str() {
        "records" => Some(Unit::Records),
        "bytes" => Some(Unit::Bytes),
        other => {
            let header = header_of(other).map(Unit::Header);
            if header.is_none() {
                findings.mistake(
                    text.at,
                    format!("`{text}` is nothing to count"),
                    "write records, bytes or header(NAME)",
                );
            }
            header
        }
    }
}

/// The name in `header(NAME)`.
fn header_of(text: &str) -> Option<Arc<str>> {
    let name = text.strip_prefix("header(")?.strip_suffix(')')?.trim();
    (!name.is_empty()).then(|| name.into())
}

fn rate(speed: Speed, unit: &Unit, findings: &mut Findings) -> Option<Rate> {
    Some(Rate { amount: much(speed.amount, unit, findings)?, per: Duration::from_millis(speed.in_ms) })
}

fn much(of: Quantity, unit: &Unit, findings: &mut Findings) -> Option<u64> {
    if of.is_size && *unit != Unit::Bytes {
        findings.mistake(
            of.at,
            format!("{unit} are not counted in bytes"),
            "leave its unit out, or write `unit: bytes`",
        );
        return None;
    }
    if of.value == 0 {
        findings.mistake(of.at, "0 lets nothing through", "write a number from 1 up");
        return None;
    }
    if of.value > MOST_AT_ONCE {
        let what = format!("{} at once, or in one time, are more than a limit counts", of.value);
        findings.mistake(of.at, what, format!("write at most {MOST_AT_ONCE}, for example of bytes 4095MiB"));
        return None;
    }
    Some(of.value)
}

fn stamp(raw: &raw::Limit, action: Action, findings: &mut Findings) -> Option<Stamp> {
    match (&raw.stamp, action) {
        (None, Action::Stamp) => {
            let at = raw.action.as_ref().map_or(raw.at, |text| text.at);
            let instead = "add for example `stamp: { header: force_disable_person_processing, value: \"true\" }`";
            findings.mistake(at, "`action: stamp` needs the header that is set", instead);
            None
        }
        (Some(stamp), Action::Stamp) => Some(Stamp {
            header: stamp.header.as_ref()?.value.as_str().into(),
            value: stamp.value.as_ref()?.value.as_str().into(),
        }),
        (Some(stamp), _) => {
            let at = stamp.header.as_ref().map_or(raw.at, |text| text.at);
            findings.mistake(at, "`stamp` is for `action: stamp`", "write that action, or leave it out");
            None
        }
        (None, _) => None,
    }
}

/// Who has used a burst up should see it again.
fn slow(raw: &raw::Limit, rate: Rate, burst: u64, findings: &mut Findings) {
    let seconds = u128::from(burst) * u128::from(rate.per.as_secs()) / u128::from(rate.amount.max(1));
    if seconds > u128::from(BURST_WITHIN.as_secs()) {
        let at = raw.burst.map_or(raw.at, |burst| burst.at);
        let what = format!("a burst of {burst} takes {} days to come back at {rate}", seconds / 86_400);
        findings.mistake(at, what, "write a smaller burst or a higher rate: seven days are the most");
    }
}

/// A held answer holds all of its connection.
fn shared(raw: &raw::Limit, limit: &Limit, findings: &mut Findings) {
    let accepted = one_of(raw.shared_sessions.as_ref(), &[("accept", ())], "shared_sessions", findings).is_some();
    match (limit.needs_acceptance(), &raw.shared_sessions) {
        (true, None) => {
            let at = raw.action.as_ref().map_or(raw.at, |text| text.at);
            let what = "a connection carries many keys, and all of them would wait for one";
            let instead = "take `overflow` or `stamp`, a key of the client (principal, client_id), or add `shared_sessions: accept`";
            findings.mistake(at, what, instead);
        }
        (false, Some(text)) if accepted => {
            findings.warning(text.at, "`shared_sessions` is for `throttle` by what records say", "leave it out");
        }
        _ => {}
    }
}

/// A key that is written out names as many values as it has headers.
pub(super) fn parts(text: &Text, key: &Key, findings: &mut Findings) -> Option<()> {
    let Key::Headers(names) = key else { return Some(()) };
    let given = text.value.split('+').count();
    if names.len() > 1 && given != names.len() {
        let what = format!("`{key}` has {} values, joined by +", names.len());
        findings.mistake(text.at, what, "write for example `phc_a+eu`");
        return None;
    }
    Some(())
}

fn lane(raw: &raw::Lane, findings: &mut Findings) -> Option<Lane> {
    let on_down = word(raw.on_down.as_ref(), OnDown::ALL, OnDown::as_str, "on_down", findings);
    let topic = raw.topic.as_ref()?;
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let odd = matches!(topic.value.as_str(), "." | "..") || topic.value.len() > LONGEST_TOPIC;
    if odd || !topic.value.chars().all(letter) {
        let instead = "topics have at most 249 letters, digits, `.`, `_` and `-`";
        findings.mistake(topic.at, format!("no topic can be called `{topic}`"), instead);
        return None;
    }
    Some(Lane { topic: topic.value.as_str().into(), on_down, null_key: raw.null_key.unwrap_or(false) })
}

/// Who moves records aside says where to.
fn need_lanes(raw: &raw::Pipeline, findings: &mut Findings) {
    let lanes = raw.lanes.as_ref();
    let says = |text: &&Text, what: &str| text.value == what;
    let overflows = raw.limits.iter().flatten().filter_map(|limit| limit.action.as_ref());
    let overflows: Vec<_> = overflows.filter(|text| says(text, Action::Overflow.as_str())).collect();
    let dlq = raw.contract.as_ref().and_then(|contract| contract.on_violation.as_ref());
    let dlq = dlq.filter(|text| says(text, OnViolation::Dlq.as_str()));
    let lacking = [
        (overflows.first().copied(), lanes.is_some_and(|lanes| lanes.overflow.is_some()), "overflow"),
        (dlq, lanes.is_some_and(|lanes| lanes.dlq.is_some()), "dlq"),
    ];
    for (text, there, lane) in lacking {
        if let (Some(text), false) = (text, there) {
            let what = format!("`{text}` needs the lane `{lane}`");
            findings.mistake(
                text.at,
                what,
                format!("add for example `lanes: {{ {lane}: {{ topic: events_{lane} }} }}` to the pipeline"),
            );
        }
    }
}

/// A lane's topic lives where consumers will look for it: what a lane says of its cluster says it once more.
pub(super) fn lanes_live_there(raw: &File, pipelines: &[Pipeline], known: &Known, findings: &mut Findings) {
    let lanes = raw.pipelines.iter().flatten().filter_map(|raw| raw.lanes.as_ref());
    for lane in lanes.flat_map(|lanes| [lanes.overflow.as_ref(), lanes.dlq.as_ref()]).flatten() {
        let (Some(topic), Some(cluster)) = (&lane.topic, &lane.cluster) else { continue };
        let home = pipelines.iter().find(|pipeline| pipeline.topics.matches(&topic.value));
        let (Some(slot), Some(home)) = (known.slot(cluster, findings), home) else { continue };
        if slot != home.cluster {
            let what =
                format!("consumers will look for `{topic}` where the pipeline `{}` is, not on `{cluster}`", home.name);
            findings.mistake(
                cluster.at,
                what,
                "give the topic a pipeline of its own there, above that one, or leave `cluster` out",
            );
        }
    }
}

/// What is right and has consequences.
fn warn(policy: &Policy, raw: &raw::Pipeline, findings: &mut Findings) {
    let limits = || policy.limits.iter().zip(raw.limits.iter().flatten());
    for (_, raw) in limits().filter(|(limit, _)| limit.action == Action::Reject) {
        let at = raw.action.as_ref().map_or(raw.at, |text| text.at);
        let what = "`reject` refuses whole batches, also records of others in them; of idempotent producers, aiokafka then fails until it is \
                    restarted, kafka-python 3 stops sending, and franz-go fails what it has buffered";
        findings.warning(at, what, "prefer `overflow` or `stamp`");
    }
    let diverts = |action| matches!(action, Action::Overflow | Action::Drop);
    let moves = policy.limits.iter().any(|limit| diverts(limit.action))
        || !policy.canaries.is_empty()
        || policy.contract.as_ref().is_some_and(|contract| contract.on_violation == OnViolation::Dlq);
    if let (true, Some(text)) = (moves, raw.transactional_ids.as_ref().and_then(|ids| ids.first())) {
        let what = "records of transactions are never moved aside or dropped: such a limit or contract only counts them, and a canary leaves them";
        findings.warning(text.at, what, "for these producers take `throttle`, `stamp` or `reject`");
    }
    let lanes = raw.lanes.as_ref();
    let overflows = raw.limits.iter().flatten().filter_map(|limit| limit.action.as_ref());
    let on_violation = raw.contract.as_ref().and_then(|contract| contract.on_violation.as_ref());
    let unused = [
        (
            lanes.and_then(|lanes| lanes.overflow.as_ref()),
            overflows.into_iter().any(|text| text.value == Action::Overflow.as_str()),
            "no limit of this pipeline has `action: overflow`",
        ),
        (
            lanes.and_then(|lanes| lanes.dlq.as_ref()),
            on_violation.is_some_and(|text| text.value == OnViolation::Dlq.as_str()),
            "this pipeline has no contract with `on_violation: dlq`",
        ),
    ];
    for (lane, used, what) in unused {
        if let (Some(lane), false) = (lane, used) {
            findings.warning(lane.at, what, "the lane is not used: leave it out, or say who uses it");
        }
    }
}

/// One of some words, the default where it is not said or wrong.
pub(super) fn word<T: Copy + Default>(
    text: Option<&Text>,
    all: &[T],
    as_str: fn(T) -> &'static str,
    key: &str,
    findings: &mut Findings,
) -> T {
    let pairs: Vec<_> = all.iter().map(|one| (as_str(*one), *one)).collect();
    one_of(text, &pairs, key, findings).unwrap_or_default()
}

fn one_of<T: Copy>(text: Option<&Text>, known: &[(&str, T)], key: &str, findings: &mut Findings) -> Option<T> {
    let text = text?;
    let found = known.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        no_such(text, known.iter().map(|(word, _)| *word), &format!("value of `{key}`"), findings);
    }
    found.map(|(_, value)| *value)
}

fn no_such<'k>(text: &Text, known: impl Iterator<Item = &'k str> + Clone, what: &str, findings: &mut Findings) {
    let near = text.is_literal().then(|| nearest(&text.value, known.clone())).flatten();
    let all = known.collect::<Vec<_>>().join(", ");
    let instead = near.map_or_else(|| format!("write one of {all}"), |near| format!("did you mean `{near}`?"));
    findings.mistake(text.at, format!("`{text}` is no {what}"), instead);
}
