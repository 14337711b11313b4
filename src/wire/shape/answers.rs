//! The fields of every answer that we read of brokers; see `requests.rs`.

use super::Shape;
use super::field::{Field, boolean, bytes, int8, int16, int32, int32s, int64, row, row_or_null, rows, text, texts, uuid};

// Versions 3 to 13.
pub(super) const PRODUCE: Shape = Shape::flexible(9, &[
    rows("responses", &[
        text("name").until(12),
        uuid("topic_id").since(13),
        rows("partition_responses", &[
            int32("index"),
            int16("error_code"),
            int64("base_offset"),
            int64("log_append_time_ms"),
            int64("log_start_offset").since(5),
            rows("record_errors", &[
                int32("batch_index"),
                text("batch_index_error_message"),
            ]).since(8),
            text("error_message").since(8),
            row("current_leader", &[
                int32("leader_id"),
                int32("leader_epoch"),
            ]).tag(0).since(10),
        ]),
    ]),
    int32("throttle_time_ms"),
    rows("node_endpoints", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack"),
    ]).tag(0).since(10),
]);

// Versions 4 to 18.
pub(super) const FETCH: Shape = Shape::flexible(12, &[
    int32("throttle_time_ms"),
    int16("error_code").since(7),
    int32("session_id").since(7),
    rows("responses", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            int64("high_watermark"),
            int64("last_stable_offset"),
            int64("log_start_offset").since(5),
            rows("aborted_transactions", &[
                int64("producer_id"),
                int64("first_offset"),
            ]),
            int32("preferred_read_replica").since(11),
            bytes("records"),
            row("diverging_epoch", &[
                int32("epoch"),
                int64("end_offset"),
            ]).tag(0),
            row("current_leader", &[
                int32("leader_id"),
                int32("leader_epoch"),
            ]).tag(1),
            row("snapshot_id", &[
                int64("end_offset"),
                int32("epoch"),
            ]).tag(2),
        ]),
    ]),
    rows("node_endpoints", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack"),
    ]).tag(0).since(16),
]);

// Versions 1 to 10.
pub(super) const LIST_OFFSETS: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(2),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            int64("timestamp"),
            int64("offset"),
            int32("leader_epoch").since(4),
        ]),
    ]),
]);

// Versions 0 to 13.
pub(super) const METADATA: Shape = Shape::flexible(9, &[
    int32("throttle_time_ms").since(3),
    rows("brokers", &[
        int32("node_id"),
        text("host"),
        int32("port"),
        text("rack").since(1),
    ]),
    text("cluster_id").since(2),
    int32("controller_id").since(1),
    rows("topics", &[
        int16("error_code"),
        text("name"),
        uuid("topic_id").since(10),
        boolean("is_internal").since(1),
        rows("partitions", &[
            int16("error_code"),
            int32("partition_index"),
            int32("leader_id"),
            int32("leader_epoch").since(7),
            int32s("replica_nodes"),
            int32s("isr_nodes"),
            int32s("offline_replicas").since(5),
        ]),
        int32("topic_authorized_operations").since(8),
    ]),
    int32("cluster_authorized_operations").since(8).until(10),
    int16("error_code").since(13),
]);

// Versions 2 to 10.
pub(super) const OFFSET_COMMIT: Shape = Shape::flexible(8, &[
    int32("throttle_time_ms").since(3),
    rows("topics", &[
        text("name").until(9),
        uuid("topic_id").since(10),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);

// Versions 1 to 10.
pub(super) const OFFSET_FETCH: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(3),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("committed_offset"),
            int32("committed_leader_epoch").since(5),
            text("metadata"),
            int16("error_code"),
        ]),
    ]).until(7),
    int16("error_code").since(2).until(7),
    rows("groups", &[
        text("group_id"),
        rows("topics", &[
            text("name").until(9),
            uuid("topic_id").since(10),
            rows("partitions", &[
                int32("partition_index"),
                int64("committed_offset"),
                int32("committed_leader_epoch"),
                text("metadata"),
                int16("error_code"),
            ]),
        ]),
        int16("error_code"),
    ]).since(8),
]);

// Versions 0 to 6.
pub(super) const FIND_COORDINATOR: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms").since(1),
    int16("error_code").until(3),
    text("error_message").since(1).until(3),
    int32("node_id").until(3),
    text("host").until(3),
    int32("port").until(3),
    rows("coordinators", &[
        text("key"),
        int32("node_id"),
        text("host"),
        int32("port"),
        int16("error_code"),
        text("error_message"),
    ]).since(4),
]);

// Versions 0 to 9.
pub(super) const JOIN_GROUP: Shape = Shape::flexible(6, &[
    int32("throttle_time_ms").since(2),
    int16("error_code"),
    int32("generation_id"),
    text("protocol_type").since(7),
    text("protocol_name"),
    text("leader"),
    boolean("skip_assignment").since(9),
    text("member_id"),
    rows("members", &[
        text("member_id"),
        text("group_instance_id").since(5),
        bytes("metadata"),
    ]),
]);

// Versions 0 to 4.
pub(super) const HEARTBEAT: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
]);

// Versions 0 to 5.
pub(super) const LEAVE_GROUP: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    rows("members", &[
        text("member_id"),
        text("group_instance_id"),
        int16("error_code"),
    ]).since(3),
]);

// Versions 0 to 5.
pub(super) const SYNC_GROUP: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    text("protocol_type").since(5),
    text("protocol_name").since(5),
    bytes("assignment"),
]);

// Versions 0 to 6.
pub(super) const DESCRIBE_GROUPS: Shape = Shape::flexible(5, &[
    int32("throttle_time_ms").since(1),
    rows("groups", &[
        int16("error_code"),
        text("error_message").since(6),
        text("group_id"),
        text("group_state"),
        text("protocol_type"),
        text("protocol_data"),
        rows("members", &[
            text("member_id"),
            text("group_instance_id").since(4),
            text("client_id"),
            text("client_host"),
            bytes("member_metadata"),
            bytes("member_assignment"),
        ]),
        int32("authorized_operations").since(3),
    ]),
]);

// Versions 0 to 5.
pub(super) const LIST_GROUPS: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms").since(1),
    int16("error_code"),
    rows("groups", &[
        text("group_id"),
        text("protocol_type"),
        text("group_state").since(4),
        text("group_type").since(5),
    ]),
]);

// Versions 0 to 4.
pub(super) const API_VERSIONS: Shape = Shape::flexible(3, &[
    int16("error_code"),
    rows("api_keys", &[
        int16("api_key"),
        int16("min_version"),
        int16("max_version"),
    ]),
    int32("throttle_time_ms").since(1),
    rows("supported_features", &[
        text("name"),
        int16("min_version"),
        int16("max_version"),
    ]).tag(0),
    int64("finalized_features_epoch").tag(1),
    rows("finalized_features", &[
        text("name"),
        int16("max_version_level"),
        int16("min_version_level"),
    ]).tag(2),
    boolean("zk_migration_ready").tag(3),
]);

// Versions 2 to 7.
pub(super) const CREATE_TOPICS: Shape = Shape::flexible(5, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        uuid("topic_id").since(7),
        int16("error_code"),
        text("error_message"),
        int32("num_partitions").since(5),
        int16("replication_factor").since(5),
        rows("configs", &[
            text("name"),
            text("value"),
            boolean("read_only"),
            int8("config_source"),
            boolean("is_sensitive"),
        ]).since(5),
        int16("topic_config_error_code").tag(0),
    ]),
]);

// Versions 1 to 6.
pub(super) const DELETE_TOPICS: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("responses", &[
        text("name"),
        uuid("topic_id").since(6),
        int16("error_code"),
        text("error_message").since(5),
    ]),
]);

// Versions 0 to 6.
pub(super) const INIT_PRODUCER_ID: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    int64("producer_id"),
    int16("producer_epoch"),
    int64("ongoing_txn_producer_id").since(6),
    int16("ongoing_txn_producer_epoch").since(6),
]);

// Versions 0 to 5.
pub(super) const ADD_PARTITIONS_TO_TXN: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    int16("error_code").since(4),
    rows("results_by_transaction", &[
        text("transactional_id"),
        rows("topic_results", ADDED_TOPIC),
    ]).since(4),
    rows("results_by_topic_v3_and_below", ADDED_TOPIC).until(3),
]);

const ADDED_TOPIC: &[Field] = &[
    text("name"),
    rows("results_by_partition", &[
        int32("partition_index"),
        int16("partition_error_code"),
    ]),
];

// Versions 0 to 4.
pub(super) const ADD_OFFSETS_TO_TXN: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    int16("error_code"),
]);

// Versions 0 to 5.
pub(super) const END_TXN: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    int64("producer_id").since(5),
    int16("producer_epoch").since(5),
]);

// Versions 0 to 5.
pub(super) const TXN_OFFSET_COMMIT: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);

// Versions 2 to 4.
pub(super) const OFFSET_FOR_LEADER_EPOCH: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("topic"),
        rows("partitions", &[
            int16("error_code"),
            int32("partition"),
            int32("leader_epoch"),
            int64("end_offset"),
        ]),
    ]),
]);

// Versions 1 to 4.
pub(super) const DESCRIBE_CONFIGS: Shape = Shape::flexible(4, &[
    int32("throttle_time_ms"),
    rows("results", &[
        int16("error_code"),
        text("error_message"),
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            text("value"),
            boolean("read_only"),
            int8("config_source"),
            boolean("is_sensitive"),
            rows("synonyms", &[
                text("name"),
                text("value"),
                int8("source"),
            ]),
            int8("config_type").since(3),
            text("documentation").since(3),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(super) const DELETE_GROUPS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("group_id"),
        int16("error_code"),
    ]),
]);

// Versions 0 to 3.
pub(super) const CREATE_PARTITIONS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("name"),
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Versions 0 to 1.
pub(super) const SASL_HANDSHAKE: Shape = Shape::plain(&[
    int16("error_code"),
    texts("mechanisms"),
]);

// Versions 0 to 2.
pub(super) const SASL_AUTHENTICATE: Shape = Shape::flexible(2, &[
    int16("error_code"),
    text("error_message"),
    bytes("auth_bytes"),
    int64("session_lifetime_ms").since(1),
]);

// Versions 0 to 2.
pub(super) const DESCRIBE_CLUSTER: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    int8("endpoint_type").since(1),
    text("cluster_id"),
    int32("controller_id"),
    rows("brokers", &[
        int32("broker_id"),
        text("host"),
        int32("port"),
        text("rack"),
        boolean("is_fenced").since(2),
    ]),
    int32("cluster_authorized_operations"),
]);

// Version 0.
pub(super) const DESCRIBE_TRANSACTIONS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("transaction_states", &[
        int16("error_code"),
        text("transactional_id"),
        text("transaction_state"),
        int32("transaction_timeout_ms"),
        int64("transaction_start_time_ms"),
        int64("producer_id"),
        int16("producer_epoch"),
        rows("topics", &[
            text("topic"),
            int32s("partitions"),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(super) const LIST_TRANSACTIONS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    texts("unknown_state_filters"),
    rows("transaction_states", &[
        text("transactional_id"),
        int64("producer_id"),
        text("transaction_state"),
    ]),
]);

// Version 0.
pub(super) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        int16("error_code"),
        text("name"),
        uuid("topic_id"),
        boolean("is_internal"),
        rows("partitions", &[
            int16("error_code"),
            int32("partition_index"),
            int32("leader_id"),
            int32("leader_epoch"),
            int32s("replica_nodes"),
            int32s("isr_nodes"),
            int32s("eligible_leader_replicas"),
            int32s("last_known_elr"),
            int32s("offline_replicas"),
        ]),
        int32("topic_authorized_operations"),
    ]),
    row_or_null("next_cursor", &[
        text("topic_name"),
        int32("partition_index"),
    ]),
]);

// Versions 0 to 2.
pub(super) const DELETE_RECORDS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("low_watermark"),
            int16("error_code"),
        ]),
    ]),
]);

// Versions 1 to 3.
pub(super) const DESCRIBE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        int8("pattern_type"),
        rows("acls", &[
            text("principal"),
            text("host"),
            int8("operation"),
            int8("permission_type"),
        ]),
    ]),
]);

// Versions 1 to 3.
pub(super) const CREATE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("results", &[
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Versions 1 to 3.
pub(super) const DELETE_ACLS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    rows("filter_results", &[
        int16("error_code"),
        text("error_message"),
        rows("matching_acls", &[
            int16("error_code"),
            text("error_message"),
            int8("resource_type"),
            text("resource_name"),
            int8("pattern_type"),
            text("principal"),
            text("host"),
            int8("operation"),
            int8("permission_type"),
        ]),
    ]),
]);

// Versions 0 to 2.
pub(super) const ALTER_CONFIGS: Shape = Shape::flexible(2, ALTERED_CONFIGS);

// Versions 0 to 1.
pub(super) const INCREMENTAL_ALTER_CONFIGS: Shape = Shape::flexible(1, ALTERED_CONFIGS);

const ALTERED_CONFIGS: &[Field] = &[
    int32("throttle_time_ms"),
    rows("responses", &[
        int16("error_code"),
        text("error_message"),
        int8("resource_type"),
        text("resource_name"),
    ]),
];

// Versions 1 to 4.
pub(super) const DESCRIBE_LOG_DIRS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code").since(3),
    rows("results", &[
        int16("error_code"),
        text("log_dir"),
        rows("topics", &[
            text("name"),
            rows("partitions", &[
                int32("partition_index"),
                int64("partition_size"),
                int64("offset_lag"),
                boolean("is_future_key"),
            ]),
        ]),
        int64("total_bytes").since(4),
        int64("usable_bytes").since(4),
    ]),
]);

// Versions 0 to 2.
pub(super) const ELECT_LEADERS: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code").since(1),
    rows("replica_election_results", &[
        text("topic"),
        rows("partition_result", &[
            int32("partition_id"),
            int16("error_code"),
            text("error_message"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(super) const ALTER_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    boolean("allow_replication_factor_change").since(1),
    int16("error_code"),
    text("error_message"),
    rows("responses", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
        ]),
    ]),
]);

// Version 0.
pub(super) const LIST_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32s("replicas"),
            int32s("adding_replicas"),
            int32s("removing_replicas"),
        ]),
    ]),
]);

// Version 0.
pub(super) const OFFSET_DELETE: Shape = Shape::plain(&[
    int16("error_code"),
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(super) const DESCRIBE_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("entries", &[
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
        rows("values", &[
            text("key"),
            int64("value"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(super) const ALTER_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    int32("throttle_time_ms"),
    rows("entries", &[
        int16("error_code"),
        text("error_message"),
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
    ]),
]);

// Version 0.
pub(super) const DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    text("error_message"),
    rows("results", &[
        text("user"),
        int16("error_code"),
        text("error_message"),
        rows("credential_infos", &[
            int8("mechanism"),
            int32("iterations"),
        ]),
    ]),
]);

// Version 0.
pub(super) const ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("results", &[
        text("user"),
        int16("error_code"),
        text("error_message"),
    ]),
]);

// Version 0.
pub(super) const DESCRIBE_PRODUCERS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
            text("error_message"),
            rows("active_producers", &[
                int64("producer_id"),
                int32("producer_epoch"),
                int32("last_sequence"),
                int64("last_timestamp"),
                int32("coordinator_epoch"),
                int64("current_txn_start_offset"),
            ]),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(super) const LIST_CONFIG_RESOURCES: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    rows("config_resources", &[
        text("resource_name"),
        int8("resource_type").since(1),
    ]),
]);
