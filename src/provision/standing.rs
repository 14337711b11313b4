//! What holds for each pipeline, with a service level or without: lag that grows, records that retention is about to take, a
//! group without members, lanes that fill.

use super::alerts::{Alert, Book, Severity};
use super::cases::{Case, grows, stays};
use super::levels;
use super::words::is;
use crate::config::Pipeline;
use std::time::Duration;

const GROWING: &str = "FishplateLagGrowing";
const RETENTION: &str = "FishplateRetentionNear";
const MEMBERS: &str = "FishplateGroupWithoutMembers";
const LANE: &str = "FishplateLaneFilling";

/// Retention takes records so soon: time enough to do something.
const MARGIN_SECONDS: u64 = 3600;
/// A lag that grows by less than this, in seconds a second, is not worth a word: 1 is a consumer that stands.
const GROWTH: &str = "0.1";
/// Fewer records in a lane are an accident.
const FEWEST_MOVED: u64 = 100;

/// All rules of a pipeline.
pub(super) fn book(pipeline: &Pipeline) -> Book {
    let mut alerts = vec![growing(pipeline), retention(pipeline), members(pipeline)];
    let mut cases: Vec<Case> =
        [growing_cases(pipeline), retention_cases(pipeline), members_cases(pipeline)].into_iter().flatten().collect();
    for lane in lanes(pipeline) {
        alerts.push(filling(pipeline, &lane));
        cases.extend(filling_cases(pipeline, &lane));
    }
    let mut recorded = Vec::new();
    if let Some(slo) = &pipeline.slo {
        recorded = levels::recorded(pipeline, slo);
        alerts.splice(0..0, levels::alerts(pipeline, slo));
        cases.splice(0..0, levels::cases(pipeline, slo));
    }
    Book { name: format!("pipeline-{}", pipeline.name), recorded, alerts, cases }
}

/// So much lag may grow before anybody is told: ten times what is promised, at least a minute, and five without a promise.
fn patience(pipeline: &Pipeline) -> u64 {
    const LEAST: Duration = Duration::from_secs(60);
    const UNPROMISED: Duration = Duration::from_secs(300);
    pipeline.slo.map_or(UNPROMISED, |slo| (slo.committed_within * 10).max(LEAST)).as_secs()
}

/// Somebody is woken only for what was promised.
fn hurry(pipeline: &Pipeline) -> Severity {
    if pipeline.slo.is_some() { Severity::Page } else { Severity::Ticket }
}

fn own(pipeline: &Pipeline) -> String {
    is("pipeline", pipeline.name.as_str())
}

fn growing(pipeline: &Pipeline) -> Alert {
    let (own, patience) = (own(pipeline), patience(pipeline));
    Alert {
        name: GROWING,
        expr: format!(
            "max by (pipeline, group, topic) (fishplate_topic_lag_seconds{{{own}}}) > {patience}\n  \
             and max by (pipeline, group, topic) (deriv(fishplate_topic_lag_seconds{{{own}}}[10m])) > {GROWTH}"
        ),
        pending: "10m",
        severity: Severity::Ticket,
        pipeline: pipeline.name.to_string(),
        mark: None,
        summary: "Group {{ $labels.group }} falls behind in {{ $labels.topic }}".to_owned(),
        description: "The oldest record that it has not committed waits for {{ $value | humanizeDuration }}, and longer all the time."
            .to_owned(),
        bound: format!("{patience} s and growing by {GROWTH} s a second"),
    }
}

/// Also where the group has caught up, a log that was begun a moment ago starts near the first uncommitted record: so retention
/// must have taken something before, and the group be behind.
fn retention(pipeline: &Pipeline) -> Alert {
    let (own, patience) = (own(pipeline), patience(pipeline));
    Alert {
        name: RETENTION,
        expr: format!(
            "min by (pipeline, group, topic) (\n  \
               fishplate_group_retention_margin_seconds{{{own}}} < {MARGIN_SECONDS}\n  \
               and fishplate_group_lag_seconds{{{own}}} > {patience}\n  \
               and on (pipeline, cluster, topic, partition) fishplate_partition_start_offset{{{own}}} > 0\n\
             )"
        ),
        pending: "5m",
        severity: Severity::Page,
        pipeline: pipeline.name.to_string(),
        mark: None,
        summary: "Group {{ $labels.group }} is about to lose records of {{ $labels.topic }}".to_owned(),
        description:
            "Retention takes records that it has not committed in {{ $value | humanizeDuration }} if it reads nothing."
                .to_owned(),
        bound: format!("{MARGIN_SECONDS} s until retention, with a lag of {patience} s"),
    }
}

fn members(pipeline: &Pipeline) -> Alert {
    let own = own(pipeline);
    Alert {
        name: MEMBERS,
        expr: format!(
            "max by (pipeline, group) (fishplate_pipeline_lag_records{{{own}}}) > 0\n  \
             and on (pipeline, group) max by (pipeline, group) (fishplate_group_members{{{own}}}) == 0"
        ),
        pending: "5m",
        severity: hurry(pipeline),
        pipeline: pipeline.name.to_string(),
        mark: None,
        summary: "Group {{ $labels.group }} has no members, and records wait".to_owned(),
        description: "Nobody reads: {{ $value | humanize }} records wait for the group.".to_owned(),
        bound: "a lag without members".to_owned(),
    }
}

/// A lane and the share of records in it that is too much.
struct Filling {
    lane: &'static str,
    share: &'static str,
}

fn lanes(pipeline: &Pipeline) -> Vec<Filling> {
    let there =
        [(pipeline.policy.dlq.is_some(), "dlq", "0.01"), (pipeline.policy.overflow.is_some(), "overflow", "0.05")];
    there.into_iter().filter(|(is, ..)| *is).map(|(_, lane, share)| Filling { lane, share }).collect()
}

/// Where nothing stays there may be no series of what was produced: the lane is all there is then.
fn filling(pipeline: &Pipeline, filling: &Filling) -> Alert {
    let own = own(pipeline);
    let Filling { lane, share } = filling;
    let moved = format!("fishplate_lane_records_total{{{own}, {}}}", is("lane", lane));
    Alert {
        name: LANE,
        expr: format!(
            "sum by (pipeline, lane) (rate({moved}[15m]))\n  \
             / on (pipeline) group_left () (\n    \
               sum by (pipeline) (rate(fishplate_partition_produced_records_total{{{own}}}[15m]))\n    \
               or sum by (pipeline) (rate({moved}[15m]))\n  \
             ) > {share}\n  \
             and sum by (pipeline, lane) (increase({moved}[15m])) > {FEWEST_MOVED}"
        ),
        pending: "15m",
        severity: Severity::Ticket,
        pipeline: pipeline.name.to_string(),
        mark: Some(("lane", (*lane).to_owned())),
        summary: format!("The lane {lane} of pipeline {} fills", pipeline.name),
        description: "To each record that stays, {{ $value | humanize }} are moved there.".to_owned(),
        bound: format!("{share} of what stays, more than {FEWEST_MOVED} in 15 minutes"),
    }
}

fn of_group(family: &str, pipeline: &Pipeline, values: String) -> (String, String) {
    (format!("{family}{{{}, group=\"readers\"}}", own(pipeline)), values)
}

fn growing_cases(pipeline: &Pipeline) -> Vec<Case> {
    let patience = patience(pipeline);
    let late = patience / 60 + 22;
    let lag = |values| {
        vec![(
            format!("fishplate_topic_lag_seconds{{{}, cluster=\"c\", group=\"readers\", topic=\"t\"}}", own(pipeline)),
            values,
        )]
    };
    vec![
        Case::fires(GROWING, "A consumer stands", late, lag(grows(60, late))),
        Case::silent(GROWING, "A consumer is behind and stays so", 40, lag(stays(patience * 2, 40))),
        Case::silent(GROWING, "A deploy keeps records waiting for a minute", 20, lag(format!("0+0x10 60 0+0x{late}"))),
        Case::silent(GROWING, "A group is idle", 40, lag(stays(0, 40))),
        Case::silent(GROWING, "There are no series", 40, Vec::new()),
    ]
}

fn retention_cases(pipeline: &Pipeline) -> Vec<Case> {
    let behind = patience(pipeline) * 2;
    let own = own(pipeline);
    let series = |margin: u64, lag: u64, start: u64| {
        let place = "cluster=\"c\", topic=\"t\", partition=\"0\"";
        vec![
            (
                format!("fishplate_group_retention_margin_seconds{{{own}, group=\"readers\", {place}}}"),
                stays(margin, 20),
            ),
            (format!("fishplate_group_lag_seconds{{{own}, group=\"readers\", {place}}}"), stays(lag, 20)),
            (format!("fishplate_partition_start_offset{{{own}, {place}}}"), stays(start, 20)),
        ]
    };
    vec![
        Case::fires(RETENTION, "Retention is half an hour behind the group", 15, series(MARGIN_SECONDS / 2, behind, 7)),
        Case::silent(RETENTION, "A topic is new, and the log's start near", 15, series(1, behind, 0)),
        Case::silent(RETENTION, "Retention is short, and the group up to date", 15, series(MARGIN_SECONDS / 2, 0, 7)),
        Case::silent(RETENTION, "The group is behind, and has days", 15, series(MARGIN_SECONDS * 48, behind, 7)),
    ]
}

fn members_cases(pipeline: &Pipeline) -> Vec<Case> {
    let series = |members: &str, lag: u64| {
        vec![
            of_group("fishplate_group_members", pipeline, members.to_owned()),
            of_group("fishplate_pipeline_lag_records", pipeline, stays(lag, 20)),
        ]
    };
    vec![
        Case::fires(MEMBERS, "All members are gone, and records wait", 10, series("0+0x20", 5)),
        Case::silent(MEMBERS, "Nobody reads, and nothing waits", 10, series("0+0x20", 0)),
        Case::silent(MEMBERS, "A deploy takes all members away for two minutes", 10, series("1+0x4 0 0 1+0x12", 5)),
        Case::silent(MEMBERS, "There are members", 10, series("1+0x20", 5)),
    ]
}

fn filling_cases(pipeline: &Pipeline, filling: &Filling) -> Vec<Case> {
    let own = own(pipeline);
    let series = |moved: u64, stays: Option<u64>| {
        let lane = (format!("fishplate_lane_records_total{{{own}, {}}}", is("lane", filling.lane)), grows(moved, 40));
        let place = "cluster=\"c\", topic=\"t\", partition=\"0\"";
        let produced = |by| (format!("fishplate_partition_produced_records_total{{{own}, {place}}}"), grows(by, 40));
        [lane].into_iter().chain(stays.map(produced)).collect()
    };
    let lane = filling.lane;
    [
        Case::fires(LANE, format!("A tenth goes to {lane}"), 35, series(1000, Some(10_000))),
        Case::fires(LANE, format!("All goes to {lane}"), 35, series(1000, Some(0))),
        Case::fires(
            LANE,
            format!("All goes to {lane}, and nothing was ever counted elsewhere"),
            35,
            series(1000, None),
        ),
        Case::silent(LANE, format!("One of a thousand goes to {lane}"), 35, series(10, Some(10_000))),
        Case::silent(LANE, format!("Of few records most go to {lane}"), 35, series(2, Some(1))),
    ]
    .map(|case| case.of("lane", lane))
    .into()
}
