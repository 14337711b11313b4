//! What operators ask about groups whose coordinator assigns: ConsumerGroupDescribe (KIP-848) and ShareGroupDescribe
//! (KIP-932). Each group at its own coordinator, as DescribeGroups. A cluster that lacks it is 35 for its groups, at which
//! Java asks for them as classic ones.

use crate::api::by_coordinator::{self, Asked, Asks, Key, Tells, by_coordinator};
use crate::api::scrub::{scrubbed, scrubbed_message};
use crate::api::{Api, Effects, NO_OPERATIONS, Plan, Seen};
use crate::error::Fault;
use crate::types::{Name, Slot};
use kafka_protocol::messages::{
    ApiKey, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, ShareGroupDescribeRequest,
    ShareGroupDescribeResponse, consumer_group_describe_response, share_group_describe_response,
};

by_coordinator! {
    ConsumerGroupDescribe of GroupId: ConsumerGroupDescribeRequest.group_ids [GroupId], ConsumerGroupDescribeResponse {}
}

by_coordinator! {
    ShareGroupDescribe of GroupId: ShareGroupDescribeRequest.group_ids [GroupId], ShareGroupDescribeResponse {}
}

macro_rules! described {
    ($response:ident, $room:ident) => {
        impl Tells for $response {
            type Key = GroupId;
            type Told = $room::DescribedGroup;

            fn told(&mut self) -> &mut Vec<Self::Told> {
                &mut self.groups
            }

            fn throttle_ms(&mut self) -> &mut i32 {
                &mut self.throttle_time_ms
            }

            fn key(told: &Self::Told) -> &GroupId {
                &told.group_id
            }

            fn code(told: &Self::Told) -> i16 {
                told.error_code
            }

            fn refused(group: &GroupId, code: i16) -> Self::Told {
                $room::DescribedGroup::default()
                    .with_group_id(group.clone())
                    .with_error_code(code)
                    .with_authorized_operations(NO_OPERATIONS)
            }

            /// As in DescribeGroups, and racks as clients call them.
            fn scrub(told: &mut Self::Told, cluster: Slot, seen: &Seen<'_>) {
                told.error_message = scrubbed_message(told.error_message.take(), cluster, seen.placement);
                for member in &mut told.members {
                    member.client_host = scrubbed(std::mem::take(&mut member.client_host), cluster, seen.placement);
                    member.rack_id = member.rack_id.take().map(|rack| seen.placement.our_rack(cluster, rack));
                }
            }
        }
    };
}

described!(ConsumerGroupDescribeResponse, consumer_group_describe_response);
described!(ShareGroupDescribeResponse, share_group_describe_response);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{World, at, round, text};

    #[test]
    fn each_group_is_described_by_its_own_coordinator_and_a_cluster_that_lacks_it_says_so() {
        // Given two clusters, of which one does not serve such groups
        let world = World::default().coordinated(0, "g", 2).coordinated(1, "gb-1", 3);
        let groups = ["gb-1", "g"].map(|group| GroupId(text(group)));
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(groups.to_vec());
        let member = consumer_group_describe_response::Member::default()
            .with_client_host(text("/secret-a-1.internal"))
            .with_rack_id(Some(text("theirs")));
        let (answer, effects) = round::<ConsumerGroupDescribe>(&request, &world.seen(1), |to, asked| {
            if to == at(1, 3) {
                return Err(Fault::lacking(to, ApiKey::ConsumerGroupDescribe));
            }
            let told = ConsumerGroupDescribeResponse::refused(&asked.group_ids[0], 0);
            let told = told.with_members(vec![member.clone()]);
            Ok(ConsumerGroupDescribeResponse::default().with_groups(vec![told]))
        });
        // Then each group has its own answer, no host is told, and a rack as clients call it
        let told: Vec<_> = answer.groups.iter().map(|told| (told.group_id.0.as_str(), told.error_code)).collect();
        assert_eq!((told, effects.len()), (vec![("gb-1", 35), ("g", 0)], 0));
        let member = &answer.groups[1].members[0];
        assert_eq!((member.client_host.as_str(), &member.rack_id), ("/(hidden)", &Some(text("ours"))));
    }
}
