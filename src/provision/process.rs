//! What holds for Fishplate as a whole: that it is there, that clusters answer, that nothing is counted wrong.

use super::alerts::{Alert, Book, Severity};
use super::cases::{Case, grows, stays};
use super::words::is;
use crate::config::{Cluster, Config};
use crate::types::Name;

const ABSENT: &str = "FishplateAbsent";
const DOWN: &str = "FishplateDown";
const CLUSTER: &str = "FishplateClusterDown";
const LOST: &str = "FishplateObservationsLost";
const SWEEPS: &str = "FishplateSweepsFailing";
const HIDDEN: &str = "FishplateLagHidden";
const EXPIRES: &str = "FishplateCertificateExpires";
const STALE: &str = "FishplateCertificateRefused";
const KEYS: &str = "FishplateTokenKeysOld";

/// What Prometheus' job is called.
pub(super) const JOB: &str = "fishplate";

/// Certificates are renewed a month ahead: two weeks are left to find out why this one was not.
const EXPIRES_WITHIN_DAYS: u64 = 14;

/// A sweep is due every minute.
const SWEEP_TOO_OLD: u64 = 600;

/// An issuer is asked for its keys every hour, and more often where that fails.
const KEYS_TOO_OLD: u64 = 2 * 3_600;

/// All rules that are no pipeline's.
pub(super) fn book(config: &Config) -> Book {
    let mut alerts = vec![absent(), down(), lost(), hidden(), expires(), refused(), keys()];
    let mut cases =
        [absent_cases(), down_cases(), lost_cases(), hidden_cases(), expires_cases(), refused_cases(), keys_cases()]
            .concat();
    for cluster in &config.clusters {
        alerts.extend([cluster_down(cluster, config), sweeps(cluster, config)]);
        let of_cluster = [cluster_cases(cluster), sweep_cases(cluster)].concat();
        cases.extend(of_cluster.into_iter().map(|case| case.of("cluster", cluster.name.as_str())));
    }
    Book { name: "fishplate".to_owned(), recorded: Vec::new(), alerts, cases }
}

/// An alert of no pipeline.
fn alert(name: &'static str, severity: Severity, pending: &'static str, expr: String, words: [&str; 3]) -> Alert {
    let [summary, description, bound] = words.map(str::to_owned);
    Alert { name, expr, pending, severity, pipeline: Name::NONE.to_owned(), mark: None, summary, description, bound }
}

fn absent() -> Alert {
    let words = [
        "No Fishplate is there",
        "Prometheus has no series of any Fishplate: none runs, or none is scraped. All other alerts are silent meanwhile.",
        "no series",
    ];
    alert(ABSENT, Severity::Page, "5m", "absent(fishplate_build_info)".to_owned(), words)
}

fn down() -> Alert {
    let words = [
        "Fishplate {{ $labels.instance }} does not answer",
        "Prometheus cannot scrape it. Clients of this one may have lost their connections.",
        "2 minutes",
    ];
    alert(DOWN, Severity::Page, "2m", format!("up{{{}}} == 0", is("job", JOB)), words)
}

fn lost() -> Alert {
    let words = [
        "Fishplate {{ $labels.instance }} counts lag too slowly",
        "{{ $value | humanize }} facts of what passed by had no room within 10 minutes: lag comes from sweeps, a minute late.",
        "any within 10 minutes",
    ];
    let expr = "increase(fishplate_observations_lost_total[10m]) > 0".to_owned();
    alert(LOST, Severity::Ticket, "5m", expr, words)
}

fn hidden() -> Alert {
    let words = [
        "Fishplate {{ $labels.instance }} does not show all lag",
        "{{ $value | humanize }} pairs of a group and a partition are above `metrics.max_pairs`; those with the largest lag are shown.",
        "any",
    ];
    alert(HIDDEN, Severity::Ticket, "15m", "fishplate_lag_pairs_hidden > 0".to_owned(), words)
}

/// Also once it is over: the value is below zero then.
fn expires() -> Alert {
    let words = [
        "A certificate of {{ $labels.side }} {{ $labels.name }} ends soon",
        "Its {{ $labels.part }} holds for {{ $value | humanizeDuration }} more. After that no new connection there succeeds.",
        "less than 14 days left",
    ];
    let expr = format!(
        "min by (side, name, part) (fishplate_certificate_expiry_time_seconds) - time() < {}",
        EXPIRES_WITHIN_DAYS * 86_400
    );
    alert(EXPIRES, Severity::Ticket, "1h", expr, words)
}

fn refused() -> Alert {
    let words = [
        "Fishplate {{ $labels.instance }} cannot use new files of {{ $labels.side }} {{ $labels.name }}",
        "Certificates, keys or trust have changed and do not fit: those before are in use, until they end.",
        "any within 10 minutes",
    ];
    let expr = "increase(fishplate_certificate_reloads_total{result=\"refused\"}[10m]) > 0".to_owned();
    alert(STALE, Severity::Ticket, "1m", expr, words)
}

/// Also where they were never read: the time is 0 then.
fn keys() -> Alert {
    let words = [
        "Fishplate {{ $labels.instance }} cannot read the keys that tokens are checked with at {{ $labels.listener }}",
        "They were last read {{ $value | humanizeDuration }} ago (years: never): clients whose token bears a newer key are turned away, and one that was withdrawn is believed.",
        "2 hours",
    ];
    let expr = format!("time() - fishplate_jwks_read_time_seconds > {KEYS_TOO_OLD}");
    alert(KEYS, Severity::Ticket, "10m", expr, words)
}

/// The pipeline that lives on a cluster, or that there are none or several.
fn pipeline_on(cluster: &Cluster, config: &Config) -> String {
    let mut there = config.pipelines.iter().filter(|pipeline| pipeline.cluster == cluster.slot);
    match (there.next(), there.next()) {
        (None, _) => Name::NONE.to_owned(),
        (Some(one), None) => one.name.to_string(),
        (Some(_), Some(_)) => Name::SEVERAL.to_owned(),
    }
}

fn cluster_down(cluster: &Cluster, config: &Config) -> Alert {
    let own = is("cluster", cluster.name.as_str());
    let expr = format!("max by (cluster) (fishplate_cluster_up{{{own}}}) == 0");
    let words = [
        "Cluster {{ $labels.cluster }} does not answer",
        "No broker of it answers any Fishplate: topics and groups that live there stand still.",
        "2 minutes",
    ];
    let (pipeline, mark) = (pipeline_on(cluster, config), Some(("cluster", cluster.name.to_string())));
    Alert { pipeline, mark, ..alert(CLUSTER, Severity::Page, "2m", expr, words) }
}

/// Unless the cluster is down, which is told already.
fn sweeps(cluster: &Cluster, config: &Config) -> Alert {
    let own = is("cluster", cluster.name.as_str());
    let expr = format!(
        "max by (cluster) (fishplate_lag_sweep_age_seconds{{{own}}}) > {SWEEP_TOO_OLD}\n  \
         unless on (cluster) max by (cluster) (fishplate_cluster_up{{{own}}}) == 0"
    );
    let words = [
        "Lag on cluster {{ $labels.cluster }} is not compared with what the cluster says",
        "It was not asked for offsets for {{ $value | humanizeDuration }}: what passes Fishplate by is not in the lag.",
        "600 s",
    ];
    let (pipeline, mark) = (pipeline_on(cluster, config), Some(("cluster", cluster.name.to_string())));
    Alert { pipeline, mark, ..alert(SWEEPS, Severity::Ticket, "5m", expr, words) }
}

fn one(series: impl Into<String>, values: impl Into<String>) -> Vec<(String, String)> {
    vec![(series.into(), values.into())]
}

fn absent_cases() -> Vec<Case> {
    vec![
        Case::fires(ABSENT, "Nothing is scraped", 10, Vec::new()),
        Case::silent(ABSENT, "A Fishplate is scraped", 10, one("fishplate_build_info{version=\"1\"}", stays(1, 20))),
    ]
}

fn down_cases() -> Vec<Case> {
    let up = |values: &str| one(format!("up{{{}, instance=\"a\"}}", is("job", JOB)), values);
    vec![
        Case::fires(DOWN, "It does not answer", 5, up("1 0+0x20")),
        Case::silent(DOWN, "It is restarted", 5, up("1 1 0 1+0x20")),
        Case::silent(DOWN, "Another job is down", 5, one("up{job=\"other\", instance=\"a\"}", "0+0x20")),
    ]
}

fn lost_cases() -> Vec<Case> {
    let lost = |values: &str| one("fishplate_observations_lost_total{instance=\"a\"}", values);
    vec![
        Case::fires(LOST, "Facts are lost all the time", 15, lost("0+5x30")),
        Case::silent(LOST, "Some were lost once, an hour ago", 60, lost("0 7+0x70")),
        Case::silent(LOST, "None are lost", 15, lost("0+0x30")),
    ]
}

fn hidden_cases() -> Vec<Case> {
    let pairs = |values: String| one("fishplate_lag_pairs_hidden{instance=\"a\"}", values);
    vec![
        Case::fires(HIDDEN, "There are too many pairs", 20, pairs(stays(3, 30))),
        Case::silent(HIDDEN, "All are shown", 20, pairs(stays(0, 30))),
    ]
}

/// promtool's time begins at 0.
fn expires_cases() -> Vec<Case> {
    let days = |days: u64| days * 86_400;
    let ends = |instance: &str, at: u64| {
        let labels = "side=\"listener\", name=\"a:1\", part=\"certificate\"";
        (format!("fishplate_certificate_expiry_time_seconds{{{labels}, instance=\"{instance}\"}}"), stays(at, 130))
    };
    vec![
        Case::fires(EXPIRES, "A certificate ends in ten days", 120, vec![ends("a", days(10))]),
        Case::fires(
            EXPIRES,
            "One of two Fishplates was not given the new one",
            120,
            vec![ends("a", days(10)), ends("b", days(90))],
        ),
        Case::fires(EXPIRES, "It is over", 120, vec![ends("a", 60)]),
        Case::silent(EXPIRES, "It has a month left", 120, vec![ends("a", days(30))]),
    ]
}

fn refused_cases() -> Vec<Case> {
    let counted = |values: &str| {
        let labels = "side=\"cluster\", name=\"a\", result=\"refused\", instance=\"a\"";
        one(format!("fishplate_certificate_reloads_total{{{labels}}}"), values)
    };
    vec![
        Case::fires(STALE, "A key was put there that does not fit", 8, counted("0 0 0 1+0x20")),
        Case::silent(STALE, "That was an hour ago", 60, counted("0 1+0x70")),
        Case::silent(STALE, "All could be used", 15, counted("0+0x30")),
    ]
}

/// promtool's time begins at 0.
fn keys_cases() -> Vec<Case> {
    let read = |values: String| one("fishplate_jwks_read_time_seconds{listener=\"a:1\", instance=\"a\"}", values);
    vec![
        Case::fires(KEYS, "The issuer has not answered for hours", 140, read(stays(0, 150))),
        Case::silent(KEYS, "It was away for an hour", 80, read(stays(0, 90))),
        Case::silent(KEYS, "It is asked in time", 240, read(grows(60, 250))),
    ]
}

fn cluster_cases(cluster: &Cluster) -> Vec<Case> {
    let name = &cluster.name;
    let up = |instance: &str, values: &str| {
        (
            format!("fishplate_cluster_up{{{}, instance=\"{instance}\"}}", is("cluster", name.as_str())),
            values.to_owned(),
        )
    };
    vec![
        Case::fires(CLUSTER, format!("{name} is down"), 5, vec![up("a", "1 0+0x20")]),
        Case::silent(CLUSTER, format!("{name} is away for a moment"), 5, vec![up("a", "1 1 0 1+0x20")]),
        Case::silent(
            CLUSTER,
            format!("{name} is there for another Fishplate"),
            5,
            vec![up("a", "0+0x20"), up("b", "1+0x20")],
        ),
    ]
}

fn sweep_cases(cluster: &Cluster) -> Vec<Case> {
    let (name, own) = (&cluster.name, is("cluster", cluster.name.as_str()));
    let series = |age: String, up: u64| {
        vec![
            (format!("fishplate_lag_sweep_age_seconds{{{own}}}"), age),
            (format!("fishplate_cluster_up{{{own}}}"), stays(up, 30)),
        ]
    };
    vec![
        Case::fires(SWEEPS, format!("{name} answers, and no sweep succeeds"), 20, series(grows(60, 30), 1)),
        Case::silent(SWEEPS, format!("{name} is down, which is told otherwise"), 20, series(grows(60, 30), 0)),
        Case::silent(SWEEPS, format!("{name} is asked every minute"), 20, series(stays(60, 30), 1)),
    ]
}
