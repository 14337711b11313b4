//! The families that are written of lag. What each is stands in the list of all metrics (`telemetry::catalogue`).

use crate::telemetry::catalogue::{Family, written_as};

macro_rules! families {
    ($($const:ident = $name:literal;)*) => {
        $(pub(super) const $const: Family = written_as($name);)*
        /// All of them.
        pub const ALL: &[Family] = &[$($const),*];
    };
}

families! {
    LAG_RECORDS = "fishplate_group_lag_records";
    LAG_SECONDS = "fishplate_group_lag_seconds";
    COMMITTED = "fishplate_group_committed_offset";
    FETCHED = "fishplate_group_fetched_offset";
    UNFETCHED = "fishplate_group_unfetched_records";
    MARGIN = "fishplate_group_retention_margin_seconds";
    SOURCE = "fishplate_group_lag_source";
    TOPIC_RECORDS = "fishplate_topic_lag_records";
    TOPIC_SECONDS = "fishplate_topic_lag_seconds";
    TOPIC_PARTITIONS = "fishplate_topic_lag_partitions";
    PIPELINE_RECORDS = "fishplate_pipeline_lag_records";
    PIPELINE_SECONDS = "fishplate_pipeline_lag_seconds";
    MEMBERS = "fishplate_group_members";
    COMMIT_INTERVAL = "fishplate_group_commit_interval_seconds";
    PRODUCE = "fishplate_topic_produce_duration_seconds";
    DELIVERY = "fishplate_topic_delivery_duration_seconds";
    END = "fishplate_partition_end_offset";
    STABLE = "fishplate_partition_stable_offset";
    START = "fishplate_partition_start_offset";
    PRODUCED_RECORDS = "fishplate_partition_produced_records_total";
    PRODUCED_BYTES = "fishplate_partition_produced_bytes_total";
    SLO_RECORDS = "fishplate_slo_records_total";
    SLO_LATE_RECORDS = "fishplate_slo_late_records_total";
    SLO_SECONDS = "fishplate_slo_seconds_total";
    SLO_LATE_SECONDS = "fishplate_slo_late_seconds_total";
    SLO_TARGET = "fishplate_slo_target_seconds";
    SLO_OBJECTIVE = "fishplate_slo_objective_ratio";
    PAIRS = "fishplate_lag_pairs";
    HIDDEN = "fishplate_lag_pairs_hidden";
    UNKNOWN = "fishplate_lag_unknown";
    SWEEPS = "fishplate_lag_sweeps_total";
    SWEEP_AGE = "fishplate_lag_sweep_age_seconds";
    KNOWN_LAG = "kafka_consumergroup_group_lag";
    KNOWN_LAG_SECONDS = "kafka_consumergroup_group_lag_seconds";
    KNOWN_MAX_LAG = "kafka_consumergroup_group_max_lag";
    KNOWN_MAX_LAG_SECONDS = "kafka_consumergroup_group_max_lag_seconds";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue::{FAMILIES, Of};
    use std::collections::BTreeSet;

    #[test]
    fn all_that_the_list_has_of_lag_is_written() {
        let names = |all: &[Family]| all.iter().map(|family| family.name).collect::<BTreeSet<_>>();
        let listed: Vec<_> =
            FAMILIES.iter().filter(|family| matches!(family.of, Of::Lag | Of::Compatibility)).copied().collect();
        assert_eq!(names(ALL), names(&listed));
    }
}
