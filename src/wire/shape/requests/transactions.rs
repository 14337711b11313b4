//! The fields of requests of transactions and producer ids.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{boolean, int16, int32, int32s, int64, int64s, rows, text, texts};

// Versions 0 to 5.
pub(in crate::wire::shape) const INIT_PRODUCER_ID: Shape = Shape::flexible(2, &[
    text("transactional_id"),
    int32("transaction_timeout_ms"),
    int64("producer_id").since(3),
    int16("producer_epoch").since(3),
    boolean("enable_2_pc").since(6),
    boolean("keep_prepared_txn").since(6),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const ADD_PARTITIONS_TO_TXN: Shape = Shape::flexible(3, &[
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
pub(in crate::wire::shape) const ADD_OFFSETS_TO_TXN: Shape = Shape::flexible(3, &[
    text("transactional_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    text("group_id"),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const END_TXN: Shape = Shape::flexible(3, &[
    text("transactional_id"),
    int64("producer_id"),
    int16("producer_epoch"),
    boolean("committed"),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const TXN_OFFSET_COMMIT: Shape = Shape::flexible(3, &[
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

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_TRANSACTIONS: Shape = Shape::flexible(0, &[
    texts("transactional_ids"),
]);

// Versions 0 to 2.
pub(in crate::wire::shape) const LIST_TRANSACTIONS: Shape = Shape::flexible(0, &[
    texts("state_filters"),
    int64s("producer_id_filters"),
    int64("duration_filter").since(1),
    text("transactional_id_pattern").since(2),
]);
