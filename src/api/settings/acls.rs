//! DescribeAcls, CreateAcls and DeleteAcls. An ACL of one topic, one group or one transactional id is made where that lives; what names several
//! (a prefix, all), the cluster, or something that no cluster owns, is made on every cluster. They are looked for and
//! deleted everywhere, and each is told once. A cluster without an authorizer has none: that is an error (54) where none
//! has one, or where one is to be made there.

use crate::api::everywhere::{
    Changes, Merged, UNHEARD, Where, Word, add_each, asked_everywhere, changed_where_it_belongs, join,
};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Seen, codes};
use crate::error::Fault;
use crate::types::{Name, Slot};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{
    ApiKey, CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

// Kafka's ResourceType and PatternType.
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const TRANSACTIONAL_ID: i8 = 5;
const LITERAL: i8 = 3;
/// A literal name that means all.
const ALL: &str = "*";

asked_everywhere!(DescribeAcls, DescribeAclsRequest, DescribeAclsResponse);

impl Merged for DescribeAcls {
    fn unheard() -> Self::Response {
        DescribeAclsResponse::default().with_error_code(UNHEARD).with_error_message(None)
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        let why = scrubbed_message(told.error_message, from, seen.placement);
        Self::fail(so_far, Word { code: told.error_code, why });
        let mut told = told.resources;
        told.iter_mut().for_each(Untag::untag);
        let what = |of: &DescribeAclsResource| (of.resource_type, of.pattern_type, of.resource_name.clone());
        let who = |acl: &AclDescription| (acl.principal.clone(), acl.host.clone(), acl.operation, acl.permission_type);
        add_each(&mut so_far.resources, told, what, |known, resource| {
            add_each(&mut known.acls, resource.acls, who, |_, _| {});
        });
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut so_far.error_message, word, codes::SECURITY_DISABLED);
    }
}

changed_where_it_belongs!(CreateAcls, CreateAclsRequest, CreateAclsResponse {
    fn pipeline(request: &CreateAclsRequest, seen: &Seen<'_>) -> Name {
        let config = &seen.placement.config;
        Name::of_all(request.creations.iter().filter_map(|acl| match owner(acl) {
            Some(TOPIC) => Some(&config.pipeline_of_topic(&acl.resource_name).name),
            Some(GROUP) => Some(&config.pipeline_of_group(&acl.resource_name).name),
            _ => None,
        }))
    }
});

/// Whether an ACL is of one topic, one group or one transactional id, and of which.
fn owner(acl: &AclCreation) -> Option<i8> {
    let one = acl.resource_pattern_type == LITERAL && acl.resource_name.as_str() != ALL;
    Some(acl.resource_type).filter(|kind| one && matches!(*kind, TOPIC | GROUP | TRANSACTIONAL_ID))
}

impl Changes for CreateAcls {
    type Change = AclCreation;
    type Told = AclCreationResult;
    type Key = usize;

    fn changes(request: &Self::Request) -> Vec<AclCreation> {
        request.creations.clone()
    }

    fn request(request: &Self::Request, changes: Vec<AclCreation>) -> Self::Request {
        request.clone().with_creations(changes)
    }

    fn place(change: &AclCreation, seen: &Seen<'_>) -> Result<Where, Word> {
        let home = match owner(change) {
            Some(TOPIC) => seen.placement.home_of_topic(&change.resource_name),
            Some(GROUP) => seen.placement.home_of_group(&change.resource_name),
            Some(_) => seen.placement.home_of_transactional_id(&change.resource_name),
            None => return Ok(Where::Everywhere),
        };
        let lost = || Word::lost(&Fault::cluster(home, "none of its brokers is known"), home, seen);
        seen.placement.any_broker(home).map(Where::At).ok_or_else(lost)
    }

    fn unheard(_: &AclCreation) -> AclCreationResult {
        AclCreationResult::default().with_error_code(UNHEARD).with_error_message(None)
    }

    fn told(answer: &mut Self::Response) -> &mut Vec<AclCreationResult> {
        &mut answer.results
    }

    fn throttle_ms(answer: &mut Self::Response) -> &mut i32 {
        &mut answer.throttle_time_ms
    }

    fn word(told: &mut AclCreationResult) -> (&mut i16, &mut Option<StrBytes>) {
        (&mut told.error_code, &mut told.error_message)
    }

    /// In the order in which they were asked for.
    fn key(_: &AclCreationResult, at: usize) -> usize {
        at
    }
}

changed_where_it_belongs!(DeleteAcls, DeleteAclsRequest, DeleteAclsResponse {});

impl Changes for DeleteAcls {
    const NOTHING_HERE: i16 = codes::SECURITY_DISABLED;
    type Change = DeleteAclsFilter;
    type Told = DeleteAclsFilterResult;
    type Key = usize;

    fn changes(request: &Self::Request) -> Vec<DeleteAclsFilter> {
        request.filters.clone()
    }

    fn request(request: &Self::Request, changes: Vec<DeleteAclsFilter>) -> Self::Request {
        request.clone().with_filters(changes)
    }

    fn place(_: &DeleteAclsFilter, _: &Seen<'_>) -> Result<Where, Word> {
        Ok(Where::Everywhere)
    }

    fn unheard(_: &DeleteAclsFilter) -> DeleteAclsFilterResult {
        DeleteAclsFilterResult::default().with_error_code(UNHEARD).with_error_message(None)
    }

    fn told(answer: &mut Self::Response) -> &mut Vec<DeleteAclsFilterResult> {
        &mut answer.filter_results
    }

    fn throttle_ms(answer: &mut Self::Response) -> &mut i32 {
        &mut answer.throttle_time_ms
    }

    fn word(told: &mut DeleteAclsFilterResult) -> (&mut i16, &mut Option<StrBytes>) {
        (&mut told.error_code, &mut told.error_message)
    }

    fn for_client(told: &mut DeleteAclsFilterResult, from: Slot, seen: &Seen<'_>) {
        for acl in &mut told.matching_acls {
            acl.error_message = scrubbed_message(acl.error_message.take(), from, seen.placement);
        }
    }

    /// In the order in which they were asked for.
    fn key(_: &DeleteAclsFilterResult, at: usize) -> usize {
        at
    }

    /// What was deleted on several clusters is told once.
    fn add(place: &mut DeleteAclsFilterResult, told: &mut DeleteAclsFilterResult) {
        let deleted = |acl: &DeleteAclsMatchingAcl| {
            let what = (acl.resource_type, acl.pattern_type, acl.resource_name.clone());
            let who = (acl.principal.clone(), acl.host.clone(), acl.operation, acl.permission_type);
            (what, who, acl.error_code)
        };
        add_each(&mut place.matching_acls, std::mem::take(&mut told.matching_acls), deleted, |_, _| {});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};

    const PREFIXED: i8 = 4;

    fn create(acls: &[(i8, &str, i8)]) -> CreateAclsRequest {
        let acl = |(kind, name, pattern): &(i8, &str, i8)| {
            AclCreation::default()
                .with_resource_type(*kind)
                .with_resource_name(text(name))
                .with_resource_pattern_type(*pattern)
        };
        CreateAclsRequest::default().with_creations(acls.iter().map(acl).collect())
    }

    #[test]
    fn an_acl_is_made_where_its_subject_lives_or_everywhere() {
        let acls = [
            (TOPIC, "b-1", LITERAL),
            (TOPIC, "*", LITERAL),
            (GROUP, "gb-1", LITERAL),
            (TOPIC, "b-", PREFIXED),
            (4, "kafka-cluster", LITERAL),
            (TOPIC, "x", LITERAL),
        ];
        let mut asked = Vec::new();
        let (answer, _) = round::<CreateAcls>(&create(&acls), &World::default().seen(3), |to, request| {
            asked.push((to, request.creations.iter().map(|acl| acl.resource_name.to_string()).collect::<Vec<_>>()));
            let fails = |acl: &AclCreation| to == at(1, 2) && acl.resource_type == 4;
            let told = |acl| CreateAcls::unheard(acl).with_error_code(if fails(acl) { 54 } else { 0 });
            Ok(CreateAclsResponse::default().with_results(request.creations.iter().map(told).collect()))
        });
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = [
            (at(1, 2), names(&["b-1", "*", "gb-1", "b-", "kafka-cluster"])),
            (at(0, 2), names(&["*", "b-", "kafka-cluster", "x"])),
        ];
        assert_eq!(asked, expected);
        let codes: Vec<_> = answer.results.iter().map(|told| told.error_code).collect();
        assert_eq!(codes, [0, 0, 0, 0, 54, 0]);
        assert_eq!(answer.results[4].error_message, Some(text("On cluster `b`: SECURITY_DISABLED")));
    }

    fn acl(principal: &str) -> AclDescription {
        AclDescription::default().with_principal(text(principal))
    }

    fn described(acls: &[&str]) -> DescribeAclsResponse {
        let resource = DescribeAclsResource::default()
            .with_resource_name(text("t"))
            .with_acls(acls.iter().map(|p| acl(p)).collect());
        DescribeAclsResponse::default().with_resources(vec![resource]).with_error_message(None)
    }

    #[test]
    fn acls_of_all_clusters_are_told_once_each() {
        let request = DescribeAclsRequest::default();
        let (answer, _) = round::<DescribeAcls>(&request, &World::default().seen(3), |to, _| {
            Ok(described(if to == at(0, 2) { &["u", "v"] } else { &["v", "w"] }))
        });
        assert_eq!(answer, described(&["u", "v", "w"]));
    }

    #[test]
    fn a_cluster_without_an_authorizer_has_none_and_all_together_say_so() {
        let request = DescribeAclsRequest::default();
        let disabled = || DescribeAclsResponse::default().with_error_code(54);
        for first in [true, false] {
            let (answer, _) = round::<DescribeAcls>(&request, &World::default().seen(3), |to, _| {
                Ok(if (to == at(0, 2)) == first { disabled() } else { described(&["u"]) })
            });
            assert_eq!(answer, described(&["u"]));
        }
        let (answer, _) = round::<DescribeAcls>(&request, &World::default().seen(3), |_, _| Ok(disabled()));
        assert_eq!(answer.error_code, 54);
        let (answer, _) = round::<DescribeAcls>(&request, &World::default().seen(3), |to, _| {
            if to == at(0, 2) { Err(Fault::upstream(to, false, "gone")) } else { Ok(described(&["u"])) }
        });
        assert_eq!(answer.error_code, 7);
        assert!(answer.error_message.is_some_and(|why| why.contains("`a` cannot be reached")));
    }

    #[test]
    fn acls_are_deleted_everywhere_and_told_once_each() {
        let request = DeleteAclsRequest::default().with_filters(vec![DeleteAclsFilter::default()]);
        let (answer, _) = round::<DeleteAcls>(&request, &World::default().seen(3), |to, asked| {
            let matching = |principal: &&str| DeleteAclsMatchingAcl::default().with_principal(text(principal));
            let gone: &[&str] = if to == at(0, 2) { &["u", "v"] } else { &["v"] };
            let told = DeleteAcls::unheard(&asked.filters[0]).with_error_code(0);
            let told = told.with_matching_acls(gone.iter().map(matching).collect());
            Ok(DeleteAclsResponse::default().with_filter_results(vec![told]))
        });
        let told = &answer.filter_results[0];
        assert_eq!((answer.filter_results.len(), told.error_code, told.matching_acls.len()), (1, 0, 2));
    }

    #[test]
    fn very_many_acls_keep_nobody_waiting() {
        // Given two clusters with more ACLs than anybody has, told in another order by each
        let began = Effort::begin();
        let resource = |number: i32| {
            let resource = DescribeAclsResource::default().with_resource_name(text(&number.to_string()));
            resource.with_acls(vec![AclDescription::default()])
        };
        let (answer, _) = round::<DescribeAcls>(&Default::default(), &World::default().seen(1), |to, _| {
            let mut all: Vec<_> = (0..60_000).map(resource).collect();
            if to.cluster.number() == 1 {
                all.reverse();
            }
            Ok(DescribeAclsResponse::default().with_resources(all))
        });
        // Then each is told once, and it does not take the square of that
        assert!(answer.resources.len() == 60_000 && answer.resources.iter().all(|resource| resource.acls.len() == 1));
        began.must_be_small();
    }
}
