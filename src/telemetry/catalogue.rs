//! Every metric that Fishplate exports: the one list that the documentation is made from, and that the exporter, rules and
//! dashboards are held against.

use std::fmt::Write as _;

/// What is exported under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// As it is exported; a histogram's and a summary's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What can be done with it.
    pub kind: Kind,
    /// In which order does not matter.
    pub labels: &'static [&'static str],
    /// In words.
    pub means: &'static str,
    /// Whose series they are.
    pub of: Of,
}

/// As Prometheus calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows, and begins anew with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many were up to how much.
    Histogram,
    /// How much all were together, and how many; no quantiles.
    Summary,
}

impl Kind {
    /// As it stands behind `# TYPE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// What a family is about, and so where it is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// Clients' requests.
    Requests,
    /// Clients.
    Clients,
    /// Clusters and connections to them.
    Clusters,
    /// Contract, limits and lanes.
    Policy,
    /// The process.
    Process,
    /// Consumers' lag, partitions and service levels: written beside the registry.
    Lag,
    /// The same under names that other exporters gave it: only with `metrics: { compatibility: true }`.
    Compatibility,
}

impl Of {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Requests, "Requests"),
        (Self::Clients, "Clients"),
        (Self::Clusters, "Clusters"),
        (Self::Policy, "Contract, limits and lanes"),
        (Self::Process, "The process"),
        (Self::Lag, "Lag, partitions and service levels"),
        (Self::Compatibility, "Lag under other exporters' names"),
    ];
}

impl Family {
    /// What it is measured in, by its name.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let bare = self.name.strip_suffix("_total").unwrap_or(self.name);
        let units = [("_seconds", "seconds"), ("_bytes", "bytes"), ("_ratio", "share of 1"), ("_offset", "offset")];
        let records = bare.ends_with("_records").then_some("records");
        let unit = units.into_iter().find(|(suffix, _)| bare.ends_with(suffix)).map(|(_, unit)| unit);
        unit.or(records).unwrap_or("")
    }
}

const fn counter(of: Of, name: &'static str, labels: &'static [&'static str], means: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels, means, of }
}

const fn gauge(of: Of, name: &'static str, labels: &'static [&'static str], means: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, means, of }
}

const fn histogram(of: Of, name: &'static str, labels: &'static [&'static str], means: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, labels, means, of }
}

const fn summary(of: Of, name: &'static str, labels: &'static [&'static str], means: &'static str) -> Family {
    Family { name, kind: Kind::Summary, labels, means, of }
}

const REQUEST: &[&str] = &["api", "pipeline", "cluster"];
const PAIR: &[&str] = &["pipeline", "cluster", "group", "topic", "partition"];
const SUM: &[&str] = &["pipeline", "cluster", "group", "topic"];
const GROUP: &[&str] = &["pipeline", "group"];
const TOPIC: &[&str] = &["pipeline", "cluster", "topic"];
const PARTITION: &[&str] = &["pipeline", "cluster", "topic", "partition"];

/// All of them.
#[rustfmt::skip]
pub const FAMILIES: &[Family] = &[
    counter(Of::Requests, "fishplate_requests_total", REQUEST, "Requests answered."),
    histogram(Of::Requests, "fishplate_request_duration_seconds", REQUEST, "From a request's last byte to its answer."),
    counter(Of::Requests, "fishplate_request_bytes_total", REQUEST, "Bytes read from clients."),
    counter(Of::Requests, "fishplate_response_bytes_total", REQUEST, "Bytes written to clients."),
    counter(Of::Requests, "fishplate_errors_total", &["api", "pipeline", "cluster", "by"], "Requests that got no answer from where they belong, or not to all of it, by whose fault: `client`, `cluster`, `proxy`. A request counts once, however many brokers failed it; a client that left is nobody's error."),
    counter(Of::Requests, "fishplate_error_codes_total", &["api", "pipeline", "cluster", "code"], "Answers that bear this Kafka error code, the clusters' own and ours. Some are everyday: `REBALANCE_IN_PROGRESS`, `MEMBER_ID_REQUIRED`."),
    gauge(Of::Requests, "fishplate_requests_in_flight", &[], "Requests that were read and are not answered."),
    counter(Of::Requests, "fishplate_record_bytes_copied_total", &[], "Bytes of records copied in user space on their way: 0 unless something edits records (up to a KiB of a frame that follows a small one is moved and not counted)."),

    gauge(Of::Clients, "fishplate_sessions", &[], "Client connections."),
    counter(Of::Clients, "fishplate_sessions_opened_total", &[], "Client connections that were accepted."),
    counter(Of::Clients, "fishplate_sessions_closed_total", &["reason"], "Client connections that ended, and why."),
    counter(Of::Clients, "fishplate_handshakes_failed_total", &["reason"], "TLS handshakes of clients that came to nothing: `protocol` (no TLS, a wrong or missing certificate), `timeout`, `io` (the client went), `principal` (no rule of `principal_mapping` names who showed its certificate)."),
    counter(Of::Clients, "fishplate_sessions_refused_total", &["limit"], "Client connections closed at once: `limits` allows no more (`sessions`, `sessions_per_address`), or they did not begin as `proxy_protocol` asks."),
    gauge(Of::Clients, "fishplate_client_sessions", &["software", "version", "view"], "Client connections by what clients say they are, and what they are shown; `unknown` where they do not say; at most 200 kinds, the rest is `other`."),
    counter(Of::Clients, "fishplate_client_sightings_total", &["software", "version", "view"], "How often such a client came."),
    counter(Of::Clients, "fishplate_logins_total", &["listener", "mechanism", "result"], "Clients that logged in (`succeeded`), showed again who they are (`renewed`), or were turned away (`failed`; mechanism `none`: they wanted one that the listener does not have)."),
    counter(Of::Clients, "fishplate_logins_held_seconds_total", &["listener"], "How long answers to clients that were turned away were held, against guessing."),
    gauge(Of::Clients, "fishplate_users", &["listener"], "Users that may log in with a password."),
    counter(Of::Clients, "fishplate_users_reloads_total", &["listener", "result"], "Files of users that had changed: `applied`, or `invalid` (the users before stay)."),

    gauge(Of::Clients, "fishplate_jwks_read_time_seconds", &["listener"], "When the keys that clients' tokens are checked with (`jwks`) were last read, in seconds since 1970; 0: never yet. An address is asked every hour, a file looked at every five seconds."),
    counter(Of::Clients, "fishplate_jwks_reads_total", &["listener", "result"], "Times that those keys were asked for: `ok`, or `failed` (those that are there stay)."),

    counter(Of::Clients, "fishplate_denied_total", &["operation", "resource"], "What clients asked for and may not do (docs/authorization.md), by operation and kind of resource, in Kafka's words."),

    gauge(Of::Clusters, "fishplate_cluster_up", &["cluster"], "1 while a broker of it answers, else 0."),
    histogram(Of::Clusters, "fishplate_upstream_duration_seconds", &["cluster"], "How long a cluster took: the rest of a request's time is ours."),
    gauge(Of::Clusters, "fishplate_metadata_age_seconds", &["cluster"], "How old is what we know of it."),
    counter(Of::Clusters, "fishplate_metadata_refreshes_total", &["cluster", "result"], "How often its metadata was read."),
    counter(Of::Clusters, "fishplate_cluster_tokens_total", &["cluster", "result"], "Tokens that were asked for to log in with (OAUTHBEARER, AWS_MSK_IAM): `ok`, `failed`."),
    gauge(Of::Clusters, "fishplate_links", &["cluster", "use"], "Connections to brokers: a client's `session`, or our `own`."),
    counter(Of::Clusters, "fishplate_links_opened_total", &["cluster"], "Connections that became usable."),
    counter(Of::Clusters, "fishplate_links_closed_total", &["cluster", "reason"], "Connections that ended, and why."),
    counter(Of::Clusters, "fishplate_links_failed_total", &["cluster", "reason"], "Connections that never became usable, and why."),
    gauge(Of::Clusters, "fishplate_identity_links", &["cluster", "identity"], "Those of the connections that are open as an identity of the cluster's `identities`, and not as Fishplate itself."),
    counter(Of::Clusters, "fishplate_identity_links_failed_total", &["cluster", "identity", "reason"], "Connections as such an identity that never became usable, and why: `login` where the cluster did not let it in."),
    gauge(Of::Clusters, "fishplate_link_requests_in_flight", &["cluster"], "Requests sent to brokers and not answered."),
    gauge(Of::Clusters, "fishplate_misplaced_topics", &["records"], "Topics with records on a cluster that is not their home: `away` (none at home; kept from clients if it was so at the start), `both`."),

    counter(Of::Policy, "fishplate_contract_violations_total", &["pipeline", "on_violation"], "Records that broke the header contract."),
    counter(Of::Policy, "fishplate_limit_records_total", &["pipeline", "limit", "action", "verdict"], "Records that a limit counted: `passed`, `observed` (above it, only counted), `enforced`."),
    gauge(Of::Policy, "fishplate_limit_keys", &["pipeline", "limit"], "Keys that a limit tells apart now."),
    gauge(Of::Policy, "fishplate_limit_keys_beyond", &["pipeline", "limit"], "How often it was asked about others, which share one bucket."),
    counter(Of::Policy, "fishplate_lane_records_total", &["pipeline", "lane"], "Records that were moved to `overflow`, `dlq` or another cluster (`canary:CLUSTER`), or thrown away (`drop`); where there is a canary, also those that stay (`main`)."),
    histogram(Of::Policy, "fishplate_lane_duration_seconds", &["pipeline", "lane"], "From a batch's arrival until the cluster of a lane has answered what goes there."),
    counter(Of::Policy, "fishplate_policy_edited_batches_total", &["pipeline"], "Batches that were written anew."),
    counter(Of::Policy, "fishplate_policy_refused_batches_total", &["pipeline", "why"], "Batches that were refused: `contract`, `limit`, `unfit`."),
    counter(Of::Policy, "fishplate_policy_held_seconds_total", &["pipeline"], "How long answers were held by limits that throttle."),
    gauge(Of::Policy, "fishplate_policy_deputies", &[], "Idempotent producers at partitions that are written for under ids of our own, since their pipeline may move or drop records."),

    gauge(Of::Process, "fishplate_build_info", &["version"], "Always 1: which build."),
    gauge(Of::Process, "fishplate_start_time_seconds", &[], "Since when it runs, in seconds since 1970."),
    gauge(Of::Process, "fishplate_memory_bytes", &["pool"], "The config's pools of memory, `requests`, `responses`, `parked`: size."),
    gauge(Of::Process, "fishplate_memory_drawn_bytes", &["pool"], "What of it is in use."),
    gauge(Of::Process, "fishplate_memory_waiters", &["pool"], "Connections that wait for it now."),
    counter(Of::Process, "fishplate_memory_waits_total", &["pool"], "How often a connection had to wait for it."),
    counter(Of::Process, "fishplate_memory_waited_seconds_total", &["pool"], "How long, in all."),
    counter(Of::Process, "fishplate_config_reloads_total", &["result"], "Configs that were tried while running: `applied`, `unchanged`, `refused`, `invalid`."),
    gauge(Of::Process, "fishplate_config_info", &["hash"], "Always 1: which config is in force."),
    gauge(Of::Process, "fishplate_config_applied_time_seconds", &[], "Since when, in seconds since 1970."),
    gauge(Of::Process, "fishplate_certificate_expiry_time_seconds", &["side", "name", "part"], "When a certificate ends, in seconds since 1970: of a `listener` or the `admin` address (by where it is bound) or of a `cluster`; `certificate` is what is shown to the other side (of a chain the first that ends), `ca` whom the other side's is to be signed by (of several the last that ends)."),
    counter(Of::Process, "fishplate_certificate_reloads_total", &["side", "name", "result"], "Times that files of certificates, keys or trust had changed: `applied` to new connections, or `refused`, and what was there stays."),
    gauge(Of::Process, "fishplate_admin_tokens", &[], "Tokens that the admin address takes; 0 where it asks for none."),
    counter(Of::Process, "fishplate_admin_refused_total", &["reason"], "Requests to the admin address for secrets or changes that were refused: `wrong_token`, `no_token`, `crowded` (too many wrong ones come from that address at once), or, where it takes no tokens, `elsewhere` (from another machine), `name` (by a host name, or for a web page)."),
    counter(Of::Process, "fishplate_admin_token_reloads_total", &["result"], "Files of admin tokens that had changed: `applied`, or `invalid` (the tokens before stay)."),
    counter(Of::Process, "fishplate_task_restarts_total", &["task"], "Our own tasks that panicked and were begun anew."),
    counter(Of::Process, "fishplate_observations_lost_total", &[], "Facts about what passed by that nobody had room for: lag is then known by asking the clusters again."),

    gauge(Of::Lag, "fishplate_group_lag_records", PAIR, "Records of the partition that the group has not committed. Control records at its end are none."),
    gauge(Of::Lag, "fishplate_group_lag_seconds", PAIR, "Age of the first record that the group has not committed, as of this scrape; 0 where there is none; absent where that was last confirmed more than three minutes ago."),
    gauge(Of::Lag, "fishplate_group_committed_offset", PAIR, "Up to where the group has committed."),
    gauge(Of::Lag, "fishplate_group_fetched_offset", PAIR, "Up to where the group was handed records; absent where they did not pass by."),
    gauge(Of::Lag, "fishplate_group_unfetched_records", PAIR, "Records that the group was not handed yet; absent where that is not known."),
    gauge(Of::Lag, "fishplate_group_retention_margin_seconds", PAIR, "How much younger the first record that is not committed is than where the log starts: so soon retention takes it, if nothing is read."),
    gauge(Of::Lag, "fishplate_group_lag_source", &["pipeline", "cluster", "group", "topic", "partition", "source"], "Always 1. Where the seconds come from: arrival (we saw it written), noticed (we saw the end move: reckoned between two looks), record_time (the record's own time stamp), unknown (there are none, or the last word on where the partition ends is older than three minutes)."),
    gauge(Of::Lag, "fishplate_topic_lag_records", SUM, "Records of the topic that the group has not committed."),
    gauge(Of::Lag, "fishplate_topic_lag_seconds", SUM, "Age of the oldest record of the topic that the group has not committed."),
    gauge(Of::Lag, "fishplate_topic_lag_partitions", SUM, "Partitions of the topic that are counted for the group."),
    gauge(Of::Lag, "fishplate_pipeline_lag_records", GROUP, "Records of the pipeline's topics that the group has not committed."),
    gauge(Of::Lag, "fishplate_pipeline_lag_seconds", GROUP, "Age of the oldest record of the pipeline's topics that the group has not committed."),
    gauge(Of::Lag, "fishplate_group_members", GROUP, "1 while the group has members, else 0; absent where that is not known."),
    summary(Of::Lag, "fishplate_group_commit_interval_seconds", GROUP, "From one commit of the group at a partition to the next that goes on, or from when there was something to commit again, where that was later. The mean is rate(..._sum) / rate(..._count)."),
    histogram(Of::Lag, "fishplate_topic_produce_duration_seconds", TOPIC, "From the last byte of a request to its acknowledgement by the cluster; one for each batch."),
    histogram(Of::Lag, "fishplate_topic_delivery_duration_seconds", TOPIC, "From the acknowledgement of a record to its being handed to a reader; one for each partition with records in an answer to Fetch, by the first of them; where it was seen written."),
    gauge(Of::Lag, "fishplate_partition_end_offset", PARTITION, "Behind the last record that a reader is given."),
    gauge(Of::Lag, "fishplate_partition_stable_offset", PARTITION, "Behind the last record that a reader of committed records is given."),
    gauge(Of::Lag, "fishplate_partition_start_offset", PARTITION, "Where the log starts."),
    counter(Of::Lag, "fishplate_partition_produced_records_total", PARTITION, "Records written through Fishplate."),
    counter(Of::Lag, "fishplate_partition_produced_bytes_total", PARTITION, "Bytes of record batches written through Fishplate."),
    counter(Of::Lag, "fishplate_slo_records_total", GROUP, "Records that the group has committed and of which it is known when they came."),
    counter(Of::Lag, "fishplate_slo_late_records_total", GROUP, "Those of them that were committed later than the target."),
    counter(Of::Lag, "fishplate_slo_seconds_total", GROUP, "Seconds for which the group was watched."),
    counter(Of::Lag, "fishplate_slo_late_seconds_total", GROUP, "Those of them in which a record was waiting for longer than the target, also while no consumer lives."),
    gauge(Of::Lag, "fishplate_slo_target_seconds", &["pipeline"], "So soon the pipeline's records are to be committed."),
    gauge(Of::Lag, "fishplate_slo_objective_ratio", &["pipeline"], "For this part of the records and seconds the target is to hold."),
    gauge(Of::Lag, "fishplate_lag_pairs", &[], "Groups at partitions that are known."),
    gauge(Of::Lag, "fishplate_lag_pairs_hidden", &[], "Those of them that are not shown, since there are more than `metrics.max_pairs`: the worst are shown."),
    gauge(Of::Lag, "fishplate_lag_unknown", &["reason"], "Groups at partitions without a value: end (it is not known where the partition ends), time (nor when the record came), stale (nothing was behind, but for three minutes nobody has said where the partition ends), no_room (facts about further groups, or of further ones, than are kept, since the start)."),
    counter(Of::Lag, "fishplate_lag_sweeps_total", &["cluster", "result"], "Times that a cluster was asked for what does not pass by."),
    gauge(Of::Lag, "fishplate_lag_sweep_age_seconds", &["cluster"], "How long ago a cluster last told all of it; until it has, since it was first asked."),

    gauge(Of::Compatibility, "kafka_consumergroup_group_lag", &["cluster_name", "group", "topic", "partition"], "As fishplate_group_lag_records, under the name that dashboards know."),
    gauge(Of::Compatibility, "kafka_consumergroup_group_lag_seconds", &["cluster_name", "group", "topic", "partition"], "As fishplate_group_lag_seconds, under the name that dashboards know."),
    gauge(Of::Compatibility, "kafka_consumergroup_group_max_lag", &["cluster_name", "group"], "The most of kafka_consumergroup_group_lag."),
    gauge(Of::Compatibility, "kafka_consumergroup_group_max_lag_seconds", &["cluster_name", "group"], "The most of kafka_consumergroup_group_lag_seconds."),
];

/// The family of this name, for who writes it: there is one, or the crate does not compile.
#[must_use]
#[allow(clippy::indexing_slicing, clippy::panic, reason = "asked while compiling, where there is no other way")]
pub const fn written_as(name: &str) -> Family {
    let mut at = 0;
    while at < FAMILIES.len() {
        if is_same(FAMILIES[at].name.as_bytes(), name.as_bytes()) {
            return FAMILIES[at];
        }
        at += 1;
    }
    panic!("no such family stands in the list of all metrics")
}

#[allow(clippy::indexing_slicing, reason = "within both")]
const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The family of a series' name, that of a histogram's or summary's parts too.
#[must_use]
pub fn family(series: &str) -> Option<&'static Family> {
    let of = |name: &str| FAMILIES.iter().find(|family| family.name == name);
    let of_part = || {
        let bare = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| series.strip_suffix(suffix))?;
        of(bare).filter(|family| match family.kind {
            Kind::Histogram => true,
            Kind::Summary => !series.ends_with("_bucket"),
            Kind::Counter | Kind::Gauge => false,
        })
    };
    of(series).or_else(of_part)
}

/// docs/metrics.md.
#[must_use]
pub fn page() -> String {
    let mut text = "# Metrics\n\n\
        What `/metrics` on the config's `admin` address exports. This page is made from `src/telemetry/catalogue.rs`; a test says when it \
        is not.\n\n\
        `pipeline` and `cluster` are names of the config, `none` where a request concerns none (ApiVersions), `several` where it concerns \
        more than one; nothing in the config may be called so. What is not known is absent: there is no NaN and no -1. A counter begins at 0 \
        with the process. `fishplate provision` makes alerts and dashboards of these: [slo.md](slo.md).\n"
        .to_owned();
    for (of, title) in Of::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {title}\n\n| metric | kind | unit | labels | is |\n|---|---|---|---|---|\n");
        for family in FAMILIES.iter().filter(|family| family.of == of) {
            let Family { name, kind, labels, means, .. } = family;
            let _ = writeln!(
                text,
                "| `{name}` | {} | {} | {} | {means} |",
                kind.as_str(),
                family.unit(),
                labels.join(", ")
            );
        }
    }
    text
}
