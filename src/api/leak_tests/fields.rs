//! That sentinels are planted everywhere: a field that the codec learns is planted, or is known to be harmless.

use super::answers::{self, How};
use super::{HOST, IDS, PORT, admin, assigned, everywhere, requests};
use kafka_protocol::messages::OffsetFetchResponse;
use std::fmt::Debug;

/// What answers hold besides what is planted: numbers that name no broker, enumerations, names of configs, and what was
/// asked (of `resource_name` the test above asks a broker by its real id).
const HARMLESS: &[&str] = &[
    "acknowledge_error_code",
    "acquisition_lock_timeout_ms",
    "allow_replication_factor_change",
    "assignment_epoch",
    "authorized_operations",
    "base_offset",
    "batch_index",
    "cluster_authorized_operations",
    "committed_leader_epoch",
    "committed_offset",
    "config_source",
    "config_type",
    "coordinator_epoch",
    "current_txn_start_offset",
    "delivery_count",
    "end_offset",
    "epoch",
    "error_code",
    "first_offset",
    "generation_id",
    "group_epoch",
    "heartbeat_interval_ms",
    "high_watermark",
    "index",
    "is_future_key",
    "is_internal",
    "is_sensitive",
    "iterations",
    "last_offset",
    "last_sequence",
    "last_stable_offset",
    "last_timestamp",
    "leader_epoch",
    "log_append_time_ms",
    "log_start_offset",
    "low_watermark",
    "match_type",
    "mechanism",
    "member_epoch",
    "member_type",
    "name",
    "num_partitions",
    "offset",
    "offset_lag",
    "ongoing_txn_producer_epoch",
    "ongoing_txn_producer_id",
    "operation",
    "partition",
    "partition_error_code",
    "partition_id",
    "partition_index",
    "partition_size",
    "pattern_type",
    "permission_type",
    "producer_epoch",
    "producer_id",
    "read_only",
    "replication_factor",
    "resource_name",
    "resource_type",
    "session_id",
    "skip_assignment",
    "source",
    "start_offset",
    "throttle_time_ms",
    "timestamp",
    "topic_authorized_operations",
    "topic_config_error_code",
    "topic_id",
    "total_bytes",
    "transaction_start_time_ms",
    "transaction_timeout_ms",
    "usable_bytes",
];

/// Fields that stay as they are in a planted answer, for a field that the codec learns would be unplanted.
fn unplanted(answer: &dyn Debug) -> Vec<String> {
    let planted = |value: &str| {
        let texts = [HOST.to_owned(), "kept".to_owned(), PORT.to_string()];
        texts.into_iter().chain(IDS.map(|id| id.to_string())).any(|text| value.contains(&text))
    };
    let shown = format!("{answer:#?}");
    let leaves = shown.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
    let leaves = leaves.filter(|(name, value)| {
        let opens = value.ends_with(['{', '[', '(']);
        !opens && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !HARMLESS.contains(name)
    });
    // A quota's.
    let leaves = leaves.filter(|(name, value)| *name != "value" || value.parse::<f64>().is_err());
    leaves.filter(|(_, value)| !planted(value)).map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn every_field_of_an_answer_is_planted_or_known_to_be_harmless() {
    let how = |version| How { version, code: 0 };
    let all: Vec<Box<dyn Debug>> = vec![
        Box::new(answers::metadata()),
        Box::new(answers::list_offsets(&requests::list_offsets(10), how(10))),
        Box::new(answers::epochs(&requests::epochs(4), how(4))),
        Box::new(answers::join_group(&requests::join_group(9), how(9))),
        Box::new(answers::sync_group(&requests::sync_group(5), how(5))),
        Box::new(answers::heartbeat(&requests::heartbeat(4), how(4))),
        Box::new(answers::leave_group(&requests::leave_group(5), how(5))),
        Box::new(answers::offset_commit(&requests::offset_commit(9), how(9))),
        Box::new(answers::describe_groups(&requests::describe_groups(6), how(6))),
        Box::new(answers::delete_groups(&requests::delete_groups(2), how(2))),
        Box::new(answers::list_groups(&requests::list_groups(5), how(5))),
        Box::new(answers::create_topics(&requests::create_topics(7), how(7))),
        Box::new(answers::delete_topics(&requests::delete_topics(6), how(6))),
        Box::new(answers::describe_configs(&requests::describe_configs(4), how(4))),
        Box::new(answers::produce(&requests::produce(12), how(12))),
        Box::new(answers::fetch(&requests::fetch(12, 2), how(12))),
        Box::new(offset_fetch_of_both_shapes()),
        Box::new(answers::init_producer_id(&requests::init_transactions(5), how(5))),
        Box::new(answers::add_partitions(&requests::add_partitions(5), how(5))),
        Box::new(answers::add_offsets(&requests::add_offsets(4), how(4))),
        Box::new(answers::end_txn(&requests::end_txn(5), how(5))),
        Box::new(answers::txn_offset_commit(&requests::txn_offset_commit(5), how(5))),
        Box::new(answers::describe_transactions(&requests::describe_transactions(0), how(0))),
        Box::new(answers::list_transactions(&requests::list_transactions(2), how(2))),
    ];
    for answer in all.into_iter().chain(assigned::answers()).chain(admin::answers()).chain(everywhere::answers()) {
        assert_eq!(unplanted(&*answer), Vec::<String>::new(), "plant these, or list them as harmless: {answer:#?}");
    }
}

fn offset_fetch_of_both_shapes() -> OffsetFetchResponse {
    let how = |version| How { version, code: 0 };
    let old = answers::offset_fetch(&requests::offset_fetch(7), how(7));
    answers::offset_fetch(&requests::offset_fetch(9), how(9)).with_topics(old.topics)
}
