//! The same for what is of several clusters, and for reassignments.

use super::answers::{How, topic, why};
use super::{IDS, address, check, kept, tags};
use crate::api::layout::reassignments;
use crate::api::settings::{acls, config_resources, quotas, scram};
use crate::api::testing::text;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use std::ops::RangeInclusive;

pub(super) fn check_one(api: ApiKey, all: RangeInclusive<i16>) {
    match api {
        ApiKey::AlterPartitionReassignments => {
            check::<reassignments::AlterPartitionReassignments>(all, reassign, reassigned, true);
        }
        ApiKey::ListPartitionReassignments => {
            check::<reassignments::ListPartitionReassignments>(all.clone(), moves, moving, true);
            check::<reassignments::ListPartitionReassignments>(all, all_moves, moving, true);
        }
        ApiKey::DescribeClientQuotas => check::<quotas::DescribeClientQuotas>(all, quotas, told_quotas, false),
        ApiKey::AlterClientQuotas => check::<quotas::AlterClientQuotas>(all, alter_quotas, altered_quotas, true),
        ApiKey::DescribeAcls => check::<acls::DescribeAcls>(all, acls, told_acls, true),
        ApiKey::CreateAcls => check::<acls::CreateAcls>(all, create_acls, created_acls, true),
        ApiKey::DeleteAcls => check::<acls::DeleteAcls>(all, delete_acls, deleted_acls, true),
        ApiKey::DescribeUserScramCredentials => {
            check::<scram::DescribeUserScramCredentials>(all, users, told_users, true);
        }
        ApiKey::AlterUserScramCredentials => {
            check::<scram::AlterUserScramCredentials>(all, alter_users, altered_users, true);
        }
        ApiKey::ListConfigResources => {
            check::<config_resources::ListConfigResources>(all, config_resources, told_config_resources, true);
        }
        other => panic!("{other:?} is served and has no line in this test"),
    }
}

pub(super) fn reassign(_: i16) -> AlterPartitionReassignmentsRequest {
    // Cancelled: the one thing that is asked of a cluster in every view.
    let partition = |index| {
        alter_partition_reassignments_request::ReassignablePartition::default()
            .with_partition_index(index)
            .with_replicas(None)
    };
    let topic = alter_partition_reassignments_request::ReassignableTopic::default()
        .with_name(topic())
        .with_partitions((0..2).map(partition).collect());
    AlterPartitionReassignmentsRequest::default().with_topics(vec![topic])
}

fn reassigned(asked: &AlterPartitionReassignmentsRequest, how: How) -> AlterPartitionReassignmentsResponse {
    let topics = asked.topics.iter().map(|topic| {
        let told = topic.partitions.iter().map(|asked| {
            alter_partition_reassignments_response::ReassignablePartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(how.code)
                .with_error_message(why(how))
                .with_unknown_tagged_fields(tags())
        });
        alter_partition_reassignments_response::ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(told.collect())
            .with_unknown_tagged_fields(tags())
    });
    AlterPartitionReassignmentsResponse::default()
        .with_error_message(Some(address()))
        .with_responses(topics.collect())
        .with_unknown_tagged_fields(tags())
}

pub(super) fn moves(_: i16) -> ListPartitionReassignmentsRequest {
    let topic = list_partition_reassignments_request::ListPartitionReassignmentsTopics::default()
        .with_name(topic())
        .with_partition_indexes(vec![0]);
    ListPartitionReassignmentsRequest::default().with_topics(Some(vec![topic]))
}

pub(super) fn all_moves(_: i16) -> ListPartitionReassignmentsRequest {
    ListPartitionReassignmentsRequest::default().with_topics(None)
}

fn moving(_: &ListPartitionReassignmentsRequest, how: How) -> ListPartitionReassignmentsResponse {
    let ids = || IDS.map(BrokerId).to_vec();
    let partition = list_partition_reassignments_response::OngoingPartitionReassignment::default()
        .with_replicas(ids())
        .with_adding_replicas(ids())
        .with_removing_replicas(ids())
        .with_unknown_tagged_fields(tags());
    let topic = list_partition_reassignments_response::OngoingTopicReassignment::default()
        .with_name(topic())
        .with_partitions(vec![partition])
        .with_unknown_tagged_fields(tags());
    ListPartitionReassignmentsResponse::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_topics(vec![topic])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn quotas(_: i16) -> DescribeClientQuotasRequest {
    DescribeClientQuotasRequest::default()
}

fn told_quotas(_: &DescribeClientQuotasRequest, how: How) -> DescribeClientQuotasResponse {
    let entity = describe_client_quotas_response::EntityData::default()
        .with_entity_type(kept())
        .with_entity_name(Some(kept()))
        .with_unknown_tagged_fields(tags());
    let value = describe_client_quotas_response::ValueData::default().with_key(kept());
    let entry = describe_client_quotas_response::EntryData::default()
        .with_entity(vec![entity])
        .with_values(vec![value.with_unknown_tagged_fields(tags())])
        .with_unknown_tagged_fields(tags());
    DescribeClientQuotasResponse::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_entries(Some(vec![entry]))
        .with_unknown_tagged_fields(tags())
}

pub(super) fn alter_quotas(_: i16) -> AlterClientQuotasRequest {
    let entity = alter_client_quotas_request::EntityData::default().with_entity_type(kept());
    let entry =
        alter_client_quotas_request::EntryData::default().with_entity(vec![entity.with_entity_name(Some(kept()))]);
    AlterClientQuotasRequest::default().with_entries(vec![entry])
}

fn altered_quotas(_: &AlterClientQuotasRequest, how: How) -> AlterClientQuotasResponse {
    let entity = alter_client_quotas_response::EntityData::default()
        .with_entity_type(kept())
        .with_entity_name(Some(kept()))
        .with_unknown_tagged_fields(tags());
    let entry = alter_client_quotas_response::EntryData::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_entity(vec![entity])
        .with_unknown_tagged_fields(tags());
    AlterClientQuotasResponse::default().with_entries(vec![entry]).with_unknown_tagged_fields(tags())
}

pub(super) fn acls(_: i16) -> DescribeAclsRequest {
    DescribeAclsRequest::default().with_pattern_type_filter(1)
}

fn told_acls(_: &DescribeAclsRequest, how: How) -> DescribeAclsResponse {
    let acl = describe_acls_response::AclDescription::default()
        .with_principal(kept())
        .with_host(kept())
        .with_unknown_tagged_fields(tags());
    let resource = describe_acls_response::DescribeAclsResource::default()
        .with_resource_name(kept())
        .with_pattern_type(3)
        .with_acls(vec![acl])
        .with_unknown_tagged_fields(tags());
    DescribeAclsResponse::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_resources(vec![resource])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn create_acls(_: i16) -> CreateAclsRequest {
    let acl = create_acls_request::AclCreation::default().with_resource_type(2).with_resource_name(kept());
    CreateAclsRequest::default().with_creations(vec![acl.with_resource_pattern_type(3)])
}

fn created_acls(_: &CreateAclsRequest, how: How) -> CreateAclsResponse {
    let told = create_acls_response::AclCreationResult::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_unknown_tagged_fields(tags());
    CreateAclsResponse::default().with_results(vec![told]).with_unknown_tagged_fields(tags())
}

pub(super) fn delete_acls(_: i16) -> DeleteAclsRequest {
    let filter = delete_acls_request::DeleteAclsFilter::default().with_pattern_type_filter(1);
    DeleteAclsRequest::default().with_filters(vec![filter])
}

fn deleted_acls(_: &DeleteAclsRequest, how: How) -> DeleteAclsResponse {
    let acl = delete_acls_response::DeleteAclsMatchingAcl::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_resource_name(kept())
        .with_pattern_type(3)
        .with_principal(kept())
        .with_host(kept())
        .with_unknown_tagged_fields(tags());
    let told = delete_acls_response::DeleteAclsFilterResult::default()
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_matching_acls(vec![acl])
        .with_unknown_tagged_fields(tags());
    DeleteAclsResponse::default().with_filter_results(vec![told]).with_unknown_tagged_fields(tags())
}

pub(super) fn users(_: i16) -> DescribeUserScramCredentialsRequest {
    DescribeUserScramCredentialsRequest::default().with_users(None)
}

fn told_users(_: &DescribeUserScramCredentialsRequest, how: How) -> DescribeUserScramCredentialsResponse {
    let info = describe_user_scram_credentials_response::CredentialInfo::default().with_unknown_tagged_fields(tags());
    let user = describe_user_scram_credentials_response::DescribeUserScramCredentialsResult::default()
        .with_user(kept())
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_credential_infos(vec![info])
        .with_unknown_tagged_fields(tags());
    DescribeUserScramCredentialsResponse::default()
        .with_error_message(Some(address()))
        .with_results(vec![user])
        .with_unknown_tagged_fields(tags())
}

pub(super) fn alter_users(_: i16) -> AlterUserScramCredentialsRequest {
    let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion::default().with_name(kept());
    AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion])
}

fn altered_users(_: &AlterUserScramCredentialsRequest, how: How) -> AlterUserScramCredentialsResponse {
    let told = alter_user_scram_credentials_response::AlterUserScramCredentialsResult::default()
        .with_user(kept())
        .with_error_code(how.code)
        .with_error_message(Some(address()))
        .with_unknown_tagged_fields(tags());
    AlterUserScramCredentialsResponse::default().with_results(vec![told]).with_unknown_tagged_fields(tags())
}

pub(super) fn config_resources(_: i16) -> ListConfigResourcesRequest {
    ListConfigResourcesRequest::default()
}

fn told_config_resources(_: &ListConfigResourcesRequest, how: How) -> ListConfigResourcesResponse {
    // Ids of brokers stand in the names of some; those are told by us.
    let one = |(kind, name): (i8, StrBytes)| {
        list_config_resources_response::ConfigResource::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_unknown_tagged_fields(tags())
    };
    let all = if how.version == 0 {
        vec![(16, kept())]
    } else {
        vec![(16, kept()), (32, kept()), (4, text(&IDS[0].to_string())), (2, kept())]
    };
    ListConfigResourcesResponse::default()
        .with_error_code(how.code)
        .with_config_resources(all.into_iter().map(one).collect())
        .with_unknown_tagged_fields(tags())
}

/// With every field that they have, to be looked through.
pub(super) fn answers() -> Vec<Box<dyn std::fmt::Debug>> {
    let how = |version| How { version, code: 0 };
    vec![
        Box::new(reassigned(&reassign(1), how(1))),
        Box::new(moving(&moves(0), how(0))),
        Box::new(told_quotas(&quotas(1), how(1))),
        Box::new(altered_quotas(&alter_quotas(1), how(1))),
        Box::new(told_acls(&acls(3), how(3))),
        Box::new(created_acls(&create_acls(3), how(3))),
        Box::new(deleted_acls(&delete_acls(3), how(3))),
        Box::new(told_users(&users(0), how(0))),
        Box::new(altered_users(&alter_users(0), how(0))),
        Box::new(told_config_resources(&config_resources(1), how(1))),
    ]
}
