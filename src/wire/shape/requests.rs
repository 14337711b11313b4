//! The fields of every request that we read, in the order in which they stand on the wire. Source: Kafka's message
//! schemas, in the versions that kafka-protocol's decoders take (the line above each says which); their names are its.
//! Fields of later versions stand here where its structs have them already: they take memory.

use super::Shape;
use super::field::{
    boolean, bytes, int8, int8s, int16, int32, int32s, int64, int64s, row, row_or_null, rows, text, texts, uuid,
};

// Versions 3 to 13.
pub(super) const PRODUCE: Shape = Shape::flexible(9, &[
    text("transactional_id"),
    int16("acks"),
    int32("timeout_ms"),
    rows("topic_data", &[
        text("name").until(12),
        uuid("topic_id").since(13),
        rows("partition_data", &[
            int32("index"),
            bytes("records"),
        ]),
    ]),
]);

// Versions 4 to 18.
pub(super) const FETCH: Shape = Shape::flexible(12, &[
    int32("replica_id").until(14),
    int32("max_wait_ms"),
    int32("min_bytes"),
    int32("max_bytes"),
    int8("isolation_level"),
    int32("session_id").since(7),
    int32("session_epoch").since(7),
    rows("topics", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        rows("partitions", &[
            int32("partition"),
            int32("current_leader_epoch").since(9),
            int64("fetch_offset"),
            int32("last_fetched_epoch").since(12),
            int64("log_start_offset").since(5),
            int32("partition_max_bytes"),
            uuid("replica_directory_id").tag(0).since(17),
            int64("high_watermark").tag(1).since(18),
        ]),
    ]),
    rows("forgotten_topics_data", &[
        text("topic").until(12),
        uuid("topic_id").since(13),
        int32s("partitions"),
    ]).since(7),
    text("rack_id").since(11),
    text("cluster_id").tag(0),
    row("replica_state", &[
        int32("replica_id"),
        int64("replica_epoch"),
    ]).tag(1).since(15),
]);

// Versions 1 to 10.
pub(super) const LIST_OFFSETS: Shape = Shape::flexible(6, &[
    int32("replica_id"),
    int8("isolation_level").since(2),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32("current_leader_epoch").since(4),
            int64("timestamp"),
        ]),
    ]),
    int32("timeout_ms").since(10),
]);

// Versions 0 to 13.
pub(super) const METADATA: Shape = Shape::flexible(9, &[
    rows("topics", &[
        uuid("topic_id").since(10),
        text("name"),
    ]),
    boolean("allow_auto_topic_creation").since(4),
    boolean("include_cluster_authorized_operations").since(8).until(10),
    boolean("include_topic_authorized_operations").since(8),
]);

// Versions 2 to 9.
pub(super) const OFFSET_COMMIT: Shape = Shape::flexible(8, &[
    text("group_id"),
    int32("generation_id_or_member_epoch"),
    text("member_id"),
    text("group_instance_id").since(7),
    int64("retention_time_ms").until(4),
    rows("topics", &[
        text("name"),
        uuid("topic_id").since(10),
        rows("partitions", &[
            int32("partition_index"),
            int64("committed_offset"),
            int32("committed_leader_epoch").since(6),
            text("committed_metadata"),
        ]),
    ]),
]);

// Versions 1 to 9.
pub(super) const OFFSET_FETCH: Shape = Shape::flexible(6, &[
    text("group_id").until(7),
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]).until(7),
    rows("groups", &[
        text("group_id"),
        text("member_id").since(9),
        int32("member_epoch").since(9),
        rows("topics", &[
            text("name"),
            uuid("topic_id").since(10),
            int32s("partition_indexes"),
        ]),
    ]).since(8),
    boolean("require_stable").since(7),
]);

// Versions 0 to 6.
pub(super) const FIND_COORDINATOR: Shape = Shape::flexible(3, &[
    text("key").until(3),
    int8("key_type").since(1),
    texts("coordinator_keys").since(4),
]);

// Versions 0 to 9.
pub(super) const JOIN_GROUP: Shape = Shape::flexible(6, &[
    text("group_id"),
    int32("session_timeout_ms"),
    int32("rebalance_timeout_ms").since(1),
    text("member_id"),
    text("group_instance_id").since(5),
    text("protocol_type"),
    rows("protocols", &[
        text("name"),
        bytes("metadata"),
    ]),
    text("reason").since(8),
]);

// Versions 0 to 4.
pub(super) const HEARTBEAT: Shape = Shape::flexible(4, &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").since(3),
]);

// Versions 0 to 5.
pub(super) const LEAVE_GROUP: Shape = Shape::flexible(4, &[
    text("group_id"),
    text("member_id").until(2),
    rows("members", &[
        text("member_id"),
        text("group_instance_id"),
        text("reason").since(5),
    ]).since(3),
]);

// Versions 0 to 5.
pub(super) const SYNC_GROUP: Shape = Shape::flexible(4, &[
    text("group_id"),
    int32("generation_id"),
    text("member_id"),
    text("group_instance_id").since(3),
    text("protocol_type").since(5),
    text("protocol_name").since(5),
    rows("assignments", &[
        text("member_id"),
        bytes("assignment"),
    ]),
]);

// Versions 0 to 6.
pub(super) const DESCRIBE_GROUPS: Shape = Shape::flexible(5, &[
    texts("groups"),
    boolean("include_authorized_operations").since(3),
]);

// Versions 0 to 5.
pub(super) const LIST_GROUPS: Shape = Shape::flexible(3, &[
    texts("states_filter").since(4),
    texts("types_filter").since(5),
]);

// Versions 0 to 4.
pub(super) const API_VERSIONS: Shape = Shape::flexible(3, &[
    text("client_software_name").since(3),
    text("client_software_version").since(3),
]);

// Versions 2 to 7.
pub(super) const CREATE_TOPICS: Shape = Shape::flexible(5, &[
    rows("topics", &[
        text("name"),
        int32("num_partitions"),
        int16("replication_factor"),
        rows("assignments", &[
            int32("partition_index"),
            int32s("broker_ids"),
        ]),
        rows("configs", &[
            text("name"),
            text("value"),
        ]),
    ]),
    int32("timeout_ms"),
    boolean("validate_only"),
]);

// Versions 1 to 6.
pub(super) const DELETE_TOPICS: Shape = Shape::flexible(4, &[
    rows("topics", &[
        text("name"),
        uuid("topic_id"),
    ]).since(6),
    texts("topic_names").until(5),
    int32("timeout_ms"),
]);

// Versions 0 to 5.
pub(super) const INIT_PRODUCER_ID: Shape = Shape::flexible(2, &[
    text("transactional_id"),
    int32("transaction_timeout_ms"),
    int64("producer_id").since(3),
    int16("producer_epoch").since(3),
    boolean("enable_2_pc").since(6),
    boolean("keep_prepared_txn").since(6),
]);

// Versions 0 to 5.
pub(super) const ADD_PARTITIONS_TO_TXN: Shape = Shape::flexible(3, &[
    rows("transactions", &[
        text("transactional_id"),
        int64("producer_id"),
        int16("producer_epoch"),
        boolean("verify_only"),
        rows("topics", &[
            text("name"),
            int32s("partitions"),
        ]),
    ]).since(4),
    text("v3_and_below_transactional_id").until(3),
    int64("v3_and_below_producer_id").until(3),
    int16("v3_and_below_producer_epoch").until(3),
    rows("v3_and_below_topics", &[
        text("name"),
        int32s("partitions"),
    ]).until(3),
]);

// Versions 0 to 4.
pub(super) const ADD_OFFSETS_TO_TXN: Shape = Shape::flexible(3, &[
    text("transactional_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    text("group_id"),
]);

// Versions 0 to 5.
pub(super) const END_TXN: Shape = Shape::flexible(3, &[
    text("transactional_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    boolean("committed"),
]);

// Versions 0 to 5.
pub(super) const TXN_OFFSET_COMMIT: Shape = Shape::flexible(3, &[
    text("transactional_id"),
    text("group_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    int32("generation_id").since(3),
    text("member_id").since(3),
    text("group_instance_id").since(3),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("committed_offset"),
            int32("committed_leader_epoch").since(2),
            text("committed_metadata"),
        ]),
    ]),
]);

// Versions 2 to 4.
pub(super) const OFFSET_FOR_LEADER_EPOCH: Shape = Shape::flexible(4, &[
    int32("replica_id").since(3),
    rows("topics", &[
        text("topic"),
        rows("partitions", &[
            int32("partition"),
            int32("current_leader_epoch"),
            int32("leader_epoch"),
        ]),
    ]),
]);

// Versions 1 to 4.
pub(super) const DESCRIBE_CONFIGS: Shape = Shape::flexible(4, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        texts("configuration_keys"),
    ]),
    boolean("include_synonyms"),
    boolean("include_documentation").since(3),
]);

// Versions 0 to 2.
pub(super) const DELETE_GROUPS: Shape = Shape::flexible(2, &[
    texts("groups_names"),
]);

// Versions 0 to 3.
pub(super) const CREATE_PARTITIONS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("name"),
        int32("count"),
        rows("assignments", &[
            int32s("broker_ids"),
        ]),
    ]),
    int32("timeout_ms"),
    boolean("validate_only"),
]);

// Versions 0 to 1.
pub(super) const SASL_HANDSHAKE: Shape = Shape::plain(&[
    text("mechanism"),
]);

// Versions 0 to 2.
pub(super) const SASL_AUTHENTICATE: Shape = Shape::flexible(2, &[
    bytes("auth_bytes"),
]);

// Versions 0 to 2.
pub(super) const DESCRIBE_CLUSTER: Shape = Shape::flexible(0, &[
    boolean("include_cluster_authorized_operations"),
    int8("endpoint_type").since(1),
    boolean("include_fenced_brokers").since(2),
]);

// Version 0.
pub(super) const DESCRIBE_TRANSACTIONS: Shape = Shape::flexible(0, &[
    texts("transactional_ids"),
]);

// Versions 0 to 2.
pub(super) const LIST_TRANSACTIONS: Shape = Shape::flexible(0, &[
    texts("state_filters"),
    int64s("producer_id_filters"),
    int64("duration_filter").since(1),
    text("transactional_id_pattern").since(2),
]);

// Version 0.
pub(super) const DESCRIBE_TOPIC_PARTITIONS: Shape = Shape::flexible(0, &[
    rows("topics", &[
        text("name"),
    ]),
    int32("response_partition_limit"),
    row_or_null("cursor", &[
        text("topic_name"),
        int32("partition_index"),
    ]),
]);

// Versions 0 to 2.
pub(super) const DELETE_RECORDS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int64("offset"),
        ]),
    ]),
    int32("timeout_ms"),
]);

// Versions 1 to 3.
pub(super) const DESCRIBE_ACLS: Shape = Shape::flexible(2, &[
    int8("resource_type_filter"),
    text("resource_name_filter"),
    int8("pattern_type_filter"),
    text("principal_filter"),
    text("host_filter"),
    int8("operation"),
    int8("permission_type"),
]);

// Versions 1 to 3.
pub(super) const CREATE_ACLS: Shape = Shape::flexible(2, &[
    rows("creations", &[
        int8("resource_type"),
        text("resource_name"),
        int8("resource_pattern_type"),
        text("principal"),
        text("host"),
        int8("operation"),
        int8("permission_type"),
    ]),
]);

// Versions 1 to 3.
pub(super) const DELETE_ACLS: Shape = Shape::flexible(2, &[
    rows("filters", &[
        int8("resource_type_filter"),
        text("resource_name_filter"),
        int8("pattern_type_filter"),
        text("principal_filter"),
        text("host_filter"),
        int8("operation"),
        int8("permission_type"),
    ]),
]);

// Versions 0 to 2.
pub(super) const ALTER_CONFIGS: Shape = Shape::flexible(2, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            text("value"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Versions 1 to 4.
pub(super) const DESCRIBE_LOG_DIRS: Shape = Shape::flexible(2, &[
    rows("topics", &[
        text("topic"),
        int32s("partitions"),
    ]),
]);

// Versions 0 to 2.
pub(super) const ELECT_LEADERS: Shape = Shape::flexible(2, &[
    int8("election_type").since(1),
    rows("topic_partitions", &[
        text("topic"),
        int32s("partitions"),
    ]),
    int32("timeout_ms"),
]);

// Versions 0 to 1.
pub(super) const INCREMENTAL_ALTER_CONFIGS: Shape = Shape::flexible(1, &[
    rows("resources", &[
        int8("resource_type"),
        text("resource_name"),
        rows("configs", &[
            text("name"),
            int8("config_operation"),
            text("value"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Versions 0 to 1.
pub(super) const ALTER_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("timeout_ms"),
    boolean("allow_replication_factor_change").since(1),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int32s("replicas"),
        ]),
    ]),
]);

// Version 0.
pub(super) const LIST_PARTITION_REASSIGNMENTS: Shape = Shape::flexible(0, &[
    int32("timeout_ms"),
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]),
]);

// Version 0.
pub(super) const OFFSET_DELETE: Shape = Shape::plain(&[
    text("group_id"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
        ]),
    ]),
]);

// Versions 0 to 1.
pub(super) const DESCRIBE_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    rows("components", &[
        text("entity_type"),
        int8("match_type"),
        text("match"),
    ]),
    boolean("strict"),
]);

// Versions 0 to 1.
pub(super) const ALTER_CLIENT_QUOTAS: Shape = Shape::flexible(1, &[
    rows("entries", &[
        rows("entity", &[
            text("entity_type"),
            text("entity_name"),
        ]),
        rows("ops", &[
            text("key"),
            int64("value"),
            boolean("remove"),
        ]),
    ]),
    boolean("validate_only"),
]);

// Version 0.
pub(super) const DESCRIBE_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    rows("users", &[
        text("name"),
    ]),
]);

// Version 0.
pub(super) const ALTER_USER_SCRAM_CREDENTIALS: Shape = Shape::flexible(0, &[
    rows("deletions", &[
        text("name"),
        int8("mechanism"),
    ]),
    rows("upsertions", &[
        text("name"),
        int8("mechanism"),
        int32("iterations"),
        bytes("salt"),
        bytes("salted_password"),
    ]),
]);

// Version 0.
pub(super) const DESCRIBE_PRODUCERS: Shape = Shape::flexible(0, &[
    rows("topics", &[
        text("name"),
        int32s("partition_indexes"),
    ]),
]);

// Versions 0 to 1.
pub(super) const LIST_CONFIG_RESOURCES: Shape = Shape::flexible(0, &[
    int8s("resource_types").since(1),
]);
