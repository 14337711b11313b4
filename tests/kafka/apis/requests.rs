//! A request of each API in each version, as a client would send it, about what is there.

use super::{To, Way};
use crate::raw::{batch, text, topic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

// Kafka's numbers.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const CLIENT_METRICS: i8 = 16;

/// What is answered to it on a way.
pub fn ask(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    let group = format!("ga-apis-{}", way.name);
    let to_group = || To::Coordinator(group.clone());
    let id = GroupId(text(&group));
    match api {
        ApiKey::Produce => way.ask(To::Leader, version, &produce(way, version), aside),
        ApiKey::Fetch => way.ask(To::Leader, version, &fetch(way, version), aside),
        ApiKey::ListOffsets => way.ask(To::Leader, version, &list_offsets(way), aside),
        ApiKey::Metadata => way.ask(To::Any, version, &metadata(way, version), aside),
        ApiKey::OffsetCommit => way.ask(to_group(), version, &commit(way, id), aside),
        ApiKey::OffsetFetch => way.ask(to_group(), version, &offsets(way, id, version), aside),
        ApiKey::FindCoordinator => way.ask(To::Any, version, &find(&group, version), aside),
        ApiKey::JoinGroup => {
            let group = format!("{group}-{version}");
            let request = join(&group, version);
            way.ask(To::Coordinator(group), version, &request, aside)
        }
        ApiKey::Heartbeat => {
            let request = HeartbeatRequest::default().with_group_id(id).with_member_id(text("nobody"));
            way.ask(to_group(), version, &request, aside)
        }
        ApiKey::LeaveGroup => way.ask(to_group(), version, &leave(id, version), aside),
        ApiKey::SyncGroup => {
            let request = SyncGroupRequest::default().with_group_id(id).with_member_id(text("nobody"));
            let named = version >= 5;
            let request = request.with_protocol_type(named.then(|| text("consumer")));
            way.ask(to_group(), version, &request.with_protocol_name(named.then(|| text("range"))), aside)
        }
        ApiKey::DescribeGroups => {
            let request = DescribeGroupsRequest::default().with_groups(vec![id]);
            way.ask(to_group(), version, &request.with_include_authorized_operations(version >= 3), aside)
        }
        ApiKey::ListGroups => way.ask(To::Any, version, &ListGroupsRequest::default(), aside),
        ApiKey::DeleteGroups => {
            let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("ga-apis-nobody"))]);
            way.ask(To::Coordinator("ga-apis-nobody".into()), version, &request, aside)
        }
        ApiKey::OffsetDelete => {
            let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
            let topic = offset_delete_request::OffsetDeleteRequestTopic::default().with_name(topic(&way.topic));
            let request = OffsetDeleteRequest::default().with_group_id(id);
            way.ask(to_group(), version, &request.with_topics(vec![topic.with_partitions(vec![partition])]), aside)
        }
        _ => of_assigned_groups(way, api, version, aside),
    }
}

/// What is asked of groups whose coordinator assigns partitions.
fn of_assigned_groups(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    let group = format!("ga-apis-{}-{api:?}-{version}", way.name);
    let (id, name) = (GroupId(text(&group)), topic(&way.topic));
    let to_group = || To::Coordinator(group.clone());
    match api {
        ApiKey::ConsumerGroupHeartbeat => {
            let request = ConsumerGroupHeartbeatRequest::default().with_group_id(id).with_member_epoch(0);
            let request = request.with_member_id(if version == 0 { text("") } else { text("a-member") });
            let request = request.with_rebalance_timeout_ms(30_000).with_topic_partitions(Some(Vec::new()));
            way.ask(to_group(), version, &request.with_subscribed_topic_names(Some(vec![name])), aside)
        }
        ApiKey::ConsumerGroupDescribe => {
            let asked = GroupId(text(&format!("ga-apis-{}-ConsumerGroupHeartbeat-1", way.name)));
            let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![asked.clone()]);
            way.ask(To::Coordinator(asked.to_string()), version, &request, aside)
        }
        ApiKey::ShareGroupHeartbeat => {
            let request = ShareGroupHeartbeatRequest::default().with_group_id(id).with_member_id(text("a-member"));
            way.ask(to_group(), version, &request.with_subscribed_topic_names(Some(vec![name])), aside)
        }
        ApiKey::ShareGroupDescribe => {
            let request = ShareGroupDescribeRequest::default().with_group_ids(vec![id]);
            way.ask(to_group(), version, &request, aside)
        }
        ApiKey::ShareFetch => {
            let partition = share_fetch_request::FetchPartition::default();
            let asked = share_fetch_request::FetchTopic::default().with_topic_id(way.id);
            let request = ShareFetchRequest::default().with_group_id(Some(id)).with_member_id(Some(member_id()));
            let request = request.with_max_wait_ms(100).with_max_bytes(1 << 20).with_max_records(10);
            let asked = asked.with_partitions(vec![partition]);
            way.ask(To::Leader, version, &request.with_batch_size(10).with_topics(vec![asked]), aside)
        }
        ApiKey::ShareAcknowledge => {
            // Of a session that is not there.
            let request = ShareAcknowledgeRequest::default().with_group_id(Some(id)).with_member_id(Some(member_id()));
            way.ask(To::Leader, version, &request.with_share_session_epoch(3), aside)
        }
        ApiKey::DescribeShareGroupOffsets => {
            let asked = describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default();
            let asked = asked.with_group_id(id).with_topics(None);
            let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![asked]);
            way.ask(to_group(), version, &request, aside)
        }
        ApiKey::AlterShareGroupOffsets => {
            let partition = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition::default();
            let asked = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default();
            let asked = asked.with_topic_name(name).with_partitions(vec![partition]);
            let request = AlterShareGroupOffsetsRequest::default().with_group_id(id).with_topics(vec![asked]);
            way.ask(to_group(), version, &request, aside)
        }
        ApiKey::DeleteShareGroupOffsets => {
            let asked = delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default();
            let request = DeleteShareGroupOffsetsRequest::default().with_group_id(id);
            way.ask(to_group(), version, &request.with_topics(vec![asked.with_topic_name(name)]), aside)
        }
        _ => of_partitions(way, api, version, aside),
    }
}

/// As Kafka writes an id.
fn member_id() -> StrBytes {
    text("AAAAAAAAAAAAAAAAAAAABw")
}

/// What is asked of partitions and of brokers.
fn of_partitions(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    match api {
        ApiKey::OffsetForLeaderEpoch => {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
            let asked = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(topic(&way.topic));
            let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1));
            way.ask(To::Leader, version, &request.with_topics(vec![asked.with_partitions(vec![partition])]), aside)
        }
        ApiKey::DescribeTopicPartitions => {
            let asked = describe_topic_partitions_request::TopicRequest::default().with_name(topic(&way.topic));
            let request = DescribeTopicPartitionsRequest::default().with_topics(vec![asked]);
            way.ask(To::Any, version, &request.with_response_partition_limit(10), aside)
        }
        ApiKey::DescribeProducers => {
            let asked = describe_producers_request::TopicRequest::default().with_name(topic(&way.topic));
            let asked = asked.with_partition_indexes(vec![0, 7]);
            way.ask(To::Leader, version, &DescribeProducersRequest::default().with_topics(vec![asked]), aside)
        }
        ApiKey::DescribeLogDirs => {
            let asked = describe_log_dirs_request::DescribableLogDirTopic::default().with_topic(topic(&way.topic));
            let asked = asked.with_partitions(vec![0]);
            way.ask(To::Any, version, &DescribeLogDirsRequest::default().with_topics(Some(vec![asked])), aside)
        }
        ApiKey::DeleteRecords => {
            let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(0);
            let nobody = partition.clone().with_partition_index(7);
            let asked = delete_records_request::DeleteRecordsTopic::default().with_name(topic(&way.topic));
            let request = DeleteRecordsRequest::default().with_timeout_ms(5_000);
            let topics = vec![asked.with_partitions(vec![partition, nobody])];
            way.ask(To::Leader, version, &request.with_topics(topics), aside)
        }
        ApiKey::DescribeCluster => {
            let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::ApiVersions => {
            let request = ApiVersionsRequest::default();
            let named = version >= 3;
            let name = |name| if named { text(name) } else { StrBytes::default() };
            let request = request.with_client_software_name(name("apache-kafka-java"));
            way.ask(To::Any, version, &request.with_client_software_version(name("4.3.1")), aside)
        }
        ApiKey::InitProducerId => {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            way.ask(To::Any, version, &request.with_transaction_timeout_ms(1_000), aside)
        }
        _ => of_operators(way, api, version, aside),
    }
}

/// What operators ask and change; any broker takes it.
fn of_operators(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    let own = format!("a-apis-{}-{version}", way.name);
    let name = topic(&way.topic);
    match api {
        ApiKey::CreateTopics => {
            let taken = create_topics_request::CreatableTopic::default().with_name(name);
            let new = create_topics_request::CreatableTopic::default().with_name(topic(&own));
            let topics = [taken, new].map(|topic| topic.with_num_partitions(1).with_replication_factor(1));
            let request = CreateTopicsRequest::default().with_topics(topics.to_vec()).with_timeout_ms(10_000);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::DeleteTopics => {
            let nobody = topic("a-apis-nobody");
            let request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
            let by_name = |name| delete_topics_request::DeleteTopicState::default().with_name(Some(name));
            let by_id = delete_topics_request::DeleteTopicState::default().with_name(None);
            let request = match version < 6 {
                true => request.with_topic_names(vec![nobody, topic(&own)]),
                false => request.with_topics(vec![by_name(nobody), by_id.with_topic_id(Uuid::from_u128(7))]),
            };
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::CreatePartitions => {
            let grows = |name, count| {
                let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(name);
                topic.with_count(count).with_assignments(None)
            };
            let topics = vec![grows(name, 2), grows(topic("a-apis-nobody"), 2)];
            let request = CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(10_000);
            way.ask(To::Any, version, &request.with_validate_only(true), aside)
        }
        ApiKey::ElectLeaders => {
            let asked = |name| elect_leaders_request::TopicPartitions::default().with_topic(name);
            let asked =
                vec![asked(name).with_partitions(vec![0]), asked(topic("a-apis-nobody")).with_partitions(vec![0])];
            let request = ElectLeadersRequest::default().with_topic_partitions(Some(asked)).with_timeout_ms(5_000);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = alter_partition_reassignments_request::ReassignablePartition::default().with_replicas(None);
            let asked = |name| {
                alter_partition_reassignments_request::ReassignableTopic::default()
                    .with_name(name)
                    .with_partitions(vec![partition.clone()])
            };
            let request = AlterPartitionReassignmentsRequest::default().with_timeout_ms(5_000);
            let request = request.with_topics(vec![asked(name), asked(topic("a-apis-nobody"))]);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::ListPartitionReassignments => {
            let asked = list_partition_reassignments_request::ListPartitionReassignmentsTopics::default();
            let asked = asked.with_name(name).with_partition_indexes(vec![0]);
            let request = ListPartitionReassignmentsRequest::default().with_timeout_ms(5_000);
            way.ask(To::Any, version, &request.with_topics(Some(vec![asked])), aside)
        }
        _ => of_configs(way, api, version, aside),
    }
}

/// Configs, each of a topic that is there and of one that is not.
fn of_configs(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    match api {
        ApiKey::DescribeConfigs => {
            let resource = |kind, name: &str| {
                let keys = Some(vec![text("max.message.bytes")]);
                describe_configs_request::DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
                    .with_configuration_keys(keys)
            };
            let resources = vec![resource(TOPIC, &way.topic), resource(TOPIC, "a-apis-nobody")];
            let request = DescribeConfigsRequest::default().with_resources(resources).with_include_synonyms(true);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::AlterConfigs => {
            let config = alter_configs_request::AlterableConfig::default().with_name(text("max.message.bytes"));
            let config = config.with_value(Some(text("1000012")));
            let resource = |name: &str| {
                alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(name))
                    .with_configs(vec![config.clone()])
            };
            let resources = vec![resource(&way.topic), resource("a-apis-nobody")];
            way.ask(To::Any, version, &AlterConfigsRequest::default().with_resources(resources), aside)
        }
        ApiKey::IncrementalAlterConfigs => {
            let config = incremental_alter_configs_request::AlterableConfig::default();
            let config = config.with_name(text("max.message.bytes")).with_value(Some(text("1000012")));
            let resource = |name: &str| {
                incremental_alter_configs_request::AlterConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(name))
                    .with_configs(vec![config.clone()])
            };
            let resources = vec![resource(&way.topic), resource("a-apis-nobody")];
            way.ask(To::Any, version, &IncrementalAlterConfigsRequest::default().with_resources(resources), aside)
        }
        ApiKey::ListConfigResources => {
            let kinds = if version < 1 { vec![] } else { vec![CLIENT_METRICS] };
            let request = ListConfigResourcesRequest::default().with_resource_types(kinds);
            way.ask(To::Any, version, &request, aside)
        }
        _ => of_users(way, api, version, aside),
    }
}

/// Quotas, ACLs and users. Each way has its own; what is made is looked for in the order of the table.
fn of_users(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    let user = way.name.clone();
    match api {
        ApiKey::DescribeClientQuotas => {
            let component = describe_client_quotas_request::ComponentData::default();
            let component =
                component.with_entity_type(text("client-id")).with_match_type(0).with_match(Some(text(&user)));
            let request = DescribeClientQuotasRequest::default().with_components(vec![component]).with_strict(true);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::AlterClientQuotas => {
            let entity = alter_client_quotas_request::EntityData::default().with_entity_type(text("client-id"));
            let set = |key: &str| alter_client_quotas_request::OpData::default().with_key(text(key)).with_value(1e9);
            let entry = |key| {
                let entity = entity.clone().with_entity_name(Some(text(&format!("{user}-{key}"))));
                alter_client_quotas_request::EntryData::default().with_entity(vec![entity]).with_ops(vec![set(key)])
            };
            let entries = vec![entry("producer_byte_rate"), entry("no_such_rate")];
            way.ask(To::Any, version, &AlterClientQuotasRequest::default().with_entries(entries), aside)
        }
        ApiKey::CreateAcls => {
            let acl = |kind, name: &str, pattern| {
                create_acls_request::AclCreation::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
                    .with_resource_pattern_type(pattern)
                    .with_principal(text(&format!("User:{user}")))
                    .with_host(text("*"))
                    .with_operation(3)
                    .with_permission_type(3)
            };
            let name = format!("a-acl-{user}");
            let creations =
                vec![acl(TOPIC, &name, LITERAL), acl(TOPIC, &name, 4), acl(3, &name, LITERAL), acl(TOPIC, "", LITERAL)];
            way.ask(To::Any, version, &CreateAclsRequest::default().with_creations(creations), aside)
        }
        ApiKey::DescribeAcls => {
            let request = DescribeAclsRequest::default()
                .with_resource_type_filter(1)
                .with_resource_name_filter(None)
                .with_pattern_type_filter(1)
                .with_principal_filter(Some(text(&format!("User:{user}"))))
                .with_host_filter(None)
                .with_operation(1)
                .with_permission_type(1);
            way.ask(To::Any, version, &request, aside)
        }
        ApiKey::DeleteAcls => {
            let filter = delete_acls_request::DeleteAclsFilter::default()
                .with_resource_type_filter(1)
                .with_resource_name_filter(None)
                .with_pattern_type_filter(1)
                .with_principal_filter(Some(text(&format!("User:{user}"))))
                .with_host_filter(None)
                .with_operation(1)
                .with_permission_type(1);
            way.ask(To::Any, version, &DeleteAclsRequest::default().with_filters(vec![filter]), aside)
        }
        ApiKey::DescribeUserScramCredentials => {
            let named = |name: &str| describe_user_scram_credentials_request::UserName::default().with_name(text(name));
            let users = Some(vec![named(&user), named("nobody")]);
            way.ask(To::Any, version, &DescribeUserScramCredentialsRequest::default().with_users(users), aside)
        }
        ApiKey::AlterUserScramCredentials => {
            let upsertion = alter_user_scram_credentials_request::ScramCredentialUpsertion::default()
                .with_name(text(&user))
                .with_mechanism(1)
                .with_iterations(4_096)
                .with_salt(vec![1; 16].into())
                .with_salted_password(vec![2; 32].into());
            let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion::default();
            let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
            let request = request.with_deletions(vec![deletion.with_name(text("nobody")).with_mechanism(1)]);
            way.ask(To::Any, version, &request, aside)
        }
        _ => of_transactions(way, api, version, aside),
    }
}

/// A producer with a transactional id of the way's own, which begins anew for each request.
fn of_transactions(way: &mut Way<'_>, api: ApiKey, version: i16, aside: &[&str]) -> String {
    let id = format!("ta-apis-{}", way.name);
    let named = || TransactionalId(text(&id));
    let group = GroupId(text(&format!("ga-apis-{}", way.name)));
    let coordinator = || To::TransactionCoordinator(id.clone());
    match api {
        ApiKey::AddPartitionsToTxn => {
            let (producer, epoch) = way.producer(&id);
            let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default().with_name(topic(&way.topic));
            let topics = vec![topic.with_partitions(vec![0])];
            let request = match version < 4 {
                true => AddPartitionsToTxnRequest::default()
                    .with_v3_and_below_transactional_id(named())
                    .with_v3_and_below_producer_id(producer)
                    .with_v3_and_below_producer_epoch(epoch)
                    .with_v3_and_below_topics(topics),
                false => AddPartitionsToTxnRequest::default().with_transactions(vec![
                    add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
                        .with_transactional_id(named())
                        .with_producer_id(producer)
                        .with_producer_epoch(epoch)
                        .with_topics(topics),
                ]),
            };
            way.ask(coordinator(), version, &request, aside)
        }
        ApiKey::AddOffsetsToTxn => {
            let (producer, epoch) = way.producer(&id);
            let request = AddOffsetsToTxnRequest::default().with_transactional_id(named()).with_group_id(group);
            let request = request.with_producer_id(producer).with_producer_epoch(epoch);
            way.ask(coordinator(), version, &request, aside)
        }
        ApiKey::EndTxn => {
            let (producer, epoch) = way.producer(&id);
            let request = EndTxnRequest::default().with_transactional_id(named()).with_committed(true);
            let request = request.with_producer_id(producer).with_producer_epoch(epoch);
            way.ask(coordinator(), version, &request, aside)
        }
        ApiKey::TxnOffsetCommit => {
            let (producer, epoch) = way.producer(&id);
            let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
            let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default().with_name(topic(&way.topic));
            let to = To::Coordinator(group.to_string());
            let request = TxnOffsetCommitRequest::default()
                .with_transactional_id(named())
                .with_group_id(group)
                .with_producer_id(producer)
                .with_producer_epoch(epoch)
                .with_topics(vec![topic.with_partitions(vec![partition.with_committed_offset(1)])]);
            way.ask(to, version, &request, aside)
        }
        ApiKey::DescribeTransactions => {
            let nobody = TransactionalId(text("ta-apis-nobody"));
            let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![nobody]);
            way.ask(To::TransactionCoordinator("ta-apis-nobody".into()), version, &request, aside)
        }
        ApiKey::ListTransactions => {
            let states = vec![text("PrepareEpochFence")];
            way.ask(To::Any, version, &ListTransactionsRequest::default().with_state_filters(states), aside)
        }
        // Where nobody logs in.
        ApiKey::SaslHandshake => {
            way.ask(To::Any, version, &SaslHandshakeRequest::default().with_mechanism(text("PLAIN")), aside)
        }
        ApiKey::SaslAuthenticate => way.ask(To::Any, version, &SaslAuthenticateRequest::default(), aside),
        other => panic!("{other:?} is shown, and no request of it is here"),
    }
}

/// A topic by name, or by its id where the version has no names.
fn named(way: &Way<'_>, by_id: bool) -> (TopicName, Uuid) {
    if by_id { (TopicName::default(), way.id) } else { (topic(&way.topic), Uuid::nil()) }
}

fn produce(way: &Way<'_>, version: i16) -> ProduceRequest {
    let (name, id) = named(way, version >= 13);
    let partition =
        |index| produce_request::PartitionProduceData::default().with_index(index).with_records(Some(batch(&["one"])));
    let topic = produce_request::TopicProduceData::default().with_name(name).with_topic_id(id);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000);
    request.with_topic_data(vec![topic.with_partition_data(vec![partition(0), partition(7)])])
}

fn fetch(way: &Way<'_>, version: i16) -> FetchRequest {
    let (name, id) = named(way, version >= 13);
    let partition = |index| fetch_request::FetchPartition::default().with_partition(index).with_partition_max_bytes(1);
    let topic = fetch_request::FetchTopic::default().with_topic(name).with_topic_id(id);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(100)
        .with_max_bytes(1)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(vec![topic.with_partitions(vec![partition(0)])])
}

fn list_offsets(way: &Way<'_>) -> ListOffsetsRequest {
    let partition =
        |index| list_offsets_request::ListOffsetsPartition::default().with_partition_index(index).with_timestamp(-2);
    let asked = list_offsets_request::ListOffsetsTopic::default().with_name(topic(&way.topic));
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1));
    request.with_topics(vec![asked.with_partitions(vec![partition(0), partition(7)])])
}

fn metadata(way: &Way<'_>, version: i16) -> MetadataRequest {
    let named = |name| metadata_request::MetadataRequestTopic::default().with_name(Some(name));
    let mut topics = vec![named(topic(&way.topic)), named(topic("a-apis-nobody"))];
    // Older versions would have it made.
    topics.truncate(if version < 4 { 1 } else { 2 });
    MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(version < 4)
}

fn commit(way: &Way<'_>, group: GroupId) -> OffsetCommitRequest {
    let partition = |index| {
        offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(1)
            .with_committed_metadata(Some(text("here")))
    };
    let asked = offset_commit_request::OffsetCommitRequestTopic::default().with_name(topic(&way.topic));
    let request = OffsetCommitRequest::default().with_group_id(group).with_generation_id_or_member_epoch(-1);
    request.with_topics(vec![asked.with_partitions(vec![partition(0), partition(7)])])
}

fn offsets(way: &Way<'_>, group: GroupId, version: i16) -> OffsetFetchRequest {
    if version < 8 {
        let asked = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(topic(&way.topic));
        let request = OffsetFetchRequest::default().with_group_id(group);
        return request.with_topics(Some(vec![asked.with_partition_indexes(vec![0, 7])]));
    }
    let asked = offset_fetch_request::OffsetFetchRequestTopics::default().with_name(topic(&way.topic));
    let group = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(group);
    let group = group.with_topics(Some(vec![asked.with_partition_indexes(vec![0, 7])]));
    OffsetFetchRequest::default().with_groups(vec![group])
}

fn find(group: &str, version: i16) -> FindCoordinatorRequest {
    let request = FindCoordinatorRequest::default();
    match version < 4 {
        true => request.with_key(text(group)),
        false => request.with_coordinator_keys(vec![text(group)]),
    }
}

fn join(group: &str, version: i16) -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(6_000)
        .with_rebalance_timeout_ms(if version < 1 { -1 } else { 6_000 })
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn leave(group: GroupId, version: i16) -> LeaveGroupRequest {
    let request = LeaveGroupRequest::default().with_group_id(group);
    if version < 3 {
        return request.with_member_id(text("nobody"));
    }
    let member = leave_group_request::MemberIdentity::default().with_member_id(text("nobody"));
    request.with_members(vec![member])
}
