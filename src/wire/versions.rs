//! What we serve, and in which versions: one table, constant for a release and the same on every replica. Never the
//! intersection of what clusters know, or adding one cluster would take APIs away from all (protocol-rules 1).

use kafka_protocol::messages::ApiKey;

/// One row: an API and its lowest and highest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The API.
    pub api: ApiKey,
    /// The lowest version that clients are shown.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl Served {
    /// The lowest version that is not refused.
    #[must_use]
    pub fn lowest(self) -> i16 {
        if self.api == ApiKey::Produce { PRODUCE_FROM.max(self.min) } else { self.min }
    }
}

const fn row(api: ApiKey, min: i16, max: i16) -> Served {
    Served { api, min, max }
}

/// The table.
pub const SERVED: &[Served] = &[
    // Shown from 0 as Kafka 4 does (KAFKA-18659): old librdkafka stops compressing otherwise. 0-2 are refused.
    row(ApiKey::Produce, 0, 13),
    row(ApiKey::Fetch, 4, 18),
    row(ApiKey::ListOffsets, 1, 10),
    row(ApiKey::Metadata, 0, 13),
    // 10 has topic ids, which kafka-protocol 0.18 does not read.
    row(ApiKey::OffsetCommit, 2, 9),
    row(ApiKey::OffsetFetch, 1, 9),
    row(ApiKey::FindCoordinator, 0, 6),
    row(ApiKey::JoinGroup, 0, 9),
    row(ApiKey::Heartbeat, 0, 4),
    row(ApiKey::LeaveGroup, 0, 5),
    row(ApiKey::SyncGroup, 0, 5),
    row(ApiKey::DescribeGroups, 0, 6),
    row(ApiKey::ListGroups, 0, 5),
    row(ApiKey::ApiVersions, 0, 4),
    row(ApiKey::CreateTopics, 2, 7),
    row(ApiKey::DeleteTopics, 1, 6),
    row(ApiKey::InitProducerId, 0, 5),
    row(ApiKey::OffsetForLeaderEpoch, 2, 4),
    row(ApiKey::AddPartitionsToTxn, 0, 5),
    row(ApiKey::AddOffsetsToTxn, 0, 4),
    row(ApiKey::EndTxn, 0, 5),
    row(ApiKey::TxnOffsetCommit, 0, 5),
    row(ApiKey::DescribeConfigs, 1, 4),
    row(ApiKey::DeleteGroups, 0, 2),
    row(ApiKey::DescribeCluster, 0, 2),
    row(ApiKey::DescribeTransactions, 0, 0),
    row(ApiKey::ListTransactions, 0, 2),
    row(ApiKey::DescribeTopicPartitions, 0, 0),
];

/// Produce versions below this are shown and refused.
pub const PRODUCE_FROM: i16 = 3;

/// The row of an API, by its key on the wire.
#[must_use]
pub fn served(api_key: i16) -> Option<Served> {
    SERVED.iter().find(|row| row.api as i16 == api_key).copied()
}

/// The API, where we serve it in this version.
#[must_use]
pub fn serves(api_key: i16, version: i16) -> Option<ApiKey> {
    served(api_key).filter(|row| (row.lowest()..=row.max).contains(&version)).map(|row| row.api)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Message, Request};

    /// What the codec can do; its own `ApiKey::valid_versions` is wrong for three APIs.
    fn codec<R: Request>(ours: Served) {
        let (request, response) = (R::VERSIONS, <R::Response as Message>::VERSIONS);
        let shown_from = if ours.api == ApiKey::Produce { PRODUCE_FROM } else { ours.min };
        assert_eq!(
            (request.min.max(response.min), request.max.min(response.max)),
            (shown_from, ours.max),
            "{:?}: the codec speaks other versions than our table shows; widen the table together with tests",
            ours.api
        );
    }

    #[test]
    fn the_table_lists_every_version_that_the_codec_speaks() {
        for ours in SERVED.iter().copied() {
            match ours.api {
                ApiKey::Produce => codec::<ProduceRequest>(ours),
                ApiKey::Fetch => codec::<FetchRequest>(ours),
                ApiKey::ListOffsets => codec::<ListOffsetsRequest>(ours),
                ApiKey::Metadata => codec::<MetadataRequest>(ours),
                ApiKey::OffsetCommit => codec::<OffsetCommitRequest>(ours),
                ApiKey::OffsetFetch => codec::<OffsetFetchRequest>(ours),
                ApiKey::FindCoordinator => codec::<FindCoordinatorRequest>(ours),
                ApiKey::JoinGroup => codec::<JoinGroupRequest>(ours),
                ApiKey::Heartbeat => codec::<HeartbeatRequest>(ours),
                ApiKey::LeaveGroup => codec::<LeaveGroupRequest>(ours),
                ApiKey::SyncGroup => codec::<SyncGroupRequest>(ours),
                ApiKey::DescribeGroups => codec::<DescribeGroupsRequest>(ours),
                ApiKey::ListGroups => codec::<ListGroupsRequest>(ours),
                ApiKey::ApiVersions => codec::<ApiVersionsRequest>(ours),
                ApiKey::CreateTopics => codec::<CreateTopicsRequest>(ours),
                ApiKey::DeleteTopics => codec::<DeleteTopicsRequest>(ours),
                ApiKey::InitProducerId => codec::<InitProducerIdRequest>(ours),
                ApiKey::OffsetForLeaderEpoch => codec::<OffsetForLeaderEpochRequest>(ours),
                ApiKey::AddPartitionsToTxn => codec::<AddPartitionsToTxnRequest>(ours),
                ApiKey::AddOffsetsToTxn => codec::<AddOffsetsToTxnRequest>(ours),
                ApiKey::EndTxn => codec::<EndTxnRequest>(ours),
                ApiKey::TxnOffsetCommit => codec::<TxnOffsetCommitRequest>(ours),
                ApiKey::DescribeTransactions => codec::<DescribeTransactionsRequest>(ours),
                ApiKey::ListTransactions => codec::<ListTransactionsRequest>(ours),
                ApiKey::DescribeConfigs => codec::<DescribeConfigsRequest>(ours),
                ApiKey::DeleteGroups => codec::<DeleteGroupsRequest>(ours),
                ApiKey::DescribeCluster => codec::<DescribeClusterRequest>(ours),
                ApiKey::DescribeTopicPartitions => codec::<DescribeTopicPartitionsRequest>(ours),
                other => panic!("{other:?} is served and has no line in this test"),
            }
        }
    }

    #[test]
    fn produce_below_three_is_shown_and_not_served() {
        assert_eq!(served(0).map(|row| row.min), Some(0));
        assert_eq!(serves(0, 2), None);
        assert_eq!(serves(0, 3), Some(ApiKey::Produce));
        assert_eq!(serves(0, 14), None);
        assert_eq!(serves(9999, 0), None);
    }
}
