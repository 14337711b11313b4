//! What asks for a right on the cluster as a whole, and is refused as a whole.

use super::{Guard, Guarded, Screened, words};
use crate::api::{Seen, codes, partitioned};
use crate::rights::Operation;
use kafka_protocol::messages as m;
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use std::collections::BTreeSet;

const CODE: i16 = codes::CLUSTER_AUTHORIZATION_FAILED;

/// Each request with its answer, the operation that it asks for, and what is told where that is not allowed.
macro_rules! whole {
    ($($request:ident, $response:ident: $operation:ident, $told:expr;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, _: &Seen<'_>) -> Screened<Self::Answer> {
                if guard.may_on_cluster(Operation::$operation) {
                    return Screened::All;
                }
                let told: fn(&Self) -> Self::Answer = $told;
                Screened::Nothing(told(self))
            }
        }
    )*};
}

whole! {
    DescribeAclsRequest, DescribeAclsResponse: Describe,
        |_| m::DescribeAclsResponse::default().with_error_code(CODE).with_error_message(words(CODE));
    CreateAclsRequest, CreateAclsResponse: Alter, |request| {
        let result = AclCreationResult::default().with_error_code(CODE).with_error_message(words(CODE));
        m::CreateAclsResponse::default().with_results(vec![result; request.creations.len()])
    };
    DeleteAclsRequest, DeleteAclsResponse: Alter, |request| {
        let result = DeleteAclsFilterResult::default().with_error_code(CODE).with_error_message(words(CODE));
        m::DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()])
    };
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse: Alter,
        |request| partitioned::refused::<_, m::AlterPartitionReassignmentsResponse>(request, CODE)
            .with_error_code(CODE)
            .with_error_message(words(CODE));
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse: Describe,
        |_| m::ListPartitionReassignmentsResponse::default().with_error_code(CODE).with_error_message(words(CODE));
    DescribeLogDirsRequest, DescribeLogDirsResponse: Describe,
        |_| m::DescribeLogDirsResponse::default().with_error_code(CODE);
    DescribeClientQuotasRequest, DescribeClientQuotasResponse: DescribeConfigs,
        |_| m::DescribeClientQuotasResponse::default()
            .with_error_code(CODE)
            .with_error_message(words(CODE))
            .with_entries(None);
    AlterClientQuotasRequest, AlterClientQuotasResponse: AlterConfigs, |request| {
        let entity = |one: &m::alter_client_quotas_request::EntityData| {
            EntityData::default().with_entity_type(one.entity_type.clone()).with_entity_name(one.entity_name.clone())
        };
        let entry = |one: &m::alter_client_quotas_request::EntryData| {
            EntryData::default()
                .with_entity(one.entity.iter().map(entity).collect())
                .with_error_code(CODE)
                .with_error_message(words(CODE))
        };
        m::AlterClientQuotasResponse::default().with_entries(request.entries.iter().map(entry).collect())
    };
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse: Describe,
        |_| m::DescribeUserScramCredentialsResponse::default().with_error_code(CODE).with_error_message(words(CODE));
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse: Alter, |request| {
        let deleted = request.deletions.iter().map(|one| &one.name);
        let users: BTreeSet<_> = deleted.chain(request.upsertions.iter().map(|one| &one.name)).collect();
        let told = users.into_iter().map(|user| {
            AlterUserScramCredentialsResult::default()
                .with_user(user.clone())
                .with_error_code(CODE)
                .with_error_message(words(CODE))
        });
        m::AlterUserScramCredentialsResponse::default().with_results(told.collect())
    };
    ListConfigResourcesRequest, ListConfigResourcesResponse: DescribeConfigs,
        |_| m::ListConfigResourcesResponse::default().with_error_code(CODE);
}

impl Guarded for m::ElectLeadersRequest {
    type Answer = m::ElectLeadersResponse;

    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
        if guard.may_on_cluster(Operation::Alter) {
            return Screened::All;
        }
        let told: Self::Answer = partitioned::refused(self, CODE);
        // Version 0 has no place for a code of the whole.
        Screened::Nothing(told.with_error_code(if seen.version == 0 { codes::NONE } else { CODE }))
    }
}
