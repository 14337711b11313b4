//! What operators ask about groups. DescribeGroups and DeleteGroups: each group at its own coordinator.
//!
//! ListGroups: every broker of every cluster is asked, and a group is shown from its home only (elsewhere it may have
//! left offsets behind). Clients ask every node they know and put the answers together, and since all nodes have one
//! address and content alone routes (L1), we cannot know which node a client means: **each answer is the whole list.**
//! Java (KafkaAdminClient, ListConsumerGroupsResults), sarama and kadm put groups into maps by id, franz-go and
//! librdkafka (2.14.2 and later) drop repeated ones: right in all of them. librdkafka before that, and its old
//! `rd_kafka_list_groups`, show a group once for each node they know. In the `single` view all are right.
//!
//! Within an answer each group stands once, whichever of its cluster's brokers tell of it.
//!
//! A broker that fails makes the list 15 COORDINATOR_NOT_AVAILABLE, at which clients ask again: a list without its
//! groups would look as if they were gone. A cluster that is known to be down is left out, so that the groups of the
//! others can still be listed: what is known to be down is an outage that an operator is looking at.

use crate::api::by_coordinator::{self, Asked, Asks, Key, Tells, by_coordinator};
use crate::api::scrub::{scrubbed, scrubbed_message};
use crate::api::{Api, Effects, NO_OPERATIONS, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::telemetry::observed::Fact;
use crate::types::{Name, Slot, Target};
use crate::wire::codec::copied;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

by_coordinator! {
    DescribeGroups of GroupId: DescribeGroupsRequest.groups [GroupId], DescribeGroupsResponse {
        fn lower(request: &mut DescribeGroupsRequest, version: i16) {
            if version < 3 {
                request.include_authorized_operations = false;
            }
        }
    }
}

by_coordinator! {
    DeleteGroups of GroupId: DeleteGroupsRequest.groups_names [GroupId], DeleteGroupsResponse {}
}

impl Tells for DescribeGroupsResponse {
    type Key = GroupId;
    type Told = DescribedGroup;

    fn told(&mut self) -> &mut Vec<DescribedGroup> {
        &mut self.groups
    }

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn key(told: &DescribedGroup) -> &GroupId {
        &told.group_id
    }

    fn code(told: &DescribedGroup) -> i16 {
        told.error_code
    }

    fn refused(group: &GroupId, code: i16) -> DescribedGroup {
        DescribedGroup::default()
            .with_group_id(group.clone())
            .with_error_code(code)
            .with_authorized_operations(NO_OPERATIONS)
    }

    /// A member's host is the one its coordinator saw: ours. Brokers' own hosts are in none of these, or taken out.
    fn scrub(told: &mut DescribedGroup, cluster: Slot, seen: &Seen<'_>) {
        told.error_message = scrubbed_message(told.error_message.take(), cluster, seen.placement);
        for member in &mut told.members {
            member.client_host = scrubbed(std::mem::take(&mut member.client_host), cluster, seen.placement);
        }
    }
}

impl Tells for DeleteGroupsResponse {
    type Key = GroupId;
    type Told = DeletableGroupResult;

    fn told(&mut self) -> &mut Vec<DeletableGroupResult> {
        &mut self.results
    }

    fn throttle_ms(&mut self) -> &mut i32 {
        &mut self.throttle_time_ms
    }

    fn key(told: &DeletableGroupResult) -> &GroupId {
        &told.group_id
    }

    fn code(told: &DeletableGroupResult) -> i16 {
        told.error_code
    }

    fn refused(group: &GroupId, code: i16) -> DeletableGroupResult {
        DeletableGroupResult::default().with_group_id(group.clone()).with_error_code(code)
    }

    fn is_so(told: &DeletableGroupResult) -> Option<Fact> {
        (told.error_code == codes::NONE).then(|| Fact::GroupGone { group: copied(&told.group_id) })
    }
}

/// See the module's text.
pub struct ListGroups;

/// From these versions on brokers select groups by state, and by type.
const BY_STATE: i16 = 4;
const BY_TYPE: i16 = 5;

/// Which cluster a list comes from, and what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    cluster: Slot,
    by_state: bool,
    /// Groups of the classic protocol are wanted.
    classic: bool,
}

impl Api for ListGroups {
    const KEY: ApiKey = ApiKey::ListGroups;
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;
    type Origin = Listed;

    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self> {
        let classic = |filter: &StrBytes| filter.eq_ignore_ascii_case("classic");
        let (types, states) = (&request.types_filter, &request.states_filter);
        let listed = |cluster| Listed {
            cluster,
            by_state: !states.is_empty(),
            classic: types.is_empty() || types.iter().any(classic),
        };
        let part = |to: Target| Part { to, request: request.clone(), origin: listed(to.cluster) };
        let parts: Vec<_> = seen.brokers_in_reach().map(part).collect();
        let nobody = if parts.is_empty() { codes::COORDINATOR_NOT_AVAILABLE } else { codes::NONE };
        send_or_wait(ListGroupsResponse::default().with_error_code(nobody), parts, Vec::new())
    }

    fn absorb(
        so_far: &mut Self::Response,
        origin: Listed,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        _: &mut Effects,
    ) {
        let Ok(answer) = answer else {
            so_far.error_code = codes::worse(so_far.error_code, codes::COORDINATOR_NOT_AVAILABLE);
            return;
        };
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(answer.throttle_time_ms);
        so_far.error_code = codes::worse(so_far.error_code, answer.error_code);
        by_coordinator::list(&mut so_far.groups, answer.groups, |group| &group.group_id, origin.cluster, seen);
    }

    fn lower(request: &mut Self::Request, version: i16) {
        if version < BY_TYPE {
            request.types_filter.clear();
        }
        if version < BY_STATE {
            request.states_filter.clear();
        }
    }

    /// An old broker has not selected: all its groups are of the classic protocol; their states it does not tell.
    fn raise(response: &mut Self::Response, origin: &Listed, version: i16) {
        if version < BY_TYPE && !origin.classic {
            response.groups.clear();
        }
        if version < BY_STATE && origin.by_state {
            response.groups.clear();
            response.error_code = codes::UNSUPPORTED_VERSION;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};
    use crate::api::{Effect, Refusal};
    use crate::placement::build::tests::{placement, slot};
    use crate::types::{BrokerId, CoordinatorType};
    use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;
    use kafka_protocol::messages::list_groups_response::ListedGroup;
    use proptest::prelude::*;

    fn describe(groups: &[&str]) -> DescribeGroupsRequest {
        DescribeGroupsRequest::default().with_groups(groups.iter().map(|group| GroupId(text(group))).collect())
    }

    fn described(request: &DescribeGroupsRequest) -> DescribeGroupsResponse {
        let member = DescribedGroupMember::default().with_client_host(text("/secret-b-1.internal"));
        let told = |group| DescribeGroupsResponse::refused(group, 0).with_members(vec![member.clone()]);
        DescribeGroupsResponse::default()
            .with_throttle_time_ms(4)
            .with_groups(request.groups.iter().map(told).collect())
    }

    #[test]
    fn each_group_is_described_by_its_own_coordinator() {
        let mut world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3).coordinated(1, "gb-2", 3);
        let request = describe(&["gb-2", "g", "lost", "gb-1"]);
        world.refuse_needs::<DescribeGroups>(&request, 5, &Refusal::Code(15));
        let mut asked = Vec::new();
        let (answer, effects) = round::<DescribeGroups>(&request, &world.seen(5), |to, request| {
            asked.push((to, request.groups.len()));
            Ok(described(&request))
        });
        assert_eq!(asked, [(at(0, 2), 1), (at(1, 3), 2)]);
        let told: Vec<_> = answer.groups.iter().map(|group| (group.group_id.as_str(), group.error_code)).collect();
        assert_eq!(told, [("gb-2", 0), ("g", 0), ("lost", 15), ("gb-1", 0)]);
        assert_eq!((answer.throttle_time_ms, effects.len()), (4, 0));
        assert_eq!(answer.groups[0].members[0].client_host.as_str(), "/(hidden)");
    }

    #[test]
    fn a_group_whose_coordinator_fails_is_16_and_looked_up_again() {
        let world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3);
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("g")), GroupId(text("gb-1"))]);
        let (answer, effects) = round::<DeleteGroups>(&request, &world.seen(2), |to, request| match to.cluster {
            cluster if cluster == slot(0) => Err(Fault::upstream(to, true, "gone")),
            _ => {
                let told = request.groups_names.iter().map(|group| DeleteGroupsResponse::refused(group, 68));
                Ok(DeleteGroupsResponse::default().with_results(told.collect()))
            }
        });
        assert_eq!(answer.results.iter().map(|told| told.error_code).collect::<Vec<_>>(), [16, 68]);
        assert_eq!(effects, [Effect::ForgetCoordinator(slot(0), CoordinatorType::Group, text("g"))]);
    }

    proptest! {
        #[test]
        fn every_group_is_answered_once(
            asked in prop::collection::vec(0..5_usize, 0..8),
            fails: bool,
            leaves_out: bool,
            adds: bool,
        ) {
            let names = ["g", "gb-1", "gb-2", "h", "unknown"];
            let mut world = World::default().coordinated(0, "g", 1).coordinated(0, "h", 2).coordinated(1, "gb-1", 3);
            let request = describe(&asked.iter().map(|at| names[*at]).collect::<Vec<_>>());
            world.refuse_needs::<DescribeGroups>(&request, 5, &Refusal::Code(15));
            let (answer, _) = round::<DescribeGroups>(&request, &world.seen(5), |to, request| {
                let mut answer = described(&request);
                if leaves_out {
                    answer.groups.pop();
                }
                if adds {
                    answer.groups.push(DescribeGroupsResponse::refused(&GroupId(text("unknown")), 0));
                }
                if fails { Err(Fault::upstream(to, true, "gone")) } else { Ok(answer) }
            });
            let told: Vec<_> = answer.groups.iter().map(|group| group.group_id.clone()).collect();
            prop_assert_eq!(told, request.groups);
            prop_assert!(answer.groups.iter().all(|told| told.group_id.as_str() != "unknown" || told.error_code == 15));
        }
    }

    fn list(groups: &[&str]) -> ListGroupsResponse {
        let group = |name: &&str| ListedGroup::default().with_group_id(GroupId(text(name)));
        ListGroupsResponse::default().with_groups(groups.iter().map(group).collect())
    }

    #[test]
    fn a_group_is_listed_from_its_home_only() {
        let world = World::default();
        let (answer, _) = round::<ListGroups>(&ListGroupsRequest::default(), &world.seen(5), |to, _| {
            Ok(match (to.cluster.number(), to.broker.0) {
                (0, 1) => list(&["g", "gb-1"]),
                (0, 2) => list(&["g"]),
                (1, 2) => list(&["gb-1", "g"]),
                _ => list(&[]),
            })
        });
        let names: Vec<_> = answer.groups.iter().map(|group| group.group_id.as_str()).collect();
        assert_eq!((answer.error_code, names), (0, vec!["g", "gb-1"]));
    }

    #[test]
    fn a_broker_that_fails_makes_clients_ask_again_and_a_cluster_that_is_down_is_left_out() {
        let request = ListGroupsRequest::default();
        let (answer, _) = round::<ListGroups>(&request, &World::default().seen(5), |to, _| match to {
            to if to == at(1, 2) => Err(Fault::upstream(to, true, "gone")),
            _ => Ok(list(&["g"])),
        });
        assert_eq!(answer.error_code, 15);

        let mut world = World::default();
        world.placement = placement(&[], &[]).0;
        world.placement.clusters[1].up = false;
        let (answer, _) = round::<ListGroups>(&request, &world.seen(5), |to, _| {
            assert_eq!(to.cluster, slot(0));
            Ok(list(&[]))
        });
        assert_eq!(answer.error_code, 0);
        world.placement.clusters[0].up = false;
        assert_eq!(round::<ListGroups>(&request, &world.seen(5), |_, _| panic!("all are down")).0.error_code, 15);
    }

    #[test]
    fn what_a_client_retries_does_not_hide_what_it_does_not() {
        let worse = codes::worse;
        assert_eq!((worse(0, 15), worse(15, 0), worse(15, 31), worse(31, 15)), (15, 15, 31, 31));
    }

    #[test]
    fn old_brokers_have_classic_groups_only() {
        let listed = |by_state, classic| Listed { cluster: slot(0), by_state, classic };
        let raised = |by_state, classic, version| {
            let mut answer = list(&["g"]);
            ListGroups::raise(&mut answer, &listed(by_state, classic), version);
            (answer.groups.len(), answer.error_code)
        };
        assert_eq!(raised(false, true, 3), (1, 0));
        assert_eq!(raised(true, true, 4), (1, 0));
        assert_eq!(raised(false, false, 4), (0, 0));
        assert_eq!(raised(true, true, 3), (0, 35));
    }

    #[test]
    fn very_many_groups_keep_nobody_waiting() {
        // Given a request about more of them than anybody has, of one coordinator that tells of them in an order of its own
        let (world, began) = (World::default(), Effort::begin());
        let coordinator = |_: Slot, _: CoordinatorType, _: &str| Some(BrokerId(1));
        let seen = Seen { coordinator: &coordinator, ..world.seen(2) };
        let groups = (0..60_000).map(|number| GroupId(text(&number.to_string()))).collect();
        let request = DeleteGroupsRequest::default().with_groups_names(groups);
        let (answer, _) = round::<DeleteGroups>(&request, &seen, |_, asked| {
            let told = |group: &GroupId| DeletableGroupResult::default().with_group_id(group.clone());
            let told = asked.groups_names.iter().rev().map(told).collect();
            Ok(DeleteGroupsResponse::default().with_results(told))
        });
        // Then each is answered for
        assert!(answer.results.len() == 60_000 && answer.results.iter().all(|told| told.error_code == 0));
        // And where their coordinators are looked for in vain
        let mut world = World::default();
        world.refuse_needs::<DeleteGroups>(&request, 2, &Refusal::Code(15));
        let (answer, _) = round::<DeleteGroups>(&request, &world.seen(2), |_, _| panic!("nobody is asked"));
        assert!(answer.results.len() == 60_000 && answer.results.iter().all(|told| told.error_code == 15));
        // And neither takes the square of that
        began.must_be_small();
    }
}
