//! The fields of answers of transactions and producer ids.

use crate::wire::shape::Shape;
use crate::wire::shape::field::{Field, int16, int32, int32s, int64, rows, text, texts};

// Versions 0 to 6.
pub(in crate::wire::shape) const INIT_PRODUCER_ID: Shape = Shape::flexible(2, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    int64("producer_id"),
    int16("producer_epoch"),
    int64("ongoing_txn_producer_id").since(6),
    int16("ongoing_txn_producer_epoch").since(6),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const ADD_PARTITIONS_TO_TXN: Shape = Shape::flexible(3, &[
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
pub(in crate::wire::shape) const ADD_OFFSETS_TO_TXN: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    int16("error_code"),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const END_TXN: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    int64("producer_id").since(5),
    int16("producer_epoch").since(5),
]);

// Versions 0 to 5.
pub(in crate::wire::shape) const TXN_OFFSET_COMMIT: Shape = Shape::flexible(3, &[
    int32("throttle_time_ms"),
    rows("topics", &[
        text("name"),
        rows("partitions", &[
            int32("partition_index"),
            int16("error_code"),
        ]),
    ]),
]);

// Version 0.
pub(in crate::wire::shape) const DESCRIBE_TRANSACTIONS: Shape = Shape::flexible(0, &[
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
pub(in crate::wire::shape) const LIST_TRANSACTIONS: Shape = Shape::flexible(0, &[
    int32("throttle_time_ms"),
    int16("error_code"),
    texts("unknown_state_filters"),
    rows("transaction_states", &[
        text("transactional_id"),
        int64("producer_id"),
        text("transaction_state"),
    ]),
]);
