//! The families that are written of lag: their names, labels and what they say. Docs, rules and dashboards go by this table.

use super::text::Family;
use super::text::Kind::{self, Counter, Gauge};

const PAIR: &[&str] = &["pipeline", "cluster", "group", "topic", "partition"];
const TOPIC: &[&str] = &["pipeline", "cluster", "group", "topic"];
const GROUP: &[&str] = &["pipeline", "group"];
const PARTITION: &[&str] = &["pipeline", "cluster", "topic", "partition"];
const KNOWN: &[&str] = &["cluster_name", "group", "topic", "partition"];
const KNOWN_GROUP: &[&str] = &["cluster_name", "group"];

const fn family(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, help, kind, labels }
}

macro_rules! families {
    ($($const:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(pub(super) const $const: Family = family($name, $kind, $labels, $help);)*
        /// All of them.
        pub const ALL: &[Family] = &[$($const),*];
    };
}

families! {
    LAG_RECORDS = "fishplate_group_lag_records", Gauge, PAIR, "Records of the partition that the group has not committed. Control records at its end are none.";
    LAG_SECONDS = "fishplate_group_lag_seconds", Gauge, PAIR, "Age of the first record that the group has not committed, as of this scrape; 0 where there is none; absent where that was last confirmed more than three minutes ago.";
    COMMITTED = "fishplate_group_committed_offset", Gauge, PAIR, "Up to where the group has committed.";
    FETCHED = "fishplate_group_fetched_offset", Gauge, PAIR, "Up to where the group was handed records; absent where they did not pass by.";
    UNFETCHED = "fishplate_group_unfetched_records", Gauge, PAIR, "Records that the group was not handed yet; absent where that is not known.";
    MARGIN = "fishplate_group_retention_margin_seconds", Gauge, PAIR, "How much younger the first record that is not committed is than where the log starts: so soon retention takes it, if nothing is read.";
    SOURCE = "fishplate_group_lag_source", Gauge, &["pipeline", "cluster", "group", "topic", "partition", "source"], "Always 1. Where the seconds come from: arrival (we saw it written), noticed (we saw the end move: at most so old), record_time (the record's own time stamp), unknown (there are none, or the last word on where the partition ends is older than three minutes).";
    TOPIC_RECORDS = "fishplate_topic_lag_records", Gauge, TOPIC, "Records of the topic that the group has not committed.";
    TOPIC_SECONDS = "fishplate_topic_lag_seconds", Gauge, TOPIC, "Age of the oldest record of the topic that the group has not committed.";
    TOPIC_PARTITIONS = "fishplate_topic_lag_partitions", Gauge, TOPIC, "Partitions of the topic that are counted for the group.";
    PIPELINE_RECORDS = "fishplate_pipeline_lag_records", Gauge, GROUP, "Records of the pipeline's topics that the group has not committed.";
    PIPELINE_SECONDS = "fishplate_pipeline_lag_seconds", Gauge, GROUP, "Age of the oldest record of the pipeline's topics that the group has not committed.";
    MEMBERS = "fishplate_group_members", Gauge, GROUP, "1 while the group has members, else 0; absent where that is not known.";
    END = "fishplate_partition_end_offset", Gauge, PARTITION, "Behind the last record that a reader is given.";
    STABLE = "fishplate_partition_stable_offset", Gauge, PARTITION, "Behind the last record that a reader of committed records is given.";
    START = "fishplate_partition_start_offset", Gauge, PARTITION, "Where the log starts.";
    PRODUCED_RECORDS = "fishplate_partition_produced_records_total", Counter, PARTITION, "Records written through Fishplate.";
    PRODUCED_BYTES = "fishplate_partition_produced_bytes_total", Counter, PARTITION, "Bytes of record batches written through Fishplate.";
    SLO_RECORDS = "fishplate_slo_records_total", Counter, GROUP, "Records that the group has committed and of which it is known when they came.";
    SLO_LATE_RECORDS = "fishplate_slo_late_records_total", Counter, GROUP, "Those of them that were committed later than the target.";
    SLO_SECONDS = "fishplate_slo_seconds_total", Counter, GROUP, "Seconds for which the group was watched.";
    SLO_LATE_SECONDS = "fishplate_slo_late_seconds_total", Counter, GROUP, "Those of them in which a record was waiting for longer than the target, also while no consumer lives.";
    SLO_TARGET = "fishplate_slo_target_seconds", Gauge, &["pipeline"], "So soon the pipeline's records are to be committed.";
    SLO_OBJECTIVE = "fishplate_slo_objective_ratio", Gauge, &["pipeline"], "For this part of the records and seconds the target is to hold.";
    PAIRS = "fishplate_lag_pairs", Gauge, &[], "Groups at partitions that are known.";
    HIDDEN = "fishplate_lag_pairs_hidden", Gauge, &[], "Those of them that are not shown, since there are more than `metrics.max_pairs`: the worst are shown.";
    UNKNOWN = "fishplate_lag_unknown", Gauge, &["reason"], "Groups at partitions without a value: end (it is not known where the partition ends), time (nor when the record came), stale (nothing was behind, but for three minutes nobody has said where the partition ends), no_room (facts about further groups, or of further ones, than are kept, since the start).";
    SWEEPS = "fishplate_lag_sweeps_total", Counter, &["cluster", "result"], "Times that a cluster was asked for what does not pass by.";
    SWEEP_AGE = "fishplate_lag_sweep_age_seconds", Gauge, &["cluster"], "How long ago a cluster last told it.";
    KNOWN_LAG = "kafka_consumergroup_group_lag", Gauge, KNOWN, "As fishplate_group_lag_records, under the name that dashboards know.";
    KNOWN_LAG_SECONDS = "kafka_consumergroup_group_lag_seconds", Gauge, KNOWN, "As fishplate_group_lag_seconds, under the name that dashboards know.";
    KNOWN_MAX_LAG = "kafka_consumergroup_group_max_lag", Gauge, KNOWN_GROUP, "The most of kafka_consumergroup_group_lag.";
    KNOWN_MAX_LAG_SECONDS = "kafka_consumergroup_group_max_lag_seconds", Gauge, KNOWN_GROUP, "The most of kafka_consumergroup_group_lag_seconds.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue::{FAMILIES, Of};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_list_of_all_metrics_has_the_same() {
        type Facts = (&'static str, BTreeSet<&'static str>);
        let labels = |labels: &'static [&'static str]| labels.iter().copied().collect::<BTreeSet<_>>();
        let kind = |kind| if matches!(kind, Counter) { "counter" } else { "gauge" };
        let here: BTreeMap<_, Facts> =
            ALL.iter().map(|family| (family.name, (kind(family.kind), labels(family.labels)))).collect();
        let listed = FAMILIES.iter().filter(|family| matches!(family.of, Of::Lag | Of::Compatibility));
        let listed: BTreeMap<_, Facts> =
            listed.map(|family| (family.name, (family.kind.as_str(), labels(family.labels)))).collect();
        assert_eq!(here, listed);
    }
}
