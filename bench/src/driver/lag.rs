//! What telling lag costs: 50,000 groups at partitions over 10,000 partitions, all of which Fishplate saw being written and
//! committed. How long a scrape takes and what it needs, and how the same load fares with scrapes beside it and without.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::load::{Kind, Latency};
use crate::procfs::{Used, most_resident, resident};

use super::Bench;
use super::contestants::{Proxies, Proxy, samples, sum, total};
use super::measure::{Course, Load, Row};
use super::policy::thousands;
use super::process::Process;
use super::scrape::{Scrape, meanwhile, scrape};
use super::sections::{HUNDRED, load};
use super::stage::{Clusters, Way};
use super::stats::{Rounds, ratio};
use super::table::line;

/// The topics that groups commit in, and how many partitions and groups that are.
const WIDE: &str = "wide-:100";
const PARTITIONS: usize = 10_000;
const GROUPS: usize = 5;
const PAIRS: usize = GROUPS * PARTITIONS;
/// Batches of one record that each of these partitions is sent, ten a second: more than Fishplate remembers the times of, so that it
/// takes all the memory for them that it ever does.
const BATCHES: usize = 600;
/// The same where only shapes are wanted.
const FEW: usize = 10;
/// The load: so many KiB in a request, and requests a second. As section Latency has it.
const KIB: usize = 16;
const RATE: f64 = 1000.0;
/// Scrapes at rest, and in each round that has any.
const AT_REST: usize = 9;
const A_ROUND: f64 = 2.0;
/// Between two scrapes at rest; also the time after which memory has settled.
const SETTLED: Duration = Duration::from_millis(700);
/// In which Fishplate must know what was committed through it.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that was measured of it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Lag {
    /// The load without scrapes, then with them.
    pub(super) rows: Vec<Row>,
    /// Seconds between two of them.
    every: f64,
    pub(super) rest: Scrapes,
    pub(super) loaded: Scrapes,
    pub(super) memory: Option<Memory>,
    capped: Option<Capped>,
}

/// Scrapes as who makes them sees them.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Scrapes {
    /// Milliseconds of each.
    pub(super) ms: Rounds,
    /// MiB of each.
    mib: Rounds,
    /// Seconds of Fishplate's processor time for one: of each, or in each pair of rounds what one with scrapes took more.
    cpu: Rounds,
}

/// MiB resident.
#[derive(Serialize, Deserialize)]
pub(super) struct Memory {
    start: f64,
    /// With all that was committed, and before anybody asked for it.
    filled: f64,
    /// After all rounds.
    end: f64,
    /// At any time up to then.
    pub(super) most: f64,
}

/// What is shown when there is more than may be.
#[derive(Serialize, Deserialize)]
struct Capped {
    pairs: f64,
    hidden: f64,
    shown: usize,
    /// Of those that are behind nowhere.
    shown_of_least: usize,
}

pub(super) fn all(bench: &Bench<'_>) -> Result<Lag> {
    let [quiet, scraped] = loads();
    if ![&quiet, &scraped].into_iter().all(|load| bench.wants(load)) {
        return Ok(Lag::default());
    }
    let clusters = Clusters::start([&["many-a-:50:3", &format!("{WIDE}:100")], &["many-b-:50:3"]])?;
    let proxies = bench.programs.start(&[Way::Fishplate], clusters.direct(), "*-b-*")?;
    let Some(proxy) = proxies.running.get(&Way::Fishplate) else { return Ok(Lag::default()) };
    let mut lag = Lag { rows: vec![Row::new(quiet), Row::new(scraped)], ..Lag::default() };
    let course = course(bench, &clusters, &proxies);
    lag.every = course.seconds / A_ROUND;
    let start = settled(proxy)?;
    let batches = if bench.about.quick { FEW } else { BATCHES };
    eprintln!("{} partitions are sent {batches} batches each", thousands(PARTITIONS));
    commit(&course, &behind(batches), batches)?;
    let filled = settled(proxy)?;
    let page = told(proxy, PAIRS)?;
    lag.complain_of(&page, batches);
    lag.rest = at_rest(proxy)?;
    for round in 0..course.rounds {
        eprintln!("round {} of {}: lag", round + 1, course.rounds);
        lag.pair(&course, proxy, round)?;
    }
    let most = mebibytes(most_resident(proxy.pid())?);
    lag.memory = Some(Memory { start, filled, end: settled(proxy)?, most });
    lag.loaded.cpu = lag.cpu_of_scrapes();
    if let Err(error) = lag.cap(&course, proxy, batches) {
        lag.fails(&format!("more than may be shown: {error:#}"));
    }
    Ok(lag)
}

/// The same load, to be run without scrapes and with them.
fn loads() -> [Load; 2] {
    ["without scrapes", "with scrapes"].map(|name| {
        let usual = load(Kind::Produce, KIB, HUNDRED, Some(RATE));
        Load { name: format!("lag, {}, {name}", usual.name), ..usual }
    })
}

/// Rounds that are long enough for scrapes.
fn course<'a>(bench: &'a Bench<'_>, clusters: &'a Clusters, proxies: &'a Proxies) -> Course<'a> {
    let quick = bench.about.quick;
    let mut course = bench.course(clusters, proxies);
    course.rounds = bench.args.rounds.unwrap_or(if quick { 2 } else { 9 });
    course.seconds = bench.args.seconds.unwrap_or(if quick { 2.0 } else { 10.0 });
    // It is this process that scrapes.
    course.watched.push(("scraper".to_owned(), std::process::id()));
    course
}

/// Each group and what it commits in every partition of so many records: all are behind, each by another number of them.
fn behind(records: usize) -> Vec<(String, usize)> {
    let group = |number| (format!("the-group-of-service-{number}"), records * number / GROUPS);
    (0..GROUPS).map(group).collect()
}

/// Has groups commit through Fishplate, once every partition was sent so many batches.
fn commit(course: &Course<'_>, groups: &[(String, usize)], batches: usize) -> Result<()> {
    let mut arguments = ["commit", "--batches", &batches.to_string()].map(str::to_owned).to_vec();
    arguments.extend(course.target(Way::Fishplate, &[WIDE.to_owned()]));
    arguments.extend(groups.iter().flat_map(|(group, offset)| ["--group".to_owned(), format!("{group}={offset}")]));
    let committed = Process::own(&arguments)?.result()?;
    let wanted = groups.len() * PARTITIONS;
    if committed == wanted.to_string() { Ok(()) } else { bail!("{committed} offsets were committed, not {wanted}") }
}

/// The page, once it tells of so many groups at partitions.
fn told(proxy: &Proxy, pairs: usize) -> Result<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let page = proxy.page()?;
        let there = sum(&page, "fishplate_lag_pairs");
        if there == pairs as f64 {
            return Ok(page);
        }
        if Instant::now() > until {
            bail!("{there} groups at partitions are told of, not {pairs}, after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(SETTLED);
    }
}

/// Scrapes while nothing else goes on.
fn at_rest(proxy: &Proxy) -> Result<Scrapes> {
    let mut all = Scrapes::default();
    for _ in 0..AT_REST {
        std::thread::sleep(SETTLED);
        let before = Used::now(proxy.pid())?;
        all.add(scrape(proxy.admin()?)?);
        all.cpu.0.push(Used::now(proxy.pid())?.since(&before));
    }
    Ok(all)
}

/// MiB resident a moment later.
fn settled(proxy: &Proxy) -> Result<f64> {
    std::thread::sleep(SETTLED);
    Ok(mebibytes(resident(proxy.pid())?))
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

impl Scrapes {
    fn add(&mut self, scrape: Scrape) {
        self.ms.0.push(scrape.took.as_secs_f64() * 1e3);
        self.mib.0.push(mebibytes(scrape.bytes));
    }
}

impl Lag {
    /// One round without scrapes and one with them, another one first each time.
    fn pair(&mut self, course: &Course<'_>, proxy: &Proxy, round: usize) -> Result<()> {
        let every = Duration::from_secs_f64(self.every);
        for turn in [round, round + 1] {
            let scrapes = turn % 2 == 1;
            let row = self.rows.get_mut(usize::from(scrapes)).context("no row")?;
            let mut work = || course.round(row, &[Way::Fishplate], round);
            if scrapes {
                match meanwhile(proxy.admin()?, every, work).1 {
                    Ok(all) => all.into_iter().for_each(|one| self.loaded.add(one)),
                    Err(error) => self.fails(&format!("a scrape: {error:#}")),
                }
            } else {
                work();
            }
        }
        Ok(())
    }

    /// What rounds with scrapes took more than those beside them, for each scrape.
    fn cpu_of_scrapes(&self) -> Rounds {
        let [quiet, scraped] = self.rows.as_slice() else { return Rounds::default() };
        let more = scraped.cpu(Way::Fishplate).with(&quiet.cpu(Way::Fishplate), |one, other| one - other);
        let each = self.loaded.ms.0.len() as f64 / more.0.len() as f64;
        more.0.iter().map(|more| more / each).collect()
    }

    /// A group that is behind nowhere comes, for which there is no room.
    fn cap(&mut self, course: &Course<'_>, proxy: &Proxy, records: usize) -> Result<()> {
        let ahead = "the-group-that-has-it-all";
        commit(course, &[(ahead.to_owned(), records)], 0)?;
        let page = told(proxy, PAIRS + PARTITIONS)?;
        let shown: Vec<_> = samples(&page, "fishplate_group_lag_records").collect();
        let of_least = shown.iter().filter(|line| line.contains(ahead)).count();
        let capped = Capped {
            pairs: sum(&page, "fishplate_lag_pairs"),
            hidden: sum(&page, "fishplate_lag_pairs_hidden"),
            shown: shown.len(),
            shown_of_least: of_least,
        };
        if capped.hidden != PARTITIONS as f64 || capped.shown != PAIRS || capped.shown_of_least > 0 {
            self.fails("of what there is, the worst 50,000 are not what is shown");
        }
        self.capped = Some(capped);
        self.complain_of_gaps(&page);
        Ok(())
    }

    /// Figures are of something else where not all is known, as seconds are of records that nobody saw arrive.
    fn complain_of(&mut self, page: &str, records: usize) {
        let lag = sum(page, "fishplate_group_lag_records");
        let wanted: usize = behind(records).iter().map(|(_, offset)| (records - offset) * PARTITIONS).sum();
        if lag != wanted as f64 {
            self.fails(&format!("groups are {lag} records behind, not {wanted}"));
        }
        self.complain_of_gaps(page);
    }

    /// Where a cluster does not tell all, it is also asked more often than others are.
    fn complain_of_gaps(&mut self, page: &str) {
        let (unknown, lost) = (sum(page, "fishplate_lag_unknown"), sum(page, "fishplate_observations_lost_total"));
        if unknown > 0.0 || lost > 0.0 {
            self.fails(&format!("of {unknown} groups at partitions not all is known, and {lost} facts were lost"));
        }
        let sweeps = samples(page, "fishplate_lag_sweeps_total");
        let failed = total(sweeps.filter(|line| line.contains("result=\"error\"")));
        if failed > 0.0 {
            self.fails(&format!("{failed} times a cluster did not tell all that it was asked"));
        }
    }

    fn fails(&mut self, why: &str) {
        eprintln!("lag: {why}");
        self.rows.iter_mut().take(1).for_each(|row| row.failures.push(why.to_owned()));
    }

    /// A quantile of latency with scrapes, divided by what it is without.
    fn ratio(&self, quantile: fn(&Latency) -> f64) -> Option<Rounds> {
        let [quiet, scraped] = self.rows.as_slice() else { return None };
        let of = |row: &Row| row.latency(Way::Fishplate, quantile);
        Some(of(scraped).with(&of(quiet), ratio))
    }

    /// What scrapes make of p99.
    pub(super) fn slowdown(&self) -> Option<Rounds> {
        self.ratio(|latency| latency.p99)
    }
}

/// Its tables.
pub(super) fn markdown(lag: &Lag) -> String {
    if lag.rows.is_empty() {
        return String::new();
    }
    [latency_table(lag), scrapes_table(lag), memory_line(lag)].concat()
}

const QUANTILES: [fn(&Latency) -> f64; 3] = [|latency| latency.p50, |latency| latency.p99, |latency| latency.p999];

fn latency_table(lag: &Lag) -> String {
    let rounds = lag.rows.first().map_or(0, |row| row.cpu(Way::Fishplate).0.len());
    let mut text = format!(
        "\n**Scrapes beside the request path**: microseconds of a Produce of {KIB} KiB over 100 topics at {RATE:.0} a second, from when it was \
         due (open loop), while Fishplate knows {} groups at partitions over {} partitions. {rounds} pairs of rounds, one without \
         scrapes and one in which `/metrics` is read every {} s; Prometheus usually does every 15 s\n\n\
         | | p50 | p99 | p99.9 | Fishplate's CPU-s a round |\n|---|---|---|---|---|\n",
        thousands(PAIRS),
        thousands(PARTITIONS),
        lag.every,
    );
    for (name, row) in ["without scrapes", "with scrapes"].iter().zip(&lag.rows) {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(QUANTILES.map(|quantile| row.latency(Way::Fishplate, quantile).show(0)));
        cells.push(row.cpu(Way::Fishplate).show(2));
        line(&mut text, &cells);
    }
    let mut cells = vec!["÷ without, pair by pair".to_owned()];
    cells.extend(QUANTILES.map(|quantile| lag.ratio(quantile).unwrap_or_default().show(2)));
    cells.push("-".to_owned());
    line(&mut text, &cells);
    text
}

fn scrapes_table(lag: &Lag) -> String {
    let mut text = "\n**A scrape**, from the wish to connect to the last byte\n\n\
         | | scrapes | ms, median | ms, most | MiB | Fishplate's CPU-s |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for (name, scrapes) in [("at rest", &lag.rest), ("while producers write", &lag.loaded)] {
        let Scrapes { ms, mib, cpu } = scrapes;
        let most = ms.most().map_or_else(|| "-".to_owned(), |most| format!("{most:.0}"));
        let cells = [name.to_owned(), ms.0.len().to_string(), ms.brief(0), most, mib.brief(1), cpu.show(3)];
        line(&mut text, &cells);
    }
    text
}

fn memory_line(lag: &Lag) -> String {
    let mut text = String::new();
    if let Some(Memory { start, filled, end, most }) = &lag.memory {
        text.push_str(&format!(
            "\nMiB resident: {start:.1} at the start, {filled:.1} when all was committed and nobody had asked, {end:.1} after all \
             rounds, {most:.1} at most.\n"
        ));
    }
    if let Some(Capped { pairs, hidden, shown, shown_of_least }) = &lag.capped {
        text.push_str(&format!(
            "\nWith a sixth group, which is behind nowhere: of {pairs:.0} groups at partitions {hidden:.0} are hidden and {shown} shown, \
             {shown_of_least} of them its own.\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Report;

    fn row(load: Load, p99: [f64; 2], cpu: [f64; 2]) -> Row {
        let report = |(p99, cpu)| Report {
            seconds: 10.0,
            cpu: [(Way::Fishplate.name().to_owned(), cpu)].into(),
            latency: Some(Latency { p50: 100.0, p99, p999: 2.0 * p99, ..Latency::default() }),
            ..Report::default()
        };
        let reports = p99.into_iter().zip(cpu).map(report).collect();
        Row { ways: [(Way::Fishplate, reports)].into(), ..Row::new(load) }
    }

    fn measured() -> Lag {
        let [quiet, scraped] = loads();
        let rows = vec![row(quiet, [400.0, 800.0], [1.0, 2.0]), row(scraped, [440.0, 880.0], [1.25, 2.75])];
        let mut lag = Lag { rows, every: 5.0, ..Lag::default() };
        let one = |ms| Scrape { took: Duration::from_millis(ms), bytes: 32 << 20 };
        [90, 80, 70, 200].map(one).into_iter().for_each(|one| lag.loaded.add(one));
        lag.loaded.cpu = lag.cpu_of_scrapes();
        lag
    }

    #[test]
    fn rounds_with_scrapes_are_held_against_those_beside_them() {
        // Given a machine that became slower between the pairs
        let lag = measured();
        // Then the ratio is steady, and two scrapes a round share what it took more
        assert_eq!(lag.slowdown(), Some(Rounds(vec![1.1, 1.1])));
        assert_eq!(lag.loaded.cpu, Rounds(vec![0.125, 0.375]));
        let text = markdown(&lag);
        let cells = |begin: &str| -> Vec<String> {
            let line = text.lines().find(|line| line.starts_with(begin)).unwrap();
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        assert_eq!(cells("| ÷ without")[2..5], ["1.00 ±0.00", "1.10 ±0.00", "1.10 ±0.00"]);
        assert_eq!(cells("| while producers")[2..7], ["4", "85", "200", "32.0", "0.250 ±0.125"]);
        assert!(text.contains("2 pairs of rounds") && text.contains("every 5 s"), "{text}");
    }

    #[test]
    fn groups_that_stand_elsewhere_than_they_should_are_a_failure() {
        let page = |lag, unknown, failed| {
            let sweeps = "fishplate_lag_sweeps_total{cluster=\"a\",result=";
            format!(
                "fishplate_group_lag_records{{group=\"g\"}} {lag}\nfishplate_lag_unknown{{reason=\"time\"}} {unknown}\n\
                 {sweeps}\"ok\"}} 9\n{sweeps}\"error\"}} {failed}\n"
            )
        };
        let fails = |page: &str| {
            let mut lag = measured();
            lag.complain_of(page, 5);
            lag.rows.iter().map(|row| row.failures.len()).sum::<usize>()
        };
        let pages = [page(150_000, 0, 0), page(150_000, 1, 0), page(150_000, 0, 1), page(7, 1, 1)];
        assert_eq!(pages.map(|page| fails(&page)), [0, 1, 1, 3]);
    }
}
