//! What a byte costs against how many topics and partitions there are: clusters and proxies anew for each count, the same
//! loads over each.

use anyhow::Result;

use crate::load::Kind;

use super::measure::{Course, Load, Row};
use super::sections::load;
use super::stage::{Clusters, Way};
use super::{Bench, Results};

/// The ways that are compared; without a proxy nothing grows.
pub(super) const WAYS: [Way; 4] = [Way::Copy, Way::Fishplate, Way::Single, Way::Shotover];
/// Records in each request and answer.
const RECORDS: usize = 256;
/// Batches of a request where it has several.
const SEVERAL: usize = 16;
/// How a load is called whose Fetches name all their partitions each time, through whatever they go: as librdkafka's do, for
/// which `single` is.
pub(super) const NO_SESSION: &str = ", no session";

/// 16 batches of as many partitions in each request: one topic of 256 partitions, then more topics of three.
pub(super) fn topics(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let counts: &[(usize, usize)] =
        if bench.about.quick { &[(1, 256), (10_000, 3)] } else { &[(1, 256), (100, 3), (1000, 3), (10_000, 3)] };
    let mut rows = Vec::new();
    for (topics, partitions) in counts {
        rows.extend(at(bench, *topics, *partitions, *topics, SEVERAL)?);
    }
    Ok(rows)
}

/// One batch in each request, of one of so many partitions of one topic.
pub(super) fn partitions(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let counts: &[usize] = if bench.about.quick { &[10, 10_000] } else { &[10, 100, 1000, 10_000] };
    let mut rows = Vec::new();
    for partitions in counts {
        rows.extend(at(bench, 1, *partitions, *partitions, 1)?);
    }
    Ok(rows)
}

fn at(bench: &Bench<'_>, topics: usize, partitions: usize, count: usize, batches: usize) -> Result<Vec<Row>> {
    let clusters = Clusters::start([&[&format!("scale-:{topics}:{partitions}")], &["other-:1:1"]])?;
    let proxies = bench.programs.start(&WAYS, clusters.direct(), "other-*")?;
    let course = bench.course(&clusters, &proxies);
    let course = Course { seconds: course.seconds.min(1.0), ..course };
    let loads = [(Kind::Produce, false), (Kind::Fetch, false), (Kind::Fetch, true)].map(|(kind, no_session)| {
        let usual = load(kind, RECORDS, &[], None);
        let verb = if kind == Kind::Produce { "produce" } else { "fetch" };
        let what = if batches == 1 { "partitions" } else { "topics" };
        let topics = vec![format!("scale-:{topics}")];
        let name = format!("{verb}, {count} {what}{}", if no_session { NO_SESSION } else { "" });
        Load { name, topics, count, batches: Some(batches), no_session, ..usual }
    });
    // Whether a single topic's Fetches have a session tells nothing new.
    let of_use = |load: &Load| bench.wants(load) && (batches > 1 || !load.no_session);
    let loads: Vec<_> = loads.into_iter().filter(of_use).collect();
    if loads.is_empty() { Ok(Vec::new()) } else { Ok(course.run(loads, &WAYS)) }
}

/// The rows with the most topics.
pub(super) fn most_topics(results: &Results) -> impl Iterator<Item = &Row> {
    results.topics.iter().filter(|row| row.load.count == 10_000)
}
