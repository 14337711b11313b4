//! What Kafka 4.3 has and clients are not shown, each with the reason. A client that sends one all the same is
//! disconnected, with a line in the log that names it.

/// An API that we do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its key on the wire.
    pub key: i16,
    /// As Kafka calls it.
    pub name: &'static str,
    /// Why it is not shown, for people.
    pub why: &'static str,
}

const fn hidden(key: i16, name: &'static str, why: &'static str) -> Hidden {
    Hidden { key, name, why }
}

const GONE: &str = "Kafka 4 has it no more.";
const BROKERS: &str = "Spoken between brokers.";
const CONTROLLERS: &str = "Spoken to controllers.";
const LATER: &str = "Not built yet.";
const TOKENS: &str = "A token is one cluster's, and its clients log in at Fishplate.";
const QUORUM: &str = "Each cluster has a quorum of its own, whose voters are not among the nodes that clients see: ask the cluster itself.";
const ONE_CLUSTERS: &str = "It changes one cluster for ever and does not say which: ask the cluster itself.";
const TELEMETRY: &str = "Clients push metrics only where they are asked to, and clusters would ask for different ones. Without it they stay quiet.";

/// All of them.
pub const HIDDEN: &[Hidden] = &[
    hidden(4, "LeaderAndIsr", GONE),
    hidden(5, "StopReplica", GONE),
    hidden(6, "UpdateMetadata", GONE),
    hidden(7, "ControlledShutdown", GONE),
    hidden(27, "WriteTxnMarkers", BROKERS),
    hidden(
        34,
        "AlterReplicaLogDirs",
        "It means the directories of the broker that it is sent to, and content alone says where a request goes.",
    ),
    hidden(38, "CreateDelegationToken", TOKENS),
    hidden(39, "RenewDelegationToken", TOKENS),
    hidden(40, "ExpireDelegationToken", TOKENS),
    hidden(41, "DescribeDelegationToken", TOKENS),
    hidden(52, "Vote", CONTROLLERS),
    hidden(53, "BeginQuorumEpoch", CONTROLLERS),
    hidden(54, "EndQuorumEpoch", CONTROLLERS),
    hidden(55, "DescribeQuorum", QUORUM),
    hidden(56, "AlterPartition", CONTROLLERS),
    hidden(57, "UpdateFeatures", ONE_CLUSTERS),
    hidden(58, "Envelope", CONTROLLERS),
    hidden(59, "FetchSnapshot", CONTROLLERS),
    hidden(62, "BrokerRegistration", CONTROLLERS),
    hidden(63, "BrokerHeartbeat", CONTROLLERS),
    hidden(64, "UnregisterBroker", ONE_CLUSTERS),
    hidden(67, "AllocateProducerIds", CONTROLLERS),
    hidden(70, "ControllerRegistration", CONTROLLERS),
    hidden(71, "GetTelemetrySubscriptions", TELEMETRY),
    hidden(72, "PushTelemetry", TELEMETRY),
    hidden(73, "AssignReplicasToDirs", CONTROLLERS),
    hidden(80, "AddRaftVoter", QUORUM),
    hidden(81, "RemoveRaftVoter", QUORUM),
    hidden(82, "UpdateRaftVoter", CONTROLLERS),
    hidden(83, "InitializeShareGroupState", BROKERS),
    hidden(84, "ReadShareGroupState", BROKERS),
    hidden(85, "WriteShareGroupState", BROKERS),
    hidden(86, "DeleteShareGroupState", BROKERS),
    hidden(87, "ReadShareGroupStateSummary", BROKERS),
    hidden(88, "StreamsGroupHeartbeat", LATER),
    hidden(89, "StreamsGroupDescribe", LATER),
];
