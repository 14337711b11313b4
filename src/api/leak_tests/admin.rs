//! The same for what operators ask and change: requests, and answers with everything planted.

use super::answers::{How, topic, why};
use super::{IDS, address, check, everywhere, kept, node, tags};
use crate::api::groups::offset_delete;
use crate::api::layout::{elections, log_dirs, partitions};
use crate::api::records::by_leader;
use crate::api::settings::alter_configs;
use crate::api::testing::text;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use std::ops::RangeInclusive;

pub(super) fn check_one(api: ApiKey, all: RangeInclusive<i16>) {
    match api {
        ApiKey::CreatePartitions => {
            check::<partitions::CreatePartitions>(all, grow, grown, true);
        }
        ApiKey::DeleteRecords => check::<by_leader::DeleteRecords>(all, delete_records, deleted_records, true),
        ApiKey::DescribeProducers => check::<by_leader::DescribeProducers>(all, producers, produced, true),
        ApiKey::ElectLeaders => {
            check::<elections::ElectLeaders>(all.clone(), elect, elected, true);
            check::<elections::ElectLeaders>(all, elect_all, elected, true);
        }
        ApiKey::OffsetDelete => {
            // Its one version has neither texts nor tagged fields.
            check_nothing::<offset_delete::OffsetDelete>(delete_offsets, deleted_offsets);
        }
        ApiKey::DescribeLogDirs => check::<log_dirs::DescribeLogDirs>(all, log_dirs, told_log_dirs, true),
        ApiKey::AlterConfigs => check::<alter_configs::AlterConfigs>(all, alter, altered, true),
        ApiKey::IncrementalAlterConfigs => {
            check::<alter_configs::IncrementalAlterConfigs>(all, alter_some, altered_some, true);
        }
        other => everywhere::check_one(other, all),
    }
}

/// For what can bear no sentinel: that there is none.
fn check_nothing<A: crate::api::Api>(request: fn(i16) -> A::Request, answer: fn(&A::Request, How) -> A::Response) {
    let told = answer(&request(0), How { version: 0, code: 6 });
    assert_eq!(super::leak(&super::encoded(&told, 0)), None);
}

/// With every field that they have, to be looked through.
pub(super) fn answers() -> Vec<Box<dyn std::fmt::Debug>> {
    let how = |version| How { version, code: 0 };
    vec![
        Box::new(grown(&grow(3), how(3))),
        Box::new(deleted_records(&delete_records(2), how(2))),
        Box::new(produced(&producers(0), how(0))),
        Box::new(elected(&elect(2), how(2))),
        Box::new(deleted_offsets(&delete_offsets(0), how(0))),
        Box::new(told_log_dirs(&log_dirs(4), how(4))),
        Box::new(altered(&alter(2), how(2))),
        Box::new(altered_some(&alter_some(1), how(1))),
    ]
}

pub(super) fn grow(_: i16) -> CreatePartitionsRequest {
    let topic = create_partitions_request::CreatePartitionsTopic::default().with_name(topic()).with_assignments(None);
    CreatePartitionsRequest::default().with_topics(vec![topic.with_count(9)])
}

fn grown(asked: &CreatePartitionsRequest, how: How) -> CreatePartitionsResponse {
    let told = |asked: &create_partitions_request::CreatePartitionsTopic| {
        create_partitions_response::CreatePartitionsTopicResult::default()
            .with_name(asked.name.clone())
            .with_error_code(how.code)
            .with_error_message(why(how))
            .with_unknown_tagged_fields(tags())
    };
    let results = asked.topics.iter().map(told).collect();
    CreatePartitionsResponse::default().with_results(results).with_unknown_tagged_fields(tags())
}

pub(super) fn delete_records(_: i16) -> DeleteRecordsRequest {
    let partition = |index| delete_records_request::DeleteRecordsPartition::default().with_partition_index(index);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic())
        .with_partitions((0..2).map(partition).collect());
    DeleteRecordsRequest::default().with_topics(vec![topic])
}

fn deleted_records(asked: &DeleteRecordsRequest, how: How) -> DeleteRecordsResponse {
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| {
            delete_records_response::DeleteRecordsPartitionResult::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(how.code)
                .with_unknown_tagged_fields(tags())
        });
        delete_records_response::DeleteRecordsTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn producers(_: i16) -> DescribeProducersRequest {
    let topic =
        describe_producers_request::TopicRequest::default().with_name(topic()).with_partition_indexes(vec![0, 1]);
    DescribeProducersRequest::default().with_topics(vec![topic])
}

fn produced(asked: &DescribeProducersRequest, how: How) -> DescribeProducersResponse {
    let producer = describe_producers_response::ProducerState::default().with_unknown_tagged_fields(tags());
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partition_indexes.iter().map(|index| {
            describe_producers_response::PartitionResponse::default()
                .with_partition_index(*index)
                .with_error_code(how.code)
                .with_error_message(Some(address()))
                .with_active_producers(vec![producer.clone()])
                .with_unknown_tagged_fields(tags())
        });
        describe_producers_response::TopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    DescribeProducersResponse::default().with_topics(topics.collect()).with_unknown_tagged_fields(tags())
}

pub(super) fn elect(_: i16) -> ElectLeadersRequest {
    let topic = elect_leaders_request::TopicPartitions::default().with_topic(topic()).with_partitions(vec![0, 1]);
    ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]))
}

pub(super) fn elect_all(_: i16) -> ElectLeadersRequest {
    ElectLeadersRequest::default().with_topic_partitions(None)
}

fn elected(_: &ElectLeadersRequest, how: How) -> ElectLeadersResponse {
    let told = |index| {
        elect_leaders_response::PartitionResult::default()
            .with_partition_id(index)
            .with_error_code(how.code)
            .with_error_message(Some(address()))
            .with_unknown_tagged_fields(tags())
    };
    let topic = elect_leaders_response::ReplicaElectionResult::default()
        .with_topic(topic())
        .with_partition_result((0..2).map(told).collect())
        .with_unknown_tagged_fields(tags());
    ElectLeadersResponse::default().with_replica_election_results(vec![topic]).with_unknown_tagged_fields(tags())
}

pub(super) fn delete_offsets(_: i16) -> OffsetDeleteRequest {
    let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
    let topic =
        offset_delete_request::OffsetDeleteRequestTopic::default().with_name(topic()).with_partitions(vec![partition]);
    OffsetDeleteRequest::default().with_group_id(GroupId(kept())).with_topics(vec![topic])
}

fn deleted_offsets(_: &OffsetDeleteRequest, how: How) -> OffsetDeleteResponse {
    let partition = offset_delete_response::OffsetDeleteResponsePartition::default().with_error_code(how.code);
    let topic = offset_delete_response::OffsetDeleteResponseTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    OffsetDeleteResponse::default().with_topics(vec![topic])
}

pub(super) fn log_dirs(_: i16) -> DescribeLogDirsRequest {
    DescribeLogDirsRequest::default().with_topics(None)
}

fn told_log_dirs(_: &DescribeLogDirsRequest, how: How) -> DescribeLogDirsResponse {
    let partition = describe_log_dirs_response::DescribeLogDirsPartition::default().with_unknown_tagged_fields(tags());
    let topic = describe_log_dirs_response::DescribeLogDirsTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    let directory = describe_log_dirs_response::DescribeLogDirsResult::default()
        .with_error_code(how.code)
        .with_log_dir(address())
        .with_topics(vec![topic])
        .with_unknown_tagged_fields(tags());
    DescribeLogDirsResponse::default().with_results(vec![directory]).with_unknown_tagged_fields(tags())
}

/// A resource of each kind, by its name.
fn resources() -> [(i8, String); 6] {
    let node = node().to_string();
    [(2, "kept".into()), (4, node.clone()), (4, String::new()), (8, node), (32, "kept".into()), (16, "kept".into())]
}

/// What brokers say where they refuse: they name themselves.
fn refusal(kind: i8, how: How) -> Option<StrBytes> {
    let of_broker = matches!(kind, 4 | 8) && how.code == 42;
    Some(if of_broker { text(&format!("Unexpected broker id, expected {}", IDS[0])) } else { address() })
}

pub(super) fn alter(_: i16) -> AlterConfigsRequest {
    let config = alter_configs_request::AlterableConfig::default().with_name(kept()).with_value(Some(kept()));
    let resource = |(kind, name): (i8, String)| {
        alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_string(name))
            .with_configs(vec![config.clone()])
    };
    AlterConfigsRequest::default().with_resources(resources().map(resource).to_vec())
}

fn altered(asked: &AlterConfigsRequest, how: How) -> AlterConfigsResponse {
    let told = |asked: &alter_configs_request::AlterConfigsResource| {
        alter_configs_response::AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone())
            .with_error_code(how.code)
            .with_error_message(refusal(asked.resource_type, how))
            .with_unknown_tagged_fields(tags())
    };
    let responses = asked.resources.iter().map(told).collect();
    AlterConfigsResponse::default().with_responses(responses).with_unknown_tagged_fields(tags())
}

pub(super) fn alter_some(_: i16) -> IncrementalAlterConfigsRequest {
    let config = incremental_alter_configs_request::AlterableConfig::default();
    let config = config.with_name(kept()).with_value(Some(kept()));
    let resource = |(kind, name): (i8, String)| {
        incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_string(name))
            .with_configs(vec![config.clone()])
    };
    IncrementalAlterConfigsRequest::default().with_resources(resources().map(resource).to_vec())
}

fn altered_some(asked: &IncrementalAlterConfigsRequest, how: How) -> IncrementalAlterConfigsResponse {
    let told = |asked: &incremental_alter_configs_request::AlterConfigsResource| {
        incremental_alter_configs_response::AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone())
            .with_error_code(how.code)
            .with_error_message(refusal(asked.resource_type, how))
            .with_unknown_tagged_fields(tags())
    };
    let responses = asked.resources.iter().map(told).collect();
    IncrementalAlterConfigsResponse::default().with_responses(responses).with_unknown_tagged_fields(tags())
}
