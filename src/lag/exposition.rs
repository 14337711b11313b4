//! All that is known of lag as Prometheus reads it, written straight into a text: family by family, since one family's samples
//! must stand together.

use super::families as f;
use super::groups::Group;
use super::latencies::{DELIVERY, PRODUCE};
use super::levels::Level;
use super::look::Seen;
use super::partition::Partition;
use super::rows::Source;
use super::sums::{Sums, Total, Who};
use super::text::{Value, Writer, labels};
use super::{Ledger, Now};
use crate::telemetry::catalogue::Family;
use crate::types::{FastMap, Name};
use std::ops::Range;
use std::time::Duration;

/// What of it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// At most so many groups at partitions, the worst; and of each family of groups and topics no more.
    pub max_pairs: usize,
    /// Also under the names that other exporters have made known.
    pub compatibility: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { max_pairs: 50_000, compatibility: false }
    }
}

/// How asking a cluster went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The cluster.
    pub cluster: Name,
    /// How often it has told all.
    pub told: u64,
    /// How often it has not.
    pub failed: u64,
    /// How long ago it last has.
    pub age: Option<Duration>,
}

/// Labels of many, one behind the other in one text.
#[derive(Default)]
struct Labels {
    text: String,
    ends: Vec<usize>,
}

impl Labels {
    fn add(&mut self, all: &[(&str, &str)]) {
        super::text::labels_into(&mut self.text, all);
        self.ends.push(self.text.len());
    }

    fn range(&self, at: usize) -> Range<usize> {
        let end = |at: usize| self.ends.get(at).copied().unwrap_or(0);
        at.checked_sub(1).map_or(0, end)..end(at)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.text.get(self.range(at)).unwrap_or_default())
    }
}

/// Sums, and what was promised, are told whatever is kept of pairs: alerts stand on them. So many at most.
const SUMS: usize = 50_000;

/// Histograms are sixteen samples each, and of fewer topics: those that were there first.
const HISTOGRAMS: usize = 5_000;

/// Writes all of it behind what is in the text already.
pub fn write(ledger: &Ledger, wanted: Wanted, swept: &[Swept], now: Now, text: &mut String) {
    let then = ledger.then(now);
    let mut seen: Vec<_> = ledger.look(then).collect();
    let sums = Sums::of(&seen);
    itself(ledger, &seen, wanted, text);
    asked(swept, text);
    let mut sums = sums;
    keep_worst(&mut sums.topics, SUMS, |(_, total)| total.lag);
    keep_worst(&mut sums.pipelines, SUMS, |(_, total)| total.lag);
    topics(ledger, &sums, text);
    groups(ledger, &sums, now, text);
    levels(ledger, SUMS, text);
    intervals(ledger, SUMS, text);
    latencies(ledger, HISTOGRAMS, text);
    of_partitions(ledger, text);
    if wanted.compatibility {
        known_groups(&seen, wanted.max_pairs, text);
    }
    keep_worst(&mut seen, wanted.max_pairs, |one| one.measure.lag.unwrap_or(-1));
    pairs(&seen, text);
    if wanted.compatibility {
        known_pairs(&seen, text);
    }
}

/// The worst by records, in their old order; where it is not known how many, they go first.
fn keep_worst<T>(seen: &mut Vec<T>, most: usize, lag_of: impl Fn(&T) -> i64) {
    if seen.len() <= most {
        return;
    }
    let mut lags: Vec<_> = seen.iter().map(&lag_of).collect();
    let Some(last) = most.checked_sub(1) else { return seen.clear() };
    let (worse, least, _) = lags.select_nth_unstable_by(last, |one, other| other.cmp(one));
    let least = *least;
    let mut room = most - worse.iter().filter(|lag| **lag > least).count();
    seen.retain(|one| {
        let lag = lag_of(one);
        let kept = lag > least || lag == least && room > 0;
        room -= usize::from(lag == least && kept);
        kept
    });
}

fn count(number: usize) -> Option<Value> {
    u64::try_from(number).ok().map(Value::Whole)
}

fn itself(ledger: &Ledger, seen: &[Seen<'_>], wanted: Wanted, text: &mut String) {
    Writer::new(text, f::PAIRS).sample("", count(seen.len()));
    Writer::new(text, f::HIDDEN).sample("", count(seen.len().saturating_sub(wanted.max_pairs)));
    let end = seen.iter().filter(|one| one.measure.lag.is_none()).count();
    let without = |lag: fn(i64) -> bool| {
        seen.iter().filter(|one| one.measure.age.is_none() && one.measure.lag.is_some_and(lag)).count()
    };
    let (time, stale) = (without(|lag| lag > 0), without(|lag| lag == 0));
    let mut unknown = Writer::new(text, f::UNKNOWN);
    unknown.sample(&labels(&[("reason", "end")]), count(end));
    unknown.sample(&labels(&[("reason", "time")]), count(time));
    unknown.sample(&labels(&[("reason", "stale")]), count(stale));
    unknown.sample(&labels(&[("reason", "no_room")]), Some(Value::Whole(ledger.no_room)));
}

fn asked(swept: &[Swept], text: &mut String) {
    let mut sweeps = Writer::new(text, f::SWEEPS);
    for one in swept {
        for (result, number) in [("ok", one.told), ("error", one.failed)] {
            let of = labels(&[("cluster", one.cluster.as_str()), ("result", result)]);
            sweeps.sample(&of, Some(Value::Whole(number)));
        }
    }
    let mut age = Writer::new(text, f::SWEEP_AGE);
    for one in swept {
        let ms = one.age.and_then(|age| u64::try_from(age.as_millis()).ok());
        age.sample(&labels(&[("cluster", one.cluster.as_str())]), ms.map(Value::Ms));
    }
}

fn name_of(ledger: &Ledger, who: Who) -> &str {
    who.and_then(|group| ledger.groups.get(group)).map_or(super::look::UNTIED, |group| group.name.as_str())
}

/// What a family says of one.
type Says<'f, T> = (Family, &'f dyn Fn(&T) -> Option<Value>);

/// Writes families of the same things, which bear these labels.
fn families<T>(of: &[T], labels: &Labels, all: &[Says<'_, T>], text: &mut String) {
    for (family, value) in all {
        let mut writer = Writer::new(text, *family);
        labels.iter().zip(of).for_each(|(labels, one)| writer.sample(labels, value(one)));
    }
}

const SUM_LAG: fn(&Total) -> Option<Value> = |total| Value::count(total.lag);
const SUM_AGE: fn(&Total) -> Option<Value> = |total| Value::seconds(total.age?);

fn topics(ledger: &Ledger, sums: &Sums, text: &mut String) {
    let (mut labels, mut totals) = (Labels::default(), Vec::new());
    for ((topic, who), total) in &sums.topics {
        let Some(topic) = ledger.topics.get(*topic) else { continue };
        labels.add(&[
            ("pipeline", topic.place.pipeline.as_str()),
            ("cluster", topic.place.cluster.as_str()),
            ("group", name_of(ledger, *who)),
            ("topic", topic.place.topic.as_str()),
        ]);
        totals.push(*total);
    }
    let partitions = |total: &Total| Some(Value::Whole(total.partitions));
    let all: [Says<'_, Total>; 3] =
        [(f::TOPIC_RECORDS, &SUM_LAG), (f::TOPIC_SECONDS, &SUM_AGE), (f::TOPIC_PARTITIONS, &partitions)];
    families(&totals, &labels, &all, text);
}

fn groups(ledger: &Ledger, sums: &Sums, now: Now, text: &mut String) {
    let mut labels = Labels::default();
    for ((pipeline, who), _) in &sums.pipelines {
        labels.add(&[("pipeline", pipeline.as_str()), ("group", name_of(ledger, *who))]);
    }
    let moment = ledger.then(now).moment;
    let members = |(who, _): &(Who, Total)| {
        let has = ledger.groups.get((*who)?)?.members.any(moment)?;
        Some(Value::Whole(u64::from(has)))
    };
    let totals: Vec<_> = sums.pipelines.iter().map(|((_, who), total)| (*who, *total)).collect();
    let lag = |(_, total): &(Who, Total)| SUM_LAG(total);
    let age = |(_, total): &(Who, Total)| SUM_AGE(total);
    let all: [Says<'_, _>; 3] = [(f::PIPELINE_RECORDS, &lag), (f::PIPELINE_SECONDS, &age), (f::MEMBERS, &members)];
    families(&totals, &labels, &all, text);
}

fn levels(ledger: &Ledger, most: usize, text: &mut String) {
    let (mut labels_of, mut all) = (Labels::default(), Vec::new());
    // Not the worst: a counter that comes and goes tells nothing.
    let bound = ledger.groups.iter().filter_map(|(_, group)| Some((group, group.bound.as_ref()?)));
    for (group, bound) in bound.take(most) {
        labels_of.add(&[("pipeline", bound.pipeline.as_str()), ("group", group.name.as_str())]);
        all.push(group.level);
    }
    let says: [Says<'_, Level>; 4] = [
        (f::SLO_RECORDS, &|level| Some(Value::Whole(level.records))),
        (f::SLO_LATE_RECORDS, &|level| Some(Value::Whole(level.late_records))),
        (f::SLO_SECONDS, &|level| Some(Value::Whole(level.seconds))),
        (f::SLO_LATE_SECONDS, &|level| Some(Value::Whole(level.late_seconds))),
    ];
    families(&all, &labels_of, &says, text);
    let mut target = Writer::new(text, f::SLO_TARGET);
    for (pipeline, slo) in &ledger.aims.slos {
        let ms = u64::try_from(slo.committed_within.as_millis()).ok();
        target.sample(&labels(&[("pipeline", pipeline.as_str())]), ms.map(Value::Ms));
    }
    let mut objective = Writer::new(text, f::SLO_OBJECTIVE);
    for (pipeline, slo) in &ledger.aims.slos {
        objective.ratio(&labels(&[("pipeline", pipeline.as_str())]), 1.0 - slo.budget());
    }
}

/// Of groups that have offsets of the pipeline's topics, and have not turned away from them.
fn intervals(ledger: &Ledger, most: usize, text: &mut String) {
    let mut writer = Writer::new(text, f::COMMIT_INTERVAL);
    let all = ledger.groups.iter().flat_map(|(at, group)| group.intervals.iter().map(move |of| (at, group, of)));
    let reads = |at, group: &Group, pipeline: &Name| {
        let topics = group.commits_to.difference(&group.left_behind).filter_map(|topic| ledger.topics.get(*topic));
        topics.into_iter().any(|topic| topic.place.pipeline == *pipeline && topic.committers.contains(&at))
    };
    for (_, group, (pipeline, between)) in all.filter(|(at, group, of)| reads(*at, group, &of.0)).take(most) {
        let labels = labels(&[("pipeline", pipeline.as_str()), ("group", group.name.as_str())]);
        writer.summary(&labels, Value::Ms(between.ms), between.count);
    }
}

fn latencies(ledger: &Ledger, most: usize, text: &mut String) {
    let (mut labels, mut topics) = (Labels::default(), Vec::new());
    for (_, topic) in ledger.topics.iter().filter(|(_, topic)| topic.latencies.any()).take(most) {
        labels.add(&[
            ("pipeline", topic.place.pipeline.as_str()),
            ("cluster", topic.place.cluster.as_str()),
            ("topic", topic.place.topic.as_str()),
        ]);
        topics.push(&topic.latencies);
    }
    let mut produce = Writer::new(text, f::PRODUCE);
    labels.iter().zip(&topics).for_each(|(labels, of)| produce.histogram(labels, &PRODUCE, &of.produce));
    let mut delivery = Writer::new(text, f::DELIVERY);
    labels.iter().zip(&topics).for_each(|(labels, of)| delivery.histogram(labels, &DELIVERY, &of.delivery));
}

fn of_partitions(ledger: &Ledger, text: &mut String) {
    let (mut labels, mut all) = (Labels::default(), Vec::new());
    let mut number = String::new();
    for (_, topic, index, partition) in ledger.partitions() {
        digits(&mut number, index);
        labels.add(&[
            ("pipeline", topic.place.pipeline.as_str()),
            ("cluster", topic.place.cluster.as_str()),
            ("topic", topic.place.topic.as_str()),
            ("partition", &number),
        ]);
        all.push(partition);
    }
    text.reserve((labels.text.len() + all.len() * 60) * 5);
    let says: [Says<'_, &Partition>; 5] = [
        (f::END, &|partition| Value::count(partition.ends.consumable(false)?)),
        (f::STABLE, &|partition| Value::count(partition.ends.consumable(true)?)),
        (f::START, &|partition| Value::count(partition.ends.start()?)),
        (f::PRODUCED_RECORDS, &|partition| Some(Value::Whole(partition.records))),
        (f::PRODUCED_BYTES, &|partition| Some(Value::Whole(partition.bytes))),
    ];
    families(&all, &labels, &says, text);
}

fn digits(text: &mut String, index: i32) {
    text.clear();
    super::text::whole(text, u64::try_from(index).unwrap_or(0));
}

fn pairs(seen: &[Seen<'_>], text: &mut String) {
    let (mut labels, mut number) = (Labels::default(), String::new());
    for one in seen {
        let place = &one.topic.place;
        digits(&mut number, one.index);
        labels.add(&[
            ("pipeline", place.pipeline.as_str()),
            ("cluster", place.cluster.as_str()),
            ("group", one.group_name()),
            ("topic", place.topic.as_str()),
            ("partition", &number),
        ]);
    }
    text.reserve((labels.text.len() + seen.len() * 60) * 7);
    let says: [Says<'_, Seen<'_>>; 6] = [
        (f::LAG_RECORDS, &|one| Value::count(one.measure.lag?)),
        (f::LAG_SECONDS, &|one| Value::seconds(one.measure.age?)),
        (f::COMMITTED, &|one| Value::count(one.committed?)),
        (f::FETCHED, &|one| Value::count(one.fetched?)),
        (f::UNFETCHED, &|one| Value::count(one.unfetched()?)),
        (f::MARGIN, &|one| Value::seconds(one.measure.margin?)),
    ];
    families(seen, &labels, &says, text);
    let mut source = Writer::new(text, f::SOURCE);
    for (labels, one) in labels.iter().zip(seen) {
        source.sample_and(labels, source_label(one.measure.source), Some(Value::Whole(1)));
    }
}

const fn source_label(source: Source) -> &'static str {
    match source {
        Source::Arrival => "source=\"arrival\"",
        Source::Noticed => "source=\"noticed\"",
        Source::RecordTime => "source=\"record_time\"",
        Source::Unknown => "source=\"unknown\"",
    }
}

fn known_pairs(seen: &[Seen<'_>], text: &mut String) {
    let (mut labels, mut number) = (Labels::default(), String::new());
    for one in seen {
        digits(&mut number, one.index);
        labels.add(&[
            ("cluster_name", one.topic.place.cluster.as_str()),
            ("group", one.group_name()),
            ("topic", one.topic.place.topic.as_str()),
            ("partition", &number),
        ]);
    }
    let says: [Says<'_, Seen<'_>>; 2] = [
        (f::KNOWN_LAG, &|one| Value::count(one.measure.lag?)),
        (f::KNOWN_LAG_SECONDS, &|one| Value::seconds(one.measure.age?)),
    ];
    families(seen, &labels, &says, text);
}

/// A group on a cluster.
type OnCluster<'s> = (Name, &'s str);
/// With the most records and the greatest age of any partition.
type Most<'s> = (OnCluster<'s>, (Option<i64>, Option<i64>));

fn known_groups(seen: &[Seen<'_>], bound: usize, text: &mut String) {
    let mut most: FastMap<OnCluster<'_>, (Option<i64>, Option<i64>)> = FastMap::default();
    for one in seen {
        let entry = most.entry((one.topic.place.cluster.clone(), one.group_name())).or_default();
        *entry = (entry.0.max(one.measure.lag), entry.1.max(one.measure.age));
    }
    let mut most: Vec<_> = most.into_iter().collect();
    most.sort();
    keep_worst(&mut most, bound, |(_, most)| most.0.unwrap_or(-1));
    let mut labels = Labels::default();
    for ((cluster, group), _) in &most {
        labels.add(&[("cluster_name", cluster.as_str()), ("group", group)]);
    }
    let says: [Says<'_, Most<'_>>; 2] = [
        (f::KNOWN_MAX_LAG, &|(_, most)| Value::count(most.0?)),
        (f::KNOWN_MAX_LAG_SECONDS, &|(_, most)| Value::seconds(most.1?)),
    ];
    families(&most, &labels, &says, text);
}
