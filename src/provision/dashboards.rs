//! Grafana's dashboards: one over all pipelines, and one for each. Of the schema that `@grafana/schema` 13 publishes.

use super::burn::budget;
use super::levels;
use super::panels::{Panels, Query, Unit, datasource, query};
use super::words::{decimal, is, uid};
use super::{MARK, process};
use crate::config::policy::Policy;
use crate::config::{Config, Pipeline, Slo};
use serde_json::{Value, json};

/// Of the dashboards' schema: `defaultDashboard` in the package says it.
const SCHEMA: u64 = 42;
/// All of ours bear it, and lead to each other by it.
const TAG: &str = "fishplate";

/// Over all pipelines.
pub(super) fn overview(config: &Config) -> String {
    let mut panels = Panels::default();
    panels.heading("Service levels and lag");
    if config.pipelines.iter().any(|pipeline| pipeline.slo.is_some()) {
        let [records, time] = levels::budgets_left();
        let left = [
            query(format!("min by (pipeline) ({records})"), "{{pipeline}} records"),
            query(format!("min by (pipeline) ({time})"), "{{pipeline}} time"),
        ];
        panels.now("Budget left", "Of 30 days; of each pipeline's worst group.", Unit::Share, 24, (0.0, &left));
    }
    let of_lag = |family: &str| [query(format!("max by (pipeline, group) ({family})"), "{{pipeline}} {{group}}")];
    let records = "Records that groups have not committed, by pipeline.";
    panels.graph("Lag in records", records, Unit::Count, 12, &of_lag("fishplate_pipeline_lag_records"));
    let seconds = "Age of the oldest record that is not committed.";
    panels.graph("Lag in seconds", seconds, Unit::Seconds, 12, &of_lag("fishplate_pipeline_lag_seconds"));
    panels.heading("Traffic");
    traffic(&mut panels, "", "{{pipeline}}", "pipeline");
    panels.heading("Clusters");
    clusters(&mut panels);
    panels.heading("Fishplate itself");
    itself(&mut panels);
    dashboard("Fishplate", "fishplate-overview", None, panels)
}

/// Of one pipeline.
pub(super) fn of(pipeline: &Pipeline, config: &Config) -> String {
    let own = is("pipeline", pipeline.name.as_str());
    let mut panels = Panels::default();
    if let Some(slo) = &pipeline.slo {
        panels.heading(&format!("Committed within {:?}: {}", slo.committed_within, slo.objective));
        level(&mut panels, &own, slo);
    }
    panels.heading("Lag");
    lag(&mut panels, &own);
    panels.heading("Where the time goes");
    latencies(&mut panels, &own);
    panels.heading("Traffic, latency and errors");
    traffic(&mut panels, &format!("{own}, "), "{{api}}", "api");
    errors(&mut panels, &own);
    if !pipeline.policy.is_empty() {
        panels.heading("Contract, limits and lanes");
        policy(&mut panels, &own, &pipeline.policy);
    }
    if let Some(cluster) = config.cluster(pipeline.cluster) {
        panels.heading(&format!("Cluster {}, and memory", cluster.name));
        home(&mut panels, &is("cluster", cluster.name.as_str()));
    }
    dashboard(&format!("Fishplate: {}", pipeline.name), &uid(pipeline.name.as_str()), Some(&own), panels)
}

fn level(panels: &mut Panels, own: &str, slo: &Slo) {
    let group = format!("{own}, group=~\"$group\"");
    let [records, time] = levels::budgets_left();
    let left =
        [query(format!("min({records}{{{group}}})"), "records"), query(format!("min({time}{{{group}}})"), "time")];
    panels.now("Budget left", "Of 30 days, of the worst group.", Unit::Share, 6, (0.0, &left));
    let burn = |ratio: fn(&str) -> String| -> Vec<Query> {
        let windows = [("5m", "{{group}} 5m"), ("1h", "{{group}} 1h"), ("6h", "{{group}} 6h")];
        let of = |(window, legend)| query(format!("{}{{{group}}} / {}", ratio(window), decimal(budget(slo))), legend);
        windows.into_iter().map(of).collect()
    };
    let says = "How many times faster than the objective allows. Alerts: 14.4 over an hour, 6 over six, 3 over a day, 1 over three.";
    panels.graph("Burn rate of records", says, Unit::Count, 9, &burn(levels::ratio_of_records));
    panels.graph("Burn rate of time", says, Unit::Count, 9, &burn(levels::ratio_of_time));
}

fn lag(panels: &mut Panels, own: &str) {
    let group = format!("{own}, group=~\"$group\"");
    let by_topic =
        |family: &str| [query(format!("max by (group, topic) ({family}{{{group}}})"), "{{group}} {{topic}}")];
    panels.graph("Lag in records", "By group and topic.", Unit::Count, 12, &by_topic("fishplate_topic_lag_records"));
    let says = "Age of the oldest record that is not committed: grows also when nothing happens.";
    panels.graph("Lag in seconds", says, Unit::Seconds, 12, &by_topic("fishplate_topic_lag_seconds"));
    let worst = |family: &str| format!("topk(10, max by (group, topic, partition) ({family}{{{group}}}))");
    panels.table("Worst partitions, in seconds", "Now.", Unit::Seconds, 12, worst("fishplate_group_lag_seconds"));
    panels.table("Worst partitions, in records", "Now.", Unit::Count, 12, worst("fishplate_group_lag_records"));
    let sum = |family: &str| query(format!("sum by (group) ({family}{{{group}}})"), "{{group}}");
    let says = "Records that were never handed out. What is lag beyond that is handed out and not committed.";
    panels.graph("Not fetched", says, Unit::Count, 8, &[sum("fishplate_group_unfetched_records")]);
    let members = [query(format!("max by (group) (fishplate_group_members{{{group}}})"), "{{group}}")];
    panels.graph("Has members", "1 while somebody is in the group.", Unit::Count, 8, &members);
    let margin = format!("min by (group, topic) (fishplate_group_retention_margin_seconds{{{group}}})");
    let says = "Until retention takes what is not committed, if nothing is read.";
    panels.graph("Until retention", says, Unit::Seconds, 8, &[query(margin, "{{group}} {{topic}}")]);
    let produced =
        |family: &str| [query(format!("sum by (topic) (rate({family}{{{own}}}[$__rate_interval]))"), "{{topic}}")];
    let records = produced("fishplate_partition_produced_records_total");
    panels.graph("Produced records", "Through Fishplate.", Unit::PerSecond, 12, &records);
    let bytes = produced("fishplate_partition_produced_bytes_total");
    panels.graph("Produced bytes", "As they are stored.", Unit::BytesPerSecond, 12, &bytes);
}

fn latencies(panels: &mut Panels, own: &str) {
    let of = |quantile: &str, family: &str, legend| {
        let buckets = format!("sum by (topic, le) (rate({family}_bucket{{{own}}}[$__rate_interval]))");
        query(format!("histogram_quantile({quantile}, {buckets})"), legend)
    };
    let both = |family: &str| [of("0.5", family, "{{topic}} p50"), of("0.99", family, "{{topic}} p99")];
    let says = "From a request's last byte to its acknowledgement, by batch.";
    panels.graph("Until written", says, Unit::Seconds, 8, &both("fishplate_topic_produce_duration_seconds"));
    let says = "From its acknowledgement until a reader is handed it: long where one catches up.";
    panels.graph("Until handed out", says, Unit::Seconds, 8, &both("fishplate_topic_delivery_duration_seconds"));
    let rate = |part: &str| {
        let family = format!("fishplate_group_commit_interval_seconds_{part}");
        format!("sum by (group) (rate({family}{{{own}, group=~\"$group\"}}[$__rate_interval]))")
    };
    let mean = format!("{} / ({} > 0)", rate("sum"), rate("count"));
    let says = "On average, where the group goes on: so long records wait that were handed out and dealt with.";
    panels.graph("Between commits", says, Unit::Seconds, 8, &[query(mean, "{{group}}")]);
}

/// `own` ends in a comma where it says anything.
fn traffic(panels: &mut Panels, own: &str, legend: &'static str, by: &str) {
    let rate = |family: &str| [query(format!("sum by ({by}) (rate({family}{{{own}}}[$__rate_interval]))"), legend)];
    panels.graph("Requests", "Answered.", Unit::PerSecond, 8, &rate("fishplate_requests_total"));
    let bytes = "Of requests.";
    panels.graph("Bytes from clients", bytes, Unit::BytesPerSecond, 8, &rate("fishplate_request_bytes_total"));
    let bytes = "Of answers.";
    panels.graph("Bytes to clients", bytes, Unit::BytesPerSecond, 8, &rate("fishplate_response_bytes_total"));
    let family = "fishplate_request_duration_seconds_bucket";
    let of = |quantile: &str, api: &str, legend| {
        let buckets = format!("sum by (le) (rate({family}{{{own}api=\"{api}\"}}[$__rate_interval]))");
        query(format!("histogram_quantile({quantile}, {buckets})"), legend)
    };
    let produce = [of("0.5", "Produce", "p50"), of("0.99", "Produce", "p99")];
    let says = "From a request's last byte to its answer, of all together.";
    panels.graph("Latency of Produce", says, Unit::Seconds, 12, &produce);
    let fetch = [of("0.5", "Fetch", "p50"), of("0.99", "Fetch", "p99")];
    panels.graph("Latency of Fetch", "With what consumers wait for records.", Unit::Seconds, 12, &fetch);
}

fn errors(panels: &mut Panels, own: &str) {
    let blame = format!("sum by (by, cluster) (rate(fishplate_errors_total{{{own}}}[$__rate_interval]))");
    let says = "Requests that got no answer, or not to all, by whose fault.";
    panels.graph("Failed requests", says, Unit::PerSecond, 12, &[query(blame, "{{by}} {{cluster}}")]);
    let codes = format!("sum by (api, code) (rate(fishplate_error_codes_total{{{own}}}[$__rate_interval]))");
    let says = "Some are everyday: REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED.";
    panels.graph("Error codes", says, Unit::PerSecond, 12, &[query(codes, "{{api}} {{code}}")]);
}

/// What the pipeline asks of its records; of what it does not ask there is nothing to show.
fn policy(panels: &mut Panels, own: &str, asks: &Policy) {
    let rate = |by: &str, family: &str, legend| {
        [query(format!("sum by ({by}) (rate({family}{{{own}}}[$__rate_interval]))"), legend)]
    };
    if asks.overflow.is_some() || asks.dlq.is_some() || !asks.canaries.is_empty() {
        let lanes = rate("lane", "fishplate_lane_records_total", "{{lane}}");
        panels.graph("Records in lanes", "Moved aside, or to a canary.", Unit::PerSecond, 8, &lanes);
    }
    if asks.contract.is_some() {
        let broken = rate("on_violation", "fishplate_contract_violations_total", "{{on_violation}}");
        panels.graph("Broke the contract", "Records.", Unit::PerSecond, 8, &broken);
    }
    if asks.limits.is_empty() {
        return;
    }
    let limits = rate("limit, action, verdict", "fishplate_limit_records_total", "{{limit}} {{action}} {{verdict}}");
    panels.graph("What limits said", "enforced: the action was done.", Unit::PerSecond, 8, &limits);
    let held = [query(format!("sum(rate(fishplate_policy_held_seconds_total{{{own}}}[$__rate_interval]))"), "held")];
    panels.graph("Answers held", "Seconds a second.", Unit::Seconds, 12, &held);
    let keys = [query(format!("sum by (limit) (fishplate_limit_keys{{{own}}})"), "{{limit}}")];
    panels.graph("Keys that limits tell apart", "", Unit::Count, 12, &keys);
}

fn home(panels: &mut Panels, cluster: &str) {
    let links = [query(format!("sum by (use) (fishplate_links{{{cluster}}})"), "{{use}}")];
    panels.graph("Connections to its brokers", "", Unit::Count, 8, &links);
    upstream(panels, &format!("{{{cluster}}}"), 8);
    memory(panels, 8);
}

fn upstream(panels: &mut Panels, matcher: &str, width: u64) {
    let of = |quantile: &str, legend| {
        let family = "fishplate_upstream_duration_seconds_bucket";
        let buckets = format!("sum by (cluster, le) (rate({family}{matcher}[$__rate_interval]))");
        query(format!("histogram_quantile({quantile}, {buckets})"), legend)
    };
    let queries = [of("0.5", "{{cluster}} p50"), of("0.99", "{{cluster}} p99")];
    let says = "How long clusters took: the rest of a request's time is Fishplate's.";
    panels.graph("Latency of clusters", says, Unit::Seconds, width, &queries);
}

fn memory(panels: &mut Panels, width: u64) {
    let queries = [
        query("sum by (pool) (fishplate_memory_drawn_bytes)", "{{pool}} in use"),
        query("sum by (pool) (fishplate_memory_bytes)", "{{pool}} size"),
    ];
    panels.graph("Memory", "The config's pools, of all Fishplates.", Unit::Bytes, width, &queries);
}

fn clusters(panels: &mut Panels) {
    let up = [query("max by (cluster) (fishplate_cluster_up)", "{{cluster}}")];
    panels.now("Answers", "1 while a broker of it answers.", Unit::Count, 24, (1.0, &up));
    upstream(panels, "", 12);
    let links = [query("sum by (cluster, use) (fishplate_links)", "{{cluster}} {{use}}")];
    panels.graph("Connections", "To brokers.", Unit::Count, 12, &links);
}

fn itself(panels: &mut Panels) {
    let up = format!("up{{{}}}", is("job", process::JOB));
    panels.now("Answers", "At its admin address.", Unit::Count, 24, (1.0, &[query(up, "{{instance}}")]));
    let sessions = [query("sum by (instance) (fishplate_sessions)", "{{instance}}")];
    panels.graph("Client connections", "", Unit::Count, 8, &sessions);
    memory(panels, 8);
    let waits = [query("sum by (pool) (rate(fishplate_memory_waits_total[$__rate_interval]))", "{{pool}}")];
    panels.graph("Waited for memory", "How often a connection had to.", Unit::PerSecond, 8, &waits);
    let counted = [
        query("sum(fishplate_lag_pairs)", "pairs of group and partition"),
        query("sum(fishplate_lag_pairs_hidden)", "not shown"),
        query("sum by (reason) (fishplate_lag_unknown)", "unknown: {{reason}}"),
    ];
    panels.graph("Lag that is counted", "", Unit::Count, 8, &counted);
    let age = [query("max by (cluster) (fishplate_lag_sweep_age_seconds)", "{{cluster}}")];
    panels.graph("Since the last sweep", "Clusters are asked every minute.", Unit::Seconds, 8, &age);
    let lost = [query("sum by (instance) (rate(fishplate_observations_lost_total[$__rate_interval]))", "{{instance}}")];
    panels.graph("Observations lost", "0, or lag comes from sweeps.", Unit::PerSecond, 8, &lost);
}

/// What is asked above the dashboard: where from, and of a pipeline's, which groups.
fn variables(own: Option<&str>) -> Vec<Value> {
    let source = json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" });
    let groups = own.map(|own| {
        let values = format!("label_values(fishplate_topic_lag_records{{{own}}}, group)");
        json!({
            "name": "group", "label": "Group", "type": "query", "datasource": datasource(),
            "query": { "query": values, "refId": "groups" }, "refresh": 2, "includeAll": true, "multi": true, "allValue": ".*",
            "current": { "text": "All", "value": "$__all" }, "sort": 1,
        })
    });
    [source].into_iter().chain(groups).collect()
}

fn dashboard(title: &str, uid: &str, own: Option<&str>, panels: Panels) -> String {
    let all = json!({
        "description": MARK,
        "uid": uid,
        "title": title,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-3h", "to": "now" },
        "timezone": "browser",
        "links": [{
            "type": "dashboards", "title": "Fishplate", "tags": [TAG], "asDropdown": true, "icon": "external link",
            "includeVars": false, "keepTime": true, "targetBlank": false, "tooltip": "",
        }],
        "templating": { "list": variables(own) },
        "panels": panels.finish(),
    });
    format!("{all:#}\n")
}
